//! One status in all tabs of a user. The tab that syncs says how it goes, now and then and at its
//! end; the others show the same. The tab that leads says when the next cycle begins.
//!
//! A word is a hint. A tab that falls silent is believed for a while and no longer, one that is
//! closed or frozen says so with its last breath, and what the words are about is in the log.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use crate::engine::cycle::cancel::Stop;
use crate::engine::{Backing, Engine, User, UserOf};
use crate::model::status::read::{flag, state, text, whole};
use crate::model::status::{Phase, SyncState, SyncStatus};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::json::scan;
use crate::util::json::write::put;

/// Progress is said at most this often, in milliseconds.
const PACE_MS: u64 = 100;

/// How long a cycle of another tab counts as running without a word of it, in milliseconds. A
/// hidden tab's timers may stand still for a minute, but its requests speak for it.
const BELIEF_MS: u64 = 15_000;

/// After how long a silence it is asked whether the lock is free, as that of a tab that has died
/// is, in milliseconds.
const SILENCE_MS: u64 = 3_000;

/// How often it is asked from then on, in milliseconds.
const PROBE_MS: u64 = 1_000;

/// When the next cycle begins: the interval's, and the next try.
type Plan = (Option<String>, Option<String>);

/// A cycle of one of the tabs: when it began, and in which. The later one counts.
type Rank = (u64, u64);

/// What one tab knows of the others of its user.
#[derive(Debug, Default)]
pub struct TabState {
    id: u64,
    words: Cell<u64>,
    /// The cycle that the status is about.
    shown: Cell<Rank>,
    /// The number of the last word on it: a word that had to wait for the log may be late.
    last: Cell<u64>,
    /// It is this tab's own, and goes on.
    runs: Cell<bool>,
    /// What was said last of it, and when.
    said: Cell<(Option<SyncState>, Option<Phase>, u64)>,
    /// Until when another tab's counts as running.
    until: Cell<Option<u64>>,
    /// When to ask for its lock.
    probe: Cell<u64>,
    /// Since when the lock has been with a tab that says nothing.
    silent: Cell<Option<u64>>,
    /// A later cycle of another tab, told of while this tab's own went on.
    later: RefCell<Option<Value>>,
    /// What was said of this tab's own plan.
    planned: RefCell<Option<Plan>>,
    /// What another tab plans, which, and by which of its words.
    plan: RefCell<Option<(Rank, Plan)>>,
}

impl TabState {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// A cycle of this tab begins.
    pub(super) fn begin(&self, now: u64) {
        self.shown.set((now.max(1), self.id));
        self.runs.set(true);
        self.until.set(None);
        self.said.take();
    }

    /// How long the lock has been with a tab that says nothing, in milliseconds; none where it is
    /// free, or was when it was last asked for.
    pub(super) fn silent_for(&self, now: u64) -> Option<u64> {
        self.silent.get().map(|since| now.saturating_sub(since))
    }

    /// Another tab has the lock.
    pub(super) fn blocked(&self, now: u64) {
        self.silent.set(Some(self.silent.get().unwrap_or(now)));
    }

    /// The lock is this tab's.
    pub(super) fn unblocked(&self) {
        self.silent.set(None);
    }

    /// When to doubt, in milliseconds from now.
    pub(super) fn left(&self, now: u64) -> Option<u64> {
        self.until
            .get()
            .map(|until| until.min(self.probe.get()).saturating_sub(now))
    }

    /// Whether a cycle has been shown, of whichever tab.
    pub(super) fn has_shown(&self) -> bool {
        self.shown.get() != Rank::default()
    }

    /// What another tab plans.
    pub(super) fn plan(&self) -> Option<Plan> {
        self.plan.borrow().as_ref().map(|(_, plan)| plan.clone())
    }

    /// Takes note of what a tab plans, or that it plans no more.
    fn replan(&self, tab: u64, word: u64, plan: Option<Plan>) {
        let mut known = self.plan.borrow_mut();
        match &*known {
            Some(((whose, last), _)) if *whose == tab && *last > word => {}
            Some(((whose, _), _)) if *whose != tab && plan.is_none() => {}
            _ => *known = plan.map(|plan| ((tab, word), plan)),
        }
    }
}

impl<S: Store, H: Host> User<S, H> {
    fn say(&self, host: &H, fill: &mut dyn FnMut(&mut String)) {
        let number = self.seat.words.get().saturating_add(1);
        self.seat.words.set(number);
        let mut word = String::from("{");
        put(&mut word, "tab", &self.seat.id);
        put(&mut word, "word", &number);
        put(&mut word, "head", &self.db.peek(|replica| replica.head()));
        fill(&mut word);
        word.push('}');
        host.say(self.db.name(), &word);
    }

