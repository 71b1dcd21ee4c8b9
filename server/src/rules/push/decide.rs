//! Decides one operation.
//!
//! | kind | row is live, base is current | live, base is stale | deleted or unknown |
//! |---|---|---|---|
//! | create, update | write | conflict; applied if the data is equal and there is no base | write if the base is current or null, else conflict |
//! | patch | write the merged object | conflict | conflict |
//! | delete | write a tombstone | conflict | applied, nothing to do |

use datum_sync::model::operation::OperationKind;
use datum_sync::model::protocol::PushedOperation;
use datum_sync::util::json::equal::same_value;

use super::unit_of_work::{MET_A_ROW, RowKey, SUPERSEDED, UnitOfWork};
use super::{Decision, RETRY_AFTER_MS};
use crate::rules::ServerError;
use crate::rules::data::{self, Rejection};
use crate::rules::store::{AppliedOperation, Transaction};

/// A row as an operation finds it.
struct Found {
    live: bool,
    version: u64,
    /// Whether the operation was made on this version.
    base_is_current: bool,
}

pub(super) async fn decide<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
) -> Result<Decision, ServerError> {
    let recorded = work.applied.get(operation.op_id.as_ref());
    let key = (operation.entity.to_string(), operation.id.to_string());
    let never_fits = recorded.is_some_and(|recorded| match recorded.version {
        SUPERSEDED => true,
        MET_A_ROW => operation.base_version.is_none(),
        _ => false,
    });
    let was_applied = |recorded: &&AppliedOperation| {
        recorded.version != SUPERSEDED && recorded.version != MET_A_ROW
    };
    if let Some(applied) = recorded.filter(was_applied) {
        let same_row = applied.entity == operation.entity && applied.id == operation.id;
        return Ok(if same_row {
            let live = work.stamps.get(&key).is_some_and(|stamp| !stamp.deleted);
            Decision::Applied {
                version: applied.version,
                replayed: true,
                deleted: !live && operation.kind != OperationKind::Delete,
            }
        } else {
            Decision::Rejected(Rejection::new(
                "opIdReused",
                "`opId` was used for another entity; every operation needs its own.",
            ))
        });
    }
    let mut dependencies = operation.after.iter();
    if dependencies.any(|op_id| work.not_applied.contains(op_id.as_ref())) {
        return Ok(Decision::Blocked);
    }
    let found = find(work, operation, &key, never_fits);
    match operation.kind {
        OperationKind::Delete => delete(work, operation, key, &found).await,
        OperationKind::Patch => patch(work, operation, key, &found).await,
        OperationKind::Create | OperationKind::Update => put(work, operation, key, &found).await,
    }
}

fn find<T: Transaction>(
    work: &UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: &RowKey,
    never_fits: bool,
) -> Found {
    let stamp = work.stamps.get(key);
    let live = stamp.is_some_and(|stamp| !stamp.deleted);
    // An unknown row counts as deleted at the floor. A client that receives this version can build
    // on it, and no version that it still holds from the row's earlier life is equal to it.
    let version = stamp.map_or(work.head.floor.max(1), |stamp| stamp.version);
    let fits = operation.base_version.map_or(!live, |base| base == version);
    Found {
        live,
        version,
        base_is_current: fits && !never_fits,
    }
}

async fn delete<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: RowKey,
    found: &Found,
) -> Result<Decision, ServerError> {
    match (found.live, found.base_is_current) {
        (false, _) => Ok(already_so(work, operation, key, found)),
        (true, true) => work.write(operation, key, None).await,
        (true, false) => conflict(work, operation, key, found).await,
    }
}

async fn patch<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: RowKey,
    found: &Found,
) -> Result<Decision, ServerError> {
    let max_bytes = work.config.max_entity_bytes;
    let patch = match data::clean(work.user, operation.data, max_bytes) {
        Ok(patch) => patch,
        Err(rejection) => return Ok(Decision::Rejected(rejection)),
    };
    if !found.base_is_current || !found.live {
        return conflict(work, operation, key, found).await;
    }
    let stored = work.data(&key).await?.unwrap_or_else(|| "{}".into());
    match data::merge(&stored, &patch, max_bytes) {
        Ok(merged) => work.write(operation, key, Some(merged)).await,
        Err(rejection) => Ok(Decision::Rejected(rejection)),
    }
}

async fn put<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: RowKey,
    found: &Found,
) -> Result<Decision, ServerError> {
    let sent = match data::clean(work.user, operation.data, work.config.max_entity_bytes) {
        Ok(sent) => sent,
        Err(rejection) => return Ok(Decision::Rejected(rejection)),
    };
    if found.base_is_current {
        return work.write(operation, key, Some(sent)).await;
    }
    // The same row created twice, as after a reply that was lost together with the record of it.
    if found.live && operation.base_version.is_none() {
        let stored = work.data(&key).await?;
        if stored.is_some_and(|stored| same_value(&stored, &sent)) {
            return Ok(already_so(work, operation, key, found));
        }
    }
    conflict(work, operation, key, found).await
}

/// Accepts an operation whose result the row already has.
fn already_so<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: RowKey,
    found: &Found,
) -> Decision {
    work.record_applied(operation, key, found.version);
    Decision::Applied {
        version: found.version,
        replayed: false,
        deleted: false,
    }
}

async fn conflict<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &PushedOperation<'_>,
    key: RowKey,
    found: &Found,
) -> Result<Decision, ServerError> {
    let version = found.version;
    if !found.live {
        return Ok(Decision::Conflict { version, row: None });
    }
    // Checked before the row is read, so that a small request cannot make the server load much.
    if work.reply_bytes > work.config.max_reply_bytes {
        return Ok(Decision::Retry {
            after_ms: RETRY_AFTER_MS,
        });
    }
    let row = work.data(&key).await?;
    if operation.base_version.is_none() {
        work.record_met(operation, key);
    }
    let bytes = row.as_ref().map_or(0, |row| row.len());
    work.reply_bytes = work.reply_bytes.saturating_add(bytes);
    Ok(Decision::Conflict { version, row })
}
