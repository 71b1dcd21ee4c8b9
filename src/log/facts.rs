//! Values that the log keeps whole: cursors, facts of past cycles, parked conflicts, dead letters.

use std::rc::Rc;

use crate::conflict::ConflictKind;
use crate::log::address::Seq;
use crate::model::operation::Operation;
use crate::model::status::SyncState;
use crate::model::table::Table;
use crate::util::json::write::{push_field, put, put_text};

/// The state of one scope's pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorState {
    /// The remote's opaque cursor; `None` before the first page.
    pub cursor: Option<String>,
    /// The record after which a running full pull began. Rows that it has not confirmed by its end
    /// are swept.
    pub full_since: Option<Seq>,
    /// A pull of this scope has reached its end at least once.
    pub reached_end: bool,
    /// The entity types of the scope; `None` for all.
    pub entities: Option<Vec<String>>,
}

/// Facts about past cycles, for metadata, status and the next cycle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The last attempt, in milliseconds since 1970.
    pub last_sync: Option<u64>,
    pub last_success: Option<u64>,
    /// How long the last cycle took.
    pub duration: Option<u64>,
    /// The last cycle's error message; cleared by the next success.
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
    /// When this device last sent its metadata to the remote, and a hash of it.
    pub reported: Option<(u64, u64)>,
    /// The app's own metadata fields, as a JSON object.
    pub custom: Option<Rc<str>>,
    /// How the last cycle ended: completed, cancelled or failed; idle before the first.
    pub last_state: SyncState,
    /// The last cycle's `SyncResult`, as JSON.
    pub last_result: Option<Rc<str>>,
    /// The log whose data this user has adopted, until that log is wiped.
    pub adopted: Option<AdoptedFrom>,
}

/// A log whose data another user has adopted, as of one head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdoptedFrom {
    pub user_id: String,
    pub head: Seq,
}

/// A conflict that waits for the app's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub id: String,
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub entity_id: String,
    pub kind: ConflictKind,
    /// The body that both sides last agreed on.
    pub base: Option<Rc<str>>,
    /// The version of `base`.
    pub base_version: u64,
    /// See [`crate::conflict::Conflict::assumed`].
    pub assumed: bool,
    /// Fields that changed on both sides, to different values.
    pub fields: Vec<String>,
    /// When the conflict was detected, in milliseconds since 1970.
    pub detected_at: u64,
    /// In how many cycles a resolver failed to decide it; 0 if it waits for the app alone.
    pub failed: u32,
}

impl DeadLetter {
    /// Returns the public `DeadLetter` as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        put_text(&mut text, "id", &self.op.op_id);
        put_text(&mut text, "opId", &self.op.op_id);
        Table(&self.op.entity).put(&mut text);
        put_text(&mut text, "entityId", &self.op.id);
        put(&mut text, "kind", &self.op.kind);
        if let Some(to) = self.op.space_after_move() {
            put(&mut text, "to", &to);
        }
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
        if self.maybe {
            put(&mut text, "maybe", &true);
        }
        text.push('}');
        text
    }
}

/// An operation that the remote rejected for good, kept until the app discards or retries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub op: Operation,
    /// The remote's stable error code.
    pub code: String,
    /// The remote's message, for people.
    pub message: String,
    /// When it was rejected, in milliseconds since 1970.
    pub died_at: u64,
    /// The body that both sides last agreed on when it was rejected.
    pub base: Option<Rc<str>>,
    /// Readers still see it: `onRejected: "keepLocal"`.
    pub kept: bool,
    /// The id of the rejected operation that this one depends on.
    pub blocked_by: Option<String>,
    /// The remote may have applied it: a tab may have sent it before the user left its space.
    pub maybe: bool,
}
