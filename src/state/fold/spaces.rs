//! The effect of what a commit says about spaces.

use crate::log::address::Seq;
use crate::log::spaces::SpaceEvent;
use crate::model::table::{Table, concerns};
use crate::state::changes::touch_rows;
use crate::state::replica::Replica;
use crate::state::rows::Row;
use crate::state::spaces::Start;

/// Folds one event of the record at `seq`.
pub(super) fn fold_space_event(replica: &mut Replica, seq: Seq, event: SpaceEvent) {
    let spaces = &mut replica.spaces;
    if !matches!(event, SpaceEvent::Passed { .. }) {
        spaces.changed_at = seq;
    }
    match event {
        SpaceEvent::List { list, asked } => spaces.take(list, asked, seq),
        SpaceEvent::Made { space } => spaces.make(&space, seq),
        SpaceEvent::Start { scope, space, at } => {
            spaces.start(&scope, &space, Start { at, since: seq });
        }
        SpaceEvent::EndStarts { scope, entities } => {
            let starts = spaces.end_starts(&scope);
            // Lazy rows that all came with the starts or later may stay lazy.
            let last = starts.values().map(|start| start.since).max();
            let before = last.unwrap_or_default().saturating_sub(1);
            if replica.entities.is_empty() && replica.lazy_rows.are_all_after(before) {
                return;
            }
            drop_rows(replica, &|table, row| {
                let start = starts.get(Table(table).space().unwrap_or_default());
                concerns(entities.as_deref(), table)
                    && start.is_some_and(|start| row.stamp < start.since && row.version <= start.at)
            });
        }
        SpaceEvent::Passed { space, version } => spaces.pass(&space, version),
        SpaceEvent::Moving { table, id, limbo } => spaces.set_limbo(&table, &id, limbo),
        SpaceEvent::Kept { space, version } => spaces.keep(&space, version),
        SpaceEvent::Support { has } => spaces.support = Some(has),
        SpaceEvent::Leave { space } => {
            spaces.leave(&space);
            let of = |table: &str| Table(table).space() == Some(&space);
            drop_rows(replica, &|table, _| of(table));
            replica.receipts.forget(&of);
            let hidden = replica.dead_letters.iter_mut().map(|(_, letter)| letter);
            for letter in hidden.filter(|letter| letter.kept && of(&letter.op.entity)) {
                letter.kept = false;
            }
            replica.kept_rejections.forget(&of);
        }
    }
}

/// Removes rows.
fn drop_rows(replica: &mut Replica, which: &dyn Fn(&str, &Row) -> bool) {
    replica.materialize();
    touch_rows(replica, which);
    for (table, rows) in replica.entities.iter_mut() {
        for id in rows.discard_all(table, &|row| which(table, row), &mut replica.segments) {
            replica.local_only.mark_orphan(table, &id);
            replica.spaces.set_limbo(table, &id, None);
        }
    }
}
