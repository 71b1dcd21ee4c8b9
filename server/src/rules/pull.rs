//! A pull: the rows that changed after a cursor, in all spaces that the user may read, those of each
//! space in commit order.
//!
//! A row's version is its space's counter at its last write, so version order is commit order. A row
//! that changes during paging moves to the end: it is delivered again, never lost. Every page
//! either ends the pull or advances the cursor, so a client cannot loop for ever.
//!
//! A page is read in one transaction: which spaces the user may read, their rows, counts and
//! digests are those of one moment.

mod moved;
mod readable;
mod turns;

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;
use datum_sync::model::entity::check_id;
use datum_sync::model::protocol::{PullRequest, WireDigest};

use super::cursor::{Binding, Position};
use super::page::{Page, Start};
use super::scope::Scope;
use super::spaces::is_reserved;
use super::store::{Identity, Reader, Space, Transaction};
use super::{Config, ServerError, check_user};
use readable::{Readable, Reading};

/// Answers a pull from one snapshot of the store. `scope` is the request's own text: its numbers are
/// compared as they are written.
///
/// # Errors
/// 400 for a request that breaks the protocol, 409 for another user's token, 410 for a cursor that
/// is no longer valid, 426 for an app that is too old; also with errors of the store.
pub async fn pull<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    request: &PullRequest,
    scope: Option<&str>,
) -> Result<Page, ServerError> {
    check_id(&request.client_id)
        .map_err(|e| ServerError::bad_request(format!("`clientId`: {}", e.message())))?;
    check_user(user, request.user_id.as_deref())?;
    config.check_schema(request.schema)?;
    if request.limit == 0 || request.limit > config.max_page_rows {
        return Err(ServerError::bad_request(format!(
            "`limit` is {}; it must be 1 to {}.",
            request.limit, config.max_page_rows
        )));
    }
    let scope = Scope::parse(config, request.entities.as_deref(), scope)?;
    let Identity { server_id, epoch } = tx.identity().await?;
    let reader = tx.reader(user).await?;
    let binding = Binding {
        epoch: &epoch,
        user,
        scope: scope.fingerprint(),
    };
    let cursor = request.cursor.as_deref();
    let from = cursor.map(|text| binding.accept(text)).transpose()?;
    let mut spaces = Readable::enter(user, &reader, from.as_ref())?;
    let from = from.unwrap_or_default();
    let mut step = turns::read(tx, config, request.limit, &scope, &mut spaces, &from).await?;
    moved::resolve(tx, &spaces, &mut step.changes).await?;
    let remaining = if scope.fields.is_some() {
        None
    } else {
        Some(remaining(tx, &scope, &spaces, &from, &step, reader.revision).await?)
    };
    let cursor = binding.issue(&position(&spaces, &step, remaining, reader.revision));
    let digests = if step.next.is_some() || scope.fields.is_some() {
        None
    } else {
        Some(sums(tx, &spaces.names(), scope.entities.as_deref()).await?)
    };
    let kept = match request.epoch.as_deref().filter(|asked| *asked != epoch) {
        Some(asked) => tx.last_versions_of_epoch(&spaces.names(), asked).await?,
        None => None,
    };
    let kept: BTreeMap<u64, u64> = spaces.numbers().zip(kept.into_iter().flatten()).collect();
    let begun = spaces.all.iter().filter(|reading| reading.starts);
    let starts = begun.map(|reading| Start {
        space: reading.space.id().cloned(),
        at: reading.head.seq,
        kept: kept.get(&reading.number).copied(),
    });
    let starts: Vec<Start> = starts.collect();
    let first = request.cursor.is_none();
    let listed = first || request.spaces || from.revision != reader.revision;
    let news = if first {
        request.spaces || !reader.spaces.is_empty()
    } else {
        listed || !starts.is_empty()
    };
    Ok(Page {
        starts,
        spaces: listed.then(|| {
            let list = reader.spaces.iter();
            list.map(|joined| (joined.id.clone(), joined.role))
                .collect()
        }),
        news,
        more: step.next.is_some(),
        changes: step.changes,
        cursor,
        remaining,
        server_id,
        epoch,
        kept: kept.get(&0).copied(),
        digests,
    })
}

