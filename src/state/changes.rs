//! The changes that commits make for readers: notes entities before the fold changes them, and
//! compares afterwards.

use crate::log::commit::SegmentWrite;
use crate::model::entity::{Key, OwnedKey};
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::Row;
use crate::state::sync_states::SyncStates;
use crate::state::touched::{Changed, RowChange, Visibility};
use crate::state::view::ViewBody;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// Returns the changes since the last call.
pub fn take(replica: &mut Replica) -> Vec<Changed> {
    let before = replica.touched.take();
    let states = replica.touched.take_states();
    let mut changes = compared(replica, &before);
    add_states(&mut changes, &before, &states);
    changes
}

/// Adds the entities of which nothing but the sync state has changed.
fn add_states(changes: &mut Vec<Changed>, before: &Visibility, states: &VecMap<OrderedMap<()>>) {
    for (entity, ids) in states.iter() {
        let is_alone = |id: &str| before.get(entity).is_none_or(|ids| ids.get(id).is_none());
        let alone = ids.iter().filter(|(id, ())| is_alone(id));
        let ids: Vec<_> = alone
            .map(|(id, ())| (id.to_owned(), RowChange::SyncState))
            .collect();
        if !ids.is_empty() {
            changes.push(Changed {
                entity: entity.to_owned(),
                ids,
            });
        }
    }
}

/// Returns the differences from an older state that `replica` replaces, as after a log was read
/// again.
#[must_use]
pub fn since(old: &Replica, replica: &Replica) -> Vec<Changed> {
    let mut before = Visibility::default();
    for (one, other) in [(old, replica), (replica, old)] {
        let entities = one.entities.keys().chain(one.outbox.entities());
        for entity in entities.chain(one.kept_rejections.entities()) {
            let touched = before.entry(entity);
            for id in one.ids(entity, None) {
                let key = Key::new(entity, id);
                if fingerprint(one, &key) != fingerprint(other, &key) {
                    touched.insert(id, old.is_visible(&key));
                }
            }
        }
    }
    let mut changes = compared(replica, &before);
    changes.retain(|changed| !changed.ids.is_empty());
    let mut states: VecMap<OrderedMap<()>> = VecMap::default();
    let (was, is) = (SyncStates::of(old), SyncStates::of(replica));
    for key in was.unsettled().chain(is.unsettled()) {
        if was.get(key) != is.get(key) {
            states.entry(key.entity).insert(key.id, ());
        }
    }
    add_states(&mut changes, &before, &states);
    changes
}

fn compared(replica: &Replica, before: &Visibility) -> Vec<Changed> {
    let types = before.iter().map(|(entity, ids)| Changed {
        entity: entity.to_owned(),
        ids: ids
            .iter()
            .map(|(id, was)| {
                let is = replica.is_visible(&Key::new(entity, id));
                (id.to_owned(), RowChange::between(*was, is))
            })
            .collect(),
    });
    types.collect()
}

/// Distinguishes two states of an entity: version, tombstone, the write on top, local-only fields.
fn fingerprint<'a>(
    replica: &'a Replica,
    key: &Key,
) -> Option<(u64, bool, Option<&'a str>, Option<&'a str>)> {
    let view = replica.view(key)?;
    let local = match replica.local_only_fields(key) {
        Some(ViewBody::Text(text)) => Some(text),
        _ => None,
    };
    let pending = replica.outbox.last(key).map(|op| op.op_id.as_str());
    let kept = || Some(replica.kept_rejections.get(key)?.letter.as_str());
    Some((view.version, view.deleted, pending.or_else(kept), local))
}

fn describes_space(table: &str) -> bool {
    is_reserved(Table(table).entity())
}

/// Notes that the record after the head changes what is shown of spaces, if it does.
fn touch_table(replica: &mut Replica, table: &str) {
    if describes_space(table) {
        replica.spaces.changed_at = replica.head().saturating_add(1);
    }
}

/// Notes an entity that is about to change.
pub(super) fn touch(replica: &mut Replica, entity: &str, id: &str) {
    touch_table(replica, entity);
    if replica.touched.wants(entity, id) {
        let was_visible = replica.is_visible(&Key::new(entity, id));
        replica.touched.note(entity, id, was_visible);
    }
}

/// Notes the entities of a segment that is about to be folded.
pub(super) fn touch_segment(replica: &mut Replica, segment: &SegmentWrite) {
    touch_table(replica, &segment.entity);
    if !replica.is_listening() {
        return;
    }
    // Local-only fields belong to the entity.
    let entity = segment
        .entity
        .strip_prefix(PREFIX)
        .unwrap_or(&segment.entity);
    for entry in &segment.entries {
        // A full pull that only confirms a row changes nothing for readers.
        let is_confirmed = entry.retain
            && !entry.deleted
            && replica
                .row(&Key::new(&segment.entity, &entry.id))
                .is_some_and(|row| row.version == entry.version && !row.deleted);
        if !is_confirmed {
            touch(replica, entity, &entry.id);
        }
    }
}

/// Notes the entity of a pending operation that is about to leave the outbox.
pub(super) fn touch_operation(replica: &mut Replica, op_id: &str) {
    let wanted = |table: &str| replica.is_listening() || describes_space(table);
    let queued = replica.outbox.get(op_id);
    let keys: Vec<OwnedKey> = (queued.into_iter())
        .flat_map(|queued| {
            let tables = queued.op.tables().filter(|table| wanted(table));
            tables.map(|table| Key::new(table, &queued.op.id).to_owned())
        })
        .collect();
    for key in keys {
        touch(replica, &key.entity, &key.id);
    }
}

/// Notes the entity of a dead letter that is about to be removed.
pub(super) fn touch_letter(replica: &mut Replica, id: &str) {
    let letter = replica
        .dead_letters
        .get(id)
        .filter(|letter| replica.is_listening() && letter.kept);
    if let Some(key) = letter.map(|letter| Key::new(&letter.op.entity, &letter.op.id).to_owned()) {
        touch(replica, &key.entity, &key.id);
    }
}

/// Notes the entities of all rows for which `concerned` holds.
pub(super) fn touch_rows(replica: &mut Replica, concerned: &dyn Fn(&str, &Row) -> bool) {
    if replica.is_listening() {
        let mut keys = Vec::new();
        for (entity, rows) in replica.entities.iter() {
            keys.extend(
                rows.iter()
                    .filter(|(_, row)| concerned(entity, row))
                    .map(|(id, _)| Key::new(entity, id).to_owned()),
            );
        }
        for key in keys {
            touch(replica, &key.entity, &key.id);
        }
    }
}
