//! Converts between an adapter's one metadata record for all devices and the protocol's one record
//! per device.
//!
//! The record's own fields describe the device that wrote it last; `devices` holds every device's
//! last success. It holds no sums over devices: read back, they would be counted twice.

use crate::model::metadata::{AdapterMetadata, SyncMetadata};
use crate::model::protocol::DeviceMetadata;

/// Returns the devices of a record: its writer in full, the others by their last success.
pub(super) fn devices(record: AdapterMetadata) -> Vec<DeviceMetadata> {
    let AdapterMetadata {
        mut writer,
        devices: times,
        ..
    } = record;
    if writer.device_id.is_empty() {
        writer.device_id = times
            .iter()
            .max_by_key(|(_, time)| time.as_str())
            .map(|(id, _)| id.to_owned())
            .unwrap_or_default();
    }
    if !times.is_empty() {
        writer.last_successful_sync_time = times.get(&writer.device_id).cloned();
    }
    let mut devices: Vec<_> = times
        .iter()
        .filter(|(id, _)| **id != writer.device_id)
        .map(|(id, time)| seen(id, time))
        .collect();
    devices.push(writer);
    devices
}

/// Returns the record to keep after a device's cycle.
pub(super) fn merge(
    user_id: &str,
    kept: Option<AdapterMetadata>,
    own: &DeviceMetadata,
) -> SyncMetadata {
    let kept = kept.unwrap_or_default();
    let mut devices = kept.devices;
    if let Some(time) = &own.last_successful_sync_time {
        devices.insert(&own.device_id, time.clone());
    }
    let custom_metadata = match (kept.writer.custom_metadata, &own.custom_metadata) {
        (Some(mut kept), Some(own)) => {
            kept.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some(kept)
        }
        (kept, own) => kept.or_else(|| own.clone()),
    };
    let last_successful_sync_time = devices.values().max().cloned();
    SyncMetadata {
        user_id: user_id.to_owned(),
        last_sync_time: own.last_sync_time.clone(),
        is_never_synced: last_successful_sync_time.is_none(),
        last_successful_sync_time,
        data_hash: own.data_hash.clone(),
        device_id: Some(own.device_id.clone()),
        device_count: devices.len() as u64,
        devices,
        custom_metadata,
        entity_counts: own.entity_counts.clone(),
        sync_status: own.sync_status,
        conflict_count: own.conflict_count,
        error_message: own.error_message.clone(),
        retry_count: own.retry_count,
        sync_duration: own.sync_duration,
        has_conflicts: own.conflict_count > 0,
    }
}

/// Returns a device of which only the last success is known.
fn seen(id: &str, time: &str) -> DeviceMetadata {
    DeviceMetadata {
        device_id: id.to_owned(),
        last_sync_time: Some(time.to_owned()),
        last_successful_sync_time: Some(time.to_owned()),
        sync_status: crate::model::protocol::MetadataSyncStatus::Synced,
        ..DeviceMetadata::default()
    }
}
