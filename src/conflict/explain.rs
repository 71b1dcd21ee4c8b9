//! Explanations of decided conflicts: for people, bounded in size, and stored in the log.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::conflict::fields::{TIMES, all_keys, object_or_empty, same};
use crate::conflict::{Conflict, ConflictKind, Resolution};
use crate::model::table::Table;
use crate::util::json::scan;
use crate::util::json::write::{push_field, push_string, put_text};
use crate::util::time;

/// A value of more bytes of JSON than this is cut.
const VALUE_BYTES: usize = 256;

/// No more fields are listed once their JSON has this many bytes.
const FIELDS_BYTES: usize = 4096;

/// The most explanations of one entity.
const MOST_OF_ONE: usize = 10;

/// The most bytes of all explanations.
const ALL_BYTES: usize = 128 * 1024;

/// The fields of an explanation, each with the side that was taken and why: the items of a JSON
/// array.
#[derive(Debug, Default)]
pub struct Notes(String);

impl Notes {
    /// Adds a field with its values in the base, the local and the remote body.
    pub(super) fn add(
        &mut self,
        field: &str,
        sides: [Option<&str>; 3],
        taken: &str,
        because: &str,
    ) {
        if self.0.len() >= FIELDS_BYTES {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(',');
        }
        let mut text = String::from("{");
        put_text(&mut text, "field", field);
        for (name, value) in ["base", "local", "remote"].into_iter().zip(sides) {
            push_field(&mut text, name, &shown(value));
        }
        put_text(&mut text, "taken", taken);
        put_text(&mut text, "because", because);
        text.push('}');
        self.0.push_str(&text);
    }

    /// Lists the fields of a conflict that was decided as a whole, for one reason.
    #[must_use]
    pub fn of(conflict: &Conflict, resolution: &Resolution, because: &str) -> Self {
        let mut notes = Self::default();
        let taken = resolution.taken().unwrap_or_default();
        if conflict.kind != ConflictKind::BothModified {
            notes.add_deletion(conflict, taken, because);
            return notes;
        }
        let merged = if let Resolution::Merged(body) = resolution {
            Some(object_or_empty(Some(body)))
        } else {
            None
        };
        let (base, local, remote) = (
            object_or_empty(conflict.base.as_deref()),
            object_or_empty(conflict.local.as_deref()),
            object_or_empty(conflict.remote.as_deref()),
        );
        for key in all_keys(&remote, &local).filter(|key| !TIMES.contains(key)) {
            let (ours, theirs) = (local.get(key), remote.get(key));
            let taken = match merged.as_ref().map(|merged| merged.get(key)) {
                None => taken,
                Some(value) if same(value, ours) => "local",
                Some(value) if same(value, theirs) => "remote",
                Some(_) => "merged",
            };
            if !same(ours, theirs) || taken == "merged" {
                notes.add(key, [base.get(key), ours, theirs], taken, because);
            }
        }
        notes
    }

    fn add_deletion(&mut self, conflict: &Conflict, taken: &str, because: &str) {
        let deleted = |body: &Option<Rc<str>>| if body.is_none() { "true" } else { "false" };
        let base = conflict.base.as_ref().map(|_| "false");
        let sides = [
            base,
            Some(deleted(&conflict.local)),
            Some(deleted(&conflict.remote)),
        ];
        self.add("isDeleted", sides, taken, because);
    }

    /// Returns the `MergeExplanation` of the public surface as JSON. `at` is in milliseconds since
    /// 1970.
    #[must_use]
    pub fn text(&self, conflict: &Conflict, resolver: &str, at: u64) -> Rc<str> {
        let mut text = String::from("{");
        put_text(&mut text, "at", &time::format(at));
        Table(&conflict.entity).put(&mut text);
        put_text(&mut text, "entityId", &conflict.entity_id);
        put_text(&mut text, "resolver", resolver);
        push_field(&mut text, "fields", &["[", &self.0, "]"].concat());
        text.push('}');
        Rc::from(text)
    }
}

/// Returns a value as JSON, cut if it is long.
fn shown(value: Option<&str>) -> String {
    let json = value.unwrap_or("null");
    if json.len() <= VALUE_BYTES {
        return json.to_owned();
    }
    let text = scan::text(json);
    let all = text.as_deref().unwrap_or(json);
    let end = all
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= VALUE_BYTES / 2)
        .last()
        .unwrap_or_default();
    let mut short = String::new();
    push_string(
        &mut short,
        &[all.get(..end).unwrap_or_default(), "…"].concat(),
    );
    short
}

/// A decided conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The entity type.
    pub entity: String,
    pub id: String,
    /// The explanation as JSON.
    pub text: Rc<str>,
}

/// The latest explanations, oldest first.
#[derive(Debug, Default)]
pub struct History {
    all: VecDeque<Explained>,
    bytes: usize,
}

impl History {
    /// Adds an explanation and drops old ones beyond the limits.
    pub fn add(&mut self, explained: Explained) {
        let same = |other: &Explained| other.entity == explained.entity && other.id == explained.id;
        if self.all.iter().filter(|other| same(other)).count() >= MOST_OF_ONE
            && let Some(oldest) = self.all.iter().position(same)
        {
            self.forget(oldest);
        }
        self.bytes = self.bytes.saturating_add(size(&explained));
        self.all.push_back(explained);
        while self.bytes > ALL_BYTES && self.all.len() > 1 {
            self.forget(0);
        }
    }

    fn forget(&mut self, place: usize) {
        let gone = self.all.remove(place);
        self.bytes = self.bytes.saturating_sub(gone.as_ref().map_or(0, size));
    }

    /// Returns all explanations, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Explained> {
        self.all.iter()
    }

    /// Returns those of one entity as a JSON array.
    #[must_use]
    pub fn of(&self, entity: &str, id: &str) -> String {
        let texts: Vec<&str> = self
            .iter()
            .filter(|one| one.entity == entity && one.id == id)
            .map(|one| &*one.text)
            .collect();
        ["[", &texts.join(","), "]"].concat()
    }
}

fn size(explained: &Explained) -> usize {
    // 64 bytes for the overhead of each in a list and in a record.
    [
        explained.entity.len(),
        explained.id.len(),
        explained.text.len(),
        64,
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}
