//! Operations: local writes on their way to the remote, and the rules by which two are coalesced.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::model::entity::{Key, OwnedKey};
use crate::model::error::ErrorJson;
use crate::model::space::SPACE;
use crate::model::table::Table;

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationKind {
    /// Creates an entity that must not exist yet.
    Create,
    /// Replaces the app's fields.
    Update,
    /// Replaces some of the app's fields.
    Patch,
    /// Deletes the entity and leaves a tombstone.
    Delete,
    /// Takes the entity to another space, with the data that it has there.
    Move,
}

impl OperationKind {
    /// Returns its name in the protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Move => "move",
        }
    }
}

/// `belongsTo` of the config: a parent type and the foreign key of the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The parent's entity type.
    pub entity: String,
    /// The top-level field of the child that holds the parent's id.
    pub foreign_key: String,
}

/// Another entity that an operation depends on or refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub key: OwnedKey,
    /// True for `dependsOn`: the operation goes after all operations of that entity. False for a
    /// foreign key: the operation goes after the entity's create, and before its delete.
    pub asked: bool,
}

/// Adds the links that are missing.
pub fn join_links(links: &mut Vec<Link>, more: &[Link]) {
    for link in more {
        if !links.contains(link) {
            links.push(link.clone());
        }
    }
}

/// Returns the changed fields of two coalesced operations that become one of this kind: nothing if
/// one of them wrote the whole entity.
#[must_use]
pub fn joined_fields(kind: OperationKind, first: &[String], second: &[String]) -> Vec<String> {
    if kind != OperationKind::Patch && (first.is_empty() || second.is_empty()) {
        return Vec::new();
    }
    let more = second.iter().filter(|name| !first.contains(name));
    first.iter().chain(more).cloned().collect()
}

/// The version of a row from an earlier epoch that the server, restored since, has not sent again.
pub const UNKNOWN: u64 = 0;

/// A write in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Unique for ever: the server recognises an operation that is sent twice.
    pub op_id: String,
    /// The entity type.
    pub entity: String,
    pub id: String,
    pub kind: OperationKind,
    /// The server's version that it was made on; `None` if the server has no such entity,
    /// [`UNKNOWN`] if the version is of an earlier epoch.
    pub base_version: Option<u64>,
    /// Of a move, the table that the entity goes to. Operations of the entity there come behind it.
    pub to: Option<String>,
    /// The whole body after the write; `None` for a delete. That of a move is not sent.
    pub body: Option<Rc<str>>,
    /// The fields that it changed: those of a patch, also of one that became a create because its
    /// row was gone, and those in which the outcome of a conflict differs from the server's row.
    /// Empty for a write of the whole entity.
    pub fields: Vec<String>,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: u64,
    /// How often it was sent without a verdict.
    pub attempts: u32,
    /// The body of a deleted entity stays readable under `includeDeleted`.
    pub soft: bool,
    /// Operations whose effect this one includes: a verdict on one of them, still on its way in
    /// another tab, sets the base of this one.
    pub supersedes: Vec<String>,
    /// Hashes of the field values that those wrote. The remote may already have them, if another
    /// tab sent them and the reply was lost.
    pub earlier: Vec<u64>,
    /// The entities that it depends on or refers to.
    pub links: Vec<Link>,
}

impl Operation {
    /// Returns a new operation without a base, links or a past.
    #[must_use]
    pub fn new(
        op_id: String,
        key: Key<'_>,
        kind: OperationKind,
        body: Option<Rc<str>>,
        queued_at: u64,
    ) -> Self {
        Self {
            op_id,
            entity: key.entity.to_owned(),
            id: key.id.to_owned(),
            kind,
            base_version: None,
            to: None,
            body,
            fields: Vec::new(),
            queued_at,
            attempts: 0,
            soft: false,
            supersedes: Vec::new(),
            earlier: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Returns the size of the body.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }

    /// Returns true if the entity is in this table after the operation.
    #[must_use]
    pub fn leaves_in(&self, table: &str) -> bool {
        self.kind != OperationKind::Delete && self.to.as_deref().unwrap_or(&self.entity) == table
    }

    /// Of a move, the space that the entity goes to; the personal one is `None`.
    #[must_use]
    pub fn space_after_move(&self) -> Option<Option<&str>> {
        self.to.as_deref().map(|table| Table(table).space())
    }

    /// The tables whose entity it changes.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.entity).chain(self.to.as_deref())
    }

    /// Returns true if it names a shared space.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.tables().any(|table| Table(table).space().is_some())
    }

    /// Returns true if it creates the row, with all its values.
    #[must_use]
    pub const fn creates_all(&self) -> bool {
        matches!(self.kind, OperationKind::Create) && self.fields.is_empty()
    }

    /// Makes the base [`UNKNOWN`] if it is newer than `kept`, the last version that a restored
    /// server shares with the earlier epoch.
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

    /// Returns true if this operation must not be applied if the other one is rejected. A delete
    /// needs no parent, but in a space that does not exist yet it would be refused.
    #[must_use]
    pub fn needs(&self, other: &Self) -> bool {
        self.links_to(other).any(|link| {
            link.asked
                || (other.kind == OperationKind::Create
                    && (self.kind != OperationKind::Delete
                        || Table(&other.entity).entity() == SPACE))
        })
    }

    /// Returns true if this operation is sent after the other one: it needs it, or deletes an
    /// entity that the other one refers to.
    #[must_use]
    pub fn goes_after(&self, other: &Self) -> bool {
        self.needs(other)
            || (self.kind == OperationKind::Delete && other.links_to(self).any(|link| !link.asked))
    }
}

/// The result of coalescing a queued operation with a second write of the same entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coalesced {
    /// One operation of this kind, with the base of the first and the body of the second.
    Into(OperationKind),
    /// Nothing, if the remote cannot know the entity because both were in one call. Otherwise the
    /// second is sent, since another tab may have sent the first.
    Nothing,
    /// The two stay apart.
    Apart,
}

/// Returns what two operations that are not in flight become:
///
/// | first \ second | create | update | patch | delete |
/// |---|---|---|---|---|
/// | create | create | create | create | nothing |
/// | update | update | update | update | delete |
/// | patch | update | update | patch | delete |
/// | delete | update | update | update | delete |
///
/// A move stays apart from what is before and behind it.
#[must_use]
pub const fn coalesce(first: OperationKind, second: OperationKind) -> Coalesced {
    match (first, second) {
        (OperationKind::Move, _) | (_, OperationKind::Move) => Coalesced::Apart,
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
    /// The shared space that it writes into; `None` for the personal one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_id: Option<String>,
    /// The entity's id.
    pub entity_id: String,
    /// Of a move, the space that the entity goes to; `null` for the personal one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Option<String>>,
    /// What it does.
    pub kind: OperationKind,
    /// `pending`, `inFlight` or `blocked`.
    pub state: PendingState,
    /// When it was queued, ISO 8601 UTC.
    pub queued_at: String,
    /// How often it was sent without a verdict.
    pub attempts: u32,
    /// The size of its body in bytes.
    pub bytes: u64,
    /// The conflict, dead letter or operation that blocks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// When it is sent again, if known, ISO 8601 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// The error of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorJson>,
}

/// The state of a pending operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PendingState {
    /// Waiting for the next push.
    Pending,
    /// Sent, and not answered yet.
    InFlight,
    /// Waiting for a conflict, a dead letter or another operation.
    Blocked,
}
