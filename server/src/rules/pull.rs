//! A pull: the rows that changed after a cursor, in commit order.
//!
//! A row's version is the user's counter at its last write, so version order is commit order. A row
//! that changes during paging moves to the end: it is delivered again, never lost. Every page
//! either ends the pull or advances the cursor, so a client cannot loop for ever.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;
use datum_sync::model::entity::check_id;
use datum_sync::model::protocol::{PullRequest, WireDigest};

use super::cursor::{Binding, Position};
use super::page::{Page, PageRow};
use super::scope::Scope;
use super::store::{Head, Identity, Range, Transaction};
use super::{Config, ServerError, check_user};

/// How many rows are read for one page with a scope before the page is sent as it is.
const MAX_EXAMINED: usize = 20_000;

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
    let head = tx.head(user).await?;
    let binding = Binding {
        epoch: &epoch,
        user,
        scope: scope.fingerprint(),
    };
    let from = match &request.cursor {
        None => Position {
            live_until: head.seq,
            ..Position::default()
        },
        Some(cursor) => binding.accept(cursor, head)?,
    };
    let step = if scope.fields.is_some() {
        scoped(tx, config, user, request.limit, &scope, from).await?
    } else {
        unscoped(tx, config, user, request.limit, &scope, from, head).await?
    };
    let more = step.next.is_some();
    let cursor = binding.issue(step.next.unwrap_or(Position {
        after: head.seq,
        ..Position::default()
    }));
    let digests = if more || scope.fields.is_some() {
        None
    } else {
        Some(digests(tx, user, scope.entities.as_deref()).await?)
    };
    let kept = match request.epoch.as_deref().filter(|asked| *asked != epoch) {
        Some(asked) => tx.last_version_of_epoch(user, asked).await?,
        None => None,
    };
    Ok(Page {
        changes: step.changes,
        cursor,
        more,
        remaining: step.remaining,
        server_id,
        epoch,
        kept,
        digests,
    })
}

/// The rows of one page, and where the next page starts if there is one.
struct Step {
    changes: Vec<PageRow>,
    next: Option<Position>,
    remaining: Option<u64>,
}

async fn unscoped<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    limit: usize,
    scope: &Scope,
    from: Position,
    head: Head,
) -> Result<Step, ServerError> {
    let range = Range {
        entities: scope.entities.as_deref(),
        after: from.after,
        live_until: from.live_until,
    };
    let found = tx.scan(user, range, limit, config.max_page_bytes).await?;
    let last = found.rows.last().map_or(from.after, |row| row.version);
    let left = if found.more {
        let delivered = u64::try_from(found.rows.len()).unwrap_or(u64::MAX);
        let rest = Range {
            after: last,
            ..range
        };
        remaining(tx, user, rest, from, head, delivered).await?
    } else {
        0
    };
    let next = found.more.then_some(Position {
        after: last,
        live_until: if from.live_until > last {
            from.live_until
        } else {
            0
        },
        left,
        counted_at: head.seq,
    });
    let changes = found
        .rows
        .into_iter()
        .map(|row| PageRow {
            row,
            left_scope: false,
        })
        .collect();
    Ok(Step {
        changes,
        next,
        remaining: Some(left),
    })
}

/// Returns how many rows are left in `rest`, after a page of `delivered` rows that began at `from`.
///
/// Counting rows is as slow as reading them. The digests know how many rows a snapshot has, and the
/// cursor carries that count on; each write since then adds at most one row at the end.
async fn remaining<T: Transaction>(
    tx: &mut T,
    user: &str,
    rest: Range<'_>,
    from: Position,
    head: Head,
    delivered: u64,
) -> Result<u64, ServerError> {
    let (counted, written) = match from.counted_at {
        0 if from.after == 0 => (live_rows(tx, user, rest.entities).await?, 0),
        counted_at => (from.left, head.seq.saturating_sub(counted_at)),
    };
    match counted.saturating_add(written).checked_sub(delivered) {
        Some(left) if counted > 0 && left > 0 => Ok(left),
        _ => tx.count(user, rest).await,
    }
}

/// Counts a user's live rows of these entity types, or of all.
async fn live_rows<T: Transaction>(
    tx: &mut T,
    user: &str,
    entities: Option<&[String]>,
) -> Result<u64, ServerError> {
    let wanted = |entity: &String| entities.is_none_or(|some| some.contains(entity));
    let all = tx.digests(user).await?;
    Ok(all
        .iter()
        .filter(|(entity, _)| wanted(entity))
        .fold(0, |sum, (_, digest)| sum.saturating_add(digest.count)))
}

async fn scoped<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    limit: usize,
    scope: &Scope,
    from: Position,
) -> Result<Step, ServerError> {
    let mut changes = Vec::new();
    let mut at = from;
    let mut examined = 0_usize;
    loop {
        let range = Range {
            entities: scope.entities.as_deref(),
            after: at.after,
            live_until: at.live_until,
        };
        let found = tx.scan(user, range, limit, config.max_page_bytes).await?;
        examined = examined.saturating_add(found.rows.len());
        for row in found.rows {
            at.after = row.version;
            let inside = row.data.as_ref().is_none_or(|data| scope.matches(data));
            // During a snapshot the client holds no row yet that could have left the scope.
            if inside || row.version > from.live_until {
                changes.push(PageRow {
                    row,
                    left_scope: !inside,
                });
            }
        }
        if at.live_until <= at.after {
            at.live_until = 0;
        }
        if !found.more {
            return Ok(Step {
                changes,
                next: None,
                remaining: None,
            });
        }
        if !changes.is_empty() || examined >= MAX_EXAMINED {
            return Ok(Step {
                changes,
                next: Some(Position {
                    left: 0,
                    counted_at: 0,
                    ..at
                }),
                remaining: None,
            });
        }
    }
}

/// Returns a user's digests for the wire, of these entity types or of all.
///
/// # Errors
/// Errors of the store.
pub async fn digests<T: Transaction>(
    tx: &mut T,
    user: &str,
    entities: Option<&[String]>,
) -> Result<BTreeMap<String, WireDigest>, ServerError> {
    let all = tx.digests(user).await?;
    Ok(match entities {
        None => all
            .into_iter()
            .map(|(entity, digest)| (entity, digest.wire()))
            .collect(),
        Some(some) => some
            .iter()
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
