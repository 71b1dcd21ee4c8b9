//! The types of sync protocol version 1, shared by the client and the reference server.
//!
//! `server/PROTOCOL.md` is the normative text, and the tests of both sides read the JSON files
//! beside it. Bodies are borrowed from the received bytes: an entity's JSON is never parsed into a
//! tree on its way through.
//!
//! `data` is the app's own object with `createdAt` and `modifiedAt`. `id`, `userId`, `version` and
//! `isDeleted` are sent beside it and added when the entity is read, so they can never contradict
//! the data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_VERSION;
pub use crate::model::protocol::lenient::{or_default, whole_or_none, whole_or_zero};
pub use crate::model::protocol::pushed::{PushRequest, PushedKind, PushedOperation, Raw};
pub use crate::model::protocol::read::{
    PageReader, parse_error, parse_page, parse_push_reply, readable, says_applied,
};
pub(crate) use crate::model::protocol::read::{text_of, unreadable};
pub use crate::model::protocol::spaces::{WirePlace, WireSpace, WireStart};
use crate::model::table::Table;
use crate::util::collections::vec_map::VecMap;

pub mod foreign;
mod lenient;
pub mod pushed;
pub mod read;
pub mod refusal;
pub mod retry_after;
pub mod spaces;

/// `SyncMetadata.syncStatus` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataSyncStatus {
    /// No cycle has succeeded yet.
    #[default]
    NeverSynced,
    /// A cycle is running.
    Syncing,
    /// The last cycle succeeded and nothing is pending.
    Synced,
    /// The last cycle failed.
    Failed,
    /// Operations are pending.
    Pending,
    /// A conflict is unresolved.
    Conflict,
}

impl MetadataSyncStatus {
    /// Each value with its name in JSON.
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
    /// Pending operations.
    pub pending: u64,
}

/// The path prefix of protocol version 1.
pub const PREFIX: &str = "/sync/v1";

/// The message of a rejection that came without one.
pub(crate) const NO_MESSAGE: &str = "The server rejected the operation.";

/// `POST /pull`: asks for the changes after a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// This device's id.
    pub client_id: String,
    /// The user; the server refuses the request if the token is another user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The app's schema version.
    #[serde(default, deserialize_with = "whole_or_zero")]
    pub schema: u32,
    /// The end of the last page; `None` for everything.
    pub cursor: Option<String>,
    /// Only these entity types; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<String>>,
    /// The app's own filter of a partial pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<serde_json::Value>,
    /// The last epoch that this client knew, if it pulls from the beginning: the page then tells
    /// how much of that history is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The most rows that the page may hold.
    #[serde(deserialize_with = "whole_or_zero")]
    pub limit: usize,
    /// How long the server may wait for a change before it replies, in milliseconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole_or_none"
    )]
    pub wait_ms: Option<u64>,
    /// Asks for the list of spaces, whether it has changed or not.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "or_default"
    )]
    pub spaces: bool,
}

/// One page of changes, in the order in which the server committed them.
#[derive(Clone, Debug)]
pub struct PullPage<'a> {
    /// The rows.
    pub changes: Vec<WireRow<'a>>,
    /// The start of the next page. Opaque.
    pub cursor: Cow<'a, str>,
    /// Another page is ready.
    pub more: bool,
    /// How many rows follow this page, for the progress.
    pub remaining: Option<u64>,
    /// The server's clock, ISO 8601 UTC.
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server is restored from an older state.
    pub epoch: Option<Cow<'a, str>>,
    /// Which server this is: the same after a restore.
    pub server_id: Option<Cow<'a, str>>,
    /// The greatest version that this history shares with the epoch in the request: later writes of
    /// that epoch are lost. `None` if the server cannot tell.
    pub kept: Option<u64>,
    /// Count and hash of each entity type as of `cursor`; only if `more` is false.
    pub digests: Option<VecMap<WireDigest>>,
    /// All shared spaces that the user may read, in the order of joining: one that is not among them
    /// is left. `None` if the list has not changed since the cursor.
    pub spaces: Option<Vec<WireSpace<'a>>>,
    /// The spaces that come from their beginning, in this page and those that follow.
    pub starts: Vec<WireStart<'a>>,
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
    pub id: Cow<'a, str>,
    /// The version that the server assigned; it grows with each write of the row.
    pub version: u64,
    /// A tombstone.
    pub deleted: bool,
    /// The app's object; absent for a tombstone.
    pub data: Option<&'a str>,
    /// `scope` if the row left the scope and was not deleted.
    pub reason: Option<Cow<'a, str>>,
    /// The row's space; `None` for the user's own.
    pub space: Option<Cow<'a, str>>,
    /// Of a tombstone: where the row lives now, if the user may read that.
    pub moved_to: Option<WirePlace<'a>>,
}

