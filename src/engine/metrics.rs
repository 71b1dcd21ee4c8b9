//! Counters since the instance was opened.

use std::cell::Cell;
use std::rc::Rc;

use serde::Serialize;

use crate::engine::user::User;
use crate::model::error::Result;
use crate::model::status::SyncResult;
use crate::ports::host::Host;
use crate::ports::store::Store;

#[derive(Debug, Default, Clone, Copy)]
struct CycleCounts {
    cycles: u64,
    successful: u64,
    failed: u64,
    conflicts_detected: u64,
    conflicts_resolved: u64,
    user_switches: u64,
    bytes_pushed: u64,
    bytes_pulled: u64,
}

/// Counts cycles, requests and user switches.
#[derive(Debug, Default)]
pub(super) struct Counters {
    counts: Cell<CycleCounts>,
    /// Incremented as each request begins.
    pub(super) requests: Cell<u64>,
}

/// `Metrics` of the public surface: counted since the instance was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Cycles that ran.
    pub cycles: u64,
    /// Cycles without a failure.
    pub successful_cycles: u64,
    /// Cycles that failed, in part or as a whole; a cancelled one is neither.
    pub failed_cycles: u64,
    pub conflicts_detected: u64,
    pub conflicts_resolved: u64,
    /// How often another user became the current one.
    pub user_switches: u64,
    /// Users whose database is open.
    pub active_users: Vec<String>,
    /// Bytes of request bodies.
    pub bytes_pushed: u64,
    /// Bytes of response bodies.
    pub bytes_pulled: u64,
    /// Requests of cycles and health checks; each attempt counts.
    pub requests: u64,
    /// Records appended to the logs of the users whose database is open.
    pub commits: u64,
    /// Appends that failed because another tab had appended first.
    pub stale_commits: u64,
    /// Events dropped because a reader was too slow.
    pub dropped_events: u64,
}

impl Counters {
    /// Counts a cycle that has ended; skipped ones do not count.
    pub(super) fn count_cycle(&self, ended: &Result<SyncResult>) {
        let mut counts = self.counts.get();
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        match ended {
            Ok(result) if result.was_skipped => return,
            Ok(result) => {
                add(&mut counts.successful, u64::from(result.is_success));
                add(
                    &mut counts.failed,
                    u64::from(!result.is_success && !result.was_cancelled),
                );
                add(&mut counts.conflicts_detected, result.conflicts_detected);
                add(&mut counts.conflicts_resolved, result.conflicts_resolved);
                add(&mut counts.bytes_pushed, result.bytes_pushed);
                add(&mut counts.bytes_pulled, result.bytes_pulled);
            }
            Err(_) => add(&mut counts.failed, 1),
        }
        add(&mut counts.cycles, 1);
        self.counts.set(counts);
    }

    pub(super) fn count_user_switch(&self) {
        let mut counts = self.counts.get();
        counts.user_switches = counts.user_switches.saturating_add(1);
        self.counts.set(counts);
    }

    pub(super) fn count_request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }

    pub(super) fn metrics<S: Store, H: Host>(
        &self,
        open: &[Rc<User<S, H>>],
        dropped_events: u64,
    ) -> Metrics {
        let counts = self.counts.get();
        let (mut commits, mut stale_commits, mut active_users) = (0_u64, 0_u64, Vec::new());
        for user in open {
            let log = user.db.counts();
            commits = commits.saturating_add(log.commits);
            stale_commits = stale_commits.saturating_add(log.stale);
            active_users.push(user.id.clone());
        }
        Metrics {
            cycles: counts.cycles,
            successful_cycles: counts.successful,
            failed_cycles: counts.failed,
            conflicts_detected: counts.conflicts_detected,
            conflicts_resolved: counts.conflicts_resolved,
            user_switches: counts.user_switches,
            active_users,
            bytes_pushed: counts.bytes_pushed,
            bytes_pulled: counts.bytes_pulled,
            requests: self.requests.get(),
            commits,
            stale_commits,
            dropped_events,
        }
    }
}
