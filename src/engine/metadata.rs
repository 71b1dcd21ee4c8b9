//! What is known of a user's sync: metadata on both sides, pending operations, the last result, and
//! what the storage holds.

use std::rc::Rc;

use serde::Serialize;

use crate::engine::cycle::cancel::Stop;
use crate::engine::events::Topic;
use crate::engine::{Backing, Engine, User};
use crate::log::commit::Event;
use crate::log::facts::Facts;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::metadata::{MetadataComparison, SyncMetadata, merge_devices, read_reply};
use crate::model::status::{Health, LocalHealth, RemoteHealth, SyncResult, SyncState, SyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::local_metadata::local_metadata;
use crate::util::json::scan;
use crate::util::json::write::put;

/// The app's own metadata, in bytes of its JSON: a quarter of what the server keeps for a device.
pub const MAX_CUSTOM_BYTES: usize = 16 << 10;

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
}

/// What cycles have done since the instance was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    cycles: u64,
    successful: u64,
    failed: u64,
    conflicts_detected: u64,
    conflicts_resolved: u64,
    user_switches: u64,
    bytes_pushed: u64,
    bytes_pulled: u64,
}

/// `Metrics` of the public surface: counted since the instance was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Cycles that ran.
    pub cycles: u64,
    /// Those in which nothing failed.
    pub successful_cycles: u64,
    /// Those that failed, in part or as a whole; a cancelled one is neither.
    pub failed_cycles: u64,
    /// Conflicts met.
    pub conflicts_detected: u64,
    /// Conflicts decided.
    pub conflicts_resolved: u64,
    /// How often another user became the current one.
    pub user_switches: u64,
    /// Users whose database is open.
    pub active_users: Vec<String>,
    /// Bytes of requests' bodies.
    pub bytes_pushed: u64,
    /// Bytes of answers' bodies.
    pub bytes_pulled: u64,
    /// Requests of cycles and health checks, each try counted.
    pub requests: u64,
    /// Records appended to the logs of the users whose database is open.
    pub commits: u64,
    /// Appends to those that another tab had overtaken.
    pub stale_commits: u64,
    /// Events that readers were too slow for.
    pub dropped_events: u64,
}

impl<S: Store, H: Host> User<S, H> {
    /// How many operations wait.
    pub fn pending_count(&self) -> u64 {
        self.db.peek(|replica| replica.outbox().len() as u64)
    }

    /// What the last cycle did, as the JSON text of a `SyncResult`; none before the first.
    pub fn last_result(&self) -> Option<Rc<str>> {
        self.db.peek(|replica| replica.facts().last_result.clone())
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// This device's metadata; none before the first attempt to sync, unless the app has put
    /// something in.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn local_metadata(&self, user_id: &str) -> Result<Option<SyncMetadata>> {
        Ok(self.local_metadata_of(&*self.user(user_id).await?))
    }

    /// The same of a user whose database is open.
    pub fn local_metadata_of(&self, user: &User<B::Store, H>) -> Option<SyncMetadata> {
        let syncing = user.hub.current().status == SyncState::Syncing;
        let mut entities = self.config.entities.keys();
        let device_id = self.backing.device_id(&user.id);
        user.db.read(|replica| {
            let facts = replica.facts();
            (facts.last_sync.is_some() || facts.custom.is_some() || syncing)
                .then(|| local_metadata(replica, &device_id, &mut entities, syncing))
        })
    }

    /// The metadata of every device, as the remote has it; none where no device has told it
    /// anything.
    ///
    /// # Errors
    /// What the remote says.
    pub async fn remote_metadata(&self, user_id: &str) -> Result<Option<SyncMetadata>> {
        self.check_open()?;
        self.status_hub(user_id)?;
        let Some(bytes) = self.remote.metadata(user_id).await? else {
            return Ok(None);
        };
        Ok(merge_devices(user_id, &read_reply(&bytes)?))
    }

