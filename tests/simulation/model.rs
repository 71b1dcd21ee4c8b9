//! The model: every acknowledged write by its writer, and which states are allowed at the end. Each
//! field and each private entity has one writer, who waits for each write before the next, so that
//! only a lost write can lead back to an older state.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::updates::{FORM, PASSED};

/// The states that one writer has asked for, and the last acknowledged one.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// The device that writes it.
    device: usize,
    asked: Vec<Option<u64>>,
    acknowledged: usize,
    /// Writes up to here are no longer promised.
    forgiven: usize,
}

impl History {
    fn allows(&self, seen: Option<u64>) -> bool {
        // Before the first acknowledgement nothing is required.
        (self.acknowledged == 0 && seen.is_none())
            || self
                .asked
                .iter()
                .skip(self.acknowledged.saturating_sub(1))
                .any(|state| *state == seen)
    }

    fn check(&self, whose: &str, id: &str, field: &str, seen: Option<u64>) -> Result<(), String> {
        if self.allows(seen) {
            return Ok(());
        }
        let (asked, acknowledged) = (&self.asked, self.acknowledged);
        Err(format!(
            "{whose}: {id}.{field} is {seen:?}; asked for {asked:?}, of which {acknowledged} were acknowledged"
        ))
    }
}

type Place = (String, String, String);

/// All histories of all users, by entity, field and writer.
#[derive(Default)]
pub struct Model {
    /// (user, entity id, field).
    states: RefCell<BTreeMap<Place, History>>,
    /// Entities that the server must refuse: (user, device, entity id).
    refused: RefCell<BTreeSet<(String, usize, String)>>,
    /// How often all promises to a user were dropped.
    losses: RefCell<BTreeMap<String, usize>>,
}

impl Model {
    /// Records a write that is asked for. Returns its ticket.
    pub fn ask(
        &self,
        device: usize,
        user: &str,
        id: &str,
        field: &str,
        state: Option<u64>,
    ) -> usize {
        let mut states = self.states.borrow_mut();
        let history = states
            .entry((user.to_owned(), id.to_owned(), field.to_owned()))
            .or_default();
        history.device = device;
        history.asked.push(state);
        history.asked.len()
    }

    /// Records that its promise has resolved.
    pub fn acknowledge(&self, user: &str, id: &str, field: &str, ticket: usize) {
        let mut states = self.states.borrow_mut();
        let history = states
            .get_mut(&(user.to_owned(), id.to_owned(), field.to_owned()))
            .unwrap();
        // A tab may have been frozen between the commit and its promise, and the storage lost
        // meanwhile.
        if ticket > history.forgiven {
            history.acknowledged = history.acknowledged.max(ticket);
        }
    }

    /// Drops all promises so far: a device's storage was lost, or the server was restored.
    pub fn forgive(&self, user: &str) {
        for (_, history) in self
            .states
            .borrow_mut()
            .iter_mut()
            .filter(|((whose, ..), _)| whose == user)
        {
            history.acknowledged = 0;
            history.asked.push(None);
            history.forgiven = history.asked.len();
        }
        self.refused
            .borrow_mut()
            .retain(|(whose, ..)| whose != user);
        *self.losses.borrow_mut().entry(user.to_owned()).or_default() += 1;
    }

    /// Returns how often that has happened.
    pub fn losses(&self, user: &str) -> usize {
        self.losses.borrow().get(user).copied().unwrap_or_default()
    }

    /// Records an acknowledged write that the server will refuse, asked for after `losses` losses.
    pub fn refuse(&self, user: &str, device: usize, id: &str, losses: usize) {
        // A write asked for before the last loss went with it, though its promise resolved later.
        if losses < self.losses(user) {
            return;
        }
        self.refused
            .borrow_mut()
            .insert((user.to_owned(), device, id.to_owned()));
    }

    /// Returns what the server must have refused of a device.
    pub fn refused_of(&self, user: &str, device: usize) -> Vec<String> {
        self.refused
            .borrow()
            .iter()
            .filter(|(whose, of, _)| whose == user && *of == device)
            .map(|(.., id)| id.clone())
            .collect()
    }

    /// A device reads its own writes at any time.
    pub fn judge_device(
        &self,
        user: &str,
        device: usize,
        read: &mut dyn FnMut(&str, &str) -> Option<Option<u64>>,
    ) -> Result<(), String> {
        for ((whose, id, field), history) in self.states.borrow().iter() {
            if whose != user || history.device != device {
                continue;
            }
            if let Some(seen) = read(id, field) {
                history.check(
                    &format!("on the device that wrote it, for {user}"),
                    id,
                    field,
                    seen,
                )?;
            }
        }
        Ok(())
    }

    /// Compares with the rows at the end, as entity id to fields. Every promised write is there,
    /// and nothing else.
    pub fn judge(&self, user: &str, rows: &BTreeMap<String, Value>) -> Result<(), String> {
        let states = self.states.borrow();
        for ((whose, id, field), history) in states.iter().filter(|((whose, ..), _)| whose == user)
        {
            let seen = rows
                .get(id)
                .and_then(|row| row.get(field))
                .and_then(Value::as_u64);
            history.check(whose, id, field, seen)?;
        }
        for (id, row) in rows.iter().filter(|(id, _)| !id.starts_with("hot-")) {
            let known = [
                "id",
                "owner",
                "pad",
                "createdAt",
                "modifiedAt",
                FORM,
                PASSED,
            ];
            for field in row
                .as_object()
                .into_iter()
                .flat_map(serde_json::Map::keys)
                .filter(|field| !known.contains(&field.as_str()))
            {
                if !states.contains_key(&(user.to_owned(), id.clone(), field.clone())) {
                    return Err(format!(
                        "{user}: {id} has a field {field} that nobody wrote"
                    ));
                }
            }
        }
        Ok(())
    }
}
