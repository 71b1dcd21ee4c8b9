//! What a plan writes down: rows, and what verdicts, rows and resolvers say for the receipts.

use super::{Arrival, Planner};
use crate::conflict;
use crate::entity::Key;
use crate::operation::{Kind, Operation};
use crate::replica::record::{Entry, Event};

impl<'a> Arrival<'a> {
    pub(super) fn key(&self) -> Key<'a> {
        Key::new(self.entity, self.id)
    }
}

impl Planner<'_> {
    /// An id for a new operation.
    pub(in crate::replica) fn op_id(&mut self) -> String {
        let op_id = self.moment.op_id(self.made);
        self.made = self.made.saturating_add(1);
        op_id
    }

    pub(in crate::replica) fn push_event(&mut self, event: Event) {
        self.out.commit.events.push(event);
    }

    /// The row shows that the remote has an operation already; its answer was lost.
    pub(super) fn settle_by_row(
        &mut self,
        chain: &[&Operation],
        sent: &str,
        arrival: &Arrival<'_>,
        soft: bool,
    ) {
        self.write_row(arrival, true, soft);
        for op in chain {
            if op.op_id == sent {
                self.applied(op, arrival.version, true);
                return;
            }
            self.out.commit.events.push(Event::Dequeue {
                ops: vec![op.op_id.clone()],
            });
        }
    }

    /// The remote has an operation, at this version.
    pub(in crate::replica) fn applied(&mut self, op: &Operation, version: u64, with_row: bool) {
        let base = self
            .replica
            .base_of(&Key::new(&op.entity, &op.id))
            .ok()
            .flatten();
        let marks = match op.body.as_deref() {
            Some(body) if op.kind != Kind::Create => {
                conflict::changed_marks(base, body, &op.fields)
            }
            _ => Vec::new(),
        };
        self.push_event(Event::Applied {
            op_id: op.op_id.clone(),
            version,
            with_row,
            at: self.moment.now,
            marks,
        });
    }

    /// Notes for the receipt that something else than this device's own write stands: at once, or
    /// when the winner is through.
    pub(super) fn note_merge(&mut self, arrival: &Arrival<'_>, merging: bool) {
        let receipt = self
            .replica
            .receipts
            .get(&arrival.key())
            .cloned()
            .unwrap_or_default();
        let receipt = receipt.after_conflict(self.moment.now, merging, arrival.version);
        self.push_event(Event::Receipt {
            entity: arrival.entity.to_owned(),
            id: arrival.id.to_owned(),
            receipt,
        });
    }

    pub(in crate::replica) fn write_row(
        &mut self,
        arrival: &Arrival<'_>,
        include_deletes: bool,
        soft: bool,
    ) {
        let deleted = arrival.body.is_none();
        let held = deleted && !include_deletes;
        let entry = Entry {
            id: arrival.id.to_owned(),
            version: arrival.version,
            deleted,
            held,
            retain: deleted && (soft || held),
            ..Entry::default()
        };
        self.put_row(arrival.entity, entry, arrival.body);
    }

    pub(super) fn put_row(&mut self, entity: &str, entry: Entry, body: Option<&str>) {
        self.segments
            .entry(entity)
            .push(entity, entry, body, &mut self.out.commit);
    }
}
