//! Health of the remote, the network and the storage, and how much is stored.

use serde::Serialize;

use crate::engine::activity;
use crate::engine::{Backing, HealthCheck};
use crate::model::error::{Code, Result};
use crate::model::status::{Health, LocalHealth, RemoteHealth, SyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::storage_use::{self, LogUse, TypeUse};
use crate::util::collections::vec_map::VecMap;

/// `storageSize` of the public surface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSize {
    /// Bytes of this user's entities and operations.
    pub bytes: u64,
    /// Bytes that the browser allows this origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Whether the browser promised not to evict them.
    pub persisted: bool,
    /// Where those bytes are, by entity type.
    pub entities: VecMap<TypeUse>,
    pub log: LogUse,
}

impl<B: Backing, R: Remote, H: Host + 'static> HealthCheck<'_, B, R, H> {
    /// Asks the remote whether it is healthy, and returns that with the health of network and
    /// storage. Shows the same in the status of the named or current user.
    ///
    /// # Errors
    /// Fails with [`Code::Closed`]; [`Code::InvalidArgument`] for a bad id. A remote that cannot be
    /// reached is a result, not an error.
    pub async fn check(self, user_id: Option<String>) -> Result<Health> {
        self.engine.check_open()?;
        let user_id = user_id.or_else(|| self.engine.current_user());
        let hub = match &user_id {
            Some(user_id) => Some(self.engine.status_hub(user_id)?),
            None => None,
        };
        self.engine.counters.count_request();
        let user_id = user_id.unwrap_or_default();
        let span = self.engine.activity.lone("health", &user_id);
        let answer = self.engine.remote.health().await;
        activity::end(span, answer.as_ref().err());
        let remote = match answer {
            Ok(true) => RemoteHealth::Healthy,
            Ok(false) => RemoteHealth::Unhealthy,
            Err(error) => match error.code() {
                Code::Network | Code::Offline | Code::Timeout => RemoteHealth::Unreachable,
                _ => RemoteHealth::Unhealthy,
            },
        };
        let online = self.engine.network().is_online();
        let local = if self.engine.backing.is_durable() {
            LocalHealth::Healthy
        } else {
            LocalHealth::MemoryOnly
        };
        let check = |status: &mut SyncStatus| {
            status.online = online;
            status.health.remote = remote;
            status.health.local = local;
            status.reckon_health();
        };
        if let Some(hub) = hub {
            hub.update(check);
            return Ok(hub.current().health);
        }
        let mut status = SyncStatus::default();
        check(&mut status);
        Ok(status.health)
    }

    /// Returns the bytes of a user's data, where they are, and the browser's quota.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn storage_size(self, user_id: &str) -> Result<StorageSize> {
        let user = self.engine.user_for_question(user_id).await?;
        let estimate = self.engine.host.storage().await;
        Ok(user.db.read(|replica| StorageSize {
            bytes: replica.stored_bytes(),
            quota: estimate.quota,
            persisted: estimate.persisted,
            entities: storage_use::by_type(replica),
            log: storage_use::of_log(replica),
        }))
    }
}
