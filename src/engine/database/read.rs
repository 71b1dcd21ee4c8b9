//! Reading entities: fetches bodies that are not in memory, quarantines damaged ones, and adds the
//! local-only fields.

use std::rc::Rc;

use crate::engine::database::Database;
use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::log::address::BodyId;
use crate::log::directory::Directory;
use crate::log::segment;
use crate::model::entity::{Key, Owner, push_entity, push_sync_state};
use crate::model::error::{Code, Result};
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::local_only::joined;
use crate::state::replica::Replica;
use crate::state::sync_states::SyncStates;
use crate::state::tables;
use crate::state::view::{View, ViewBody};
use crate::util::collections::seq_map::SeqMap;
use crate::util::json::write::Items;

/// What a read includes, besides entities as they are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Include {
    /// Deleted entities.
    pub deleted: bool,
    /// The member `$syncState` of each entity.
    pub states: bool,
}

/// Whether deleted entities are included.
impl From<bool> for Include {
    fn from(deleted: bool) -> Self {
        Self {
            deleted,
            states: false,
        }
    }
}

impl<S: Store, H: Host> Database<S, H> {
    /// Passes the selected entities to `each` as JSON, as of one state: those with these ids in
    /// their order, or all in order of id. Skips absent ones.
    ///
    /// # Errors
    /// Errors of the store. A damaged body is quarantined, and its rows count as absent until the
    /// next pull brings them again.
    pub async fn read_selected(
        &self,
        selection: &str,
        ids: Option<&[String]>,
        include: Include,
        each: &mut dyn FnMut(&str),
    ) -> Result<()> {
        self.check_open()?;
        // One entity can be looked up without the row index.
        let can_peek = |replica: &Replica| {
            let table = tables::only(replica, selection);
            matches!((table, ids), (Some(table), Some([id])) if replica.can_peek(&Key::new(table, id)))
        };
        let mut bodies = FetchedBodies::default();
        loop {
            if !self.peek(can_peek) {
                self.materialize().await;
            }
            let missing = {
                let replica = if self.peek(can_peek) {
                    self.memory.peek()
                } else {
                    self.memory.whole()
                };
                let reader = SelectedReader {
                    replica: &replica,
                    selection,
                    ids,
                    include,
                    bodies: &bodies,
                };
                let missing = reader.missing();
                if missing.is_empty() {
                    reader.pass(each);
                    return Ok(());
                }
                missing
            };
            bodies.fetch(self, &missing).await?;
        }
    }

    /// Returns every selected entity as a JSON array, in order of id.
    ///
    /// # Errors
    /// As for [`Self::read_selected`].
    pub async fn read_all(&self, selection: &str, include: Include) -> Result<String> {
        self.check_open()?;
        let directories = self.peek(|replica| {
            let table = tables::only(replica, selection).filter(|_| !include.states)?;
            Table(table)
                .space()
                .map_or_else(|| replica.lazy_in_order(table), |_| None)
        });
        if let Some(directories) = directories
            && let Some(text) = self.read_lazy(directories).await?
        {
            return Ok(text);
        }
        self.materialize().await;
        let count = self.read(|replica| tables::count(replica, selection));
        let room = usize::try_from(count).unwrap_or_default();
        let mut items = Items::new(room.saturating_mul(400));
        self.read_selected(selection, None, include, &mut |text| {
            items.open().push_str(text)
        })
        .await?;
        Ok(items.close())
    }

    /// Does the same for lazy rows, straight from their segments; `None` if a segment is
    /// unavailable.
    async fn read_lazy(&self, directories: Vec<(Directory, BodyId)>) -> Result<Option<String>> {
        let (mut absent, mut room) = (SeqMap::default(), 0_usize);
        let mut held: Vec<(BodyId, Rc<[u8]>)> = Vec::new();
        self.peek(|replica| {
            for (directory, id) in &directories {
                match replica.segments().resident(*id) {
                    Some(bytes) => held.push((*id, Rc::clone(bytes))),
                    None => absent.insert(*id, ()),
                }
                room = room.saturating_add((directory.count as usize).saturating_mul(120));
            }
        });
        let Ok((fetched, _)) = self.fetch(&absent.keys()).await else {
            return Ok(None);
        };
        held.extend(fetched);
        let owner = Owner::new(self.memory.peek().user_id());
        let mut items = Items::new(
            held.iter()
                .fold(room, |sum, (_, bytes)| sum.saturating_add(bytes.len())),
        );
        for (directory, id) in &directories {
            let Some((_, bytes)) = held.iter().find(|(have, _)| have == id) else {
                return Ok(None);
            };
            let mut lines = directory.lines();
            for line in &mut lines {
                let Some(body) =
                    segment::slice(bytes, line.offset, line.len).filter(|_| line.is_plain())
                else {
                    return Ok(None);
                };
                push_entity(items.open(), body, line.id, &owner, line.version, false);
            }
            if !lines.were_all() {
                return Ok(None);
            }
        }
        Ok(Some(items.close()))
    }

