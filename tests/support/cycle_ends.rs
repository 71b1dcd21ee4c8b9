//! Judges a status feed: every cycle that it shows is shown to end, once, before the next begins.

use std::collections::BTreeMap;

use datum_sync::model::status::{SyncState, SyncStatus};

pub struct CycleEnds {
    /// When the cycle that is shown as running began, and its progress.
    running: Option<(Option<String>, f64)>,
    /// How often a cycle with this start has ended.
    ended: BTreeMap<String, usize>,
    /// How many tabs have begun a cycle at the moment of the next snapshot's: one more than usual
    /// if a tab has overtaken another within a millisecond.
    pub tabs: usize,
    /// Cycles of two tabs may begin at the same moment, since no lock holds.
    pub same_moment: bool,
}

impl Default for CycleEnds {
    fn default() -> Self {
        Self {
            running: None,
            ended: BTreeMap::new(),
            tabs: 1,
            same_moment: false,
        }
    }
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
                if let Some(began) = began {
                    *self.ended.entry(began).or_default() += 1;
                }
            }
            None => {
                let times = |began: &&String| self.ended.get(*began).copied().unwrap_or(0);
                if let Some(again) = started
                    .as_ref()
                    .filter(|began| runs && !self.same_moment && times(began) >= self.tabs)
                {
                    return Err(format!("{again} runs after its end"));
                }
            }
        }
        self.running = runs.then_some((started, status.progress));
        Ok(())
    }
}
