//! The queries that read sets of keys.

use std::collections::{BTreeMap, HashMap};

use datum_sync::model::digest::Digest;

use super::super::failure::corrupt;
use super::super::key::{can_have, key, space_of};
use super::super::statement::{Session, column, number, one, place, rows, sql};
use super::Line;
use crate::rules::store::{AppliedOperation, Head, Range, Result, Space, Stamp};
use crate::sql_stores::signed;

/// Returns the line of a space.
pub(super) async fn line(session: &mut Session, space: &str) -> Result<Option<Line>> {
    let query = sql("SELECT seq, floor, members FROM datum_server.space WHERE space = $1");
    let row = one(session, query.bind(space)).await?;
    row.map(|row| {
        Ok(Line {
            head: Head {
                seq: number(&row, 0)?,
                floor: number(&row, 1)?,
            },
            members: number(&row, 2)?,
        })
    })
    .transpose()
}

pub(super) async fn stamps(
    session: &mut Session,
    space: &str,
    keys: &[(&str, &str)],
) -> Result<Vec<Option<Stamp>>> {
    let mut stamps = vec![None; keys.len()];
    let (entities, ids): (Vec<&str>, Vec<&str>) = keys.iter().copied().unzip();
    // One look into the index for each key, whatever the planner believes of the table.
    let query = sql("SELECT k.place, e.version, e.deleted, e.moved_to
         FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS k(entity, id, place)
         CROSS JOIN LATERAL (
           SELECT version, deleted, moved_to FROM datum_server.entity
           WHERE space = $1 AND entity = k.entity AND id = k.id LIMIT 1
         ) AS e");
    let query = query.bind(space).bind(&entities).bind(&ids);
    for row in rows(session, query).await? {
        let moved_to: Option<&str> = column(&row, 3)?;
        let stamp = Stamp {
            version: number(&row, 1)?,
            deleted: column(&row, 2)?,
            moved_to: moved_to.map(space_of).transpose()?,
        };
        if let Some(slot) = stamps.get_mut(place(&row, 0)?) {
            *slot = Some(stamp);
        }
    }
    Ok(stamps)
}

pub(super) async fn applied(
    session: &mut Session,
    user: &str,
    op_ids: &[&str],
) -> Result<Vec<Option<AppliedOperation>>> {
    let mut applied = vec![None; op_ids.len()];
    // What PostgreSQL cannot have is none of them.
    let asked: Vec<Option<&str>> = op_ids
        .iter()
        .map(|op_id| Some(*op_id).filter(|op_id| can_have(op_id)))
        .collect();
    let query = sql(
        "SELECT k.place, o.version, o.entity, o.id, o.left_version, o.named
         FROM unnest($2::text[]) WITH ORDINALITY AS k(op_id, place)
         CROSS JOIN LATERAL (
           SELECT version, entity, id, left_version, named FROM datum_server.operation
           WHERE space = $1 AND op_id = k.op_id LIMIT 1
         ) AS o",
    );
    for row in rows(session, query.bind(user).bind(&asked)).await? {
        let index = place(&row, 0)?;
        if let (Some(slot), Some(op_id)) = (applied.get_mut(index), op_ids.get(index)) {
            *slot = Some(AppliedOperation {
                op_id: (*op_id).to_owned(),
                entity: column(&row, 2)?,
                id: column(&row, 3)?,
                version: number(&row, 1)?,
                space: space_of(column(&row, 5)?)?,
                left: Some(number(&row, 4)?).filter(|left| *left > 0),
            });
        }
    }
    Ok(applied)
}

pub(super) async fn count(session: &mut Session, space: &str, range: Range<'_>) -> Result<u64> {
    let query = match range.entities {
        None => sql("SELECT count(*) FROM datum_server.entity
             WHERE space = $1 AND version > $2 AND (NOT deleted OR version > $3)"),
        Some(_) => sql("SELECT count(*) FROM datum_server.entity
             WHERE space = $1 AND version > $2 AND (NOT deleted OR version > $3)
               AND entity = ANY($4)"),
    };
    let query = query
        .bind(space)
        .bind(signed(range.after))
        .bind(signed(range.live_until));
    let query = match range.entities {
        None => query,
        Some(entities) => query.bind(entities),
    };
    let found = one(session, query).await?;
    number(&found.ok_or_else(|| corrupt("no count"))?, 0)
}

/// Returns the digests of these spaces, summed over them.
pub(super) async fn digests(
    session: &mut Session,
    spaces: &[Space],
) -> Result<BTreeMap<String, Digest>> {
    // Summed here: the sums wrap around.
    let query = sql("SELECT entity, count, sum FROM datum_server.digest WHERE space = ANY($1)");
    let keys: Vec<String> = spaces.iter().map(key).collect();
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    for row in rows(session, query.bind(&keys)).await? {
        let sum: i64 = column(&row, 2)?;
        let digest = Digest {
            count: number(&row, 1)?,
            sum: sum.cast_unsigned(),
        };
        let entity: String = column(&row, 0)?;
        let all = digests.entry(entity).or_default();
        *all = all.and(digest);
    }
    Ok(digests)
}

pub(super) async fn last_versions(
    session: &mut Session,
    spaces: &[Space],
    epoch: &str,
) -> Result<Option<Vec<u64>>> {
    if !can_have(epoch) {
        return Ok(None);
    }
    let known = sql("SELECT 1 FROM datum_server.epoch WHERE epoch = $1");
    if one(session, known.bind(epoch)).await?.is_none() {
        return Ok(None);
    }
    let keys: Vec<String> = spaces.iter().map(key).collect();
    let query = sql("SELECT space, seq FROM datum_server.epoch_history
         WHERE space = ANY($1) AND epoch = $2");
    let mut last: HashMap<String, u64> = HashMap::new();
    for row in rows(session, query.bind(&keys).bind(epoch)).await? {
        last.insert(column(&row, 0)?, number(&row, 1)?);
    }
    let version = |key| last.get(key).copied().unwrap_or_default();
    Ok(Some(keys.iter().map(version).collect()))
}
