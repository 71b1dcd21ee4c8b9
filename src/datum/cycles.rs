//! Starting cycles: the guards in their order, the request strategies, the lock over all tabs, the
//! timeout, pause and resume.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::config::{Direction, Options, RequestStrategy};
use crate::datum::{Backing, Engine, User};
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::remote::Remote;
use crate::status::{SkipReason, State, SyncResult};
use crate::store::Store;
use crate::sync::resolve::{Choice, Resolver};
use crate::sync::{Cancel, Cycle, Settings, Stop};

/// A caller that waits for the result of a cycle that is running already.
pub type Joined = oneshot::Sender<Result<SyncResult>>;

/// How long a cycle waits for one in another tab before it goes on beside it, in milliseconds. The
/// lock is an economy: a tab that was frozen while it held the lock must not stop everybody.
const LOCK_PATIENCE_MS: u64 = 15_000;
/// How often it looks, in milliseconds.
const LOCK_POLL_MS: u64 = 100;

impl<S: Store, H: Host> User<S, H> {
    /// Stops the cycle that is running.
    pub fn stop(&self, reason: Stop) {
        if let Some(cancel) = &*self.cycle.borrow() {
            cancel.stop(reason);
        }
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
        if let Some(reason) = self.reason_to_skip(&user, &settings) {
            return Ok(skipped(&user, reason));
        }
        let turn = match self.config.strategy {
            RequestStrategy::Sequential => match cancel.run(async { Ok(user.turn.lock().await) }).await {
                Ok(turn) => turn,
                Err(_) if matches!(cancel.reason(), Some(Stop::Abort | Stop::Pause)) => {
                    return Ok(SyncResult { user_id: user_id.to_owned(), was_cancelled: true, ..SyncResult::default() });
                }
                Err(error) => return Err(error.for_user(user_id)),
            },
            RequestStrategy::SkipConcurrent => match user.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(skipped(&user, SkipReason::InProgress)),
            },
            RequestStrategy::JoinInFlight => match user.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return join(&user).await,
            },
        };
        self.check_open()?;
        // What was true before this call had to wait may not be any more.
        if let Some(reason) = self.reason_to_skip(&user, &settings) {
            return Ok(skipped(&user, reason));
        }
        *user.cycle.borrow_mut() = Some(Rc::clone(&cancel));
        let result = self.in_turn(&user, &options, &settings, custom, &cancel).await;
        *user.cycle.borrow_mut() = None;
        self.count_cycle(&result);
        for joined in user.joined.take() {
            // Whoever does not wait any more needs no answer.
            let _ = joined.send(result.clone());
        }
        drop(turn);
        user.refresh_status(&self.host, self.backing.is_durable());
        result.map_err(|error| error.for_user(user_id))
    }

    fn reason_to_skip(&self, user: &User<B::Store, H>, settings: &Settings) -> Option<SkipReason> {
        if self.config.excluded.contains(&user.id) {
            Some(SkipReason::ExcludedUser)
        } else if self.paused.get() || user.paused.get() {
            Some(SkipReason::Paused)
        } else if !settings.force && !self.host.is_online() {
            Some(SkipReason::Offline)
        } else if settings.direction == Direction::PushOnly && user.db.with(|replica| replica.outbox().is_empty()) {
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
        let lock = self.lock(user, cancel).await?;
        if lock.is_none() && self.config.strategy == RequestStrategy::SkipConcurrent {
            return Ok(skipped(user, SkipReason::InProgress));
        }
        // Another tab may have appended while this one was not listening.
        user.db.catch_up().await?;
        let mut resolvers = self.resolvers.clone();
        resolvers.call = match (options.resolve_conflicts, custom, options.conflict_resolver) {
            (Some(false), _, _) => Some(Choice::Builtin(crate::conflict::Builtin::Ask)),
            (_, Some(custom), _) => Some(Choice::Custom(custom)),
            (_, None, Some(builtin)) => Some(Choice::Builtin(builtin)),
            (_, None, None) => None,
        };
        let device_id = self.backing.device_id();
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
            requests: &self.requests,
            device_id: &device_id,
            tally: RefCell::new(SyncResult { user_id: user.id.clone(), ..SyncResult::default() }),
            clock_offset: Cell::new(None),
            epoch: RefCell::new(None),
            told_now: Cell::new(None),
            warnings: RefCell::new(Vec::new()),
            asides: RefCell::new(Vec::new()),
        };
        let result = self.within(settings.timeout, cancel, cycle.run()).await;
        drop(lock);
        result
    }

    /// Runs work, and stops the cycle when its time is up. The work itself is never dropped: it
    /// ends by itself once the commit in flight is through.
    async fn within<T>(&self, timeout: u64, cancel: &Cancel, work: impl Future<Output = T>) -> T {
        let work = pin!(work);
        match select(work, pin!(self.host.sleep(timeout))).await {
            Either::Left((result, _)) => result,
            Either::Right(((), work)) => {
                cancel.stop(Stop::Timeout);
                work.await
            }
        }
    }

    /// Takes the lock over all tabs; none where another tab holds on to it for too long, or where
    /// it is not waited for.
    async fn lock(&self, user: &User<B::Store, H>, cancel: &Cancel) -> Result<Option<H::Guard>> {
        let name = format!("datum-sync:{}", user.db.name());
        let began = self.host.elapsed_ms();
        loop {
            if let Some(guard) = self.host.try_lock(&name).await? {
                return Ok(Some(guard));
            }
            if self.config.strategy == RequestStrategy::SkipConcurrent || self.host.elapsed_ms().saturating_sub(began) >= LOCK_PATIENCE_MS {
                return Ok(None);
            }
            let poll = async {
                self.host.sleep(LOCK_POLL_MS).await;
                Ok(())
            };
            cancel.run(poll).await?;
        }
    }

    /// Pauses one user's sync, or everybody's: the cycle in flight stops at its next safe point,
    /// and none begins until [`Self::resume`].
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub async fn pause(&self, user_id: Option<&str>) -> Result<()> {
        let users = self.concerned(user_id).await?;
        if user_id.is_none() {
            self.paused.set(true);
        }
        for user in users {
            user.paused.set(user.paused.get() || user_id.is_some());
            user.stop(Stop::Pause);
            let turn = user.turn.lock().await;
            user.hub.update(|status| status.status = State::Paused);
            drop(turn);
        }
        Ok(())
    }

    /// Lets sync run again.
    ///
    /// # Errors
    /// [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id.
    pub async fn resume(&self, user_id: Option<&str>) -> Result<()> {
        let users = self.concerned(user_id).await?;
        if user_id.is_none() {
            self.paused.set(false);
        }
        for user in users {
            user.paused.set(false);
            let ran = user.db.with(|replica| replica.facts().last_state);
            user.hub.update(|status| {
                if status.status == State::Paused {
                    status.status = ran;
                }
            });
            user.refresh_status(&self.host, self.backing.is_durable());
        }
        Ok(())
    }

    async fn concerned(&self, user_id: Option<&str>) -> Result<Vec<Rc<User<B::Store, H>>>> {
        self.check_open()?;
        match user_id {
            Some(user_id) => Ok(vec![self.user(user_id).await?]),
            None => Ok(self.users.borrow().values().map(Rc::clone).collect()),
        }
    }
}

async fn join<S: Store, H: Host>(user: &User<S, H>) -> Result<SyncResult> {
    let (sender, receiver) = oneshot::channel();
    user.joined.borrow_mut().push(sender);
    receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Cancelled, "The cycle that this call had joined was stopped.")))
}

fn skipped<S: Store, H: Host>(user: &User<S, H>, reason: SkipReason) -> SyncResult {
    SyncResult {
        user_id: user.id.clone(),
        was_skipped: true,
        skip_reason: Some(reason),
        pending_operations: user.db.with(|replica| replica.outbox().len() as u64),
        ..SyncResult::default()
    }
}
