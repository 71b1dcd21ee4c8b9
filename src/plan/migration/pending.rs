//! The bodies that wait beside the rows: of operations, dead letters and parked conflicts.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::log::facts::{DeadLetter, Parked};
use crate::model::entity::{Fields, Key};
use crate::model::operation::{Operation, OperationKind};
use crate::plan::migration::batch::{Destination, Item, MigrationBatch, Part, type_of, whole};
use crate::plan::migration::{
    BATCH_BYTES, MigrationDraft, MigrationRules, MigrationStep, STEP_ROWS,
};
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// A body beside the rows, by the id of what holds it. It is the same as long as that is there: an
/// operation, a dead letter or a conflict never changes under its id.
#[derive(Clone, Debug)]
pub(super) enum WaitingBody {
    Operation(String),
    Letter(String),
    /// The base of a dead letter.
    Base(String),
    Conflict(String),
}

/// The text of such a body.
#[derive(Debug)]
pub(super) struct WaitingText<'a> {
    /// Its name among all of them.
    pub(super) name: String,
    pub(super) table: &'a str,
    pub(super) id: &'a str,
    pub(super) body: &'a str,
}

/// Returns the bodies beside the rows, those of an entity type together.
pub(super) fn waiting(replica: &Replica) -> VecDeque<WaitingBody> {
    let mut by_type: VecMap<Vec<WaitingBody>> = VecMap::default();
    let mut add = |table: &str, body| by_type.entry(type_of(table)).push(body);
    for queued in replica.outbox().iter() {
        let op = &queued.op;
        add(&op.entity, WaitingBody::Operation(op.op_id.clone()));
    }
    for (id, letter) in replica.dead_letters().iter() {
        add(&letter.op.entity, WaitingBody::Letter(id.to_owned()));
        add(&letter.op.entity, WaitingBody::Base(id.to_owned()));
    }
    for (id, parked) in replica.conflicts().iter() {
        add(&parked.entity, WaitingBody::Conflict(id.to_owned()));
    }
    let mut all = VecDeque::new();
    for (_, bodies) in by_type {
        all.extend(bodies);
    }
    all
}

impl WaitingBody {
    /// Returns its text; `None` if there is none.
    pub(super) fn text<'a>(&self, replica: &'a Replica) -> Option<WaitingText<'a>> {
        let (name, table, id, body) = match self {
            Self::Operation(op_id) => {
                let op = &replica.outbox().get(op_id)?.op;
                (of_operation(op), &op.entity, &op.id, &op.body)
            }
            Self::Letter(letter) => {
                let op = &replica.dead_letters().get(letter)?.op;
                (of_letter(op), &op.entity, &op.id, &op.body)
            }
            Self::Base(letter) => {
                let letter = replica.dead_letters().get(letter)?;
                let op = &letter.op;
                (of_base(op), &op.entity, &op.id, &letter.base)
            }
            Self::Conflict(conflict) => {
                let parked = replica.conflicts().get(conflict)?;
                let key = (&parked.entity, &parked.entity_id);
                (of_conflict(parked), key.0, key.1, &parked.base)
            }
        };
        Some(WaitingText {
            name,
            table,
            id,
            body: body.as_deref()?,
        })
    }
}

impl MigrationDraft {
    /// Looks at the bodies beside the rows: operations, dead letters, parked conflicts.
    pub(super) fn waiting(
        &self,
        replica: &Replica,
        rules: &MigrationRules<'_>,
        left: &mut VecDeque<WaitingBody>,
    ) -> MigrationStep {
        let mut batch = MigrationBatch::default();
        let (mut bytes, mut seen) = (0_usize, 0_usize);
        while bytes < BATCH_BYTES && seen < STEP_ROWS {
            let Some(body) = left.pop_front() else {
                if seen == 0 {
                    return MigrationStep::Done;
                }
                break;
            };
            seen = seen.saturating_add(1);
            let Some(text) = body.text(replica) else {
                continue;
            };
            let entity = type_of(text.table);
            if self.migrated.has(&text.name) || !(rules.changes)(entity, rules.from) {
                continue;
            }
            let key = Key::new(text.table, text.id);
            let local = match replica.local_only_fields(&key) {
                Some(ViewBody::Absent { segment, .. }) => {
                    left.push_front(body);
                    if batch.is_empty() {
                        return MigrationStep::Fetch(vec![segment]);
                    }
                    break;
                }
                Some(ViewBody::Text(fields)) => Some(fields),
                None => None,
            };
            let version = replica.row_version(&key).unwrap_or_default();
            let whole = whole(replica, &key, text.body, local, (version, false));
            let from = rules.version_of(&whole);
            if !rules.concerns(entity, from) {
                continue;
            }
            if batch.is_empty() {
                batch = MigrationBatch {
                    table: text.table.to_owned(),
                    local_only: (rules.local_only)(entity),
                    from,
                    items: Vec::new(),
                };
            } else if batch.entity() != entity || batch.from != from {
                left.push_front(body);
                break;
            }
            bytes = bytes.saturating_add(whole.len());
            batch.items.push(Item {
                whole: Some(whole),
                part: local.map_or(Part::Whole, |_| Part::Sent),
                place: Destination::Waiting(text.name),
            });
        }
        MigrationStep::Migrate(batch)
    }
}

