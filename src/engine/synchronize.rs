//! Starting cycles: the guards in their order, the request strategies, the lock over all tabs, the
//! timeout, pause and resume.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::engine::cycle::Cycle;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::cycle::options::Settings;
use crate::engine::cycle::resolvers::{Choice, Resolver};
use crate::engine::tabs::lock_name;
use crate::engine::{Backing, Engine, User};
use crate::model::config::{Direction, Options, RequestStrategy};
use crate::model::error::{Code, Error, Result};
use crate::model::status::{SkipReason, SyncResult, read};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;

/// A caller that waits for the result of a cycle that is running already.
pub type Joined = oneshot::Sender<Result<SyncResult>>;

/// How long a cycle waits for a word of the tab that has the lock before it takes it away, in
/// milliseconds: a tab that was frozen while it held the lock must not stop everybody.
const LOCK_PATIENCE_MS: u64 = 15_000;

/// How often a tab that syncs says so, in milliseconds.
const BEAT_MS: u64 = 1_000;

/// How often it looks, in milliseconds.
const LOCK_POLL_MS: u64 = 100;

impl<S: Store, H: Host> User<S, H> {
    /// Stops the cycle that is running.
    pub fn stop(&self, reason: Stop) {
        if let Some(cancel) = &*self.cycle.borrow() {
            cancel.stop(reason);
        }
    }

    fn is_cycling(&self) -> bool {
        self.cycle.borrow().is_some()
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Runs a cycle for a user, or says why not.
    ///
    /// `cancel` stops it; `custom` is the app's own resolver for this call.
    ///
    /// # Errors
    /// What ended the cycle early; what it did before stays done, and `last_result` tells it.
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
        if let Some(reason) = self.refusal(&user, &settings) {
            return Ok(skipped(&user, reason));
        }
        // What holds the turn may be no cycle, but work that takes a moment: then this call waits.
        let turn = match (user.turn.try_lock(), self.config.strategy) {
            (Some(turn), _) => turn,
            (None, RequestStrategy::SkipConcurrent) if user.is_cycling() => {
                return Ok(skipped(&user, SkipReason::InProgress));
            }
            (None, RequestStrategy::JoinInFlight) if user.is_cycling() => {
                return join(&user).await.unwrap_or_else(|_| Err(left_alone()));
            }
            (None, _) => match cancel.run(async { Ok(user.turn.lock().await) }).await {
                Ok(turn) => turn,
                Err(_) if was_stopped(&cancel) => return Ok(cancelled(&user)),
                Err(error) => return Err(error.for_user(user_id)),
            },
        };
        self.check_open()?;
        if !self.is_open(&user) {
            // The user has signed out, or was cleared, while this call waited.
            return Ok(cancelled(&user));
        }
        // What was true before this call had to wait may not be any more.
        if let Some(reason) = self.refusal(&user, &settings) {
            return Ok(skipped(&user, reason));
        }
        let result = self.run(&user, &options, &settings, custom, &cancel).await;
        drop(turn);
        result
    }

    /// Runs a cycle whose turn it is, and tells everybody who has joined it.
    pub(super) async fn run(
        &self,
        user: &User<B::Store, H>,
        options: &Options,
        settings: &Settings,
        custom: Option<Rc<dyn Resolver>>,
        cancel: &Rc<Cancel>,
    ) -> Result<SyncResult> {
        *user.cycle.borrow_mut() = Some(Rc::clone(cancel));
        self.auto_began(user, settings);
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
        *user.cycle.borrow_mut() = None;
        self.auto_ended(user, &result);
        self.count_cycle(&result);
        for joined in user.joined.take() {
            // Whoever does not wait any more needs no answer.
            let _ = joined.send(result.clone());
        }
        self.settle(user, NoteReason::Rests);
        self.show_pause(&user.id)?;
        result.map_err(|error| error.for_user(&user.id))
    }

