//! One status in all tabs of a user. The tab that syncs broadcasts its progress and its end; the
//! others show the same. The leader broadcasts when the next cycle begins.
//!
//! A message is only a hint. A silent tab counts as running for a limited time, a tab that is
//! closed or frozen sends a goodbye, and the facts behind the messages are in the log.

use std::rc::Rc;

use serde_json::Value;

use crate::engine::cycle::cancel::Stop;
use crate::engine::database::Source;
use crate::engine::tabs::tab_state::Doubt;
use crate::engine::{Backing, Tabs, User, UserOf};
use crate::model::status::read::{flag, text, whole};
use crate::model::status::{Phase, SyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::json::scan;
use crate::util::json::write::{push_field, put};

mod answers;
mod endings;
pub mod roll_call;
pub(super) mod tab_state;

/// Progress is broadcast at most this often, in milliseconds.
const PROGRESS_MS: u64 = 100;

impl<S: Store, H: Host> User<S, H> {
    /// Sends a message to the other tabs: this tab, its message number and head, and the members
    /// that `fill` adds.
    fn broadcast(&self, host: &H, fill: &mut dyn FnMut(&mut String)) {
        let mut message = String::from("{");
        put(&mut message, "tab", &self.tab.id);
        put(&mut message, "word", &self.tab.next_message());
        put(
            &mut message,
            "head",
            &self.db.peek(|replica| replica.head()),
        );
        fill(&mut message);
        message.push('}');
        host.post_status(self.db.name(), &message);
    }

    fn broadcast_status(&self, host: &H, status: &SyncStatus) {
        self.tab
            .sent(status.status, status.phase, host.elapsed_ms());
        let plan = status
            .is_leader
            .then(|| (status.next_sync_at.clone(), status.next_retry_at.clone()));
        self.tab.replace_sent_plan(plan);
        self.broadcast(host, &mut |out| {
            put(out, "leads", &status.is_leader);
            if self.tab.sends_status() {
                put(out, "began", &self.tab.shown_began());
                // A tab that has not shown that end yet shows it before this cycle.
                if let Some(((began, tab), status)) = self.tab.last_end() {
                    let mut end = String::from("{");
                    put(&mut end, "began", &began);
                    put(&mut end, "tab", &tab);
                    put(&mut end, "status", &*status);
                    end.push('}');
                    push_field(out, "after", &end);
                }
            }
            put(out, "status", status);
        });
    }

    /// Tells the other tabs that this tab's cycle is still running.
    pub(super) fn heartbeat(&self, host: &H) {
        if self.tab.sends_status() {
            self.broadcast_status(host, &self.hub.current());
        }
    }

    /// Broadcasts a new status, if this tab is the one that sends it and the others need it.
    fn on_status(&self, host: &H, status: &SyncStatus) {
        let (state, phase, at) = self.tab.last_sent();
        // A pull alternates between its two phases, twice for each page.
        let pulls = |phase: Option<Phase>| matches!(phase, Some(Phase::Pulling | Phase::Applying));
        let same_phase = phase == status.phase || (pulls(phase) && pulls(status.phase));
        let has_changed = state != Some(status.status)
            || !same_phase
            || host.elapsed_ms().saturating_sub(at) >= PROGRESS_MS;
        let plan = status
            .is_leader
            .then(|| (status.next_sync_at.clone(), status.next_retry_at.clone()));
        if (self.tab.sends_status() && has_changed) || !self.tab.has_sent_plan(&plan) {
            self.broadcast_status(host, status);
        }
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Tabs<'_, B, R, H> {
    /// Handles a message of another tab about a user.
    pub async fn on_message(self, user_id: &str, message: &str) {
        // Another version of the page may send anything.
        let (Ok(message), Some(user)) = (scan::tree(message), self.engine.opened(user_id)) else {
            return;
        };
        let waits = message.get("began").is_some() || flag(&message, "gone");
        let turn = if waits {
            Some(user.tab.messages.lock().await)
        } else {
            None
        };
        if message.get("began").is_some() {
            // After a failure, the next commit or cycle catches up.
            let _ = self.engine.on_head(user_id, whole(&message, "head")).await;
        }
        if !self.engine.is_open(&user) {
            return;
        }
        if flag(&message, "asks") {
            self.answer_newcomer(&user);
        } else if flag(&message, "gone") {
            self.on_goodbye(&user, &message);
        } else if flag(&message, "who") || message.get("here").is_some() {
            self.on_roll_call(&user, &message);
        } else if let Some(signed_out) = message.get("wiped").and_then(Value::as_bool) {
            self.on_wipe(&user, signed_out).await;
        } else if flag(&message, "signedOut") {
            let users = self.engine.users();
            users.tell_signed_out(&user.id, Source::OtherTab, false);
        } else if let Some(paused) = message.get("paused").and_then(Value::as_bool) {
            self.engine.pauses().on_message(&user, paused);
        } else if let Some(status) = message.get("status") {
            let plan = flag(&message, "leads")
                .then(|| (text(status, "nextSyncAt"), text(status, "nextRetryAt")));
            user.tab
                .set_leader_plan(whole(&message, "tab"), whole(&message, "word"), plan);
            if message.get("began").is_some() {
                user.tab.lock_alive();
                self.follow(&user, &message);
            }
            self.engine.auto_sync().show_times();
            self.engine.schedules.wake();
        }
        drop(turn);
    }

    /// Sends a tab that has just opened the database the state that it cannot know.
    fn answer_newcomer(self, user: &User<B::Store, H>) {
        let status = user.hub.current();
        if user.tab.sends_status() || status.is_leader {
            user.broadcast_status(&self.engine.host, &status);
        }
        if self.engine.pause_state.is_paused(&user.id) {
            self.broadcast_pause(&user.id, true);
        }
    }

    fn on_goodbye(self, user: &User<B::Store, H>, message: &Value) {
        let (tab, number) = (whole(message, "tab"), whole(message, "word"));
        user.tab.set_leader_plan(tab, number, None);
        user.tab.roll_call.forget(tab);
        self.engine.auto_sync().show_times();
        if user.tab.tab_gone(tab, number) {
            self.end_shown(user);
        }
    }

    /// Says goodbye to the other tabs, because the page is about to be frozen or left. Its work may
    /// continue when it comes back.
    pub fn leave_all(self) {
        for user in self.engine.open_users.all() {
            self.leave(&user);
        }
    }

    /// Begins to broadcast a user's status, and asks the other tabs for theirs.
    pub(super) fn join(self, user: &UserOf<B, H>) {
        let (weak, host) = (Rc::downgrade(user), Rc::clone(&self.engine.host));
        user.hub.watch(Rc::new(move |status| {
            if let Some(user) = weak.upgrade() {
                user.on_status(&host, status);
            }
        }));
        user.tab.roll_call.opened_at.set(self.engine.host.now_ms());
        user.broadcast(&self.engine.host, &mut |out| put(out, "asks", &true));
    }

    /// Tells the other tabs not to wait for this one.
    pub(super) fn leave(self, user: &User<B::Store, H>) {
        user.tab.replace_sent_plan(None);
        user.broadcast(&self.engine.host, &mut |out| put(out, "gone", &true));
    }

    /// Tells the other tabs, where the user stays signed in, that they have signed out in this one.
    pub(super) fn broadcast_sign_out(self, user: &User<B::Store, H>) {
        user.broadcast(&self.engine.host, &mut |out| put(out, "signedOut", &true));
    }

    /// Tells the other tabs that a user's database is about to be removed.
    pub(super) fn broadcast_wipe(self, user: &User<B::Store, H>) {
        let signs_out = user.cycle.leaving.get();
        user.broadcast(&self.engine.host, &mut |out| put(out, "wiped", &signs_out));
    }

    /// Broadcasts a pause or its end to the other tabs.
    pub(super) fn broadcast_pause(self, user_id: &str, paused: bool) {
        if let Some(user) = self.engine.opened(user_id) {
            user.broadcast(&self.engine.host, &mut |out| put(out, "paused", &paused));
        }
    }

    /// Releases a database that another tab removes: nothing of it is saved into a new one. If the
    /// user has signed out in that tab, signs them out here too, so that nothing fetches the data
    /// again.
    async fn on_wipe(self, user: &UserOf<B, H>, signed_out: bool) {
        user.stop(Stop::Abort);
        user.db.abandon();
        self.engine.open_users.remove(&user.id);
        user.journal.close();
        self.engine.open_users.set_gone(&user.id, true);
        if signed_out {
            self.engine.open_users.clear_current(&user.id);
            self.engine.users().signed_out(&user.id);
            self.engine
                .users()
                .tell_signed_out(&user.id, Source::OtherTab, true);
        }
        // A cycle that is still stopping shows its own end first.
        drop(user.cycle.turn.lock().await);
        self.engine.users().show_closed(user, None);
    }

    /// Ends this tab's cycle: a later one of another tab is shown from now on.
    pub(super) fn end_cycle(self, user: &User<B::Store, H>) {
        if let Some(message) = user.tab.end_cycle() {
            self.follow(user, &message);
        }
    }

    /// Stops believing in cycles that have been silent for too long. Returns the users whose lock
    /// should be probed.
    pub(super) fn doubtful(self) -> Vec<UserOf<B, H>> {
        let now = self.engine.host.elapsed_ms();
        let mut users = self.engine.open_users.all();
        users.retain(|user| {
            let doubt = user.tab.doubt(now);
            if doubt == Doubt::GiveUp {
                self.end_shown(user);
            }
            doubt == Doubt::Probe
        });
        users
    }

    /// Gives up on the shown cycle if its lock is free, because its tab has died.
    pub(super) async fn probe(self, user: UserOf<B, H>) {
        let shown = user.tab.shown();
        if let Ok(Some(free)) = self.engine.host.lock(&lock_name(&user), false).await {
            drop(free);
            if user.tab.shown() == shown {
                // It may have recorded its end before it died.
                let _ = user.db.catch_up().await;
                self.end_shown(&user);
            }
        }
    }

    /// Returns the time until another tab's cycle is doubted, in milliseconds.
    pub(super) fn doubt_in(self) -> Option<u64> {
        let now = self.engine.host.elapsed_ms();
        self.engine
            .open_users
            .all()
            .iter()
            .filter_map(|user| user.tab.doubt_in(now))
            .min()
    }
}

/// Returns the name of the lock for a user's cycles across tabs.
pub(super) fn lock_name<S: Store, H: Host>(user: &User<S, H>) -> String {
    format!("datum-sync:{}", user.db.name())
}
