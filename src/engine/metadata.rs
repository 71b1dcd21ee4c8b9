//! Sync metadata: of this device, of all devices as stored by the remote, and the comparison of
//! both.

use std::rc::Rc;

use crate::engine::activity;
use crate::engine::database::steps;
use crate::engine::{Backing, Metadata, User};
use crate::log::commit::Event;
use crate::log::facts::Facts;
use crate::model::config::storage::Durability;
use crate::model::digest::Digest;
use crate::model::error::{Code, Error, Result};
use crate::model::metadata::{MetadataComparison, SyncMetadata, merge_devices, read_reply};
use crate::model::status::SyncState;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::local_metadata::local_metadata;
use crate::util::json::scan;

/// The app's own metadata, in bytes of its JSON: a quarter of what the server keeps for a device.
pub const MAX_CUSTOM_BYTES: usize = 16 << 10;

impl<B: Backing, R: Remote, H: Host + 'static> Metadata<'_, B, R, H> {
    /// Returns this device's metadata; `None` before the first attempt to sync, unless the app has
    /// set custom metadata.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn local(self, user_id: &str) -> Result<Option<SyncMetadata>> {
        let user = self.engine.user_for_question(user_id).await?;
        Ok(self.local_of(&user).await)
    }

    /// As [`Self::local`], for a user whose database is open.
    pub async fn local_of(self, user: &User<B::Store, H>) -> Option<SyncMetadata> {
        steps::hash(&user.db).await;
        let syncing = user.hub.current().status == SyncState::Syncing;
        let mut entities = self.engine.config.entities.keys();
        let device_id = self.engine.backing.device_id(&user.id);
        user.db.read(|replica| {
            let facts = replica.facts();
            (facts.last_sync.is_some() || facts.custom.is_some() || syncing)
                .then(|| local_metadata(replica, &device_id, &mut entities, syncing))
        })
    }

    /// Returns the metadata of all devices from the remote; `None` if no device has sent any.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn remote(self, user_id: &str) -> Result<Option<SyncMetadata>> {
        self.engine.check_open()?;
        self.engine.status_hub(user_id)?;
        let span = self.engine.activity.lone("metadata", user_id);
        let answer = self.engine.remote.metadata(user_id).await;
        activity::end(span, answer.as_ref().err());
        let Some(bytes) = answer? else {
            return Ok(None);
        };
        Ok(merge_devices(user_id, &read_reply(&bytes)?))
    }

    /// Compares this device with the remote: by digests and outbox, never by clocks.
    ///
    /// # Errors
    /// Errors of the storage or the remote.
    pub async fn compare(self, user_id: &str) -> Result<MetadataComparison> {
        Ok(self.comparison(user_id).await?.0)
    }

    /// As [`Self::compare`], with the reason in words.
    ///
    /// # Errors
    /// As for [`Self::compare`].
    pub async fn comparison(self, user_id: &str) -> Result<(MetadataComparison, &'static str)> {
        let user = self.engine.user_for_question(user_id).await?;
        let Some(local) = self
            .local_of(&user)
            .await
            .filter(|metadata| !metadata.is_never_synced)
        else {
            return Ok((
                MetadataComparison::NeverSynced,
                "This device has never synced.",
            ));
        };
        let unknown = |why| Ok((MetadataComparison::Unknown, why));
        let span = self.engine.activity.lone("metadata", user_id);
        let answer = self.engine.remote.compared_metadata(user_id).await;
        activity::end(span, answer.as_ref().err());
        let Some(bytes) = answer? else {
            return unknown("The remote keeps no metadata, so there is nothing to compare with.");
        };
        // What devices have said of themselves says nothing about the rows that the remote has.
        let Some(digests) = read_reply(&bytes)?.digests else {
            return unknown(
                "The remote's metadata has no digests of its rows; the devices' own counts do not tell what the remote has.",
            );
        };
        let waiting = user.db.read(|replica| !replica.outbox().is_empty());
        let differs = local.entity_counts.iter().any(|(entity, count)| {
            // A type that the remote does not list has no rows there.
            let theirs = digests
                .get(entity)
                .map_or_else(|| Digest::default().hex(), |digest| digest.hash.clone());
            count.hash.as_deref() != Some(theirs.as_str())
        });
        Ok(match (differs, waiting) {
            (false, false) => (
                MetadataComparison::InSync,
                "The digests are equal, and nothing is pending.",
            ),
            (true, false) => (
                MetadataComparison::RemoteNewer,
                "The digests differ, and nothing is pending here.",
            ),
            (false, true) => (
                MetadataComparison::LocalNewer,
                "The digests are equal, and operations are pending here.",
            ),
            (true, true) => (
                MetadataComparison::Diverged,
                "The digests differ, and operations are pending here.",
            ),
        })
    }

    /// Replaces the app's own fields in this device's metadata: a JSON object, at most
    /// [`MAX_CUSTOM_BYTES`]. The next cycle sends them to the remote.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a bad id, or if the text is not such an object;
    /// also with errors of the storage.
    pub async fn set_custom(self, user_id: &str, json: &str) -> Result<()> {
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
        let user = self.engine.user(user_id).await?;
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

    /// Removes sync metadata: here, so that the next cycle is a full pull; at the remote, for every
    /// device. Entities and pending operations stay.
    ///
    /// # Errors
    /// Errors of the storage or the remote.
    pub async fn clear(self, user_id: &str, local: bool, remote: bool) -> Result<()> {
        let user = self.engine.user(user_id).await?;
        if remote {
            let span = self.engine.activity.lone("clearMetadata", user_id);
            let answer = self.engine.remote.clear_metadata(user_id).await;
            activity::end(span, answer.as_ref().err());
            answer?;
        }
        if local {
            let turn = user.cycle.turn.lock().await;
            user.db
                .record(Durability::Strict, &|replica| {
                    let before = replica.facts();
                    let facts = Facts {
                        clock_offset: before.clock_offset,
                        // Kept, so that a restored server is still detected.
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
            // The next cycle sends this device's metadata again.
            user.db
                .record(Durability::Relaxed, &|replica| {
                    vec![Event::Facts {
                        facts: Box::new(Facts {
                            reported: None,
                            ..replica.facts().clone()
                        }),
                    }]
                })
                .await?;
        }
        Ok(())
    }

    /// Returns the result of the last cycle as the JSON text of a `SyncResult`; `None` before the
    /// first. It survives reloads.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn last_result(self, user_id: &str) -> Result<Option<Rc<str>>> {
        Ok(self.engine.user_for_question(user_id).await?.last_result())
    }
}
