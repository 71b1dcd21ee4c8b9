//! The outbox as the app sees it: each operation, its state and what blocks it.

use crate::engine::cycle::server::unnamed_type;
use crate::engine::{Backing, PendingOperations, User};
use crate::model::error::Result;
use crate::model::operation::{PendingOperation, PendingState};
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;

impl<B: Backing, R: Remote, H: Host + 'static> PendingOperations<'_, B, R, H> {
    /// Returns the operations of the outbox in the order in which they were queued. State, attempts
    /// and next attempt are this tab's view.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<Vec<PendingOperation>> {
        Ok(self.of(&*self.engine.user_for_question(user_id).await?))
    }

    /// As [`Self::list`], for a user whose database is open.
    pub fn of(self, user: &User<B::Store, H>) -> Vec<PendingOperation> {
        let (now, next) = (
            self.engine.host.now_ms(),
            self.engine.auto_sync().next_sync_time(&user.id),
        );
        user.db.read(|replica| {
            replica
                .outbox()
                .iter()
                .map(|queued| {
                    let mut pending = pending(replica, queued, now, next);
                    if self.engine.config.of(&queued.op.entity).is_none() {
                        let error = unnamed_type(1).on(&queued.op.entity, Some(&queued.op.id));
                        pending.state = PendingState::Blocked;
                        pending.next_attempt_at = None;
                        pending.last_error = Some(error.to_json(crate::util::time::format(now)));
                    }
                    pending
                })
                .collect()
        })
    }

    /// Returns the number of operations in the outbox.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn count(self, user_id: &str) -> Result<u64> {
        Ok(self
            .engine
            .user_for_question(user_id)
            .await?
            .pending_count())
    }

    /// Returns true if this tab knows of pending operations of a user.
    pub fn any(self, user_id: &str) -> bool {
        self.engine
            .opened(user_id)
            .is_some_and(|user| user.pending_count() > 0)
    }

    /// Returns true if nothing is going to send a user's operations unless the app asks for it: no
    /// automatic cycles are started. A paused user's wait on purpose.
    pub fn are_left(self, user_id: &str) -> bool {
        let engine = self.engine;
        !engine.schedules.are_started(user_id)
            && !engine.is_excluded(user_id)
            && !engine.pause_state.is_paused(user_id)
    }
}

fn pending(replica: &Replica, queued: &Queued, now: u64, next: Option<u64>) -> PendingOperation {
    let op = &queued.op;
    let decision = |queued: &Queued| {
        let letter = || {
            replica
                .blocking_rejection(&queued.op)
                .map(|letter| letter.op.op_id.clone())
        };
        queued.blocked_by.clone().or_else(letter)
    };
    let rests = |queued: &Queued| queued.rests_until(now).is_some();
    let busy =
        |queued: &Queued| (queued.in_flight || rests(queued)).then(|| queued.op.op_id.clone());
    // A pending decision is more important to the app than a request in flight.
    let blocked_by = decision(queued).or_else(|| {
        let outbox = replica.outbox();
        outbox
            .blocked_reason(queued, &decision)
            .or_else(|| outbox.blocked_reason(queued, &busy))
    });
    let behind = blocked_by
        .as_deref()
        .and_then(|op_id| replica.outbox().get(op_id)?.rests_until(now));
    let resumes = queued.rests_until(now).max(behind);
    // The next cycle sends operations that are neither blocked nor postponed.
    let next = match (&blocked_by, resumes) {
        (Some(_), resumes) => resumes,
        (None, resumes) => resumes.max(next),
    };
    PendingOperation {
        op_id: op.op_id.clone(),
        entity: Table(&op.entity).entity().to_owned(),
        space_id: Table(&op.entity).space().map(str::to_owned),
        entity_id: op.id.clone(),
        to: (op.space_after_move()).map(|space| space.map(str::to_owned)),
        kind: op.kind,
        state: match (queued.in_flight, &blocked_by) {
            (true, _) => PendingState::InFlight,
            (false, Some(_)) => PendingState::Blocked,
            (false, None) => PendingState::Pending,
        },
        queued_at: crate::util::time::format(op.queued_at),
        attempts: op.attempts,
        bytes: op.bytes(),
        blocked_by: blocked_by.filter(|_| !queued.in_flight),
        next_attempt_at: next
            .filter(|_| !queued.in_flight)
            .map(crate::util::time::format),
        last_error: queued.last_error.as_deref().cloned(),
    }
}
