//! What each tab has traced of a history replays to the same state.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use datum_sync::model::error::Code;
use datum_sync::plan::trace::read::read;

use super::world::World;
use crate::support::trace_report::replay;

/// How many traces have replayed.
static REPLAYED: AtomicU64 = AtomicU64::new(0);

/// How many were not there, because the data was too large for them.
static TOO_LARGE: AtomicU64 = AtomicU64::new(0);

/// Fails unless most traces of the histories so far were replayed.
pub(super) fn check_counts() {
    let (replayed, too_large) = (
        REPLAYED.load(Ordering::Relaxed),
        TOO_LARGE.load(Ordering::Relaxed),
    );
    // Of a few histories, all may be small.
    let are_few = replayed.saturating_add(too_large) < 50;
    assert!(
        are_few || replayed >= too_large.saturating_mul(9),
        "only {replayed} traces replayed, and {too_large} were too large"
    );
}

/// Whether the traces of a history are to begin again with the log, and may be too small for it.
const fn is_small(seed: u64) -> bool {
    seed % 4 == 1
}

/// Whether the tabs of a history are traced: some begin again with the log, others have room.
pub(super) const fn bytes(seed: u64) -> u64 {
    match seed % 4 {
        1 => 60_000,
        2 => 4_000_000,
        _ => 0,
    }
}

impl World {
    /// Replays the traces of all tabs. `is_fair` is false while faults may keep one from its trace.
    pub(super) fn judge_traces(&mut self, is_fair: bool) -> Result<(), String> {
        if bytes(self.script.seed) == 0 {
            return Ok(());
        }
        let found = Rc::new(RefCell::new(Vec::new()));
        for (_, name, user, owner, engine) in self.everybody() {
            let found = Rc::clone(&found);
            self.tasks.spawn(owner, async move {
                let trace = engine.transfer().trace(user).await;
                found.borrow_mut().push((name, trace));
            });
        }
        self.tasks.run_for(if is_fair { 10_000 } else { 50 });
        for (name, trace) in found.take() {
            let text = match trace {
                Ok(text) => text,
                // The data alone is too large for the smaller of the two.
                Err(error) if error.code() == Code::Unsupported && is_small(self.script.seed) => {
                    TOO_LARGE.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Err(error) if !is_fair && error.code() != Code::Unsupported => continue,
                Err(error) => return Err(format!("{name} exports no trace: {error:?}")),
            };
            let wrong = |what: String| format!("{name}: its trace {what}");
            let file = read(text.as_bytes()).map_err(|error| wrong(format!("{error:?}")))?;
            let report = replay(&file).map_err(|error| wrong(format!("{error:?}")))?;
            if !report.difference.is_empty() {
                return Err(wrong(format!("differs: {}", report.difference.join("\n"))));
            }
            REPLAYED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
