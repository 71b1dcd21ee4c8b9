//! Reads the snapshots and results that another tab broadcasts. Members that are missing or
//! invalid, because that tab runs another version, are ignored.

use serde_json::Value;

use crate::model::error::{Code, Error, ErrorJson};
use crate::model::status::{Phase, RemoteHealth, SyncResult, SyncState, SyncStatus};

const STATES: [(&str, SyncState); 6] = [
    ("idle", SyncState::Idle),
    ("syncing", SyncState::Syncing),
    ("paused", SyncState::Paused),
    ("cancelled", SyncState::Cancelled),
    ("failed", SyncState::Failed),
    ("completed", SyncState::Completed),
];

const PHASES: [(&str, Phase); 3] = [
    ("pushing", Phase::Pushing),
    ("pulling", Phase::Pulling),
    ("applying", Phase::Applying),
];

const REMOTES: [(&str, RemoteHealth); 4] = [
    ("healthy", RemoteHealth::Healthy),
    ("unreachable", RemoteHealth::Unreachable),
    ("unhealthy", RemoteHealth::Unhealthy),
    ("unknown", RemoteHealth::Unknown),
];

/// Returns a string member.
#[must_use]
pub fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// Returns a whole number; 0 if there is none.
#[must_use]
pub fn whole(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Returns a boolean; false if there is none.
#[must_use]
pub fn flag(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(|flag| *flag == true)
}

fn choice<T: Copy>(value: &Value, name: &str, among: &[(&str, T)]) -> Option<T> {
    let text = value.get(name)?.as_str()?;
    among
        .iter()
        .find(|(known, _)| *known == text)
        .map(|(_, choice)| *choice)
}

/// Returns the state in a snapshot.
#[must_use]
pub fn state(value: &Value) -> Option<SyncState> {
    choice(value, "status", &STATES)
}

impl SyncStatus {
    /// Copies the cycle's progress from another tab's snapshot. What each tab knows by itself, such
    /// as the number of pending operations, stays.
    pub fn follow(&mut self, snapshot: &Value) {
        self.status = state(snapshot).unwrap_or(self.status);
        self.phase = choice(snapshot, "phase", &PHASES);
        self.progress = snapshot
            .get("progress")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        self.completed_operations = whole(snapshot, "completedOperations");
        self.failed_operations = whole(snapshot, "failedOperations");
        self.synced_count = whole(snapshot, "syncedCount");
        self.conflicts_resolved = whole(snapshot, "conflictsResolved");
        self.last_started_at = text(snapshot, "lastStartedAt");
        self.last_completed_at = text(snapshot, "lastCompletedAt");
        self.errors = snapshot
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(error)
            .collect();
        if let Some(remote) = snapshot
            .get("health")
            .and_then(|health| choice(health, "remote", &REMOTES))
        {
            self.health.remote = remote;
        }
        self.reckon_health();
    }
}

fn error(value: &Value) -> Option<ErrorJson> {
    Some(ErrorJson {
        code: Code::named(value.get("code")?.as_str()?)?,
        message: text(value, "message").unwrap_or_default(),
        retryable: flag(value, "retryable"),
        at: text(value, "at").unwrap_or_default(),
        entity: text(value, "entity"),
        entity_id: text(value, "entityId"),
        status: value
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok()),
        retry_after_ms: value.get("retryAfterMs").and_then(Value::as_u64),
        cause: text(value, "cause"),
    })
}

/// Reads the stored result of a cycle that another tab ran. `failed` means that it ended early.
///
/// # Errors
/// Fails with the error that ended the cycle early.
pub fn result(json: &str, failed: bool) -> crate::model::error::Result<SyncResult> {
    let value = crate::util::json::scan::tree(json).unwrap_or_default();
    let mut result = SyncResult {
        user_id: text(&value, "userId").unwrap_or_default(),
        is_success: flag(&value, "isSuccess"),
        synced_count: whole(&value, "syncedCount"),
        pushed_count: whole(&value, "pushedCount"),
        pulled_count: whole(&value, "pulledCount"),
        failed_count: whole(&value, "failedCount"),
        conflicts_detected: whole(&value, "conflictsDetected"),
        conflicts_resolved: whole(&value, "conflictsResolved"),
        pending_operations: whole(&value, "pendingOperations"),
        bytes_pushed: whole(&value, "bytesPushed"),
        bytes_pulled: whole(&value, "bytesPulled"),
        total_bytes_pushed: whole(&value, "totalBytesPushed"),
        total_bytes_pulled: whole(&value, "totalBytesPulled"),
        duration: whole(&value, "duration"),
        remote_fetched: flag(&value, "remoteFetched"),
        was_cancelled: flag(&value, "wasCancelled"),
        error: value.get("error").and_then(error),
        ..SyncResult::default()
    };
    if let Some(error) = result
        .error
        .as_ref()
        .filter(|_| failed && !result.was_cancelled)
    {
        let failure =
            Error::new(error.code, error.message.clone()).with_retry_after(error.retry_after_ms);
        let failure = error.cause.iter().fold(failure, Error::caused_by);
        return Err(error.status.into_iter().fold(failure, Error::with_status));
    }
    for (entity, counts) in value
        .get("entities")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let counts = crate::model::status::EntityResult {
            pushed: whole(counts, "pushed"),
            pulled: whole(counts, "pulled"),
            failed: whole(counts, "failed"),
            conflicts: whole(counts, "conflicts"),
        };
        result.entities.insert(entity, counts);
    }
    Ok(result)
}