    /// Fetches bodies and quarantines damaged ones. Returns those that were found.
    ///
    /// # Errors
    /// Errors of the store.
    pub(in crate::engine) async fn fetch_for_reader(
        &self,
        ids: &[BodyId],
    ) -> Result<Vec<(BodyId, Rc<[u8]>)>> {
        let (held, damaged) = match self.fetch(ids).await {
            // Rows in memory are still readable; the others come again with the next pull.
            Err(error) if error.code() == Code::StorageLost => {
                self.catch_up().await?;
                (Vec::new(), Vec::new())
            }
            fetched => fetched.map_err(|error| self.on_store_error(error))?,
        };
        if !damaged.is_empty() {
            let turn = self.turn.lock().await;
            // A checkpoint may have moved their rows meanwhile.
            let is_known =
                |id: &BodyId| self.peek(|replica| replica.segments().describe(*id).is_some());
            let damaged = damaged.into_iter().filter(is_known).collect();
            self.quarantine_in_turn(damaged).await?;
            drop(turn);
        }
        Ok(held)
    }

    /// Fetches one body; `None` if it is missing or damaged.
    ///
    /// # Errors
    /// Errors of the store.
    pub(in crate::engine) async fn body(&self, id: BodyId) -> Result<Option<Rc<[u8]>>> {
        let fetched = self.fetch(&[id]).await;
        let (mut held, _) = fetched.map_err(|error| self.on_store_error(error))?;
        Ok(held.pop().map(|(_, bytes)| bytes))
    }

    /// Fetches bodies; returns those that were found, and the ids of missing or damaged ones.
    pub(super) async fn fetch(
        &self,
        ids: &[BodyId],
    ) -> Result<(Vec<(BodyId, Rc<[u8]>)>, Vec<BodyId>)> {
        let (mut held, mut damaged) = (Vec::new(), Vec::new());
        if ids.is_empty() {
            return Ok((held, damaged));
        }
        let lost = self.peek(|replica| replica.place().lost);
        let bodies = self.store.bodies(ids).await?;
        self.update(|replica| {
            // Those of a log that was lost since say nothing of this one.
            let is_same_log = replica.place().lost == lost;
            for (id, bytes) in ids.iter().zip(bodies).filter(|_| is_same_log) {
                if replica.segments_mut().supply(*id, bytes.clone()) {
                    held.extend(bytes.map(|bytes| (*id, bytes)));
                } else {
                    damaged.push(*id);
                }
            }
        });
        Ok((held, damaged))
    }
}

/// Reads selected entities of one state.
struct SelectedReader<'a> {
    replica: &'a Replica,
    selection: &'a str,
    ids: Option<&'a [String]>,
    include: Include,
    bodies: &'a FetchedBodies,
}

impl SelectedReader<'_> {
    /// Passes on each selected entity that is there.
    fn views(&self, each: &mut dyn FnMut(&Key<'_>, View<'_>)) {
        let (replica, selection) = (self.replica, self.selection);
        let mut look = |table: &str, id: &str| {
            let key = Key::new(table, id);
            let view = replica.view(&key);
            if let Some(view) = view.filter(|view| self.include.deleted || !view.deleted) {
                each(&key, view);
            }
        };
        match (tables::only(replica, selection), self.ids) {
            (Some(table), Some(ids)) => ids.iter().for_each(|id| look(table, id)),
            (Some(table), None) => replica.ids(table, None).for_each(|id| look(table, id)),
            (None, Some(ids)) => {
                for id in ids {
                    if let Some(table) = tables::find(replica, selection, id) {
                        look(table, id);
                    }
                }
            }
            (None, None) => {
                for (id, table) in tables::ids(replica, selection, None).iter() {
                    look(table, id);
                }
            }
        }
    }

    /// Returns the segments to fetch first.
    fn missing(&self) -> Vec<BodyId> {
        let mut missing = SeqMap::default();
        self.views(&mut |key, view| {
            let fields = self.replica.local_only_fields(key);
            for part in [view.body, fields].iter().flatten() {
                if let Err(segment) = self.bodies.text(self.replica, part) {
                    missing.insert(segment, ());
                }
            }
        });
        missing.keys()
    }

    /// Passes the entities to `each`, as JSON.
    fn pass(&self, each: &mut dyn FnMut(&str)) {
        let user_id = self.replica.user_id();
        let states = self.include.states.then(|| SyncStates::of(self.replica));
        let mut owner = (None, Owner::new(user_id));
        let mut text = String::new();
        self.views(&mut |key, view| {
            let space = Table(key.entity).space();
            if owner.0.as_deref() != space {
                owner = (space.map(str::to_owned), Owner::of(user_id, space));
            }
            let body = match view.body.as_ref().map(|body| self.text(body)) {
                None => "{}",
                Some(None) => return,
                Some(Some(body)) => body,
            };
            let mut joint = view.over.map(|over| joined(body, over));
            let fields = self
                .replica
                .local_only_fields(key)
                .filter(|_| view.body.is_some());
            if let Some(fields) = fields.as_ref().and_then(|fields| self.text(fields)) {
                joint = Some(joined(joint.as_deref().unwrap_or(body), fields));
            }
            let body = joint.as_deref().unwrap_or(body);
            text.clear();
            push_entity(
                &mut text,
                body,
                key.id,
                &owner.1,
                view.version,
                view.deleted,
            );
            if let Some(states) = &states {
                push_sync_state(&mut text, states.get(key).name());
            }
            each(&text);
        });
    }

    /// Returns the text of a body; `None` if it could not be had.
    fn text<'a>(&'a self, body: &ViewBody<'a>) -> Option<&'a str> {
        self.bodies.text(self.replica, body).ok().flatten()
    }
}
