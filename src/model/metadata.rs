//! Sync metadata: one device's view of its cycles, and the merged view of all devices.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::model::metadata::read::{AdapterMetadata, read_kept, read_reply};
use crate::model::protocol::{DeviceMetadata, EntityCount, MetadataReply, MetadataSyncStatus};
use crate::util::collections::vec_map::VecMap;

pub mod read;

/// `SyncMetadata` of the public surface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncMetadata {
    pub user_id: String,
    /// The last attempt, successful or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<String>,
    /// The last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<String>,
    /// The digest of all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_hash: Option<String>,
    /// This device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Every device that synced, with its last successful time.
    pub devices: VecMap<String>,
    pub device_count: u64,
    /// The app's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<Map<String, Value>>,
    /// Per entity type.
    pub entity_counts: VecMap<EntityCount>,
    /// The state of the last attempt.
    pub sync_status: MetadataSyncStatus,
    /// Unresolved conflicts.
    pub conflict_count: u64,
    /// The last attempt's error; cleared by the next success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Failed attempts since the last success.
    pub retry_count: u64,
    /// How long the last cycle took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_duration: Option<u64>,
    /// No device has ever synced.
    pub is_never_synced: bool,
    /// `conflictCount` is not 0.
    pub has_conflicts: bool,
}

/// How the local metadata compares to the remote's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataComparison {
    /// Both hold the same rows, and nothing is pending.
    InSync,
    /// The remote has rows that this device has not pulled.
    RemoteNewer,
    /// Operations are pending here, and the remote has nothing new.
    LocalNewer,
    /// Both.
    Diverged,
    /// This device has never synced.
    NeverSynced,
    /// The remote has nothing to compare with.
    Unknown,
}

/// Merges the devices' records into one view: times are the latest of any device, conflicts are
/// summed, later devices win for custom fields, and everything else is the latest device's.
#[must_use]
pub fn merge_devices<'a>(user_id: &str, reply: &'a MetadataReply) -> Option<SyncMetadata> {
    let age = |device: &'a DeviceMetadata| (device.last_sync_time.as_deref(), &device.device_id);
    let mut oldest_first: Vec<&'a DeviceMetadata> = Vec::with_capacity(reply.devices.len());
    for device in &reply.devices {
        let at = oldest_first.partition_point(|other| age(other) <= age(device));
        oldest_first.insert(at, device);
    }
    let latest = *oldest_first.last()?;
    let newest = |time: fn(&DeviceMetadata) -> Option<&String>| {
        reply.devices.iter().filter_map(time).max().cloned()
    };
    let last_successful = newest(|d| d.last_successful_sync_time.as_ref());
    let conflict_count = reply
        .devices
        .iter()
        .fold(0_u64, |n, d| n.saturating_add(d.conflict_count));
    let mut entity_counts = latest.entity_counts.clone();
    let mut data_hash = latest.data_hash.clone();
    if let Some(digests) = &reply.digests {
        let mut sum = 0_u64;
        for (entity, digest) in digests.iter() {
            let count = entity_counts.entry(entity);
            count.count = digest.count;
            count.hash = Some(digest.hash.clone());
            sum = sum.wrapping_add(u64::from_str_radix(&digest.hash, 16).unwrap_or_default());
        }
        data_hash = Some(format!("{sum:016x}"));
    }
    Some(SyncMetadata {
        user_id: user_id.to_owned(),
        last_sync_time: newest(|d| d.last_sync_time.as_ref()),
        is_never_synced: last_successful.is_none(),
        last_successful_sync_time: last_successful,
        data_hash,
        device_id: Some(latest.device_id.clone()),
        devices: reply
            .devices
            .iter()
            .filter_map(|d| {
                d.last_successful_sync_time
                    .clone()
                    .map(|time| (d.device_id.as_str(), time))
            })
            .collect(),
        device_count: reply.devices.len() as u64,
        custom_metadata: merge_custom(&oldest_first),
        entity_counts,
        sync_status: latest.sync_status,
        conflict_count,
        error_message: latest.error_message.clone(),
        retry_count: latest.retry_count,
        sync_duration: latest.sync_duration,
        has_conflicts: conflict_count > 0,
    })
}

fn merge_custom(oldest_first: &[&DeviceMetadata]) -> Option<Map<String, Value>> {
    let mut custom: Option<Map<String, Value>> = None;
    for device in oldest_first {
        if let Some(fields) = &device.custom_metadata {
            let fields = fields.iter().map(|(k, v)| (k.clone(), v.clone()));
            custom.get_or_insert_default().extend(fields);
        }
    }
    custom
}
