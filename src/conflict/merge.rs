//! The three-way merge of two bodies by field, with an explanation of each field.

use std::borrow::Cow;

use crate::conflict::explain::Notes;
use crate::conflict::fields::{TIMES, all_keys, field_hash, object, same};
use crate::conflict::policy::{order, sum};
use crate::conflict::{Conflict, local_is_later, text};
use crate::model::config::merge_fields::{Policies, Policy};
use crate::model::error::Result;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::equal::{MAX_DEPTH, identity};
use crate::util::json::members::Members;
use crate::util::json::scan;
use crate::util::json::write::{Items, push_field, push_string};

/// The JSON text of a field in the base, the local and the remote body.
type Sides<'a> = [Option<&'a str>; 3];

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
        depth: MAX_DEPTH,
    };
    let merged = merge.objects("", &base, &local, &remote);
    Ok((merged, merge.notes.unwrap_or_default()))
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
    /// How many levels deeper objects are still merged by field.
    depth: u32,
}

impl FieldMerge<'_> {
    fn objects(
        &mut self,
        path: &str,
        base: &Members<'_>,
        local: &Members<'_>,
        remote: &Members<'_>,
    ) -> String {
        let mut merged = String::from("{");
        for key in all_keys(remote, local) {
            let sides = [base.get(key), local.get(key), remote.get(key)];
            let value = if path.is_empty() && key == "modifiedAt" {
                later_time(sides)
            } else if path.is_empty() {
                self.field(key, true, sides)
            } else {
                self.field(&[path, ".", key].concat(), false, sides)
            };
            if let Some(value) = value {
                push_field(&mut merged, key, &value);
            }
        }
        merged.push('}');
        merged
    }

    fn field<'v>(&mut self, at: &str, top: bool, sides: Sides<'v>) -> Option<Cow<'v, str>> {
        let [was, ours, theirs] = sides;
        let policy = self.policies.get(at).copied();
        // Equal changes are one change, except for a sum, to which both are added.
        if same(ours, theirs) && (policy != Some(Policy::Sum) || same(ours, was)) {
            return theirs.map(Cow::Borrowed);
        }
        let own = |theirs| {
            top && policy != Some(Policy::Sum)
                && self.conflict.earlier.contains(&field_hash(at, theirs))
        };
        if same(ours, was) {
            self.take(
                at,
                sides,
                TakenSide::Remote,
                "Only the other side changed it.",
            )
        } else if same(theirs, was) {
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
    fn both<'v>(
        &mut self,
        at: &str,
        policy: Option<Policy>,
        sides: Sides<'v>,
    ) -> Option<Cow<'v, str>> {
        let Some(policy) = policy else {
            return match self.by_field(at, sides) {
                Some(merged) => Some(Cow::Owned(merged)),
                None => self.later(at, sides, "Both sides changed it"),
            };
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

    /// Merges two objects; `None` if they are not both objects, or too deep.
    fn by_field(&mut self, at: &str, sides: Sides<'_>) -> Option<String> {
        let [was, ours, theirs] = sides;
        let ours = object(ours?).ok()?;
        let theirs = object(theirs?).ok()?;
        let was = was.and_then(|was| object(was).ok()).unwrap_or_default();
        let depth = self.depth;
        self.depth = depth.checked_sub(1)?;
        let merged = self.objects(at, &was, &ours, &theirs);
        self.depth = depth;
        Some(merged)
    }

    fn extreme<'v>(&mut self, at: &str, policy: Policy, sides: Sides<'v>) -> Option<Cow<'v, str>> {
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

    fn sum<'v>(&mut self, at: &str, sides: Sides<'v>) -> Option<Cow<'v, str>> {
        let [was, ours, theirs] = sides;
        let Some(sum) = sum(was, ours, theirs) else {
            return self.unfit(at, sides, Policy::Sum, "numbers");
        };
        self.note(at, sides, "merged", "`sum`: both changes were added.");
        Some(Cow::Owned(sum))
    }

    fn set<'v>(&mut self, at: &str, sides: Sides<'v>) -> Option<Cow<'v, str>> {
        let items = |side: Option<&'v str>| side.and_then(|side| scan::array(side).ok());
        let [was, Some(ours), Some(theirs)] = sides.map(items) else {
            return self.unfit(at, sides, Policy::Union, "two arrays");
        };
        let union = self.union(at, &was.unwrap_or_default(), &ours, &theirs);
        let because = "`union`: what either side added, without what either took away.";
        self.note(at, sides, "merged", because);
        Some(Cow::Owned(union))
    }

    fn text<'v>(&mut self, at: &str, sides: Sides<'v>) -> Option<Cow<'v, str>> {
        let [was, ours, theirs] = sides;
        let was = was.filter(|was| *was != "null").unwrap_or("\"\"");
        let texts = [Some(was), ours, theirs].map(|side| side.and_then(scan::text));
        let [Some(was), Some(ours), Some(theirs)] = texts else {
            return self.unfit(at, sides, Policy::Text, "two strings");
        };
        let (text, overlaps) = text::merge(&was, &ours, &theirs, self.local_later);
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
        let mut merged = String::new();
        push_string(&mut merged, &text);
        Some(Cow::Owned(merged))
    }

    /// Merges arrays as sets: items of the base that neither side removed, in its order, then items
    /// that were added, the earlier write's first.
    fn union(&mut self, at: &str, was: &[&str], ours: &[&str], theirs: &[&str]) -> String {
        let index = |items: &[&str]| {
            let mut places: OrderedMap<u64> = OrderedMap::default();
            for (place, item) in items.iter().enumerate() {
                places.insert(&identity(item, false), place as u64);
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
        let mut union = Items::new(0);
        let notes = self.notes.take();
        for item in was.iter().chain(first).chain(second) {
            let name = identity(item, false);
            if done.insert(&name, 0).is_some() {
                continue;
            }
            let sides = [0, 1, 2].map(|side: usize| {
                let (items, places) = all.get(side)?;
                items
                    .get(usize::try_from(*places.get(&name)?).ok()?)
                    .copied()
            });
            match sides {
                // Only objects with an id can differ under one name.
                [_, Some(ours), Some(_)] => {
                    let merged = self.by_field(at, sides);
                    union.open().push_str(merged.as_deref().unwrap_or(ours));
                }
                [None, Some(one), None] | [None, None, Some(one)] => union.open().push_str(one),
                // One side removed it: it is dropped, unless the other side changed it.
                [was, Some(one), None] | [was, None, Some(one)] => {
                    if !same(was, Some(one)) {
                        union.open().push_str(one);
                    }
                }
                [_, None, None] => {}
            }
        }
        self.notes = notes;
        union.close()
    }

    fn later<'v>(&mut self, at: &str, sides: Sides<'v>, why: &str) -> Option<Cow<'v, str>> {
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
    fn unfit<'v>(
        &mut self,
        at: &str,
        sides: Sides<'v>,
        policy: Policy,
        needs: &str,
    ) -> Option<Cow<'v, str>> {
        self.later(at, sides, &["`", policy.name(), "` needs ", needs].concat())
    }

    fn take<'v>(
        &mut self,
        at: &str,
        sides: Sides<'v>,
        side: TakenSide,
        because: &str,
    ) -> Option<Cow<'v, str>> {
        let [_, ours, theirs] = sides;
        let (name, value) = match side {
            TakenSide::Local => ("local", ours),
            TakenSide::Remote => ("remote", theirs),
        };
        self.note(at, sides, name, because);
        value.map(Cow::Borrowed)
    }

    fn note(&mut self, at: &str, sides: Sides<'_>, taken: &str, because: &str) {
        if let Some(notes) = self.notes.as_mut().filter(|_| !TIMES.contains(&at)) {
            notes.add(at, sides, taken, because);
        }
    }
}

/// Returns the later of two times; the remote's if they are not texts.
fn later_time(sides: Sides<'_>) -> Option<Cow<'_, str>> {
    let [_, ours, theirs] = sides;
    let text = |side: Option<&str>| side.and_then(scan::text).map(Cow::into_owned);
    let time = if text(ours) > text(theirs) {
        ours
    } else {
        theirs
    };
    time.map(Cow::Borrowed)
}
