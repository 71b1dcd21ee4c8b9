//! What waits, and why: each operation of the outbox as the app sees it.

use crate::engine::{Backing, Engine, User};
use crate::model::error::Result;
use crate::model::operation::{PendingOperation, PendingState};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// The operations that wait, in the order in which they were queued. What is on its way, what
    /// was tried and when it is tried again is as far as this tab knows.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn pending_operations(&self, user_id: &str) -> Result<Vec<PendingOperation>> {
        Ok(self.pending_of(&*self.user(user_id).await?))
    }

    /// The same of a user whose database is open.
    pub fn pending_of(&self, user: &User<B::Store, H>) -> Vec<PendingOperation> {
        let (now, next) = (self.host.now_ms(), self.next_sync_time(&user.id));
        user.db.read(|replica| {
            replica
                .outbox()
                .iter()
                .map(|queued| pending(replica, queued, now, next))
                .collect()
        })
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
    // A decision that is due says more than an answer that is on its way.
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
    // The next cycle takes along what nothing holds back, and nothing before its time.
    let next = match (&blocked_by, resumes) {
        (Some(_), resumes) => resumes,
        (None, resumes) => resumes.max(next),
    };
    PendingOperation {
        op_id: op.op_id.clone(),
        entity: op.entity.clone(),
        entity_id: op.id.clone(),
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
