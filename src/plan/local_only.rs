//! TODO

use std::rc::Rc;

use crate::log::commit::Commit;
use crate::model::entity::{Fields, Key};
use crate::model::error::Result;
use crate::plan::{Need, Plan};
use crate::state::local_only::{joined, split, written};
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// Values of a commit under construction, by id; none for what it takes away. Changes can be taken
/// back.
#[derive(Debug)]
pub struct Layer<T> {
    /// What the commit has done so far.
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
    /// Sets a value.
    pub fn note(&mut self, id: &str, value: Option<T>) {
        let before = self.now.insert(id, value);
        self.undo.push((id.to_owned(), before));
    }

    /// The changes since the last call stay.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// The changes since the last [`Self::keep`] go.
    pub fn revert(&mut self) {
        for (id, before) in std::mem::take(&mut self.undo).into_iter().rev() {
            match before {
                Some(value) => drop(self.now.insert(&id, value)),
                None => drop(self.now.remove(&id)),
            }
        }
    }
}

impl Replica {
    /// Plans to keep what operations from before a change of the config would have carried to the
    /// server: once they are pushed without it, no side but this one has it.
    ///
    /// # Errors
    /// [`crate::model::error::Code::InvalidEntity`] where a queued body is not a JSON object.
    pub fn plan_aside(&self, local_only: &dyn Fn(&str) -> Rc<[String]>) -> Result<Plan<Commit>> {
        let mut found: VecMap<OrderedMap<String>> = VecMap::default();
        let mut missing = Vec::new();
        for queued in self.outbox.iter() {
            let (op, names) = (&queued.op, local_only(&queued.op.entity));
            let Some(body) = op.body.as_deref().filter(|_| !names.is_empty()) else {
                continue;
            };
            let Some(fields) = split(body, &names)?.1 else {
                continue;
            };
            let fields = match self.local_only_fields(&Key::new(&op.entity, &op.id)) {
                None => fields,
                Some(ViewBody::Absent { segment, .. }) => {
                    missing.push(segment);
                    continue;
                }
                Some(ViewBody::Text(have)) => {
                    let known = Fields::parse(have)?;
                    if Fields::parse(&fields)?
                        .0
                        .iter()
                        .all(|(name, _)| known.get(name).is_some())
                    {
                        continue;
                    }
                    joined(&fields, have)
                }
            };
            found.entry(&op.entity).insert(&op.id, fields);
        }
        if !missing.is_empty() {
            return Ok(Plan::Needs(Need::Bodies(missing)));
        }
        let types = found.iter();
        let segments = types
            .map(|(entity, fields)| {
                written(
                    entity,
                    fields.iter().map(|(id, text)| (id, Some(text.as_str()))),
                )
            })
            .collect();
        Ok(Plan::Ready(Commit {
            segments,
            events: Vec::new(),
        }))
    }
}
