//! Cycles that nobody asks for: every user's schedule, and the one loop that runs what is due.
//!
//! Only the tab that leads runs them, and only while somebody can see it: a hidden tab has no timer
//! and sends nothing. Both are economies. Nothing rests on there being one leader.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::engine::cycle::options::Settings;
use crate::engine::events::Topic;
use crate::engine::{Backing, Engine, User, check_user_id};
use crate::model::config::Options;
use crate::model::config::timing::{MAX_INTERVAL_MS, MIN_INTERVAL_MS};
use crate::model::error::{Code, Error, Result};
use crate::model::status::{SyncResult, SyncState};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::schedule::{CycleOutcome, Left, Moment, Reach, Schedule};
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::put;
use crate::util::local_sync::Notify;

/// The longest sleep, in milliseconds: a timer may stand still while the machine sleeps, so the
/// loop looks at both clocks soon after it wakes.
const STEP_MS: u64 = 60_000;

/// What may change when the next cycle begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal<'a> {
    /// The network came back.
    Online,
    /// Somebody can see this tab.
    Visible,
    /// Nobody can.
    Hidden,
    /// Whether this tab runs the cycles of all tabs.
    Leader(bool),
    /// The remote has something new for this user.
    Hint(&'a str),
    /// A local write of this user waits to be pushed.
    Wrote(&'a str),
}

/// Every user's schedule, and what holds for all of them.
#[derive(Debug, Default)]
pub struct Auto {
    users: RefCell<VecMap<Schedule>>,
    wake: Notify,
    leads: Cell<bool>,
    hidden: Cell<bool>,
}

/// What is compared before and after another tab's commits were taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    last_success: Option<u64>,
    waiting: usize,
}

impl Seen {
    /// As it is now.
    #[must_use]
    pub fn of<S: Store, H: Host>(user: &User<S, H>) -> Self {
        user.db.peek(|replica| Self {
            last_success: replica.facts().last_success,
            waiting: replica.outbox().len(),
        })
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Starts a user's automatic cycles, the first after one interval; `interval` is in
    /// milliseconds, by default the config's.
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id or interval.
    pub fn start_auto_sync(&self, user_id: &str, interval: Option<u64>) -> Result<()> {
        self.check_open()?;
        self.status_hub(user_id)?;
        let interval = interval.unwrap_or(self.config.timing.interval);
        if !(MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval) {
            let fix = format!(
                "`interval` must be a whole number of milliseconds from {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}."
            );
            return Err(Error::new(Code::InvalidArgument, fix));
        }
        if !self
            .config
            .excluded
            .iter()
            .any(|excluded| excluded == user_id)
        {
            let (now, roll) = (self.moment(), self.roll());
            let mut users = self.auto.users.borrow_mut();
            let schedule = users.entry(user_id);
            schedule.start(now, interval, roll, None);
            if self.pauses.holds(user_id) {
                schedule.set_paused(true, now, &self.config);
            }
        }
        self.auto.wake.notify_one();
        Ok(())
    }

    /// Stops one user's automatic cycles, or everybody's. A cycle that is running goes on to its
    /// end.
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub fn stop_auto_sync(&self, user_id: Option<&str>) -> Result<()> {
        self.check_open()?;
        user_id.map_or(Ok(()), check_user_id)?;
        for (id, schedule) in self.auto.users.borrow_mut().iter_mut() {
            if user_id.is_none_or(|only| only == id) {
                schedule.stop();
            }
        }
        self.auto.wake.notify_one();
        Ok(())
    }

    /// When the user's next automatic cycle begins, in milliseconds since 1970, as the tab that
    /// leads plans or tells it; none where none is planned: not started, paused, waiting for
    /// somebody to act, or hidden.
    #[must_use]
    pub fn next_sync_time(&self, user_id: &str) -> Option<u64> {
        if !self.leads() {
            let (at, _) = self.opened(user_id)?.seat.plan()?;
            return crate::util::time::parse(&at?);
        }
        let attends = self.attends();
        self.auto
            .users
            .borrow()
            .get(user_id)
            .filter(|_| attends)?
            .next_at(self.moment())
    }

    /// Whether this tab runs the automatic cycles of all tabs.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.auto.leads.get()
    }

