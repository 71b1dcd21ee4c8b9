//! Updates of the app: a device's later tabs expect a later schema version. What is stored is
//! migrated, tabs of the older app write and send no more, and rows of older apps are migrated
//! when they arrive. A migration adds its version to a field of each entity, so that no value that
//! somebody wrote may change.

use std::rc::Rc;

use datum_sync::engine::migrations::Migrations;
use datum_sync::model::entity::Key;
use datum_sync::model::error::{Error, Result};
use datum_sync::state::replica::Replica;
use datum_sync::state::view::ViewBody;
use serde_json::{Map, Value};

use super::world::World;

/// What an app of each version writes into its entities, and what its migrations have done.
pub(super) const FORM: &str = "form";
pub(super) const PASSED: &str = "passed";

/// The migrations of an app of this version.
pub(super) struct AppMigrations(pub u32);

impl Migrations for AppMigrations {
    fn first(&self) -> u32 {
        1
    }

    fn check(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn changes(&self, entity: &str, _: u32) -> bool {
        entity == "tasks"
    }

    fn migrate(&self, _: &str, from: u32, entities: &str) -> Result<Vec<String>> {
        let all: Vec<Map<String, Value>> = serde_json::from_str(entities).unwrap();
        let change = |mut fields: Map<String, Value>| {
            for own in ["id", "userId", "spaceId", "version", "isDeleted"] {
                fields.remove(own);
            }
            let passed = fields.entry(PASSED).or_insert_with(|| Value::Array(vec![]));
            let passed = passed.as_array_mut().unwrap();
            passed.extend((from + 1..=self.0).map(Value::from));
            Value::Object(fields).to_string()
        };
        Ok(all.into_iter().map(change).collect())
    }

    fn failed(&self, error: &Error) {
        panic!("a migration failed: {error:?}");
    }
}

impl World {
    /// A newer version of the app is there for the tabs that a device opens from now on.
    pub(super) fn update(&self, device: usize) {
        let device = &self.devices[device];
        device.version.set(device.version.get() + 1);
        let version = device.version.get();
        self.say(format!(
            "{} has version {version} of the app",
            device.shared.device_id
        ));
    }

    /// Loads the pages of older versions again.
    pub(super) fn reload_older(&mut self) {
        for device in 0..self.devices.len() {
            let version = self.devices[device].version.get();
            for slot in 0..self.devices[device].tabs.len() {
                let tab = self.devices[device].tabs[slot].as_ref();
                if tab.is_some_and(|tab| tab.version < version) {
                    self.crash(device, slot);
                    self.open(device, slot);
                }
            }
        }
    }
}

/// Checks that what is in memory of a tab is in the form of its version, or of a later one. What was
/// written here says nothing of its form before it comes back.
pub(super) fn check_forms(replica: &Replica) -> std::result::Result<(), String> {
    for id in replica.ids("tasks", None) {
        let view = replica.view(&Key::new("tasks", id));
        let Some(ViewBody::Text(body)) = view.and_then(|view| view.body) else {
            continue;
        };
        let body: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let Some(form) = body[FORM].as_u64() else {
            continue;
        };
        let passed = body[PASSED].as_array().into_iter().flatten();
        let last = passed.filter_map(Value::as_u64).next_back();
        if form.max(last.unwrap_or_default()) < u64::from(replica.schema()) {
            let version = replica.schema();
            return Err(format!("{id} is not of version {version}: {body}"));
        }
    }
    Ok(())
}

/// The config of an app of a version.
pub(super) fn config(text: &str, version: u32) -> String {
    let versioned = format!(r#","schemaVersion":{version},"schemaField":"{FORM}"}}"#);
    [text.strip_suffix('}').unwrap(), &versioned].concat()
}

/// Returns the migrations of an app of a version.
pub(super) fn migrations(version: u32) -> Option<Rc<dyn Migrations>> {
    (version > 1).then(|| Rc::new(AppMigrations(version)) as Rc<dyn Migrations>)
}
