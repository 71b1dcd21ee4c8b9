//! Writing and reading entities of one type. Entities are passed as JSON text, so that each crosses
//! the border to JavaScript once.

use std::rc::Rc;

use crate::engine::auto_sync::Signal;
use crate::engine::database::read::Include;
use crate::engine::{Backing, Entities};
use crate::model::entity::{Key, OwnedKey, check_entity_id};
use crate::model::error::{Code, Error, Result};
use crate::plan::write::{Group, Write, Written};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::json::write::Items;

/// The default size of a page.
pub const DEFAULT_PAGE: usize = 100;

/// How often a page is read again, where commits keep coming while its bodies are fetched.
const MOST_TRIES: u32 = 8;

/// One page of entities, in order of id.
#[derive(Debug, Default)]
pub struct Page {
    /// A JSON array.
    pub items: String,
    /// The id after which the next page starts; `None` on the last page.
    pub after: Option<String>,
    pub has_more: bool,
    /// The number of entities of the type.
    pub total: u64,
}

impl<B: Backing, R: Remote, H: Host + 'static> Entities<'_, B, R, H> {
    /// Writes all of these, or none. Returns once they are durable.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] and the like for an invalid write; also with errors of
    /// the storage.
    pub async fn write(
        self,
        user_id: &str,
        entity: &str,
        writes: Vec<Write>,
    ) -> Result<Vec<Written>> {
        self.write_after(user_id, entity, writes, Rc::default())
            .await
    }

    /// As [`Self::write`], but queues the operations behind those of other entities.
    ///
    /// # Errors
    /// As for [`Self::write`]; [`Code::InvalidArgument`] if the config has no such type.
    pub async fn write_after(
        self,
        user_id: &str,
        entity: &str,
        writes: Vec<Write>,
        after: Rc<[OwnedKey]>,
    ) -> Result<Vec<Written>> {
        self.engine.check_entity(entity)?;
        after
            .iter()
            .try_for_each(|key| self.engine.check_entity(&key.entity))?;
        for write in &writes {
            if let Write::Patch { id, .. }
            | Write::PatchAndRemove { id, .. }
            | Write::Move { id, .. }
            | Write::Delete { id, .. } = write
            {
                check_entity_id(entity, id)?;
            }
        }
        if writes.is_empty() {
            // Nothing is written, but by a closed instance or for a bad user neither.
            self.engine.user_for_question(user_id).await?;
            return Ok(Vec::new());
        }
        // A write for a user whose data was removed begins a new database.
        self.engine.open_users.set_gone(user_id, false);
        let user = self.engine.user(user_id).await?;
        let group = Group {
            after,
            ..self.write_group(entity, writes)
        };
        let written = user.db.write(group, self.engine.config.local).await?;
        if user.announces_commit() {
            self.engine.after_commit(&user, NoteReason::Wrote);
            self.engine.auto_sync().signal(Signal::Wrote(user_id));
        }
        Ok(written)
    }

    /// Returns the group for writes of a type, with the config's rules for that type.
    pub(super) fn write_group(self, entity: &str, writes: Vec<Write>) -> Group {
        Group::of(&self.engine.config, entity, writes)
    }

    /// Returns one entity as JSON text.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn read(
        self,
        user_id: &str,
        entity: &str,
        id: &str,
        include: impl Into<Include>,
    ) -> Result<Option<String>> {
        let include = include.into();
        self.engine.check_entity(entity)?;
        check_entity_id(entity, id)?;
        let user = self.engine.user_for_question(user_id).await?;
        let mut found = None;
        user.db
            .read_selected(entity, Some(&[id.to_owned()]), include, &mut |text| {
                found = Some(text.to_owned())
            })
            .await?;
        Ok(found)
    }

    /// Returns every entity of a type as the text of a JSON array, in order of id.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn read_all(
        self,
        user_id: &str,
        entity: &str,
        include: impl Into<Include>,
    ) -> Result<String> {
        let include = include.into();
        self.engine.check_entity(entity)?;
        let user = self.engine.user_for_question(user_id).await?;
        user.db.read_all(entity, include).await
    }

    /// Returns one page of entities, in order of id.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a size of 0; also with errors of the storage.
    pub async fn read_page(
        self,
        user_id: &str,
        entity: &str,
        size: usize,
        after: Option<&str>,
        states: bool,
    ) -> Result<Page> {
        let include = Include {
            deleted: false,
            states,
        };
        self.engine.check_entity(entity)?;
        if size == 0 || size > crate::model::limits::MAX_BATCH {
            return Err(Error::new(
                Code::InvalidArgument,
                "`size` must be a whole number from 1 to 10000.",
            ));
        }
        let user = self.engine.user_for_question(user_id).await?;
        let pick = |replica: &Replica| {
            let most = size.saturating_add(1);
            let ids: Vec<String> = match tables::only(replica, entity) {
                Some(table) => {
                    let live = |id: &&str| replica.is_visible(&Key::new(table, id));
                    let ids = replica.ids(table, after).filter(live).take(most);
                    ids.map(str::to_owned).collect()
                }
                None => {
                    let all = tables::ids(replica, entity, after);
                    let live =
                        |(id, table): &(&str, &&str)| replica.is_visible(&Key::new(table, id));
                    let ids = all.iter().filter(live).take(most);
                    ids.map(|(id, _)| id.to_owned()).collect()
                }
            };
            (replica.place(), ids, tables::count(replica, entity))
        };
        let mut tries = 0_u32;
        loop {
            user.db.materialize().await;
            let (place, mut ids, total) = user.db.read(pick);
            let has_more = ids.len() > size;
            ids.truncate(size);
            let mut items = Items::new(ids.len().saturating_mul(400));
            user.db
                .read_selected(entity, Some(&ids), include, &mut |text| {
                    items.open().push_str(text)
                })
                .await?;
            tries = tries.saturating_add(1);
            // Bodies may have been fetched, and commits have come meanwhile: then the ids are of another
            // state than the entities.
            if tries < MOST_TRIES && user.db.read(Replica::place) != place {
                continue;
            }
            return Ok(Page {
                items: items.close(),
                after: ids.pop().filter(|_| has_more),
                has_more,
                total,
            });
        }
    }

    /// Returns true if an entity exists.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn exists(self, user_id: &str, entity: &str, id: &str) -> Result<bool> {
        self.engine.check_entity(entity)?;
        check_entity_id(entity, id)?;
        Ok(self
            .engine
            .user_for_question(user_id)
            .await?
            .exists(&Key::new(entity, id)))
    }

    /// Returns the number of entities of a type.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn count(self, user_id: &str, entity: &str) -> Result<u64> {
        self.engine.check_entity(entity)?;
        Ok(self.engine.user_for_question(user_id).await?.count(entity))
    }
}
