//! Restores of the server, and what tests look at afterwards.

use std::rc::Rc;

use datum_server::memory::MemoryStore;
use datum_sync::engine::events::{Filter, Reader, Topic};
use datum_sync::model::status::SyncResult;
use futures_util::FutureExt;
use serde_json::Value;

use super::world::{Device, Tab, World};

/// Restores a backup as an operator does: with a new epoch.
pub fn restore(world: &World, backup: &MemoryStore, epoch: &str) {
    world.server.restore(backup);
    world.server.set_epoch(epoch).unwrap();
}

pub fn restore_events(tab: &Tab) -> Rc<Reader> {
    tab.engine.events(Filter {
        topics: vec![Topic::ServerRestored],
        ..Filter::default()
    })
}

pub fn offered_again(reader: &Reader) -> Vec<u64> {
    let mut told = Vec::new();
    while let Some(event) = reader.next().now_or_never().flatten() {
        let event: Value = serde_json::from_str(&event.text).unwrap();
        assert_eq!(
            (&event["type"], &event["userId"]),
            (&"serverRestored".into(), &"ann".into())
        );
        told.push(event["offeredAgain"].as_u64().unwrap());
    }
    told
}

/// Syncs twice: the second cycle must find nothing to do.
pub fn sync_until_quiet(tab: &Tab) -> SyncResult {
    let first = tab.sync();
    assert!(first.is_success, "{first:?}");
    let second = tab.sync();
    assert!(second.is_success, "{second:?}");
    assert_eq!(
        (
            second.pushed_count,
            second.pulled_count,
            second.conflicts_detected
        ),
        (0, 0, 0)
    );
    assert_eq!(tab.pending(), 0);
    first
}

pub fn server_rows(world: &World) -> Vec<(String, Value)> {
    let rows = world.server.rows("ann").into_iter();
    let mut rows: Vec<(String, Value)> = rows
        .filter_map(|row| Some((row.id.clone(), serde_json::from_str(&row.data?).unwrap())))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

pub fn titles(world: &World) -> Vec<(String, String)> {
    server_rows(world)
        .into_iter()
        .map(|(id, data)| (id, data["title"].as_str().unwrap_or_default().to_owned()))
        .collect()
}

pub fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(id, title)| ((*id).to_owned(), (*title).to_owned()))
        .collect()
}

pub fn device(world: &World, name: &str) -> Device {
    world.device(name).with_config(
        r#"{"entities":{"tasks":{"localOnly":["draft"]},"notes":{}},"retry":{"maxAttempts":1}}"#,
    )
}