impl WireRow<'_> {
    /// Returns true if it is a row of this table.
    #[must_use]
    pub fn is_of(&self, table: &str) -> bool {
        let table = Table(table);
        self.entity == table.entity() && self.space.as_deref() == table.space()
    }
}

/// The server's verdicts, one per operation, in order.
#[derive(Clone, Debug)]
pub struct PushReply<'a> {
    pub results: Vec<PushVerdict<'a>>,
    /// The server's clock, ISO 8601 UTC.
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server is restored from an older state.
    pub epoch: Option<Cow<'a, str>>,
    /// Which server this is: the same after a restore.
    pub server_id: Option<Cow<'a, str>>,
}

/// One unchecked verdict; [`PushVerdict::verdict`] checks it.
#[derive(Clone, Debug)]
pub struct PushVerdict<'a> {
    /// The operation.
    pub op_id: Cow<'a, str>,
    /// `applied`, `conflict`, `rejected` or `retry`.
    pub status: Cow<'a, str>,
    /// The row's version after the write, or the current one of a conflict.
    pub version: Option<u64>,
    /// The server had applied this operation before.
    pub replayed: bool,
    /// The row that it wrote then is gone.
    pub deleted: bool,
    /// The current row: the result of an applied write, or the one that the write conflicts with.
    pub row: Option<&'a str>,
    /// Why it was rejected or must be retried: the server's stable code.
    pub code: Option<Cow<'a, str>>,
    /// The reason as a sentence.
    pub message: Option<Cow<'a, str>>,
    /// How long to wait before trying this operation again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Where the row of a conflict lives, if it was moved there; of a rejected move, which of its
    /// two spaces it is about. `None` is the user's own, or nothing was said.
    pub space: Option<Cow<'a, str>>,
    /// The version of the tombstone in the operation's own space: of an applied move, and of a
    /// conflict with a row that lives in `space` now.
    pub left_version: Option<u64>,
}

/// The place of a row that was moved before the operation came.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere<'a> {
    /// The space; `None` for the user's own.
    pub space: Option<&'a str>,
    /// The version of the tombstone in the operation's own space.
    pub left: u64,
}

/// A checked verdict.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// The write was applied, now or when it was sent before.
    Applied {
        /// The row's new version.
        version: u64,
        /// It had been applied before.
        replayed: bool,
        /// The row that it wrote then has been deleted since.
        deleted: bool,
        /// The row, if the server changed the write.
        row: Option<&'a str>,
        /// Of a move: the version of the tombstone that it left.
        left: Option<u64>,
    },
    /// The base version is not the current one.
    Conflict {
        /// The current version.
        version: u64,
        /// The current row; `None` if it is deleted.
        row: Option<&'a str>,
        /// Where the row was moved to, if the user may read that: version and row are those there.
        elsewhere: Option<Elsewhere<'a>>,
    },
    /// The server will never accept it.
    Rejected {
        /// The server's stable code.
        code: &'a str,
        /// The reason as a sentence.
        message: &'a str,
        /// The current row, if the server sent it.
        row: Option<&'a str>,
    },
    /// The server wants it again later.
    Retry {
        /// How long to wait, in milliseconds.
        after_ms: Option<u64>,
    },
}

impl<'a> PushVerdict<'a> {
    /// Checks that the verdict has what its status needs.
    ///
    /// # Errors
    /// Fails with [`Code::Protocol`] if the status is unknown or the version is missing.
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
                deleted: self.deleted,
                row: self.row,
                left: self.left_version,
            }),
            "conflict" => Ok(Verdict::Conflict {
                version: version(
                    "The server reported a conflict but its verdict has no `version`.",
                )?,
                row: self.row,
                elsewhere: self.left_version.map(|left| Elsewhere {
                    space: self.space.as_deref(),
                    left,
                }),
            }),
            "rejected" => Ok(Verdict::Rejected {
                code: self.code.as_deref().unwrap_or("rejected"),
                message: self.message.as_deref().unwrap_or(NO_MESSAGE),
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

/// The body of the server's HTTP errors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorBody {
    /// The server's stable code, such as `tokenExpired`, `cursorExpired`, `userMismatch`.
    pub code: String,
    /// The reason as a sentence.
    pub message: String,
    /// How long to wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The request's id in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `PUT /metadata`: one device's report of its last cycles. The server stores one per device.
///
/// Repeats most fields of `SyncMetadata`: `#[serde(flatten)]` would buffer every member in a map of
/// generic values, and both types are part of a public JSON format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceMetadata {
    pub device_id: String,
    /// The user, only in the request: the server refuses the record if the token is another user's,
    /// and does not store the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The last attempt, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<String>,
    /// The last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<String>,
    /// The digest of all rows after that success.
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
    /// One record per device.
    pub devices: Vec<DeviceMetadata>,
    /// The server's digests by entity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests: Option<VecMap<WireDigest>>,
    /// The server's clock, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_time: Option<String>,
    /// Which server this is: the same after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
}