    /// Pushes what waits and does nothing else, after the cycle that is running.
    ///
    /// # Errors
    /// As [`Self::synchronize`]; [`Code::Timeout`] also where its turn does not come in time.
    pub(super) async fn flush(&self, user: &User<B::Store, H>, timeout: u64) -> Result<SyncResult> {
        let options = Options {
            direction: Some(Direction::PushOnly),
            timeout: Some(timeout),
            ..Options::default()
        };
        let options = options.or(&self.config.defaults);
        let mut settings = Settings::of(&options, &self.config);
        if let Some(reason) = self.reason_to_skip(user, &settings) {
            return Ok(skipped(user, reason));
        }
        let cancel = Rc::new(Cancel::default());
        let began = self.host.elapsed_ms();
        let turn = self
            .within(
                user,
                timeout,
                &cancel,
                cancel.run(async { Ok(user.turn.lock().await) }),
            )
            .await?;
        self.check_open()?;
        if let Some(reason) = self.reason_to_skip(user, &settings) {
            return Ok(skipped(user, reason));
        }
        settings.timeout = timeout.saturating_sub(self.host.elapsed_ms().saturating_sub(began));
        let result = self.run(user, &options, &settings, None, &cancel).await;
        drop(turn);
        result
    }

    fn refusal(&self, user: &User<B::Store, H>, settings: &Settings) -> Option<SkipReason> {
        if user.leaving.get() {
            Some(SkipReason::Paused)
        } else {
            self.reason_to_skip(user, settings)
        }
    }

    /// Why no cycle can run for a user now.
    pub(super) fn reason_to_skip(
        &self,
        user: &User<B::Store, H>,
        settings: &Settings,
    ) -> Option<SkipReason> {
        if self.config.excluded.contains(&user.id) {
            Some(SkipReason::ExcludedUser)
        } else if self.pauses.holds(&user.id) {
            Some(SkipReason::Paused)
        } else if !settings.force && !self.host.is_online() {
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
        let (lock, met) = self.lock(user, cancel).await?;
        let Some(lock) = lock else {
            return Ok(skipped(user, SkipReason::InProgress));
        };
        if let Some(met) = met.filter(|_| self.config.strategy == RequestStrategy::JoinInFlight) {
            user.db.catch_up().await?;
            let facts = user.db.read(|replica| replica.facts().clone());
            // The cycle that was met in another tab has come to its end, and this is what it wrote
            // down.
            if let Some(result) = facts.last_result.filter(|_| facts.last_sync != met) {
                return read::result(&result, facts.error.is_some());
            }
        }
        let stopped = Rc::clone(cancel);
        self.host
            .on_stolen(&lock, Rc::new(move || stopped.stop(Stop::Overtaken)));
        let mut resolvers = self.resolvers.clone();
        resolvers.call = match (options.resolve_conflicts, custom, options.conflict_resolver) {
            (Some(false), _, _) => Some(Choice::Builtin(
                crate::model::config::resolver::Builtin::Ask,
            )),
            (_, Some(custom), _) => Some(Choice::Custom(custom)),
            (_, None, Some(builtin)) => Some(Choice::Builtin(builtin)),
            (_, None, None) => None,
        };
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
            batch_size: &user.batch_size,
            requests: &self.requests,
            device_id: &device_id,
            tally: RefCell::new(SyncResult {
                user_id: user.id.clone(),
                ..SyncResult::default()
            }),
            clock_offset: Cell::new(None),
            told_now: Cell::new(None),
            warnings: RefCell::new(Vec::new()),
            side_errors: RefCell::new(user.news.take()),
            timed_out_resolvers: RefCell::default(),
        };
        user.seat.begin(self.host.now_ms());
        let result = cycle.run().await;
        drop(lock);
        self.follow_after(user);
        result
    }

