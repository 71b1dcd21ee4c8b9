//! Conflicts and the built-in resolvers. Pure: the engine calls the app's own resolvers and passes
//! their answer on as a [`Resolution`].
//!
//! [`fields`] compares bodies field by field, [`merge`] merges them three-way, [`policy`] and
//! [`text`] merge single values, and [`explain`] records why each field is what it is.

use std::rc::Rc;

use serde::Serialize;

use crate::conflict::explain::Notes;
pub use crate::conflict::fields::{
    changed_field_hashes, changed_fields, clashing_fields, field_hashes, is_own, of_others, onto,
    same_content,
};
use crate::model::config::merge_fields::Policies;
use crate::model::config::resolver::Builtin;
use crate::model::entity::{Owner, push_entity, times};
use crate::model::error::Result;
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::util::json::write::{push_field, put, put_text, put_texts};
use crate::util::time;

pub mod explain;
pub mod fields;
pub mod merge;
pub mod policy;
pub mod text;

/// What both sides did. They always belong to the same user: each user has a database of their own,
/// and a pulled row names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ConflictKind {
    /// Both sides edited the entity.
    BothModified,
    /// The remote deleted it, and this device edited it.
    DeletedRemotely,
    /// This device deleted it, and the remote edited it.
    DeletedLocally,
}

/// An entity that both sides changed since their last common state.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The conflict's id. It is the same for the same clash, so that planning again asks the same
    /// question.
    pub id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub entity_id: String,
    pub user_id: String,
    /// What both sides did.
    pub kind: ConflictKind,
    /// The last common body, if there is one.
    pub base: Option<Rc<str>>,
    /// The version of the base.
    pub base_version: u64,
    /// The base of the local write was lost and `base` was reconstructed: it has at most the fields
    /// that the write did not change.
    pub assumed: bool,
    /// The local body; `None` if deleted.
    pub local: Option<Rc<str>>,
    /// The remote body; `None` if deleted.
    pub remote: Option<Rc<str>>,
    pub remote_version: u64,
    /// When the local write was made, by the remote's clock if its offset is known, in
    /// milliseconds.
    pub local_time: u64,
    /// Top-level fields that changed on both sides, to different values.
    pub fields: Vec<String>,
    /// Hashes of field values that this device wrote before: a remote field with such a value was
    /// not changed by others.
    pub earlier: Vec<u64>,
    /// A summed field changed here, and only the remote knows whether its value includes that
    /// change already. A push has to ask it first.
    pub unsettled: bool,
    /// When it was found, in milliseconds since 1970.
    pub detected_at: u64,
}

impl Conflict {
    /// Returns the `Conflict` of the public surface as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        put_text(&mut text, "id", &self.id);
        Table(&self.entity).put(&mut text);
        put_text(&mut text, "entityId", &self.entity_id);
        put_text(&mut text, "userId", &self.user_id);
        put(&mut text, "kind", &self.kind);
        put_texts(
            &mut text,
            "fields",
            &mut self.fields.iter().map(String::as_str),
        );
        put_text(&mut text, "detectedAt", &time::format(self.detected_at));
        let owner = Owner::new(&self.user_id);
        let mut side = |key: &str, body: &Option<Rc<str>>, version: u64| {
            let mut entity = String::new();
            match body {
                Some(body) => {
                    push_entity(&mut entity, body, &self.entity_id, &owner, version, false)
                }
                None => entity.push_str("null"),
            }
            push_field(&mut text, key, &entity);
        };
        side("base", &self.base, self.base_version);
        side("local", &self.local, self.base_version);
        side("remote", &self.remote, self.remote_version);
        text.push('}');
        text
    }
}

/// How a conflict ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The local side wins and is pushed again.
    Local,
    /// The remote side wins, and the local write is dropped.
    Remote,
    /// This body wins and is pushed.
    Merged(Rc<str>),
    /// The app decides later: the conflict is parked.
    Later,
}

impl Resolution {
    /// Returns the public name of the side that won; `None` if the app decides later.
    #[must_use]
    pub const fn taken(&self) -> Option<&'static str> {
        match self {
            Self::Local => Some("local"),
            Self::Remote => Some("remote"),
            Self::Merged(_) => Some("merged"),
            Self::Later => None,
        }
    }
}

