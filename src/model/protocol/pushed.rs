//! A push: the operations as they are sent.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::operation::OperationKind;
use crate::model::protocol::lenient::{or_default, whole_or_none};
use crate::util::json::write::{push_field, put, put_text, put_texts};

/// `POST /push`: operations in outbox order, at most one per entity.
#[derive(Clone, Debug)]
pub struct PushRequest<'a> {
    /// This device's id.
    pub client_id: Cow<'a, str>,
    /// The user; the server refuses all operations if the token is another user's.
    pub user_id: Option<Cow<'a, str>>,
    /// The app's schema version.
    pub schema: u32,
    /// The epoch of the operations' base versions, if known. The server applies nothing if its own
    /// is another.
    pub epoch: Option<Cow<'a, str>>,
    /// The server that the operations are for, if known. Another one applies nothing.
    pub server_id: Option<Cow<'a, str>>,
    pub operations: Vec<PushedOperation<'a>>,
}

impl PushRequest<'_> {
    /// Returns the request's body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        put_text(&mut out, "clientId", &self.client_id);
        if let Some(user_id) = &self.user_id {
            put_text(&mut out, "userId", user_id);
        }
        put(&mut out, "schema", &self.schema);
        if let Some(epoch) = &self.epoch {
            put_text(&mut out, "epoch", epoch);
        }
        if let Some(server_id) = &self.server_id {
            put_text(&mut out, "serverId", server_id);
        }
        out.push_str(",\"operations\":[");
        for (index, op) in self.operations.iter().enumerate() {
            out.push_str(if index == 0 { "{" } else { ",{" });
            put_text(&mut out, "opId", &op.op_id);
            put_text(&mut out, "entity", &op.entity);
            put_text(&mut out, "id", &op.id);
            put_text(&mut out, "kind", op.kind.as_str());
            put(&mut out, "baseVersion", &op.base_version);
            if let Some(space) = &op.space {
                put_text(&mut out, "space", space);
            }
            if let Some(to) = &op.to {
                put_text(&mut out, "to", to);
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

/// The text of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self(value.get()))
    }
}

/// The kind of a pushed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PushedKind {
    /// Creates a row.
    Create,
    /// Replaces its data.
    Update,
    /// Replaces some top-level fields.
    Patch,
    /// Deletes it.
    Delete,
    /// Takes it from one space to another, with the data that it has.
    Move,
}

impl PushedKind {
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

impl From<OperationKind> for PushedKind {
    fn from(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Create => Self::Create,
            OperationKind::Update => Self::Update,
            OperationKind::Patch => Self::Patch,
            OperationKind::Delete => Self::Delete,
            OperationKind::Move => Self::Move,
        }
    }
}

/// One write, conditional on its base version.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedOperation<'a> {
    /// Made by the client and unique for ever: sending it twice changes nothing.
    #[serde(borrow)]
    pub op_id: Cow<'a, str>,
    /// The entity type.
    #[serde(borrow)]
    pub entity: Cow<'a, str>,
    /// The entity's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    pub kind: PushedKind,
    /// The space of the row; `None` for the user's own.
    #[serde(borrow, default)]
    pub space: Option<Cow<'a, str>>,
    /// Of a move: the space that the row goes to; `None` for the user's own.
    #[serde(borrow, default)]
    pub to: Option<Cow<'a, str>>,
    /// The version that the write was made on; `None` means that the entity must not exist.
    #[serde(default, deserialize_with = "whole_or_none")]
    pub base_version: Option<u64>,
    /// Operations whose effect this one includes and that may still be on their way: they change
    /// nothing if they arrive after this one.
    #[serde(default, deserialize_with = "or_default")]
    pub supersedes: Vec<Cow<'a, str>>,
    /// The whole object of a create or update, the changed fields of a patch, `None` for a delete.
    #[serde(borrow, default)]
    pub data: Option<Raw<'a>>,
    /// Earlier operations of the same push that must be applied for this one to be applied.
    #[serde(default, deserialize_with = "or_default")]
    pub after: Vec<Cow<'a, str>>,
}
