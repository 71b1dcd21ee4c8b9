//! The wire: sync protocol version 1, shared by the client and the reference server.
//!
//! `server/PROTOCOL.md` is the normative text, and the JSON files beside it are read by the tests
//! of both sides. Bodies are borrowed from the bytes that arrived: an entity's JSON is never
//! turned into a tree on its way through.
//!
//! `data` is the app's own object together with `createdAt` and `modifiedAt`. It carries neither
//! `id`, `userId`, `version` nor `isDeleted`: those stand beside it, and whoever reads an entity
//! puts them in, so that they can never contradict the data.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_VERSION;
use crate::model::operation::OperationKind;
pub(crate) use crate::model::protocol::read::unreadable;
pub use crate::model::protocol::read::{PageReader, parse_error, parse_page, parse_push_reply};
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::{push_field, push_string, put_texts};

pub mod read;

/// `SyncMetadata.syncStatus` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataSyncStatus {
    /// No cycle has succeeded yet.
    #[default]
    NeverSynced,
    /// A cycle is running.
    Syncing,
    /// The last cycle succeeded and nothing waits.
    Synced,
    /// The last cycle failed.
    Failed,
    /// Operations wait for a push.
    Pending,
    /// A conflict waits for a decision.
    Conflict,
}

impl MetadataSyncStatus {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("neverSynced", Self::NeverSynced),
        ("syncing", Self::Syncing),
        ("synced", Self::Synced),
        ("failed", Self::Failed),
        ("pending", Self::Pending),
        ("conflict", Self::Conflict),
    ];
}

/// `SyncMetadata.entityCounts[name]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EntityCount {
    /// Live entities.
    pub count: u64,
    /// Their digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Operations that wait.
    pub pending: u64,
}

/// The path prefix of protocol version 1.
pub const PREFIX: &str = "/sync/v1";

/// `POST /pull`: what changed after a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// This device's id.
    pub client_id: String,
    /// Whose data this is about: the server refuses the request where the token is another user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The app's schema version.
    #[serde(default)]
    pub schema: u32,
    /// Where the last page ended; none for everything.
    pub cursor: Option<String>,
    /// Only these entity types; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<String>>,
    /// A partial pull, in the app's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<serde_json::Value>,
    /// The epoch that this client knew last, where it pulls from the beginning: the page then says
    /// how much of that history is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The most rows that the page may hold.
    pub limit: usize,
    /// How long the server may wait for a change before it answers, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// One page of changes, in the order in which the server committed them.
#[derive(Clone, Debug)]
pub struct PullPage<'a> {
    /// The rows.
    pub changes: Vec<WireRow<'a>>,
    /// Where the next page starts. Opaque.
    pub cursor: Cow<'a, str>,
    /// Whether more is waiting now.
    pub more: bool,
    /// How many rows are still to come after this page; makes progress real.
    pub remaining: Option<u64>,
    /// The server's clock, ISO 8601 UTC.
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server was restored from an older state.
    pub epoch: Option<Cow<'a, str>>,
    /// The greatest version that this history shares with that of the epoch that the request names:
    /// what was written later there has been forgotten. Absent where the server cannot tell.
    pub kept: Option<u64>,
    /// Count and hash of each entity type as of `cursor`; only when `more` is false.
    pub digests: Option<VecMap<WireDigest>>,
}

/// Count and order-independent hash over the live rows of one entity type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireDigest {
    /// Rows that are not deleted.
    pub count: u64,
    /// [`crate::model::digest::Digest::hex`]: 16 lower-case hexadecimal digits.
    pub hash: String,
}

/// One row of a page.
#[derive(Clone, Debug)]
pub struct WireRow<'a> {
    /// The entity type.
    pub entity: Cow<'a, str>,
    /// The entity's id.
    pub id: Cow<'a, str>,
    /// The version that the server gave it; greater with each write of the row.
    pub version: u64,
    /// A tombstone.
    pub deleted: bool,
    /// The app's object; absent for a tombstone.
    pub data: Option<&'a str>,
    /// `scope`: the row left the scope rather than the world.
    pub reason: Option<Cow<'a, str>>,
}

