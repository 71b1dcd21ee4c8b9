//! The three-way merge of two bodies by field, with an explanation of each field.

use serde_json::{Map, Value};

use crate::conflict::explain::Notes;
use crate::conflict::fields::{TIMES, all_keys, field_hash, object};
use crate::conflict::policy::{identity, order, sum};
use crate::conflict::{Conflict, local_is_later, text};
use crate::model::config::merge_fields::{Policies, Policy};
use crate::model::error::Result;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::serialize;

/// A field in the base, the local and the remote body.
type Sides<'a> = [Option<&'a Value>; 3];

/// Merges the two sides of a conflict; returns the body and an explanation of its fields.
///
/// # Errors
/// Fails with [`crate::model::error::Code::Conflict`] if a body is not an object.
pub(super) fn merge(conflict: &Conflict, policies: &Policies) -> Result<(String, Notes)> {
    let base = conflict
        .base
        .as_deref()
        .map(object)
        .transpose()?
        .unwrap_or_default();
    let local = object(conflict.local.as_deref().unwrap_or("{}"))?;
    let remote = object(conflict.remote.as_deref().unwrap_or("{}"))?;
    let mut merge = FieldMerge {
        conflict,
        policies,
        local_later: local_is_later(conflict),
        notes: Some(Notes::default()),
    };
    let mut merged = merge.objects("", &base, &local, &remote);
    let times = [local.get("modifiedAt"), remote.get("modifiedAt")]
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .max();
    if let Some(time) = times {
        merged.insert("modifiedAt".to_owned(), Value::from(time));
    }
    Ok((
        serialize::to_string(&merged),
        merge.notes.unwrap_or_default(),
    ))
}

/// Which side a field is taken from.
#[derive(Clone, Copy)]
enum TakenSide {
    Local,
    Remote,
}

struct FieldMerge<'a> {
    conflict: &'a Conflict,
    policies: &'a Policies,
    local_later: bool,
    /// `None` within an array, whose items have no name.
    notes: Option<Notes>,
}