    /// How both sides stand to each other: by digests and what waits, never by clocks.
    ///
    /// # Errors
    /// What the storage or the remote says.
    pub async fn compare_metadata(&self, user_id: &str) -> Result<MetadataComparison> {
        let user = self.user(user_id).await?;
        let Some(local) = self
            .local_metadata_of(&user)
            .filter(|metadata| !metadata.is_never_synced)
        else {
            return Ok(MetadataComparison::NeverSynced);
        };
        let remote = self.remote_metadata(user_id).await?;
        let waiting = user.db.read(|replica| !replica.outbox().is_empty());
        let differs = remote.is_some_and(|remote| {
            local.entity_counts.iter().any(|(entity, count)| {
                // A type that the remote does not list has no rows there.
                let theirs = remote
                    .entity_counts
                    .get(entity)
                    .and_then(|count| count.hash.clone())
                    .unwrap_or_else(|| crate::model::digest::Digest::default().hex());
                count.hash.as_deref() != Some(theirs.as_str())
            })
        });
        Ok(match (differs, waiting) {
            (false, false) => MetadataComparison::InSync,
            (true, false) => MetadataComparison::RemoteNewer,
            (false, true) => MetadataComparison::LocalNewer,
            (true, true) => MetadataComparison::Diverged,
        })
    }

    /// Replaces the app's own fields in this device's metadata: a JSON object, at most
    /// [`MAX_CUSTOM_BYTES`]. The remote hears of them in the next cycle.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a bad id, or for something else than such an object; what the
    /// storage says.
    pub async fn set_custom_metadata(&self, user_id: &str, json: &str) -> Result<()> {
        let wrong = |problem: String| {
            Error::new(
                Code::InvalidArgument,
                format!("The custom metadata {problem}"),
            )
            .for_user(user_id)
        };
        if json.len() > MAX_CUSTOM_BYTES {
            return Err(wrong(format!(
                "has {} bytes as JSON; the most is {MAX_CUSTOM_BYTES}.",
                json.len()
            )));
        }
        let custom: Option<Rc<str>> = match scan::tree(json) {
            Ok(serde_json::Value::Object(fields)) => (!fields.is_empty()).then(|| Rc::from(json)),
            _ => {
                return Err(wrong(
                    "must be an object, such as { theme: \"dark\" }.".to_owned(),
                ));
            }
        };
        let user = self.user(user_id).await?;
        user.db
            .record(Durability::Strict, &|replica| {
                vec![Event::Facts {
                    facts: Box::new(Facts {
                        custom: custom.clone(),
                        ..replica.facts().clone()
                    }),
                }]
            })
            .await
    }

    /// Forgets sync metadata: here, so that the next cycle pulls everything ignore_kept_rejection;
    /// there, for every device. Entities and pending operations stay.
    ///
    /// # Errors
    /// What the storage or the remote says.
    pub async fn clear_metadata(&self, user_id: &str, local: bool, remote: bool) -> Result<()> {
        let user = self.user(user_id).await?;
        if remote {
            self.remote.clear_metadata(user_id).await?;
        }
        if local {
            let turn = user.turn.lock().await;
            user.db
                .record(Durability::Strict, &|replica| {
                    let before = replica.facts();
                    let facts = Facts {
                        clock_offset: before.clock_offset,
                        // Whether the server was restored must be seen all the same.
                        epoch: before.epoch.clone(),
                        custom: before.custom.clone(),
                        bytes_pushed: before.bytes_pushed,
                        bytes_pulled: before.bytes_pulled,
                        ..Facts::default()
                    };
                    vec![
                        Event::NeedFullPull,
                        Event::Facts {
                            facts: Box::new(facts),
                        },
                    ]
                })
                .await?;
            drop(turn);
        } else if remote {
            // What the remote was told is gone: the next cycle tells it again.
            user.db
                .record(Durability::Relaxed, &|replica| {
                    vec![Event::Facts {
                        facts: Box::new(Facts {
                            told: None,
                            ..replica.facts().clone()
                        }),
                    }]
                })
                .await?;
        }
        Ok(())
    }

