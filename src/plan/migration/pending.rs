//! The bodies that wait beside the rows: of operations, dead letters and parked conflicts.

use std::rc::Rc;

use crate::log::facts::{DeadLetter, Parked};
use crate::model::entity::Fields;
use crate::model::operation::{Operation, OperationKind};
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;

/// A body that waits.
#[derive(Debug)]
pub(super) struct WaitingText<'a> {
    /// Its name among all of them.
    pub(super) name: String,
    pub(super) table: &'a str,
    pub(super) id: &'a str,
    pub(super) body: &'a str,
}

/// Returns the bodies beside the rows. Each is said once under its name: an operation, a dead letter
/// or a conflict never changes under its id.
pub(super) fn texts(replica: &Replica) -> Vec<WaitingText<'_>> {
    let mut found = Vec::new();
    for queued in replica.outbox().iter() {
        let op = &queued.op;
        found.extend(text(
            of_operation(op),
            (&op.entity, &op.id),
            op.body.as_deref(),
        ));
    }
    for letter in replica.dead_letters().values() {
        let op = &letter.op;
        let key = (&*op.entity, &*op.id);
        found.extend(text(of_letter(op), key, op.body.as_deref()));
        found.extend(text(of_base(op), key, letter.base.as_deref()));
    }
    for parked in replica.conflicts().values() {
        let key = (&*parked.entity, &*parked.entity_id);
        found.extend(text(of_conflict(parked), key, parked.base.as_deref()));
    }
    found
}

fn text<'a>(
    name: String,
    (table, id): (&'a str, &'a str),
    body: Option<&'a str>,
) -> Option<WaitingText<'a>> {
    body.map(|body| WaitingText {
        name,
        table,
        id,
        body,
    })
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
            // Of values that no row has any more.
            earlier: Vec::new(),
            ..op.clone()
        }
    }
}

/// Returns the changed fields of an operation by the names that they have now: those that are still
/// there, or were not there before, and those that are new.
fn carried(fields: &[String], old: &str, new: &str) -> Vec<String> {
    let (Ok(old), Ok(new)) = (Fields::parse(old), Fields::parse(new)) else {
        return fields.to_vec();
    };
    if fields.is_empty() {
        return Vec::new();
    }
    let stays = |name: &&String| new.get(name).is_some() || old.get(name).is_none();
    let mut all: Vec<String> = fields.iter().filter(stays).cloned().collect();
    for (name, _) in &new.0 {
        if old.get(name).is_none() && !all.iter().any(|have| **have == **name) {
            all.push(name.clone().into_owned());
        }
    }
    all
}
