//! Reported: writes that are lost.
//! The table in `tests/README.md` lists every report with its tests.

use std::rc::Rc;

use crate::support::auto_sync::{create, wait};
use crate::support::calls::{patch, pushed, shared, synchronize};
use crate::support::world::{Fault, World, id_of};
use datum_sync::model::error::Code;
use futures_util::future::join;
use serde_json::Value;

const ONE_TRY: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"excludedSyncUserIds":["guest"]}"#;

/// Users of Legend-State reported: rows were lost once their retries were used up and a later write
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

/// Users of Legend-State reported: writes of the visit before were forgotten where a sync ran
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

/// Users of Legend-State reported: of several entities made offline only the last was sent.
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

/// Users of TanStack DB reported: changed fields were not kept over a restart, and what was sent
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

/// Users of RxDB reported: a pause during a push that failed marked the documents as sent.
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

/// Users of RxDB reported: bulk writes in parallel overwrote each other. pubkey/rxdb#9145
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

/// Users of WatermelonDB reported: a record that was edited while its push was on its way lost
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
