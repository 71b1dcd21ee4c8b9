//! The local metadata, computed from the state, so that it cannot be stale.

use crate::log::facts::Facts;
use crate::model::digest::Digest;
use crate::model::metadata::SyncMetadata;
use crate::model::protocol::{EntityCount, MetadataSyncStatus};
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan;

/// Returns counts, digests and pending operations by entity type.
#[must_use]
pub fn entity_counts(
    replica: &Replica,
    entities: &mut dyn Iterator<Item = &str>,
) -> VecMap<EntityCount> {
    entities
        .map(|entity| {
            let digest = replica.digest(entity);
            let count = EntityCount {
                count: tables::count(replica, entity),
                hash: Some(digest.hex()),
                pending: replica.outbox().count_of(entity),
            };
            (entity, count)
        })
        .collect()
}

/// Returns the digest of all synced rows.
#[must_use]
pub fn data_hash(replica: &Replica) -> String {
    replica
        .digests()
        .fold(Digest::default(), |all, (_, digest)| all.and(digest))
        .hex()
}

/// Returns the state after the last attempt.
#[must_use]
pub fn state(replica: &Replica, syncing: bool) -> MetadataSyncStatus {
    let facts = replica.facts();
    if syncing {
        MetadataSyncStatus::Syncing
    } else if facts.error.is_some() {
        MetadataSyncStatus::Failed
    } else if !replica.conflicts().is_empty() {
        MetadataSyncStatus::Conflict
    } else if facts.last_success.is_none() {
        MetadataSyncStatus::NeverSynced
    } else if !replica.outbox().is_empty() {
        MetadataSyncStatus::Pending
    } else {
        MetadataSyncStatus::Synced
    }
}

#[must_use]
pub fn local_metadata(
    replica: &Replica,
    device_id: &str,
    entities: &mut dyn Iterator<Item = &str>,
    syncing: bool,
) -> SyncMetadata {
    let facts = replica.facts();
    let last_success = facts.last_success.map(crate::util::time::format);
    SyncMetadata {
        user_id: replica.user_id().to_owned(),
        last_sync_time: facts.last_sync.map(crate::util::time::format),
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

/// Returns the app's own metadata fields.
pub(crate) fn custom(facts: &Facts) -> Option<serde_json::Map<String, serde_json::Value>> {
    match scan::tree(facts.custom.as_deref()?) {
        Ok(serde_json::Value::Object(map)) => Some(map),
        _ => None,
    }
}
