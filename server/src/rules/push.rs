//! A push: decides each operation against the current row, in order, in one transaction.
//!
//! Every write is conditional on its base version. What was applied is recorded with the write
//! itself, so that the same operation sent twice, at once or later, changes nothing. Of the other
//! verdicts one is recorded: that an operation without a base met a row. They had no effect, so
//! deciding again is right, also after the user's role has changed.

mod decide;
mod members;
mod moves;
mod operation;
mod reply;
mod space_work;
mod unit_of_work;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::data::Rejection;
use super::store::{Identity, Space, Transaction};
use super::{Config, ServerError};
use operation::Request;
use unit_of_work::UnitOfWork;

/// How long a client waits before it repeats an operation that was answered `retry`, in
/// milliseconds.
const RETRY_AFTER_MS: u64 = 0;

/// The server's decision on one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The write is stored.
    Applied {
        /// The row's version after the write.
        version: u64,
        /// Whether it had been applied before.
        replayed: bool,
        /// Whether the row that it wrote then is gone.
        deleted: bool,
        /// Of a move: the version of the tombstone that it left.
        left: Option<u64>,
    },
    /// The base version is not the current one.
    Conflict {
        /// The version to build on.
        version: u64,
        /// The current data; `None` if the row is deleted or never existed.
        row: Option<Arc<str>>,
        /// If the row was moved: the space whose version and data these are, and the version in the
        /// operation's own.
        moved: Option<(Space, u64)>,
    },
    /// The operation will never be accepted.
    Rejected(Rejection),
    /// Try again: the base version belongs to another epoch, so it cannot be compared.
    EpochChanged,
    /// Nothing is done: the push is for another server.
    OtherServer,
    /// Try again: an operation that this one depends on was not applied.
    Blocked,
    /// Try again later.
    Retry {
        /// How long to wait, in milliseconds.
        after_ms: u64,
    },
}

impl Decision {
    const fn applied(version: u64) -> Self {
        Self::Applied {
            version,
            replayed: false,
            deleted: false,
            left: None,
        }
    }
}

/// A decision and the operation that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The operation.
    pub op_id: String,
    /// The decision.
    pub decision: Decision,
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReply {
    /// One verdict per operation, in order.
    pub verdicts: Vec<Verdict>,
    /// The server's id.
    pub server_id: String,
    /// The server's epoch.
    pub epoch: String,
    /// Whether any row was written.
    pub changed: bool,
    /// The other users who have something to pull.
    pub others: BTreeSet<String>,
}

/// Answers a push. The transaction must exclude other writers; the caller commits it.
///
/// # Errors
/// 400 for a request that breaks the protocol as a whole, 409 for another user's token, 413 for too
/// many operations, 426 for an app that is too old; also with errors of the store.
pub async fn push<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    body: &[u8],
    now_ms: u64,
) -> Result<PushReply, ServerError> {
    let request = Request::parse(config, user, body)?;
    let Identity { server_id, epoch } = tx.identity().await?;
    // The epochs of two servers may have the same name.
    let untaken = if request.server_id.is_some_and(|meant| meant != server_id) {
        Some(Decision::OtherServer)
    } else {
        let is_other = request.epoch.is_some_and(|known| known != epoch);
        is_other.then_some(Decision::EpochChanged)
    };
    if let Some(decision) = untaken {
        let verdict = |op_id: String| Verdict {
            op_id,
            decision: decision.clone(),
        };
        let op_ids = request
            .items
            .into_iter()
            .map(|item| item.op_id.into_owned());
        return Ok(PushReply {
            verdicts: op_ids.map(verdict).collect(),
            server_id,
            epoch,
            changed: false,
            others: BTreeSet::new(),
        });
    }
    let mut work = UnitOfWork::begin(tx, config, user, &request.items, now_ms).await?;
    let mut verdicts = Vec::with_capacity(request.items.len());
    for item in &request.items {
        let decision = match &item.parsed {
            Ok(operation) => decide::decide(&mut work, operation).await?,
            Err(rejection) => Decision::Rejected(rejection.clone()),
        };
        if !matches!(decision, Decision::Applied { .. }) {
            work.mark_not_applied(&item.op_id);
        }
        verdicts.push(Verdict {
            op_id: item.op_id.to_string(),
            decision,
        });
    }
    let effect = work.finish().await?;
    Ok(PushReply {
        verdicts,
        server_id,
        epoch,
        changed: effect.changed,
        others: effect.others,
    })
}
