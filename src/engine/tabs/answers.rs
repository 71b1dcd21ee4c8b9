//! What a tab says of itself, and what the others have answered to a roll call.

use std::cell::Cell;

use crate::util::cell::RefCell;

/// The most answers that are kept: anything may post them.
const MOST_TABS: usize = 100;

/// What a tab has answered, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct RollCallAnswer {
    pub(super) tab: u64,
    pub(super) at: u64,
    pub(super) leads: bool,
    pub(super) syncs: bool,
    pub(super) hidden: bool,
    pub(super) opened_at: u64,
}

/// What a tab says of itself, and what the others have answered.
#[derive(Debug, Default)]
pub(in crate::engine) struct RollCall {
    /// When this tab opened the user's data, in milliseconds since 1970.
    pub(super) opened_at: Cell<u64>,
    answers: RefCell<Vec<RollCallAnswer>>,
}

impl RollCall {
    /// The answers that came at this time or later.
    pub(super) fn answers_since(&self, asked_at: u64) -> Vec<RollCallAnswer> {
        let answers = self.answers.borrow();
        let late = answers.iter().filter(|answer| answer.at >= asked_at);
        late.copied().collect()
    }

    /// Notes an answer in place of the tab's last one. Of very many, the newest stay.
    pub(super) fn note(&self, answer: RollCallAnswer) {
        let mut answers = self.answers.borrow_mut();
        answers.retain(|other| other.tab != answer.tab);
        if answers.len() >= MOST_TABS {
            answers.remove(0);
        }
        answers.push(answer);
    }

    /// Forgets the answer of a tab that is gone.
    pub(super) fn forget(&self, tab: u64) {
        self.answers.borrow_mut().retain(|other| other.tab != tab);
    }
}
