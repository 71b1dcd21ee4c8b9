//! `onRejected: "keepLocal"`: a refused write stays visible until the app has decided.

use crate::support::world::{Device, Tab, World};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::{Value, json};

const KEEP: &str = r#"{"entities":{"projects":{"onRejected":"keepLocal"},
    "tasks":{"onRejected":"keepLocal","localOnly":["draft"],"relations":{"project":{"belongsTo":"projects","foreignKey":"project"}}}}}"#;

struct Story {
    world: World,
    phone: Device,
    a: Tab,
    b: Tab,
}

/// A task on both devices, and an edit of the phone that the server has refused.
fn refused_patch() -> Story {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(KEEP),
        world.device("laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.patch("t", &json!({ "title": "x".repeat(150) }).to_string());
    a.sync();
    Story { world, phone, a, b }
}

fn letter(tab: &Tab) -> String {
    tab.dead_letters()[0]["id"].as_str().unwrap().to_owned()
}

fn shown(tab: &Tab) -> (usize, Value) {
    let task = tab.read("t").unwrap();
    (task["title"].as_str().unwrap().len(), task["n"].clone())
}

#[test]
fn a_refused_edit_stays_visible_over_reloads_and_newer_rows() {
    let Story { world, phone, a, b } = refused_patch();
    let letter = a.dead_letters().remove(0);
    assert_eq!(
        (&letter["kept"], &letter["base"]["title"]),
        (&true.into(), &"milk".into()),
        "it is told from what is synced"
    );
    assert_eq!((a.pending(), shown(&a)), (0, (150, 1.into())));

    b.patch("t", r#"{"title":"theirs","n":2}"#);
    b.sync();
    a.sync();
    assert_eq!(
        shown(&a),
        (150, 2.into()),
        "what it did not change is the server's"
    );
    assert_eq!(
        a.read("t").unwrap()["version"],
        world.server.rows("ann")[0].version
    );
    let user = a.run(a.engine.user("ann")).unwrap();
    a.run(user.db.checkpoint()).unwrap();
    let again = phone.open();
    assert_eq!(
        (shown(&again), again.dead_letters().len()),
        ((150, 2.into()), 1)
    );

    b.delete("t");
    b.sync();
    again.sync();
    assert_eq!(
        shown(&again).0,
        150,
        "nor does a delete elsewhere take it away"
    );
}

#[test]
fn a_discarded_rejection_gives_way_to_the_servers_row_and_watches_see_it() {
    let Story { a, b, .. } = refused_patch();
    b.patch("t", r#"{"title":"theirs"}"#);
    b.sync();
    a.sync();
    let heard = a.engine.events(Filter {
        topics: vec![Topic::DataChanged],
        ..Filter::default()
    });
    a.run(a.engine.dead_letters().discard(&letter(&a))).unwrap();
    assert_eq!(a.read("t").unwrap()["title"], "theirs");
    let event = heard.next().now_or_never().flatten().unwrap();
    assert!(event.text.contains(r#""updated":["t"]"#), "{}", event.text);
}

#[test]
fn a_retried_rejection_is_sent_as_it_was_or_as_edited() {
    for (edited, length) in [(None, 150), (Some(r#"{"n":7}"#.to_owned()), 4)] {
        let Story { world, phone, a, b } = refused_patch();
        world.server.configure(|config| {
            config.max_entity_bytes = if edited.is_some() { 120 } else { 10_000 }
        });
        a.run(a.engine.dead_letters().retry(&letter(&a), edited.clone()))
            .unwrap();
        assert_eq!(shown(&a).0, length);
        assert!(a.sync().is_success, "{edited:?}");
        b.sync();
        assert_eq!(shown(&b), shown(&a));
        assert_eq!(shown(&phone.open()), shown(&b));
        assert!(a.dead_letters().is_empty());
    }
}

#[test]
fn the_next_write_of_the_entity_takes_its_place() {
    let Story { phone, a, b, .. } = refused_patch();
    a.patch("t", r#"{"n":5}"#);
    assert_eq!(
        (a.dead_letters().len(), a.pending(), shown(&a)),
        (0, 1, (150, 5.into()))
    );
    let result = a.sync();
    assert_eq!(
        (result.failed_count, a.dead_letters().len(), shown(&a)),
        (1, 1, (150, 5.into())),
        "it carries what was refused"
    );
    a.patch("t", r#"{"title":"short"}"#);
    assert!(a.sync().is_success);
    b.sync();
    assert_eq!(shown(&b), (5, 5.into()), "nothing of it is lost");
    assert_eq!(shown(&phone.open()), shown(&b));
}

#[test]
fn what_was_never_there_is_shown_counted_and_deleted_like_anything_else() {
    let world = World::new();
    let phone = world.device("phone").with_config(KEEP);
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    for id in ["a", "c"] {
        a.create(&json!({ "id": id, "title": id }).to_string());
    }
    a.create(&json!({ "id": "b", "title": "x".repeat(150), "draft": "mine" }).to_string());
    a.sync();

    let b = phone.open();
    let user = b.run(b.engine.user("ann")).unwrap();
    assert_eq!(
        (
            b.titles().len(),
            user.count("tasks"),
            b.dead_letters().len()
        ),
        (3, 3, 1)
    );
    let page = b
        .run(
            b.engine
                .entities()
                .read_page("ann", "tasks", 2, Some("a"), false),
        )
        .unwrap();
    assert!(
        page.items.find(r#""id":"b""#) < page.items.find(r#""id":"c""#) && !page.has_more,
        "{}",
        page.items
    );
    assert_eq!(b.read("b").unwrap()["draft"], "mine");
    let again = b
        .write(
            "tasks",
            Write::Create {
                draft: r#"{"id":"b"}"#.to_owned(),
            },
        )
        .unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);

    assert!(b.delete("b"));
    assert_eq!(
        (
            b.titles(),
            user.count("tasks"),
            b.dead_letters().len(),
            b.pending()
        ),
        (vec!["a".into(), "c".into()], 2, 0, 0)
    );
    assert!(b.read("b").is_none());
    assert!(b.sync().is_success);
    assert_eq!(phone.open().titles(), ["a", "c"]);
}

#[test]
fn a_refused_create_that_is_edited_is_created() {
    let world = World::new();
    let phone = world.device("phone").with_config(KEEP);
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.create(&json!({ "id": "t", "title": "x".repeat(150), "n": 1 }).to_string());
    a.sync();
    a.patch("t", r#"{"title":"short"}"#);
    assert_eq!(a.pending_operations()[0]["kind"], "create");
    assert!(a.sync().is_success);
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(shown(&laptop), (5, 1.into()));
}

#[test]
fn a_child_of_a_parent_that_was_refused_waits_for_it() {
    let world = World::new();
    let phone = world.device("phone").with_config(KEEP);
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.create_in(
        "projects",
        &json!({ "id": "p", "title": "x".repeat(150) }).to_string(),
    );
    a.sync();
    // The parent is still there to be seen, so the app adds to it.
    a.create(r#"{"id":"t","title":"milk","n":1,"project":"p"}"#);
    a.create(r#"{"id":"other","title":"tea"}"#);
    a.sync();
    let waiting = a.pending_operations();
    assert_eq!(
        (
            waiting.len(),
            &waiting[0]["state"],
            &waiting[0]["blockedBy"]
        ),
        (1, &"blocked".into(), &letter(&a).into())
    );
    phone.pushed();

    a.run(
        a.engine
            .dead_letters()
            .retry(&letter(&a), Some(r#"{"title":"short"}"#.to_owned())),
    )
    .unwrap();
    assert!(a.sync().is_success);
    assert_eq!(phone.pushed(), [["p", "t"]]);
}

#[test]
fn a_refused_edit_and_what_was_made_on_top_of_it_are_one_letter() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.patch("t", &json!({ "title": "x".repeat(150) }).to_string());
    // Read from the log, it may have been sent, so the next edit waits behind it.
    let b = phone.open();
    b.patch("t", r#"{"n":2}"#);
    assert_eq!(b.pending(), 2);
    b.sync();
    let letters = b.dead_letters();
    assert_eq!(
        (
            letters.len(),
            letters[0]["data"]["n"].clone(),
            letters[0]["kept"].clone()
        ),
        (1, 2.into(), false.into())
    );
    assert_eq!(
        shown(&b),
        (4, 1.into()),
        "without keepLocal the server's row is shown"
    );
    world
        .server
        .configure(|config| config.max_entity_bytes = 10_000);
    b.run(b.engine.dead_letters().retry(&letter(&b), None))
        .unwrap();
    assert!(b.sync().is_success);
    assert_eq!(shown(&b), (150, 2.into()));
}

#[test]
fn dead_letters_outlive_a_lost_log() {
    let Story { phone, a, .. } = refused_patch();
    let before = a.dead_letters();
    phone.evict();
    a.create(r#"{"id":"new","title":"new"}"#);
    assert_eq!(a.dead_letters(), before);
    assert_eq!(phone.open().dead_letters(), before);
}