    /// Takes note of what may change when the next cycle begins.
    pub fn signal(&self, signal: Signal<'_>) {
        let (now, config) = (self.moment(), &*self.config);
        let mut users = self.auto.users.borrow_mut();
        let wake = match signal {
            Signal::Online => {
                users
                    .iter_mut()
                    .for_each(|(_, schedule)| schedule.online(now, config));
                true
            }
            Signal::Visible => {
                // A worker or a test may say so again and again: only the change is a reason.
                let was_hidden = self.auto.hidden.replace(false);
                if was_hidden {
                    users
                        .iter_mut()
                        .for_each(|(_, schedule)| schedule.visible(now, config));
                }
                was_hidden
            }
            Signal::Hidden => !self.auto.hidden.replace(true),
            Signal::Leader(leads) => self.auto.leads.replace(leads) != leads,
            Signal::Hint(user_id) => users.get_mut(user_id).is_some_and(|schedule| {
                schedule.hinted(config);
                true
            }),
            // A burst of writes wakes the loop once.
            Signal::Wrote(user_id) => users
                .get_mut(user_id)
                .is_some_and(|schedule| schedule.wrote(now, config)),
        };
        drop(users);
        if let (Signal::Leader(leads), true) = (signal, wake) {
            let hubs: Vec<_> = self.hubs.borrow().values().cloned().collect();
            hubs.iter()
                .for_each(|hub| hub.update(|status| status.is_leader = leads));
            let user_id = self.current_user().unwrap_or_default();
            self.events
                .tell(Topic::LeaderChanged, &user_id, None, now.wall, &mut |out| {
                    put(out, "isLeader", &leads)
                });
        }
        if wake {
            self.auto.wake.notify_one();
        }
    }

    /// A user has signed in: their cycles start where the config says so, and the first one is
    /// planned. Their database is open.
    pub fn auto_signed_in(&self, user_id: &str) {
        if self
            .config
            .excluded
            .iter()
            .any(|excluded| excluded == user_id)
        {
            return;
        }
        let Some(user) = self.opened(user_id) else {
            return;
        };
        let (now, roll, timing) = (self.moment(), self.roll(), &self.config.timing);
        let (last_sync, last_success) = user
            .db
            .peek(|replica| (replica.facts().last_sync, replica.facts().last_success));
        let mut users = self.auto.users.borrow_mut();
        let schedule = users.entry(user_id);
        if let Some(at) = last_sync {
            schedule.attempted_at(now, at);
        }
        // A new sign-in mends what a refused one has stopped.
        schedule.wake(now, &self.config);
        if timing.auto_start {
            schedule.start(
                now,
                timing.interval,
                roll,
                last_success.and_then(|at| now.wall.checked_sub(at)),
            );
            if Seen::of(&user).waiting > 0 {
                schedule.wrote(now, &self.config);
            }
        }
        if let Some(cold) = &timing.cold {
            schedule.cold_start(now, cold, last_success);
        }
        schedule.set_paused(self.pauses.holds(user_id), now, &self.config);
        drop(users);
        self.auto.wake.notify_one();
    }

    /// A user has signed out: nothing of theirs is planned any more.
    pub fn auto_signed_out(&self, user_id: &str) {
        let removed = self.auto.users.borrow_mut().remove(user_id);
        if removed.is_some()
            && let Some(hub) = self.hubs.borrow().get(user_id)
        {
            hub.update(|status| (status.next_sync_at, status.next_retry_at) = (None, None));
        }
        self.auto.wake.notify_one();
    }

