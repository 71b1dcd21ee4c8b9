//! Pending operations that the app discards: they become dead letters, and readers see what the server
//! had.

use std::rc::Rc;

use super::outbox_support::{FAMILY, family, on_server};
use crate::support::auto_sync::wait;
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::conflict::Resolution;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::log::receipt::ReceiptOutcome;
use datum_sync::model::error::{Code, Result};
use futures_util::FutureExt;
use serde_json::{Value, json};

fn op_of(tab: &Tab, id: &str, place: usize) -> String {
    let all = tab.pending_operations();
    let mut of = all.iter().filter(|op| op["entityId"] == id);
    let op = of.nth(place).expect("the operation is pending");
    op["opId"].as_str().unwrap().to_owned()
}

async fn try_discard(tab: &Tab, op_id: &str) -> Result<Vec<Value>> {
    let letters = tab.engine.dead_letters();
    let text = letters.discard_operation(&tab.user, op_id).await?;
    Ok(serde_json::from_str(&text).unwrap())
}

fn discard(tab: &Tab, id: &str, place: usize) -> Vec<Value> {
    let op_id = op_of(tab, id, place);
    tab.run(try_discard(tab, &op_id)).unwrap()
}

fn retry(tab: &Tab, letter: &Value) {
    let id = letter["id"].as_str().unwrap();
    tab.run(tab.engine.dead_letters().retry(id, None)).unwrap();
}

/// Sends what is pending, and loses the answer.
fn lose_the_answer(tab: &Tab, phone: &Device) {
    phone.fault("/push", Fault::ReplyLost);
    tab.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
}

/// Discards the only pending operation while it is in a request, and returns the letter.
fn discard_on_its_way(a: &Tab, phone: &Device) -> Value {
    let op_id = a.pending_operations()[0]["opId"]
        .as_str()
        .unwrap()
        .to_owned();
    phone.fault("/push", Fault::Slow(1_000));
    a.run(async {
        let cycle = a
            .engine
            .synchronize("ann", Default::default(), None, Rc::default());
        let work = async {
            wait(a, 500).await;
            try_discard(a, &op_id).await.unwrap().remove(0)
        };
        futures_util::future::join(cycle, work).await.1
    })
}

#[test]
fn a_discarded_edit_shows_what_the_server_had_and_a_retry_takes_the_discard_back() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    a.patch("t", r#"{"title":"oat milk"}"#);
    let records = phone.counts().records;
    let events = a.engine.events(Filter {
        topics: vec![Topic::DeadLetter, Topic::DataChanged],
        ..Filter::default()
    });

    let letters = discard(&a, "t", 0);

    assert_eq!(phone.counts().records, records + 1, "one commit");
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(
        [
            &letter["code"],
            &letter["kind"],
            &letter["data"]["title"],
            &letter["base"]["title"],
            &letter["maybe"]
        ],
        [
            &json!("discarded"),
            &json!("patch"),
            &json!("oat milk"),
            &json!("milk"),
            &Value::Null
        ]
    );
    assert_eq!(
        (a.read("t").unwrap()["title"].clone(), a.pending()),
        (json!("milk"), 0)
    );
    let told: Vec<Value> = std::iter::from_fn(|| events.next().now_or_never().flatten())
        .map(|event| serde_json::from_str(&event.text).unwrap())
        .collect();
    assert_eq!(
        told.iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["dataChanged", "deadLetter"]
    );
    assert_eq!(
        (&told[0]["source"], &told[1]["deadLetter"]),
        (&json!("local"), letter)
    );
    a.sync();
    assert_eq!(phone.pushed(), [["t"]], "it is never sent");
    let again = phone.open();
    assert_eq!(again.read("t").unwrap()["title"], "milk");
    assert_eq!(again.dead_letters(), letters, "nothing is lost");

    retry(&again, letter);

    assert_eq!(
        (
            again.read("t").unwrap()["title"].clone(),
            again.dead_letters().len()
        ),
        (json!("oat milk"), 0)
    );
    assert!(again.sync().is_success);
    assert_eq!(again.read("t").unwrap()["version"], 2);
}

