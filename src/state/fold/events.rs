//! The effect of each event of a commit on the state.

use crate::log::address::{BodyId, Seq};
use crate::log::commit::Event;
use crate::log::facts::{CursorState, DeadLetter, Parked};
use crate::log::receipt::Restored;
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind};
use crate::model::space::SPACE;
use crate::model::table::{Table, concerns};
use crate::state::changes::{touch, touch_letter, touch_operation, touch_rows};
use crate::state::fold::Origin;
use crate::state::fold::spaces::fold_space_event;
use crate::state::replica::Replica;
use crate::state::spaces::Spaces;
use crate::util::collections::vec_map::VecMap;

/// Folds one event of the record at `seq`.
pub(super) fn fold_event(replica: &mut Replica, seq: Seq, event: Event, origin: Origin) {
    match event {
        Event::Queue { op, replaces } => fold_queue(replica, op, &replaces, origin),
        Event::Dequeue { ops } => fold_dequeue(replica, &ops),
        Event::Applied {
            op_id,
            version,
            with_row,
            at,
            field_hashes,
        } => {
            if let Some(op) = fold_applied(replica, &op_id, version, at, &field_hashes) {
                if let (SPACE, OperationKind::Create) = (Table(&op.entity).entity(), op.kind) {
                    replica.spaces.make(&op.id, seq);
                }
                if !with_row {
                    fold_applied_row(replica, seq, op, version);
                }
            }
        }
        Event::Rebase { op_id, version } => replica.outbox.rebase(&op_id, version),
        Event::Cursor { scope, state } => fold_cursor(replica, &scope, state),
        Event::ResetCursor { scope } => drop(replica.cursors.remove(&scope)),
        Event::Sweep { before, entities } => fold_sweep(replica, before, entities.as_deref()),
        Event::NeedFullPull => replica.damage.needs_full_pull = true,
        Event::ReleaseDeletes => fold_release_deletes(replica),
        Event::Park { conflict } => fold_park(replica, conflict),
        Event::Unpark { id } => unpark(replica, &id),
        Event::DeadLetters { dead_letters } => fold_dead_letters(replica, dead_letters),
        Event::Revive { id } => fold_revive(replica, &id),
        // The epoch is set by its own event; facts of a cycle leave it out.
        Event::Facts { facts } => {
            replica.facts = *facts;
            replica.outbox.take_turn(origin == Origin::Own);
        }
        Event::Receipt {
            entity,
            id,
            receipt,
        } => replica.receipts.put(&entity, &id, receipt),
        Event::Epoch { epoch, restored } => fold_epoch(replica, epoch, restored),
        Event::Server { server } => replica.server = server,
        Event::Offered { count, done } => {
            replica.receipts.count_offers(count, done);
            if done {
                replica.spaces.forget_kept();
            }
        }
        Event::Quarantine { body } => fold_quarantine(replica, body),
        Event::Explained { what } => replica.history.add(what),
        Event::Space { what } => fold_space_event(replica, seq, what),
        Event::Ended { ended } => {
            replica.ended = ended;
            replica.end_marks = replica.end_marks.saturating_add(1);
        }
        Event::Salvaged { what } => replica.salvaged = Some((seq, what)),
        Event::Schema { version } => replica.schema = version,
        Event::Checkpoint { .. } => {}
    }
}

fn fold_queue(replica: &mut Replica, op: Operation, replaces: &[String], origin: Origin) {
    for table in op.tables() {
        touch(replica, table, &op.id);
    }
    // What an operation replaces may have shown its entity in another space.
    for replaced in replaces {
        touch_operation(replica, replaced);
    }
    let parked = replica
        .conflicts
        .values()
        .find(|parked| parked.entity == op.entity && parked.entity_id == op.id);
    replica.outbox.queue(op, replaces, origin == Origin::Log);
    // Every write of an entity waits for the decision of its conflict, also after a checkpoint,
    // which parks the conflict after queueing the writes.
    if let Some(parked) = parked {
        replica.outbox.block(
            &Key::new(&parked.entity, &parked.entity_id),
            Some(&parked.id),
        );
    }
}

fn fold_dequeue(replica: &mut Replica, ops: &[String]) {
    for op in ops {
        touch_operation(replica, op);
        if let Some(op) = replica.outbox.remove(op) {
            for table in op.tables() {
                replica.local_only.mark_orphan(table, &op.id);
            }
        }
    }
}

/// Takes an applied operation out of the outbox, with its receipt, and bases the next operation of
/// its entity on the new version. Returns the operation.
fn fold_applied(
    replica: &mut Replica,
    op_id: &str,
    version: u64,
    at: u64,
    field_hashes: &[u64],
) -> Option<Operation> {
    touch_operation(replica, op_id);
    let op = replica.outbox.remove(op_id)?;
    for table in op.tables() {
        replica.local_only.mark_orphan(table, &op.id);
    }
    replica.receipts.acknowledge(&op, version, at, field_hashes);
    let lives = op.kind != OperationKind::Delete;
    let table = op.to.as_deref().unwrap_or(&op.entity);
    rebase_next(replica, table, &op.id, lives.then_some(version));
    if table != op.entity {
        rebase_next(replica, &op.entity, &op.id, None);
    }
    Some(op)
}

/// Bases the next operation of an entity on a version. A move into its table has its base where it
/// comes from.
fn rebase_next(replica: &mut Replica, table: &str, id: &str, base: Option<u64>) {
    let next = replica.outbox.chain(&Key::new(table, id)).next();
    let next = next.filter(|queued| queued.op.entity == table);
    if let Some(next) = next.map(|queued| queued.op.op_id.clone()) {
        replica.outbox.rebase(&next, base);
    }
}

