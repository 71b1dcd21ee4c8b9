//! The status of one user's sync, as a user interface shows it, and the result of a cycle.

use serde::Serialize;

use crate::model::error::{Code, ErrorJson};
use crate::util::collections::vec_map::VecMap;

pub mod read;

/// `SyncState` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncState {
    /// No cycle has run since the instance was opened.
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

/// The step of a running cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Sending operations.
    Pushing,
    /// Waiting for a page.
    Pulling,
    /// Storing a page.
    Applying,
}

/// The overall health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthState {
    /// Everything is synced.
    #[default]
    Healthy,
    /// A cycle is running.
    Syncing,
    /// Operations are pending.
    Pending,
    /// Sync works, but there are dead letters, conflicts, or no durable storage.
    Degraded,
    /// The browser is offline.
    Offline,
    /// The remote asks for a new sign-in.
    Unauthorized,
    /// The last cycle failed.
    Error,
}

/// The health of the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LocalHealth {
    /// The storage is durable.
    #[default]
    Healthy,
    /// The browser provides no storage: the data is lost when the page closes.
    MemoryOnly,
    /// The storage fails.
    Unhealthy,
}

/// The health of the remote at the last contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RemoteHealth {
    /// It answered.
    Healthy,
    /// It did not answer.
    Unreachable,
    /// It answered with an error.
    Unhealthy,
    /// It has not been asked yet.
    #[default]
    Unknown,
}

/// `Health` of the public surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub status: HealthState,
    pub local: LocalHealth,
    pub remote: RemoteHealth,
}

/// `SyncStatus` of the public surface: one immutable snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    pub user_id: String,
    pub status: SyncState,
    /// From 0 to 1; never backwards within a cycle.
    pub progress: f64,
    /// The step of a running cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub pending_operations: u64,
    /// Operations pushed and rows pulled in this cycle.
    pub completed_operations: u64,
    /// Operations rejected in this cycle.
    pub failed_operations: u64,
    /// As `completedOperations`, once the cycle has ended.
    pub synced_count: u64,
    /// Conflicts decided in this cycle.
    pub conflicts_resolved: u64,
    /// Conflicts that the app has to decide.
    pub unresolved_conflicts: u64,
    /// Operations that the remote will never accept.
    pub dead_letters: u64,
    /// When the current or last cycle began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started_at: Option<String>,
    /// When the last successful cycle ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed_at: Option<String>,
    /// When the next automatic cycle of this tab begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_sync_at: Option<String>,
    /// When a failed cycle is retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<String>,
    /// The errors of this cycle.
    pub errors: Vec<ErrorJson>,
    pub health: Health,
    /// This tab runs the automatic cycles of all tabs.
    pub is_leader: bool,
    /// The browser reports that it is online.
    pub online: bool,
}

impl SyncStatus {
    /// Derives `health.status` from the rest of the snapshot, so that the end of a cycle needs no
    /// second snapshot.
    pub fn reckon_health(&mut self) {
        let unauthorized = self
            .errors
            .iter()
            .any(|error| error.code == Code::Unauthorized);
        let has_problems = self.unresolved_conflicts > 0
            || self.dead_letters > 0
            || self.health.local != LocalHealth::Healthy;
        self.health.status = match self.status {
            SyncState::Syncing => HealthState::Syncing,
            SyncState::Failed if unauthorized => HealthState::Unauthorized,
            _ if !self.online => HealthState::Offline,
            SyncState::Failed => HealthState::Error,
            _ if has_problems => HealthState::Degraded,
            _ if self.pending_operations > 0 => HealthState::Pending,
            _ => HealthState::Healthy,
        };
    }

    /// Returns true if a cycle ended with this snapshot.
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
    /// The browser reports that there is no network.
    Offline,
    /// Sync is paused.
    Paused,
    /// A cycle is running, here or in another tab.
    InProgress,
    /// The config excludes the user.
    ExcludedUser,
    /// The direction is `pushOnly`, and nothing is pending.
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
    /// Operations rejected.
    pub failed: u64,
    /// Conflicts detected.
    pub conflicts: u64,
}

/// `SyncResult` of the public surface: what a cycle did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    pub user_id: String,
    /// The cycle ran to its end and nothing failed.
    pub is_success: bool,
    /// Operations pushed and rows pulled.
    pub synced_count: u64,
    /// Operations pushed.
    pub pushed_count: u64,
    /// Rows pulled.
    pub pulled_count: u64,
    /// Operations rejected or dropped.
    pub failed_count: u64,
    pub conflicts_detected: u64,
    /// Conflicts decided.
    pub conflicts_resolved: u64,
    /// Operations that are still pending.
    pub pending_operations: u64,
    /// Bytes of the requests of this cycle.
    pub bytes_pushed: u64,
    /// Bytes of the replies of this cycle.
    pub bytes_pulled: u64,
    /// Bytes of the requests of all cycles.
    pub total_bytes_pushed: u64,
    /// Bytes of the replies of all cycles.
    pub total_bytes_pulled: u64,
    /// How long the cycle took, in milliseconds.
    pub duration: u64,
    /// At least one page was applied, or the remote said that there is nothing new.
    pub remote_fetched: bool,
    /// The cycle did not run.
    pub was_skipped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<SkipReason>,
    /// The cycle was stopped.
    pub was_cancelled: bool,
    /// By entity type.
    pub entities: VecMap<EntityResult>,
    /// The error that ended the cycle early, or the first error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
}
