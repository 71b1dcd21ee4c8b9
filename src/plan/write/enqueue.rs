//! Turns a write into an operation: coalesces it with the pending one, links it to its
//! dependencies, and replaces a kept rejection.

use std::rc::Rc;

use crate::conflict::field_hashes;
use crate::log::commit::Event;
use crate::model::entity::{Fields, Key};
use crate::model::operation::{
    Coalesced, Link, Operation, OperationKind, coalesce, join_links, joined_fields,
};
use crate::plan::write::{Attempt, Current};
use crate::state::kept_rejections::overlaid;
use crate::util::json::scan;

/// The most superseded operations that one remembers; another tab may still be sending them.
const MAX_SUPERSEDED: usize = 16;

/// The most hashes of their fields that it remembers.
const MAX_EARLIER: usize = 64;

impl Attempt<'_, '_> {
    pub(super) fn enqueue(
        &mut self,
        key: &Key,
        kind: OperationKind,
        body: Option<Rc<str>>,
        fields: Vec<String>,
        soft: bool,
        current: &Current,
    ) {
        let in_commit = self
            .written(key)
            .and_then(|overlay| overlay.ops.now.get(key.id).copied());
        let is_new = in_commit.is_some();
        let previous = match in_commit {
            Some(place) => place
                .and_then(|place| self.queued(place))
                .map(|op| (op.clone(), true)),
            None => self.replica.outbox().before(key, self.group.sums),
        };
        let live = self.replica.row(key).is_some_and(|row| !row.deleted);
        let base_version = match &previous {
            Some((op, _)) => op.base_version,
            None => live.then_some(current.version),
        };
        let links = self.links(key, [body.as_deref(), current.body.as_deref()]);
        let op_id = self.context.op_id(*self.made);
        *self.made = self.made.saturating_add(1);
        let mut op = Operation {
            op_id,
            entity: key.entity.to_owned(),
            id: key.id.to_owned(),
            kind,
            base_version,
            to: None,
            body,
            fields: if kind == OperationKind::Patch {
                fields
            } else {
                Vec::new()
            },
            queued_at: self.context.now,
            attempts: 0,
            soft,
            supersedes: Vec::new(),
            earlier: Vec::new(),
            links,
        };
        if !is_new && previous.is_none() && !self.take_along(&mut op) {
            self.overlays.entry(key.entity).ops.set(key.id, None);
            return;
        }
        let mut replaces = Vec::new();
        if let Some((first, true)) = previous {
            match coalesce(first.kind, kind) {
                Coalesced::Apart => {}
                Coalesced::Nothing if is_new && first.supersedes.is_empty() => {
                    self.events.events.push(Event::Dequeue {
                        ops: vec![first.op_id],
                    });
                    self.overlays.entry(key.entity).ops.set(key.id, None);
                    return;
                }
                // Another tab may have sent the operation from the log, so the remote must get the
                // delete.
                coalesced => {
                    op.kind = if let Coalesced::Into(kind) = coalesced {
                        kind
                    } else {
                        OperationKind::Delete
                    };
                    op.fields = joined_fields(op.kind, &first.fields, &op.fields);
                    op.earlier = first.earlier;
                    op.earlier.extend(
                        first
                            .body
                            .as_deref()
                            .map(|body| field_hashes(body, &first.fields))
                            .unwrap_or_default(),
                    );
                    let excess = op.earlier.len().saturating_sub(MAX_EARLIER);
                    op.earlier.drain(..excess);
                    op.supersedes = first.supersedes;
                    op.supersedes.push(first.op_id.clone());
                    let excess = op.supersedes.len().saturating_sub(MAX_SUPERSEDED);
                    op.supersedes.drain(..excess);
                    let mut links = first.links;
                    join_links(&mut links, &op.links);
                    op.links = links;
                    replaces.push(first.op_id);
                }
            }
        }
        self.overlays
            .entry(key.entity)
            .ops
            .set(key.id, Some(self.events.events.len()));
        self.events.queue(op, replaces);
    }