fn of_operation(op: &Operation) -> String {
    format!("operation {}", op.op_id)
}

fn of_letter(op: &Operation) -> String {
    format!("letter {}", op.op_id)
}

fn of_base(op: &Operation) -> String {
    format!("base {}", op.op_id)
}

fn of_conflict(parked: &Parked) -> String {
    format!("conflict {}", parked.id)
}

/// What was made of the bodies that wait, by their names.
#[derive(Debug)]
pub struct Migrated {
    /// The version to which everything is migrated.
    pub to: u32,
    texts: OrderedMap<Rc<str>>,
}

impl Migrated {
    pub(super) fn new(to: u32) -> Self {
        Self {
            to,
            texts: OrderedMap::default(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.texts.get(name).is_some()
    }

    pub(super) fn insert(&mut self, name: &str, text: String) {
        self.texts.insert(name, Rc::from(text));
    }

    fn instead_of(&self, name: &str, body: &Option<Rc<str>>) -> Option<Rc<str>> {
        let body = body.as_ref()?;
        Some(Rc::clone(self.texts.get(name).unwrap_or(body)))
    }

    /// Returns an operation with its migrated body. One that patched fields is sent as a whole: the
    /// server's row may have them under other names, so that its rest would not fit.
    pub(crate) fn operation(&self, op: &Operation) -> Operation {
        let op = self.rewritten(op, &of_operation(op));
        match op {
            Operation {
                kind: OperationKind::Patch,
                ..
            } if self.has(&of_operation(&op)) => Operation {
                kind: OperationKind::Update,
                fields: Vec::new(),
                ..op
            },
            op => op,
        }
    }

    /// Returns a dead letter with its migrated bodies.
    pub(crate) fn letter(&self, letter: &DeadLetter) -> DeadLetter {
        DeadLetter {
            op: self.rewritten(&letter.op, &of_letter(&letter.op)),
            base: self.instead_of(&of_base(&letter.op), &letter.base),
            ..letter.clone()
        }
    }

    /// Returns a parked conflict with its migrated base.
    pub(crate) fn parked(&self, parked: &Parked) -> Parked {
        Parked {
            base: self.instead_of(&of_conflict(parked), &parked.base),
            ..parked.clone()
        }
    }

    fn rewritten(&self, op: &Operation, name: &str) -> Operation {
        let body = self.instead_of(name, &op.body);
        let fields = match (&op.body, &body) {
            (Some(old), Some(new)) if old != new => carried(&op.fields, old, new),
            _ => return op.clone(),
        };
        Operation {
            body,
            fields,
            ..op.clone()
        }
    }
}

/// Returns the changed fields of an operation by the names that they have now: those that are still
/// there, or were not there before, and those that are new.
fn carried(fields: &[String], old: &str, new: &str) -> Vec<String> {
    if fields.is_empty() {
        return Vec::new();
    }
    let (Ok(old), Ok(new)) = (Fields::parse(old), Fields::parse(new)) else {
        return fields.to_vec();
    };
    let stays = |name: &&String| new.get(name).is_some() || old.get(name).is_none();
    let mut all: Vec<String> = fields.iter().filter(stays).cloned().collect();
    for (name, _) in &new.0 {
        if old.get(name).is_none() && !all.iter().any(|have| **have == **name) {
            all.push(name.clone().into_owned());
        }
    }
    all
}
