//! Automatic cycles: the events that change the users' schedules, and the loop that runs due
//! cycles.
//!
//! Only the leader runs them, and only while its tab is visible: a hidden tab has no timer and
//! sends nothing. Both rules only save work; correctness does not depend on there being one leader.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::engine::auto_sync::schedules::Progress;
use crate::engine::cycle::options::Settings;
use crate::engine::events::Topic;
use crate::engine::{AutoSync, Backing, User, check_user_id};
use crate::model::config::Options;
use crate::model::config::timing::{MAX_INTERVAL_MS, MIN_INTERVAL_MS};
use crate::model::error::{Code, Error, Result};
use crate::model::status::{SyncResult, SyncState};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::schedule::{CycleOutcome, Left, Moment, Reach, Schedule};
use crate::util::json::write::put;

pub(super) mod schedules;

/// The longest sleep, in milliseconds: a timer may stand still while the machine sleeps, so the
/// loop looks at both clocks soon after it wakes.
const STEP_MS: u64 = 60_000;

/// Events that may change when the next cycle begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal<'a> {
    /// The network came back.
    Online,
    /// The tab became visible.
    Visible,
    /// The tab was hidden.
    Hidden,
    /// This tab has become the leader, or no longer is.
    Leader(bool),
    /// The remote has changes for this user.
    Hint(&'a str),
    /// A local write of this user was queued.
    Wrote(&'a str),
}

impl<B: Backing, R: Remote, H: Host + 'static> AutoSync<'_, B, R, H> {
    /// Starts a user's automatic cycles, the first after one interval; `interval` is in
    /// milliseconds, by default the config's.
    ///
    /// # Errors
    /// Fails with [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id or interval.
    pub fn start(self, user_id: &str, interval: Option<u64>) -> Result<()> {
        let engine = self.engine;
        engine.check_open()?;
        engine.status_hub(user_id)?;
        let interval = interval.unwrap_or(engine.config.timing.interval);
        if !(MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval) {
            let fix = format!(
                "`interval` must be a whole number of milliseconds from {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}."
            );
            return Err(Error::new(Code::InvalidArgument, fix));
        }
        if !engine.is_excluded(user_id) {
            let (now, roll) = (engine.moment(), engine.roll());
            engine.schedules.with(user_id, |schedule| {
                schedule.start(now, interval, roll, None);
                if engine.pause_state.is_paused(user_id) {
                    schedule.set_paused(true, now, &engine.config);
                }
            });
        }
        engine.schedules.wake();
        Ok(())
    }

    /// Stops the automatic cycles of one user, or of all. A running cycle continues to its end.
    ///
    /// # Errors
    /// Fails with [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub fn stop(self, user_id: Option<&str>) -> Result<()> {
        self.engine.check_open()?;
        user_id.map_or(Ok(()), check_user_id)?;
        self.engine.schedules.for_each(|id, schedule| {
            if user_id.is_none_or(|only| only == id) {
                schedule.stop();
            }
        });
        self.engine.schedules.wake();
        Ok(())
    }

    /// Returns when the user's next automatic cycle begins, in milliseconds since 1970, as planned
    /// here or announced by the leader; `None` if none is planned: not started, paused, waiting for
    /// the app to act, or hidden.
    #[must_use]
    pub fn next_sync_time(self, user_id: &str) -> Option<u64> {
        if !self.leads() {
            let (at, _) = self.engine.opened(user_id)?.tab.leader_plan()?;
            return crate::util::time::parse(&at?);
        }
        let now = self.engine.moment();
        let next = |schedule: &Schedule| schedule.next_at(now);
        let planned = self.engine.schedules.get(user_id, next)?;
        planned.filter(|_| self.is_active())
    }

    /// Returns true if this tab runs the automatic cycles of all tabs.
    #[must_use]
    pub fn leads(self) -> bool {
        self.engine.schedules.leads()
    }

    /// Updates the schedules after a signal, and wakes the loop if anything changed.
    pub fn signal(self, signal: Signal<'_>) {
        let (now, config) = (self.engine.moment(), &*self.engine.config);
        let schedules = &self.engine.schedules;
        let wakes = match signal {
            Signal::Online => {
                schedules.for_each(|_, schedule| schedule.online(now, config));
                true
            }
            Signal::Visible => {
                // Workers and tests may signal this repeatedly: only a change counts.
                let was_hidden = schedules.set_hidden(false);
                if was_hidden {
                    schedules.for_each(|_, schedule| schedule.visible(now, config));
                }
                was_hidden
            }
            Signal::Hidden => schedules.set_hidden(true),
            Signal::Leader(leads) => schedules.set_leads(leads),
            Signal::Hint(user_id) => schedules
                .with_known(user_id, |schedule| schedule.hinted(config))
                .is_some(),
            // A burst of writes wakes the loop once.
            Signal::Wrote(user_id) => schedules
                .with_known(user_id, |schedule| schedule.wrote(now, config))
                .unwrap_or(false),
        };
        if let (Signal::Leader(leads), true) = (signal, wakes) {
            self.report_leader(leads, now);
        }
        if wakes {
            schedules.wake();
        }
    }

    fn report_leader(self, leads: bool, now: Moment) {
        for hub in self.engine.open_users.hubs() {
            hub.update(|status| status.is_leader = leads);
        }
        let user_id = self.engine.current_user().unwrap_or_default();
        self.engine
            .events
            .tell(Topic::LeaderChanged, &user_id, None, now.wall, &mut |out| {
                put(out, "isLeader", &leads)
            });
    }

    /// Plans the first cycle of a user who has signed in, and starts their automatic cycles if the
    /// config asks for it. Their database is open.
    pub fn signed_in(self, user_id: &str) {
        let engine = self.engine;
        if engine.is_excluded(user_id) {
            return;
        }
        let Some(user) = engine.opened(user_id) else {
            return;
        };
        let (now, roll) = (engine.moment(), engine.roll());
        let (config, timing) = (&engine.config, &engine.config.timing);
        let (last_sync, last_success) = user
            .db
            .peek(|replica| (replica.facts().last_sync, replica.facts().last_success));
        engine.schedules.with(user_id, |schedule| {
            if let Some(at) = last_sync {
                schedule.attempted_at(now, at);
            }
            // A new sign-in ends the wait after a rejected token.
            schedule.wake(now, config);
            if timing.auto_start {
                let since = last_success.and_then(|at| now.wall.checked_sub(at));
                schedule.start(now, timing.interval, roll, since);
                if user.pending_count() > 0 {
                    schedule.wrote(now, config);
                }
            }
            if let Some(cold) = &timing.cold {
                schedule.cold_start(now, cold, last_success);
            }
            schedule.set_paused(engine.pause_state.is_paused(user_id), now, config);
        });
    }

    /// Drops the schedule of a user who has signed out.
    pub fn signed_out(self, user_id: &str) {
        if self.engine.schedules.remove(user_id)
            && let Some(hub) = self.engine.open_users.known_hub(user_id)
        {
            hub.update(|status| (status.next_sync_at, status.next_retry_at) = (None, None));
        }
    }

    /// Applies a pause or its end.
    pub(super) fn pause_changed(self, user_id: &str) {
        let paused = self.engine.pause_state.is_paused(user_id);
        self.reschedule(user_id, |schedule, now| {
            schedule.set_paused(paused, now, &self.engine.config)
        });
    }

    /// Records that a cycle has begun, automatic or not.
    pub(super) fn cycle_began(self, user: &User<B::Store, H>, settings: &Settings) {
        let reach = Reach {
            pushes: settings.direction.pushes(),
            pulls: settings.direction.pulls()
                && settings.scope == self.engine.config.defaults.scope,
            full: settings.force_full_sync,
        };
        self.reschedule(&user.id, |schedule, now| schedule.began(now, reach));
    }

    /// Records that a cycle has ended.
    pub(super) fn cycle_ended(self, user: &User<B::Store, H>, result: &Result<SyncResult>) {
        let (outcome, left, roll) = (
            CycleOutcome::of(result),
            self.work_left(user),
            self.engine.roll(),
        );
        self.reschedule(&user.id, |schedule, now| {
            schedule.ended(now, outcome, left, &self.engine.config, roll)
        });
    }

    /// Reacts to commits of another tab.
    pub(super) fn other_tab_wrote(self, user: &User<B::Store, H>, before: Progress) {
        let (after, roll) = (Progress::of(user), self.engine.roll());
        self.reschedule(&user.id, |schedule, now| {
            if after.last_success > before.last_success {
                schedule.synced_elsewhere(now, roll);
            }
            // Only additions count. Two tabs that both lead would otherwise keep giving each other
            // a reason for a cycle, with an operation that stays in the outbox.
            if after.pending > before.pending {
                schedule.wrote(now, &self.engine.config);
            } else if after.pending == 0 {
                schedule.nothing_waits();
            }
        });
    }

    /// Runs due cycles until the instance is closed. Cycles report their errors in the status.
    pub async fn run(self) {
        let mut running: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
        loop {
            if self.engine.closed.get() && running.is_empty() {
                return;
            }
            for user in self.engine.tabs().doubtful() {
                running.push(self.engine.tabs().probe(user).boxed_local());
            }
            for (user_id, options) in self.take_due() {
                running.push(self.run_one(user_id, options).boxed_local());
            }
            self.show_times();
            self.update_hints();
            let sleep = async {
                match self.idle_for() {
                    Some(ms) => self.engine.host.sleep(ms).await,
                    None => pending().await,
                }
            };
            let woken = self.engine.schedules.woken.notified();
            let (mut sleep, mut woken) = (pin!(sleep), pin!(woken));
            poll_fn(|context| {
                let before = running.len();
                running.retain_mut(|cycle| cycle.poll_unpin(context).is_pending());
                let continues = running.len() < before
                    || woken.as_mut().poll_unpin(context).is_ready()
                    || sleep.as_mut().poll_unpin(context).is_ready();
                if continues {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Opens the stream of hints only if this tab would act on them.
    fn update_hints(self) {
        let current = self.engine.current_user();
        let runs = current.is_some_and(|user_id| {
            self.engine
                .schedules
                .get(&user_id, Schedule::runs)
                .unwrap_or(false)
        });
        let active = runs && self.is_active() && self.engine.network().is_online();
        self.engine.hint_state.set_active(active);
    }

    fn take_due(self) -> Vec<(String, Options)> {
        if self.is_active() && self.can_run() {
            self.engine
                .schedules
                .take_due(self.engine.moment(), &self.engine.config)
        } else {
            Vec::new()
        }
    }

    async fn run_one(self, user_id: String, mut options: Options) {
        options.automatic = true;
        let result = self
            .engine
            .synchronize(&user_id, options, None, Default::default())
            .await;
        let user = self.engine.opened(&user_id);
        let left = user
            .as_ref()
            .map(|user| self.work_left(user))
            .unwrap_or_default();
        let roll = self.engine.roll();
        self.reschedule(&user_id, |schedule, now| {
            schedule.released(
                now,
                CycleOutcome::of(&result),
                left,
                &self.engine.config,
                roll,
            )
        });
        if let Err(error) = &result {
            self.show_failure(&user_id, error);
        }
        // An instance that cannot compact still works; the next cycle tries again.
        let _ = self.engine.tidy(&user_id).await;
    }

    /// Shows the error that prevented a cycle from beginning. A cycle that has begun shows its end
    /// itself.
    fn show_failure(self, user_id: &str, error: &Error) {
        let Ok(hub) = self.engine.status_hub(user_id) else {
            return;
        };
        let at = crate::util::time::format(self.engine.host.now_ms());
        hub.update(|status| {
            let is_shown = status.status == SyncState::Failed
                && status.errors.iter().any(|shown| shown.code == error.code());
            if !is_shown && status.status != SyncState::Syncing && error.code() != Code::Closed {
                status.status = SyncState::Failed;
                status.errors = vec![error.to_json(at.clone())];
                status.reckon_health();
            }
        });
    }

    /// Returns how long the loop can sleep, in milliseconds; `None` if only a signal gives it work.
    fn idle_for(self) -> Option<u64> {
        let planned = self.planned_in();
        planned
            .into_iter()
            .chain(self.engine.tabs().doubt_in())
            .min()
    }

    fn planned_in(self) -> Option<u64> {
        if !self.is_active() {
            return None;
        }
        let first = self.engine.schedules.first_due_in(self.engine.moment())?;
        // Some browsers never report that the network is back, so it is checked from time to time.
        Some(if self.can_run() {
            first.clamp(1, STEP_MS)
        } else {
            STEP_MS
        })
    }

    /// Shows when the next cycles begin: this tab's plan if it leads, else the leader's
    /// announcement.
    pub(super) fn show_times(self) {
        let (now, active, leads) = (self.engine.moment(), self.is_active(), self.leads());
        let shown = |at: Option<u64>| at.filter(|_| active).map(crate::util::time::format);
        let times = |schedule: &Schedule| {
            (
                shown(schedule.next_at(now)),
                shown(schedule.next_retry_at(now)),
            )
        };
        for user in self.engine.open_users.all() {
            let plan = if leads {
                self.engine.schedules.get(&user.id, times)
            } else {
                user.tab.leader_plan()
            }
            .unwrap_or_default();
            user.hub
                .update(|status| (status.next_sync_at, status.next_retry_at) = plan.clone());
        }
    }

    fn is_active(self) -> bool {
        self.engine.schedules.are_active() && !self.engine.closed.get()
    }

    /// Returns true if a cycle may use the network: it is available, or may be, or the config says
    /// not to check.
    fn can_run(self) -> bool {
        self.engine.config.defaults.force == Some(true) || self.engine.network().may_be_tried()
    }

    /// Changes a user's schedule, if there is one, and wakes the loop.
    fn reschedule(self, user_id: &str, change: impl FnOnce(&mut Schedule, Moment)) {
        let now = self.engine.moment();
        let known = self
            .engine
            .schedules
            .with_known(user_id, |schedule| change(schedule, now));
        if known.is_some() {
            self.engine.schedules.wake();
        }
    }

    fn work_left(self, user: &User<B::Store, H>) -> Left {
        let now = self.engine.host.now_ms();
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
}
