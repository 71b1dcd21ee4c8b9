//! The reports of a cycle: its status while it runs and at its end, events, counts, and the facts
//! that its last commit records.

use std::rc::Rc;

use crate::conflict::{Conflict, Decision, Resolution};
use crate::engine::activity::{ActivityKind, Span};
use crate::engine::cycle::cancel::Stop;
use crate::engine::cycle::{Cycle, resolve};
use crate::engine::events::Topic;
use crate::log::facts::{DeadLetter, Facts};
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::PullPage;
use crate::model::status::{Phase, RemoteHealth, SyncResult, SyncState};
use crate::model::table::Table;
use crate::plan::verdicts::Settled;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::{push_field, put};

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    pub(super) fn facts_after(
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
                facts.reported = self.reported_now.get().or(facts.reported);
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
            (true, _) => SyncState::Completed,
            (false, true) => SyncState::Cancelled,
            (false, false) => SyncState::Failed,
        };
        facts.last_result = Some(Rc::from(crate::util::json::serialize::to_string(result)));
        facts
    }

    pub(super) fn publish_end(
        &self,
        ended: &Result<()>,
        cancelled: bool,
        result: &SyncResult,
        now: u64,
    ) {
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
                Ok(()) => SyncState::Completed,
                Err(_) if self.cancel.reason() == Some(Stop::Pause) => SyncState::Paused,
                Err(_) if cancelled => SyncState::Cancelled,
                Err(_) => SyncState::Failed,
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
            // A cycle that has reached the remote knows better than the browser.
            status.online = ended.is_ok() || self.host.is_online();
            status.reckon_health();
        });
    }

    /// Updates the status; progress never runs backwards.
    pub(crate) fn show(&self, phase: Phase, progress: f64) {
        let tally = self.tally.borrow();
        let done = tally.pushed_count.saturating_add(tally.pulled_count);
        let (failed, resolved) = (tally.failed_count, tally.conflicts_resolved);
        drop(tally);
        let pending = self.db.read(|replica| replica.outbox().len() as u64);
        self.hub.update(|status| {
            status.phase = Some(phase);
            // Only the end reports 1: a full progress bar means that the cycle is over.
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

    /// Measures the remote's clock offset from a reply, and records that the remote was reached.
    pub(crate) fn learn(&self, server_time: Option<&str>, asked_at: u64) {
        if let Some(time) = server_time.and_then(crate::util::time::parse) {
            let now = self.host.now_ms();
            self.remote.learn_clock(time);
            let middle = asked_at.saturating_add(now.saturating_sub(asked_at) / 2);
            self.clock_offset.set(Some(
                i64::try_from(i128::from(time).saturating_sub(i128::from(middle)))
                    .unwrap_or_default(),
            ));
        }
        self.notes.answered.set(true);
        self.tally.borrow_mut().remote_fetched = true;
    }

    /// Emits an event. It is built only if somebody listens.
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

    pub(super) fn begin_phase(&self, name: &str) -> Option<(Span, u64, u64)> {
        if !self.activity.is_watched() {
            return None;
        }
        let user_id = self.hub.current().user_id.clone();
        let span = self
            .activity
            .begin(ActivityKind::Phase, name, &user_id, &|_| {})?;
        let tally = self.tally.borrow();
        Some((span, tally.pushed_count, tally.pulled_count))
    }

    /// Tells the end of a phase; returns its result.
    pub(super) fn end_phase(
        &self,
        phase: Option<(Span, u64, u64)>,
        result: Result<()>,
    ) -> Result<()> {
        if let Some((mut span, pushed, pulled)) = phase {
            let tally = self.tally.borrow();
            put_work(
                span.note(),
                tally.pushed_count.saturating_sub(pushed),
                tally.pulled_count.saturating_sub(pulled),
            );
            span.end(result.as_ref().err());
        }
        result
    }

    pub(super) fn tell_started(&self) {
        self.tell(Topic::SyncStarted, None, &mut |out| {
            put(out, "direction", self.settings.direction.name());
            put(
                out,
                "pendingOperations",
                &self.db.read(|replica| replica.outbox().len()),
            );
        });
    }

    pub(super) fn tell_ended(&self, ended: &Result<()>, cancelled: bool, result: &SyncResult) {
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

    /// Reports a failure that does not end the cycle.
    pub(crate) fn warn(&self, error: &Error) {
        self.warnings
            .borrow_mut()
            .push(error.to_json(crate::util::time::format(self.host.now_ms())));
    }

    /// Counts the outcomes of a push, and reports its dead letters.
    pub(crate) fn count_pushed(&self, settled: &Settled) {
        self.count_conflicts(&settled.incoming.resolved);
        let mut tally = self.tally.borrow_mut();
        for (entity, n) in settled.pushed.iter() {
            tally.pushed_count = tally.pushed_count.saturating_add(*n);
            let entity = tally.entities.entry(entity);
            entity.pushed = entity.pushed.saturating_add(*n);
        }
        for (entity, n) in settled.failed.iter() {
            tally.failed_count = tally.failed_count.saturating_add(*n);
            let entity = tally.entities.entry(entity);
            entity.failed = entity.failed.saturating_add(*n);
        }
        drop(tally);
        for letter in &settled.dead_letters {
            self.tell(Topic::DeadLetter, Some(&letter.op.entity), &mut |out| {
                push_field(out, "deadLetter", &letter.to_json())
            });
            self.warn(
                &Error::new(
                    Code::Rejected,
                    format!(
                        "The remote rejected an operation ({}): {}",
                        letter.code, letter.message
                    ),
                )
                .on(&letter.op.entity, Some(&letter.op.id)),
            );
        }
    }

    /// Counts and reports operations that were buried without a verdict of the remote.
    pub(crate) fn count_buried(&self, dead_letters: Vec<DeadLetter>) {
        let mut settled = Settled::default();
        for letter in &dead_letters {
            settled.failed.count(Table(&letter.op.entity).entity());
        }
        settled.dead_letters = dead_letters;
        self.count_pushed(&settled);
    }

    /// Reports the rows of a page whose types the config does not name: they are left out.
    pub(crate) fn report_ignored(&self, page: &PullPage<'_>) {
        let mut ignored: VecMap<u64> = VecMap::default();
        for change in &page.changes {
            if self.config.of(&change.entity).is_none() {
                let count = ignored.entry(&change.entity);
                *count = count.saturating_add(1);
            }
        }
        for (entity, count) in ignored.iter() {
            self.tell(Topic::RowsIgnored, Some(entity), &mut |out| {
                put(out, "entity", entity);
                put(out, "count", count);
            });
        }
    }

    /// Counts the rows of a page.
    pub(crate) fn count_pulled(&self, rows: &VecMap<u64>) {
        let mut tally = self.tally.borrow_mut();
        for (entity, rows) in rows.iter() {
            tally.pulled_count = tally.pulled_count.saturating_add(*rows);
            let entity = tally.entities.entry(entity);
            entity.pulled = entity.pulled.saturating_add(*rows);
        }
    }

    pub(crate) fn count_pulled_bytes(&self, bytes: usize) {
        let mut tally = self.tally.borrow_mut();
        tally.bytes_pulled = tally.bytes_pulled.saturating_add(bytes as u64);
    }

    /// Counts conflicts by outcome, and reports them.
    pub(crate) fn count_conflicts(&self, resolved: &[(Conflict, Decision)]) {
        let mut tally = self.tally.borrow_mut();
        for (conflict, decision) in resolved {
            self.tell(
                Topic::ConflictDetected,
                Some(&conflict.entity),
                &mut |out| push_field(out, "conflict", &conflict.to_json()),
            );
            self.report_resolved(conflict, decision);
            tally.conflicts_detected = tally.conflicts_detected.saturating_add(1);
            if decision.resolution != Resolution::Later {
                tally.conflicts_resolved = tally.conflicts_resolved.saturating_add(1);
            }
            let entity = tally.entities.entry(Table(&conflict.entity).entity());
            entity.conflicts = entity.conflicts.saturating_add(1);
        }
    }

    /// Reports a conflict that has ended.
    pub(super) fn report_resolved(&self, conflict: &Conflict, decision: &Decision) {
        if let Some(taken) = decision.resolution.taken() {
            self.tell(
                Topic::ConflictResolved,
                Some(&conflict.entity),
                &mut |out| resolve::put_resolved(out, conflict, decision, taken),
            );
        }
    }
}

/// Tells that a cycle begins.
pub(crate) fn begin_cycle<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    automatic: bool,
) -> Option<Span> {
    if !cycle.activity.is_watched() {
        return None;
    }
    let user_id = cycle.hub.current().user_id.clone();
    let name = cycle.settings.direction.name();
    let fill = |out: &mut String| put(out, "automatic", &automatic);
    cycle
        .activity
        .begin(ActivityKind::Cycle, name, &user_id, &fill)
}

/// Tells that a cycle has ended.
pub(crate) fn end_cycle(span: Option<Span>, result: &Result<SyncResult>) {
    let Some(mut span) = span else {
        return;
    };
    match result {
        // Dropped, it was cancelled.
        Ok(result) if result.was_cancelled => {}
        Ok(result) => {
            put_work(span.note(), result.pushed_count, result.pulled_count);
            put(span.note(), "bytesSent", &result.bytes_pushed);
            put(span.note(), "bytesReceived", &result.bytes_pulled);
            match &result.error {
                Some(error) => span.end_with(error.code, error.status),
                None => span.end(None),
            }
        }
        Err(error) => span.end(Some(error)),
    }
}

fn put_work(out: &mut String, pushed: u64, pulled: u64) {
    put(out, "operations", &pushed);
    put(out, "rows", &pulled);
}
