//! Reading entities: fetches bodies that are not in memory, quarantines damaged ones, and adds the
//! local-only fields.

use std::rc::Rc;

use crate::engine::database::Database;
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
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;
use crate::util::collections::vec_map::VecMap;
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
    /// Passes the selected entities to `each` in order of id, as JSON: those with these ids, or
    /// all. Skips absent ones.
    ///
    /// # Errors
    /// As for [`Self::read_entities`].
    pub async fn read_selected(
        &self,
        selection: &str,
        ids: Option<&[String]>,
        include: Include,
        each: &mut dyn FnMut(&str),
    ) -> Result<()> {
        if let Some(table) = self.peek(|replica| tables::only(replica, selection)) {
            let all;
            let ids = match ids {
                Some(ids) => ids,
                None => {
                    all = self.read(|replica| texts(replica.ids(table, None)));
                    &all
                }
            };
            let mut each = |_: &str, text: &str| each(text);
            return self.read_entities(table, ids, include, &mut each).await;
        }
        let mut by_table: VecMap<Vec<String>> = VecMap::default();
        self.read(|replica| match ids {
            Some(ids) => {
                for id in ids {
                    if let Some(table) = tables::find(replica, selection, id) {
                        by_table.entry(table).push(id.clone());
                    }
                }
            }
            None => {
                for (id, table) in tables::ids(replica, selection, None).iter() {
                    by_table.entry(table).push(id.to_owned());
                }
            }
        });
        let mut found: Vec<(String, String)> = Vec::new();
        for (table, ids) in by_table.iter() {
            let mut keep = |id: &str, text: &str| found.push((id.to_owned(), text.to_owned()));
            self.read_entities(table, ids, include, &mut keep).await?;
        }
        sort(&mut found);
        for (_, text) in &found {
            each(text);
        }
        Ok(())
    }

    /// Passes the entities of a table with these ids to `each`, as JSON; skips absent ids.
    ///
    /// # Errors
    /// Errors of the store. A damaged body is quarantined, and its rows count as absent until the
    /// next pull brings them again.
    pub async fn read_entities(
        &self,
        entity: &str,
        ids: &[String],
        include: Include,
        each: &mut dyn FnMut(&str, &str),
    ) -> Result<()> {
        self.check_open()?;
        // One entity can be looked up without the row index.
        let can_peek =
            |replica: &Replica| matches!(ids, [id] if replica.can_peek(&Key::new(entity, id)));
        if !self.peek(can_peek) {
            self.materialize().await;
        }
        let absent = self.peek(|replica| {
            let mut absent = SeqMap::default();
            for id in ids {
                let key = Key::new(entity, id);
                let body = replica.view(&key).and_then(|view| view.body);
                for part in [body, replica.local_only_fields(&key)] {
                    if let Some(ViewBody::Absent { segment, .. }) = part {
                        absent.insert(segment, ());
                    }
                }
            }
            absent.keys()
        });
        // The reader holds the bodies itself, so that a small memory budget cannot evict them
        // before they are read.
        let held = self.fetch_for_reader(&absent).await?;
        let mut text = String::new();
        // Another tab's commit may have been applied in the meantime.
        let replica = if self.peek(can_peek) {
            self.memory.peek()
        } else {
            self.memory.whole()
        };
        let owner = Owner::of(replica.user_id(), Table(entity).space());
        let states = include.states.then(|| SyncStates::of(&replica));
        for id in ids {
            let key = Key::new(entity, id);
            let Some(view) = replica
                .view(&key)
                .filter(|view| include.deleted || !view.deleted)
            else {
                continue;
            };
            text.clear();
            let mut put = |body: &str| {
                push_entity(&mut text, body, id, &owner, view.version, view.deleted);
                if let Some(states) = &states {
                    push_sync_state(&mut text, states.get(&key).name());
                }
            };
            match view.body.as_ref().map(|body| at_hand(body, &held)) {
                None => put("{}"),
                Some(None) => continue,
                Some(Some(body)) => {
                    let joint;
                    let mut body = body;
                    if let Some(over) = view.over {
                        joint = joined(body, over);
                        body = &joint;
                    }
                    match replica
                        .local_only_fields(&key)
                        .as_ref()
                        .and_then(|fields| at_hand(fields, &held))
                    {
                        Some(fields) => put(&joined(body, fields)),
                        None => put(body),
                    }
                }
            }
            each(id, &text);
        }
        Ok(())
    }

    /// Returns every selected entity as a JSON array, in order of id.
    ///
    /// # Errors
    /// As for [`Self::read_entities`].
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
        let bodies = self.store.bodies(ids).await?;
        self.update(|replica| {
            for (id, bytes) in ids.iter().zip(bodies) {
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

fn texts<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    ids.map(str::to_owned).collect()
}

/// Returns the text of a body that is in memory or was fetched.
fn at_hand<'a>(body: &ViewBody<'a>, held: &'a [(BodyId, Rc<[u8]>)]) -> Option<&'a str> {
    match *body {
        ViewBody::Text(text) => Some(text),
        ViewBody::Absent {
            segment,
            offset,
            len,
        } => held
            .iter()
            .find(|(id, _)| *id == segment)
            .and_then(|(_, bytes)| segment::slice(bytes, offset, len)),
    }
}