    /// What has been done since the instance was opened.
    pub fn metrics(&self) -> Metrics {
        let counters = self.counters.get();
        let (mut commits, mut stale_commits, mut active_users) = (0_u64, 0_u64, Vec::new());
        for (id, user) in self.users.borrow().iter() {
            let counts = user.db.counts();
            commits = commits.saturating_add(counts.commits);
            stale_commits = stale_commits.saturating_add(counts.stale);
            active_users.push(id.to_owned());
        }
        Metrics {
            cycles: counters.cycles,
            successful_cycles: counters.successful,
            failed_cycles: counters.failed,
            conflicts_detected: counters.conflicts_detected,
            conflicts_resolved: counters.conflicts_resolved,
            user_switches: counters.user_switches,
            active_users,
            bytes_pushed: counters.bytes_pushed,
            bytes_pulled: counters.bytes_pulled,
            requests: self.requests.get(),
            commits,
            stale_commits,
            dropped_events: self.events.dropped(),
        }
    }

    /// Counts a cycle that has ended.
    pub(super) fn count_cycle(&self, ended: &Result<SyncResult>) {
        let mut counters = self.counters.get();
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        match ended {
            Ok(result) if result.was_skipped => return,
            Ok(result) => {
                add(&mut counters.successful, u64::from(result.is_success));
                add(
                    &mut counters.failed,
                    u64::from(!result.is_success && !result.was_cancelled),
                );
                add(&mut counters.conflicts_detected, result.conflicts_detected);
                add(&mut counters.conflicts_resolved, result.conflicts_resolved);
                add(&mut counters.bytes_pushed, result.bytes_pushed);
                add(&mut counters.bytes_pulled, result.bytes_pulled);
            }
            Err(_) => add(&mut counters.failed, 1),
        }
        add(&mut counters.cycles, 1);
        self.counters.set(counters);
    }

    /// Tells that another user is the current one.
    pub fn tell_switched(&self, previous: Option<&str>, now: &str, had_unsynced: bool) {
        let mut counters = self.counters.get();
        counters.user_switches = counters.user_switches.saturating_add(1);
        self.counters.set(counters);
        self.events.tell(
            Topic::UserSwitched,
            now,
            None,
            self.host.now_ms(),
            &mut |out| {
                put(out, "previousUserId", &previous);
                put(out, "hadUnsyncedData", &had_unsynced);
            },
        );
    }

    /// Asks the remote how it does, and answers how everything does. Where a user is named, or one
    /// is current, the status says the same.
    ///
    /// # Errors
    /// [`crate::model::error::Code::Closed`]; [`crate::model::error::Code::InvalidArgument`] for a
    /// bad id. A remote that cannot be reached is an answer, not an error.
    pub async fn check_health(&self, user_id: Option<String>) -> Result<Health> {
        self.check_open()?;
        let hub = match user_id.or_else(|| self.current_user()) {
            Some(user_id) => Some(self.status_hub(&user_id)?),
            None => None,
        };
        self.requests.set(self.requests.get().saturating_add(1));
        let remote = match self.remote.health().await {
            Ok(true) => RemoteHealth::Healthy,
            Ok(false) => RemoteHealth::Unhealthy,
            Err(error) => match error.code() {
                Code::Network | Code::Offline | Code::Timeout => RemoteHealth::Unreachable,
                _ => RemoteHealth::Unhealthy,
            },
        };
        let online = self.host.is_online();
        let local = if self.backing.is_durable() {
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

    /// How many operations wait.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn pending_count(&self, user_id: &str) -> Result<u64> {
        Ok(self.user(user_id).await?.pending_count())
    }

    /// What the last cycle did, as the JSON text of a `SyncResult`; none before the first. Kept
    /// over reloads.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn last_result(&self, user_id: &str) -> Result<Option<Rc<str>>> {
        Ok(self.user(user_id).await?.last_result())
    }

    /// The bytes of a user's data, and what the browser allows.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn storage_size(&self, user_id: &str) -> Result<StorageSize> {
        let user = self.user(user_id).await?;
        let estimate = self.host.storage().await;
        Ok(StorageSize {
            bytes: user.db.read(crate::state::replica::Replica::stored_bytes),
            quota: estimate.quota,
            persisted: estimate.persisted,
        })
    }

    /// Removes everything of a user from this device, pending operations included, for good. The
    /// remote keeps what it has.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn clear_user_data(&self, user_id: &str) -> Result<()> {
        let user = self.user(user_id).await?;
        self.auto_signed_out(user_id);
        user.stop(Stop::Abort);
        let turn = user.turn.lock().await;
        self.check_open()?;
        self.shut(&user, true, true).await?;
        drop(turn);
        Ok(())
    }
}
