//! What a user interface sees: the status of one user's sync, and what a cycle did.

use serde::Serialize;

use crate::model::error::{Code, ErrorJson};
use crate::util::collections::vec_map::VecMap;

pub mod read;

/// `SyncState` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncState {
    /// No cycle has run yet since the instance opened.
    #[default]
    Idle,
    /// A cycle is running.
    Syncing,
    /// Sync is paused.
    Paused,
    /// The last cycle was stopped.
    Cancelled,
    /// The last cycle failed.
    Failed,
    /// The last cycle succeeded.
    Completed,
}

/// What a running cycle is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Sending operations.
    Pushing,
    /// Waiting for a page.
    Pulling,
    /// Storing what came.
    Applying,
}

/// How well sync does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthState {
    /// All is synced.
    #[default]
    Healthy,
    /// A cycle is running.
    Syncing,
    /// Operations wait.
    Pending,
    /// It works, but something is wrong: dead letters, conflicts, or no durable storage.
    Degraded,
    /// The browser says that there is no network.
    Offline,
    /// The remote wants another sign-in.
    Unauthorized,
    /// The last cycle failed.
    Error,
}

/// How the storage does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LocalHealth {
    /// Durable.
    #[default]
    Healthy,
    /// Nothing outlives the page: the browser gave no storage.
    MemoryOnly,
    /// It fails.
    Unhealthy,
}

/// How the remote does, as far as the last contact tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RemoteHealth {
    /// It answered.
    Healthy,
    /// No answer came.
    Unreachable,
    /// It answered that it cannot.
    Unhealthy,
    /// It has not been asked yet.
    #[default]
    Unknown,
}

/// `Health` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// In one word.
    pub status: HealthState,
    /// The storage.
    pub local: LocalHealth,
    /// The remote.
    pub remote: RemoteHealth,
}

/// `SyncStatus` of the public surface: one immutable snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Whose.
    pub user_id: String,
    /// In one word.
    pub status: SyncState,
    /// From 0 to 1; never backwards within a cycle.
    pub progress: f64,
    /// What a running cycle is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Operations that wait.
    pub pending_operations: u64,
    /// Operations pushed and rows pulled in this cycle.
    pub completed_operations: u64,
    /// Operations refused in this cycle.
    pub failed_operations: u64,
    /// As `completedOperations`, once the cycle has ended.
    pub synced_count: u64,
    /// Conflicts decided in this cycle.
    pub conflicts_resolved: u64,
    /// Conflicts that wait for the app.
    pub unresolved_conflicts: u64,
    /// Operations that the remote will never accept.
    pub dead_letters: u64,
    /// When this cycle, or the last, began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started_at: Option<String>,
    /// When a cycle last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed_at: Option<String>,
    /// When the next automatic cycle of this tab begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_sync_at: Option<String>,
    /// The same, where it tries again what has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<String>,
    /// What went wrong in this cycle.
    pub errors: Vec<ErrorJson>,
    /// How well sync does.
    pub health: Health,
    /// This tab runs the automatic cycles of all tabs.
    pub is_leader: bool,
    /// The browser believes that there is a network.
    pub online: bool,
}

impl SyncStatus {
    /// Says in one word what the rest of the snapshot says, so that a cycle's end needs no second
    /// one.
    pub fn reckon_health(&mut self) {
        let unauthorized = self
            .errors
            .iter()
            .any(|error| error.code == Code::Unauthorized);
        let troubled = self.unresolved_conflicts > 0
            || self.dead_letters > 0
            || self.health.local != LocalHealth::Healthy;
        self.health.status = match self.status {
            SyncState::Syncing => HealthState::Syncing,
            SyncState::Failed if unauthorized => HealthState::Unauthorized,
            _ if !self.online => HealthState::Offline,
            SyncState::Failed => HealthState::Error,
            _ if troubled => HealthState::Degraded,
            _ if self.pending_operations > 0 => HealthState::Pending,
            _ => HealthState::Healthy,
        };
    }

    /// Whether a cycle has ended with this snapshot.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self.status,
            SyncState::Completed | SyncState::Failed | SyncState::Cancelled
        )
    }
}

/// Why a cycle did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SkipReason {
    /// The browser says that there is no network.
    Offline,
    /// Sync is paused.
    Paused,
    /// A cycle is running, here or in another tab.
    InProgress,
    /// The config excludes the user.
    ExcludedUser,
    /// `pushOnly`, and nothing waits.
    NothingToPush,
}

/// What a cycle did with one entity type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityResult {
    /// Operations pushed.
    pub pushed: u64,
    /// Rows pulled and applied.
    pub pulled: u64,
    /// Operations refused.
    pub failed: u64,
    /// Conflicts met.
    pub conflicts: u64,
}

/// `SyncResult` of the public surface: what a cycle did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    /// Whose.
    pub user_id: String,
    /// Not skipped, not cancelled, and nothing failed.
    pub is_success: bool,
    /// Operations pushed and rows pulled.
    pub synced_count: u64,
    /// Operations pushed.
    pub pushed_count: u64,
    /// Rows pulled.
    pub pulled_count: u64,
    /// Operations refused or given up.
    pub failed_count: u64,
    /// Conflicts met.
    pub conflicts_detected: u64,
    /// Conflicts decided.
    pub conflicts_resolved: u64,
    /// Operations that still wait.
    pub pending_operations: u64,
    /// Bytes of the requests of this cycle.
    pub bytes_pushed: u64,
    /// Bytes of the answers of this cycle.
    pub bytes_pulled: u64,
    /// The same over all cycles.
    pub total_bytes_pushed: u64,
    /// The same over all cycles.
    pub total_bytes_pulled: u64,
    /// Milliseconds.
    pub duration: u64,
    /// At least one answer of the remote was applied, or said that there is nothing new.
    pub remote_fetched: bool,
    /// The cycle did not run.
    pub was_skipped: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<SkipReason>,
    /// The cycle was stopped.
    pub was_cancelled: bool,
    /// By entity type.
    pub entities: VecMap<EntityResult>,
    /// What ended it early, or the first of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
}
