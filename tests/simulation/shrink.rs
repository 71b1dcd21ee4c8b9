//! Shrinks a failing history: leaves out steps and faults, many at once and then one by one, as
//! long as it still fails.

use std::collections::BTreeSet;

use super::dice::{Fault, Script};

/// How a history ended.
pub struct Ended {
    /// The promise that was broken, if one was.
    pub wrong: Option<String>,
    /// Everything that happened.
    pub trace: Vec<String>,
    /// The faults that happened.
    pub happened: Vec<Fault>,
    /// The steps that were played.
    pub played: u64,
}

/// The most histories that shrinking plays.
const MOST_TRIES: u32 = 3_000;

/// Shrinks a script that fails.
pub fn smallest(script: Script, play: &dyn Fn(&Script) -> Ended) -> (Script, Ended) {
    let mut tries = 0;
    let script = Script {
        traced: true,
        ..script
    };
    let mut best = (script.clone(), play(&script));
    loop {
        let size = (best.0.steps.len(), best.1.happened.len());
        let (from, steps) = (best.0.clone(), best.0.steps.clone());
        reduce(steps, &mut |steps: &[u64]| {
            tries += 1;
            let script = Script {
                steps: steps.to_vec(),
                ..from.clone()
            };
            tries < MOST_TRIES && keep(&mut best, script, play)
        });
        let (from, faults) = (best.0.clone(), best.1.happened.clone());
        reduce(faults.clone(), &mut |kept: &[Fault]| {
            tries += 1;
            let mut left_out: BTreeSet<Fault> = from.left_out.clone();
            left_out.extend(faults.iter().filter(|fault| !kept.contains(fault)));
            let script = Script {
                left_out,
                ..from.clone()
            };
            tries < MOST_TRIES && keep(&mut best, script, play)
        });
        if tries >= MOST_TRIES || (best.0.steps.len(), best.1.happened.len()) == size {
            return best;
        }
    }
}

fn keep(best: &mut (Script, Ended), script: Script, play: &dyn Fn(&Script) -> Ended) -> bool {
    let ended = play(&script);
    let fails = ended.wrong.is_some();
    if fails {
        *best = (script, ended);
    }
    fails
}

/// Leaves out ever smaller parts of a list while the rest still fails.
pub fn reduce<T: Clone>(mut items: Vec<T>, fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut part = items.len().div_ceil(2);
    while part > 0 && !items.is_empty() {
        let (mut at, mut shrunk) = (0, false);
        while at < items.len() {
            let end = (at + part).min(items.len());
            let rest: Vec<T> = items[..at].iter().chain(&items[end..]).cloned().collect();
            if fails(&rest) {
                (items, shrunk) = (rest, true);
            } else {
                at = end;
            }
        }
        part = if part > 1 {
            part.div_ceil(2).min(part - 1)
        } else {
            usize::from(shrunk)
        };
    }
    items
}
