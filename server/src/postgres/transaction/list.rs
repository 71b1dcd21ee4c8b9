//! What a pull lists: the spaces of a user, and the rows of a page.

use datum_sync::model::space::Role;
use sqlx::postgres::PgRow;

use super::super::failure::corrupt;
use super::super::key::{shared_key, space_of, user_key};
use super::super::statement::{Query, Session, column, number, one, place, rows, sql};
use crate::rules::store::{Head, Joined, Range, Reader, Result, Row, Scanned};
use crate::sql_stores::merge::{Ranges, first_versions};
use crate::sql_stores::{BoundedRows, and_one, role_of, signed};

/// How many rows are looked at first, and at most, for a page that may be full of bytes before that.
const CHUNKS: (i64, i64) = (1_024, 8_192);

pub(super) async fn reader(session: &mut Session, user: &str) -> Result<Reader> {
    let own = user_key(user);
    let query = sql("SELECT
           coalesce((SELECT seq FROM datum_server.space WHERE space = $1), 0),
           coalesce((SELECT floor FROM datum_server.space WHERE space = $1), 0),
           coalesce((SELECT revision FROM datum_server.reader WHERE space = $1), 0),
           coalesce((SELECT spaces FROM datum_server.reader WHERE space = $1), 0)");
    let found = one(session, query.bind(&own)).await?;
    let row = found.ok_or_else(|| corrupt("no row"))?;
    let mut reader = Reader {
        head: head(&row, 0)?,
        revision: number(&row, 2)?,
        spaces: Vec::new(),
    };
    if number(&row, 3)? > 0 {
        reader.spaces = joined(session, &own).await?;
    }
    Ok(reader)
}

/// Returns a user's shared spaces, in the order of joining.
async fn joined(session: &mut Session, own: &str) -> Result<Vec<Joined>> {
    let query = sql("SELECT shared, number, role FROM datum_server.membership
         WHERE space = $1 AND role > 0 ORDER BY joined");
    let mut spaces = Vec::new();
    for row in rows(session, query.bind(own)).await? {
        let id: String = column(&row, 0)?;
        spaces.push(Joined {
            id: id.into(),
            number: number(&row, 1)?,
            role: role(&row, 2)?.ok_or_else(|| corrupt("a role"))?,
            head: Head::default(),
        });
    }
    // Not joined to the list: so only those parts of a partitioned table are read that have them.
    let keys: Vec<String> = spaces.iter().map(|joined| shared_key(&joined.id)).collect();
    let query = sql("SELECT k.place, s.seq, s.floor
         FROM datum_server.space AS s
         JOIN unnest($1::text[]) WITH ORDINALITY AS k(space, place) ON k.space = s.space
         WHERE s.space = ANY($1)");
    for row in rows(session, query.bind(&keys)).await? {
        if let Some(joined) = spaces.get_mut(place(&row, 0)?) {
            joined.head = head(&row, 1)?;
        }
    }
    Ok(spaces)
}

pub(super) async fn scan(
    session: &mut Session,
    space: &str,
    range: Range<'_>,
    limit: usize,
    max_bytes: usize,
) -> Result<Scanned> {
    let mut page = BoundedRows::new(limit, max_bytes);
    let (mut chunk, most) = CHUNKS;
    let Some(entities) = range.entities else {
        let mut after = range.after;
        loop {
            let left = limit.saturating_sub(page.scanned.rows.len());
            let wanted = and_one(left).min(chunk);
            let query = next_rows(space, after, range.live_until, wanted, page.bytes_left());
            if !fill(&mut page, rows(session, query).await?, wanted)? {
                return Ok(page.scanned);
            }
            after = page.scanned.rows.last().map_or(after, |row| row.version);
            chunk = chunk.saturating_mul(4).min(most);
        }
    };
    // Neither the rows of other types are read nor any row twice: first which rows the page may
    // have, from an index that has no data, and then those.
    let mut ranges = PostgresRanges {
        session,
        space,
        live_until: range.live_until,
    };
    let versions = first_versions(&mut ranges, entities, range.after, limit).await?;
    let mut versions: Vec<i64> = versions.into_iter().map(signed).collect();
    while !versions.is_empty() {
        let size = usize::try_from(chunk).unwrap_or(usize::MAX);
        let rest = versions.split_off(size.min(versions.len()));
        let wanted = i64::try_from(versions.len()).unwrap_or(i64::MAX);
        let query = rows_at(space, &versions, page.bytes_left());
        if !fill(&mut page, rows(&mut *ranges.session, query).await?, wanted)? {
            break;
        }
        versions = rest;
        chunk = chunk.saturating_mul(4).min(most);
    }
    Ok(page.scanned)
}

/// Returns the query for the next rows: as many as fit, and the first that does not. The sum is made
/// in the database, so that no row comes over the network only to be left out.
fn next_rows(space: &str, after: u64, live_until: u64, wanted: i64, bytes: usize) -> Query<'_> {
    let query = sql("SELECT entity, id, version, data, moved_to, found FROM (
           SELECT *, count(*) OVER () AS found,
             sum(size) OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) - size AS before
           FROM (
             SELECT entity, id, version, data, moved_to,
               octet_length(entity) + octet_length(id) + coalesce(octet_length(data), 0) + 64 AS size
             FROM datum_server.entity
             WHERE space = $1 AND version > $2 AND (NOT deleted OR version > $3)
             ORDER BY version LIMIT $4
           ) AS next
         ) AS summed WHERE before <= $5 ORDER BY version");
    query
        .bind(space)
        .bind(signed(after))
        .bind(signed(live_until))
        .bind(wanted)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The same of these rows.
fn rows_at<'q>(space: &'q str, versions: &'q [i64], bytes: usize) -> Query<'q> {
    let query = sql("SELECT entity, id, version, data, moved_to, found FROM (
           SELECT *, count(*) OVER () AS found,
             sum(size) OVER (ORDER BY version ROWS UNBOUNDED PRECEDING) - size AS before
           FROM (
             SELECT entity, id, version, data, moved_to,
               octet_length(entity) + octet_length(id) + coalesce(octet_length(data), 0) + 64 AS size
             FROM unnest($2::bigint[]) AS k(wanted)
             CROSS JOIN LATERAL (
               SELECT entity, id, version, data, moved_to FROM datum_server.entity
               WHERE space = $1 AND version = k.wanted LIMIT 1
             ) AS e
           ) AS next
         ) AS summed WHERE before <= $3 ORDER BY version");
    query
        .bind(space)
        .bind(versions)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Adds rows to a page. Returns whether there may be more that fit.
fn fill(page: &mut BoundedRows, rows: Vec<PgRow>, wanted: i64) -> Result<bool> {
    let mut found = 0;
    let mut read = 0_i64;
    for row in &rows {
        found = column(row, 5)?;
        read = read.saturating_add(1);
        if !page.push(read_row(row)?) {
            return Ok(false);
        }
    }
    // A first row that is larger than a page is all of it.
    page.scanned.more = read < found;
    Ok(read == found && found == wanted)
}

fn read_row(row: &PgRow) -> Result<Row> {
    let data: Option<String> = column(row, 3)?;
    let moved_to: Option<&str> = column(row, 4)?;
    let moved_to = moved_to.filter(|_| data.is_none());
    Ok(Row {
        entity: column(row, 0)?,
        id: column(row, 1)?,
        version: number(row, 2)?,
        data: data.map(Into::into),
        moved_to: moved_to.map(space_of).transpose()?,
    })
}

/// The index of entity types.
struct PostgresRanges<'c> {
    session: &'c mut Session,
    space: &'c str,
    live_until: u64,
}

impl Ranges for PostgresRanges<'_> {
    async fn read(&mut self, asked: &[(&str, u64)], most: usize) -> Result<Vec<(usize, u64)>> {
        let names: Vec<&str> = asked.iter().map(|(entity, _)| *entity).collect();
        let after: Vec<i64> = asked.iter().map(|(_, after)| signed(*after)).collect();
        let query = sql("SELECT k.place, e.version
             FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS k(entity, after, place)
             CROSS JOIN LATERAL (
               SELECT version FROM datum_server.entity
               WHERE space = $1 AND entity = k.entity AND version > k.after
                 AND (NOT deleted OR version > $2)
               ORDER BY version LIMIT $5
             ) AS e");
        let query = query
            .bind(self.space)
            .bind(signed(self.live_until))
            .bind(&names)
            .bind(&after)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let found = rows(&mut *self.session, query).await?;
        found
            .iter()
            .map(|row| Ok((place(row, 0)?, number(row, 1)?)))
            .collect()
    }
}

fn head(row: &PgRow, index: usize) -> Result<Head> {
    Ok(Head {
        seq: number(row, index)?,
        floor: number(row, index.saturating_add(1))?,
    })
}

/// Returns the role in a column, if it holds any.
fn role(row: &PgRow, index: usize) -> Result<Option<Role>> {
    let stored: i16 = column(row, index)?;
    role_of(stored.into()).map_err(corrupt)
}
