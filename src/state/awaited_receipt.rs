//! Waiting for the end of an entity's pending operations.

use crate::log::receipt::ReceiptOutcome;
use crate::model::entity::{Key, not_found};
use crate::model::error::Result;
use crate::state::receipts::is_old;
use crate::state::replica::Replica;

/// Follows the last pending operation of an entity until it has ended.
#[derive(Debug)]
pub struct AwaitedReceipt {
    op_id: Option<String>,
    /// The receipt when the wait began.
    before: Option<(u64, ReceiptOutcome)>,
}

impl AwaitedReceipt {
    /// Begins to wait for the last pending operation of an entity.
    #[must_use]
    pub fn new(replica: &Replica, key: &Key) -> Self {
        Self {
            op_id: replica.outbox().last(key).map(|op| op.op_id.clone()),
            before: settled(replica, key),
        }
    }

    /// Returns true if an operation was pending when the wait began.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.op_id.is_some()
    }

    /// Returns how the operation ended; `None` while it is pending, also as part of another one.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::NotFound`] if nothing is known about the entity.
    pub fn outcome(
        &mut self,
        replica: &Replica,
        key: &Key,
        now: u64,
    ) -> Option<Result<ReceiptOutcome>> {
        if let Some(op_id) = &self.op_id {
            // Without a new receipt, the operation was replaced by the winner of a conflict.
            let replaced = || {
                if settled(replica, key) == self.before {
                    replica.outbox().last(key)
                } else {
                    None
                }
            };
            let successor = replica
                .outbox()
                .get(op_id)
                .or_else(|| replica.outbox().superseding(op_id))
                .map(|queued| &queued.op)
                .or_else(replaced);
            if let Some(successor) = successor {
                self.op_id = Some(successor.op_id.clone());
                return None;
            }
        }
        Some(last_outcome(replica, key, now))
    }
}

fn last_outcome(replica: &Replica, key: &Key, now: u64) -> Result<ReceiptOutcome> {
    let known = replica
        .receipts()
        .get(key)
        .filter(|receipt| !is_old(receipt, now))
        .map(|receipt| receipt.outcome);
    match known {
        Some(outcome) => Ok(outcome),
        None if replica.has_dead_letter(key) => Ok(ReceiptOutcome::Rejected),
        None if replica.row(key).is_some() => Ok(ReceiptOutcome::Applied),
        None => Err(not_found(key)),
    }
}

/// Returns the receipt of an operation that has ended. A receipt without a time only notes a
/// conflict that is being settled.
fn settled(replica: &Replica, key: &Key) -> Option<(u64, ReceiptOutcome)> {
    replica
        .receipts()
        .get(key)
        .filter(|receipt| receipt.at > 0)
        .map(|receipt| (receipt.at, receipt.outcome))
}
