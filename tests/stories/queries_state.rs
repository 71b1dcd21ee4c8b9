//! How far writes have come, as data: in entities, in conditions, and live.

use crate::queries::{create_many, numbered};
use crate::queries_live::{List, follow, watch_states};
use crate::support::spaces::{TEAM, team};
use crate::support::world::{Device, Tab, World, id_of};
use datum_sync::conflict::Resolution;
use datum_sync::engine::database::read::Include;
use datum_sync::engine::queries::watch::EditKind;
use datum_sync::engine::watch::Watch;
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

/// A read with sync states, of what is not deleted.
const STATES: Include = Include {
    deleted: false,
    states: true,
};

/// The ids and states in an array of entities.
fn listed(text: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    all.iter()
        .map(|task| format!("{} {}", id_of(task), task["$syncState"].as_str().unwrap()))
        .collect()
}

#[test]
fn reads_say_how_far_writes_have_come_where_that_is_asked_for() {
    let world = World::new();
    let (laptop, _a, b) = unsettled(&world);
    b.delete("t00002");
    for tab in [b, laptop.open()] {
        let (all, user) = (tab.engine.entities(), &tab.user);
        let one = |id: &str| {
            let text = tab.run(all.read(user, "tasks", id, STATES)).unwrap();
            listed(&format!("[{}]", text.unwrap()))
        };
        assert_eq!(one("t00001"), ["t00001 rejected"]);
        assert_eq!(
            listed(&tab.run(all.read_all(user, "tasks", STATES)).unwrap()),
            ["t00000 conflict", "t00001 rejected", "u pending"]
        );
        let page = tab.run(all.read_page(user, "tasks", 1, Some("t00000"), true));
        let page = page.unwrap();
        assert_eq!(listed(&page.items), ["t00001 rejected"]);
        assert_eq!((page.after.as_deref(), page.total), (Some("t00001"), 3));
        let with_deleted = Include {
            deleted: true,
            states: true,
        };
        let text = tab.run(all.read_all(user, "tasks", with_deleted)).unwrap();
        assert_eq!(listed(&text)[2], "t00002 pending", "{text}");
        assert!(
            !tab.run(all.read_all(user, "tasks", true))
                .unwrap()
                .contains("$syncState")
        );
    }
}

#[test]
fn rows_that_are_read_straight_from_their_segments_have_states_as_well() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let a = phone.open();
    create_many(&a, numbered(0, 2));
    a.sync();
    laptop.open().sync();
    let b = laptop.open();
    let text = b.run(b.engine.entities().read_all(&b.user, "tasks", STATES));
    assert_eq!(listed(&text.unwrap()), ["t00000 synced", "t00001 synced"]);
}

#[test]
fn a_read_of_all_spaces_has_the_state_of_each_ones_table() {
    let world = World::new();
    team(&world);
    let tab = world.device("phone").open();
    tab.sync();
    tab.creates(Some(TEAM), "y", "more");
    tab.create(r#"{"id":"mine"}"#);
    let text = tab.run(tab.engine.entities().read_all("ann", "tasks", STATES));
    assert_eq!(
        listed(&text.unwrap()),
        ["mine pending", "x synced", "y pending"]
    );
}

#[test]
fn a_watch_with_states_follows_them_and_no_others() {
    let world = World::new();
    let (_laptop, _a, b) = unsettled(&world);
    let watch = |only: Option<&str>| {
        let entities = b.engine.entities();
        let only = only.map(str::to_owned);
        b.run(entities.watch(&b.user, "tasks", only, STATES))
            .unwrap()
    };
    let (all, one, other) = (watch(None), watch(Some("t00001")), watch(Some("u")));
    let next = |watch: &Watch<_, _>| b.run(watch.next()).unwrap().unwrap();
    assert_eq!(listed(&next(&all).items).len(), 4);
    assert_eq!(listed(&next(&one).items), ["t00001 rejected"]);
    assert_eq!(listed(&next(&other).items), ["u pending"]);

    let letter = b.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    b.run(b.engine.dead_letters().discard(&letter)).unwrap();
    for delta in [next(&all), next(&one)] {
        assert_eq!(listed(&delta.items), ["t00001 synced"], "and nothing else");
    }
    assert!(other.next().now_or_never().is_none());
    b.sync();
    assert_eq!(listed(&next(&other).items), ["u synced"]);
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

#[test]
fn an_entity_before_the_window_that_changes_its_place_moves_the_window() {
    let world = World::new();
    let b = world.device("phone").open();
    b.create(r#"{"id":"a"}"#);
    b.sync();
    b.create(r#"{"id":"b"}"#);
    let query = r#"{"orderBy":[{"field":"$syncState"},{"field":"id"}],"limit":5,"offset":1}"#;
    let watching = watch_states(&b, query);
    let mut shown = List::default();
    follow(&b, &watching, &mut shown);
    assert_eq!(shown.ids(), ["a"]);
    b.sync();
    follow(&b, &watching, &mut shown);
    assert_eq!(shown.ids(), ["b"]);
}
