//! Helpers: projects, tasks and subtasks that depend on each other.

use crate::support::world::{Device, Tab, World};
use datum_sync::plan::write::Write;

pub const FAMILY: &str = r#"{"entities":{"projects":{},
    "tasks":{"relations":{"project":{"belongsTo":"projects","foreignKey":"project"},"parent":{"belongsTo":"tasks","foreignKey":"parent"}}}},
    "retry":{"maxAttempts":1}}"#;

pub fn family(world: &World) -> (Device, Tab) {
    let phone = world.device("phone").with_config(FAMILY);
    let tab = phone.open();
    (phone, tab)
}

pub fn patch(id: &str, changes: &str) -> Write {
    Write::Patch {
        id: id.to_owned(),
        changes: changes.to_owned(),
    }
}

pub fn on_server(world: &World) -> Vec<String> {
    let mut ids: Vec<String> = world
        .server
        .rows("ann")
        .iter()
        .filter(|row| row.data.is_some())
        .map(|row| row.id.clone())
        .collect();
    ids.sort();
    ids
}
