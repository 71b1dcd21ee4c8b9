//! What the log knows of spaces: the user's list, how far the pages of each have told everything,
//! which come from their beginning, and which rows are on their way from one to another.
//!
//! The personal space has the empty id here.

use crate::log::address::Seq;
use crate::log::spaces::Limbo;
use crate::model::entity::Key;
use crate::model::space::{Joined, Role};
use crate::model::table::Table;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// A space that comes from its beginning, until the pull ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The space's counter when it began: a row at or below it that does not come is gone.
    pub at: u64,
    /// The record with which it began.
    pub since: Seq,
}

/// The spaces of one user.
#[derive(Debug, Default)]
pub struct Spaces {
    list: Vec<Joined>,
    /// Whether the remote has shared spaces, once it has said so in this epoch.
    pub(super) support: Option<bool>,
    /// The record with the last list that said anything new; 0 if it is of an earlier epoch.
    listed_at: Seq,
    /// The record that last changed what is shown of spaces: the list, names, memberships.
    pub(super) changed_at: Seq,
    made: VecMap<Seq>,
    passed: VecMap<u64>,
    kept: VecMap<u64>,
    starts: VecMap<VecMap<Start>>,
    limbo: VecMap<OrderedMap<Limbo>>,
}

impl Spaces {
    /// The shared spaces of the user, in the order of joining.
    #[must_use]
    pub fn list(&self) -> &[Joined] {
        &self.list
    }

    /// Returns the user's own role in a shared space of the list.
    #[must_use]
    pub fn role(&self, space: &str) -> Option<Role> {
        let joined = self.list.iter().find(|joined| joined.space == space);
        joined.map(|joined| joined.role)
    }

    /// Whether the remote has shared spaces; `None` until a page from the beginning has come.
    #[must_use]
    pub const fn support(&self) -> Option<bool> {
        self.support
    }

    /// The record with the list, if it is one of this epoch.
    #[must_use]
    pub const fn listed_at(&self) -> Seq {
        self.listed_at
    }

    /// The record that last changed what is shown of spaces.
    #[must_use]
    pub const fn changed_at(&self) -> Seq {
        self.changed_at
    }

    /// Spaces that this device made, with the record of the server's word, until a list comes that
    /// was asked for later.
    #[must_use]
    pub const fn made(&self) -> &VecMap<Seq> {
        &self.made
    }

    /// The version up to which the pages have told everything of a space; `None` if the remote
    /// counts no spaces, so that its versions tell nothing of each other.
    #[must_use]
    pub fn passed(&self, space: &str) -> Option<u64> {
        self.passed.get(space).copied()
    }

    /// The last version of each shared space that the restored server has kept, if it said so.
    #[must_use]
    pub const fn kept(&self) -> &VecMap<u64> {
        &self.kept
    }

    /// Notes the last version that a restored server has kept of a space.
    pub(super) fn keep(&mut self, space: &str, version: u64) {
        self.kept.insert(space, version);
    }

    /// Forgets what a restored server has kept: versions of two histories are mixed.
    pub(super) fn forget_kept(&mut self) {
        self.kept = VecMap::default();
    }

    /// Each space with the version up to which its pages have told everything.
    #[must_use]
    pub const fn all_passed(&self) -> &VecMap<u64> {
        &self.passed
    }

    /// The spaces that come from their beginning in the pull of a scope.
    #[must_use]
    pub fn starts(&self, scope: &str) -> Option<&VecMap<Start>> {
        self.starts.get(scope)
    }

    /// Returns true if any space comes from its beginning in the pull of a scope.
    #[must_use]
    pub fn is_starting(&self, scope: &str, space: &str) -> bool {
        let starts = self.starts.get(scope);
        starts.is_some_and(|starts| starts.contains(space))
    }

    /// Returns where a row goes that has left its space.
    #[must_use]
    pub fn limbo_of(&self, key: &Key<'_>) -> Option<&Limbo> {
        self.limbo.get(key.entity)?.get(key.id)
    }

    /// Returns true while any space comes from its beginning, or a row is on its way.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        !self.starts.is_empty() || !self.limbo.is_empty()
    }

    /// Rows on their way, by the table that they leave and their id.
    #[must_use]
    pub const fn limbo(&self) -> &VecMap<OrderedMap<Limbo>> {
        &self.limbo
    }

    /// Takes the whole list. `asked` is the head when it was asked for: it decides about spaces
    /// that were made before.
    pub(super) fn take(&mut self, list: Vec<Joined>, asked: Seq, seq: Seq) {
        self.list = list;
        self.listed_at = seq;
        let later = |at: &Seq| *at > asked;
        let made = std::mem::take(&mut self.made);
        let open = made.iter().filter(|(_, at)| later(at));
        self.made = open.map(|(space, at)| (space, *at)).collect();
    }

    /// Notes that the server has made a space for this device: its user owns it.
    pub(super) fn make(&mut self, space: &str, seq: Seq) {
        self.made.insert(space, seq);
        if self.role(space).is_none() {
            self.list.push(Joined {
                space: space.to_owned(),
                role: Role::Owner,
            });
        }
    }

    /// Notes that a space comes from its beginning. A scope's pages do not tell everything.
    pub(super) fn start(&mut self, scope: &str, space: &str, start: Start) {
        self.starts.entry(scope).insert(space, start);
        if scope.is_empty() {
            self.passed.insert(space, start.at);
        }
    }

    /// Ends the starts of a scope, and returns them.
    pub(super) fn end_starts(&mut self, scope: &str) -> VecMap<Start> {
        self.starts.remove(scope).unwrap_or_default()
    }

    /// Raises the version up to which pages have brought every change.
    pub(super) fn pass(&mut self, space: &str, version: u64) {
        let passed = self.passed.entry(space);
        *passed = version.max(*passed);
    }

    /// Notes where a row goes, or that it is on its way no more.
    pub(super) fn set_limbo(&mut self, table: &str, id: &str, limbo: Option<Limbo>) {
        match limbo {
            Some(limbo) => drop(self.limbo.entry(table).insert(id, limbo)),
            None => {
                let Some(ids) = self.limbo.get_mut(table) else {
                    return;
                };
                ids.remove(id);
                if ids.is_empty() {
                    self.limbo.remove(table);
                }
            }
        }
    }

    /// Forgets everything of a space that the user has left.
    pub(super) fn leave(&mut self, space: &str) {
        self.list.retain(|joined| joined.space != space);
        self.made.remove(space);
        self.passed.remove(space);
        for (_, starts) in self.starts.iter_mut() {
            starts.remove(space);
        }
        self.limbo
            .retain(&|table| Table(table).space() != Some(space));
    }

    /// Forgets what was true of a history that the server has lost. The list stays until it sends
    /// another.
    pub(super) fn enter_epoch(&mut self) {
        *self = Self {
            list: std::mem::take(&mut self.list),
            kept: std::mem::take(&mut self.kept),
            ..Self::default()
        };
    }
}
