//! Tabs that run beside each other in virtual time. Each runs its schedule and receives the
//! messages of the others, unless it is frozen or closed.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::Options;
use datum_sync::model::error::{Code, Result};
use datum_sync::model::status::{SyncResult, SyncStatus};
use datum_sync::plan::write::Write;
use datum_sync::ports::host::{Host, TabMessage};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::world::{Device, Tab};

/// A tab and its running tasks.
#[derive(Clone)]
pub struct RunningTab(Rc<Running>);

pub struct Running {
    pub tab: Tab,
    /// Messages are handled up to this many milliseconds late, each by itself.
    pub lag: Cell<u64>,
    /// While true, no task of the tab is polled.
    pub frozen: Cell<bool>,
    tasks: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// Every status that its feed has delivered.
    pub shown: RefCell<Vec<SyncStatus>>,
    /// The results of its cycles.
    pub ended: RefCell<Vec<Result<SyncResult>>>,
}

impl Deref for RunningTab {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.0
    }
}

impl RunningTab {
    pub fn new(tab: Tab) -> Self {
        let (lag, frozen, tasks, shown, ended) = Default::default();
        Self(Rc::new(Running {
            tab,
            lag,
            frozen,
            tasks,
            shown,
            ended,
        }))
    }

    /// Spawns a task in this tab.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(task.boxed_local());
    }

    /// Drops the tab's tasks wherever they stand.
    pub fn kill(&self) {
        self.tasks.take();
        self.tab
            .engine
            .host()
            .channel
            .inboxes
            .borrow_mut()
            .remove(&self.tab.engine.host().tab);
    }

    pub fn sync(&self, options: &str) {
        let life = self.clone();
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        let options = Options::read(CheckedObject(&options));
        self.spawn(async move {
            let result = life
                .tab
                .engine
                .synchronize(&life.tab.user, options, None, Default::default())
                .await;
            life.ended.borrow_mut().push(result);
        });
    }

    pub fn status(&self) -> SyncStatus {
        (*self
            .tab
            .engine
            .status_hub(&self.tab.user)
            .unwrap()
            .current())
        .clone()
    }

    /// Returns the status without what may differ between tabs.
    pub fn common(&self) -> SyncStatus {
        SyncStatus {
            is_leader: false,
            ..self.status()
        }
    }

    fn begin(&self) {
        let (life, hears, sees) = (self.clone(), self.clone(), self.clone());
        self.spawn(async move { life.tab.engine.auto_sync().run().await });
        self.spawn(async move {
            let host = hears.tab.engine.host();
            loop {
                let come = host.channel.arrived.notified();
                loop {
                    let next = host
                        .channel
                        .inboxes
                        .borrow_mut()
                        .get_mut(&host.tab)
                        .and_then(|mail| mail.pop_front());
                    let Some((database, heard)) = next else { break };
                    // As in a page, where no message waits for the one before.
                    let by = hears.clone();
                    hears.spawn(async move {
                        let user = database.rsplit('/').next().unwrap();
                        if by.lag.get() > 0 {
                            let mut dice = [0];
                            by.tab.engine.host().random(&mut dice);
                            let late = u64::from(dice[0]) % (by.lag.get() + 1);
                            by.tab.engine.host().clock.sleep(late).await;
                        }
                        match heard {
                            TabMessage::Head(head) => drop(by.tab.engine.on_head(user, head).await),
                            TabMessage::Status(word) => {
                                by.tab.engine.tabs().on_message(user, &word).await
                            }
                        }
                    });
                }
                come.await;
            }
        });
        let seen = self
            .tab
            .engine
            .status_hub(&self.tab.user)
            .unwrap()
            .subscribe();
        self.spawn(async move {
            while let Some(status) = seen.next().await {
                sees.shown.borrow_mut().push((*status).clone());
            }
        });
    }
}

/// Runs a future while these tabs run.
pub fn run_together<T>(lives: &[&RunningTab], story: impl Future<Output = T>) -> T {
    let mut story = pin!(story);
    lives.iter().for_each(|life| life.begin());
    let told = poll_fn(|context| {
        let told = story.as_mut().poll(context);
        for life in lives.iter().filter(|life| !life.frozen.get()) {
            let tasks = life.tasks.take();
            let going: Vec<_> = tasks
                .into_iter()
                .filter_map(|mut task| task.as_mut().poll(context).is_pending().then_some(task))
                .collect();
            let mut tasks = life.tasks.borrow_mut();
            let spawned = std::mem::replace(&mut *tasks, going);
            if !spawned.is_empty() {
                context.waker().wake_by_ref();
            }
            tasks.extend(spawned);
        }
        told
    });
    lives[0].tab.run(told)
}

/// Waits until a condition holds. Panics after ten minutes of virtual time.
pub async fn wait_until(life: &RunningTab, holds: impl Fn() -> bool) {
    let before = life.tab.engine.host().clock.now.get();
    while !holds() {
        life.tab.engine.host().clock.sleep(50).await;
        assert!(
            life.tab.engine.host().clock.now.get() < before + 600_000,
            "it never came: {:?}",
            life.status()
        );
    }
}

/// Yields until every tab has run.
pub async fn let_all_run() {
    let mut again = 20;
    poll_fn(|context| {
        if again == 0 {
            return Poll::Ready(());
        }
        again -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Writes through a running tab.
pub async fn write(life: &RunningTab, write: Write) {
    life.tab
        .engine
        .entities()
        .write("ann", "tasks", vec![write])
        .await
        .unwrap();
}

/// Starts a cycle whose request is in flight when this returns, and disables the lock between tabs.
pub async fn begins(phone: &Device, life: &RunningTab, options: &str) {
    phone.requests();
    life.sync(options);
    wait_until(life, || !phone.remote.seen.borrow().is_empty()).await;
    phone.locks.borrow_mut().clear();
}
