//! One cycle: push and pull in the order of the direction, conflicts decided as they come, the
//! digests compared, the metadata written. Generic over the three ports, so that the loop that the
//! tests run is the loop that ships.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::engine::cycle::batch_size::BatchSize;
use crate::engine::cycle::options::Settings;
use crate::engine::cycle::resolve::Resolvers;
use crate::engine::database::Database;
use crate::engine::events::{EventHub, Topic};
use crate::engine::status_feed::StatusHub;
use crate::log::commit::Event;
use crate::log::facts::Facts;
use crate::model::config::storage::Durability;
use crate::model::config::{Config, Direction};
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::status::{Phase, RemoteHealth, State, SyncResult};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::json::write::put;
use crate::util::local_sync::Notify;

pub mod batch;
pub mod batch_size;
pub mod device_report;
pub mod options;
pub mod pull;
pub mod push;
pub mod resolve;
pub mod retry;

/// Why a cycle is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took too long.
    Timeout,
    /// The caller's signal.
    Abort,
    /// Sync was paused.
    Pause,
    /// The instance was closed.
    Close,
    /// Another tab took the lock: this one had been silent for too long.
    Overtaken,
}

/// Stops a cycle: requests at once, commits after they have completed.
#[derive(Debug, Default)]
pub struct Cancel {
    reason: Cell<Option<Stop>>,
    notify: Notify,
}

impl Cancel {
    /// Stops the cycle; the first reason counts.
    pub fn stop(&self, reason: Stop) {
        if self.reason.get().is_none() {
            self.reason.set(Some(reason));
        }
        self.notify.notify_waiters();
    }

    /// Why it is stopped.
    #[must_use]
    pub fn reason(&self) -> Option<Stop> {
        self.reason.get()
    }

    /// Answers an error once the cycle is stopped.
    ///
    /// # Errors
    /// [`Code::Timeout`], [`Code::Closed`] or [`Code::Cancelled`].
    pub fn check(&self) -> Result<()> {
        match self.reason.get() {
            None => Ok(()),
            Some(Stop::Timeout) => Err(Error::new(
                Code::Timeout,
                "The sync took longer than its timeout; what was done so far is kept.",
            )),
            Some(Stop::Close) => Err(Error::new(
                Code::Closed,
                "The instance was closed while it synced; what was done so far is kept.",
            )),
            Some(Stop::Abort | Stop::Pause) => Err(Error::new(
                Code::Cancelled,
                "The sync was stopped; what was done so far is kept.",
            )),
            Some(Stop::Overtaken) => Err(Error::new(
                Code::Cancelled,
                "Another tab has taken the sync over, since this one was asleep; what was done so far is kept.",
            )),
        }
    }

    /// Runs work that may be dropped at any time, until it ends or the cycle is stopped.
    ///
    /// # Errors
    /// As [`Self::check`], and the work's own.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut done = None;
        let work = async { done = Some(work.await) };
        self.race(pin!(work)).await?;
        done.unwrap_or_else(|| Err(stopped()))
    }

    // The waiting itself, once for all kinds of work.
    async fn race(&self, work: Pin<&mut dyn Future<Output = ()>>) -> Result<()> {
        let stopped = self.notify.notified();
        let stopped = pin!(stopped);
        self.check()?;
        match select(work, stopped).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => self.check(),
        }
    }
}

fn stopped() -> Error {
    Error::new(Code::Cancelled, "The sync was stopped.")
}