#[test]
fn a_discarded_create_takes_its_edits_and_what_depends_on_it_along_and_brings_them_back() {
    let world = World::new();
    let phone = world.device("phone").with_config(FAMILY);
    // What another page may have sent takes no edit in.
    phone
        .open()
        .create_in("projects", r#"{"id":"p","title":"plan"}"#);
    let a = phone.open();
    let patched = a.write(
        "projects",
        super::outbox_support::patch("p", r#"{"title":"trip"}"#),
    );
    patched.unwrap();
    a.create(r#"{"id":"child","project":"p"}"#);
    a.create(r#"{"id":"grandchild","parent":"child"}"#);
    a.create(r#"{"id":"other"}"#);

    let letters = discard(&a, "p", 0);

    let of = |letter: &Value| {
        let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
        (text("entityId"), text("code"))
    };
    assert_eq!(
        letters.iter().map(of).collect::<Vec<_>>(),
        [
            ("p", "discarded"),
            ("child", "blocked"),
            ("grandchild", "blocked")
        ]
        .map(|(id, code)| (id.to_owned(), code.to_owned()))
    );
    assert_eq!(letters[0]["data"]["title"], "trip", "with its edit");
    assert_eq!(letters[1]["blockedBy"], letters[0]["id"]);
    assert_eq!(
        letters[1]["message"],
        "It depends on projects p, which the app discarded."
    );
    assert_eq!((a.titles().len(), a.pending()), (1, 1), "the rest waits on");

    retry(&a, &letters[0]);

    assert!(a.dead_letters().is_empty());
    assert!(a.sync().is_success);
    assert_eq!(on_server(&world), ["child", "grandchild", "other", "p"]);
}

#[test]
fn a_discarded_delete_shows_the_entity_again() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    a.delete("t");
    let letters = discard(&a, "t", 0);
    assert_eq!(
        (&letters[0]["kind"], a.titles()),
        (&json!("delete"), vec!["milk".to_owned()])
    );
    retry(&a, &letters[0]);
    assert!(a.sync().is_success && a.titles().is_empty());
    assert!(world.server.rows("ann")[0].data.is_none());
}

#[test]
fn what_is_before_a_discarded_edit_stays_pending_and_is_shown() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    lose_the_answer(&a, &phone);
    a.patch("t", r#"{"title":"oat milk"}"#);
    let letters = discard(&a, "t", 1);
    assert_eq!((letters.len(), &letters[0]["kind"]), (1, &json!("patch")));
    assert_eq!((a.titles(), a.pending()), (vec!["milk".to_owned()], 1));
    assert!(a.sync().is_success);
    assert_eq!((a.titles(), a.pending()), (vec!["milk".to_owned()], 0));
}

#[test]
fn a_create_that_may_have_been_sent_says_so_and_comes_back_if_the_server_has_it() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    lose_the_answer(&a, &phone);
    let letters = discard(&a, "t", 0);
    assert_eq!(letters[0]["maybe"], true);
    assert!(a.titles().is_empty());
    assert!(a.sync().is_success);
    assert_eq!(a.titles(), ["milk"], "the server has it");
    retry(&a, &letters[0]);
    let result = a.sync();
    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!(
        (a.titles(), a.dead_letters().len()),
        (vec!["milk".to_owned()], 0)
    );
}

#[test]
fn an_operation_that_is_discarded_on_its_way_is_taken_back_if_the_server_applies_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let letter = discard_on_its_way(&a, &phone);
    assert_eq!(
        (&letter["code"], &letter["maybe"]),
        (&json!("discarded"), &json!(true))
    );
    assert!(a.dead_letters().is_empty(), "the server has applied it");
    a.sync();
    assert_eq!((a.titles(), a.pending()), (vec!["milk".to_owned()], 0));
}

#[test]
fn an_operation_that_is_discarded_on_its_way_stays_a_letter_if_the_server_refuses_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    a.create(&json!({ "id": "t", "title": "x".repeat(200) }).to_string());
    let letter = discard_on_its_way(&a, &phone);
    assert_eq!(a.dead_letters(), [letter]);
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
}

#[test]
fn whenever_a_write_is_discarded_beside_a_push_the_server_or_the_letters_have_it() {
    let (mut sent, mut kept) = (0, 0);
    for (turns, late) in (0..8).flat_map(|turns| (0..8).map(move |late| (turns, late))) {
        let world = World::new();
        let phone = world.device("phone").with_config(FAMILY);
        let a = phone.open();
        a.create(r#"{"id":"first"}"#);
        a.sync();
        a.create(r#"{"id":"t","title":"milk"}"#);
        a.create(r#"{"id":"child","parent":"t"}"#);
        let op_id = op_of(&a, "t", 0);
        phone.fault("/push", Fault::Slow(1));
        let discarded = a.run(async {
            let pass = async |turns| {
                for _ in 0..turns {
                    datum_sync::util::local_sync::yield_now().await;
                }
            };
            let work = async {
                pass(turns).await;
                try_discard(&a, &op_id).await
            };
            let cycle = async {
                pass(late).await;
                let synchronize =
                    a.engine
                        .synchronize("ann", Default::default(), None, Rc::default());
                synchronize.await
            };
            futures_util::future::join(work, cycle).await.0
        });
        let there = on_server(&world);
        let has = there.contains(&"t".to_owned());
        for id in ["t", "child"] {
            let letters = a.dead_letters();
            let of = letters.iter().filter(|letter| letter["entityId"] == id);
            assert_eq!(
                of.count(),
                usize::from(!there.contains(&id.to_owned())),
                "{id} after {turns} and {late}: {discarded:?}"
            );
        }
        a.sync();
        assert_eq!((a.read("t").is_some(), a.pending()), (has, 0));
        sent += u32::from(has && discarded.is_ok());
        kept += u32::from(!has);
    }
    assert!(sent > 0 && kept > 0, "{sent} sent, {kept} kept");
}

/// A tab with a conflict of two operations, whose base is known.
fn in_conflict(world: &World) -> Tab {
    let ask =
        r#"{"entities":{"tasks":{}},"defaultConflictResolver":"ask","retry":{"maxAttempts":1}}"#;
    let phone = world.device("phone").with_config(ask);
    let a = phone.open();
    let b = world.device("laptop").open();
    a.create(r#"{"id":"t","title":"milk","n":1,"note":"a"}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"oat milk"}"#);
    phone.fault("/push", Fault::Status(503, None));
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    a.patch("t", r#"{"n":2}"#);
    assert_eq!(a.pending(), 2);
    b.patch("t", r#"{"title":"soy milk","note":"b"}"#);
    b.sync();
    a.sync();
    assert_eq!(a.conflicts().len(), 1);
    a
}

#[test]
fn discarding_all_of_a_conflict_ends_it_and_shows_the_servers_row() {
    let world = World::new();
    let a = in_conflict(&world);
    let letters = discard(&a, "t", 0);
    assert_eq!((letters.len(), a.conflicts().len(), a.pending()), (1, 0, 0));
    assert_eq!(letters[0]["data"]["n"], 2);
    assert_eq!(a.titles(), ["soy milk"]);
    assert!(a.sync().is_success);
    assert_eq!(a.titles(), ["soy milk"]);
}

#[test]
fn discarding_the_later_part_of_a_conflict_leaves_it_to_be_decided_on_its_base() {
    let world = World::new();
    let a = in_conflict(&world);
    let letters = discard(&a, "t", 1);
    assert_eq!((letters.len(), a.pending()), (1, 1));
    let [conflict] = &a.conflicts()[..] else {
        panic!("{:?}", a.conflicts())
    };
    assert_eq!(
        [
            &conflict["base"]["title"],
            &conflict["local"]["title"],
            &conflict["local"]["n"]
        ],
        [&json!("milk"), &json!("oat milk"), &json!(1)]
    );
    assert_eq!(a.pending_operations()[0]["blockedBy"], conflict["id"]);
    let id = conflict["id"].as_str().unwrap();
    a.run(a.engine.conflicts().resolve(id, Resolution::Local))
        .unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.titles(), ["oat milk"]);
}

#[test]
fn what_is_not_pending_cannot_be_discarded_and_nothing_is_written() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    b.run(b.engine.on_head("ann", 1)).unwrap();
    let before = op_of(&b, "t", 0);
    a.patch("t", r#"{"title":"oat milk"}"#);
    let head = |tab: &Tab| {
        let user = tab.run(tab.engine.user("ann")).unwrap();
        tab.run(user.db.catch_up()).unwrap();
        user.db.read(datum_sync::state::replica::Replica::head)
    };
    let before_all = head(&a);
    // Another tab has merged it into a later write: that one is not what was meant.
    for op_id in [&*before, "", "no such id"] {
        let refused = b.run(try_discard(&b, op_id)).unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{op_id}");
    }
    let nobody = b.engine.dead_letters().discard_operation("eve", &before);
    assert_eq!(b.run(nobody).unwrap_err().code(), Code::NotFound);
    assert_eq!((head(&a), b.pending()), (before_all, 1));
    discard(&b, "t", 0);
    assert_eq!(
        b.run(try_discard(&b, &before)).unwrap_err().code(),
        Code::NotFound
    );
}

#[test]
fn a_discarded_write_of_a_type_that_keeps_refused_ones_is_shown_no_more() {
    let world = World::new();
    let keeps = r#"{"entities":{"tasks":{"onRejected":"keepLocal"}}}"#;
    let a = world.device("phone").with_config(keeps).open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let letters = discard(&a, "t", 0);
    assert_eq!((&letters[0]["kept"], a.titles().len()), (&json!(false), 0));
}

#[test]
fn another_tab_shows_a_discard_and_a_wait_for_the_write_ends() {
    let world = World::new();
    let (phone, a) = family(&world);
    let b = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    b.run(b.engine.on_head("ann", 1)).unwrap();
    assert_eq!(b.titles(), ["milk"]);
    let op_id = op_of(&a, "t", 0);
    let outcome = a.run(async {
        let synced = a.engine.entities().when_synced("ann", "tasks", "t");
        let work = async {
            wait(&a, 100).await;
            try_discard(&a, &op_id).await.unwrap();
        };
        futures_util::future::join(synced, work).await.0
    });
    assert_eq!(outcome.unwrap(), ReceiptOutcome::Rejected);
    b.run(b.engine.on_head("ann", 2)).unwrap();
    assert_eq!(
        (b.titles().len(), b.dead_letters().len(), b.pending()),
        (0, 1, 0)
    );
}
