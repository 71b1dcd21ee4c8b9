//! Entities: writes and reads, for one user, one entity type at a time. Entities come and go as
//! JSON text, so that each crosses the border to JavaScript once.

use std::rc::Rc;

use crate::engine::auto_sync::Signal;
use crate::engine::{Backing, Engine, User};
use crate::model::entity::{Key, OwnedKey, check_entity_id};
use crate::model::error::{Code, Error, Result};
use crate::plan::write::{Group, Write, Written};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::json::write::Items;

/// Entities of one page when nobody says how many.
pub const DEFAULT_PAGE: usize = 100;

/// One page of entities, in order of id.
#[derive(Debug, Default)]
pub struct Page {
    /// A JSON array.
    pub items: String,
    /// Where the next page starts.
    pub after: Option<String>,
    /// Whether there is one.
    pub has_more: bool,
    /// How many entities there are in all.
    pub total: u64,
}

impl<S: Store, H: Host> User<S, H> {
    /// Whether an entity exists.
    pub fn exists(&self, key: &Key) -> bool {
        self.db
            .read(|replica| replica.view(key).is_some_and(|view| !view.deleted))
    }

    /// How many entities of a type there are.
    pub fn count(&self, entity: &str) -> u64 {
        self.db.read(|replica| replica.count(entity))
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Writes all of these, or none; answers when they are durable.
    ///
    /// # Errors
    /// What is wrong with one of them; what the storage says.
    pub async fn write(
        &self,
        user_id: &str,
        entity: &str,
        writes: Vec<Write>,
    ) -> Result<Vec<Written>> {
        self.write_after(user_id, entity, writes, Rc::default())
            .await
    }

    /// The same, where other entities' operations go first.
    ///
    /// # Errors
    /// As [`Self::write`]; [`Code::InvalidArgument`] where the config has no such type.
    pub async fn write_after(
        &self,
        user_id: &str,
        entity: &str,
        writes: Vec<Write>,
        after: Rc<[OwnedKey]>,
    ) -> Result<Vec<Written>> {
        self.check_entity(entity)?;
        after
            .iter()
            .try_for_each(|key| self.check_entity(&key.entity))?;
        for write in &writes {
            if let Write::Patch { id, .. } | Write::Delete { id, .. } = write {
                check_entity_id(entity, id)?;
            }
        }
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let user = self.user(user_id).await?;
        let group = Group {
            after,
            ..self.group(entity, writes)
        };
        let written = user.db.write(group, self.config.local).await?;
        // Once for all that were written in one commit. Not by the log's head: a log begun anew has
        // the same ones again.
        let commits = user.db.counts().commits;
        if user.known.replace(commits) != commits {
            self.settle(&user, NoteReason::Wrote);
            self.signal(Signal::Wrote(user_id));
        }
        Ok(written)
    }

    /// Writes with what the config says of their type.
    pub(super) fn group(&self, entity: &str, writes: Vec<Write>) -> Group {
        let config = self
            .config
            .entities
            .get(entity)
            .cloned()
            .unwrap_or_default();
        Group {
            entity: entity.to_owned(),
            writes,
            local_only: config.local_only,
            sums: self.config.sums(entity),
            parents: config.parents,
            after: Rc::default(),
            ignore_kept_rejection: false,
        }
    }

    /// One entity as JSON text.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn read(
        &self,
        user_id: &str,
        entity: &str,
        id: &str,
        include_deleted: bool,
    ) -> Result<Option<String>> {
        self.check_entity(entity)?;
        check_entity_id(entity, id)?;
        let user = self.user(user_id).await?;
        let mut found = None;
        user.db
            .read_entities(entity, &[id.to_owned()], include_deleted, &mut |text| {
                found = Some(text.to_owned())
            })
            .await?;
        Ok(found)
    }

    /// Every entity of a type as the text of a JSON array, in order of id.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn read_all(
        &self,
        user_id: &str,
        entity: &str,
        include_deleted: bool,
    ) -> Result<String> {
        self.check_entity(entity)?;
        let user = self.user(user_id).await?;
        user.db.read_all(entity, include_deleted).await
    }

    /// One page of entities, in order of id.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a size of 0; what the storage says.
    pub async fn read_page(
        &self,
        user_id: &str,
        entity: &str,
        size: usize,
        after: Option<&str>,
    ) -> Result<Page> {
        self.check_entity(entity)?;
        if size == 0 || size > crate::model::limits::MAX_BATCH {
            return Err(Error::new(
                Code::InvalidArgument,
                "`size` must be a whole number from 1 to 10000.",
            ));
        }
        let user = self.user(user_id).await?;
        let (mut ids, total) = user.db.read(|replica| {
            let live = |id: &&str| {
                replica
                    .view(&Key::new(entity, id))
                    .is_some_and(|view| !view.deleted)
            };
            let ids: Vec<String> = replica
                .ids(entity, after)
                .filter(live)
                .take(size.saturating_add(1))
                .map(str::to_owned)
                .collect();
            (ids, replica.count(entity))
        });
        let has_more = ids.len() > size;
        ids.truncate(size);
        let mut items = Items::new(ids.len().saturating_mul(400));
        user.db
            .read_entities(entity, &ids, false, &mut |text| items.open().push_str(text))
            .await?;
        Ok(Page {
            items: items.close(),
            after: ids.pop().filter(|_| has_more),
            has_more,
            total,
        })
    }

    /// Whether an entity exists.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn exists(&self, user_id: &str, entity: &str, id: &str) -> Result<bool> {
        self.check_entity(entity)?;
        check_entity_id(entity, id)?;
        Ok(self.user(user_id).await?.exists(&Key::new(entity, id)))
    }

    /// How many entities of a type there are.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn count(&self, user_id: &str, entity: &str) -> Result<u64> {
        self.check_entity(entity)?;
        Ok(self.user(user_id).await?.count(entity))
    }

    /// Refuses an entity type that the config does not name.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] listing those that it names.
    pub fn check_entity(&self, entity: &str) -> Result<()> {
        if self.config.entities.contains(entity) {
            return Ok(());
        }
        let known: Vec<&str> = self.config.entities.keys().collect();
        Err(Error::new(
            Code::InvalidArgument,
            format!(
                "The config names no entity type `{entity}`; it has {}. Add it to `entities`.",
                known.join(", ")
            ),
        ))
    }
}
