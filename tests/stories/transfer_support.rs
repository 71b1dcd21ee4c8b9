//! Exports and imports, as an app makes them.

use crate::support::world::Tab;
use datum_sync::engine::cycle::cancel::Cancel;
use datum_sync::engine::transfer::{ImportOptions, ImportResult};
use datum_sync::model::error::Result;
use datum_sync::plan::import::Existing;
use datum_sync::transfer::read::FileReader;
use serde_json::Value;

/// Exports a tab's user.
pub fn export(tab: &Tab) -> String {
    let export = tab.run(tab.engine.transfer().export(&tab.user, true));
    let export = export.unwrap();
    let mut file = String::new();
    while let Some(lines) = tab.run(export.next()).unwrap() {
        file.push_str(&lines);
    }
    file
}

/// Imports a file, in chunks of a length that no line has.
pub fn import_with(tab: &Tab, file: &[u8], options: &ImportOptions) -> Result<ImportResult> {
    let mut reader = FileReader::default();
    for chunk in file.chunks(61) {
        reader.push(chunk)?;
        if let Some(header) = reader.header() {
            tab.engine.transfer().check(header, options)?;
        }
    }
    let file = reader.finish()?;
    tab.run(
        tab.engine
            .transfer()
            .import(&file, options, &Cancel::default()),
    )
}

/// Imports a file as it is by default.
pub fn import(tab: &Tab, file: &str) -> Result<ImportResult> {
    import_with(tab, file.as_bytes(), &ImportOptions::default())
}

pub fn existing(existing: Existing) -> ImportOptions {
    ImportOptions {
        existing,
        ..ImportOptions::default()
    }
}

pub fn as_new() -> ImportOptions {
    ImportOptions {
        as_new: true,
        ..ImportOptions::default()
    }
}

/// Everything that an app can see of a user, but for times of this device.
pub fn seen(tab: &Tab) -> Vec<Value> {
    let mut all = Vec::new();
    for entity in ["tasks", "notes"] {
        let read = tab.engine.entities().read_all(&tab.user, entity, true);
        all.push(serde_json::from_str(&tab.run(read).unwrap()).unwrap());
    }
    let mut pending = tab.pending_operations();
    for op in &mut pending {
        let op = op.as_object_mut().unwrap();
        op.remove("nextAttemptAt");
        op.remove("lastError");
    }
    all.push(Value::Array(pending));
    all.push(Value::Array(tab.conflicts()));
    all.push(Value::Array(tab.dead_letters()));
    all
}