/// Returns where the next page starts.
fn position(
    spaces: &Readable,
    step: &turns::Step,
    remaining: Option<u64>,
    revision: u64,
) -> Position {
    let places = spaces
        .all
        .iter()
        .map(|reading| (reading.number, reading.place));
    let counted = remaining.filter(|_| step.next.is_some());
    let (turn, until) = step.next.unwrap_or_default();
    Position {
        revision,
        places: places.collect(),
        left: counted.unwrap_or_default(),
        counted_at: counted.map_or(0, |_| spaces.counters()),
        turn,
        until,
    }
}

/// Returns how many rows are left after a page.
///
/// Counting rows is as slow as reading them. The digests know how many rows a snapshot has, and the
/// cursor carries that count on; each write since then adds at most one row at the end.
async fn remaining<T: Transaction>(
    tx: &mut T,
    scope: &Scope,
    spaces: &Readable,
    from: &Position,
    step: &turns::Step,
    revision: u64,
) -> Result<u64, ServerError> {
    if step.next.is_none() {
        return Ok(0);
    }
    let started = |reading: &Reading| reading.starts;
    let counted = if spaces.all.iter().all(started) {
        Some(live_rows(tx, &spaces.names(), scope.entities.as_deref()).await?)
    } else if from.counted_at == 0
        || from.revision != revision
        || spaces.all.iter().any(started)
        || from.left == 0
    {
        None
    } else {
        let written = spaces.counters().saturating_sub(from.counted_at);
        Some(from.left.saturating_add(written))
    };
    let delivered = u64::try_from(step.changes.len()).unwrap_or(u64::MAX);
    if let Some(left) = counted.and_then(|counted| counted.checked_sub(delivered))
        && left > 0
    {
        return Ok(left);
    }
    let mut left = 0_u64;
    for reading in spaces.all.iter().filter(|reading| !reading.is_drained()) {
        let range = reading.range(scope.entities.as_deref());
        left = left.saturating_add(tx.count(&reading.space, range).await?);
    }
    Ok(left)
}

/// Counts the live rows of these entity types, or of all.
async fn live_rows<T: Transaction>(
    tx: &mut T,
    spaces: &[Space],
    entities: Option<&[String]>,
) -> Result<u64, ServerError> {
    let wanted = |entity: &String| entities.is_none_or(|some| some.contains(entity));
    let all = tx.digests(spaces).await?;
    Ok(all
        .iter()
        .filter(|(entity, _)| wanted(entity))
        .fold(0, |sum, (_, digest)| sum.saturating_add(digest.count)))
}

/// Returns the digests of all that a user may read, for the wire.
///
/// # Errors
/// Errors of the store.
pub async fn digests<T: Transaction>(
    tx: &mut T,
    user: &str,
) -> Result<BTreeMap<String, WireDigest>, ServerError> {
    let Reader { spaces, .. } = tx.reader(user).await?;
    let shared = spaces.into_iter().map(|joined| Space::Shared(joined.id));
    let spaces: Vec<Space> = std::iter::once(Space::personal(user))
        .chain(shared)
        .collect();
    sums(tx, &spaces, None).await
}

/// Returns the digests of these spaces, of these entity types or of all.
async fn sums<T: Transaction>(
    tx: &mut T,
    spaces: &[Space],
    entities: Option<&[String]>,
) -> Result<BTreeMap<String, WireDigest>, ServerError> {
    let all = tx.digests(spaces).await?;
    Ok(match entities {
        None => all
            .into_iter()
            .map(|(entity, digest)| (entity, digest.wire()))
            .collect(),
        Some(some) => some
            .iter()
            .filter(|entity| !is_reserved(entity) || all.contains_key(*entity))
            .map(|entity| {
                (
                    entity.clone(),
                    all.get(entity)
                        .copied()
                        .unwrap_or_else(Digest::default)
                        .wire(),
                )
            })
            .collect(),
    })
}
