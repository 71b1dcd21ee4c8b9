//! What the store in memory holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::space::Role;

use crate::rules::store::{AppliedOperation, Head, Identity, Range, Row, Space};

/// The data of one space.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) head: Head,
    /// Versions by entity type and id.
    pub(super) versions: BTreeMap<(String, String), u64>,
    /// Rows by version, with the times they were written.
    pub(super) rows: BTreeMap<u64, (Arc<Row>, u64)>,
    pub(super) digests: BTreeMap<String, Digest>,
    /// The members of a shared space; none once it has ended. It stays, so that its id is never
    /// used again.
    pub(super) members: BTreeMap<String, Role>,
}

/// The data of one user, beside the rows of the user's own space.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct User {
    /// Applied operations by id, with the times they were written.
    pub(super) applied: BTreeMap<String, (AppliedOperation, u64)>,
    /// Device records by id, with the times they were written.
    pub(super) devices: BTreeMap<String, (String, u64)>,
    pub(super) revision: u64,
    /// Every space that the user was ever in, by its id.
    pub(super) memberships: BTreeMap<String, Membership>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Membership {
    pub(super) number: u64,
    /// The revision with which it began, the last time.
    pub(super) joined: u64,
    pub(super) role: Option<Role>,
}

impl Rows {
    pub(super) fn row(&self, entity: &str, id: &str) -> Option<&Arc<Row>> {
        let version = self.versions.get(&(entity.to_owned(), id.to_owned()))?;
        self.rows.get(version).map(|(row, _)| row)
    }

    pub(super) fn range<'a>(&'a self, range: Range<'a>) -> impl Iterator<Item = &'a Arc<Row>> {
        let asked = move |row: &Row| range.entities.is_none_or(|some| some.contains(&row.entity));
        let needed = move |row: &Row| row.data.is_some() || row.version > range.live_until;
        let after = self.rows.range(range.after.saturating_add(1)..);
        after
            .map(|(_, (row, _))| row)
            .filter(move |row| asked(row) && needed(row))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) identity: Identity,
    /// The epochs that have ended, with the last version of each space's history in them.
    pub(super) epoch_history: BTreeMap<String, BTreeMap<Space, u64>>,
    pub(super) spaces: BTreeMap<Space, Arc<Rows>>,
    pub(super) users: BTreeMap<String, Arc<User>>,
}

impl State {
    pub(super) fn space_mut(&mut self, space: &Space) -> &mut Rows {
        Arc::make_mut(self.spaces.entry(space.clone()).or_default())
    }

    pub(super) fn user_mut(&mut self, user: &str) -> &mut User {
        Arc::make_mut(self.users.entry(user.to_owned()).or_default())
    }
}
