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
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Code, Error, Result};
use crate::operation::Kind;

/// The path prefix of protocol version 1.
pub const PREFIX: &str = "/sync/v1";
/// The most rows in a page, and the most operations in a push.
pub const MAX_BATCH: usize = 10_000;
/// The largest entity, in bytes of its JSON.
pub const MAX_ENTITY_BYTES: usize = 1 << 20;
/// The greatest version: what a JavaScript number holds exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

/// `POST /pull`: what changed after a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// This device's id.
    pub client_id: String,
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
    /// The most rows that the page may hold.
    pub limit: usize,
    /// How long the server may wait for a change before it answers, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// One page of changes, in the order in which the server committed them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullPage<'a> {
    /// The rows.
    #[serde(borrow)]
    pub changes: Vec<Change<'a>>,
    /// Where the next page starts. Opaque.
    pub cursor: Cow<'a, str>,
    /// Whether more is waiting now.
    pub more: bool,
    /// How many rows are still to come after this page; makes progress real.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// The server's clock, ISO 8601 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server was restored from an older state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Cow<'a, str>>,
    /// Count and hash of each entity type as of `cursor`; only when `more` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<BTreeMap<String, WireDigest>>,
}

/// Count and order-independent hash over the live rows of one entity type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireDigest {
    /// Rows that are not deleted.
    pub count: u64,
    /// [`crate::digest::Digest::hex`]: 16 lower-case hexadecimal digits.
    pub hash: String,
}

/// One row of a page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change<'a> {
    /// The entity type.
    #[serde(borrow)]
    pub entity: Cow<'a, str>,
    /// The entity's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The version that the server gave it; greater with each write of the row.
    pub version: u64,
    /// A tombstone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// The app's object; absent for a tombstone.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    /// `scope`: the row left the scope rather than the world.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

/// `POST /push`: operations in outbox order, at most one an entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushRequest<'a> {
    /// This device's id.
    #[serde(borrow)]
    pub client_id: Cow<'a, str>,
    /// The app's schema version.
    #[serde(default)]
    pub schema: u32,
    /// The operations.
    #[serde(borrow)]
    pub operations: Vec<PushedOperation<'a>>,
}

/// One write, conditional on the version that it was made against.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    pub kind: Kind,
    /// The version that this was made against; none means that the entity must not exist.
    pub base_version: Option<u64>,
    /// The whole object for create and update, the changed fields for patch, absent for delete.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

/// The server's verdicts, one an operation, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushReply<'a> {
    /// The verdicts.
    #[serde(borrow)]
    pub results: Vec<PushVerdict<'a>>,
    /// The server's clock, ISO 8601 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Cow<'a, str>>,
    /// Changes when the server was restored from an older state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Cow<'a, str>>,
}

