//! Dead letters: operations that the remote rejected for good, or that the app discarded. The app
//! retries them, or removes them.

use crate::engine::events::Topic;
use crate::engine::{Backing, DeadLetters};
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::plan::rejection::{DISCARDED, IS_DISCARDED, RejectionPlanner, Rejects, Rules};
use crate::plan::retry::RetryPlanner;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::util::json::write::push_field;

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

    /// Takes a pending operation out of the outbox, with the later ones of its entity and those that
    /// depend on it. Readers see what the remote had. The operations become dead letters, so that a
    /// retry takes the discard back. One that was sent may still be applied by the remote: its verdict
    /// then removes the letter. Returns the letters as the text of a JSON array, the operation's own
    /// first.
    ///
    /// # Errors
    /// Fails with [`Code::NotFound`] if no operation of this id is pending; also with errors of the
    /// storage.
    pub async fn discard_operation(self, user_id: &str, op_id: &str) -> Result<String> {
        let engine = self.engine;
        let user = engine.user_for_question(user_id).await?;
        let mut planner = RejectionPlanner {
            what: Rejects::Discarded(op_id),
            code: DISCARDED,
            message: IS_DISCARDED,
            rules: &Rules {
                soft: &|entity| engine.config.is_soft(entity),
                keeps: &|entity| engine.config.keeps(entity),
                policies: &|entity| engine.config.policies(entity),
            },
            now: engine.host.now_ms(),
        };
        let letters = user.db.commit_write(engine.config.local, &mut planner);
        let letters = letters.await?;
        engine.conflicts().after_decision(&user);
        for letter in &letters {
            let (entity, now) = (Some(&*letter.op.entity), engine.host.now_ms());
            (engine.events).tell(Topic::DeadLetter, &user.id, entity, now, &mut |out| {
                push_field(out, "deadLetter", &letter.to_json());
            });
        }
        let (own, others): (Vec<_>, Vec<_>) =
            (letters.iter()).partition(|letter| letter.op.op_id == op_id);
        let items: Vec<String> = (own.iter().chain(&others))
            .map(|letter| letter.to_json())
            .collect();
        Ok(["[", &items.join(","), "]"].concat())
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