impl FieldMerge<'_> {
    fn objects(
        &mut self,
        path: &str,
        base: &Map<String, Value>,
        local: &Map<String, Value>,
        remote: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut merged = Map::new();
        for key in all_keys(remote, local) {
            let at = if path.is_empty() {
                key.clone()
            } else {
                [path, ".", key].concat()
            };
            let sides = [base.get(key), local.get(key), remote.get(key)];
            if let Some(value) = self.field(&at, path.is_empty(), sides) {
                merged.insert(key.clone(), value);
            }
        }
        merged
    }

    fn field(&mut self, at: &str, top: bool, sides: Sides<'_>) -> Option<Value> {
        let [was, ours, theirs] = sides;
        let policy = self.policies.get(at).copied();
        // Equal changes are one change, except for a sum, to which both are added.
        if ours == theirs && (ours == was || policy != Some(Policy::Sum)) {
            return ours.cloned();
        }
        let own = |theirs| {
            top && policy != Some(Policy::Sum)
                && self.conflict.earlier.contains(&field_hash(at, theirs))
        };
        if ours == was {
            self.take(
                at,
                sides,
                TakenSide::Remote,
                "Only the other side changed it.",
            )
        } else if theirs == was {
            self.take(at, sides, TakenSide::Local, "Only this device changed it.")
        } else if theirs.is_some_and(own) {
            self.take(
                at,
                sides,
                TakenSide::Local,
                "The other side has what this device wrote before.",
            )
        } else {
            self.both(at, policy, sides)
        }
    }

    /// Merges a field that both sides changed.
    ///
    /// | policy | needs | result |
    /// |---|---|---|
    /// | none | two objects | merged by their fields |
    /// | `local`, `remote` | | that side |
    /// | `lastWrite` | | the later write |
    /// | `min`, `max` | two numbers or two strings | the smaller or larger |
    /// | `sum` | the base, numbers | the base plus both changes |
    /// | `union` | two arrays | what either added, without what either removed |
    /// | `text` | the base, two strings | both edits |
    ///
    /// If a need is not met, the later write is taken.
    fn both(&mut self, at: &str, policy: Option<Policy>, sides: Sides<'_>) -> Option<Value> {
        let Some(policy) = policy else {
            let [was, Some(Value::Object(ours)), Some(Value::Object(theirs))] = sides else {
                return self.later(at, sides, "Both sides changed it");
            };
            let empty = Map::new();
            let was = map_or(was, &empty);
            return Some(Value::Object(self.objects(at, was, ours, theirs)));
        };
        match policy {
            Policy::Local => self.take(
                at,
                sides,
                TakenSide::Local,
                "`local`: what is here was taken.",
            ),
            Policy::Remote => self.take(
                at,
                sides,
                TakenSide::Remote,
                "`remote`: what is there was taken.",
            ),
            Policy::LastWrite => self.later(at, sides, "`lastWrite`"),
            Policy::Min | Policy::Max => self.extreme(at, policy, sides),
            // Without the base, the changes of the sides are unknown.
            Policy::Sum | Policy::Text if self.conflict.assumed => {
                self.unfit(at, sides, policy, "the base, which is not known any more")
            }
            Policy::Sum => self.sum(at, sides),
            Policy::Union => self.set(at, sides),
            Policy::Text => self.text(at, sides),
        }
    }

    fn extreme(&mut self, at: &str, policy: Policy, sides: Sides<'_>) -> Option<Value> {
        let [_, ours, theirs] = sides;
        let Some(order) = ours
            .zip(theirs)
            .and_then(|(ours, theirs)| order(ours, theirs))
        else {
            return self.unfit(at, sides, policy, "two numbers or two strings");
        };
        let (local, because) = if policy == Policy::Min {
            (order.is_le(), "`min`: the smaller of both.")
        } else {
            (order.is_ge(), "`max`: the larger of both.")
        };
        let side = if local {
            TakenSide::Local
        } else {
            TakenSide::Remote
        };
        self.take(at, sides, side, because)
    }

    fn sum(&mut self, at: &str, sides: Sides<'_>) -> Option<Value> {
        let [was, ours, theirs] = sides;
        let Some(sum) = sum(was, ours, theirs) else {
            return self.unfit(at, sides, Policy::Sum, "numbers");
        };
        self.note(at, sides, "merged", "`sum`: both changes were added.");
        Some(Value::Number(sum))
    }

    fn set(&mut self, at: &str, sides: Sides<'_>) -> Option<Value> {
        let [was, Some(Value::Array(ours)), Some(Value::Array(theirs))] = sides else {
            return self.unfit(at, sides, Policy::Union, "two arrays");
        };
        let was = was
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let union = self.union(at, was, ours, theirs);
        let because = "`union`: what either side added, without what either took away.";
        self.note(at, sides, "merged", because);
        Some(Value::Array(union))
    }

    fn text(&mut self, at: &str, sides: Sides<'_>) -> Option<Value> {
        let [
            was @ (None | Some(Value::Null | Value::String(_))),
            Some(Value::String(ours)),
            Some(Value::String(theirs)),
        ] = sides
        else {
            return self.unfit(at, sides, Policy::Text, "two strings");
        };
        let was = was.and_then(Value::as_str).unwrap_or_default();
        let (text, overlaps) = text::merge(was, ours, theirs, self.local_later);
        let because = match (overlaps, self.local_later) {
            (false, _) => "`text`: the edits of both sides were joined.",
            (true, true) => {
                "`text`: the edits were joined; where they overlap, the later write, here, was taken."
            }
            (true, false) => {
                "`text`: the edits were joined; where they overlap, the later write, there, was taken."
            }
        };
        self.note(at, sides, "merged", because);
        Some(Value::String(text))
    }

    /// Merges arrays as sets: items of the base that neither side removed, in its order, then items
    /// that were added, the earlier write's first.
    fn union(&mut self, at: &str, was: &[Value], ours: &[Value], theirs: &[Value]) -> Vec<Value> {
        let index = |items: &[Value]| {
            let mut places: OrderedMap<u64> = OrderedMap::default();
            for (place, item) in items.iter().enumerate() {
                places.insert(&identity(item), place as u64);
            }
            places
        };
        let all = [
            (was, index(was)),
            (ours, index(ours)),
            (theirs, index(theirs)),
        ];
        let (first, second) = if self.local_later {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        let mut done: OrderedMap<u64> = OrderedMap::default();
        let mut union = Vec::new();
        let notes = self.notes.take();
        for item in was.iter().chain(first).chain(second) {
            let name = identity(item);
            if done.insert(&name, 0).is_some() {
                continue;
            }
            let [was, ours, theirs] = [0, 1, 2].map(|side: usize| {
                let (items, places) = all.get(side)?;
                items.get(usize::try_from(*places.get(&name)?).ok()?)
            });
            let kept = match (was, ours, theirs) {
                // Only objects with an id can differ under one name.
                (_, Some(Value::Object(ours)), Some(Value::Object(theirs))) => Some(Value::Object(
                    self.objects(at, map_or(was, &Map::new()), ours, theirs),
                )),
                (_, Some(one), Some(_)) | (None, Some(one), None) | (None, None, Some(one)) => {
                    Some(one.clone())
                }
                // One side removed it: it is dropped, unless the other side changed it.
                (Some(was), Some(one), None) | (Some(was), None, Some(one)) => {
                    (one != was).then(|| one.clone())
                }
                (_, None, None) => None,
            };
            union.extend(kept);
        }
        self.notes = notes;
        union
    }

    fn later(&mut self, at: &str, sides: Sides<'_>, why: &str) -> Option<Value> {
        let (side, who) = if self.local_later {
            (TakenSide::Local, "here")
        } else {
            (TakenSide::Remote, "there")
        };
        self.take(
            at,
            sides,
            side,
            &[why, ": the later write, ", who, ", was taken."].concat(),
        )
    }

    /// Takes the later write because the policy cannot be applied.
    fn unfit(&mut self, at: &str, sides: Sides<'_>, policy: Policy, needs: &str) -> Option<Value> {
        self.later(at, sides, &["`", policy.name(), "` needs ", needs].concat())
    }

    fn take(
        &mut self,
        at: &str,
        sides: Sides<'_>,
        side: TakenSide,
        because: &str,
    ) -> Option<Value> {
        let [_, ours, theirs] = sides;
        let (name, value) = match side {
            TakenSide::Local => ("local", ours),
            TakenSide::Remote => ("remote", theirs),
        };
        self.note(at, sides, name, because);
        value.cloned()
    }

    fn note(&mut self, at: &str, sides: Sides<'_>, taken: &str, because: &str) {
        if let Some(notes) = self.notes.as_mut().filter(|_| !TIMES.contains(&at)) {
            notes.add(at, sides, taken, because);
        }
    }
}

fn map_or<'a>(value: Option<&'a Value>, empty: &'a Map<String, Value>) -> &'a Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(empty)
}
