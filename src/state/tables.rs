//! A type's rows are in several tables, one a space: what is said of the type is said of all of them.
//!
//! Who reads or writes selects tables with a name like theirs: a type alone is all its spaces, an
//! empty space is the personal one.

use crate::model::entity::Key;
use crate::model::table::{Table, tables};
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;
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

/// Counts the entities of a selection that readers see, those of one id in each space.
#[must_use]
pub fn count(replica: &Replica, selection: &str) -> u64 {
    let counts = selected(replica, selection)
        .into_iter()
        .map(|table| replica.count(table));
    counts.fold(0, u64::saturating_add)
}

/// Returns true if anything is, or may be, in a shared space. Asks for no row.
#[must_use]
pub fn any_shared(replica: &Replica) -> bool {
    let mut over = replica
        .outbox
        .entities()
        .chain(replica.kept_rejections.entities());
    let is_shared = |table: &str| Table(table).space().is_some();
    // Before the first list, there may be rows of spaces that nothing else tells of.
    let has_rows = || {
        let mut all = replica.entities.iter();
        all.any(|(table, rows)| is_shared(table) && rows.iter().next().is_some())
    };
    !replica.spaces.list().is_empty()
        || over.any(is_shared)
        || replica.lazy_rows.tables().any(is_shared)
        || has_rows()
}

/// Returns the one table that is selected, if it is one.
#[must_use]
pub fn only<'a>(replica: &Replica, selection: &'a str) -> Option<&'a str> {
    let table = Table(selection);
    match table.space() {
        Some("") => Some(table.entity()),
        Some(_) => Some(selection),
        None => (!any_shared(replica)).then_some(selection),
    }
}

/// Returns true if a selection has this table.
#[must_use]
pub fn selects(selection: &str, table: &str) -> bool {
    let (selected, table) = (Table(selection), Table(table));
    selected.entity() == table.entity()
        && match selected.space() {
            None => true,
            Some("") => table.space().is_none(),
            space => space == table.space(),
        }
}

/// Returns the selected tables: where two have a row of one id, the first is shown. That is the
/// personal one, then that of the space that was joined first, so that nobody can put a row before
/// the user's own by an invitation.
#[must_use]
pub fn selected<'a>(replica: &'a Replica, selection: &'a str) -> Vec<&'a str> {
    if let Some(one) = only(replica, selection) {
        return vec![one];
    }
    let mut all = of(replica, selection);
    let list = replica.spaces.list();
    let rank = |table: &str| {
        let space = Table(table).space()?;
        let place = list.iter().position(|joined| joined.space == space);
        Some(place.unwrap_or(list.len()))
    };
    let mut ranked: Vec<(Option<usize>, &str)> =
        all.drain(..).map(|table| (rank(table), table)).collect();
    sort(&mut ranked);
    ranked.into_iter().map(|(_, table)| table).collect()
}

/// Returns the selected table that shows an entity; without one, the first that knows it.
#[must_use]
pub fn find<'a>(replica: &'a Replica, selection: &'a str, id: &str) -> Option<&'a str> {
    let all = selected(replica, selection);
    let first = |is: &dyn Fn(&Key<'_>) -> bool| {
        let mut all = all.iter();
        all.find(|table| is(&Key::new(table, id))).copied()
    };
    first(&|key| replica.is_visible(key)).or_else(|| first(&|key| replica.view(key).is_some()))
}

/// Returns true if any selected table shows an entity.
#[must_use]
pub fn is_visible(replica: &Replica, selection: &str, id: &str) -> bool {
    find(replica, selection, id).is_some_and(|table| replica.is_visible(&Key::new(table, id)))
}

/// Returns the ids of the selected tables in order, each with the table that shows it.
#[must_use]
pub fn ids<'a>(
    replica: &'a Replica,
    selection: &'a str,
    after: Option<&'a str>,
) -> OrderedMap<&'a str> {
    let mut all: OrderedMap<&'a str> = OrderedMap::default();
    for table in selected(replica, selection) {
        for id in replica.ids(table, after) {
            let wins = match all.get(id) {
                None => true,
                Some(first) => {
                    !replica.is_visible(&Key::new(first, id))
                        && replica.is_visible(&Key::new(table, id))
                }
            };
            if wins {
                all.insert(id, table);
            }
        }
    }
    all
}