/// `POST /push`: operations in outbox order, at most one an entity.
#[derive(Clone, Debug)]
pub struct PushRequest<'a> {
    /// This device's id.
    pub client_id: Cow<'a, str>,
    /// Whose operations these are: the server refuses them all where the token is another user's.
    pub user_id: Option<Cow<'a, str>>,
    /// The app's schema version.
    pub schema: u32,
    /// The history that the versions of these operations are of, where it is known: the server does
    /// nothing where its own is another.
    pub epoch: Option<Cow<'a, str>>,
    /// The operations.
    pub operations: Vec<PushedOperation<'a>>,
}

impl PushRequest<'_> {
    /// The request's body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        push_text(&mut out, "clientId", &self.client_id);
        if let Some(user_id) = &self.user_id {
            push_text(&mut out, "userId", user_id);
        }
        push_field(&mut out, "schema", &self.schema.to_string());
        if let Some(epoch) = &self.epoch {
            push_text(&mut out, "epoch", epoch);
        }
        out.push_str(",\"operations\":[");
        for (index, op) in self.operations.iter().enumerate() {
            out.push_str(if index == 0 { "{" } else { ",{" });
            push_text(&mut out, "opId", &op.op_id);
            push_text(&mut out, "entity", &op.entity);
            push_text(&mut out, "id", &op.id);
            push_text(&mut out, "kind", op.kind.as_str());
            match op.base_version {
                Some(version) => push_field(&mut out, "baseVersion", &version.to_string()),
                None => push_field(&mut out, "baseVersion", "null"),
            }
            if !op.supersedes.is_empty() {
                put_texts(
                    &mut out,
                    "supersedes",
                    &mut op.supersedes.iter().map(AsRef::as_ref),
                );
            }
            if let Some(Raw(data)) = op.data {
                push_field(&mut out, "data", data);
            }
            if !op.after.is_empty() {
                put_texts(&mut out, "after", &mut op.after.iter().map(Cow::as_ref));
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }
}

fn push_text(out: &mut String, key: &str, text: &str) {
    let mut quoted = String::new();
    push_string(&mut quoted, text);
    push_field(out, key, &quoted);
}

/// The text of a JSON value, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self(value.get()))
    }
}

/// One write, conditional on the version that it was made against.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedOperation<'a> {
    /// Made by the client, unique for ever: sending it twice changes nothing.
    #[serde(borrow)]
    pub op_id: Cow<'a, str>,
    /// The entity type.
    #[serde(borrow)]
    pub entity: Cow<'a, str>,
    /// The entity's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// What to do.
    pub kind: OperationKind,
    /// The version that this was made against; none means that the entity must not exist.
    pub base_version: Option<u64>,
    /// Operations that this one carries the effect of, and that may still be on their way: one that
    /// arrives after this was applied changes nothing any more.
    #[serde(borrow, default)]
    pub supersedes: Vec<Cow<'a, str>>,
    /// The whole object for create and update, the changed fields for patch, absent for delete.
    #[serde(borrow, default)]
    pub data: Option<Raw<'a>>,
    /// Operations earlier in the same push without which this one is not to be applied.
    #[serde(borrow, default)]
    pub after: Vec<Cow<'a, str>>,
}

/// The server's verdicts, one an operation, in order.
#[derive(Clone, Debug)]
pub struct PushReply<'a> {
    /// The verdicts.
    pub results: Vec<PushVerdict<'a>>,
    /// The server's clock, ISO 8601 UTC.
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server was restored from an older state.
    pub epoch: Option<Cow<'a, str>>,
}

