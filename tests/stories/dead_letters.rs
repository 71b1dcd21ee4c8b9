//! Refused operations: kept as dead letters, edited, sent again or discarded.

use crate::support::world::{Device, Tab, World};
use datum_sync::model::error::Code;
use serde_json::Value;

#[test]
fn a_refused_operation_becomes_a_dead_letter() {
    let world = World::new();
    world
        .server
        .configure(|config| config.entities = Some(vec!["notes".to_owned(), "tasks".to_owned()]));
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"good"}"#);
    a.create(r#"{"title":"bad"}"#);
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    a.create(&format!(r#"{{"title":"{}"}}"#, "x".repeat(200)));

    let result = a.sync();

    assert!(!result.is_success);
    assert_eq!(
        (
            result.pushed_count,
            result.failed_count,
            result.pending_operations
        ),
        (2, 1, 0)
    );
    assert_eq!(
        a.titles(),
        ["bad", "good"],
        "the refused entity is not shown as if it were synced"
    );
    let dead = a
        .run(a.engine.user("ann"))
        .unwrap()
        .db
        .read(|replica| replica.dead_letters().values().cloned().collect::<Vec<_>>());
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0].op.body.as_deref().unwrap().contains("xxx"),
        "nothing of it is lost"
    );
    let again = phone.open();
    assert_eq!(
        again
            .run(again.engine.user("ann"))
            .unwrap()
            .db
            .read(|replica| replica.dead_letters().len()),
        1
    );
}

fn refused(world: &World, phone: &Device) -> (Tab, Value) {
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    let a = phone.open();
    a.create(&format!(r#"{{"id":"t","title":"{}"}}"#, "x".repeat(200)));
    a.sync();
    let letter = a.dead_letters().remove(0);
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

    assert_eq!((a.dead_letters().len(), a.pending()), (0, 1));
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
            .retry(a.dead_letters()[0]["id"].as_str().unwrap(), None),
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
    assert_eq!((a.dead_letters().len(), a.pending()), (1, 0));
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
    assert!(a.dead_letters().is_empty() && phone.open().dead_letters().is_empty());
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
