//! Adoption: an account takes over what a visitor has made on this device (`switchUser` with the
//! strategy `adopt`).
//!
//! The account's log gets everything in one commit, with a note of the log and head that it came
//! from. Then the visitor's log is wiped, and the note removed. After a crash in between, the next
//! sign-in of the account finds the note and finishes.

use crate::engine::cycle::cancel::Stop;
use crate::engine::logout::Disposal;
use crate::engine::{Backing, UserOf, Users};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::plan::adoption::{AccountReader, Adopter, Adoption, note};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::replica::Replica;

/// How often an adoption starts over because the other log has grown meanwhile.
const MAX_ROUNDS: usize = 8;

impl<B: Backing, R: Remote, H: Host + 'static> Users<'_, B, R, H> {
    /// Moves everything of `from` to `to`, and wipes `from`.
    ///
    /// # Errors
    /// Errors of the storage. Until `from` is wiped nothing is lost, and the next call or sign-in
    /// goes on.
    pub(super) async fn adopt(self, from: &UserOf<B, H>, to: &UserOf<B, H>) -> Result<Adoption> {
        from.stop(Stop::Abort);
        let turn = from.cycle.turn.lock().await;
        let mut adoption = Adoption::default();
        let mut rounds = 0_usize;
        loop {
            // Another tab may have written.
            from.db.catch_up().await?;
            let (head, content) = from
                .db
                .read(|replica| (replica.head(), replica.content_head()));
            let is_done = to.db.read(|replica| {
                let adopted = replica.facts().adopted.as_ref();
                adopted.is_some_and(|adopted| adopted.user_id == from.id && adopted.head == content)
            });
            if is_done {
                match self.shut_down(from, Disposal::WipeAt(head)).await {
                    Ok(_) => break,
                    // Written to between the look and the seal: that is adopted too.
                    Err(error) if error.code() == Code::UnsyncedData && rounds <= MAX_ROUNDS => {
                        rounds = rounds.saturating_add(1);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            rounds = rounds.saturating_add(1);
            if rounds > MAX_ROUNDS {
                let problem = format!(
                    "`{}` is being written to in another tab; try again.",
                    from.id
                );
                return Err(Error::new(Code::UnsyncedData, problem).for_user(&from.id));
            }
            let mut reader = AccountReader {
                context: from.db.plan_context(),
            };
            let account = from.db.commit(Durability::Strict, &mut reader).await?;
            let mut adopter = Adopter {
                account: &account,
                context: to.db.plan_context(),
            };
            let adopted = to.db.commit(Durability::Strict, &mut adopter).await?;
            adoption.added = adoption.added.saturating_add(adopted.added);
            adoption.merged = adoption.merged.saturating_add(adopted.merged);
        }
        drop(turn);
        self.engine.open_users.clear_current(&from.id);
        self.signed_out(&from.id);
        let forget = |replica: &Replica| vec![note(replica, None)];
        to.db.record(Durability::Strict, &forget).await?;
        Ok(adoption)
    }

    /// Finishes an adoption that a crash interrupted.
    ///
    /// # Errors
    /// As for [`Self::adopt`].
    pub(super) async fn finish_adoption(self, user: &UserOf<B, H>) -> Result<()> {
        let adopted = user.db.peek(|replica| replica.facts().adopted.clone());
        let Some(adopted) = adopted else {
            return Ok(());
        };
        // Even if it is wiped already: only the note of it is left.
        self.engine.open_users.set_gone(&adopted.user_id, false);
        let from = self.engine.user(&adopted.user_id).await?;
        self.adopt(&from, user).await.map(drop)
    }
}
