//! A type's rows are in several tables, one a space: what is said of the type is said of all of them.

use crate::model::table::{Table, tables};
use crate::state::replica::Replica;
use crate::util::collections::sort::sort;

/// Returns the tables of a type that have rows or something over them: the personal one, which is
/// always among them, then in order of name.
#[must_use]
pub fn of<'a>(replica: &'a Replica, entity: &'a str) -> Vec<&'a str> {
    let (outbox, kept) = (
        replica.outbox.entities(),
        replica.kept_rejections.entities(),
    );
    let mut all: Vec<&str> = tables(&replica.entities, entity)
        .map(|(table, _)| table)
        .chain(
            outbox
                .chain(kept)
                .filter(|table| Table(table).entity() == entity),
        )
        .filter(|table| *table != entity)
        .collect();
    sort(&mut all);
    all.dedup();
    all.insert(0, entity);
    all
}

/// Counts the entities of a type that readers see, in all spaces.
#[must_use]
pub fn count(replica: &Replica, entity: &str) -> u64 {
    let counts = of(replica, entity)
        .into_iter()
        .map(|table| replica.count(table));
    counts.fold(0, u64::saturating_add)
}
