//! An operation: one local write on its way to the remote, and the rules by which two become one.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Makes an entity that must not exist.
    Create,
    /// Replaces the app's fields.
    Update,
    /// Replaces some of the app's fields.
    Patch,
    /// Removes the entity and leaves a tombstone.
    Delete,
}

impl Kind {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// What the outbox keeps of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Unique for ever; the server answers a second sending from memory.
    pub op_id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub id: String,
    /// What it does.
    pub kind: Kind,
    /// The server's version that it was made against; none where the server has no such entity.
    pub base_version: Option<u64>,
    /// The whole body after the write; none for a delete.
    pub body: Option<Rc<str>>,
    /// The fields that a patch changed.
    pub fields: Vec<String>,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: u64,
    /// How often it was sent without an answer that settled it.
    pub attempts: u32,
    /// For a delete: the body stays readable under `includeDeleted`.
    pub soft: bool,
    /// Operations that this one carries the effect of: an answer to one of them, still on its way
    /// in another tab, settles the base of this one.
    pub supersedes: Vec<String>,
    /// Marks of the fields that those had written: what the remote may already have of this device's
    /// own doing, where another tab sent them and the answer was lost.
    pub earlier: Vec<u64>,
}

impl Operation {
    /// Its size for [`PendingOperation::bytes`]: the body that would be sent.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }
}

/// What becomes of a queued operation when a second write of the same entity follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coalesced {
    /// One operation of this kind, with the base of the first and the body of the second.
    Into(Kind),
    /// Nothing is left to send, where the remote cannot know the entity: both were in one call. Otherwise
    /// another tab may have sent the first, and the second is sent.
    Nothing,
}

/// The coalescing table, for operations that cannot be in flight.
#[must_use]
pub const fn coalesce(first: Kind, second: Kind) -> Coalesced {
    match (first, second) {
        (Kind::Create, Kind::Delete) => Coalesced::Nothing,
        (Kind::Create, Kind::Create | Kind::Update | Kind::Patch) => Coalesced::Into(Kind::Create),
        (Kind::Patch, Kind::Patch) => Coalesced::Into(Kind::Patch),
        (Kind::Update | Kind::Patch | Kind::Delete, Kind::Delete) => Coalesced::Into(Kind::Delete),
        (Kind::Update, Kind::Create | Kind::Update | Kind::Patch)
        | (Kind::Patch, Kind::Create | Kind::Update)
        | (Kind::Delete, Kind::Create | Kind::Update | Kind::Patch) => Coalesced::Into(Kind::Update),
    }
}

/// `PendingOperation` of the public surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingOperation {
    /// The operation's id.
    pub op_id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub entity_id: String,
    /// What it does.
    pub kind: Kind,
    /// `pending`, `inFlight` or `blocked`.
    pub state: PendingState,
    /// When it was queued, ISO 8601 UTC.
    pub queued_at: String,
    /// How often it was sent without being settled.
    pub attempts: u32,
    /// The bytes that it would send.
    pub bytes: u64,
    /// The conflict or operation that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
}

/// Where a pending operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PendingState {
    /// Waiting for the next push.
    Pending,
    /// Sent, and not answered yet.
    InFlight,
    /// Waiting for a conflict to be decided.
    Blocked,
}
