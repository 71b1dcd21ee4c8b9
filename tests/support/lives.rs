//! Tabs that live beside each other in virtual time: each runs its schedule and hears what the
//! others say, unless it is frozen or dead.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use datum_sync::model::config::Options;
use datum_sync::model::error::{Code, Result};
use datum_sync::model::object_reader::ObjectReader;
use datum_sync::model::status::{SyncResult, SyncStatus};
use datum_sync::ports::host::Heard;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::world::Tab;

/// A tab, and what goes on in it.
#[derive(Clone)]
pub struct Life(Rc<Alive>);

pub struct Alive {
    pub tab: Tab,
    /// Nothing goes on until this is taken back.
    pub frozen: Cell<bool>,
    tasks: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// Every status that its user interface was shown.
    pub shown: RefCell<Vec<SyncStatus>>,
    /// What its cycles came to.
    pub ended: RefCell<Vec<Result<SyncResult>>>,
}

impl Deref for Life {
    type Target = Alive;
    fn deref(&self) -> &Alive {
        &self.0
    }
}

impl Life {
    pub fn of(tab: Tab) -> Self {
        let (frozen, tasks, shown, ended) = Default::default();
        Self(Rc::new(Alive {
            tab,
            frozen,
            tasks,
            shown,
            ended,
        }))
    }

    /// Has something go on in this tab.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(task.boxed_local());
    }

    /// The tab is gone, whatever it was doing.
    pub fn kill(&self) {
        self.tasks.take();
        self.tab
            .engine
            .host()
            .air
            .mail
            .borrow_mut()
            .remove(&self.tab.engine.host().tab);
    }

    pub fn sync(&self, options: &str) {
        let life = self.clone();
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        let options = Options::read(
            ObjectReader::new(&options, Code::InvalidArgument, "The sync options").unwrap(),
        )
        .unwrap();
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

    /// What differs between tabs by right is left out.
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
                let come = host.air.come.notified();
                loop {
                    let next = host
                        .air
                        .mail
                        .borrow_mut()
                        .get_mut(&host.tab)
                        .and_then(|mail| mail.pop_front());
                    let Some((database, heard)) = next else { break };
                    let user = database.rsplit('/').next().unwrap();
                    match heard {
                        Heard::Head(head) => drop(hears.tab.engine.on_head(user, head).await),
                        Heard::Word(word) => hears.tab.engine.tabs().on_message(user, &word).await,
                    }
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

/// Tells a story while these tabs live.
pub fn together<T>(lives: &[&Life], story: impl Future<Output = T>) -> T {
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

/// A future that is ready once this holds; something must go on meanwhile.
pub async fn until(life: &Life, holds: impl Fn() -> bool) {
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

/// Ready at the next turn of everybody.
pub async fn turn() {
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
