//! How a database ends on this device: sealed, wiped, closed.

use crate::engine::database::Database;
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::store::Store;

impl<S: Store, H: Host> Database<S, H> {
    /// Removes everything of this user, for good.
    ///
    /// # Errors
    /// What the store says.
    pub async fn wipe(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        self.closed.set(true);
        let result = self.store.wipe().await;
        if result.is_ok() {
            self.place.borrow_mut().take();
            self.end();
        }
        drop(turn);
        result
    }

    /// Refuses writes from now on, after those that were asked for before. What is kept in memory
    /// can still be read, so that it can be decided whether to go on to [`Self::wipe`] or
    /// [`Self::close`].
    ///
    /// # Errors
    /// [`Code::Closed`].
    pub async fn seal(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        let open = self.check_open();
        self.closed.set(true);
        drop(turn);
        open
    }

    /// Lets go at once, of a log that another tab removes: nothing of it is saved into a new one.
    pub fn abandon(&self) {
        self.end();
        self.place.borrow_mut().take();
        self.store.close();
    }

    /// Takes a seal back.
    pub fn unseal(&self) {
        self.closed.set(false);
    }

    /// Waits for a commit in flight, then lets go of the store.
    pub async fn close(&self) {
        let turn = self.turn.lock().await;
        self.end();
        self.store.close();
        self.place.borrow_mut().take();
        drop(turn);
    }
}
