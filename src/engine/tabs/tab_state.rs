//! One tab's knowledge of the other tabs of its user: whose cycle the status shows, how long it
//! counts as running, and which tab plans the next one.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use crate::engine::tabs::answers::RollCall;
use crate::model::status::{Phase, SyncState, SyncStatus};
use crate::util::cell::RefCell;
use crate::util::local_sync::Mutex;

/// How long another tab's cycle counts as running without a message, in milliseconds. A hidden
/// tab's timers may stand still for a minute, but its requests cause messages.
const BELIEF_MS: u64 = 15_000;

/// After this much silence its lock is probed, in milliseconds: a tab that has died has released
/// it.
const SILENCE_MS: u64 = 3_000;

/// How often the lock is probed from then on, in milliseconds.
const PROBE_MS: u64 = 1_000;

/// How far the start of a cycle may be ahead of the clock, in milliseconds.
const MOST_AHEAD_MS: u64 = 1_000;

/// How many ended cycles are remembered.
const MOST_ENDS: usize = 16;

/// When the next cycle begins: the interval's, and the next retry.
pub(crate) type PlannedTimes = (Option<String>, Option<String>);

/// Identifies a cycle among all tabs: when it began, and in which tab. The later one is shown.
pub(crate) type Rank = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct TabState {
    pub(super) id: u64,
    messages_sent: Cell<u64>,
    /// The cycle that the status shows.
    shown: Cell<Rank>,
    /// The number of the last message about it. A message that had to wait for the log may be
    /// handled after a later one.
    last_message: Cell<u64>,
    /// The last cycles of other tabs whose end was shown, the newest last. Messages that they run
    /// may still come: late ones, and those of a tab that was given up.
    over: RefCell<Vec<Rank>>,
    /// The last cycle of another tab whose end was shown, and how that was.
    last_end: RefCell<Option<(Rank, Rc<SyncStatus>)>>,
    /// Held while a message is handled that has to wait for the log, so that they are handled in
    /// the order in which they came.
    pub(super) messages: Mutex,
    /// The shown cycle is this tab's own, and is running.
    own_cycle: Cell<bool>,
    /// State and phase that this tab sent last, and the time.
    last_sent: Cell<(Option<SyncState>, Option<Phase>, u64)>,
    /// The time until which another tab's cycle counts as running.
    believed_until: Cell<Option<u64>>,
    next_probe: Cell<u64>,
    /// The time since which a silent tab has held the lock.
    silent_since: Cell<Option<u64>>,
    /// The last message about a later cycle of another tab, received while this tab's own was
    /// running.
    postponed: RefCell<Option<((Rank, u64), Value)>>,
    /// The plan that this tab sent last, as the leader.
    sent_plan: RefCell<Option<PlannedTimes>>,
    pub(super) roll_call: RollCall,
    /// The plan of another tab, with that tab and the number of its message.
    leader_plan: RefCell<Option<(Rank, PlannedTimes)>>,
}

/// The next step about a shown cycle of another tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// Probe its lock.
    Probe,
    /// Stop showing it: it has been silent for too long.
    GiveUp,
}

impl TabState {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Numbers the next message of this tab.
    pub(super) fn next_message(&self) -> u64 {
        let number = self.messages_sent.get().saturating_add(1);
        self.messages_sent.set(number);
        number
    }

    /// Shows this tab's own cycle, and returns when it begins. The feed and the other tabs tell
    /// cycles apart by that, so it is later than that of every cycle that was shown or `recorded`,
    /// however many begin within a millisecond. A start that is far ahead is from before the clock
    /// was set back.
    pub(crate) fn begin_cycle(&self, now: u64, recorded: Option<u64>) -> u64 {
        let before = self.shown.get().0.max(recorded.unwrap_or_default());
        let next = before.saturating_add(1);
        let began = if next.saturating_sub(now) > MOST_AHEAD_MS {
            now
        } else {
            now.max(next)
        };
        self.shown.set((began, self.id));
        self.own_cycle.set(true);
        self.believed_until.set(None);
        self.last_sent.take();
        began
    }

    /// Ends this tab's own cycle; returns the message about a later one of another tab.
    pub(super) fn end_cycle(&self) -> Option<Value> {
        self.own_cycle.set(false);
        self.postponed.take().map(|(_, message)| message)
    }

    /// Returns true if this tab sends the status: its own cycle is running, and no later one
    /// elsewhere.
    pub(super) fn sends_status(&self) -> bool {
        self.own_cycle.get() && self.postponed.borrow().is_none()
    }

    /// Records the status that is being sent.
    pub(super) fn sent(&self, state: SyncState, phase: Option<Phase>, now: u64) {
        self.last_sent.set((Some(state), phase, now));
    }

    pub(super) fn last_sent(&self) -> (Option<SyncState>, Option<Phase>, u64) {
        self.last_sent.get()
    }

    /// Records the plan that is being sent.
    pub(super) fn replace_sent_plan(&self, plan: Option<PlannedTimes>) {
        self.sent_plan.replace(plan);
    }

    pub(super) fn has_sent_plan(&self, plan: &Option<PlannedTimes>) -> bool {
        *self.sent_plan.borrow() == *plan
    }

