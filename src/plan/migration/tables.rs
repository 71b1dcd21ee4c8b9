//! The tables that a migration walks through: those of rows, and those of local-only fields, whose
//! names have their prefix here.

use crate::log::address::BodyId;
use crate::model::entity::Key;
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::Rows;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;

/// How many rows are looked at for segments to fetch at once.
const FETCHED_ROWS: usize = 20_000;

/// How many segments are fetched at once.
const FETCHED_SEGMENTS: usize = 24;

/// Counts the rows that a migration looks at.
#[must_use]
pub fn count(replica: &Replica) -> u64 {
    let own = replica.entities().iter().chain(replica.local_only().iter());
    own.fold(0, |sum, (_, rows)| sum.saturating_add(rows.total()))
}

/// Returns the rows of a table, or of its local-only fields.
pub(in crate::plan) fn rows_of<'a>(replica: &'a Replica, name: &str) -> Option<&'a Rows> {
    match name.strip_prefix(PREFIX) {
        Some(table) => replica.local_only().rows(table),
        None => replica.entities().get(name),
    }
}

/// Returns the name of the table after this one: first those of local-only fields.
pub(super) fn table_after(replica: &Replica, name: Option<&str>) -> Option<String> {
    let local = replica
        .local_only()
        .iter()
        .map(|(table, _)| format!("{PREFIX}{table}"));
    let mut all = local.chain(replica.entities().keys().map(str::to_owned));
    all.find(|table| name.is_none_or(|name| name < &**table))
}

/// Returns segments that the next rows of a table need and that are not in memory.
pub(super) fn absent(replica: &Replica, name: &str, after: Option<&str>) -> Vec<BodyId> {
    let mut found: SeqMap<()> = SeqMap::default();
    let table = name.strip_prefix(PREFIX).unwrap_or(name);
    let rows = rows_of(replica, name).into_iter();
    for (id, row) in rows
        .flat_map(|rows| rows.rows_after(after))
        .take(FETCHED_ROWS)
    {
        let key = Key::new(table, id);
        let synced = replica.row(&key).and_then(|row| replica.body_of(row));
        for body in [
            replica.body_of(row),
            synced,
            replica.local_only_fields(&key),
        ] {
            if let Some(ViewBody::Absent { segment, .. }) = body {
                found.insert(segment, ());
            }
        }
        if found.keys().len() >= FETCHED_SEGMENTS {
            break;
        }
    }
    found.keys()
}
