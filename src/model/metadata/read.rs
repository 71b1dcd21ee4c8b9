//! Reads metadata from a remote or an adapter. Members that a later protocol adds are ignored.
//!
//! The derived `Deserialize` of these types is for the server only; it would be a tenth of the
//! module that an app loads.

use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_VERSION;
use crate::model::object_reader::ObjectReader;
use crate::model::protocol::{
    DeviceMetadata, EntityCount, MetadataReply, MetadataSyncStatus, WireDigest, text_of, unreadable,
};
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan::{parse, tree};
use crate::util::time::parse as parse_time;

/// Reads the record of a device, as a server that is asked to store it: what cannot be read is
/// refused.
///
/// # Errors
/// Fails with [`Code::Protocol`], naming the place.
pub fn read_record(bytes: &[u8]) -> Result<DeviceMetadata> {
    let value = parse(bytes).map_err(|cause| {
        Error::new(
            Code::Protocol,
            format!("The record is not a device's metadata: {cause}."),
        )
    })?;
    let mut given = ObjectReader::new(&value, Code::Protocol, "The record")?;
    let record = DeviceMetadata {
        user_id: given.text("userId"),
        ..read_device(&mut given)
    };
    for name in ["lastSyncTime", "lastSuccessfulSyncTime"] {
        if given.text(name).is_some() && read_time(&mut given, name).is_none() {
            given.reject::<()>(name, "must be a time such as 2026-01-31T12:00:00.000Z.");
        }
    }
    given.check()?;
    Ok(record)
}

/// Reads the reply to `GET /metadata`.
///
/// # Errors
/// Fails with [`Code::Protocol`], naming the place.
pub fn read_reply(bytes: &[u8]) -> Result<MetadataReply> {
    let value = text_of(bytes)
        .and_then(tree)
        .map_err(|cause| unreadable(bytes, "metadata", cause.into()))?;
    let mut given = ObjectReader::new(&value, Code::Protocol, "The answer to `metadata`")?;
    let devices = given
        .objects("devices")
        .iter_mut()
        .map(read_device)
        .collect();
    let reply = MetadataReply {
        devices,
        digests: given.object("digests").map(read_digests),
        server_time: given.text("serverTime"),
        server_id: given.text("serverId"),
    };
    given.check()?;
    Ok(reply)
}

/// The metadata that an adapter stores: the last writer's, and the last success of every device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterMetadata {
    /// The last writer's own metadata. Its device id may be empty.
    pub writer: DeviceMetadata,
    /// The time of the last success by device.
    pub devices: VecMap<String>,
    /// The backend's own digests, if it knows them: no device has written them.
    pub digests: Option<VecMap<WireDigest>>,
}

/// Reads the JSON of a `SyncMetadata`. Its totals over all devices are ignored and computed again.
///
/// # Errors
/// Fails with [`Code::Protocol`], naming the place.
pub fn read_kept(bytes: &[u8], what: &str) -> Result<AdapterMetadata> {
    let value = text_of(bytes)
        .and_then(tree)
        .map_err(|cause| unreadable(bytes, "metadata", cause.into()))?;
    let mut given = ObjectReader::new(&value, Code::Protocol, what)?;
    let mut devices = VecMap::default();
    if let Some(mut times) = given.object("devices") {
        for id in times.names() {
            if let Some(time) = read_time(&mut times, id) {
                devices.insert(id, time);
            }
        }
    }
    let digests = given.object("digests").map(read_digests);
    let writer = read_device(&mut given);
    given.check()?;
    Ok(AdapterMetadata {
        writer,
        devices,
        digests,
    })
}

fn read_device(given: &mut ObjectReader<'_>) -> DeviceMetadata {
    let mut entity_counts = VecMap::default();
    if let Some(mut counts) = given.object("entityCounts") {
        for entity in counts.names() {
            if let Some(mut count) = counts.object(entity) {
                let pending = count.whole_or("pending", 0, MAX_VERSION, 0);
                let read = EntityCount {
                    count: count.whole_or("count", 0, MAX_VERSION, 0),
                    hash: count.text("hash"),
                    pending,
                };
                entity_counts.insert(entity, read);
            }
        }
    }
    DeviceMetadata {
        device_id: given.text("deviceId").unwrap_or_default(),
        user_id: None,
        last_sync_time: read_time(given, "lastSyncTime"),
        last_successful_sync_time: read_time(given, "lastSuccessfulSyncTime"),
        data_hash: given.text("dataHash"),
        entity_counts,
        sync_status: given
            .choice("syncStatus", &MetadataSyncStatus::NAMES)
            .unwrap_or_default(),
        conflict_count: given.whole_or("conflictCount", 0, MAX_VERSION, 0),
        error_message: given.text("errorMessage"),
        retry_count: given.whole_or("retryCount", 0, MAX_VERSION, 0),
        sync_duration: given.whole("syncDuration", 0, MAX_VERSION),
        custom_metadata: given
            .object("customMetadata")
            .map(|custom| custom.map().clone()),
    }
}

/// Reads a time. What is none says nothing: as text, `yesterday` would be later than any time.
fn read_time<'a>(given: &mut ObjectReader<'a>, name: &'a str) -> Option<String> {
    given.text(name).filter(|time| parse_time(time).is_some())
}

fn read_digests(mut given: ObjectReader<'_>) -> VecMap<WireDigest> {
    let mut digests = VecMap::default();
    for entity in given.names() {
        let Some(mut digest) = given.object(entity) else {
            continue;
        };
        let count = digest
            .whole("count", 0, MAX_VERSION)
            .or_else(|| digest.reject("count", "is missing."));
        let hash = digest
            .text("hash")
            .or_else(|| digest.reject("hash", "is missing."));
        if let (Some(count), Some(hash)) = (count, hash) {
            digests.insert(entity, WireDigest { count, hash });
        }
    }
    digests
}
