//! Moving a row to another space, and finding one that was moved.

use super::Decision;
use super::operation::Operation;
use super::space_work::RowKey;
use super::unit_of_work::UnitOfWork;
use crate::rules::ServerError;
use crate::rules::data::Rejection;
use crate::rules::store::{MAX_HOPS, Space, Transaction};

/// Moves a live row whose base is current.
pub(super) async fn move_row<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    to: &Space,
) -> Result<Decision, ServerError> {
    let key = &operation.key;
    let there = work.stamp(to, key).await?;
    if there.is_some_and(|stamp| !stamp.deleted) {
        let rejection = Rejection::new("idTaken", "The target has a row of this id.");
        return Ok(Decision::Rejected(Rejection {
            space: to.id().cloned(),
            ..rejection
        }));
    }
    let data = work.data(&operation.space, key).await?;
    let left = work
        .put(&operation.space, key, None, Some(to.clone()))
        .await?;
    let version = work.put(to, key, data, None).await?;
    work.record_applied(operation, version, Some(left))?;
    Ok(Decision::Applied {
        version,
        replayed: false,
        deleted: false,
        left: Some(left),
    })
}

/// Returns where a row that is gone from a space lives now, and its version there, if the user may
/// read that. A row that was moved more than once is followed, also through other users' spaces.
pub(super) async fn place<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    space: &Space,
    key: &RowKey,
) -> Result<Option<(Space, u64)>, ServerError> {
    let mut at = space.clone();
    for _ in 0..=MAX_HOPS {
        let Some(stamp) = work.stamp(&at, key).await? else {
            return Ok(None);
        };
        if !stamp.deleted {
            let readable = work.role(&at).await?.is_some();
            return Ok(readable.then_some((at, stamp.version)));
        }
        match stamp.moved_to {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}
