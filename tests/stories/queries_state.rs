//! How far writes have come, as data: in entities, in conditions, and live.

use crate::queries::{create_many, numbered};
use crate::queries_live::{List, follow, watch_states};
use crate::support::world::{Device, Tab, World};
use datum_sync::conflict::Resolution;
use datum_sync::engine::queries::watch::EditKind;
use futures_util::FutureExt;
use serde_json::Value;

const UNSYNCED: &str = r#"{"where":{"field":"$syncState","notEquals":"synced"}}"#;

/// The ids and states of what a query finds.
fn states(tab: &Tab, query: &str) -> Vec<String> {
    let queries = tab.engine.queries();
    let text = tab.run(queries.query(&tab.user, "tasks", query, true));
    let all: Vec<Value> = serde_json::from_str(&text.unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter()
        .map(|task| format!("{} {}", text(&task["id"]), text(&task["$syncState"])))
        .collect()
}

/// A device with one task in conflict, one rejected, one pending and one synced.
fn unsettled(world: &World) -> (Device, Tab, Tab) {
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    create_many(&a, numbered(0, 3));
    a.sync();
    b.sync();
    a.patch("t00000", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("t00000", r#"{"title":"mine"}"#);
    world
        .server
        .configure(|config| config.max_entity_bytes = 200);
    b.patch("t00001", &format!(r#"{{"title":"{}"}}"#, "x".repeat(300)));
    b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
    b.create(r#"{"id":"u"}"#);
    (laptop, a, b)
}

#[test]
fn each_entity_says_how_far_its_writes_have_come() {
    let world = World::new();
    let (laptop, _a, b) = unsettled(&world);
    let all = [
        "t00000 conflict",
        "t00001 rejected",
        "t00002 synced",
        "u pending",
    ];
    let unsynced = [all[0], all[1], all[3]];
    assert_eq!(states(&b, "{}"), all);
    assert_eq!(states(&b, UNSYNCED), unsynced);
    let sorted = r#"{"orderBy":[{"field":"$syncState","descending":true}],"limit":2}"#;
    assert_eq!(states(&b, sorted), [all[2], all[1]]);
    let again = laptop.open();
    assert_eq!(states(&again, UNSYNCED), unsynced, "after a reload, too");
    // Without the option it is no member, and it is never stored.
    let plain = b
        .run(b.engine.queries().query(&b.user, "tasks", UNSYNCED, false))
        .unwrap();
    assert!(!plain.contains("$syncState"), "{plain}");
    let written = b.patch("t00002", r#"{"$syncState":"mine","title":"new"}"#);
    assert_eq!(
        (written.get("$syncState"), &written["title"]),
        (None, &"new".into())
    );
}

#[test]
fn a_state_changes_live() {
    let world = World::new();
    let (_laptop, _a, b) = unsettled(&world);
    let all = watch_states(&b, r#"{"orderBy":[{"field":"id"}]}"#);
    let unsynced = watch_states(&b, UNSYNCED);
    let count = b
        .run(b.engine.queries().watch_count(&b.user, "tasks", UNSYNCED))
        .unwrap();
    let (mut shown, mut left) = (List::default(), List::default());
    follow(&b, &all, &mut shown);
    follow(&b, &unsynced, &mut left);
    let counted = || count.next_count().now_or_never().map(Result::unwrap);
    assert_eq!((left.ids().len(), counted()), (3, Some(Some(3))));

    let letter = b.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    b.run(b.engine.dead_letters().discard(&letter)).unwrap();
    assert_eq!(
        follow(&b, &all, &mut shown),
        Some(vec![EditKind::Update]),
        "nothing but its state has changed"
    );
    assert_eq!(
        follow(&b, &unsynced, &mut left),
        Some(vec![EditKind::Remove])
    );
    assert_eq!(
        (left.ids(), counted()),
        (vec!["t00000".to_owned(), "u".to_owned()], Some(Some(2)))
    );

    let conflict = b.conflicts()[0]["id"].as_str().unwrap().to_owned();
    b.run(b.engine.conflicts().resolve(&conflict, Resolution::Local))
        .unwrap();
    follow(&b, &all, &mut shown);
    assert_eq!(shown.0[0]["$syncState"], "pending");
    b.sync();
    follow(&b, &all, &mut shown);
    assert!(
        shown.0.iter().all(|task| task["$syncState"] == "synced"),
        "{:?}",
        shown.0
    );
    follow(&b, &unsynced, &mut left);
    assert_eq!((left.ids().len(), counted()), (0, Some(Some(0))));
}

#[test]
fn a_watch_of_everything_does_not_hear_of_a_state() {
    let world = World::new();
    let (_laptop, _a, b) = unsettled(&world);
    let watching = b
        .run(b.engine.entities().watch(&b.user, "tasks", None, false))
        .unwrap();
    b.run(watching.next()).unwrap();
    let letter = b.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    b.run(b.engine.dead_letters().discard(&letter)).unwrap();
    assert!(watching.next().now_or_never().is_none());
}
