//! The model of rows in spaces: what became of each acknowledged value. Values are never written
//! twice, and one writer's values grow.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// (user, device, entity id, field).
type Writer = (String, usize, String, String);

/// Values of rows that move between spaces.
#[derive(Default)]
pub struct Roaming {
    acknowledged: RefCell<BTreeMap<Writer, BTreeSet<u64>>>,
    /// Values that a row of the server has had.
    landed: RefCell<BTreeSet<u64>>,
    losses: Cell<u64>,
}

/// A dead letter: the entity's id, and the data that it keeps.
pub type Letter = (String, Option<Value>);

impl Roaming {
    /// Records a write whose promise has resolved.
    pub fn acknowledge(&self, user: &str, device: usize, id: &str, field: &str, value: u64) {
        let writer = (user.to_owned(), device, id.to_owned(), field.to_owned());
        let mut acknowledged = self.acknowledged.borrow_mut();
        acknowledged.entry(writer).or_default().insert(value);
    }

    /// Records that a device has deleted a row: what it wrote there went with it.
    pub fn delete(&self, user: &str, device: usize, id: &str) {
        let mut acknowledged = self.acknowledged.borrow_mut();
        acknowledged.retain(|(whose, at, what, _), _| whose != user || *at != device || what != id);
    }

    /// How often promises were dropped.
    pub fn losses(&self) -> u64 {
        self.losses.get()
    }

    /// Drops all promises so far to a user.
    pub fn forgive(&self, user: &str) {
        self.losses.set(self.losses.get() + 1);
        let mut acknowledged = self.acknowledged.borrow_mut();
        acknowledged.retain(|(whose, ..), _| whose != user);
    }

    /// Records the fields of a row of the server.
    pub fn land(&self, row: &Value) {
        let fields = row.as_object().into_iter().flatten();
        let values = fields.filter_map(|(_, value)| value.as_u64());
        self.landed.borrow_mut().extend(values);
    }

    /// Every value that was acknowledged came to the server, was replaced by a later one before,
    /// or is in a dead letter.
    pub fn judge(&self, user: &str, device: usize, letters: &[Letter]) -> Result<(), String> {
        let landed = self.landed.borrow();
        for ((whose, at, id, field), values) in self.acknowledged.borrow().iter() {
            if whose != user || *at != device {
                continue;
            }
            let told = |value: u64| {
                letters.iter().any(|(about, data)| {
                    about == id
                        && data.as_ref().is_none_or(|data| {
                            data[field].as_u64().is_some_and(|kept| kept >= value)
                        })
                })
            };
            // A later value replaces those before it, so only the last needs a trace.
            let Some(last) = values.last() else { continue };
            if !landed.contains(last) && !told(*last) {
                return Err(format!(
                    "{id}.{field} = {last} was acknowledged; it is not on the server, was not replaced, and no dead letter tells of it"
                ));
            }
        }
        Ok(())
    }
}
