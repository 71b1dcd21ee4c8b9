//! Telling the remote of this device: written only when there is news, so that an idle cycle stays
//! one request.

use crate::engine::cycle::Cycle;
use crate::engine::cycle::retry::worth_another_try;
use crate::log::segment::checksum;
use crate::model::error::{Code, Result};
use crate::model::protocol::{DeviceMetadata, MetadataSyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::local_metadata::{custom, data_hash, entity_counts};
use crate::util::json::serialize;

/// Without news, the remote hears of this device once in so many milliseconds.
const REMIND_MS: u64 = 15 * 60 * 1000;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Puts this device's metadata on the remote where it says something new. A remote that cannot
    /// keep it does not spoil a cycle that has done its work. `duration` is what the cycle has
    /// taken so far, in milliseconds.
    pub(crate) async fn tell_remote(&self, duration: u64) -> Result<()> {
        let now = self.host.now_ms();
        let mut record = self.device_metadata();
        let news = fingerprint(&record);
        let told = self.db.read(|replica| replica.facts().told);
        if told.is_some_and(|(at, what)| what == news && now.abs_diff(at) < REMIND_MS) {
            return Ok(());
        }
        record.last_sync_time = Some(crate::util::time::format(now));
        record
            .last_successful_sync_time
            .clone_from(&record.last_sync_time);
        record.sync_duration = Some(duration);
        let user_id = self.db.read(|replica| replica.user_id().to_owned());
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
                self.side_errors
                    .borrow_mut()
                    .push(error.to_json(crate::util::time::format(now)));
                Ok(())
            }
        }
    }

    fn device_metadata(&self) -> DeviceMetadata {
        self.db.read(|replica| DeviceMetadata {
            device_id: self.device_id.to_owned(),
            data_hash: Some(data_hash(replica)),
            entity_counts: entity_counts(replica, &mut self.config.entities.keys()),
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
}

/// What the record says apart from times.
fn fingerprint(record: &DeviceMetadata) -> u64 {
    checksum(serialize::to_string(record).as_bytes())
}