    /// Runs work, and stops the cycle when its time is up. The work itself is never dropped: it
    /// ends by itself once the commit in flight is through. Meanwhile other tabs hear that it goes
    /// on.
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
            // Past its time, it only has to end.
            let sleep = if left == 0 {
                BEAT_MS
            } else {
                left.min(BEAT_MS)
            };
            match select(work, pin!(self.host.sleep(sleep))).await {
                Either::Left((result, _)) => return result,
                Either::Right(((), goes_on)) => work = goes_on,
            }
            if self.host.elapsed_ms().saturating_sub(began) >= timeout {
                cancel.stop(Stop::Timeout);
            }
            user.beat(&*self.host);
        }
    }

    /// Takes the lock over all tabs, from another one that has been silent for too long if need be;
    /// none where it is not waited for. Answers too when the last cycle had begun, where another
    /// tab had the lock.
    async fn lock(
        &self,
        user: &User<B::Store, H>,
        cancel: &Cancel,
    ) -> Result<(Option<H::Guard>, Option<Option<u64>>)> {
        let name = lock_name(user);
        let mut met = None;
        loop {
            let now = self.host.elapsed_ms();
            let silent = user.seat.silent_for(now);
            if let Some(guard) = self
                .host
                .lock(
                    &name,
                    silent.is_some_and(|silent| silent >= LOCK_PATIENCE_MS),
                )
                .await?
            {
                user.seat.unblocked();
                return Ok((Some(guard), met));
            }
            user.seat.blocked(now);
            if self.config.strategy == RequestStrategy::SkipConcurrent {
                return Ok((None, None));
            }
            if met.is_none() {
                user.db.catch_up().await?;
                met = Some(user.db.read(|replica| replica.facts().last_sync));
            }
            let poll = async {
                self.host.sleep(LOCK_POLL_MS).await;
                Ok(())
            };
            cancel.run(poll).await?;
        }
    }

    /// Pauses one user's sync, or everybody's, those included who sign in later: the cycle in
    /// flight stops at its next safe point, and none begins until [`Self::resume`].
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub async fn pause(&self, user_id: Option<&str>) -> Result<()> {
        let concerned = self.set_pause(user_id, true)?;
        let running = concerned
            .iter()
            .filter_map(|id| self.opened(id))
            .filter(|user| user.is_cycling());
        let ends: Vec<_> = running
            .map(|user| {
                user.stop(Stop::Pause);
                join(&user)
            })
            .collect();
        for end in ends {
            // How it ended is for whoever began it.
            let _ = end.await;
        }
        Ok(())
    }

    /// Lets sync run again: everybody's, or that of one user while the others stay paused.
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub async fn resume(&self, user_id: Option<&str>) -> Result<()> {
        for user in self
            .set_pause(user_id, false)?
            .iter()
            .filter_map(|id| self.opened(id))
        {
            user.refresh_status(&self.host, self.backing.is_durable());
        }
        Ok(())
    }

    /// Notes a pause or its end, and shows it; answers whom it is about.
    fn set_pause(&self, user_id: Option<&str>, paused: bool) -> Result<Vec<String>> {
        self.check_open()?;
        let concerned = match user_id {
            Some(user_id) => {
                self.status_hub(user_id)?;
                vec![user_id.to_owned()]
            }
            None => self.hubs.borrow().keys().map(str::to_owned).collect(),
        };
        self.pauses.set(user_id, paused);
        for user_id in &concerned {
            self.show_pause(user_id)?;
            self.auto_paused(user_id);
            self.say_pause(user_id, paused);
        }
        Ok(concerned)
    }

    /// Whether this is the open database of its user still.
    pub(super) fn is_open(&self, user: &User<B::Store, H>) -> bool {
        self.opened(&user.id)
            .is_some_and(|open| std::ptr::eq(&raw const *open, user))
    }
}

/// The end of the cycle that is running.
fn join<S, H>(user: &User<S, H>) -> oneshot::Receiver<Result<SyncResult>> {
    let (sender, receiver) = oneshot::channel();
    user.joined.borrow_mut().push(sender);
    receiver
}

fn left_alone() -> Error {
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