    /// A user was paused, or may sync again.
    pub(super) fn auto_paused(&self, user_id: &str) {
        let paused = self.pauses.holds(user_id);
        self.of_schedule(user_id, |schedule, now| {
            schedule.set_paused(paused, now, &self.config)
        });
    }

    /// A cycle has begun, whoever asked for it.
    pub(super) fn auto_began(&self, user: &User<B::Store, H>, settings: &Settings) {
        let reach = Reach {
            pushes: settings.direction.pushes(),
            pulls: settings.direction.pulls() && settings.scope == self.config.defaults.scope,
            full: settings.force_full_sync,
        };
        self.of_schedule(&user.id, |schedule, now| schedule.began(now, reach));
    }

    /// That cycle has ended.
    pub(super) fn auto_ended(&self, user: &User<B::Store, H>, result: &Result<SyncResult>) {
        let (outcome, left, roll) = (CycleOutcome::of(result), self.left_of(user), self.roll());
        self.of_schedule(&user.id, |schedule, now| {
            schedule.ended(now, outcome, left, &self.config, roll)
        });
    }

    /// Another tab has appended.
    pub(super) fn auto_heard(&self, user: &User<B::Store, H>, before: Seen) {
        let (after, roll) = (Seen::of(user), self.roll());
        self.of_schedule(&user.id, |schedule, now| {
            if after.last_success > before.last_success {
                schedule.synced_elsewhere(now, roll);
            }
            // Only what was added: an operation that stays is no reason, and two tabs that both
            // lead would otherwise give each other one for ever.
            if after.waiting > before.waiting {
                schedule.wrote(now, &self.config);
            } else if after.waiting == 0 {
                schedule.nothing_waits();
            }
        });
    }

    /// The instance closes: the loop ends once its cycles have.
    pub(super) fn auto_closed(&self) {
        self.auto.users.take();
        self.auto.wake.notify_one();
    }

