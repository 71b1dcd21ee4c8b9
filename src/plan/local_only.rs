//! Plans the commits for fields that never leave the device.

use std::rc::Rc;

use crate::log::commit::Commit;
use crate::model::entity::{Fields, Key};
use crate::model::error::Result;
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only::{joined, split, written};
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// The changes that a commit under construction makes to values, by id. They can be undone.
#[derive(Debug)]
pub struct Layer<T> {
    /// The values as of this commit; `None` if the commit removes the value.
    pub now: OrderedMap<Option<T>>,
    undo: Vec<(String, Option<Option<T>>)>,
}

impl<T> Default for Layer<T> {
    fn default() -> Self {
        Self {
            now: OrderedMap::default(),
            undo: Vec::new(),
        }
    }
}

impl<T> Layer<T> {
    /// Sets or removes a value.
    pub fn set(&mut self, id: &str, value: Option<T>) {
        let before = self.now.insert(id, value);
        self.undo.push((id.to_owned(), before));
    }

    /// Keeps the changes made so far.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Undoes the changes made since the last [`Self::keep`].
    pub fn revert(&mut self) {
        for (id, before) in std::mem::take(&mut self.undo).into_iter().rev() {
            match before {
                Some(value) => drop(self.now.insert(&id, value)),
                None => drop(self.now.remove(&id)),
            }
        }
    }
}

/// Copies local-only fields out of operations that were queued before the config made the fields
/// local-only: once the operations are pushed without them, only this device has the values.
#[allow(missing_debug_implementations)]
pub struct LocalOnlyPlanner<'a> {
    /// The fields of a type that never leave the device.
    pub local_only: &'a dyn Fn(&str) -> Rc<[String]>,
}

impl Planner for LocalOnlyPlanner<'_> {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        let mut found: VecMap<OrderedMap<String>> = VecMap::default();
        let mut missing = Vec::new();
        for queued in replica.outbox().iter() {
            let (op, names) = (&queued.op, (self.local_only)(&queued.op.entity));
            let Some(body) = op.body.as_deref().filter(|_| !names.is_empty()) else {
                continue;
            };
            let Some(fields) = split(body, &names)?.1 else {
                continue;
            };
            let fields = match replica.local_only_fields(&Key::new(&op.entity, &op.id)) {
                None => fields,
                Some(ViewBody::Absent { segment, .. }) => {
                    missing.push(segment);
                    continue;
                }
                Some(ViewBody::Text(have)) => {
                    let known = Fields::parse(have)?;
                    let fresh = Fields::parse(&fields)?;
                    if fresh.0.iter().all(|(name, _)| known.get(name).is_some()) {
                        continue;
                    }
                    joined(&fields, have)
                }
            };
            found.entry(&op.entity).insert(&op.id, fields);
        }
        if !missing.is_empty() {
            return Ok(Plan::Needs(missing));
        }
        let segments = found
            .iter()
            .map(|(entity, fields)| {
                let texts = fields.iter().map(|(id, text)| (id, Some(text.as_str())));
                written(entity, texts)
            })
            .collect();
        let events = Vec::new();
        Ok(Plan::Ready(Planned::new(Commit { segments, events }, ())))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("localOnly", |_| {}))
    }
}
