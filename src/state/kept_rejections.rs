//! Rejected operations that readers still see: `onRejected: "keepLocal"`.
//!
//! The dead letter itself records it (`kept`), so that a reload and other tabs agree even if the
//! config has changed. It overlays the row: a create or update with its whole body, a patch with
//! its fields only, so that other fields show what is pulled later; a delete hides the entity. A
//! later write replaces it.

use std::rc::Rc;

use crate::log::facts::DeadLetter;
use crate::model::entity::{Fields, Key};
use crate::model::operation::{Operation, OperationKind};
use crate::state::view::{View, ViewBody};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// The rejected operation that overlays one entity.
#[derive(Debug)]
pub struct KeptRejection {
    /// The id of its dead letter.
    pub letter: String,
    /// The fields of a patch, as a JSON object.
    over: Option<Rc<str>>,
}

impl KeptRejection {
    fn new(letter: &DeadLetter) -> Self {
        let op = &letter.op;
        let patch = op
            .body
            .as_deref()
            .filter(|_| op.kind == OperationKind::Patch);
        let over = patch.and_then(|body| {
            let mut fields = Fields::parse(body).ok()?;
            fields
                .0
                .retain(|(name, _)| op.fields.iter().any(|field| *field == **name));
            Some(Rc::from(fields.to_json()))
        });
        Self {
            letter: op.op_id.clone(),
            over,
        }
    }

    /// Returns the entity with the rejected operation over the synced body.
    #[must_use]
    pub fn view<'a>(
        &'a self,
        op: &'a Operation,
        version: u64,
        synced: Option<ViewBody<'a>>,
    ) -> View<'a> {
        match (synced, &self.over) {
            (synced, _) if op.kind == OperationKind::Delete => {
                View::deleted(synced.filter(|_| op.soft), version)
            }
            (Some(synced), Some(over)) => View {
                over: Some(over),
                ..View::live(Some(synced), version)
            },
            _ => View::live(op.body.as_deref().map(ViewBody::Text), version),
        }
    }
}

/// Returns a body with the fields of another object in place of its own.
#[must_use]
pub fn overlaid(body: &str, over: &str) -> String {
    let (Ok(mut fields), Ok(over)) = (Fields::parse(body), Fields::parse(over)) else {
        return body.to_owned();
    };
    fields.0.retain(|(name, _)| over.get(name).is_none());
    fields.0.extend(over.0);
    fields.to_json()
}

/// The rejected operations that readers see, by entity: the last one of each.
#[derive(Debug, Default)]
pub struct KeptRejections(VecMap<OrderedMap<KeptRejection>>);

impl KeptRejections {
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&KeptRejection> {
        self.0.get(key.entity)?.get(key.id)
    }

    /// The entity types that have any.
    pub fn entities(&self) -> impl Iterator<Item = &str> {
        self.0.keys()
    }

    /// Ids of overlaid entities in order, those greater than `after`.
    pub fn ids<'a>(
        &'a self,
        entity: &str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        self.0
            .get(entity)
            .into_iter()
            .flat_map(move |ids| ids.after(after))
            .map(|(id, _)| id)
    }

    /// Adds a dead letter if it is kept, and no later one overlays its entity.
    pub fn add(&mut self, letter: &DeadLetter) {
        let ids = self.0.entry(&letter.op.entity);
        if letter.kept
            && ids
                .get(&letter.op.id)
                .is_none_or(|kept| kept.letter <= letter.op.op_id)
        {
            ids.insert(&letter.op.id, KeptRejection::new(letter));
        }
    }

    /// Shows those of some tables no more.
    pub fn forget(&mut self, tables: &dyn Fn(&str) -> bool) {
        self.0.retain(&|table| !tables(table));
    }

    /// Removes a dead letter; the last kept one of `remaining` for the same entity takes its place.
    pub fn remove(&mut self, letter: &DeadLetter, remaining: &VecMap<DeadLetter>) {
        let key = Key::new(&letter.op.entity, &letter.op.id);
        if self
            .get(&key)
            .is_some_and(|kept| kept.letter == letter.op.op_id)
        {
            self.0.entry(key.entity).remove(key.id);
            let earlier = remaining
                .values()
                .filter(|other| other.op.entity == key.entity && other.op.id == key.id);
            if let Some(earlier) = earlier.filter(|other| other.kept).last() {
                self.add(earlier);
            }
        }
    }
}
