//! Data that was removed on purpose: by a wipe of another tab, or by an app that deletes its
//! databases.

use crate::model::error::Result;
use crate::ports::store::wiped;
use crate::web::indexeddb::{IndexedDbStore, RootDatabase};

/// The database that counts a user's wipes, and their number when a handle was made.
#[derive(Debug)]
pub(super) struct Wipes {
    pub(super) root: RootDatabase,
    pub(super) user: String,
    pub(super) known: u64,
}

impl IndexedDbStore {
    /// Fails, and closes, if another handle has wiped the user. Called before the database is
    /// opened again, which would create a new one.
    pub(super) async fn check_wiped(&self) -> Result<()> {
        let Some(wipes) = &self.wipes else {
            return Ok(());
        };
        if self.is_deleted_with(&wipes.root) || wipes.root.noted(&wipes.user).await?.1 > wipes.known
        {
            self.connection.close();
            return Err(wiped());
        }
        Ok(())
    }

    /// Whether a script has deleted the app's database and this one too: on purpose, as apps do
    /// that sign a user out. If one of them alone is gone, that is taken for a loss.
    fn is_deleted_with(&self, root: &RootDatabase) -> bool {
        root.is_deleted() && self.connection.is_deleted()
    }

    /// Removes what was written into a new database between the deletion of this one and that of the
    /// app's. Returns false unless both were deleted.
    pub(in crate::web) async fn follow_deletion(&self) -> bool {
        let on_purpose = self
            .wipes
            .as_ref()
            .is_some_and(|wipes| self.is_deleted_with(&wipes.root));
        if on_purpose {
            let may_exist = !self.connection.has_let_go() || self.connection.is_opening();
            if may_exist {
                // Fails if it is closed already, or another tab holds it, which deletes it as well.
                let _ = self.connection.delete().await;
            }
            // What is in flight is tried again on a fresh connection, and would make a new one.
            self.connection.close();
        }
        on_purpose
    }
}
