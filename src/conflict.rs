//! Conflicts: what they are, and what the built-in resolvers decide. Pure: a resolver that asks the
//! app is called by `sync`, and its answer comes back as a [`Resolution`].
//!
//! `merge` is the three-way merge by field, `policy` what a field's policy makes of it, `text` that
//! of texts; `explain` says why a field is what it is.

use std::rc::Rc;

use serde::Serialize;
use serde_json::{Map, Value};
use twox_hash::XxHash3_64;

use crate::conflict::explain::Notes;
use crate::model::config::merge_fields::Policies;
use crate::model::config::resolver::Builtin;
use crate::model::entity::{Owner, push_entity};
use crate::model::error::{Code, Error, Result};
use crate::util::json::scan;
use crate::util::json::write::{push_field, put, put_text, put_texts};

pub mod explain;
pub mod merge;
pub mod policy;
pub mod text;

/// What clashed. That the two sides belong to different users cannot be: each user has a database
/// of their own, and a row that is pulled names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ConflictKind {
    /// Both sides edited.
    BothModified,
    /// Deleted there, edited here.
    DeletedRemotely,
    /// Deleted here, edited there.
    DeletedLocally,
}

/// One entity on which both sides have moved on from their last common state.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Its id: stable for the same clash, so that planning again asks the same question.
    pub id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub entity_id: String,
    /// Whose.
    pub user_id: String,
    /// What clashed.
    pub kind: ConflictKind,
    /// The body that both sides agreed on last; none where there was none.
    pub base: Option<Rc<str>>,
    /// The version of the base.
    pub base_version: u64,
    /// The base is not the one that the write here was made on, which is lost: it has at most the
    /// fields that were left alone.
    pub assumed: bool,
    /// The body here; none where deleted.
    pub local: Option<Rc<str>>,
    /// The body there; none where deleted.
    pub remote: Option<Rc<str>>,
    /// The version there.
    pub remote_version: u64,
    /// When the write here was made, by the remote's clock as far as it is known, in milliseconds.
    pub local_time: u64,
    /// Top-level fields that changed on both sides, to different values.
    pub fields: Vec<String>,
    /// Marks of what this device itself had written before: a field that stands so there has not
    /// been changed by others.
    pub earlier: Vec<u64>,
    /// A field that is summed has changed here, and only the remote knows whether what is there
    /// counts that already: it has to be asked first, by a push.
    pub unsettled: bool,
    /// When it was found, in milliseconds since 1970.
    pub detected_at: u64,
}

impl Conflict {
    /// `Conflict` of the public surface, as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        put_text(&mut text, "id", &self.id);
        put_text(&mut text, "entity", &self.entity);
        put_text(&mut text, "entityId", &self.entity_id);
        put_text(&mut text, "userId", &self.user_id);
        put(&mut text, "kind", &self.kind);
        put_texts(
            &mut text,
            "fields",
            &mut self.fields.iter().map(String::as_str),
        );
        put_text(
            &mut text,
            "detectedAt",
            &crate::util::time::format(self.detected_at),
        );
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

/// How a clash ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// What is here stands, and is pushed again.
    Local,
    /// What is there stands, and the write here is given up.
    Remote,
    /// This body stands, and is pushed.
    Merged(Rc<str>),
    /// The app decides later: the conflict is parked.
    Later,
}

impl Resolution {
    /// Whose side stands, in the word of the public surface; none while it waits.
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

/// A clash decided, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// How it ends.
    pub resolution: Resolution,
    /// The explanation, as JSON text; empty while the conflict waits.
    pub explanation: Rc<str>,
    /// A resolver was to decide and failed.
    pub failed: bool,
}

impl Decision {
    /// A decision of the whole, and that for one reason. `at` is in milliseconds since 1970.
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

    /// None, since the resolver failed.
    #[must_use]
    pub fn failed() -> Self {
        Self {
            resolution: Resolution::Later,
            explanation: Rc::default(),
            failed: true,
        }
    }
}

