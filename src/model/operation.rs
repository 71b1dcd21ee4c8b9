//! An operation: one local write on its way to the remote, and the rules by which two become one.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::model::entity::OwnedKey;
use crate::model::error::ErrorJson;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationKind {
    /// Makes an entity that must not exist.
    Create,
    /// Replaces the app's fields.
    Update,
    /// Replaces some of the app's fields.
    Patch,
    /// Removes the entity and leaves a tombstone.
    Delete,
}

impl OperationKind {
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

/// A parent type, and the field that names the parent: `belongsTo` of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The parent's entity type.
    pub entity: String,
    /// The top-level field of the child that holds the parent's id.
    pub foreign_key: String,
}

/// Another entity that an operation has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub key: OwnedKey,
    /// The app asked that the operation goes after that entity's. Otherwise a foreign key names it:
    /// the operation goes after its create, and its delete goes after the operation.
    pub asked: bool,
}

/// Takes links along that are not there yet.
pub fn join_links(links: &mut Vec<Link>, more: &[Link]) {
    for link in more {
        if !links.contains(link) {
            links.push(link.clone());
        }
    }
}

/// Takes names of fields along that are not there yet.
pub fn join_fields(fields: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !fields.contains(name) {
            fields.push(name.clone());
        }
    }
}

/// The version of what is known from a history that is over: the server was restored, and has not
/// sent it since.
pub const UNKNOWN: u64 = 0;

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
    pub kind: OperationKind,
    /// The server's version that it was made against; none where the server has no such entity,
    /// [`UNKNOWN`] where it was made against one of another history.
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
    /// Marks of the fields that those had written: what the remote may already have of this
    /// device's own doing, where another tab sent them and the answer was lost.
    pub earlier: Vec<u64>,
    /// The entities that it has to do with.
    pub links: Vec<Link>,
}

impl Operation {
    /// Its size for [`PendingOperation::bytes`]: the body that would be sent.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }

    /// A base beyond this version is of a history that is over.
    pub fn forget_base(&mut self, kept: u64) {
        self.base_version = self
            .base_version
            .map(|base| if base > kept { UNKNOWN } else { base });
    }

    fn links_to<'a>(&'a self, other: &Self) -> impl Iterator<Item = &'a Link> {
        self.links
            .iter()
            .filter(move |link| link.key.id == other.id && link.key.entity == other.entity)
    }

    /// Whether this cannot stand where the other is refused.
    #[must_use]
    pub fn needs(&self, other: &Self) -> bool {
        self.links_to(other).any(|link| {
            link.asked
                || (other.kind == OperationKind::Create && self.kind != OperationKind::Delete)
        })
    }

    /// Whether this goes out behind the other: it needs it, or deletes what the other still names.
    #[must_use]
    pub fn goes_after(&self, other: &Self) -> bool {
        self.needs(other)
            || (self.kind == OperationKind::Delete && other.links_to(self).any(|link| !link.asked))
    }
}

/// What becomes of a queued operation when a second write of the same entity follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coalesced {
    /// One operation of this kind, with the base of the first and the body of the second.
    Into(OperationKind),
    /// Nothing is left to send, where the remote cannot know the entity: both were in one call.
    /// Otherwise another tab may have sent the first, and the second is sent.
    Nothing,
}

/// The coalescing table, for operations that cannot be in flight.
#[must_use]
pub const fn coalesce(first: OperationKind, second: OperationKind) -> Coalesced {
    match (first, second) {
        (OperationKind::Create, OperationKind::Delete) => Coalesced::Nothing,
        (
            OperationKind::Create,
            OperationKind::Create | OperationKind::Update | OperationKind::Patch,
        ) => Coalesced::Into(OperationKind::Create),
        (OperationKind::Patch, OperationKind::Patch) => Coalesced::Into(OperationKind::Patch),
        (
            OperationKind::Update | OperationKind::Patch | OperationKind::Delete,
            OperationKind::Delete,
        ) => Coalesced::Into(OperationKind::Delete),
        (
            OperationKind::Update,
            OperationKind::Create | OperationKind::Update | OperationKind::Patch,
        )
        | (OperationKind::Patch, OperationKind::Create | OperationKind::Update)
        | (
            OperationKind::Delete,
            OperationKind::Create | OperationKind::Update | OperationKind::Patch,
        ) => Coalesced::Into(OperationKind::Update),
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
    pub kind: OperationKind,
    /// `pending`, `inFlight` or `blocked`.
    pub state: PendingState,
    /// When it was queued, ISO 8601 UTC.
    pub queued_at: String,
    /// How often it was sent without being settled.
    pub attempts: u32,
    /// The bytes that it would send.
    pub bytes: u64,
    /// The conflict, dead letter or operation that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// When it is sent again, where that is known, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// What the last attempt to send it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorJson>,
}

/// Where a pending operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PendingState {
    /// Waiting for the next push.
    Pending,
    /// Sent, and not answered yet.
    InFlight,
    /// Waiting for something else to be decided or settled first.
    Blocked,
}
