//! Sync metadata: one record per device, stored as sent, so that devices never overwrite each
//! other. The client merges them.

use datum_sync::model::entity::check_id;
use datum_sync::model::metadata::read::read_record;
use datum_sync::model::protocol::MetadataReply;

use super::store::Transaction;
use super::{Config, ServerError, check_user, pull};

/// The largest record, in bytes.
const MAX_RECORD_BYTES: usize = 64 << 10;

/// Returns the records of a user's devices and the server's own digests.
///
/// # Errors
/// Errors of the store.
pub async fn get<T: Transaction>(
    tx: &mut T,
    user: &str,
    now_ms: u64,
) -> Result<MetadataReply, ServerError> {
    let devices = tx.devices(user).await?;
    let devices = devices
        .values()
        .filter_map(|json| serde_json::from_str(json).ok())
        .collect();
    let digests = pull::digests(tx, user).await?;
    let digests = digests
        .iter()
        .map(|(entity, digest)| (entity.as_str(), digest.clone()))
        .collect();
    let identity = tx.identity().await?;
    Ok(MetadataReply {
        devices,
        digests: Some(digests),
        server_time: Some(datum_sync::util::time::format(now_ms)),
        server_id: Some(identity.server_id),
    })
}

/// Replaces one device's record.
///
/// # Errors
/// 400 for a record that cannot be read, 409 for one that names another user, 413 for one that is
/// too large; also with errors of the store.
pub async fn put<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    body: &[u8],
    now_ms: u64,
) -> Result<(), ServerError> {
    if body.len() > MAX_RECORD_BYTES {
        return Err(ServerError::too_large(
            "metadataTooLarge",
            &format!("The record is {} bytes", body.len()),
            MAX_RECORD_BYTES,
        ));
    }
    let mut record = read_record(body).map_err(|e| ServerError::bad_request(e.message()))?;
    check_id(&record.device_id)
        .map_err(|e| ServerError::bad_request(format!("`deviceId`: {}", e.message())))?;
    check_user(user, record.user_id.as_deref())?;
    record.user_id = None;
    let json = serde_json::to_string(&record).map_err(ServerError::internal)?;
    tx.put_device(user, &record.device_id, &json, now_ms, config.max_devices)
        .await
}
