//! Starts cycles: checks whether one may run, applies the request strategy, takes the lock across
//! tabs, and enforces the timeout.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::cycle::options::Settings;
use crate::engine::cycle::resolvers::{Choice, Resolver, Resolvers};
use crate::engine::cycle::{Cycle, PhaseNotes, report};
use crate::engine::tabs::lock_name;
use crate::engine::{Backing, Engine, User};
use crate::model::config::resolver::Builtin;
use crate::model::config::{Direction, Options, RequestStrategy};
use crate::model::error::{Code, Error, Result};
use crate::model::status::{SkipReason, SyncResult, read};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;

/// How long a cycle waits for a silent tab that has the lock before it steals it, in milliseconds:
/// a tab that was frozen while it held the lock must not block the others.
const LOCK_PATIENCE_MS: u64 = 15_000;

/// How often a tab that syncs sends a heartbeat, in milliseconds.
const HEARTBEAT_MS: u64 = 1_000;

/// How often the lock is requested, in milliseconds.
const LOCK_POLL_MS: u64 = 100;

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Runs a cycle for a user, or returns why it was skipped.
    ///
    /// `cancel` stops it; `custom` is the app's own resolver for this call.
    ///
    /// # Errors
    /// Fails with the error that ended the cycle early. Earlier work of the cycle stays committed,
    /// and `last_result` has it.
    pub async fn synchronize(
        &self,
        user_id: &str,
        options: Options,
        custom: Option<Rc<dyn Resolver>>,
        cancel: Rc<Cancel>,
    ) -> Result<SyncResult> {
        self.check_open()?;
        let user = self.user(user_id).await?;
        let options = options.or(&self.config.defaults);
        let settings = Settings::of(&options, &self.config);
        if let Some(scope) = &settings.scope {
            for entity in scope.entities.iter().flatten() {
                self.check_entity(entity)?;
            }
        }
        if let Some(reason) = self.refusal(&user, &settings, &cancel).await {
            return Ok(skipped(&user, reason));
        }
        // The lock may be held by short work other than a cycle: then this call waits.
        let turn = match (user.cycle.turn.try_lock(), self.config.strategy) {
            (Some(turn), _) => turn,
            (None, RequestStrategy::SkipConcurrent) if user.cycle.is_running() => {
                return Ok(skipped(&user, SkipReason::InProgress));
            }
            (None, RequestStrategy::JoinInFlight) if user.cycle.is_running() => {
                return user
                    .cycle
                    .join()
                    .await
                    .unwrap_or_else(|_| Err(joined_was_dropped()));
            }
            (None, _) => match cancel.run(async { Ok(user.cycle.turn.lock().await) }).await {
                Ok(turn) => turn,
                Err(_) if was_stopped(&cancel) => return Ok(cancelled(&user)),
                Err(error) => return Err(error.for_user(user_id)),
            },
        };
        self.check_open()?;
        if !self.is_open(&user) {
            // The user has signed out, or was wiped, during the wait.
            return Ok(cancelled(&user));
        }
        // This may have changed during the wait.
        if let Some(reason) = self.refusal(&user, &settings, &cancel).await {
            return Ok(skipped(&user, reason));
        }
        let result = self.run(&user, &options, &settings, custom, &cancel).await;
        drop(turn);
        result
    }

    /// Runs a cycle. The caller holds the user's lock; callers that have joined get the same
    /// result.
    pub(super) async fn run(
        &self,
        user: &User<B::Store, H>,
        options: &Options,
        settings: &Settings,
        custom: Option<Rc<dyn Resolver>>,
        cancel: &Rc<Cancel>,
    ) -> Result<SyncResult> {
        if !options.automatic {
            user.db.update(|replica| replica.outbox_mut().wake());
        }
        user.cycle.begin(cancel);
        self.auto_sync().cycle_began(user, settings);
        let result = match self
            .within(
                user,
                settings.timeout,
                cancel,
                self.in_turn(user, options, settings, custom, cancel),
            )
            .await
        {
            // It was stopped before it had begun.
            Err(_) if was_stopped(cancel) => Ok(cancelled(user)),
            result => result,
        };
        user.cycle.end();
        self.auto_sync().cycle_ended(user, &result);
        self.counters.count_cycle(&result);
        user.cycle.answer(&result);
        self.after_commit(user, NoteReason::AtRest);
        self.pauses().show(&user.id)?;
        result.map_err(|error| error.for_user(&user.id))
    }

    /// Pushes the outbox and does nothing else, after the running cycle.
    ///
    /// # Errors
    /// As for [`Self::synchronize`]; also [`Code::Timeout`] if the running cycle does not end in
    /// time.
    pub(super) async fn flush(&self, user: &User<B::Store, H>, timeout: u64) -> Result<SyncResult> {
        let options = Options {
            direction: Some(Direction::PushOnly),
            timeout: Some(timeout),
            ..Options::default()
        };
        let options = options.or(&self.config.defaults);
        let mut settings = Settings::of(&options, &self.config);
        let cancel = Rc::new(Cancel::default());
        if let Some(reason) = self
            .network()
            .reason_to_skip(user, &settings, &cancel)
            .await
        {
            return Ok(skipped(user, reason));
        }
        let began = self.host.elapsed_ms();
        let turn = self
            .within(
                user,
                timeout,
                &cancel,
                cancel.run(async { Ok(user.cycle.turn.lock().await) }),
            )
            .await?;
        self.check_open()?;
        if let Some(reason) = self
            .network()
            .reason_to_skip(user, &settings, &cancel)
            .await
        {
            return Ok(skipped(user, reason));
        }
        settings.timeout = timeout.saturating_sub(self.host.elapsed_ms().saturating_sub(began));
        let result = self.run(user, &options, &settings, None, &cancel).await;
        drop(turn);
        result
    }

    async fn refusal(
        &self,
        user: &User<B::Store, H>,
        settings: &Settings,
        cancel: &Cancel,
    ) -> Option<SkipReason> {
        if user.cycle.leaving.get() {
            Some(SkipReason::Paused)
        } else {
            self.network().reason_to_skip(user, settings, cancel).await
        }
    }

    /// Returns the reason why no cycle can run for a user now, if so, as far as this device knows.
    pub(super) fn standing_reason(
        &self,
        user: &User<B::Store, H>,
        settings: &Settings,
    ) -> Option<SkipReason> {
        if self.config.excluded.contains(&user.id) {
            Some(SkipReason::ExcludedUser)
        } else if self.pause_state.is_paused(&user.id) {
            Some(SkipReason::Paused)
        } else if !settings.force && !self.network().is_online() {
            Some(SkipReason::Offline)
        } else if settings.direction == Direction::PushOnly
            && user.db.read(|replica| replica.outbox().is_empty())
        {
            Some(SkipReason::NothingToPush)
        } else {
            None
        }
    }

    async fn in_turn(
        &self,
        user: &User<B::Store, H>,
        options: &Options,
        settings: &Settings,
        custom: Option<Rc<dyn Resolver>>,
        cancel: &Rc<Cancel>,
    ) -> Result<SyncResult> {
        let (lock, last_sync_before) = self.lock(user, cancel).await?;
        let Some(lock) = lock else {
            return Ok(skipped(user, SkipReason::InProgress));
        };
        if let Some(last_sync_before) =
            last_sync_before.filter(|_| self.config.strategy == RequestStrategy::JoinInFlight)
        {
            user.db.catch_up().await?;
            let facts = user.db.read(|replica| replica.facts().clone());
            // The other tab's cycle has ended and written its result.
            if let Some(result) = facts
                .last_result
                .filter(|_| facts.last_sync != last_sync_before)
            {
                return read::result(&result, facts.error.is_some());
            }
        }
        let stopped = Rc::clone(cancel);
        self.host
            .on_stolen(&lock, Rc::new(move || stopped.stop(Stop::Overtaken)));
        let resolvers = self.resolvers_for(options, custom);
        let device_id = self.backing.device_id(&user.id);
        let cycle = Cycle {
            db: &user.db,
            remote: &self.remote,
            host: &*self.host,
            config: &self.config,
            settings,
            resolvers: &resolvers,
            cancel,
            hub: &user.hub,
            events: &self.events,
            activity: &self.activity,
            batch_size: &user.cycle.batch_size,
            page_size: &user.cycle.page_size,
            notes: PhaseNotes::default(),
            requests: &self.counters.requests,
            device_id: &device_id,
            tally: RefCell::new(SyncResult {
                user_id: user.id.clone(),
                ..SyncResult::default()
            }),
            clock_offset: Cell::new(None),
            reported_now: Cell::new(None),
            learned_server: RefCell::default(),
            warnings: RefCell::new(Vec::new()),
            side_errors: RefCell::new(user.pending_notices.take()),
            timed_out_resolvers: RefCell::default(),
        };
        self.tabs().await_end(user).await;
        let recorded = user.db.peek(|replica| replica.facts().last_sync);
        let began = user.tab.begin_cycle(self.host.now_ms(), recorded);
        let span = report::begin_cycle(&cycle, options.automatic);
        let result = cycle.run(began).await;
        report::end_cycle(span, &result);
        drop(lock);
        self.tabs().end_cycle(user);
        result
    }

    /// Returns the resolvers of one call: those of its options, over those of the config.
    fn resolvers_for(&self, options: &Options, custom: Option<Rc<dyn Resolver>>) -> Resolvers {
        let call = match (options.resolve_conflicts, custom, options.conflict_resolver) {
            (Some(false), _, _) => Some(Choice::Builtin(Builtin::Ask)),
            (_, Some(custom), _) => Some(Choice::Custom(custom)),
            (_, None, Some(builtin)) => Some(Choice::Builtin(builtin)),
            (_, None, None) => None,
        };
        let mut resolvers = self.resolvers.borrow().clone();
        resolvers.call = call;
        resolvers
    }

    /// Runs a cycle's work, and stops the cycle after its timeout. The work itself is never
    /// dropped: it ends by itself after the commit in flight. Sends heartbeats to the other tabs
    /// until then.
    async fn within<T>(
        &self,
        user: &User<B::Store, H>,
        timeout: u64,
        cancel: &Cancel,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        let began = self.host.elapsed_ms();
        loop {
            let left = timeout.saturating_sub(self.host.elapsed_ms().saturating_sub(began));
            // After the timeout, the work only has to end.
            let sleep = if left == 0 {
                HEARTBEAT_MS
            } else {
                left.min(HEARTBEAT_MS)
            };
            match select(work, pin!(self.host.sleep(sleep))).await {
                Either::Left((result, _)) => return result,
                Either::Right(((), unfinished)) => work = unfinished,
            }
            if self.host.elapsed_ms().saturating_sub(began) >= timeout {
                cancel.stop(Stop::Timeout);
            }
            user.heartbeat(&*self.host);
        }
    }

    /// Takes the lock across tabs, if necessary from a tab that has been silent for too long;
    /// `None` if the strategy does not wait for it. If another tab held the lock, also
    /// returns when the last cycle before that tab's began.
    async fn lock(
        &self,
        user: &User<B::Store, H>,
        cancel: &Cancel,
    ) -> Result<(Option<H::Guard>, Option<Option<u64>>)> {
        let name = lock_name(user);
        let mut last_sync_before = None;
        loop {
            let now = self.host.elapsed_ms();
            let silent = user.tab.silent_for(now);
            if let Some(guard) = self
                .host
                .lock(
                    &name,
                    silent.is_some_and(|silent| silent >= LOCK_PATIENCE_MS),
                )
                .await?
            {
                user.tab.lock_alive();
                return Ok((Some(guard), last_sync_before));
            }
            user.tab.lock_busy(now);
            if self.config.strategy == RequestStrategy::SkipConcurrent {
                return Ok((None, None));
            }
            if last_sync_before.is_none() {
                user.db.catch_up().await?;
                last_sync_before = Some(user.db.read(|replica| replica.facts().last_sync));
            }
            let poll = async {
                self.host.sleep(LOCK_POLL_MS).await;
                Ok(())
            };
            cancel.run(poll).await?;
        }
    }
}

fn joined_was_dropped() -> Error {
    Error::new(
        Code::Cancelled,
        "The cycle that this call had joined was stopped.",
    )
}

fn skipped<S: Store, H: Host>(user: &User<S, H>, reason: SkipReason) -> SyncResult {
    SyncResult {
        user_id: user.id.clone(),
        was_skipped: true,
        skip_reason: Some(reason),
        pending_operations: user.db.read(|replica| replica.outbox().len() as u64),
        ..SyncResult::default()
    }
}

fn cancelled<S: Store, H: Host>(user: &User<S, H>) -> SyncResult {
    SyncResult {
        user_id: user.id.clone(),
        was_cancelled: true,
        pending_operations: user.db.read(|replica| replica.outbox().len() as u64),
        ..SyncResult::default()
    }
}

fn was_stopped(cancel: &Cancel) -> bool {
    matches!(
        cancel.reason(),
        Some(Stop::Abort | Stop::Pause | Stop::Overtaken)
    )
}
