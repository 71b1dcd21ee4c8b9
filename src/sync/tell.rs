//! Telling the remote of this device: written only when there is news, so that an idle cycle stays
//! one request.

use crate::digest::Digest;
use crate::error::{Code, Result};
use crate::host::Host;
use crate::json;
use crate::members::scan;
use crate::metadata::{EntityCount, SyncMetadata, SyncState};
use crate::protocol::DeviceMetadata;
use crate::remote::Remote;
use crate::replica::Replica;
use crate::replica::segment::checksum;
use crate::replica::state::Facts;
use crate::small::Small;
use crate::store::Store;
use crate::sync::Cycle;
use crate::sync::retry::worth_another_try;

/// Without news, the remote hears of this device once in so many milliseconds.
const REMIND_MS: u64 = 15 * 60 * 1000;

/// Counts, digests and pending operations, by entity type.
#[must_use]
pub fn entity_counts(
    replica: &Replica,
    entities: &mut dyn Iterator<Item = &str>,
) -> Small<EntityCount> {
    entities
        .map(|entity| {
            let digest = replica.digest(entity);
            let count = EntityCount {
                count: replica.count(entity),
                hash: Some(digest.hex()),
                pending: replica.outbox().count_of(entity),
            };
            (entity, count)
        })
        .collect()
}

/// The digest over everything.
#[must_use]
pub fn data_hash(replica: &Replica) -> String {
    replica
        .digests()
        .fold(Digest::default(), |all, (_, digest)| all.and(digest))
        .hex()
}

/// What the last attempt left behind, in one word.
#[must_use]
pub fn state(replica: &Replica, syncing: bool) -> SyncState {
    let facts = replica.facts();
    if syncing {
        SyncState::Syncing
    } else if facts.error.is_some() {
        SyncState::Failed
    } else if !replica.conflicts().is_empty() {
        SyncState::Conflict
    } else if facts.last_success.is_none() {
        SyncState::NeverSynced
    } else if !replica.outbox().is_empty() {
        SyncState::Pending
    } else {
        SyncState::Synced
    }
}

/// The local metadata, computed from the state: nothing in it can be stale.
#[must_use]
pub fn local_metadata(
    replica: &Replica,
    device_id: &str,
    entities: &mut dyn Iterator<Item = &str>,
    syncing: bool,
) -> SyncMetadata {
    let facts = replica.facts();
    let last_success = facts.last_success.map(crate::time::format);
    SyncMetadata {
        user_id: replica.user_id().to_owned(),
        last_sync_time: facts.last_sync.map(crate::time::format),
        is_never_synced: last_success.is_none(),
        data_hash: last_success.as_ref().map(|_| data_hash(replica)),
        device_id: Some(device_id.to_owned()),
        devices: last_success
            .iter()
            .map(|time| (device_id, time.clone()))
            .collect(),
        device_count: 1,
        last_successful_sync_time: last_success,
        custom_metadata: custom(facts),
        entity_counts: entity_counts(replica, entities),
        sync_status: state(replica, syncing),
        conflict_count: replica.conflicts().len() as u64,
        error_message: facts.error.as_deref().map(str::to_owned),
        retry_count: facts.failures,
        sync_duration: facts.duration,
        has_conflicts: !replica.conflicts().is_empty(),
    }
}

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Puts this device's metadata on the remote where it says something new. A remote that cannot
    /// keep it does not spoil a cycle that has done its work. `duration` is what the cycle has
    /// taken so far, in milliseconds.
    pub(crate) async fn tell_remote(&self, duration: u64) -> Result<()> {
        let now = self.host.now_ms();
        let mut record = self.device_metadata();
        let news = fingerprint(&record);
        let told = self.db.with(|replica| replica.facts().told);
        if told.is_some_and(|(at, what)| what == news && now.abs_diff(at) < REMIND_MS) {
            return Ok(());
        }
        record.last_sync_time = Some(crate::time::format(now));
        record
            .last_successful_sync_time
            .clone_from(&record.last_sync_time);
        record.sync_duration = Some(duration);
        let user_id = self.db.with(|replica| replica.user_id().to_owned());
        record.user_id = Some(user_id.clone());
        match self
            .attempt(worth_another_try, || {
                self.remote.put_metadata(&user_id, &record)
            })
            .await
        {
            Ok(()) => {
                self.told_now.set(Some((now, news)));
                Ok(())
            }
            Err(error)
                if matches!(
                    error.code(),
                    Code::Cancelled
                        | Code::Closed
                        | Code::Timeout
                        | Code::Unauthorized
                        | Code::UserMismatch
                ) =>
            {
                Err(error)
            }
            Err(error) => {
                self.asides
                    .borrow_mut()
                    .push(error.to_json(crate::time::format(now)));
                Ok(())
            }
        }
    }

    fn device_metadata(&self) -> DeviceMetadata {
        self.db.with(|replica| DeviceMetadata {
            device_id: self.device_id.to_owned(),
            data_hash: Some(data_hash(replica)),
            entity_counts: entity_counts(replica, &mut self.config.entities.keys()),
            sync_status: if !replica.conflicts().is_empty() {
                SyncState::Conflict
            } else if replica.outbox().is_empty() {
                SyncState::Synced
            } else {
                SyncState::Pending
            },
            conflict_count: replica.conflicts().len() as u64,
            custom_metadata: custom(replica.facts()),
            ..DeviceMetadata::default()
        })
    }
}

/// The app's own fields.
fn custom(facts: &Facts) -> Option<serde_json::Map<String, serde_json::Value>> {
    match scan::tree(facts.custom.as_deref()?) {
        Ok(serde_json::Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// What the record says apart from times.
fn fingerprint(record: &DeviceMetadata) -> u64 {
    checksum(json::to_string(record).as_bytes())
}
