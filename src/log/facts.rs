//! The small parts of the state: cursors, facts of past cycles, parked conflicts, dead letters.

use std::rc::Rc;

use crate::conflict::ConflictKind;
use crate::log::address::Seq;
use crate::model::operation::Operation;
use crate::model::status::SyncState;
use crate::util::json::write::{push_field, put, put_text};

/// Where the pull of one scope stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorState {
    /// The remote's own words; none before the first page.
    pub cursor: Option<String>,
    /// A full pull is under way, begun after this record: rows that it has not confirmed by its end
    /// go.
    pub full_since: Option<Seq>,
    /// Whether a pull of this scope has ever reached its end.
    pub reached_end: bool,
    /// The entity types of the scope; none for all.
    pub entities: Option<Vec<String>>,
}

/// What past cycles left behind, for metadata, status and the next cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The last attempt, in milliseconds since 1970.
    pub last_sync: Option<u64>,
    /// The last success.
    pub last_success: Option<u64>,
    /// How long the last cycle took.
    pub duration: Option<u64>,
    /// Its error's message; cleared by the next success.
    pub error: Option<Rc<str>>,
    /// Failed attempts since the last success.
    pub failures: u64,
    /// The remote's epoch.
    pub epoch: Option<String>,
    /// The remote's clock minus this device's, in milliseconds.
    pub clock_offset: i64,
    /// All bytes ever pushed.
    pub bytes_pushed: u64,
    /// All bytes ever pulled.
    pub bytes_pulled: u64,
    /// When this device last told the remote of itself, and what (a hash of it).
    pub told: Option<(u64, u64)>,
    /// The app's own fields: the text of a JSON object.
    pub custom: Option<Rc<str>>,
    /// How the last cycle ended: completed, cancelled or failed; idle before the first.
    pub last_state: SyncState,
    /// Its `SyncResult`, as JSON.
    pub last_result: Option<Rc<str>>,
}

/// A conflict that waits for the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its id.
    pub id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub entity_id: String,
    /// What clashed.
    pub kind: ConflictKind,
    /// The body that both sides agreed on last.
    pub base: Option<Rc<str>>,
    /// Its version.
    pub base_version: u64,
    /// See [`crate::conflict::Conflict::assumed`].
    pub assumed: bool,
    /// Fields that changed on both sides, to different values.
    pub fields: Vec<String>,
    /// When it was found, in milliseconds since 1970.
    pub detected_at: u64,
    /// How many cycles a resolver has failed in to decide it; 0 where it waits for the app alone.
    pub failed: u32,
}

impl DeadLetter {
    /// `DeadLetter` of the public surface, as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        put_text(&mut text, "id", &self.op.op_id);
        put_text(&mut text, "opId", &self.op.op_id);
        put_text(&mut text, "entity", &self.op.entity);
        put_text(&mut text, "entityId", &self.op.id);
        put(&mut text, "kind", &self.op.kind);
        put_text(
            &mut text,
            "queuedAt",
            &crate::util::time::format(self.op.queued_at),
        );
        put(&mut text, "attempts", &self.op.attempts);
        put(&mut text, "bytes", &self.op.bytes());
        if let Some(blocked_by) = &self.blocked_by {
            put_text(&mut text, "blockedBy", blocked_by);
        }
        put_text(&mut text, "code", &self.code);
        put_text(&mut text, "message", &self.message);
        put_text(
            &mut text,
            "diedAt",
            &crate::util::time::format(self.died_at),
        );
        push_field(&mut text, "data", self.op.body.as_deref().unwrap_or("null"));
        push_field(&mut text, "base", self.base.as_deref().unwrap_or("null"));
        put(&mut text, "kept", &self.kept);
        text.push('}');
        text
    }
}

/// An operation that the remote will never accept, kept until the app has dealt with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The operation, with its body.
    pub op: Operation,
    /// The remote's stable word.
    pub code: String,
    /// The same for people.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub died_at: u64,
    /// The body that both sides agreed on last, as it was then.
    pub base: Option<Rc<str>>,
    /// What it says is still what a reader sees.
    pub kept: bool,
    /// The refused operation without which this one cannot stand.
    pub blocked_by: Option<String>,
}
