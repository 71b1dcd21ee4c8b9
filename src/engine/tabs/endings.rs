//! Every cycle that a tab has shown is shown to end, and once: by its own last message, by what a
//! later cycle says of it, or by what the log says.

use serde_json::Value;

use crate::engine::{Backing, Tabs, User};
use crate::model::status::read::{result, state, whole};
use crate::model::status::{SyncResult, SyncState};
use crate::ports::host::Host;
use crate::ports::remote::Remote;

/// How often a tab looks whether the last message of another tab's cycle has come, before it begins
/// its own, and how long it waits in between, in milliseconds.
const LAST_WORDS: u64 = 20;
const LAST_WORD_MS: u64 = 10;

impl<B: Backing, R: Remote, H: Host + 'static> Tabs<'_, B, R, H> {
    /// Shows another tab's cycle, unless a later one is shown.
    pub(super) fn follow(self, user: &User<B::Store, H>, message: &Value) {
        let Some(status) = message.get("status") else {
            return;
        };
        let rank = (whole(message, "began"), whole(message, "tab"));
        let runs = state(status) == Some(SyncState::Syncing);
        let (host, number) = (&self.engine.host, whole(message, "word"));
        if !user.tab.accepts(rank, number, runs, message, host.now_ms()) {
            return;
        }
        if rank != user.tab.shown() && user.tab.is_unfinished() {
            self.end_before(user, message.get("after"));
        }
        user.tab.follow(rank, number, runs, host.elapsed_ms());
        self.show(user, status);
        if !runs {
            user.tab.ended(user.hub.current());
            // The counts are in the log, and each tab knows the pauses itself.
            self.engine.refresh_status(user);
            let _ = self.engine.pauses().show(&user.id);
        }
    }

    fn show(self, user: &User<B::Store, H>, status: &Value) {
        user.hub.update(|shown| shown.follow(status));
    }

    /// Shows the end of the shown cycle before a later one: as that one tells it, if it does.
    fn end_before(self, user: &User<B::Store, H>, told: Option<&Value>) {
        let shown = user.tab.shown();
        let end = told
            .filter(|told| (whole(told, "began"), whole(told, "tab")) == shown)
            .and_then(|told| told.get("status"))
            .filter(|end| state(end) != Some(SyncState::Syncing));
        match end {
            Some(end) => {
                user.tab.ends();
                self.show(user, end);
            }
            None => self.end_shown(user),
        }
    }

    /// Has the shown cycle of another tab end before this tab begins its own, whose lock says that
    /// the other is over. Its last message may be on its way, or wait for the log.
    pub(in crate::engine) async fn await_end(self, user: &User<B::Store, H>) {
        if !user.tab.is_unfinished() {
            return;
        }
        // After a failure, the cycle's first commit catches up.
        let _ = user.db.catch_up().await;
        for _ in 0..LAST_WORDS {
            if !user.tab.is_unfinished() {
                return;
            }
            self.engine.host.sleep(LAST_WORD_MS).await;
        }
        self.end_shown(user);
    }

    /// Shows the cycle of another tab as ended: as the log says, or as stopped if its tab has died
    /// or fallen asleep before it could record an end.
    pub(super) fn end_shown(self, user: &User<B::Store, H>) {
        if !user.tab.is_unfinished() {
            return;
        }
        user.tab.ends();
        let facts = user.db.peek(|replica| replica.facts().clone());
        let started = facts.last_sync.map(crate::util::time::format);
        let is_recorded = user.hub.current().last_started_at == started;
        let ended = match facts.last_result.as_deref().filter(|_| is_recorded) {
            Some(json) => result(json, false).ok(),
            None => None,
        };
        let ended: Option<SyncResult> = ended;
        user.hub.update(|status| {
            status.status = SyncState::Cancelled;
            status.phase = None;
            if let Some(result) = &ended {
                status.status = facts.last_state;
                status.synced_count = result.synced_count;
                status.completed_operations = result.synced_count;
                status.failed_operations = result.failed_count;
                status.conflicts_resolved = result.conflicts_resolved;
                status.errors = result.error.iter().cloned().collect();
                if facts.last_state == SyncState::Completed {
                    status.progress = 1.0;
                    status.last_completed_at = facts.last_success.map(crate::util::time::format);
                }
            }
            status.reckon_health();
        });
        user.tab.ended(user.hub.current());
        self.engine.refresh_status(user);
        let _ = self.engine.pauses().show(&user.id);
    }
}
