//! Seeded chance, and the script of a history. Every step has its own seed, and faults are drawn
//! apart from actions, so that leaving out a step or a fault does not change the rest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// A fault: its step, and how many draws came before it in that step.
pub type Fault = (u64, u64);

/// The last step, in which everything recovers.
pub const RECOVERY: u64 = u64::MAX;

/// A history before it is played.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    /// The steps that are played, in order.
    pub steps: Vec<u64>,
    /// Faults that do not happen.
    pub left_out: BTreeSet<Fault>,
    /// Whether everything that happens is recorded.
    pub traced: bool,
}

impl Script {
    /// Returns a history of `steps` steps with every fault.
    pub fn whole(seed: u64, steps: u64) -> Self {
        Self {
            seed,
            steps: (0..steps).collect(),
            left_out: BTreeSet::new(),
            traced: false,
        }
    }
}

/// The random numbers of one history.
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    step: Cell<u64>,
    actions: Cell<u64>,
    faults: Cell<u64>,
    harms: Cell<u64>,
    thrown: Cell<u64>,
    left_out: BTreeSet<Fault>,
    /// Faults that happened.
    pub happened: RefCell<Vec<Fault>>,
}

impl Dice {
    pub fn new(script: &Script) -> Self {
        let dice = Self {
            seed: script.seed.wrapping_mul(0x2545_f491_4f6c_dd1d),
            step: Cell::default(),
            actions: Cell::default(),
            faults: Cell::default(),
            harms: Cell::default(),
            thrown: Cell::default(),
            left_out: script.left_out.clone(),
            happened: RefCell::default(),
        };
        dice.begin(RECOVERY - 1);
        dice
    }

    /// Begins a step with its own seed.
    pub fn begin(&self, step: u64) {
        self.step.set(step);
        self.thrown.set(0);
        let start = Cell::new(self.seed ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93));
        self.actions.set(split_mix(&start));
        self.faults.set(split_mix(&start));
    }

    pub fn next(&self) -> u64 {
        split_mix(&self.actions)
    }

    pub fn below(&self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Returns true with a probability of `per_mille` in a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Returns true if a fault happens now, with a probability of `per_mille` in a thousand. How
    /// bad it is, [`Self::harm`] decides.
    pub fn has_fault(&self, per_mille: u64) -> bool {
        let fault = (self.step.get(), self.thrown.get());
        self.thrown.set(fault.1 + 1);
        let thrown = split_mix(&self.faults);
        if thrown % 1000 >= per_mille || self.left_out.contains(&fault) {
            return false;
        }
        self.harms.set(thrown);
        self.happened.borrow_mut().push(fault);
        true
    }

    /// Returns how bad the last fault is, below `n`.
    pub fn harm(&self, n: u64) -> u64 {
        split_mix(&self.harms) % n.max(1)
    }
}

/// SplitMix64.
fn split_mix(state: &Cell<u64>) -> u64 {
    let mut z = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(z);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
