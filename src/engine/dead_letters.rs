//! Dead letters: operations that the remote refused for good. The app retries or discards them.

use crate::engine::database::Draft;
use crate::engine::{Backing, DeadLetters};
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::plan::Plan;
use crate::plan::write::Group;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::replica::Replica;

impl<B: Backing, R: Remote, H: Host + 'static> DeadLetters<'_, B, R, H> {
    /// Returns the dead letters as the text of a JSON array.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<String> {
        let user = self.engine.user(user_id).await?;
        let letters: Vec<String> = user.db.read(|replica| {
            replica
                .dead_letters()
                .values()
                .map(|letter| letter.to_json())
                .collect()
        });
        Ok(["[", &letters.join(","), "]"].concat())
    }

    /// Queues a dead letter again, as a new operation based on the current entity; `edited` replaces
    /// its body. The operations that were rejected with it because they depend on it are queued
    /// behind it. The dead letters are removed in the same commit; a dependent that cannot be
    /// written any more stays one.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such dead letter; the errors of an invalid edited
    /// body; errors of the storage.
    pub async fn retry(self, id: &str, edited: Option<String>) -> Result<()> {
        let user = self
            .engine
            .conflicts()
            .user_holding(|replica| replica.dead_letters().contains(id))?;
        let moment = user.db.plan_context();
        let mut refused = None;
        let mut plan = |replica: &Replica| {
            let (letters, mut groups) = (replica.with_dependents(id), Vec::new());
            for letter in &letters {
                let (op, write) =
                    match replica.retried(letter, edited.as_deref().filter(|_| letter == id))? {
                        Plan::Ready(retried) => retried,
                        Plan::Needs(need) => return Ok(Plan::Needs(need)),
                    };
                let after = op
                    .links
                    .iter()
                    .filter(|link| link.asked)
                    .map(|link| link.key.clone())
                    .collect();
                groups.push(Group {
                    after,
                    ignore_kept_rejection: true,
                    ..self.engine.entities().write_group(&op.entity, vec![write])
                });
            }
            Ok(replica.plan_local(&groups, &moment).into_draft(|local| {
                let mut commit = local.commit;
                let mut outcomes = letters.iter().zip(local.outcomes);
                refused = outcomes.next().and_then(|(_, outcome)| outcome.err());
                if refused.is_some() {
                    return Draft::default();
                }
                let back = outcomes
                    .filter(|(_, outcome)| outcome.is_ok())
                    .map(|(letter, _)| letter.clone());
                commit.events.extend(
                    std::iter::once(id.to_owned())
                        .chain(back)
                        .map(|id| Event::Revive { id }),
                );
                commit.into()
            }))
        };
        user.db.commit(self.engine.config.local, &mut plan).await?;
        self.engine.conflicts().after_decision(&user);
        refused.map_or(Ok(()), Err)
    }

    /// Discards a dead letter for good.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such dead letter; errors of the storage.
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