    /// Returns the operation that the commit queues at this index of its events.
    pub(super) fn queued(&self, place: usize) -> Option<&Operation> {
        match self.events.events.get(place) {
            Some(Event::Queue { op, .. }) => Some(op),
            _ => None,
        }
    }

    /// Builds the write on the kept rejection of its entity, if there is one, and removes the dead
    /// letter. Returns false if nothing is left to send.
    fn take_along(&mut self, op: &mut Operation) -> bool {
        let key = Key::new(&op.entity, &op.id);
        let Some(refused) = self
            .replica
            .kept_rejection(&key)
            .filter(|_| !self.group.ignore_kept_rejection)
        else {
            return true;
        };
        self.events.events.push(Event::Revive {
            id: refused.op.op_id.clone(),
        });
        let there = op.base_version.is_some();
        op.kind = match (coalesce(refused.op.kind, op.kind), there) {
            (Coalesced::Nothing | Coalesced::Into(OperationKind::Delete), true) => {
                OperationKind::Delete
            }
            (Coalesced::Nothing | Coalesced::Into(OperationKind::Delete), false) => return false,
            (Coalesced::Apart, _) => return true,
            (Coalesced::Into(OperationKind::Patch), true) => OperationKind::Patch,
            (Coalesced::Into(_), true) => OperationKind::Update,
            (Coalesced::Into(_), false) => OperationKind::Create,
        };
        op.fields = joined_fields(op.kind, &refused.op.fields, &op.fields);
        join_links(&mut op.links, &refused.op.links);
        true
    }

    /// Returns the links of a write: its `dependsOn`, and the present and previous targets of its
    /// foreign keys.
    pub(super) fn links(&self, key: &Key, bodies: [Option<&str>; 2]) -> Vec<Link> {
        let places = self.places();
        let named = |entity: &str, id: &str| {
            let table = places.linked(entity, id, key.entity);
            Key::new(&table, id).to_owned()
        };
        let asked = self.group.after.iter().map(|after| Link {
            key: named(&after.entity, &after.id),
            asked: true,
        });
        let mut links: Vec<Link> = asked.chain(places.creation(key)).collect();
        for body in bodies
            .into_iter()
            .flatten()
            .filter(|_| !self.group.parents.is_empty())
        {
            let fields = Fields::parse(body).unwrap_or_default();
            for parent in self.group.parents.iter() {
                if let Some(id) = fields.get(&parent.foreign_key).and_then(scan::text) {
                    join_links(
                        &mut links,
                        &[Link {
                            key: named(&parent.entity, &id),
                            asked: false,
                        }],
                    );
                }
            }
        }
        links.retain(|link| link.key.as_key() != *key);
        links
    }

    pub(super) fn current(&mut self, key: &Key) -> Current {
        let version = self.replica.row(key).map_or(0, |row| row.version);
        let device = self.device_of(key);
        match self
            .written(key)
            .and_then(|overlay| overlay.ops.now.get(key.id))
        {
            Some(Some(place)) => {
                let op = self.queued(*place);
                let exists = op.is_some_and(|op| op.leaves_in(key.entity));
                return Current {
                    exists,
                    version,
                    body: op.and_then(|op| op.body.clone()),
                    device,
                };
            }
            Some(None) => {
                return Current {
                    exists: false,
                    version,
                    body: None,
                    device,
                };
            }
            None => {}
        }
        let view = if self.group.ignore_kept_rejection {
            self.replica.synced_view(key)
        } else {
            self.replica.view(key)
        };
        match view {
            Some(view) if !view.deleted => {
                let mut body = view.body.and_then(|body| self.text_of(&body));
                if let (Some(under), Some(over)) = (&body, view.over) {
                    body = Some(Rc::from(overlaid(under, over)));
                }
                Current {
                    exists: true,
                    version,
                    body,
                    device,
                }
            }
            _ => Current {
                exists: false,
                version,
                body: None,
                device,
            },
        }
    }
}
