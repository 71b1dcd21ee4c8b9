//! Judges a status feed: every cycle that it shows is shown to end, once, before the next begins.

use std::collections::BTreeSet;

use datum_sync::model::status::{SyncState, SyncStatus};

#[derive(Default)]
pub struct CycleEnds {
    /// When the cycle that is shown as running began, and its progress.
    running: Option<(Option<String>, f64)>,
    ended: BTreeSet<String>,
    /// Cycles that were stopped. Another tab that takes the lock may begin one within the same
    /// millisecond, once.
    stopped: BTreeSet<String>,
    /// Cycles of two tabs may begin at the same moment, since no lock holds.
    pub same_moment: bool,
}

impl CycleEnds {
    /// Takes the next snapshot of the feed.
    pub fn see(&mut self, status: &SyncStatus) -> Result<(), String> {
        let started = status.last_started_at.clone();
        let runs = status.status == SyncState::Syncing;
        if status.status == SyncState::Idle {
            // The database was closed here: the next open shows the cycle that runs then.
            self.ended.clear();
        }
        match self.running.take() {
            Some((began, progress)) if runs && began == started => {
                if status.progress < progress {
                    return Err(format!(
                        "progress went from {progress} to {}",
                        status.progress
                    ));
                }
            }
            Some((began, _)) if runs => {
                return Err(format!("{started:?} begins before the end of {began:?}"));
            }
            Some((began, _)) => {
                if !status.is_terminal() && status.status != SyncState::Paused {
                    return Err(format!(
                        "{began:?} becomes {:?} without an end",
                        status.status
                    ));
                }
                match began {
                    Some(began)
                        if status.status == SyncState::Cancelled
                            && !self.stopped.contains(&began) =>
                    {
                        self.stopped.insert(began);
                    }
                    began => self.ended.extend(began),
                }
            }
            None => {
                if let Some(again) = started
                    .as_ref()
                    .filter(|began| runs && !self.same_moment && self.ended.contains(*began))
                {
                    return Err(format!("{again} runs after its end"));
                }
            }
        }
        self.running = runs.then_some((started, status.progress));
        Ok(())
    }
}