/// Puts the row of an applied operation, now or with the lazy rows before it.
fn fold_applied_row(replica: &mut Replica, seq: Seq, op: Operation, version: u64) {
    if replica.has_lazy_rows() {
        replica.lazy_rows.defer_applied(seq, op, version);
    } else {
        replica.fold_own_row(seq, &op, version);
    }
}

fn fold_cursor(replica: &mut Replica, scope: &str, state: CursorState) {
    if scope.is_empty() && state.reached_end && state.full_since.is_none() {
        replica.damage.needs_full_pull = false;
    }
    replica.cursors.insert(scope, state);
}

fn fold_sweep(replica: &mut Replica, before: Seq, entities: Option<&[String]>) {
    // Lazy rows that all came later are not swept and may stay lazy.
    if !(replica.entities.is_empty() && replica.lazy_rows.are_all_after(before)) {
        replica.materialize();
    }
    let swept = |entity: &str| concerns(entities, entity);
    touch_rows(replica, &|entity, row| swept(entity) && row.stamp <= before);
    for (entity, rows) in replica.entities.iter_mut() {
        if swept(entity) {
            rows.sweep(entity, before, &mut replica.segments);
        }
    }
    replica.receipts.clear_missing(entities);
    replica.local_only.mark_orphans(entities);
}

fn fold_release_deletes(replica: &mut Replica) {
    replica.materialize();
    touch_rows(replica, &|_, row| row.held);
    for (entity, rows) in replica.entities.iter_mut() {
        rows.release_deletes(entity);
    }
}

/// Parks a conflict in place of earlier ones of the same entity or id, so that an entity waits
/// for one conflict at most, even if the log has more.
fn fold_park(replica: &mut Replica, conflict: Parked) {
    let earlier = replica.conflicts.values().filter(|other| {
        other.id == conflict.id
            || (other.entity == conflict.entity && other.entity_id == conflict.entity_id)
    });
    for id in earlier.map(|other| other.id.clone()).collect::<Vec<_>>() {
        unpark(replica, &id);
    }
    replica.outbox.block(
        &Key::new(&conflict.entity, &conflict.entity_id),
        Some(&conflict.id),
    );
    let id = conflict.id.clone();
    let (entity, entity_id) = (&conflict.entity, &conflict.entity_id);
    replica.touched.note_state(entity, entity_id);
    replica.conflicts.insert(&id, conflict);
}

fn unpark(replica: &mut Replica, id: &str) {
    if let Some(conflict) = replica.conflicts.remove(id) {
        let (entity, entity_id) = (&conflict.entity, &conflict.entity_id);
        replica.touched.note_state(entity, entity_id);
        replica
            .outbox
            .block(&Key::new(&conflict.entity, &conflict.entity_id), None);
    }
}

fn fold_dead_letters(replica: &mut Replica, dead_letters: Vec<DeadLetter>) {
    for letter in dead_letters {
        touch_operation(replica, &letter.op.op_id);
        // The dead letters of a checkpoint were not pending and have receipts already.
        if replica.outbox.remove(&letter.op.op_id).is_some() {
            replica.receipts.reject(&letter.op, letter.died_at);
        }
        replica.kept_rejections.add(&letter);
        replica.touched.note_state(&letter.op.entity, &letter.op.id);
        let id = letter.op.op_id.clone();
        replica.dead_letters.insert(&id, letter);
    }
}

fn fold_revive(replica: &mut Replica, id: &str) {
    touch_letter(replica, id);
    // A second try under the same id was sent before.
    replica.outbox.mark_left(&[id.to_owned()]);
    if let Some(letter) = replica.dead_letters.remove(id) {
        replica.touched.note_state(&letter.op.entity, &letter.op.id);
        replica
            .kept_rejections
            .remove(&letter, &replica.dead_letters);
        replica
            .local_only
            .mark_orphan(&letter.op.entity, &letter.op.id);
    }
}

fn fold_epoch(replica: &mut Replica, epoch: String, restored: Option<Restored>) {
    let known = replica.facts.epoch.replace(epoch);
    let Some(restored) = restored else { return };
    // Cursors of the previous history mean nothing in the new one.
    replica.cursors = VecMap::default();
    replica.spaces.enter_epoch();
    if replica.receipts.restored().is_some() {
        replica.spaces.forget_kept();
    }
    let (receipts, spaces) = (&mut replica.receipts, &replica.spaces);
    receipts.mark_suspects(restored, &|table| kept_of(spaces, restored, table));
    // A checkpoint repeats this event before any epoch is known; its rows are up to date.
    if known.is_some() {
        forget_versions(replica, restored);
    }
}

/// Forgets versions of a history that the server has lost. Until it is compared, such a row is
/// older than everything that arrives, and is no base of a write.
fn forget_versions(replica: &mut Replica, restored: Restored) {
    replica.materialize();
    let spaces = &replica.spaces;
    let kept = |table: &str| kept_of(spaces, restored, table).unwrap_or_default();
    for (table, rows) in replica.entities.iter_mut() {
        rows.forget_versions(table, kept(table));
    }
    replica.outbox.forget_bases(&kept);
}

/// Returns the last version of a table's space that the restored server has kept, if it said so.
fn kept_of(spaces: &Spaces, restored: Restored, table: &str) -> Option<u64> {
    match Table(table).space() {
        None => restored.kept,
        Some(space) => spaces.kept().get(space).copied(),
    }
}

fn fold_quarantine(replica: &mut Replica, body: BodyId) {
    replica.materialize();
    touch_rows(replica, &|_, row| row.is_in(body));
    for (entity, rows) in replica.entities.iter_mut() {
        rows.remove_rows_of(entity, body);
    }
    replica.local_only.remove_rows_of(body);
    replica.segments.remove(body);
    replica.damage.quarantine();
}
