//! What must be true: every acknowledged write, by who made it, and what the world may look like when
//! all is quiet. Each field and each private entity has one writer, who waits for one write before the
//! next, so nothing but a lost write can bring it to an older state.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The states that one writer has asked for, and which was the last that was acknowledged.
#[derive(Debug, Default, Clone)]
pub struct History {
    asked: Vec<Option<u64>>,
    acknowledged: usize,
    /// What was asked for up to here is not promised any more.
    forgiven: usize,
}

impl History {
    fn allows(&self, seen: Option<u64>) -> bool {
        // Before the first acknowledgement, nothing has to be there.
        (self.acknowledged == 0 && seen.is_none())
            || self.asked.iter().skip(self.acknowledged.saturating_sub(1)).any(|state| *state == seen)
    }
}

/// All histories of one user, by entity, field and writer.
#[derive(Default)]
pub struct Model {
    /// (user, entity id, field).
    states: RefCell<BTreeMap<(String, String, String), History>>,
    /// Entities that the server must refuse, by device: (device, entity id).
    refused: RefCell<BTreeMap<(String, String), bool>>,
}

impl Model {
    /// A write is asked for. Answers its ticket.
    pub fn ask(&self, user: &str, id: &str, field: &str, state: Option<u64>) -> usize {
        let mut states = self.states.borrow_mut();
        let history = states.entry((user.to_owned(), id.to_owned(), field.to_owned())).or_default();
        history.asked.push(state);
        history.asked.len()
    }

    /// Its promise has resolved.
    pub fn acknowledge(&self, user: &str, id: &str, field: &str, ticket: usize) {
        let mut states = self.states.borrow_mut();
        let history = states.get_mut(&(user.to_owned(), id.to_owned(), field.to_owned())).unwrap();
        // A tab may have been frozen between the commit and its promise, and the storage lost meanwhile.
        if ticket > history.forgiven {
            history.acknowledged = history.acknowledged.max(ticket);
        }
    }

    /// The device's storage went, or the server went back in time: nothing acknowledged so far is promised any more.
    pub fn forgive(&self, user: &str) {
        for (_, history) in self.states.borrow_mut().iter_mut().filter(|((whose, ..), _)| whose == user) {
            history.acknowledged = 0;
            history.asked.push(None);
            history.forgiven = history.asked.len();
        }
        self.refused.borrow_mut().clear();
    }

    /// A write that the server will refuse was acknowledged.
    pub fn refuse(&self, device: &str, id: &str) {
        self.refused.borrow_mut().insert((device.to_owned(), id.to_owned()), true);
    }

    /// What the server must have refused of a device.
    pub fn refused_of(&self, device: &str) -> Vec<String> {
        self.refused.borrow().keys().filter(|(of, _)| of == device).map(|(_, id)| id.clone()).collect()
    }

    /// Compares with what is there at the end: entity id to its fields.
    pub fn judge(&self, user: &str, rows: &BTreeMap<String, serde_json::Value>) -> Result<(), String> {
        for ((whose, id, field), history) in self.states.borrow().iter() {
            if whose != user {
                continue;
            }
            let seen = rows.get(id).and_then(|row| row.get(field)).and_then(serde_json::Value::as_u64);
            if !history.allows(seen) {
                return Err(format!(
                    "{user}: {id}.{field} is {seen:?}; asked for {:?}, of which {} were acknowledged",
                    history.asked, history.acknowledged
                ));
            }
        }
        Ok(())
    }
}
