//! Reports this device to the remote, only if something has changed: an idle cycle stays one
//! request.

use crate::engine::cycle::Cycle;
use crate::engine::cycle::call::Call;
use crate::engine::cycle::retry::worth_another_try;
use crate::engine::database::steps;
use crate::log::segment::checksum;
use crate::model::error::{Code, Result};
use crate::model::protocol::{DeviceMetadata, MetadataSyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::local_metadata::{custom, data_hash, entity_counts};
use crate::util::json::serialize;

/// How often the device is reported even if nothing has changed, in milliseconds.
const REMIND_MS: u64 = 15 * 60 * 1000;

/// Sends this device's metadata to the remote if it has changed. A remote that cannot store
/// metadata does not fail the cycle. `duration` is how long the cycle has taken so far, in
/// milliseconds.
pub(crate) async fn report_device<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    duration: u64,
) -> Result<()> {
    let now = cycle.host.now_ms();
    steps::hash(cycle.db).await;
    let mut record = device_metadata(cycle);
    let hash = fingerprint(&record);
    let last_report = cycle.db.read(|replica| replica.facts().reported);
    if last_report.is_some_and(|(at, sent)| sent == hash && now.abs_diff(at) < REMIND_MS) {
        return Ok(());
    }
    record.last_sync_time = Some(crate::util::time::format(now));
    record
        .last_successful_sync_time
        .clone_from(&record.last_sync_time);
    record.sync_duration = Some(duration);
    let user_id = cycle.db.read(|replica| replica.user_id().to_owned());
    record.user_id = Some(user_id.clone());
    match cycle
        .attempt(&Call::new("putMetadata"), &worth_another_try, || {
            cycle.remote.put_metadata(&user_id, &record)
        })
        .await
    {
        Ok(()) => {
            cycle.reported_now.set(Some((now, hash)));
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
            cycle
                .side_errors
                .borrow_mut()
                .push(error.to_json(crate::util::time::format(now)));
            Ok(())
        }
    }
}

fn device_metadata<S: Store, R: Remote, H: Host>(cycle: &Cycle<'_, S, R, H>) -> DeviceMetadata {
    cycle.db.read(|replica| DeviceMetadata {
        device_id: cycle.device_id.to_owned(),
        data_hash: Some(data_hash(replica)),
        entity_counts: entity_counts(replica, &mut cycle.config.entities.keys()),
        sync_status: if !replica.conflicts().is_empty() {
            MetadataSyncStatus::Conflict
        } else if replica.outbox().is_empty() {
            MetadataSyncStatus::Synced
        } else {
            MetadataSyncStatus::Pending
        },
        conflict_count: replica.conflicts().len() as u64,
        custom_metadata: custom(replica.facts()),
        ..DeviceMetadata::default()
    })
}

/// Returns a hash of the record without its times.
fn fingerprint(record: &DeviceMetadata) -> u64 {
    checksum(serialize::to_string(record).as_bytes())
}
