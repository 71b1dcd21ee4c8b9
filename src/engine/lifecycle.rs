//! Opening a user's database, following the page's lifecycle, closing the instance.

use std::rc::Rc;

use crate::engine::auto_sync::schedules::Progress;
use crate::engine::cycle::cancel::Stop;
use crate::engine::database::Database;
use crate::engine::events::Topic;
use crate::engine::migrations::AppSchema;
use crate::engine::space_news::tell_spaces;
use crate::engine::user::User;
use crate::engine::{Backing, Engine, UserOf, check_user_id, closed, storage_loss, watch};
use crate::model::entity::OwnedKey;
use crate::model::error::{Code, Error, Result};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::wiped;

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Returns a user's database, opening it if necessary.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::Closed`], also for a user whose data was removed and
    /// who is not signed in;
    /// [`crate::model::error::Code::InvalidArgument`] for a bad id; errors of the storage.
    pub async fn user(&self, user_id: &str) -> Result<UserOf<B, H>> {
        self.check_open()?;
        check_user_id(user_id)?;
        self.users().check_not_wiped(user_id)?;
        if self.open_users.is_gone(user_id) && self.open_users.current().as_deref() != Some(user_id)
        {
            return Err(wiped().for_user(user_id));
        }
        self.open(user_id).await
    }

    /// Returns a user's database for a question. A question creates no database: for a user who has
    /// none on this device it is answered from an empty one that is nowhere stored.
    ///
    /// # Errors
    /// As for [`Self::user`], but not for a user whose data was removed.
    pub async fn user_for_question(&self, user_id: &str) -> Result<UserOf<B, H>> {
        self.check_open()?;
        check_user_id(user_id)?;
        self.users().check_not_wiped(user_id)?;
        if self.opened(user_id).is_some()
            || self
                .backing
                .users()
                .await?
                .iter()
                .any(|known| known == user_id)
        {
            return self.open(user_id).await;
        }
        let (store, host) = (self.backing.nothing(), Rc::clone(&self.host));
        let db = Database::open(store, host, String::new(), user_id, 0, self.schema()).await?;
        let hub = self.status_hub(user_id)?;
        Ok(Rc::new(User::new(db, hub, user_id, 0)))
    }

    /// Returns a user's database for writes into these entities, which are sent after those of `after`.
    /// A write for a user whose data was removed begins a new one.
    ///
    /// # Errors
    /// As for [`Self::user`]; also with `invalidArgument` for an entity type that the config does not name.
    pub(super) async fn user_for_writes(
        &self,
        user_id: &str,
        selection: &str,
        after: &[OwnedKey],
    ) -> Result<UserOf<B, H>> {
        self.check_entity(selection)?;
        (after.iter()).try_for_each(|key| self.check_entity(&key.entity))?;
        self.open_users.set_gone(user_id, false);
        self.user(user_id).await
    }

    async fn open(&self, user_id: &str) -> Result<UserOf<B, H>> {
        if let Some(user) = self.opened(user_id) {
            return Ok(user);
        }
        let _opening = self.open_users.opening.lock().await;
        if let Some(user) = self.opened(user_id) {
            return Ok(user);
        }
        let store = self
            .backing
            .open(user_id)
            .await
            .map_err(|e| e.for_user(user_id))?;
        let name = format!("{}/{user_id}", self.config.name);
        let db = Database::open(
            store,
            Rc::clone(&self.host),
            name,
            user_id,
            self.config.memory_budget,
            self.schema(),
        )
        .await
        .map_err(|e| self.not_opened(e.for_user(user_id)))?;
        db.tell_commits(&self.activity);
        db.trace_activities(|| self.watch_activity(Some(user_id.to_owned())));
        let hub = self.status_hub(user_id)?;
        let user = Rc::new(User::new(db, hub, user_id, self.roll().into()));
        tell_spaces(&user, &self.events, &self.host);
        user.watch_for_loss(&self.events, &self.host, self.open_users.on_wiped());
        if self.closed.get() {
            user.db.close().await;
            return Err(closed());
        }
        self.show_opened(&user);
        self.open_users.insert(&user);
        self.open_users.set_gone(user_id, false);
        let (head, pending) = user.head_and_pending();
        if let Some(lost) = self.backing.loss(user_id, head, pending) {
            storage_loss::report_loss(&user, &self.events, self.host.now_ms(), lost);
        }
        storage_loss::report_damage(&user, &self.events, self.host.now_ms()).await;
        self.backing
            .note(user_id, head, pending, NoteReason::AtRest);
        self.pauses().show(user_id)?;
        self.tabs().join(&user);
        Ok(user)
    }

    /// Returns the app's schema, for a database.
    fn schema(&self) -> AppSchema {
        AppSchema {
            config: Rc::clone(&self.config),
            migrations: self.migrations.borrow().clone(),
            events: Rc::clone(&self.events),
        }
    }

    /// Tells the app of a migration that has failed.
    fn not_opened(&self, error: Error) -> Error {
        let migrations = self.migrations.borrow().clone();
        if let Some(migrations) = migrations.filter(|_| error.code() == Code::Migration) {
            migrations.failed(&error);
        }
        error
    }

    /// Shows the log's facts about the last cycle in the status, and begins to listen for changes.
    fn show_opened(&self, user: &User<B::Store, H>) {
        let (last_sync, last_success) = user
            .db
            .peek(|replica| (replica.facts().last_sync, replica.facts().last_success));
        user.hub.update(|status| {
            status.last_started_at = last_sync.map(crate::util::time::format);
            status.last_completed_at = last_success.map(crate::util::time::format);
        });
        self.refresh_status(user);
        if self.events.wants(Topic::DataChanged) {
            watch::listen(user, &self.events, &self.host);
        }
    }

    /// Makes a user the current one, and opens their database.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::InvalidArgument`] for a bad id; errors of the
    /// storage.
    pub async fn sign_in(&self, user_id: &str) -> Result<()> {
        self.users().drop_wiped(user_id);
        self.open_users.set_gone(user_id, false);
        let user = self.user(user_id).await?;
        self.users().finish_adoption(&user).await?;
        let previous = self.open_users.set_current(user_id);
        if previous.as_deref() != Some(user_id) {
            if let Some(previous) = previous {
                self.users().signed_out(&previous);
            }
            self.users().signed_in(user_id);
        }
        Ok(())
    }

    /// Catches up after another tab has announced the head of its log.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn on_head(&self, user_id: &str, head: u64) -> Result<()> {
        let Some(user) = self.opened(user_id) else {
            return Ok(());
        };
        // A lower head is a late message, or that of a new log, after the loss of the one that is
        // known here.
        if user.db.peek(|replica| replica.head()) != head {
            let before = Progress::of(&user);
            let caught_up = user.db.catch_up().await;
            self.users().drop_wiped(user_id);
            caught_up?;
            self.auto_sync().other_tab_wrote(&user, before);
            self.after_commit(&user, NoteReason::OtherInstance);
        }
        Ok(())
    }

    /// Catches up with every open user's log, after the storage has come back or was removed.
    pub async fn on_storage_change(&self) {
        for user in self.open_users.all() {
            // What fails here is reported by the next call that needs the storage.
            let _ = user.db.catch_up().await;
            self.users().drop_wiped(&user.id);
            if self.is_open(&user) {
                self.after_commit(&user, NoteReason::AtRest);
            }
        }
    }

    /// Writes a checkpoint and compacts a user's log if that is worthwhile.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn tidy(&self, user_id: &str) -> Result<()> {
        match self.opened(user_id) {
            Some(user) => user.db.tidy().await,
            None => Ok(()),
        }
    }

    /// Closes connections and locks, which would keep the page out of the back/forward cache.
    pub fn let_go(&self) {
        for user in self.open_users.all() {
            user.db.rest();
        }
    }

    /// Catches up after the page has come back from the back/forward cache.
    pub async fn brought_back(&self) {
        for user in self.open_users.all() {
            // After a failure, the next commit or cycle catches up.
            let _ = self.on_head(&user.id, u64::MAX).await;
        }
    }

    /// Stops every cycle, waits for commits in flight, ends the feeds and closes the databases.
    pub async fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let users = self.open_users.all();
        for user in &users {
            user.stop(Stop::Close);
        }
        self.schedules.clear();
        self.hint_state.close();
        for user in &users {
            user.journal.close();
            // A stopped cycle writes its result before it releases its lock.
            let turn = user.cycle.turn.lock().await;
            self.tabs().leave(user);
            user.db.close().await;
            drop(turn);
        }
        self.open_users.remove_all();
        for hub in self.open_users.hubs() {
            hub.close();
        }
        self.events.close();
        self.activity.close();
    }
}
