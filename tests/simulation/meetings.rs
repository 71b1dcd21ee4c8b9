//! A cycle that has met another server ends with that, and pushes nothing more.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::tasks::Owner;

#[derive(Default)]
struct Running {
    started: String,
    /// The first request that another server has answered, and the answer arrived whole.
    met: Option<String>,
}

/// The latest cycle of each tab and user of a device.
#[derive(Default)]
pub struct Meetings {
    cycles: RefCell<BTreeMap<(Owner, String), Running>>,
    broken: RefCell<Option<String>>,
}

impl Meetings {
    /// Returns the first violation.
    pub fn broken(&self) -> Option<String> {
        self.broken.borrow().clone()
    }

    fn object(&self, words: String) {
        self.broken.borrow_mut().get_or_insert(words);
    }

    fn with(&self, owner: Owner, user: &str, act: impl FnOnce(&mut Running)) {
        let mut cycles = self.cycles.borrow_mut();
        act(cycles.entry((owner, user.to_owned())).or_default());
    }

    /// A request is sent.
    pub fn asks(&self, owner: Owner, user: &str, path: &str) {
        self.with(owner, user, |cycle| {
            // A page that was asked for ahead is not read where the one before it turns out to be
            // too old: that one is asked for again.
            if path == "/pull" && cycle.met.as_deref() == Some("/pull") {
                cycle.met = None;
            }
            if path == "/push" && cycle.met.as_deref() == Some("/push") {
                self.object(format!(
                    "{user} pushes on after another server has answered"
                ));
            }
        });
    }

    /// The answer of another server has arrived.
    pub fn meets(&self, owner: Owner, user: &str, path: &str) {
        if ["/push", "/pull"].contains(&path) {
            self.with(owner, user, |cycle| {
                cycle.met.get_or_insert(path.to_owned());
            });
        }
    }

    /// A tab tells of its own cycle.
    pub fn shows(&self, owner: Owner, user: &str, started: &str, status: &Value) {
        self.with(owner, user, |cycle| {
            if cycle.started != started {
                *cycle = Running {
                    started: started.to_owned(),
                    met: None,
                };
            }
            let Some(path) = cycle.met.clone().filter(|_| status["status"] != "syncing") else {
                return;
            };
            cycle.met = None;
            let errors = status["errors"].as_array();
            let said = errors
                .into_iter()
                .flatten()
                .filter_map(|error| error["code"].as_str())
                // The next page is asked for while this one is stored: if that fails, nobody reads
                // the answer.
                .any(|code| code == "otherServer" || code.starts_with("storage"));
            let is_stopped = ["cancelled", "paused", "idle"].iter().any(|state| status["status"] == *state);
            if !said && !is_stopped {
                self.object(format!(
                    "another server has answered to {path} of {user}, and the cycle ended otherwise: {status}"
                ));
            }
        });
    }
}
