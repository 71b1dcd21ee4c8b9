//! The entities that a read without a query begins with.

use crate::engine::database::read::Include;
use crate::model::entity::{Key, OwnedKey};
use crate::state::replica::Replica;
use crate::state::tables;

/// Which entities are read, in order of id.
#[derive(Clone, Debug, Default)]
pub struct SelectedEntities {
    /// The entity type, or one of its tables: see [`crate::state::tables`].
    pub selection: String,
    /// One of them.
    pub only: Option<String>,
    /// One page of them.
    pub page: Option<IdPage>,
    pub include: Include,
}

/// A page of entities in order of id.
#[derive(Clone, Debug)]
pub struct IdPage {
    /// How many entities it has at most.
    pub size: usize,
    /// The id after which it begins.
    pub after: Option<String>,
}

impl SelectedEntities {
    /// Returns the keys of the entities that readers see: of one id, the first.
    pub(super) fn keys(&self, replica: &Replica) -> Vec<OwnedKey> {
        self.first(
            replica,
            self.page.as_ref().map_or(usize::MAX, |page| page.size),
        )
    }

    /// Returns the id after which the next page begins; `None` if this is the last one.
    pub(super) fn next_page(&self, replica: &Replica) -> Option<String> {
        let size = self.page.as_ref()?.size;
        let mut keys = self.first(replica, size.saturating_add(1));
        keys.pop().filter(|_| keys.len() >= size)?;
        keys.pop().map(|key| key.id)
    }

    fn first(&self, replica: &Replica, most: usize) -> Vec<OwnedKey> {
        let is_seen = |key: &Key<'_>| {
            let view = replica.view(key);
            view.is_some_and(|view| self.include.deleted || !view.deleted)
        };
        if let Some(id) = &self.only {
            let table = tables::find(replica, &self.selection, id);
            let key = table.map(|table| Key::new(table, id)).filter(is_seen);
            return key.into_iter().map(Key::to_owned).collect();
        }
        let after = self.page.as_ref().and_then(|page| page.after.as_deref());
        match tables::only(replica, &self.selection) {
            Some(table) => {
                let keys = replica.ids(table, after).map(|id| Key::new(table, id));
                keys.filter(is_seen).take(most).map(Key::to_owned).collect()
            }
            None => {
                let ids = tables::ids(replica, &self.selection, after);
                let keys = ids.iter().map(|(id, table)| Key::new(table, id));
                keys.filter(is_seen).take(most).map(Key::to_owned).collect()
            }
        }
    }
}