    /// Runs what is due, whenever it is due, until the instance is closed. Ends in no error: what a
    /// cycle says is in the status.
    pub async fn run_schedule(&self) {
        let mut running: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
        loop {
            if self.closed.get() && running.is_empty() {
                return;
            }
            for user in self.doubt() {
                running.push(self.ask_after(user).boxed_local());
            }
            for (user_id, options) in self.due() {
                running.push(self.automatic(user_id, options).boxed_local());
            }
            self.show_times();
            self.attend_hints();
            let sleep = async {
                match self.idle_for() {
                    Some(ms) => self.host.sleep(ms).await,
                    None => pending().await,
                }
            };
            let (mut sleep, mut woken) = (pin!(sleep), pin!(self.auto.wake.notified()));
            poll_fn(|context| {
                let before = running.len();
                running.retain_mut(|cycle| cycle.poll_unpin(context).is_pending());
                let goes_on = running.len() < before
                    || woken.as_mut().poll_unpin(context).is_ready()
                    || sleep.as_mut().poll_unpin(context).is_ready();
                if goes_on {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Hints are worth a connection only where this tab would act on them.
    fn attend_hints(&self) {
        let current = self.current_user();
        let runs = current.as_deref().is_some_and(|user_id| {
            self.auto
                .users
                .borrow()
                .get(user_id)
                .is_some_and(Schedule::runs)
        });
        self.realtime
            .set_active(runs && self.attends() && self.host.is_online() && !self.closed.get());
    }

    fn due(&self) -> Vec<(String, Options)> {
        let (now, can_run) = (self.moment(), self.attends() && self.reaches());
        let mut users = self.auto.users.borrow_mut();
        let due = users.iter_mut().filter(|_| can_run);
        due.filter_map(|(id, schedule)| Some((id.to_owned(), schedule.due(now, &self.config)?)))
            .collect()
    }

    async fn automatic(&self, user_id: String, options: Options) {
        let result = self
            .synchronize(&user_id, options, None, Default::default())
            .await;
        let user = self.opened(&user_id);
        let left = user
            .as_ref()
            .map(|user| self.left_of(user))
            .unwrap_or_default();
        let roll = self.roll();
        self.of_schedule(&user_id, |schedule, now| {
            schedule.released(now, CycleOutcome::of(&result), left, &self.config, roll)
        });
        if let (Err(error), Ok(hub)) = (&result, self.status_hub(&user_id)) {
            let at = crate::util::time::format(self.host.now_ms());
            hub.update(|status| {
                // A cycle tells of its own end; what kept it from beginning is told here.
                let is_told = status.status == SyncState::Failed
                    && status.errors.iter().any(|told| told.code == error.code());
                if !is_told && status.status != SyncState::Syncing && error.code() != Code::Closed {
                    status.status = SyncState::Failed;
                    status.errors = vec![error.to_json(at.clone())];
                    status.reckon_health();
                }
            });
        }
        // An instance that cannot compact works on; the next cycle tries again.
        let _ = self.tidy(&user_id).await;
    }

    /// How long nothing is to be done; none where only a signal changes that.
    fn idle_for(&self) -> Option<u64> {
        self.planned_in()
            .into_iter()
            .chain(self.believes_for())
            .min()
    }

    fn planned_in(&self) -> Option<u64> {
        if !self.attends() {
            return None;
        }
        let now = self.moment();
        let first = self
            .auto
            .users
            .borrow()
            .values()
            .filter_map(|schedule| schedule.left(now))
            .min()?;
        // Some browsers never say that the network is back: it is looked at now and then.
        Some(if self.reaches() {
            first.clamp(1, STEP_MS)
        } else {
            STEP_MS
        })
    }

    /// Shows what is planned: here where this tab leads, else as the one that does tells it.
    pub(super) fn show_times(&self) {
        let (now, attends, leads) = (self.moment(), self.attends(), self.leads());
        let told = |at: Option<u64>| at.filter(|_| attends).map(crate::util::time::format);
        let users: Vec<_> = self.users.borrow().values().map(Rc::clone).collect();
        for user in users {
            let planned = self
                .auto
                .users
                .borrow()
                .get(&user.id)
                .map(|schedule| (schedule.next_at(now), schedule.next_retry_at(now)));
            let here = planned.map(|(sync, retry)| (told(sync), told(retry)));
            let plan = if leads { here } else { user.seat.plan() }.unwrap_or_default();
            user.hub
                .update(|status| (status.next_sync_at, status.next_retry_at) = plan.clone());
        }
    }

    /// What the loop waits for may have changed.
    pub(super) fn auto_woken(&self) {
        self.auto.wake.notify_one();
    }

    fn attends(&self) -> bool {
        self.auto.leads.get() && !self.auto.hidden.get() && !self.closed.get()
    }

    fn reaches(&self) -> bool {
        self.config.defaults.force == Some(true) || self.host.is_online()
    }

    fn of_schedule(&self, user_id: &str, change: impl FnOnce(&mut Schedule, Moment)) {
        let now = self.moment();
        if let Some(schedule) = self.auto.users.borrow_mut().get_mut(user_id) {
            change(schedule, now);
            self.auto.wake.notify_one();
        }
    }

    fn left_of(&self, user: &User<B::Store, H>) -> Left {
        let now = self.host.now_ms();
        user.db.peek(|replica| Left {
            waiting: !replica.outbox().is_empty(),
            postponed: replica
                .outbox()
                .iter()
                .filter(|queued| queued.blocked_by.is_none())
                .filter_map(|queued| queued.rests_until(now))
                .min(),
        })
    }

    fn moment(&self) -> Moment {
        Moment {
            elapsed: self.host.elapsed_ms(),
            wall: self.host.now_ms(),
        }
    }

    /// Throws the dice.
    pub(super) fn roll(&self) -> u32 {
        let mut roll = [0; 4];
        self.host.random(&mut roll);
        u32::from_le_bytes(roll)
    }
}
