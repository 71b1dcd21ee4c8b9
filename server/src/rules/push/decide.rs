//! Decides one operation.
//!
//! | kind | row is live, base is current | live, base is stale | deleted or unknown |
//! |---|---|---|---|
//! | create, update | write | conflict; applied if the data is equal and there is no base | write if the base is current or null, else conflict |
//! | patch | write the merged object | conflict | conflict |
//! | delete | write a tombstone | conflict | applied, nothing to do |
//! | move | write a tombstone here and the row there | conflict | conflict |
//!
//! A row that was moved to where the user may read it is neither deleted nor unknown: what is said of
//! it in its old space is a conflict, which tells where it is.

use std::sync::Arc;

use datum_sync::model::protocol::PushedKind;
use datum_sync::util::json::equal::same_value;

use super::operation::Operation;
use super::unit_of_work::{MET_A_ROW, SUPERSEDED, UnitOfWork};
use super::{Decision, RETRY_AFTER_MS, members, moves};
use crate::rules::ServerError;
use crate::rules::data::{self, Rejection};
use crate::rules::spaces;
use crate::rules::store::{AppliedOperation, Space, Transaction};

/// A row as an operation finds it.
struct Found {
    live: bool,
    version: u64,
    /// Whether the operation was made on this version.
    base_is_current: bool,
    /// Whether it was moved from here.
    moved: bool,
}

pub(super) async fn decide<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
) -> Result<Decision, ServerError> {
    let sent = &operation.sent;
    let recorded = work.applied.get(sent.op_id.as_ref());
    let never_fits = recorded.is_some_and(|recorded| match recorded.version {
        SUPERSEDED => true,
        MET_A_ROW => sent.base_version.is_none(),
        _ => false,
    });
    let was_applied = |recorded: &&AppliedOperation| {
        recorded.version != SUPERSEDED && recorded.version != MET_A_ROW
    };
    // Before the membership: it was true, and tells only its author.
    if let Some(applied) = recorded.filter(was_applied).cloned() {
        return replay(work, operation, applied);
    }
    let mut dependencies = sent.after.iter();
    if dependencies.any(|op_id| work.not_applied.contains(op_id.as_ref())) {
        return Ok(Decision::Blocked);
    }
    let data = match content(work, operation) {
        Ok(data) => data,
        Err(rejection) => return Ok(Decision::Rejected(rejection)),
    };
    if let (true, Some(id)) = (members::creates_space(operation), operation.space.id())
        && !work.space(&operation.space)?.access.used
        && !never_fits
    {
        let data = data.unwrap_or_else(|| "{}".into());
        return members::create_space(work, operation, id, data).await;
    }
    if let Some(rejection) = members::refusal(work, operation)? {
        return Ok(Decision::Rejected(rejection));
    }
    let found = find(work, operation, never_fits)?;
    match (sent.kind, data) {
        (PushedKind::Delete, _) | (_, None) => match &operation.to {
            Some(to) if found.live && found.base_is_current => {
                moves::move_row(work, operation, to).await
            }
            Some(_) => conflict(work, operation, &found).await,
            None => delete(work, operation, &found).await,
        },
        (PushedKind::Patch, Some(data)) => patch(work, operation, &found, &data).await,
        (_, Some(data)) => put(work, operation, &found, data).await,
    }
}

/// Answers an operation that was applied before.
fn replay<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    applied: AppliedOperation,
) -> Result<Decision, ServerError> {
    let (entity, id) = &operation.key;
    if applied.space != operation.space || applied.entity != *entity || applied.id != *id {
        return Ok(Decision::Rejected(Rejection::new(
            "opIdReused",
            "`opId` was used for another entity; every operation needs its own.",
        )));
    }
    // What became of the row since is for those who may read it.
    let wrote = work.space(operation.to.as_ref().unwrap_or(&operation.space))?;
    let live = wrote
        .stamps
        .get(&operation.key)
        .is_some_and(|stamp| !stamp.deleted);
    let gone = wrote.access.role.is_some() && !live;
    Ok(Decision::Applied {
        version: applied.version,
        replayed: true,
        deleted: gone && operation.sent.kind != PushedKind::Delete,
        left: applied.left,
    })
}

/// Returns the data that an operation brings, checked.
fn content<T: Transaction>(
    work: &UnitOfWork<'_, T>,
    operation: &Operation<'_>,
) -> Result<Option<Arc<str>>, Rejection> {
    let sent = &operation.sent;
    if matches!(sent.kind, PushedKind::Delete | PushedKind::Move) {
        return Ok(None);
    }
    let data = data::clean(work.user, sent.data, work.config.max_entity_bytes)?;
    if spaces::is_reserved(&sent.entity) {
        spaces::check_data(&sent.entity, &data, sent.kind == PushedKind::Patch)?;
    }
    Ok(Some(data))
}

