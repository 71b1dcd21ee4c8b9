//! Where a write goes: the table of the entity that it names, and whether the user may write there.

use std::borrow::Cow;

use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Link, OperationKind};
use crate::model::space::{MEMBER, NO_SPACES, Role, SPACE, is_reserved};
use crate::model::table::Table;
use crate::plan::page::listing::{awaits_creation, is_given_up};
use crate::plan::write::Overlay;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::collections::vec_map::VecMap;

/// The state that a write finds: the replica, and what the commit under construction changes.
pub(super) struct Places<'a> {
    pub(super) replica: &'a Replica,
    pub(super) overlays: &'a VecMap<Overlay>,
}

impl Places<'_> {
    /// Returns the table of a selection in which a write finds an entity.
    pub(super) fn of<'s>(&self, selection: &'s str, id: &str) -> Cow<'s, str> {
        let is_shared = |(table, _): (&str, &Overlay)| Table(table).space().is_some();
        let one = tables::only(self.replica, selection);
        if let Some(table) = one.filter(|_| !self.overlays.iter().any(is_shared)) {
            return Cow::Borrowed(table);
        }
        match Table(selection).space() {
            Some("") => return Cow::Borrowed(Table(selection).entity()),
            Some(_) => return Cow::Borrowed(selection),
            None => {}
        }
        let written = self.overlays.iter().find(|(table, overlay)| {
            Table(table).entity() == selection && matches!(overlay.ops.now.get(id), Some(Some(_)))
        });
        match written {
            Some((table, _)) => Cow::Owned(table.to_owned()),
            None => match tables::find(self.replica, selection, id) {
                Some(table) => Cow::Owned(table.to_owned()),
                None => Cow::Borrowed(selection),
            },
        }
    }

    /// Returns what a link to an entity names: a row of the same space before one elsewhere.
    pub(super) fn linked(&self, entity: &str, id: &str, beside: &str) -> String {
        let neighbour = Table::name(entity, Table(beside).space());
        let here = |table: &str| {
            let written = self.overlays.get(table);
            written.is_some_and(|overlay| overlay.ops.now.get(id).is_some())
                || self.replica.view(&Key::new(table, id)).is_some()
        };
        if Table(entity).space().is_some() {
            entity.to_owned()
        } else if here(&neighbour) {
            neighbour.into_owned()
        } else {
            self.of(entity, id).into_owned()
        }
    }

    /// Returns true if the creation of a space is pending, or in this commit.
    fn makes(&self, space: &str) -> bool {
        let table = Table::name(SPACE, Some(space));
        let written = self.overlays.get(&table);
        let in_commit = written.and_then(|overlay| overlay.ops.now.get(space));
        matches!(in_commit, Some(Some(_))) || awaits_creation(self.replica, space)
    }

    /// Returns a link to the creation of the table's space while that is pending.
    pub(super) fn creation(&self, key: &Key<'_>) -> Option<Link> {
        let table = Table(key.entity);
        let space = table.space().filter(|space| self.makes(space))?;
        (table.entity() != SPACE).then(|| Link {
            key: Key::new(&Table::name(SPACE, Some(space)), space).to_owned(),
            asked: false,
        })
    }

    /// Checks that the user may write an entity, as far as is known here; the server decides.
    pub(super) fn check(&self, key: &Key<'_>, kind: OperationKind) -> Result<()> {
        let table = Table(key.entity);
        let reserved = is_reserved(table.entity());
        let Some(space) = table.space() else {
            return match reserved {
                false => Ok(()),
                true => refused(
                    key,
                    Code::InvalidArgument,
                    "Spaces and members are in a shared space; name it in `spaceId`.",
                ),
            };
        };
        if self.replica.spaces().support() == Some(false) {
            return refused(key, Code::Unsupported, NO_SPACES);
        }
        let own = match table.entity() {
            SPACE => key.id == space,
            MEMBER => {
                let user = key.id.strip_prefix(space);
                user.is_some_and(|user| user.starts_with('/') && user.len() > 1)
            }
            _ => true,
        };
        if !own {
            return refused(
                key,
                Code::InvalidArgument,
                "The id of a space is its `spaceId`, and that of a member is the space's, a slash, and the user's.",
            );
        }
        let known = (self.replica.spaces().role(space))
            .filter(|_| reserved || !is_given_up(self.replica, space));
        let role = known.or_else(|| self.makes(space).then_some(Role::Owner));
        let begins = table.entity() == SPACE && kind == OperationKind::Create;
        let leaves = kind == OperationKind::Delete
            && table.entity() == MEMBER
            && key
                .id
                .strip_prefix(space)
                .and_then(|id| id.strip_prefix('/'))
                == Some(self.replica.user_id());
        match role {
            None if begins => Ok(()),
            None => refused(
                key,
                Code::NotMember,
                "The user is no member of this space, as far as is known here.",
            ),
            Some(role) if reserved && role < Role::Owner && !leaves => refused(
                key,
                Code::NotOwner,
                "Only an owner of the space changes it and its members.",
            ),
            Some(Role::Reader) if !reserved => {
                refused(key, Code::ReadOnly, "The user may only read in this space.")
            }
            Some(_) => Ok(()),
        }
    }
}

fn refused(key: &Key<'_>, code: Code, why: &'static str) -> Result<()> {
    Err(Error::new(code, why).on(key.entity, Some(key.id)))
}
