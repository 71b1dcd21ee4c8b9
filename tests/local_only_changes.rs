//! Fields that never leave the device, while something else changes: the config, the log, the tab.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use datum_sync::plan::write::{Write, Written};
use futures_util::FutureExt;
use support::world::{Device, Tab, World};

const KEEPS: &str = r#"{"entities":{"tasks":{"localOnly":["secret","draft"]},"notes":{"localOnly":["secret"],"deleteBehavior":"softDelete"}},"retry":{"maxAttempts":1}}"#;
const SHARES: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

/// A device that keeps `secret` and `draft` of its tasks to itself.
fn keeper(world: &World, name: &str) -> Device {
    world.device(name).with_config(KEEPS)
}

fn id_of(entity: &serde_json::Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

/// No request so far has said this.
#[track_caller]
fn unsaid(device: &Device, word: &str) {
    for request in device.wire.seen.borrow().iter() {
        let body = String::from_utf8_lossy(&request.body);
        assert!(
            !body.contains(word),
            "{} {} says {word}: {body}",
            request.method,
            request.path
        );
    }
}

fn update(tab: &Tab, entity: &str) -> serde_json::Value {
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

/// What the server has of its only row.
fn at_server(world: &World) -> serde_json::Value {
    let rows = world.server.rows("ann");
    assert_eq!(rows.len(), 1);
    serde_json::from_str(rows[0].data.as_deref().unwrap()).unwrap()
}

/// The fields that a tab's database keeps beside this entity's row.
fn kept(tab: &Tab) -> usize {
    let user = tab.run(tab.engine.user("ann")).unwrap();
    user.db.read(|replica| {
        replica
            .device_segments()
            .iter()
            .map(|segment| segment.entries.len())
            .sum()
    })
}

#[test]
fn a_field_that_is_kept_from_now_on_stays_at_the_server_as_it_was() {
    let world = World::new();
    let mut phone = world.device("phone").with_config(SHARES);
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"old"}"#));
    a.sync();
    // One operation of before the change is still waiting.
    a.patch(&id, r#"{"secret":"waiting"}"#);
    let other = id_of(&a.create(r#"{"title":"tea","secret":"waiting too"}"#));
    phone = phone.with_config(KEEPS);
    phone.requests();

    let a = phone.open();
    a.sync();
    unsaid(&phone, "waiting");
    for (id, word) in [(&id, "waiting"), (&other, "waiting too")] {
        assert_eq!(a.read(id).unwrap()["secret"], word);
    }
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    for (id, word) in [(&id, "waiting"), (&other, "waiting too")] {
        assert_eq!(
            a.read(id).unwrap()["secret"],
            word,
            "what was never sent is not lost"
        );
    }
    a.delete(&other);
    a.sync();
    world.server.purge_tombstones().unwrap();
    assert_eq!(at_server(&world)["secret"], "old");

    a.patch(&id, r#"{"title":"oat milk"}"#);
    a.sync();
    let mut whole = a.read(&id).unwrap();
    (whole["title"], whole["secret"]) = ("soy milk".into(), "new".into());
    update(&a, &whole.to_string());
    a.sync();

    let server = at_server(&world);
    assert_eq!(
        (&server["title"], &server["secret"]),
        (&"soy milk".into(), &"old".into())
    );
    assert_eq!(a.read(&id).unwrap()["secret"], "new");
    unsaid(&phone, "new");
    let idle = a.sync();
    assert!(idle.is_success && idle.pulled_count == 0, "{idle:?}");
}

#[test]
fn a_field_that_is_shared_from_now_on_travels_with_the_next_write() {
    let world = World::new();
    let mut phone = keeper(&world, "phone");
    let a = phone.open();
    let (one, two) = (
        id_of(&a.create(r#"{"title":"milk","secret":"s1"}"#)),
        id_of(&a.create(r#"{"title":"tea","secret":"s2"}"#)),
    );
    a.sync();
    phone = phone.with_config(SHARES);

    let a = phone.open();
    a.sync();
    unsaid(&phone, "s1");
    assert_eq!(
        a.read(&one).unwrap()["secret"],
        "s1",
        "it is still there to read"
    );
    a.patch(&one, r#"{"title":"oat milk"}"#);
    let mut whole = a.read(&two).unwrap();
    whole["title"] = "green tea".into();
    update(&a, &whole.to_string());
    a.sync();

    let rows: Vec<String> = world
        .server
        .rows("ann")
        .iter()
        .map(|row| row.data.as_deref().unwrap().to_owned())
        .collect();
    assert!(
        rows.iter().any(|row| row.contains("s1")) && rows.iter().any(|row| row.contains("s2")),
        "{rows:?}"
    );
    assert_eq!(
        (
            &a.read(&one).unwrap()["secret"],
            &a.read(&two).unwrap()["secret"],
            kept(&a)
        ),
        (&"s1".into(), &"s2".into(), 0)
    );
}

#[test]
fn a_log_lost_under_an_open_tab_keeps_them() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    a.sync();
    phone.evict();

    assert!(a.sync().is_success);

    assert_eq!(a.read(&id).unwrap()["secret"], "hush");
    assert_eq!(phone.open().read(&id).unwrap()["secret"], "hush");
}

#[test]
fn a_watch_hears_of_a_write_of_nothing_else() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let (a, other) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk","secret":"one"}"#));
    let watches = [&a, &other].map(|tab| {
        tab.run(tab.engine.entities().watch("ann", "tasks", None, false))
            .unwrap()
    });
    let now = |at: usize| {
        watches[at]
            .next()
            .now_or_never()
            .map(|delta| delta.unwrap().unwrap().items)
    };
    assert!(now(0).unwrap().contains("one"));
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    assert!(now(1).unwrap().contains("one"));

    a.patch(&id, r#"{"secret":"two"}"#);
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();

    assert!(now(0).unwrap().contains("two"));
    assert!(now(1).unwrap().contains("two"), "in another tab too");

    // A tab that slept through a compaction compares what it knew with what there is now.
    a.patch(&id, r#"{"secret":"three"}"#);
    a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
        .unwrap();
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    assert!(now(1).unwrap().contains("three"));
}