/// A decided conflict and its explanation.
#[derive(Clone, Debug)]
pub struct Decision {
    pub resolution: Resolution,
    /// The explanation as JSON; empty if the app decides later.
    pub explanation: Rc<str>,
    /// The resolver failed.
    pub failed: bool,
}

impl Decision {
    /// Decides the whole entity for one reason. `at` is in milliseconds since 1970.
    #[must_use]
    pub fn new(
        conflict: &Conflict,
        resolution: Resolution,
        resolver: &str,
        because: &str,
        at: u64,
    ) -> Self {
        let explanation = match resolution {
            Resolution::Later => Rc::default(),
            _ => Notes::of(conflict, &resolution, because).text(conflict, resolver, at),
        };
        Self {
            resolution,
            explanation,
            failed: false,
        }
    }

    /// Parks the conflict until the app decides it.
    #[must_use]
    pub fn later() -> Self {
        Self {
            resolution: Resolution::Later,
            explanation: Rc::default(),
            failed: false,
        }
    }

    /// Parks the conflict because the resolver failed.
    #[must_use]
    pub fn failed() -> Self {
        Self {
            failed: true,
            ..Self::later()
        }
    }
}

/// Decides with a built-in resolver. `policies` are the type's `mergeFields`; `at` is in
/// milliseconds since 1970.
///
/// | resolver | both edited | one edited, one deleted |
/// |---|---|---|
/// | `localPriority` | local | local |
/// | `remotePriority` | remote | remote |
/// | `ask` | parked | parked |
/// | `lastWriteWins` | the later write | the edit |
/// | `merge` | merged by field | the edit |
///
/// # Errors
/// Fails with [`Code::Conflict`](crate::model::error::Code::Conflict) if a body is not an object.
pub fn decide(
    builtin: Builtin,
    conflict: &Conflict,
    policies: &Policies,
    at: u64,
) -> Result<Decision> {
    let name = Builtin::NAMES
        .iter()
        .find(|(_, other)| *other == builtin)
        .map_or("", |(name, _)| name);
    let entity = Table(&conflict.entity).entity();
    let (resolution, because) = match (builtin, conflict.kind) {
        (Builtin::LocalPriority, _) => (Resolution::Local, "What is here has priority."),
        (Builtin::RemotePriority, _) => (Resolution::Remote, "What is there has priority."),
        (Builtin::Ask, _) => (Resolution::Later, ""),
        // Who has been removed does not come back by a merge.
        (Builtin::Merge, ConflictKind::DeletedRemotely) if is_reserved(entity) => {
            (Resolution::Remote, "What ended, there, stays so.")
        }
        (Builtin::Merge, ConflictKind::DeletedLocally) if is_reserved(entity) => {
            (Resolution::Local, "What ended, here, stays so.")
        }
        // An edit outlives a delete, whichever side made it.
        (Builtin::Merge | Builtin::LastWriteWins, ConflictKind::DeletedRemotely) => {
            (Resolution::Local, "An edit, here, survives a delete.")
        }
        (Builtin::Merge | Builtin::LastWriteWins, ConflictKind::DeletedLocally) => {
            (Resolution::Remote, "An edit, there, survives a delete.")
        }
        (Builtin::LastWriteWins, ConflictKind::BothModified) if local_is_later(conflict) => {
            (Resolution::Local, "The later write, here, was taken.")
        }
        (Builtin::LastWriteWins, ConflictKind::BothModified) => {
            (Resolution::Remote, "The later write, there, was taken.")
        }
        (Builtin::Merge, ConflictKind::BothModified) => {
            let (body, notes) = merge::merge(conflict, policies)?;
            return Ok(Decision {
                resolution: Resolution::Merged(Rc::from(body)),
                explanation: notes.text(conflict, name, at),
                failed: false,
            });
        }
    };
    Ok(Decision::new(conflict, resolution, name, because, at))
}

/// Returns true if the local write is later. On a tie, or if the remote row has no time, the remote
/// counts as later, so that every device decides alike.
fn local_is_later(conflict: &Conflict) -> bool {
    let remote = conflict
        .remote
        .as_deref()
        .and_then(|body| times(body).modified_at)
        .and_then(|time| time::parse(&time));
    remote.is_some_and(|remote| conflict.local_time > remote)
}
