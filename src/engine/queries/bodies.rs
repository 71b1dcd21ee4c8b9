//! Entities as queries look at them: taken apart, with bodies that are in memory or were fetched.

use std::borrow::Cow;

use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::log::address::BodyId;
use crate::model::entity::Key;
use crate::model::table::Table;
use crate::query::fields::EntityRef;
use crate::state::local_only::joined;
use crate::state::replica::Replica;
use crate::state::sync_states::SyncStates;
use crate::state::view::ViewBody;

/// An entity with its body.
#[derive(Debug)]
pub(super) struct StoredEntity<'a> {
    pub(super) version: u64,
    pub(super) deleted: bool,
    pub(super) sync_state: &'static str,
    pub(super) body: Cow<'a, str>,
}

/// What there is of an entity.
#[derive(Debug)]
pub(super) enum RowLook<'a> {
    /// No such entity, or its body is lost until the next pull.
    Nothing,
    /// A segment has to be fetched first.
    Missing(BodyId),
    Entity(StoredEntity<'a>),
}

impl StoredEntity<'_> {
    /// Returns the entity in its parts.
    pub(super) fn parts<'a>(&'a self, user: &'a str, key: &Key<'a>) -> EntityRef<'a> {
        EntityRef {
            id: key.id,
            space: Table(key.entity).space(),
            user,
            version: self.version,
            deleted: self.deleted,
            sync_state: self.sync_state,
            body: &self.body,
        }
    }
}

/// Looks at entities of one state.
#[derive(Debug)]
pub(super) struct Looker<'a> {
    pub(super) replica: &'a Replica,
    bodies: &'a FetchedBodies,
    /// `None` if nobody asks how far writes have come.
    states: Option<SyncStates<'a>>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(replica: &'a Replica, bodies: &'a FetchedBodies, states: bool) -> Self {
        Self {
            replica,
            bodies,
            states: states.then(|| SyncStates::of(replica)),
        }
    }

    /// Looks at an entity, with what lies over its row.
    pub(super) fn look(&self, key: &Key<'_>) -> RowLook<'a> {
        let replica = self.replica;
        let Some(view) = replica.view(key) else {
            return RowLook::Nothing;
        };
        let body = match &view.body {
            None => Cow::Borrowed("{}"),
            Some(body) => {
                let body = match self.text(body) {
                    Ok(text) => text,
                    Err(look) => return look,
                };
                let body = match view.over {
                    Some(over) => Cow::Owned(joined(body, over)),
                    None => Cow::Borrowed(body),
                };
                match replica
                    .local_only_fields(key)
                    .map(|fields| self.text(&fields))
                {
                    Some(Ok(fields)) => Cow::Owned(joined(&body, fields)),
                    Some(Err(look @ RowLook::Missing(_))) => return look,
                    _ => body,
                }
            }
        };
        RowLook::Entity(StoredEntity {
            version: view.version,
            deleted: view.deleted,
            sync_state: self.sync_state(key),
            body,
        })
    }

    fn text(&self, body: &ViewBody<'a>) -> Result<&'a str, RowLook<'a>> {
        match self.bodies.text(self.replica, body) {
            Ok(text) => text.ok_or(RowLook::Nothing),
            Err(segment) => Err(RowLook::Missing(segment)),
        }
    }

    pub(super) fn sync_state(&self, key: &Key<'_>) -> &'static str {
        let states = self.states.as_ref();
        states
            .map(|states| states.get(key))
            .unwrap_or_default()
            .name()
    }
}