/// One verdict as it stands on the wire; [`PushVerdict::verdict`] checks it.
#[derive(Clone, Debug)]
pub struct PushVerdict<'a> {
    /// The operation that this answers.
    pub op_id: Cow<'a, str>,
    /// `applied`, `conflict`, `rejected` or `retry`.
    pub status: Cow<'a, str>,
    /// The row's version: after an applied write, or the current one of a conflict.
    pub version: Option<u64>,
    /// The server had applied this operation before.
    pub replayed: bool,
    /// The current row: what the server made of an applied write, or what stands in its way.
    pub row: Option<&'a str>,
    /// Why it was rejected, or must be retried, in the server's own stable word.
    pub code: Option<Cow<'a, str>>,
    /// The same for people.
    pub message: Option<Cow<'a, str>>,
    /// How long to wait before trying this operation again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// A verdict whose parts have been checked.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// The write stands, now or from an earlier sending.
    Applied {
        /// The row's new version.
        version: u64,
        /// Answered from memory.
        replayed: bool,
        /// The row, where the server made something else of it.
        row: Option<&'a str>,
    },
    /// The base is not current any more.
    Conflict {
        /// The current version.
        version: u64,
        /// The current row; none where it is deleted.
        row: Option<&'a str>,
    },
    /// It will never be accepted.
    Rejected {
        /// The server's stable word.
        code: &'a str,
        /// The same for people.
        message: &'a str,
        /// The current row, where the server sent it.
        row: Option<&'a str>,
    },
    /// Not now.
    Retry {
        /// How long to wait, in milliseconds.
        after_ms: Option<u64>,
    },
}

impl<'a> PushVerdict<'a> {
    /// Checks the parts that the status asks for.
    ///
    /// # Errors
    /// [`Code::Protocol`] for an unknown status or a missing version.
    pub fn verdict(&'a self) -> Result<Verdict<'a>> {
        let version = |what: &'static str| {
            self.version
                .filter(|v| *v > 0 && *v <= MAX_VERSION)
                .ok_or_else(|| Error::new(Code::Protocol, what))
        };
        match self.status.as_ref() {
            "applied" => Ok(Verdict::Applied {
                version: version(
                    "The server applied an operation but its verdict has no `version`.",
                )?,
                replayed: self.replayed,
                row: self.row,
            }),
            "conflict" => Ok(Verdict::Conflict {
                version: version(
                    "The server reported a conflict but its verdict has no `version`.",
                )?,
                row: self.row,
            }),
            "rejected" => Ok(Verdict::Rejected {
                code: self.code.as_deref().unwrap_or("rejected"),
                message: self
                    .message
                    .as_deref()
                    .unwrap_or("The server rejected the operation."),
                row: self.row,
            }),
            "retry" => Ok(Verdict::Retry {
                after_ms: self.retry_after_ms,
            }),
            other => Err(Error::new(
                Code::Protocol,
                format!(
                    "The server answered with the unknown verdict `{other}`; known are applied, conflict, rejected and retry."
                ),
            )),
        }
    }
}

/// What every HTTP error of the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorBody {
    /// The server's stable word, such as `tokenExpired`, `cursorExpired`, `userMismatch`.
    pub code: String,
    /// The same for people.
    pub message: String,
    /// How long to wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// To find the request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `PUT /metadata`: what one device says of its last cycles. The server keeps one a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceMetadata {
    /// The device.
    pub device_id: String,
    /// Whose device it is, on the way to the server: it refuses the record where the token is
    /// another user's, and does not keep the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Its last attempt, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<String>,
    /// Its last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<String>,
    /// Its digest over everything after that success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_hash: Option<String>,
    /// Per entity type: count, hash, pending operations.
    pub entity_counts: VecMap<EntityCount>,
    /// `synced`, `failed`, `pending`, `conflict`.
    pub sync_status: MetadataSyncStatus,
    /// Unresolved conflicts on that device.
    pub conflict_count: u64,
    /// The last attempt's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Failed attempts since the last success.
    pub retry_count: u64,
    /// How long the last cycle took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_duration: Option<u64>,
    /// The app's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// `GET /metadata`: every device of this user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataReply {
    /// One a device.
    pub devices: Vec<DeviceMetadata>,
    /// The server's own digests, by entity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests: Option<VecMap<WireDigest>>,
    /// The server's clock, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_time: Option<String>,
}
