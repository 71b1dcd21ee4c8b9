//! Refused operations that are still shown: `onRejected: "keepLocal"`.
//!
//! The dead letter says so itself, so that a reload and every tab agree, whatever the config has
//! become. It lies over the row: a create or an update whole, a patch with its fields only, so that
//! what is pulled meanwhile shows in the others; a delete hides the entity. A later write takes its
//! place.

use std::rc::Rc;

use crate::log::facts::DeadLetter;
use crate::model::entity::{Fields, Key};
use crate::model::operation::{Operation, OperationKind};
use crate::state::replica::{Replica, View, ViewBody};
use crate::state::rows::Row;

/// What lies over an entity.
#[derive(Debug)]
pub struct Kept {
    /// The dead letter.
    pub letter: String,
    /// Of a patch: its fields.
    over: Option<Rc<str>>,
}

/// A body with the fields of another object in it, each name once.
#[must_use]
pub fn overlaid(body: &str, over: &str) -> String {
    let (Ok(mut fields), Ok(over)) = (Fields::parse(body), Fields::parse(over)) else {
        return body.to_owned();
    };
    fields.0.retain(|(name, _)| over.get(name).is_none());
    fields.0.extend(over.0);
    fields.to_json()
}

impl Replica {
    /// The refused operation that an entity still shows.
    #[must_use]
    pub fn kept_letter(&self, key: &Key) -> Option<&DeadLetter> {
        self.dead_letters.get(&self.kept(key)?.letter)
    }

    /// The refused operation, still shown, that one depends on.
    #[must_use]
    pub fn blocking_letter(&self, op: &Operation) -> Option<&DeadLetter> {
        op.links.iter().find_map(|link| {
            self.kept_letter(&link.key.as_key())
                .filter(|letter| op.needs(&letter.op))
        })
    }

    pub(super) fn kept(&self, key: &Key) -> Option<&Kept> {
        self.kept.get(key.entity)?.get(key.id)
    }

    /// Ids of entities that show a refused operation, in order.
    pub(super) fn kept_ids<'a>(
        &'a self,
        entity: &str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        self.kept
            .get(entity)
            .into_iter()
            .flat_map(move |ids| ids.after(after))
            .map(|(id, _)| id)
    }

    /// The last refused operation of an entity is the one that shows.
    pub(super) fn keep(&mut self, letter: &DeadLetter) {
        let ids = self.kept.entry(&letter.op.entity);
        if letter.kept
            && ids
                .get(&letter.op.id)
                .is_none_or(|kept| kept.letter <= letter.op.op_id)
        {
            let over = letter
                .op
                .body
                .as_deref()
                .filter(|_| letter.op.kind == OperationKind::Patch)
                .and_then(|body| {
                    let mut fields = Fields::parse(body).ok()?;
                    fields
                        .0
                        .retain(|(name, _)| letter.op.fields.iter().any(|field| *field == **name));
                    Some(Rc::from(fields.to_json()))
                });
            ids.insert(
                &letter.op.id,
                Kept {
                    letter: letter.op.op_id.clone(),
                    over,
                },
            );
        }
    }

    /// A dead letter is done with; an earlier one of the same entity shows again.
    pub(super) fn unkeep(&mut self, letter: &DeadLetter) {
        let key = Key::new(&letter.op.entity, &letter.op.id);
        if self
            .kept(&key)
            .is_some_and(|kept| kept.letter == letter.op.op_id)
        {
            self.kept.entry(key.entity).remove(key.id);
            let earlier = self
                .dead_letters
                .values()
                .filter(|other| other.op.entity == key.entity && other.op.id == key.id);
            if let Some(earlier) = earlier.filter(|other| other.kept).last().cloned() {
                self.keep(&earlier);
            }
        }
    }

    /// The entity under a refused operation that shows.
    pub(super) fn view_kept<'a>(
        &'a self,
        kept: &'a Kept,
        row: Option<&'a Row>,
    ) -> Option<View<'a>> {
        let op = &self.dead_letters.get(&kept.letter)?.op;
        let version = row.map_or(0, |row| row.version);
        let under = row
            .filter(|row| !row.is_deleted())
            .and_then(|row| self.body_of(row));
        Some(match (under, &kept.over) {
            (body, _) if op.kind == OperationKind::Delete => View {
                body: body.filter(|_| op.soft),
                version,
                deleted: true,
                over: None,
            },
            (Some(body), Some(over)) => View {
                body: Some(body),
                version,
                deleted: false,
                over: Some(over),
            },
            _ => View {
                body: op.body.as_deref().map(ViewBody::Text),
                version,
                deleted: false,
                over: None,
            },
        })
    }
}