/// What the parts of one cycle share.
#[derive(Debug)]
pub struct Cycle<'a, S, R, H> {
    /// The user's database.
    pub db: &'a Database<S, H>,
    /// The backend.
    pub remote: &'a R,
    /// Clock, dice and timers.
    pub host: &'a H,
    /// The config.
    pub config: &'a Config,
    /// This cycle's options.
    pub settings: &'a Settings,
    /// Who decides conflicts.
    pub resolvers: &'a Resolvers,
    /// Stops it.
    pub cancel: &'a Cancel,
    /// Where it tells how it goes.
    pub hub: &'a StatusHub,
    /// Where it tells what happens.
    pub events: &'a EventHub,
    /// How much goes into one push.
    pub pace: &'a BatchSize,
    /// Counts requests.
    pub requests: &'a Cell<u64>,
    /// This device.
    pub device_id: &'a str,
    /// What it has done so far.
    pub tally: RefCell<SyncResult>,
    /// What it learnt of the remote's clock: offset in milliseconds.
    pub clock_offset: Cell<Option<i64>>,
    /// What the remote was told of this device in this cycle, and when.
    pub told_now: Cell<Option<(u64, u64)>>,
    /// Failures that did not end the cycle.
    pub warnings: RefCell<Vec<ErrorJson>>,
    /// Failures beside the work, such as a remote that keeps no metadata: shown, but the cycle did
    /// well.
    pub side_errors: RefCell<Vec<ErrorJson>>,
    /// Resolvers of the app's that have left a conflict without an answer.
    pub timed_out_resolvers: RefCell<Vec<*const ()>>,
}

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Runs the cycle to its end and tells how it went: in the status, in the log, and to the
    /// remote. Exactly one terminal status is published.
    ///
    /// # Errors
    /// What ended the cycle early. What it did before stays done.
    pub async fn run(&self) -> Result<SyncResult> {
        let started = self.host.elapsed_ms();
        let started_at = self.host.now_ms();
        self.hub.update(|status| {
            status.status = State::Syncing;
            status.progress = 0.0;
            status.phase = None;
            status.completed_operations = 0;
            status.failed_operations = 0;
            status.synced_count = 0;
            status.conflicts_resolved = 0;
            status.errors = Vec::new();
            status.last_started_at = Some(crate::util::time::format(started_at));
            status.reckon_health();
        });
        self.tell_started();
        // What other tabs have written is not looked up before: the last commit finds out whether
        // there was anything.
        let mut looks_again = true;
        loop {
            let mut ended = self.phases().await;
            let duration = || self.host.elapsed_ms().saturating_sub(started);
            if ended.is_ok() {
                ended = self.tell_remote(duration()).await;
            }
            if let Some(result) = self
                .conclude(
                    ended,
                    started_at,
                    duration(),
                    std::mem::take(&mut looks_again),
                )
                .await
            {
                return result;
            }
        }
    }

    async fn phases(&self) -> Result<()> {
        if self.settings.include_deletes
            && self
                .db
                .read(crate::state::replica::Replica::has_held_deletes)
        {
            self.db
                .record(Durability::Relaxed, &|_| vec![Event::ReleaseDeletes])
                .await?;
        }
        self.ask_again().await?;
        match self.settings.direction {
            Direction::PushThenPull => {
                let pushed = self.push(0.0, 0.5).await;
                if pushed
                    .as_ref()
                    .is_err_and(|error| !self.is_uploads_own(error))
                {
                    return pushed;
                }
                let pulled = self.pull(0.5, 1.0).await;
                if pulled.is_ok() {
                    self.pace.is_well();
                }
                pushed.and(pulled)?;
                // A conflict that the pull has met leaves a winner to push in this cycle.
                self.push(1.0, 1.0).await
            }
            Direction::PullThenPush => {
                self.pull(0.0, 0.7).await?;
                self.pace.is_well();
                self.push(0.7, 1.0).await
            }
            Direction::PushOnly => self.push(0.0, 1.0).await,
            Direction::PullOnly => self.pull(0.0, 1.0).await,
        }
    }

    /// Whether a failed push says nothing of a pull: what cannot be sent must not freeze what can
    /// be fetched.
    fn is_uploads_own(&self, error: &Error) -> bool {
        self.cancel.reason().is_none()
            && matches!(
                error.code(),
                Code::ServerError | Code::Timeout | Code::Protocol | Code::Rejected
            )
    }

    /// Writes down how it ended, in one commit. None where the log was not as this tab knew it, so
    /// that there may be more to do, and `looks_again` allows for that: then nothing was written,
    /// and what the log has is known now.
    async fn conclude(
        &self,
        ended: Result<()>,
        started_at: u64,
        duration: u64,
        looks_again: bool,
    ) -> Option<Result<SyncResult>> {
        let now = self.host.now_ms();
        let cancelled = matches!(
            self.cancel.reason(),
            Some(Stop::Abort | Stop::Pause | Stop::Overtaken)
        ) && ended.is_err();
        let mut result = self.tally.borrow().clone();
        result.duration = duration;
        result.was_cancelled = cancelled;
        result.synced_count = result.pushed_count.saturating_add(result.pulled_count);
        result.pending_operations = self.db.read(|replica| replica.outbox().len() as u64);
        result.error = ended
            .as_ref()
            .err()
            .map(|error| error.to_json(crate::util::time::format(now)))
            .or_else(|| self.warnings.borrow().first().cloned());
        result.is_success =
            ended.is_ok() && !cancelled && result.failed_count == 0 && result.error.is_none();
        let mut written = result.clone();
        let (planned, again) = (Cell::new(false), Cell::new(false));
        let recorded = self
            .db
            .record(Durability::Relaxed, &|replica| {
                again.set(planned.replace(true) && looks_again && ended.is_ok());
                let facts = || {
                    self.facts_after(
                        replica.facts(),
                        &ended,
                        cancelled,
                        started_at,
                        now,
                        &mut written.clone(),
                    )
                };
                if again.get() {
                    Vec::new()
                } else {
                    vec![Event::Facts {
                        facts: Box::new(facts()),
                    }]
                }
            })
            .await;
        if again.get() && recorded.is_ok() {
            return None;
        }
        self.db.read(|replica| {
            written.total_bytes_pushed = replica.facts().bytes_pushed;
            written.total_bytes_pulled = replica.facts().bytes_pulled;
        });
        // A cycle whose end could not be written down has not ended well.
        let ended = ended.and(recorded);
        self.publish_end(&ended, cancelled, &written, now);
        self.tell_ended(&ended, cancelled, &written);
        Some(match ended {
            Err(error) if !cancelled => Err(error),
            _ => Ok(written),
        })
    }

    fn facts_after(
        &self,
        before: &Facts,
        ended: &Result<()>,
        cancelled: bool,
        started_at: u64,
        now: u64,
        result: &mut SyncResult,
    ) -> Facts {
        let mut facts = before.clone();
        facts.last_sync = Some(started_at);
        facts.duration = Some(result.duration);
        facts.bytes_pushed = facts.bytes_pushed.saturating_add(result.bytes_pushed);
        facts.bytes_pulled = facts.bytes_pulled.saturating_add(result.bytes_pulled);
        facts.clock_offset = self.clock_offset.get().unwrap_or(facts.clock_offset);
        match ended {
            Ok(()) => {
                facts.last_success = Some(now);
                facts.error = None;
                facts.failures = 0;
                facts.told = self.told_now.get().or(facts.told);
            }
            Err(_) if cancelled => {}
            Err(error) => {
                facts.error = Some(error.message().into());
                facts.failures = facts.failures.saturating_add(1);
            }
        }
        result.total_bytes_pushed = facts.bytes_pushed;
        result.total_bytes_pulled = facts.bytes_pulled;
        facts.last_state = match (result.is_success, cancelled) {
            (true, _) => State::Completed,
            (false, true) => State::Cancelled,
            (false, false) => State::Failed,
        };
        facts.last_result = Some(Rc::from(crate::util::json::serialize::to_string(result)));
        facts
    }

    fn publish_end(&self, ended: &Result<()>, cancelled: bool, result: &SyncResult, now: u64) {
        let at = crate::util::time::format(now);
        let counts = self.db.read(|replica| {
            (
                replica.outbox().len() as u64,
                replica.conflicts().len() as u64,
                replica.dead_letters().len() as u64,
            )
        });
        self.hub.update(|status| {
            status.status = match ended {
                Ok(()) => State::Completed,
                Err(_) if self.cancel.reason() == Some(Stop::Pause) => State::Paused,
                Err(_) if cancelled => State::Cancelled,
                Err(_) => State::Failed,
            };
            status.phase = None;
            if ended.is_ok() {
                status.progress = 1.0;
                status.last_completed_at = Some(at.clone());
                status.health.remote = RemoteHealth::Healthy;
            }
            status.synced_count = result.synced_count;
            status.completed_operations = result.synced_count;
            status.failed_operations = result.failed_count;
            status.conflicts_resolved = result.conflicts_resolved;
            (
                status.pending_operations,
                status.unresolved_conflicts,
                status.dead_letters,
            ) = counts;
            status.errors = self.warnings.borrow().clone();
            status
                .errors
                .extend(self.side_errors.borrow().iter().cloned());
            if let (Err(error), false) = (ended, cancelled) {
                status.health.remote = match error.code() {
                    Code::Network | Code::Offline | Code::Timeout => RemoteHealth::Unreachable,
                    Code::ServerError | Code::RateLimited | Code::Protocol => {
                        RemoteHealth::Unhealthy
                    }
                    _ => status.health.remote,
                };
                status.errors.push(error.to_json(at.clone()));
            }
            status.online = self.host.is_online();
            status.reckon_health();
        });
    }

    /// Moves the status along; progress only ever grows.
    pub(crate) fn show(&self, phase: Phase, progress: f64) {
        let tally = self.tally.borrow();
        let done = tally.pushed_count.saturating_add(tally.pulled_count);
        let (failed, resolved) = (tally.failed_count, tally.conflicts_resolved);
        drop(tally);
        let pending = self.db.read(|replica| replica.outbox().len() as u64);
        self.hub.update(|status| {
            status.phase = Some(phase);
            // The last step is the end's alone: a bar that is full means that it is over.
            status.progress = status.progress.max(progress.clamp(0.0, 0.99));
            status.completed_operations = done;
            status.failed_operations = failed;
            status.conflicts_resolved = resolved;
            status.pending_operations = pending;
        });
        self.tell(Topic::SyncProgress, None, &mut |out| {
            put(out, "status", &*self.hub.current())
        });
    }

    /// Takes note of what every answer says also_allow its content.
    pub(crate) fn learn(&self, server_time: Option<&str>, asked_at: u64) {
        if let Some(time) = server_time.and_then(crate::util::time::parse) {
            let now = self.host.now_ms();
            let middle = asked_at.saturating_add(now.saturating_sub(asked_at) / 2);
            self.clock_offset.set(Some(
                i64::try_from(i128::from(time).saturating_sub(i128::from(middle)))
                    .unwrap_or_default(),
            ));
        }
        self.tally.borrow_mut().remote_fetched = true;
    }

    /// Tells what happens, where anybody wants to know.
    pub(crate) fn tell(
        &self,
        topic: Topic,
        entity: Option<&str>,
        fill: &mut dyn FnMut(&mut String),
    ) {
        let user_id = self.hub.current().user_id.clone();
        self.events
            .tell(topic, &user_id, entity, self.host.now_ms(), fill);
    }

    fn tell_started(&self) {
        self.tell(Topic::SyncStarted, None, &mut |out| {
            put(out, "direction", self.settings.direction.name());
            put(
                out,
                "pendingOperations",
                &self.db.read(|replica| replica.outbox().len()),
            );
        });
    }

    fn tell_ended(&self, ended: &Result<()>, cancelled: bool, result: &SyncResult) {
        match ended {
            Err(error) if !cancelled => self.tell(Topic::SyncFailed, None, &mut |out| {
                put(
                    out,
                    "error",
                    &error.to_json(crate::util::time::format(self.host.now_ms())),
                );
            }),
            _ => self.tell(Topic::SyncCompleted, None, &mut |out| {
                put(out, "result", result)
            }),
        }
    }

    /// A failure that does not end the cycle.
    pub(crate) fn warn(&self, error: &Error) {
        self.warnings
            .borrow_mut()
            .push(error.to_json(crate::util::time::format(self.host.now_ms())));
    }

    pub(crate) fn soft(&self) -> impl Fn(&str) -> bool + use<'_, S, R, H> {
        |entity| self.config.is_soft(entity)
    }
}

/// Makes a hub for a user, before any cycle has run.
#[must_use]
pub fn first_status(user_id: &str) -> Rc<StatusHub> {
    Rc::new(StatusHub::new(crate::model::status::SyncStatus {
        user_id: user_id.to_owned(),
        ..Default::default()
    }))
}
