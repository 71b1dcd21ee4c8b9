//! Calls and observations that several reported bugs need.

use std::rc::Rc;

use crate::support::world::{Device, Tab, World};
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::Value;

/// The titles that another device of the same user gets from the server.
pub fn shared(world: &World) -> Vec<String> {
    let reader = world.device("reader").open();
    reader.sync();
    reader.titles()
}

/// The operations of every push since the last call.
pub fn pushed(device: &Device) -> Vec<Value> {
    let seen = device.remote.seen.take();
    let pushes = seen
        .iter()
        .filter(|request| request.path == "/push")
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    pushes
        .flat_map(|push| push["operations"].as_array().unwrap().clone())
        .collect()
}

pub async fn patch(tab: &Tab, id: &str, changes: &str) {
    let write = Write::Patch {
        id: id.to_owned(),
        changes: changes.to_owned(),
    };
    tab.engine
        .entities()
        .write(&tab.user, "tasks", vec![write])
        .await
        .unwrap();
}

pub async fn synchronize(tab: &Tab) {
    let _ = tab
        .engine
        .synchronize(&tab.user, Default::default(), None, Rc::default())
        .await;
}