    /// Returns how long a silent tab has held the lock, in milliseconds; `None` if the lock was
    /// free when it was last requested.
    pub(crate) fn silent_for(&self, now: u64) -> Option<u64> {
        self.silent_since
            .get()
            .map(|since| now.saturating_sub(since))
    }

    /// Records that another tab holds the lock.
    pub(crate) fn lock_busy(&self, now: u64) {
        self.silent_since
            .set(Some(self.silent_since.get().unwrap_or(now)));
    }

    /// Records that this tab got the lock, or that the tab that holds it has sent a message.
    pub(crate) fn lock_alive(&self) {
        self.silent_since.set(None);
    }

    pub(crate) fn has_shown_cycle(&self) -> bool {
        self.shown.get() != Rank::default()
    }

    pub(super) fn shown(&self) -> Rank {
        self.shown.get()
    }

    /// Returns when the shown cycle began.
    pub(super) fn shown_began(&self) -> u64 {
        self.shown.get().0
    }

    /// Handles the goodbye of a tab. Returns true if its cycle is the one shown.
    pub(super) fn tab_gone(&self, tab: u64, number: u64) -> bool {
        let is_shown = self.shown.get().1 == tab;
        if is_shown {
            self.last_message.set(number);
        }
        is_shown
    }

    /// Returns true if a message about another tab's cycle is to be shown. While this tab's own
    /// cycle is running, postpones a later one.
    pub(super) fn accepts(
        &self,
        rank: Rank,
        number: u64,
        runs: bool,
        message: &Value,
        wall: u64,
    ) -> bool {
        if self.own_cycle.get() {
            let mut postponed = self.postponed.borrow_mut();
            let is_newest = postponed
                .as_ref()
                .is_none_or(|(last, _)| (rank, number) > *last);
            if rank > self.shown.get() && is_newest {
                *postponed = Some(((rank, number), message.clone()));
            }
            return false;
        }
        let is_late = rank == self.shown.get() && number <= self.last_message.get();
        // A shown cycle that began in the future is from before the clock was set back.
        let is_next = rank >= self.shown.get() || (runs && self.shown.get().0 > wall);
        !is_late && is_next && !(runs && self.over.borrow().contains(&rank))
    }

    /// Records that a message about another tab's cycle is shown.
    pub(super) fn follow(&self, rank: Rank, number: u64, runs: bool, elapsed: u64) {
        self.shown.set(rank);
        if !runs {
            self.note_end(rank);
        }
        self.last_message.set(number);
        self.believed_until
            .set(runs.then(|| elapsed.saturating_add(BELIEF_MS)));
        self.next_probe.set(elapsed.saturating_add(SILENCE_MS));
    }

    /// Returns true if the shown cycle is another tab's, and its end has not been shown.
    pub(super) fn is_unfinished(&self) -> bool {
        self.believed_until.get().is_some()
    }

    /// Records that the end of another tab's shown cycle is about to be shown.
    pub(super) fn ends(&self) {
        self.believed_until.set(None);
        self.note_end(self.shown.get());
    }

    fn note_end(&self, rank: Rank) {
        let mut over = self.over.borrow_mut();
        over.retain(|other| *other != rank);
        if over.len() >= MOST_ENDS {
            over.remove(0);
        }
        over.push(rank);
    }

    /// Records how the shown cycle of another tab ended.
    pub(super) fn ended(&self, status: Rc<SyncStatus>) {
        self.last_end.replace(Some((self.shown.get(), status)));
    }

    pub(super) fn last_end(&self) -> Option<(Rank, Rc<SyncStatus>)> {
        self.last_end.borrow().clone()
    }

    /// Returns the time until another tab's shown cycle is doubted, in milliseconds.
    pub(super) fn doubt_in(&self, now: u64) -> Option<u64> {
        self.believed_until
            .get()
            .map(|until| until.min(self.next_probe.get()).saturating_sub(now))
    }

    /// Returns the step that is due about another tab's shown cycle, and schedules the next probe.
    pub(super) fn doubt(&self, now: u64) -> Doubt {
        if self.doubt_in(now) != Some(0) {
            Doubt::None
        } else if self.believed_until.get().is_some_and(|until| until <= now) {
            Doubt::GiveUp
        } else {
            self.next_probe.set(now.saturating_add(PROBE_MS));
            Doubt::Probe
        }
    }

    /// Returns the times that another tab plans as the leader.
    pub(crate) fn leader_plan(&self) -> Option<PlannedTimes> {
        self.leader_plan
            .borrow()
            .as_ref()
            .map(|(_, plan)| plan.clone())
    }

    /// Records the plan of a tab, or that it no longer has one. Ignores older messages of that tab,
    /// and the end of a plan that is not the recorded tab's.
    pub(super) fn set_leader_plan(&self, tab: u64, number: u64, plan: Option<PlannedTimes>) {
        let mut known = self.leader_plan.borrow_mut();
        match &*known {
            Some(((leader, last), _)) if *leader == tab && *last > number => {}
            Some(((leader, _), _)) if *leader != tab && plan.is_none() => {}
            _ => *known = plan.map(|plan| ((tab, number), plan)),
        }
    }
}
