//! Operations that depend on one which is refused, postponed or in conflict.

use super::outbox_support::{FAMILY, family, on_server, patch};
use crate::support::world::{Fault, World};
use datum_sync::conflict::Resolution;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::{Value, json};

fn too_long(id: &str) -> String {
    json!({ "id": id, "title": "x".repeat(200) }).to_string()
}

fn of<'a>(waiting: &'a [Value], id: &str) -> &'a Value {
    waiting.iter().find(|op| op["entityId"] == id).unwrap()
}

#[test]
fn a_refused_parent_takes_its_children_along_and_the_rest_flows() {
    let world = World::new();
    let (phone, a) = family(&world);
    world
        .server
        .configure(|config| config.max_entity_bytes = 150);
    let letters = a.engine.events(Filter {
        topics: vec![Topic::DeadLetter],
        ..Filter::default()
    });
    a.create_in("projects", &too_long("p"));
    a.create(r#"{"id":"child","project":"p"}"#);
    a.create(r#"{"id":"grandchild","parent":"child"}"#);
    a.create(r#"{"id":"other"}"#);

    let result = a.sync();

    assert_eq!(
        phone.pushed(),
        [["p", "child", "grandchild", "other"]],
        "no request more than without children"
    );
    assert_eq!(
        (
            result.pushed_count,
            result.failed_count,
            result.pending_operations
        ),
        (1, 3, 0)
    );
    assert_eq!(
        on_server(&world),
        ["other"],
        "a child without its parent is not applied"
    );
    let dead = a.dead_letters();
    let codes: Vec<_> = dead
        .iter()
        .map(|letter| {
            (
                letter["entityId"].as_str().unwrap(),
                letter["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        codes,
        [
            ("p", "tooLarge"),
            ("child", "blocked"),
            ("grandchild", "blocked")
        ]
    );
    assert!(
        dead[1]["message"].as_str().unwrap().contains("projects p"),
        "{}",
        dead[1]
    );
    assert!(dead[1]["blockedBy"] == dead[0]["id"] && dead[2]["blockedBy"] == dead[0]["id"]);
    let told: Vec<_> = std::iter::from_fn(|| letters.next().now_or_never().flatten()).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().dead_letters,
        3
    );
}

#[test]
fn a_retried_parent_brings_its_children_back_in_one_commit() {
    let world = World::new();
    let (phone, a) = family(&world);
    world
        .server
        .configure(|config| config.max_entity_bytes = 150);
    a.create_in("projects", &too_long("p"));
    a.create(r#"{"id":"child","project":"p"}"#);
    a.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"asks"}"#.to_owned(),
        },
        &[("projects", "p")],
    )
    .unwrap();
    a.sync();
    phone.pushed();
    let again = phone.open();
    let before = phone.counts();

    let id = again.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    again
        .run(
            again
                .engine
                .dead_letters()
                .retry(&id, Some(r#"{"title":"short"}"#.to_owned())),
        )
        .unwrap();

    assert_eq!((again.dead_letters().len(), again.pending()), (0, 3));
    assert_eq!(phone.counts().transactions - before.transactions, 1);
    assert!(again.sync().is_success);
    assert_eq!(phone.pushed(), [["p", "child", "asks"]]);
    assert_eq!(on_server(&world), ["asks", "child", "p"]);
}

#[test]
fn a_parked_conflict_blocks_what_depends_on_it_and_nothing_else() {
    let world = World::new();
    let (_, a) = family(&world);
    let laptop = world.device("laptop").with_config(FAMILY);
    let b = laptop.open();
    a.create_in("projects", r#"{"id":"p","title":"old"}"#);
    a.sync();
    b.sync();
    a.write("projects", patch("p", r#"{"title":"theirs"}"#))
        .unwrap();
    a.sync();
    b.write("projects", patch("p", r#"{"title":"mine"}"#))
        .unwrap();
    b.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"child"}"#.to_owned(),
        },
        &[("projects", "p")],
    )
    .unwrap();
    b.create(r#"{"id":"grandchild","parent":"child"}"#);
    b.create(r#"{"id":"other"}"#);

    b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();

    let b = laptop.open();
    let conflicts: Value =
        serde_json::from_str(&b.run(b.engine.conflicts().list("ann")).unwrap()).unwrap();
    let waiting = b.pending_operations();
    for id in ["p", "child", "grandchild"] {
        assert_eq!(
            (&of(&waiting, id)["state"], &of(&waiting, id)["blockedBy"]),
            (&"blocked".into(), &conflicts[0]["id"]),
            "{id}"
        );
    }
    assert_eq!(
        (waiting.len(), on_server(&world)),
        (3, vec!["other".to_owned(), "p".to_owned()])
    );
    b.sync();
    assert_eq!(b.pending(), 3, "and stays so");

    b.run(
        b.engine
            .conflicts()
            .resolve(conflicts[0]["id"].as_str().unwrap(), Resolution::Local),
    )
    .unwrap();
    assert!(b.sync().is_success);
    assert_eq!(on_server(&world), ["child", "grandchild", "other", "p"]);
}

#[test]
fn what_the_remote_puts_off_holds_back_only_what_depends_on_it() {
    let world = World::new();
    let (phone, a) = family(&world);
    a.create_in("projects", r#"{"id":"p"}"#);
    a.create(r#"{"id":"child","project":"p"}"#);
    a.create(r#"{"id":"other"}"#);
    let ids: Vec<Value> = a
        .pending_operations()
        .iter()
        .map(|op| op["opId"].clone())
        .collect();
    // A backend that knows nothing of dependencies refuses a child whose parent is not there.
    let verdicts = json!({ "results": [
        { "opId": ids[0], "status": "retry", "retryAfterMs": 90_000, "code": "locked" },
        { "opId": ids[1], "status": "rejected", "code": "foreignKey", "message": "There is no such project." },
        { "opId": ids[2], "status": "retry", "retryAfterMs": 0 },
    ]});
    phone.fault("/push", Fault::Answered(verdicts.to_string()));

    a.sync();

    let waiting = a.pending_operations();
    let (parent, child) = (of(&waiting, "p"), of(&waiting, "child"));
    assert_eq!(
        (&parent["state"], parent["attempts"].as_u64()),
        (&"pending".into(), Some(1))
    );
    let at = datum_sync::util::time::parse(parent["nextAttemptAt"].as_str().unwrap()).unwrap();
    assert_eq!(at, world.clock.now() + 90_000);
    assert!(
        parent["lastError"]["message"]
            .as_str()
            .unwrap()
            .contains("locked"),
        "{parent}"
    );
    assert_eq!(
        (
            &parent["lastError"]["retryable"],
            &parent["lastError"]["retryAfterMs"]
        ),
        (&true.into(), &90_000.into())
    );
    assert_eq!(
        (&child["state"], &child["blockedBy"]),
        (&"blocked".into(), &ids[0])
    );
    assert_eq!(child["nextAttemptAt"], parent["nextAttemptAt"]);
    assert!(a.dead_letters().is_empty(), "it was not its own fault");

    a.sync();
    assert_eq!(on_server(&world), ["other"], "the rest flows");
    world.clock.advance(90_001);
    assert!(a.sync().is_success);
    assert_eq!(on_server(&world), ["child", "other", "p"]);
}

#[test]
fn a_merged_winner_still_waits_for_what_it_depended_on() {
    let world = World::new();
    let (phone, a) = family(&world);
    let b = world.device("laptop").with_config(FAMILY).open();
    a.create(r#"{"id":"child","title":"old","n":1}"#);
    a.sync();
    b.sync();
    b.patch("child", r#"{"n":2}"#);
    b.sync();
    a.create_in("projects", r#"{"id":"p"}"#);
    a.patch("child", r#"{"project":"p"}"#);
    let parent = of(&a.pending_operations(), "p")["opId"].clone();
    let child = of(&a.pending_operations(), "child")["opId"].clone();
    phone.pushed();
    let row = world.server.rows("ann")[0].clone();
    let verdicts = json!({ "results": [
        { "opId": parent, "status": "retry", "retryAfterMs": 60_000 },
        { "opId": child, "status": "conflict", "version": row.version, "row": serde_json::from_str::<Value>(row.data.as_deref().unwrap()).unwrap() },
    ]});
    phone.fault("/push", Fault::Answered(verdicts.to_string()));

    a.sync();

    assert_eq!(
        phone.pushed(),
        [["p", "child"]],
        "the winner did not go ahead of the parent"
    );
    assert_eq!(of(&a.pending_operations(), "child")["blockedBy"], parent);
    world.clock.advance(60_001);
    assert!(a.sync().is_success);
    assert_eq!(phone.pushed(), [["p", "child"]]);
}

#[test]
fn what_waits_for_a_conflict_that_is_merged_goes_in_the_same_cycle() {
    let world = World::new();
    let (phone, a) = family(&world);
    let b = world.device("laptop").with_config(FAMILY).open();
    a.create_in("projects", r#"{"id":"p","title":"old","n":1}"#);
    a.sync();
    b.sync();
    b.write("projects", patch("p", r#"{"n":2}"#)).unwrap();
    b.sync();
    phone.pushed();
    a.write("projects", patch("p", r#"{"title":"new"}"#))
        .unwrap();
    a.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"child"}"#.to_owned(),
        },
        &[("projects", "p")],
    )
    .unwrap();

    let result = a.sync();

    assert_eq!(phone.pushed(), [["p", "child"], ["p", "child"]]);
    assert!(
        result.is_success && result.pending_operations == 0,
        "{result:?}"
    );
    assert_eq!(on_server(&world), ["child", "p"]);
}
