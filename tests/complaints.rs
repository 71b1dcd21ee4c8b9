//! What users of other sync engines met and reported, as stories of this one: writes that are lost,
//! doubled or stuck. The table in `tests/README.md` says which complaint is answered where.
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

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::config::UserSwitch;
use datum_sync::model::error::Code;
use datum_sync::model::status::State;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use futures_util::future::join;
use serde_json::Value;
use support::live::{AUTO, DAY, HOUR, create, leading, live, wait};
use support::world::{Device, Fault, Tab, World};

const ONE_TRY: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"excludedSyncUserIds":["guest"]}"#;

fn id_of(task: &Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

/// The titles that another device of the same user gets from the server.
fn shared(world: &World) -> Vec<String> {
    let reader = world.device("reader").open();
    reader.sync();
    reader.titles()
}

/// The operations of every push since the last call.
fn pushed(device: &Device) -> Vec<Value> {
    let seen = device.wire.seen.take();
    let pushes = seen
        .iter()
        .filter(|request| request.path == "/push")
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    pushes
        .flat_map(|push| push["operations"].as_array().unwrap().clone())
        .collect()
}

async fn patch(tab: &Tab, id: &str, changes: &str) {
    let write = Write::Patch {
        id: id.to_owned(),
        changes: changes.to_owned(),
    };
    tab.engine
        .entities()
        .write(&tab.user, "tasks", vec![write])
        .await
        .unwrap();
}

async fn synchronize(tab: &Tab) {
    let _ = tab
        .engine
        .synchronize(&tab.user, Default::default(), None, Rc::default())
        .await;
}

/// Users of PouchDB met this: after days without a visit the database was empty, and the checkpoint
/// said that there was nothing to download. apache/pouchdb#7847, apache/pouchdb#7669
#[test]
fn a_device_whose_storage_was_removed_between_two_visits_pulls_everything_again() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    ["milk", "tea"]
        .iter()
        .for_each(|title| drop(a.create(&format!(r#"{{"title":"{title}"}}"#))));
    a.sync();
    a.run(a.engine.close());
    phone.disk.stores.borrow_mut().clear();

    let again = phone.open();
    assert!(again.titles().is_empty());
    assert_eq!(
        again.sync().pulled_count,
        2,
        "the cursor went with the rows"
    );

    assert_eq!(again.titles(), ["milk", "tea"]);
}

/// Users of Legend-State met this: rows were lost once their retries were used up and a later write
/// succeeded. LegendApp/legend-state#547
#[test]
fn a_write_whose_tries_are_used_up_goes_out_with_the_next_one() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    (0..3).for_each(|_| phone.fault("/push", Fault::Status(500, None)));
    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::ServerError);
    assert_eq!(a.pending(), 1, "nothing is given up");

    a.create(r#"{"title":"tea"}"#);
    assert!(a.sync().is_success);

    assert_eq!(
        (shared(&world), a.pending()),
        (vec!["milk".to_owned(), "tea".to_owned()], 0)
    );
}

/// Users of Legend-State met this: writes of the visit before were forgotten where a sync ran
/// before the storage had been read. LegendApp/legend-state#659
#[test]
fn a_sync_that_is_the_first_thing_after_a_reload_sends_what_waited() {
    let world = World::new();
    let phone = world.device("phone");
    phone.open().create(r#"{"title":"milk"}"#);
    let mut another = world.device_of("bob", "phone");
    another.disk = phone.disk.clone();
    let again = another.open();
    assert!(
        again.engine.opened("ann").is_none(),
        "nothing of ann has been read yet"
    );

    let result = again
        .run(
            again
                .engine
                .synchronize("ann", Default::default(), None, Rc::default()),
        )
        .unwrap();

    assert_eq!(
        (result.pushed_count, shared(&world)),
        (1, vec!["milk".to_owned()])
    );
}

/// Users of Legend-State met this: of several entities made offline only the last was sent.
/// LegendApp/legend-state#367
#[test]
fn all_that_was_made_offline_is_sent_and_not_only_the_last() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.engine.host().online.set(false);
    for title in ["a", "b", "c", "d", "e"] {
        a.create(&format!(r#"{{"title":"{title}"}}"#));
        assert!(a.sync().was_skipped, "offline");
    }
    let again = phone.open();
    assert_eq!(again.sync().pushed_count, 5);
    assert_eq!(shared(&world), ["a", "b", "c", "d", "e"]);
}

/// Users of TanStack DB met this: changed fields were not kept over a restart, and what was sent
/// was empty. TanStack/db PR #1124
#[test]
fn a_patch_made_before_a_restart_is_sent_with_its_fields_and_no_others() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","done":false,"tags":["x"]}"#));
    a.sync();
    a.patch(&id, r#"{"title":"oat milk"}"#);
    a.patch(&id, r#"{"done":true}"#);
    phone.requests();

    phone.open().sync();

    let sent = pushed(&phone);
    assert_eq!((sent.len(), &sent[0]["kind"]), (1, &"patch".into()));
    let mut data = sent[0]["data"].as_object().unwrap().clone();
    assert!(data.remove("modifiedAt").is_some());
    assert_eq!(
        Value::Object(data),
        serde_json::json!({ "title": "oat milk", "done": true })
    );
}

/// Users of RxDB met this: a pause during a push that failed marked the documents as sent.
/// pubkey/rxdb#7259
#[test]
fn a_pause_during_a_push_that_fails_marks_nothing_as_sent() {
    for fault in [Fault::Lost, Fault::Slow(50), Fault::Status(503, None)] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.create(r#"{"title":"milk"}"#);
        phone.fault("/push", fault);
        a.run(join(synchronize(&a), async {
            wait(&a, 20).await;
            a.engine.pauses().pause(None).await.unwrap();
        }));
        assert_eq!(a.pending(), 1);

        a.run(a.engine.pauses().resume(None)).unwrap();
        a.sync();

        assert_eq!((a.pending(), shared(&world)), (0, vec!["milk".to_owned()]));
    }
}

/// Users of RxDB met this: bulk writes in parallel overwrote each other. pubkey/rxdb#9145
#[test]
fn writes_of_many_calls_at_once_are_all_there_after_a_reload() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let titles: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    let tabs = [&a, &b];
    let calls = titles
        .iter()
        .enumerate()
        .map(|(n, title)| create(&tabs[n % 2].engine, "ann", title));
    a.run(futures_util::future::join_all(calls));

    assert_eq!(phone.open().titles(), titles);
    assert_eq!(a.sync().pushed_count, 40);
    assert_eq!(shared(&world), titles);
}

/// Users of Dexie met this: what was made before the login had disappeared after it.
/// dexie/Dexie.js#2140
#[test]
fn what_a_guest_has_made_is_there_after_somebody_signed_in_and_is_nobody_elses() {
    let world = World::new();
    let phone = world.device_of("guest", "phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    let switch = |from: &str, to: &str| {
        a.run(
            a.engine
                .users()
                .switch(Some(from), to, Some(UserSwitch::SyncThenSwitch)),
        )
        .unwrap()
    };

    assert!(switch("guest", "ann").success);
    a.run(
        a.engine
            .synchronize("ann", Default::default(), None, Rc::default()),
    )
    .unwrap();
    assert!(a.titles_of("ann").is_empty() && world.server.rows("ann").is_empty());

    assert!(switch("ann", "guest").success);
    assert_eq!((a.titles(), a.pending()), (vec!["milk".to_owned()], 1));
}

/// Users of WatermelonDB met this: where ids were the server's, a row that had been pushed came
/// back as another. Nozbe/WatermelonDB#1664, #1881
#[test]
fn two_devices_that_make_the_same_id_end_with_one_row() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    a.create(r#"{"id":"settings","theme":"dark","title":"here"}"#);
    b.create(r#"{"id":"settings","font":"large","title":"here"}"#);

    [&a, &b, &a]
        .iter()
        .for_each(|tab| assert!(tab.sync().is_success));

    assert_eq!(world.server.rows("ann").len(), 1);
    for tab in [&a, &b] {
        let read = tab.read("settings").unwrap();
        assert_eq!(
            (tab.titles().len(), &read["theme"], &read["font"]),
            (1, &"dark".into(), &"large".into())
        );
    }
}

/// Users of WatermelonDB met this: their own pushes came back as made by others.
/// Nozbe/WatermelonDB#649
#[test]
fn what_a_device_has_pushed_does_not_come_back_to_it_as_news() {
    let world = World::new();
    let a = world.device("phone").open();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    let heard = a.engine.events(Filter {
        topics: vec![Topic::DataChanged],
        ..Filter::default()
    });
    let watching = a
        .run(a.engine.entities().watch("ann", "tasks", None, false))
        .unwrap();
    a.run(watching.next()).unwrap();

    let told = || -> Vec<Value> {
        std::iter::from_fn(|| heard.next().now_or_never().flatten())
            .map(|event| serde_json::from_str(&event.text).unwrap())
            .collect()
    };
    a.sync();
    for event in told() {
        assert_eq!(
            (&event["created"], &event["deleted"]),
            (&serde_json::json!([]), &serde_json::json!([])),
            "at most its new version"
        );
    }
    let delta = watching
        .next()
        .now_or_never()
        .map(|delta| delta.unwrap().unwrap());
    assert!(
        delta.is_none_or(|delta| delta.gone.is_empty() && !delta.whole),
        "at most its new version"
    );

    assert_eq!(
        (
            a.sync().pulled_count,
            told().len(),
            watching.next().now_or_never().is_none()
        ),
        (0, 0, true)
    );
    assert_eq!(
        (a.titles(), a.read(&id).unwrap()["version"].as_u64()),
        (vec!["milk".to_owned()], Some(1))
    );
}

/// Users of WatermelonDB met this: a row that was deleted soon after it was made came back.
/// Nozbe/WatermelonDB#1893
#[test]
fn a_row_deleted_while_its_create_is_on_its_way_does_not_come_back() {
    for options in ["{}", r#"{"direction":"pullThenPush"}"#] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        phone.fault("/push", Fault::Slow(50));
        a.run(join(synchronize(&a), async {
            wait(&a, 20).await;
            a.engine
                .entities()
                .write(
                    "ann",
                    "tasks",
                    vec![Write::Delete {
                        id: id.clone(),
                        soft: false,
                    }],
                )
                .await
                .unwrap();
        }));
        assert_eq!(a.read(&id), None);

        a.sync_with(options).unwrap();
        a.sync_with(options).unwrap();

        assert_eq!(
            (a.read(&id), a.pending(), shared(&world)),
            (None, 0, Vec::new())
        );
    }
}

/// Users of WatermelonDB met this: a record that was edited while its push was on its way lost
/// those changes, or was sent again as a whole. Nozbe/WatermelonDB#1141, #1374
#[test]
fn an_edit_made_while_its_entity_is_on_its_way_is_sent_afterwards() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","done":false}"#));
    a.sync();
    a.patch(&id, r#"{"title":"oat milk"}"#);
    phone.fault("/push", Fault::Slow(50));
    phone.requests();
    a.run(join(synchronize(&a), async {
        wait(&a, 20).await;
        patch(&a, &id, r#"{"done":true}"#).await;
    }));
    a.sync();

    let sent = pushed(&phone);
    assert_eq!(
        sent.iter()
            .map(|op| op["data"].get("title").is_some())
            .collect::<Vec<_>>(),
        [true, false],
        "each field once"
    );
    let reader = world.device("reader").open();
    reader.sync();
    let read = reader.read(&id).unwrap();
    assert_eq!(
        (&read["title"], &read["done"], a.pending()),
        (&"oat milk".into(), &true.into(), 0)
    );
}

/// Users of PouchDB met this: a client stopped syncing for days, until its database was deleted.
/// apache/pouchdb#8298
#[test]
fn an_outage_of_days_ends_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leading(&phone);
    let out = Rc::new(Cell::new(true));
    let (faults, still) = (Rc::clone(&phone.wire.faults), Rc::clone(&out));
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if still.get() {
            let path = ["/pull", "/push", "/metadata"]
                .into_iter()
                .find(|path| request.path.ends_with(path))
                .unwrap();
            faults
                .borrow_mut()
                .push_back((path, Fault::Status(503, None)));
        }
    }));
    live(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 3 * DAY).await;
        let status = a.engine.status_hub("ann").unwrap().current();
        assert_eq!(
            (status.status, status.pending_operations),
            (State::Failed, 1),
            "and it says so"
        );
        out.set(false);
        wait(&a, 2 * HOUR).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
    });
    assert_eq!(shared(&world), ["milk"]);
}

/// Users of Legend-State met this: one bad change blocked the queue, and nothing could remove it;
/// those of RxDB wished for an answer for each document. LegendApp/legend-state#375,
/// pubkey/rxdb#3622
#[test]
fn one_bad_change_holds_up_no_other_and_can_be_thrown_away() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"before"}"#);
    let bad = id_of(&a.create(&format!(r#"{{"title":"{}"}}"#, "x".repeat(500))));
    a.create(r#"{"title":"after"}"#);
    world
        .server
        .configure(|config| config.max_entity_bytes = 200);

    let result = a.sync();

    assert_eq!(
        (result.pushed_count, result.failed_count, a.pending()),
        (2, 1, 0)
    );
    let letters: Value =
        serde_json::from_str(&a.run(a.engine.dead_letters().list("ann")).unwrap()).unwrap();
    assert_eq!(
        (letters.as_array().unwrap().len(), &letters[0]["entityId"]),
        (1, &bad.into()),
        "it says which"
    );
    a.run(
        a.engine
            .dead_letters()
            .discard(letters[0]["id"].as_str().unwrap()),
    )
    .unwrap();
    assert!(a.sync().is_success);
    assert_eq!(
        (a.titles(), shared(&world)),
        (
            vec!["after".to_owned(), "before".to_owned()],
            vec!["after".to_owned(), "before".to_owned()]
        )
    );
}

/// Users of PowerSync met this: while an upload failed nothing was downloaded, and it waited for
/// the next local write before it was tried again. powersync-ja/powersync-native#15,
/// powersync-ja/powersync-kotlin#340
#[test]
fn what_others_write_arrives_while_an_upload_fails_and_the_upload_is_tried_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leading(&phone);
    let other = world.device("laptop").open();
    let broken = Rc::new(Cell::new(true));
    let (faults, still) = (Rc::clone(&phone.wire.faults), Rc::clone(&broken));
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if still.get() && request.path == "/push" {
            faults
                .borrow_mut()
                .push_back(("/push", Fault::Status(500, None)));
        }
    }));
    other.create(r#"{"title":"theirs"}"#);
    other.sync();
    live(&a, async {
        create(&a.engine, "ann", "ours").await;
        wait(&a, 2 * HOUR).await;
        assert_eq!(
            a.engine.entities().count("ann", "tasks").await.unwrap(),
            2,
            "the download goes on"
        );
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 1);
        broken.set(false);
        wait(&a, 2 * HOUR).await;
        assert_eq!(
            a.engine.pending().count("ann").await.unwrap(),
            0,
            "nobody had to write again"
        );
    });
    assert_eq!(shared(&world), ["ours", "theirs"]);
}

/// Users of Electric met this: a server that forgot where they were answered conflict and fetch
/// again without end. electric-sql/electric#3116, #1552, PR #3961
#[test]
fn a_server_that_knows_no_cursor_ends_the_cycle_after_a_few_requests() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let longest = Rc::new(RefCell::new((0, 0)));
    (0..50).for_each(|_| phone.fault("/pull", Fault::Status(410, None)));
    phone.requests();

    let seen = Rc::clone(&longest);
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        let mut seen = seen.borrow_mut();
        *seen = (
            seen.0 + 1,
            seen.1.max(request.path.len() + request.body.len()),
        );
    }));
    assert!(a.sync_with("{}").is_err());

    let (requests, bytes) = *longest.borrow();
    assert!(
        requests <= 5 && bytes < 1_000,
        "{requests} requests of up to {bytes} bytes"
    );
    assert_eq!(a.titles(), ["milk"], "and takes nothing away");
    phone.wire.faults.borrow_mut().clear();
    assert!(a.sync().is_success);
}
