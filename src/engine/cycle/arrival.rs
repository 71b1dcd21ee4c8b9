//! Rows that arrive in the form of an older version of the app: they become those of the app's own
//! before anything is planned with them. Other rows stay as they are, byte for byte.

use std::rc::Rc;

use crate::engine::cycle::Cycle;
use crate::engine::migrations::Migrations;
use crate::model::entity::{Owner, push_entity};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::Operation;
use crate::model::protocol::{parse_page, parse_push_reply};
use crate::model::schema_field::SchemaField;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::json::keep::keep;
use crate::util::json::write::Items;

/// A row in a reply.
struct ArrivedRow<'a> {
    entity: &'a str,
    id: &'a str,
    space: Option<&'a str>,
    data: &'a str,
}

/// An older row, from its version.
type Older<'a> = (u32, ArrivedRow<'a>);

/// Returns a pulled page with its older rows migrated.
pub(super) fn page<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    bytes: Vec<u8>,
) -> Result<Vec<u8>> {
    let Some((field, migrations)) = rules(cycle) else {
        return Ok(bytes);
    };
    // What is wrong with the reply is said where it is read.
    let Ok(page) = parse_page(&bytes) else {
        return Ok(bytes);
    };
    let rows = page.changes.iter().filter_map(|row| {
        Some(ArrivedRow {
            entity: &row.entity,
            id: &row.id,
            space: row.space.as_deref(),
            data: row.data?,
        })
    });
    let moved = migrated(cycle, &field, &*migrations, &bytes, rows.collect())?;
    Ok(moved.unwrap_or(bytes))
}

/// Returns the verdicts on operations with their older rows migrated.
pub(super) fn verdicts<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    sent: &[Operation],
    bytes: Vec<u8>,
) -> Result<Vec<u8>> {
    let Some((field, migrations)) = rules(cycle) else {
        return Ok(bytes);
    };
    let ids: Vec<&str> = sent.iter().map(|op| &*op.op_id).collect();
    let Ok(reply) = parse_push_reply(&bytes, &ids) else {
        return Ok(bytes);
    };
    let rows = sent.iter().zip(&reply.results).filter_map(|(op, verdict)| {
        let table = Table(&op.entity);
        Some(ArrivedRow {
            entity: table.entity(),
            id: &op.id,
            space: table.space(),
            data: verdict.row?,
        })
    });
    let moved = migrated(cycle, &field, &*migrations, &bytes, rows.collect())?;
    Ok(moved.unwrap_or(bytes))
}

/// Returns the field that names a row's version, and the migrations, if the app has both.
fn rules<S: Store, R, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
) -> Option<(Rc<SchemaField>, Rc<dyn Migrations>)> {
    let field = cycle.config.schema_field.clone()?;
    Some((field, cycle.db.migrations()?))
}

/// Returns the reply with its older rows migrated; `None` if it has none.
fn migrated<S: Store, R, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    field: &SchemaField,
    migrations: &dyn Migrations,
    bytes: &[u8],
    rows: Vec<ArrivedRow<'_>>,
) -> Result<Option<Vec<u8>>> {
    let mut older: Vec<Older<'_>> = Vec::new();
    for row in rows {
        let from = field.of(row.data).unwrap_or(migrations.first());
        if from < field.version && migrations.changes(row.entity, from) {
            migrations
                .check(from)
                .map_err(|e| e.on(row.entity, Some(row.id)))?;
            older.push((from, row));
        }
    }
    if older.is_empty() {
        return Ok(None);
    }
    let user_id = (cycle.db).peek(|replica| replica.user_id().to_owned());
    let mut out = Vec::with_capacity(bytes.len());
    let mut end = 0_usize;
    let same = |(from, row): &Older<'_>, (other, next): &Older<'_>| {
        from == other && row.entity == next.entity
    };
    for rows in older.chunk_by(same) {
        let Some((from, first)) = rows.first() else {
            continue;
        };
        let mut all = Items::new(0);
        for (_, row) in rows {
            let owner = Owner::of(&user_id, row.space);
            push_entity(all.open(), row.data, row.id, &owner, 0, false);
        }
        let made = migrations.migrate(first.entity, *from, &all.close())?;
        for ((_, row), made) in rows.iter().zip(made) {
            let text = field.kept(row.data, &keep(row.data, &made));
            // The data is a part of the reply.
            let start = (row.data.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            out.extend_from_slice(bytes.get(end..start).ok_or_else(misplaced)?);
            out.extend_from_slice(text.as_bytes());
            end = start.saturating_add(row.data.len());
        }
    }
    out.extend_from_slice(bytes.get(end..).ok_or_else(misplaced)?);
    Ok(Some(out))
}

fn misplaced() -> Error {
    Error::new(
        Code::Protocol,
        "The rows of a reply are not in the order of its text.",
    )
}
