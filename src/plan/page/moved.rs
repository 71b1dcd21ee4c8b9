//! Rows that were moved to another space. The page that tells of it may end between the tombstone
//! and the row: until the row is there, or the pull ends, it is shown where it was, and nothing
//! over it is sent or decided.

use crate::log::commit::{Entry, Event};
use crate::log::spaces::{Limbo, SpaceEvent};
use crate::model::entity::Key;
use crate::model::protocol::{PullPage, WireRow};
use crate::model::space::Joined;
use crate::model::table::Table;
use crate::plan::hand_over::{Delivery, HandedOver, hand_over};
use crate::plan::page::PageRules;
use crate::plan::page::listing::{is_in, say};
use crate::plan::row_planner::{RemoteRow, RowPlanner, Tombstones};
use crate::state::replica::Replica;

/// A row that has left its space.
struct Leaving {
    table: String,
    id: String,
    /// The version of the tombstone.
    version: u64,
    to: Limbo,
    /// The log knows of it already.
    is_known: bool,
}

impl Leaving {
    fn key(&self) -> Key<'_> {
        Key::new(&self.table, &self.id)
    }

    /// The tombstone that it leaves.
    fn tombstone<'a>(&'a self, rules: &PageRules<'_>) -> RemoteRow<'a> {
        RemoteRow {
            entity: &self.table,
            id: &self.id,
            version: self.version,
            body: None,
            soft: (rules.soft)(&self.table),
            confirmed_absent: true,
        }
    }
}

/// The changes of a page that count, and those of them that are planned.
pub(super) struct Changes<'a> {
    pub(super) page: &'a PullPage<'a>,
    /// Indexes of changes that are planned, or that a later one of the page replaces.
    pub(super) done: Vec<usize>,
}

impl<'a> Changes<'a> {
    fn of(&self, key: &Key<'_>) -> Option<(usize, &'a WireRow<'a>)> {
        let mut all = self.page.changes.iter().enumerate();
        all.find(|(at, row)| row.id == key.id && row.is_of(key.entity) && !self.done.contains(at))
    }
}

/// Plans the rows that leave their space, and those on their way.
pub(super) fn plan_moves(
    planner: &mut RowPlanner<'_>,
    changes: &mut Changes<'_>,
    rules: &PageRules<'_>,
    list: &[Joined],
) {
    let mut leaving = known(planner.replica, changes);
    leaving.extend(told(planner.replica, changes, rules, list));
    for row in leaving {
        let target = Key::new(&row.to.to, &row.id);
        let came = changes
            .of(&target)
            .filter(|(_, change)| change.version >= row.to.version);
        let here = planner.replica.row(&target);
        let here = here.filter(|here| here.version >= row.to.version);
        let lives = match (came, here) {
            (Some((_, change)), _) => Some(!change.deleted),
            (None, Some(here)) => Some(!here.deleted),
            (None, None) => None,
        };
        if lives.is_none() && changes.page.more {
            if !row.is_known {
                hold(planner, &row, rules);
            }
            continue;
        }
        if row.is_known {
            moving(planner, &row, None);
        }
        if lives != Some(true) {
            // It is gone from there too, or the user may not read it any more.
            planner.apply_remote_row(&row.tombstone(rules), Tombstones::Apply);
            continue;
        }
        let body = match came {
            Some((_, change)) => change.data.map(str::to_owned),
            None => match planner.held(&target) {
                Some(body) => body.map(|body| body.to_string()),
                None => continue,
            },
        };
        let version = came.map_or_else(
            || here.map_or(0, |here| here.version),
            |(_, change)| change.version,
        );
        let there = RemoteRow {
            entity: &row.to.to,
            id: &row.id,
            version,
            body: body.as_deref(),
            soft: (rules.soft)(&row.to.to),
            confirmed_absent: true,
        };
        // What was refused, and is still shown, is shown where the row is.
        if let Some(letter) = planner.replica.kept_rejection(&row.key()) {
            let mut letter = letter.clone();
            letter.op.entity.clone_from(&row.to.to);
            let id = letter.op.op_id.clone();
            planner.push_event(Event::Revive { id });
            let dead_letters = vec![letter];
            planner.push_event(Event::DeadLetters { dead_letters });
        }
        let handed = hand_over(planner, &row.key(), &there, Delivery::Maybe);
        if handed == HandedOver::Not {
            planner.write_left(&row.tombstone(rules));
            continue;
        }
        if let (HandedOver::WithRow, Some((at, _))) = (handed, came) {
            changes.done.push(at);
        }
        planner.write_row(&row.tombstone(rules), Tombstones::Apply);
    }
}

/// Rows on their way since an earlier page, of which this one tells nothing newer.
fn known(replica: &Replica, changes: &Changes<'_>) -> Vec<Leaving> {
    let mut leaving = Vec::new();
    for (table, ids) in replica.spaces().limbo().iter() {
        for (id, to) in ids.iter() {
            let version = replica.row_version(&Key::new(table, id)).unwrap_or(0);
            let newer = changes.of(&Key::new(table, id));
            if newer.is_none_or(|(_, change)| change.version <= version) {
                leaving.push(Leaving {
                    table: table.to_owned(),
                    id: id.to_owned(),
                    version,
                    to: to.clone(),
                    is_known: true,
                });
            }
        }
    }
    leaving
}

/// Rows of which this page says that they were moved to where the user may read them.
fn told(
    replica: &Replica,
    changes: &mut Changes<'_>,
    rules: &PageRules<'_>,
    list: &[Joined],
) -> Vec<Leaving> {
    let mut leaving = Vec::new();
    for (at, change) in changes.page.changes.iter().enumerate() {
        let Some(to) = change.moved_to.as_ref().filter(|_| change.deleted) else {
            continue;
        };
        let (space, target) = (change.space.as_deref(), to.space.as_deref());
        let readable = |space: Option<&str>| space.is_none_or(|space| is_in(list, space));
        let table = Table::name(&change.entity, space);
        let key = Key::new(&table, &change.id);
        let row = replica.row(&key);
        let concerns = row.is_some_and(|row| !row.deleted) || replica.outbox().last(&key).is_some();
        if concerns
            && space != target
            && readable(space)
            && readable(target)
            && (rules.known)(&change.entity)
            && !changes.done.contains(&at)
            && row.is_none_or(|row| row.version <= change.version)
        {
            changes.done.push(at);
            leaving.push(Leaving {
                to: Limbo {
                    to: Table::name(&change.entity, target).into_owned(),
                    version: to.version,
                },
                table: table.into_owned(),
                id: change.id.to_string(),
                version: change.version,
                is_known: false,
            });
        }
    }
    leaving
}

/// Goes on showing a row that has left, at the version of its tombstone.
fn hold(planner: &mut RowPlanner<'_>, row: &Leaving, rules: &PageRules<'_>) {
    let lives = planner
        .replica
        .row(&row.key())
        .is_some_and(|row| !row.deleted);
    if lives {
        let entry = Entry {
            id: row.id.clone(),
            version: row.version,
            retain: true,
            ..Entry::default()
        };
        planner.put_row(&row.table, entry, None);
    } else {
        planner.write_left(&row.tombstone(rules));
    }
    moving(planner, row, Some(row.to.clone()));
}

fn moving(planner: &mut RowPlanner<'_>, row: &Leaving, limbo: Option<Limbo>) {
    say(
        planner,
        SpaceEvent::Moving {
            table: row.table.clone(),
            id: row.id.clone(),
            limbo,
        },
    );
}
