//! The model of rows in spaces: what became of each acknowledged value. Values are never written
//! twice, and one writer's values grow.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// (user, device, entity id, field).
type Writer = (String, usize, String, String);

/// The values of one writer.
#[derive(Default)]
struct Promised {
    /// Any of them may be on the device, whatever its promise said.
    asked: BTreeSet<u64>,
    /// The last one that is promised; 0 if none is.
    acknowledged: u64,
}

/// Values of rows that move between spaces.
#[derive(Default)]
pub struct Roaming {
    promises: RefCell<BTreeMap<Writer, Promised>>,
    /// Rows of which nothing is promised to a device any more: its user, the device and the id.
    doubtful: RefCell<BTreeSet<(String, usize, String)>>,
    /// Values that the server has taken.
    landed: RefCell<BTreeSet<u64>>,
    losses: Cell<u64>,
}

/// A dead letter: the entity's id, and the data that it keeps.
pub type Letter = (String, Option<Value>);

impl Roaming {
    /// Records a write that is asked for.
    pub fn ask(&self, user: &str, device: usize, id: &str, field: &str, value: u64) {
        let writer = (user.to_owned(), device, id.to_owned(), field.to_owned());
        let mut promises = self.promises.borrow_mut();
        promises.entry(writer).or_default().asked.insert(value);
    }

    /// Records a write whose promise has resolved.
    pub fn acknowledge(&self, user: &str, device: usize, id: &str, field: &str, value: u64) {
        let row = (user.to_owned(), device, id.to_owned());
        if self.doubtful.borrow().contains(&row) {
            return;
        }
        let writer = (user.to_owned(), device, id.to_owned(), field.to_owned());
        let mut promises = self.promises.borrow_mut();
        promises.entry(writer).or_default().acknowledged = value;
    }

    /// Records that a device makes a row of an id that it knows in another space. The server may
    /// say that the row was moved there; then they meet without a base, and clocks decide.
    pub fn doubt(&self, user: &str, device: usize, id: &str) {
        self.delete(user, device, id);
        let row = (user.to_owned(), device, id.to_owned());
        self.doubtful.borrow_mut().insert(row);
    }

    /// Records that a device has deleted a row: what it wrote there went with it.
    pub fn delete(&self, user: &str, device: usize, id: &str) {
        let mut promises = self.promises.borrow_mut();
        promises.retain(|(whose, at, what, _), _| whose != user || *at != device || what != id);
    }

    /// How often promises were dropped.
    pub fn losses(&self) -> u64 {
        self.losses.get()
    }

    /// Drops all promises so far to a user.
    pub fn forgive(&self, user: &str) {
        self.losses.set(self.losses.get() + 1);
        let mut promises = self.promises.borrow_mut();
        promises.retain(|(whose, ..), _| whose != user);
    }

    /// Records the data of an operation that was applied.
    pub fn land(&self, data: &Value) {
        let fields = data.as_object().into_iter().flatten();
        let values = fields.filter_map(|(_, value)| value.as_u64());
        self.landed.borrow_mut().extend(values);
    }

    /// Every value that was acknowledged came to the server, was replaced by a later one before,
    /// or is in a dead letter.
    pub fn judge(&self, user: &str, device: usize, letters: &[Letter]) -> Result<(), String> {
        let landed = self.landed.borrow();
        for ((whose, at, id, field), promised) in self.promises.borrow().iter() {
            let last = promised.acknowledged;
            if whose != user || *at != device || last == 0 {
                continue;
            }
            let told = letters.iter().any(|(about, data)| {
                let kept = data.as_ref().map(|data| data[field].as_u64());
                about == id && kept.is_none_or(|kept| kept.is_some_and(|kept| kept >= last))
            });
            // A later value replaces those before it.
            let has_landed = |value| landed.contains(value);
            if !promised.asked.range(last..).any(has_landed) && !told {
                return Err(format!(
                    "{id}.{field} = {last} was acknowledged; it is not on the server, was not replaced, and no dead letter tells of it"
                ));
            }
        }
        Ok(())
    }
}