/// One verdict as it stands on the wire; [`PushVerdict::verdict`] checks it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushVerdict<'a> {
    /// The operation that this answers.
    #[serde(borrow)]
    pub op_id: Cow<'a, str>,
    /// `applied`, `conflict`, `rejected` or `retry`.
    #[serde(borrow)]
    pub status: Cow<'a, str>,
    /// The row's version: after an applied write, or the current one of a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The server had applied this operation before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
    /// The current row: what the server made of an applied write, or what stands in its way.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub row: Option<&'a RawValue>,
    /// Why it was rejected, or must be retried, in the server's own stable word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, str>>,
    /// How long to wait before trying this operation again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        row: Option<&'a RawValue>,
    },
    /// The base is not current any more.
    Conflict {
        /// The current version.
        version: u64,
        /// The current row; none where it is deleted.
        row: Option<&'a RawValue>,
    },
    /// It will never be accepted.
    Rejected {
        /// The server's stable word.
        code: &'a str,
        /// The same for people.
        message: &'a str,
        /// The current row, where the server sent it.
        row: Option<&'a RawValue>,
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
        let version =
            |what: &'static str| self.version.filter(|v| *v > 0 && *v <= MAX_VERSION).ok_or_else(|| Error::new(Code::Protocol, what));
        match self.status.as_ref() {
            "applied" => Ok(Verdict::Applied {
                version: version("The server applied an operation but its verdict has no `version`.")?,
                replayed: self.replayed,
                row: self.row,
            }),
            "conflict" => Ok(Verdict::Conflict {
                version: version("The server reported a conflict but its verdict has no `version`.")?,
                row: self.row,
            }),
            "rejected" => Ok(Verdict::Rejected {
                code: self.code.as_deref().unwrap_or("rejected"),
                message: self.message.as_deref().unwrap_or("The server rejected the operation."),
                row: self.row,
            }),
            "retry" => Ok(Verdict::Retry { after_ms: self.retry_after_ms }),
            other => Err(Error::new(
                Code::Protocol,
                format!("The server answered with the unknown verdict `{other}`; known are applied, conflict, rejected and retry."),
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
    pub entity_counts: BTreeMap<String, crate::metadata::EntityCount>,
    /// `synced`, `failed`, `pending`, `conflict`.
    pub sync_status: crate::metadata::SyncState,
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
    pub digests: Option<BTreeMap<String, WireDigest>>,
    /// The server's clock, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_time: Option<String>,
}

/// Reads a pull reply and checks what the types cannot say.
///
/// # Errors
/// [`Code::Protocol`], naming the place in the reply.
pub fn parse_page(bytes: &[u8]) -> Result<PullPage<'_>> {
    let page: PullPage<'_> = from_reply(bytes, "pull")?;
    for change in &page.changes {
        let refuse = |what: &'static str| Err(Error::new(Code::Protocol, what).on(&change.entity, Some(&change.id)));
        if crate::entity::check_id(&change.id).is_err() || crate::entity::check_name(&change.entity).is_err() {
            return refuse("The server sent a row whose `id` or `entity` is empty, too long or has control characters.");
        }
        if change.version == 0 || change.version > MAX_VERSION {
            return refuse("The server sent a row whose `version` is not between 1 and 2^53-1.");
        }
        match change.data {
            Some(data) if !data.get().starts_with('{') => {
                return refuse("The server sent a row whose `data` is not a JSON object.");
            }
            None if !change.deleted => {
                return refuse("The server sent a row that is not deleted and has no `data`.");
            }
            _ => {}
        }
    }
    if page.cursor.is_empty() {
        return Err(Error::new(Code::Protocol, "The server sent an empty `cursor`; it must name the end of the page."));
    }
    Ok(page)
}

/// Reads a push reply and checks that it answers exactly the operations that were sent.
///
/// # Errors
/// [`Code::Protocol`] when a verdict is missing, unknown, or answers something else.
pub fn parse_push_reply<'a>(bytes: &'a [u8], sent: &[&str]) -> Result<PushReply<'a>> {
    let reply: PushReply<'a> = from_reply(bytes, "push")?;
    if reply.results.len() != sent.len() {
        return Err(Error::new(
            Code::Protocol,
            format!("The server answered {} verdicts for {} operations; each needs exactly one.", reply.results.len(), sent.len()),
        ));
    }
    for (verdict, op_id) in reply.results.iter().zip(sent) {
        if verdict.op_id != *op_id {
            return Err(Error::new(
                Code::Protocol,
                "The server answered an operation that was not sent, or in another order; verdicts follow the order of the operations.",
            ));
        }
        verdict.verdict()?;
        if verdict.row.is_some_and(|row| !row.get().starts_with('{')) {
            return Err(Error::new(Code::Protocol, "The server sent a verdict whose `row` is not a JSON object or null."));
        }
    }
    Ok(reply)
}

/// Reads a reply of the remote.
fn from_reply<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|cause| unreadable(bytes, what, &cause))
}

/// [`Code::Protocol`] for a reply that cannot be read, with the parser's words as the cause.
pub(crate) fn unreadable(bytes: &[u8], what: &str, cause: &serde_json::Error) -> Error {
    let start = bytes.iter().copied().find(|b| !b.is_ascii_whitespace());
    let message = if start == Some(b'<') {
        format!(
            "The answer to `{what}` is a web page, not JSON; check the remote's url, and that no login page or proxy answers in its place."
        )
    } else {
        format!("The answer to `{what}` is not what protocol 1 asks for; check the remote's url and its version.")
    };
    Error::new(Code::Protocol, message).caused_by(cause)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape that serde asks for.
const fn is_false(value: &bool) -> bool {
    !*value
}