/// Decides with a built-in resolver, by a type's `mergeFields`. `at` is in milliseconds since 1970.
///
/// # Errors
/// [`Code::Conflict`] where a body cannot be read as an object.
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
    let (resolution, because) = match (builtin, conflict.kind) {
        (Builtin::LocalPriority, _) => (Resolution::Local, "What is here has priority."),
        (Builtin::RemotePriority, _) => (Resolution::Remote, "What is there has priority."),
        (Builtin::Ask, _) => (Resolution::Later, ""),
        // An edit says more than a delete: it survives, whichever side it was made on.
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

/// Whether the write here is later than the one there. On a tie, or where the row there tells no
/// time, the row that the remote has stands: every device then decides alike.
fn local_is_later(conflict: &Conflict) -> bool {
    let remote = conflict
        .remote
        .as_deref()
        .and_then(|body| crate::model::entity::times(body).modified_at)
        .and_then(|time| crate::util::time::parse(&time));
    remote.is_some_and(|remote| conflict.local_time > remote)
}

/// The fields that a body owns itself: times that every write sets never clash.
const TIMES: [&str; 2] = ["createdAt", "modifiedAt"];

/// Top-level fields that changed on both sides, to different values.
#[must_use]
pub fn clashing_fields(
    base: Option<&str>,
    local: Option<&str>,
    remote: Option<&str>,
    earlier: &[u64],
) -> Vec<String> {
    let read = |body: Option<&str>| body.and_then(|body| object(body).ok()).unwrap_or_default();
    let (base, local, remote) = (read(base), read(local), read(remote));
    let keys = remote
        .keys()
        .chain(local.keys().filter(|key| !remote.contains_key(*key)));
    keys.filter(|key| !TIMES.contains(&key.as_str()))
        .filter(|key| {
            let (was, ours, theirs) = (base.get(*key), local.get(*key), remote.get(*key));
            ours != was
                && theirs != was
                && ours != theirs
                && !theirs.is_some_and(|theirs| earlier.contains(&field_hash(key, theirs)))
        })
        .cloned()
        .collect()
}

/// What a write made of `base`, made of `theirs` instead, and whether both have changed the same
/// field, where the write's own value stays. None where a body cannot be read.
#[must_use]
pub fn onto(base: Option<&str>, ours: &str, theirs: &str) -> Option<(String, bool)> {
    let base = base.map_or_else(|| Ok(Map::new()), object).ok()?;
    let (ours, theirs) = (object(ours).ok()?, object(theirs).ok()?);
    let (mut made, mut clash) = (Map::new(), false);
    for key in theirs
        .keys()
        .chain(ours.keys().filter(|key| !theirs.contains_key(*key)))
    {
        let (was, mine, other) = (base.get(key), ours.get(key), theirs.get(key));
        clash |= mine != was && other != was && mine != other && !TIMES.contains(&key.as_str());
        if let Some(value) = if mine == was { other } else { mine } {
            made.insert(key.clone(), value.clone());
        }
    }
    Some((crate::util::json::serialize::to_string(&made), clash))
}

/// One mark for each field of a body, or of those that a patch changed: by it the same value of the
/// same field is known again.
#[must_use]
pub fn field_hashes(body: &str, only: &[String]) -> Vec<u64> {
    let fields = object(body).unwrap_or_default();
    let concerned =
        |key: &String| !TIMES.contains(&key.as_str()) && (only.is_empty() || only.contains(key));
    fields
        .iter()
        .filter(|(key, _)| concerned(key))
        .map(|(key, value)| field_hash(key, value))
        .collect()
}

/// Marks of the values that a write has put and replaced, on top of what stood there; of all that
/// it has put where that is not known.
#[must_use]
pub fn changed_field_hashes(base: Option<&str>, body: &str, only: &[String]) -> Vec<u64> {
    let (Some(was), Ok(now)) = (base.and_then(|base| object(base).ok()), object(body)) else {
        return field_hashes(body, only);
    };
    let mut hashes = Vec::new();
    for key in now
        .keys()
        .chain(was.keys().filter(|key| !now.contains_key(*key)))
    {
        let (was, now) = (was.get(key), now.get(key));
        if was != now && !TIMES.contains(&key.as_str()) {
            hashes.extend(
                [was, now]
                    .into_iter()
                    .flatten()
                    .map(|value| field_hash(key, value)),
            );
        }
    }
    hashes
}

/// What others have made of a body: it without the fields that stand as these hashes say (every
/// field, where there are none), but for those that the remote has just so.
#[must_use]
pub fn of_others(body: &str, own: Option<&[u64]>, remote: Option<&str>) -> Option<String> {
    let remote = remote
        .and_then(|remote| object(remote).ok())
        .unwrap_or_default();
    let mut fields = Map::new();
    // A map of its own: taking fields out of a tree is code that nothing else needs.
    for (key, value) in object(body).ok()? {
        if remote.get(&key) == Some(&value)
            || own.is_some_and(|own| !own.contains(&field_hash(&key, &value)))
        {
            fields.insert(key, value);
        }
    }
    Some(crate::util::json::serialize::to_string(&fields))
}

fn field_hash(key: &str, value: &Value) -> u64 {
    XxHash3_64::oneshot(
        [key, "\0", &crate::util::json::serialize::to_string(value)]
            .concat()
            .as_bytes(),
    )
}

/// Whether what the remote has is this device's own doing: every field stands there as it does
/// here, as it did in the base, or as an earlier write of this device had put it.
#[must_use]
pub fn is_own(base: Option<&str>, local: Option<&str>, remote: &str, earlier: &[u64]) -> bool {
    let read = |body: Option<&str>| body.and_then(|body| object(body).ok()).unwrap_or_default();
    let (base, local) = (read(base), read(local));
    let Ok(remote) = object(remote) else {
        return false;
    };
    let mut fields = remote
        .iter()
        .filter(|(key, _)| !TIMES.contains(&key.as_str()));
    fields.all(|(key, theirs)| {
        local.get(key) == Some(theirs)
            || base.get(key) == Some(theirs)
            || earlier.contains(&field_hash(key, theirs))
    })
}

/// Whether two bodies say the same, whatever the order of their keys and the time of the write.
#[must_use]
pub fn same_content(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (object(a), object(b)) else {
        return false;
    };
    let is_content = |(key, _): &(&String, &Value)| !TIMES.contains(&key.as_str());
    a.iter().filter(is_content).eq(b.iter().filter(is_content))
}

pub(crate) fn object(body: &str) -> Result<Map<String, Value>> {
    let wrong = || Error::new(Code::Conflict, "A conflicting entity is not a JSON object.");
    match scan::tree(body).map_err(|cause| wrong().caused_by(cause))? {
        Value::Object(map) => Ok(map),
        _ => Err(wrong()),
    }
}
