//! What waits for the app: refused operations and parked conflicts, and what becomes of them.
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

use std::rc::Rc;

use datum_sync::conflict::Resolution;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::error::Code;
use futures_util::FutureExt;
use serde_json::Value;
use support::world::{Device, Tab, World};

fn refused(world: &World, phone: &Device) -> (Tab, Value) {
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    let a = phone.open();
    a.create(&format!(r#"{{"id":"t","title":"{}"}}"#, "x".repeat(200)));
    a.sync();
    let letter = a.letters().remove(0);
    (a, letter)
}

#[test]
fn a_refused_operation_can_be_edited_and_sent_again() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, letter) = refused(&world, &phone);
    assert_eq!(
        (&letter["entityId"], &letter["kind"], &letter["code"]),
        (&"t".into(), &"create".into(), &"tooLarge".into())
    );
    assert_eq!(letter["data"]["title"].as_str().unwrap().len(), 200);

    a.run(a.engine.dead_letters().retry(
        letter["id"].as_str().unwrap(),
        Some(r#"{"title":"good"}"#.to_owned()),
    ))
    .unwrap();

    assert_eq!((a.letters().len(), a.pending()), (0, 1));
    assert_eq!(a.read("t").unwrap()["title"], "good");
    assert!(a.sync().is_success);
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(b.titles(), ["good"]);
    assert_eq!(
        phone
            .open()
            .engine
            .status_hub("ann")
            .unwrap()
            .current()
            .dead_letters,
        0
    );
}

#[test]
fn a_refused_operation_can_be_sent_again_as_it_was_once_the_remote_takes_it() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, letter) = refused(&world, &phone);
    world
        .server
        .configure(|config| config.max_entity_bytes = 10_000);
    a.run(
        a.engine
            .dead_letters()
            .retry(letter["id"].as_str().unwrap(), None),
    )
    .unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.read("t").unwrap()["version"], 1);
}

#[test]
fn a_refused_patch_says_again_only_what_it_had_changed() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.patch("t", &format!(r#"{{"title":"{}"}}"#, "y".repeat(150)));
    a.sync();
    assert_eq!(
        a.read("t").unwrap()["title"],
        "milk",
        "the remote's row is shown again"
    );
    b.patch("t", r#"{"n":2}"#);
    b.sync();
    a.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 10_000);

    a.run(
        a.engine
            .dead_letters()
            .retry(a.letters()[0]["id"].as_str().unwrap(), None),
    )
    .unwrap();
    assert!(a.sync().is_success);

    b.sync();
    let seen = b.read("t").unwrap();
    assert_eq!(
        (seen["title"].as_str().unwrap().len(), &seen["n"]),
        (150, &2.into())
    );
}

#[test]
fn a_bad_edit_leaves_the_dead_letter_where_it_is() {
    let world = World::new();
    let (a, letter) = refused(&world, &world.device("phone"));
    let id = letter["id"].as_str().unwrap();
    let error = a
        .run(
            a.engine
                .dead_letters()
                .retry(id, Some(r#"{"createdAt":5}"#.to_owned())),
        )
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidEntity, "{error:?}");
    assert_eq!((a.letters().len(), a.pending()), (1, 0));
    assert_eq!(
        a.run(a.engine.dead_letters().retry("nothing", None))
            .unwrap_err()
            .code(),
        Code::NotFound
    );
}

#[test]
fn a_discarded_dead_letter_is_gone_over_a_reload() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, letter) = refused(&world, &phone);
    a.run(
        a.engine
            .dead_letters()
            .discard(letter["id"].as_str().unwrap()),
    )
    .unwrap();
    assert!(a.letters().is_empty() && phone.open().letters().is_empty());
    assert_eq!(
        a.run(
            a.engine
                .dead_letters()
                .discard(letter["id"].as_str().unwrap())
        )
        .unwrap_err()
        .code(),
        Code::NotFound
    );
}

fn clash(world: &World) -> (Device, Tab, Tab) {
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("t", r#"{"title":"mine"}"#);
    b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
    (laptop, a, b)
}

#[test]
fn a_parked_conflict_shows_all_three_sides_and_waits_over_a_reload() {
    let world = World::new();
    let (laptop, a, b) = clash(&world);
    drop(b);
    let again = laptop.open();
    a.patch("t", r#"{"n":9}"#);
    a.sync();
    again.sync();

    let waiting = again.conflicts();

    assert_eq!(waiting.len(), 1);
    let conflict = &waiting[0];
    assert_eq!(
        (&conflict["base"]["title"], &conflict["local"]["title"]),
        (&"milk".into(), &"mine".into())
    );
    assert_eq!(
        (&conflict["remote"]["title"], &conflict["remote"]["n"]),
        (&"theirs".into(), &9.into()),
        "the remote's side moves on"
    );
    assert_eq!(
        (&conflict["kind"], &conflict["fields"][0]),
        (&"bothModified".into(), &"title".into())
    );
}

#[test]
fn what_the_app_decides_is_what_every_device_sees() {
    for (resolution, expected) in [
        (Resolution::Local, "mine"),
        (Resolution::Remote, "theirs"),
        (
            Resolution::Merged(Rc::from(r#"{"title":"both","n":3}"#)),
            "both",
        ),
    ] {
        let world = World::new();
        let (laptop, a, b) = clash(&world);
        let reader = b.engine.events(Filter {
            topics: vec![Topic::ConflictResolved],
            ..Filter::default()
        });
        let id = b.conflicts()[0]["id"].as_str().unwrap().to_owned();

        b.run(b.engine.conflicts().resolve(&id, resolution.clone()))
            .unwrap();

        assert!(b.conflicts().is_empty());
        assert_eq!(
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .unresolved_conflicts,
            0
        );
        assert!(
            reader.next().now_or_never().flatten().is_some(),
            "{resolution:?}"
        );
        assert_eq!(b.read("t").unwrap()["title"], expected);
        let result = b.sync();
        assert!(
            result.is_success && result.conflicts_detected == 0 && b.pending() == 0,
            "{result:?}"
        );
        a.sync();
        assert_eq!(a.read("t").unwrap()["title"], expected);
        assert_eq!(laptop.open().read("t").unwrap()["title"], expected);
        assert_eq!(
            b.run(b.engine.conflicts().resolve(&id, Resolution::Local))
                .unwrap_err()
                .code(),
            Code::NotFound
        );
    }
}

#[test]
fn a_delete_against_an_edit_can_be_decided_either_way() {
    for (resolution, left) in [(Resolution::Local, 0), (Resolution::Remote, 1)] {
        let world = World::new();
        let (a, b) = (world.device("phone").open(), world.device("laptop").open());
        a.create(r#"{"id":"t","title":"milk"}"#);
        a.sync();
        b.sync();
        a.patch("t", r#"{"title":"theirs"}"#);
        a.sync();
        b.delete("t");
        b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
        let conflict = b.conflicts().remove(0);
        assert_eq!(
            (&conflict["kind"], &conflict["local"]),
            (&"deletedLocally".into(), &Value::Null)
        );
        b.run(
            b.engine
                .conflicts()
                .resolve(conflict["id"].as_str().unwrap(), resolution),
        )
        .unwrap();
        assert!(b.sync().is_success);
        a.sync();
        assert_eq!((a.titles().len(), b.titles().len()), (left, left));
    }
}
