//! Dead letters: operations that the remote rejected for good. The app retries or discards them.

use crate::engine::{Backing, DeadLetters};
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::plan::retry::RetryPlanner;
use crate::ports::host::Host;
use crate::ports::remote::Remote;

impl<B: Backing, R: Remote, H: Host + 'static> DeadLetters<'_, B, R, H> {
    /// Returns the dead letters as the text of a JSON array.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<String> {
        let user = self.engine.user_for_question(user_id).await?;
        let items: Vec<String> = user.db.read(|replica| {
            replica
                .dead_letters()
                .values()
                .map(|letter| letter.to_json())
                .collect()
        });
        Ok(["[", &items.join(","), "]"].concat())
    }

    /// Queues a dead letter again, as a new operation on the current entity; `edited` replaces its
    /// body. Operations that were rejected because they depend on it are queued behind it. The dead
    /// letters are removed in the same commit; a dependent that can no longer be written stays a
    /// dead letter.
    ///
    /// # Errors
    /// Fails with [`Code::NotFound`] if there is no such dead letter; also for an invalid edited
    /// body, and with errors of the storage.
    pub async fn retry(self, id: &str, edited: Option<String>) -> Result<()> {
        let user = self
            .engine
            .conflicts()
            .user_holding(|replica| replica.dead_letters().contains(id))?;
        let mut planner = RetryPlanner {
            id,
            edited: edited.as_deref(),
            group: &|entity, write| self.engine.entities().write_group(entity, vec![write]),
            context: user.db.plan_context(),
        };
        let local = self.engine.config.local;
        let refused = user.db.commit(local, &mut planner).await?;
        self.engine.conflicts().after_decision(&user);
        refused.map_or(Ok(()), Err)
    }

    /// Discards a dead letter for good.
    ///
    /// # Errors
    /// Fails with [`Code::NotFound`] if there is no such dead letter; also with errors of the
    /// storage.
    pub async fn discard(self, id: &str) -> Result<()> {
        let user = self
            .engine
            .conflicts()
            .user_holding(|replica| replica.dead_letters().contains(id))?;
        user.db
            .record(Durability::Strict, &|_| {
                vec![Event::Revive { id: id.to_owned() }]
            })
            .await?;
        self.engine.conflicts().after_decision(&user);
        Ok(())
    }
}