fn find<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    never_fits: bool,
) -> Result<Found, ServerError> {
    let space = work.space(&operation.space)?;
    let stamp = space.stamps.get(&operation.key);
    let live = stamp.is_some_and(|stamp| !stamp.deleted);
    // An unknown row counts as deleted at the floor. A client that receives this version can build
    // on it, and no version that it still holds from the row's earlier life is equal to it.
    let version = stamp.map_or(space.head.floor.max(1), |stamp| stamp.version);
    let base = operation.sent.base_version;
    let fits = base.map_or(!live, |base| base == version);
    Ok(Found {
        live,
        version,
        base_is_current: fits && !never_fits,
        moved: stamp.is_some_and(|stamp| stamp.moved_to.is_some()),
    })
}

/// Returns where a row lives now that was moved to where the user may read it.
async fn moved<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
) -> Result<Option<(Space, u64)>, ServerError> {
    if found.moved {
        moves::place(work, &operation.space, &operation.key).await
    } else {
        Ok(None)
    }
}

async fn delete<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
) -> Result<Decision, ServerError> {
    if !found.live {
        // A row that the user sees elsewhere is not gone.
        return match moved(work, operation, found).await? {
            Some(_) => conflict(work, operation, found).await,
            None => already_so(work, operation, found),
        };
    }
    if !found.base_is_current {
        return conflict(work, operation, found).await;
    }
    if let Some(rejection) = members::apply(work, operation, None).await? {
        return Ok(Decision::Rejected(rejection));
    }
    let decision = work.write(operation, None).await?;
    if members::ends_space(operation) {
        members::end_space(work, &operation.space).await?;
    }
    Ok(decision)
}

async fn patch<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
    patch: &str,
) -> Result<Decision, ServerError> {
    if !found.base_is_current || !found.live {
        return conflict(work, operation, found).await;
    }
    let stored = work.data(&operation.space, &operation.key).await?;
    let stored = stored.unwrap_or_else(|| "{}".into());
    match data::merge(&stored, patch, work.config.max_entity_bytes) {
        Ok(merged) => write(work, operation, merged).await,
        Err(rejection) => Ok(Decision::Rejected(rejection)),
    }
}

async fn put<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
    sent: Arc<str>,
) -> Result<Decision, ServerError> {
    if found.base_is_current {
        return match moved(work, operation, found).await? {
            Some(_) => conflict(work, operation, found).await,
            None => write(work, operation, sent).await,
        };
    }
    // The same row created twice, as after a reply that was lost together with the record of it.
    if found.live && operation.sent.base_version.is_none() {
        let stored = work.data(&operation.space, &operation.key).await?;
        if stored.is_some_and(|stored| same_value(&stored, &sent)) {
            return already_so(work, operation, found);
        }
    }
    conflict(work, operation, found).await
}

async fn write<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    data: Arc<str>,
) -> Result<Decision, ServerError> {
    match members::apply(work, operation, Some(&data)).await? {
        Some(rejection) => Ok(Decision::Rejected(rejection)),
        None => work.write(operation, Some(data)).await,
    }
}

/// Accepts an operation whose result the row already has.
fn already_so<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
) -> Result<Decision, ServerError> {
    work.record_applied(operation, found.version, None)?;
    Ok(Decision::applied(found.version))
}

async fn conflict<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    found: &Found,
) -> Result<Decision, ServerError> {
    let place = if found.live {
        Some((operation.space.clone(), found.version))
    } else {
        moved(work, operation, found).await?
    };
    let Some((space, version)) = place else {
        return Ok(Decision::Conflict {
            version: found.version,
            row: None,
            moved: None,
        });
    };
    // Checked before the row is read, so that a small request cannot make the server load much.
    if work.reply_bytes > work.config.max_reply_bytes {
        return Ok(Decision::Retry {
            after_ms: RETRY_AFTER_MS,
        });
    }
    let row = work.data(&space, &operation.key).await?;
    if operation.sent.base_version.is_none() {
        work.record_met(operation)?;
    }
    let bytes = row.as_ref().map_or(0, |row| row.len());
    work.reply_bytes = work.reply_bytes.saturating_add(bytes);
    Ok(Decision::Conflict {
        version,
        row,
        moved: (!found.live).then_some((space, found.version)),
    })
}
