//! Waiting for the outcome of writes, also after a reload.

use crate::engine::{Backing, Entities};
use crate::log::receipt::ReceiptOutcome;
use crate::model::entity::{Key, check_entity_id};
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::awaited_receipt::AwaitedReceipt;
use crate::state::tables;

impl<B: Backing, R: Remote, H: Host + 'static> Entities<'_, B, R, H> {
    /// Waits until the currently pending operations of an entity have verdicts, through this tab or
    /// another, and returns the outcome of the last one. Returns immediately if none is pending.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::NotFound`] if nothing is known about the entity, and
    /// with [`crate::model::error::Code::Closed`] once the instance or the user's database is
    /// closed or wiped; also with errors of the storage.
    pub async fn when_synced(
        self,
        user_id: &str,
        entity: &str,
        id: &str,
    ) -> Result<ReceiptOutcome> {
        self.engine.check_entity(entity)?;
        check_entity_id(entity, id)?;
        let user = self.engine.user_for_question(user_id).await?;
        let table = user.db.read(|replica| {
            let found = tables::find(replica, entity, id).or(tables::only(replica, entity));
            found.unwrap_or(entity).to_owned()
        });
        let key = Key::new(&table, id);
        let mut waiting = user.db.read(|replica| AwaitedReceipt::new(replica, &key));
        if !waiting.is_needed() {
            // Another tab may have just written it.
            user.db.catch_up().await?;
            waiting = user.db.read(|replica| AwaitedReceipt::new(replica, &key));
        }
        user.db
            .until(&mut |replica| waiting.outcome(replica, &key, self.engine.host.now_ms()))
            .await?
            .map_err(|error| error.for_user(user_id))
    }
}
