//! Devices with local-only fields, and checks that none of these was sent.

use crate::support::world::{Device, Tab, World};
use datum_sync::plan::write::{Write, Written};

pub const KEEPS: &str = r#"{"entities":{"tasks":{"localOnly":["secret","draft"]},"notes":{"localOnly":["secret"],"deleteBehavior":"softDelete"}},"retry":{"maxAttempts":1}}"#;

pub const SHARES: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

/// Returns a device whose tasks have the local-only fields `secret` and `draft`.
pub fn keeper(world: &World, name: &str) -> Device {
    world.device(name).with_config(KEEPS)
}

/// Asserts that no request so far contains this word.
#[track_caller]
pub fn unsaid(device: &Device, word: &str) {
    for request in device.remote.seen.borrow().iter() {
        let body = String::from_utf8_lossy(&request.body);
        assert!(
            !body.contains(word),
            "{} {} says {word}: {body}",
            request.method,
            request.path
        );
    }
}

pub fn update(tab: &Tab, entity: &str) -> serde_json::Value {
    match tab
        .write(
            "tasks",
            Write::Update {
                entity: entity.to_owned(),
            },
        )
        .unwrap()
    {
        Written::Entity(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Returns the server's only row.
pub fn at_server(world: &World) -> serde_json::Value {
    let rows = world.server.rows("ann");
    assert_eq!(rows.len(), 1);
    serde_json::from_str(rows[0].data.as_deref().unwrap()).unwrap()
}

/// Returns how many entities have local-only fields in a tab's database.
pub fn kept(tab: &Tab) -> usize {
    let user = tab.run(tab.engine.user("ann")).unwrap();
    user.db.read(|replica| replica.local_only_texts().len())
}