    fn say_status(&self, host: &H, status: &SyncStatus) {
        let seat = &self.seat;
        seat.said
            .set((Some(status.status), status.phase, host.elapsed_ms()));
        let plan = status
            .is_leader
            .then(|| (status.next_sync_at.clone(), status.next_retry_at.clone()));
        seat.planned.replace(plan);
        self.say(host, &mut |out| {
            put(out, "leads", &status.is_leader);
            if self.speaks() {
                put(out, "began", &seat.shown.get().0);
            }
            put(out, "status", status);
        });
    }

    /// Whether this tab's own cycle runs, and no later one elsewhere.
    fn speaks(&self) -> bool {
        self.seat.runs.get() && self.seat.later.borrow().is_none()
    }

    /// Says again that this tab's cycle goes on.
    pub(super) fn beat(&self, host: &H) {
        if self.speaks() {
            self.say_status(host, &self.hub.current());
        }
    }

    /// Passes a snapshot on, where it is this tab's to say and news.
    fn pass_on(&self, host: &H, status: &SyncStatus) {
        let (state, phase, at) = self.seat.said.get();
        // A pull goes to and fro between its two phases, twice for each page.
        let pulls = |phase: Option<Phase>| matches!(phase, Some(Phase::Pulling | Phase::Applying));
        let same_phase = phase == status.phase || (pulls(phase) && pulls(status.phase));
        let is_news = state != Some(status.status)
            || !same_phase
            || host.elapsed_ms().saturating_sub(at) >= PACE_MS;
        let plan = status
            .is_leader
            .then(|| (status.next_sync_at.clone(), status.next_retry_at.clone()));
        if (self.speaks() && is_news) || *self.seat.planned.borrow() != plan {
            self.say_status(host, status);
        }
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// A user's database is open: whoever knows how things stand says so.
    pub(super) fn take_seat(&self, user: &UserOf<B, H>) {
        let (weak, host) = (Rc::downgrade(user), Rc::clone(&self.host));
        user.hub.watch(Rc::new(move |status| {
            if let Some(user) = weak.upgrade() {
                user.pass_on(&host, status);
            }
        }));
        user.say(&self.host, &mut |out| put(out, "asks", &true));
    }

    /// A user's database is closed here, or the page is put away: nobody waits for this tab.
    pub(super) fn leave_seat(&self, user: &User<B::Store, H>) {
        user.seat.planned.take();
        user.say(&self.host, &mut |out| put(out, "gone", &true));
    }

    /// The page is about to be frozen or left. What it does may go on when it comes back.
    pub fn put_away(&self) {
        for user in self.users.borrow().values() {
            self.leave_seat(user);
        }
    }

    /// Tells the other tabs that a user's database is about to be removed.
    pub(super) fn say_wiped(&self, user: &User<B::Store, H>) {
        let signs_out = user.leaving.get();
        user.say(&self.host, &mut |out| put(out, "wiped", &signs_out));
    }

    /// Another tab removes the user's database: nothing of it is saved into a new one, and where
    /// the user has signed out, nothing fetches it again.
    fn wiped_elsewhere(&self, user: &UserOf<B, H>, signed_out: bool) {
        user.stop(Stop::Abort);
        user.db.abandon();
        self.users.borrow_mut().remove(&user.id);
        user.journal.close();
        if signed_out {
            if self.current.borrow().as_deref() == Some(&*user.id) {
                self.current.take();
            }
            self.signed_out(&user.id);
        }
        self.show_closed(user, None);
    }

    /// Tells the other tabs of a pause or its end.
    pub(super) fn say_pause(&self, user_id: &str, paused: bool) {
        if let Some(user) = self.opened(user_id) {
            user.say(&self.host, &mut |out| put(out, "paused", &paused));
        }
    }

    /// Takes in what another tab says of a user.
    pub async fn heard_word(&self, user_id: &str, word: &str) {
        // Another version of the page may say anything.
        let (Ok(word), Some(user)) = (scan::tree(word), self.opened(user_id)) else {
            return;
        };
        if word.get("began").is_some() {
            // A tail that fails now is made up for by the next commit or cycle.
            let _ = self.heard(user_id, whole(&word, "head")).await;
        }
        let (tab, number) = (whole(&word, "tab"), whole(&word, "word"));
        if !self.is_open(&user) {
            return;
        }
        if flag(&word, "asks") {
            let status = user.hub.current();
            if user.speaks() || status.is_leader {
                user.say_status(&self.host, &status);
            }
            if self.pauses.holds(user_id) {
                self.say_pause(user_id, true);
            }
        } else if flag(&word, "gone") {
            user.seat.replan(tab, number, None);
            self.show_times();
            if user.seat.shown.get().1 == tab {
                user.seat.last.set(number);
                self.give_up(&user);
            }
        } else if let Some(signed_out) = word.get("wiped").and_then(Value::as_bool) {
            self.wiped_elsewhere(&user, signed_out);
        } else if let Some(paused) = word.get("paused").and_then(Value::as_bool) {
            self.pause_heard(&user, paused);
        } else if let Some(status) = word.get("status") {
            let plan = flag(&word, "leads")
                .then(|| (text(status, "nextSyncAt"), text(status, "nextRetryAt")));
            user.seat.replan(tab, number, plan);
            if word.get("began").is_some() {
                user.seat.silent.set(None);
                self.follow(&user, &word);
            }
            self.show_times();
            self.auto_woken();
        }
    }

    /// Shows a cycle of another tab, unless a later one is shown.
    fn follow(&self, user: &User<B::Store, H>, word: &Value) {
        let (seat, number, rank) = (
            &user.seat,
            whole(word, "word"),
            (whole(word, "began"), whole(word, "tab")),
        );
        let Some(status) = word.get("status") else {
            return;
        };
        let runs = state(status) == Some(SyncState::Syncing);
        if seat.runs.get() {
            if rank > seat.shown.get() {
                seat.later.replace(Some(word.clone()));
            }
            return;
        }
        // Clocks are set back: a cycle that begins in the future is none.
        let has_lazy_rows = rank == seat.shown.get() && number <= seat.last.get();
        let is_next = rank >= seat.shown.get() || (runs && seat.shown.get().0 > self.host.now_ms());
        if has_lazy_rows || !is_next {
            return;
        }
        seat.shown.set(rank);
        seat.last.set(number);
        let now = self.host.elapsed_ms();
        seat.until.set(runs.then(|| now.saturating_add(BELIEF_MS)));
        seat.probe.set(now.saturating_add(SILENCE_MS));
        user.hub.update(|told| told.follow(status));
        if !runs {
            // What waits is in the log, and a pause is each tab's to know.
            user.refresh_status(&self.host, self.backing.is_durable());
            let _ = self.show_pause(&user.id);
        }
    }

    /// This tab's cycle has ended: a later one of another tab is shown from now on.
    pub(super) fn follow_after(&self, user: &User<B::Store, H>) {
        user.seat.runs.set(false);
        let later = user.seat.later.take();
        if let Some(word) = later {
            self.follow(user, &word);
        }
    }

    /// Stops believing in cycles that nobody has said a word of for too long. Answers those to be
    /// asked after.
    pub(super) fn doubt(&self) -> Vec<UserOf<B, H>> {
        let now = self.host.elapsed_ms();
        let mut users: Vec<UserOf<B, H>> = self.users.borrow().values().map(Rc::clone).collect();
        users.retain(|user| {
            let doubted = user.seat.left(now) == Some(0);
            if doubted && user.seat.until.get().is_some_and(|until| until <= now) {
                self.give_up(user);
                return false;
            }
            if doubted {
                user.seat.probe.set(now.saturating_add(PROBE_MS));
            }
            doubted
        });
        users
    }

    /// Asks whether the tab whose cycle is shown has died: then its lock is free.
    pub(super) async fn ask_after(&self, user: UserOf<B, H>) {
        let shown = user.seat.shown.get();
        if let Ok(Some(free)) = self.host.lock(&lock_name(&user), false).await {
            drop(free);
            if user.seat.shown.get() == shown {
                self.give_up(&user);
            }
        }
    }

    /// How long the cycles of other tabs are not doubted, in milliseconds.
    pub(super) fn believes_for(&self) -> Option<u64> {
        let now = self.host.elapsed_ms();
        self.users
            .borrow()
            .values()
            .filter_map(|user| user.seat.left(now))
            .min()
    }

    /// The tab whose cycle is shown is gone, or asleep: the cycle has stopped.
    fn give_up(&self, user: &User<B::Store, H>) {
        if user.seat.until.take().is_some() {
            user.hub.update(|status| {
                status.status = SyncState::Cancelled;
                status.phase = None;
                status.reckon_health();
            });
            let _ = self.show_pause(&user.id);
        }
    }

    fn pause_heard(&self, user: &User<B::Store, H>, paused: bool) {
        self.pauses.set(Some(&user.id), paused);
        if paused {
            user.stop(Stop::Pause);
        }
        let _ = self.show_pause(&user.id);
        self.auto_paused(&user.id);
    }
}

/// The name of the lock that a user's cycles take over all tabs.
pub(super) fn lock_name<S: Store, H: Host>(user: &User<S, H>) -> String {
    format!("datum-sync:{}", user.db.name())
}
