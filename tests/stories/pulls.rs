//! Pulls: pages, full pulls and cursors that the server has forgotten.

use std::rc::Rc;

use crate::support::world::{Device, Fault, World};
use datum_sync::model::config::Options;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use futures_util::future::join;
use serde_json::Value;

#[test]
fn many_rows_come_in_few_transactions_with_a_record_and_few_bodies_each() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let drafts = (0..2500)
        .map(|n| datum_sync::plan::write::Write::Create {
            draft: format!(r#"{{"title":"task {n}","notes":"{}"}}"#, "x".repeat(200)),
        })
        .collect();
    a.run(a.engine.entities().write("ann", "tasks", drafts))
        .unwrap();
    a.sync();
    let before = laptop.counts();

    let result = b.sync();

    assert_eq!(result.pulled_count, 2500);
    let after = laptop.counts();
    // Two pages, the second a longer one, each one transaction with a record and two bodies, since
    // one of more than 240 KiB would be slow; and the end of the cycle.
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.records - before.records
        ),
        (3, 7)
    );
    assert_eq!(b.titles().len(), 2500);
    assert_eq!(
        b.run(b.engine.entities().count("ann", "tasks")).unwrap(),
        2500
    );
}

#[test]
fn a_forced_full_sync_drops_what_the_server_does_not_have_any_more() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let gone = a.create(r#"{"title":"gone"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.create(r#"{"title":"stays"}"#);
    a.sync();
    b.sync();
    a.delete(&gone);
    a.sync();
    world.server.purge_tombstones().unwrap();
    b.create(r#"{"title":"mine"}"#);

    let result = b
        .sync_with(r#"{"direction":"pullThenPush","forceFullSync":true}"#)
        .unwrap();

    assert!(result.is_success, "{result:?}");
    assert_eq!(b.titles(), ["mine", "stays"]);
}

#[test]
fn a_cursor_that_the_server_has_forgotten_leads_to_a_full_pull() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let gone = a.create(r#"{"title":"gone"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.create(r#"{"title":"stays"}"#);
    a.sync();
    b.sync();
    a.delete(&gone);
    a.sync();
    world.server.purge_tombstones().unwrap();

    assert!(b.sync().is_success);

    assert_eq!(b.titles(), ["stays"]);
}

/// The pulls that arrive at the server, each with what `look` says at that moment.
fn watch_pulls<T: 'static>(
    device: &Device,
    look: impl Fn(&Value) -> T + 'static,
) -> Rc<std::cell::RefCell<Vec<T>>> {
    let seen: Rc<std::cell::RefCell<Vec<T>>> = Rc::default();
    let kept = Rc::clone(&seen);
    *device.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/pull" {
            let asked = serde_json::from_slice(&request.body).unwrap();
            kept.borrow_mut().push(look(&asked));
        }
    }));
    seen
}

fn with_tasks(count: usize) -> World {
    let world = World::new();
    let laptop = world.device("laptop").open();
    let drafts = (0..count).map(|n| Write::Create {
        draft: format!(r#"{{"n":{n}}}"#),
    });
    let write = laptop.engine.entities();
    laptop
        .run(write.write("ann", "tasks", drafts.collect()))
        .unwrap();
    laptop.sync();
    world
}

#[test]
fn the_next_page_is_asked_for_before_the_rows_of_this_one_are_read() {
    let world = with_tasks(2_500);
    let device = world.device("phone");
    let phone = device.open();
    let host = phone.engine.host();
    // Each slice of rows takes longer than a page may be read at once.
    host.work_ms.set(8);
    let yields = Rc::clone(&host.yields);
    let pauses = watch_pulls(&device, move |_| yields.get());

    assert!(phone.sync_with("{}").unwrap().is_success);

    let pauses = pauses.take();
    assert_eq!(phone.titles().len(), 2_500);
    assert!(
        pauses.len() > 1 && pauses[1] < 2,
        "the first page was read in {pauses:?} pauses when the second was asked for"
    );
}

#[test]
fn a_page_that_names_two_cursors_is_followed_by_the_one_of_the_last() {
    let world = with_tasks(3);
    let device = world.device("phone");
    let phone = device.open();
    let asked = watch_pulls(&device, |asked| asked["cursor"].clone());
    let row = |n: u32| {
        format!(r#"{{"entity":"tasks","id":"{n}","version":{n},"data":{{"title":"{n}"}}}}"#)
    };
    let page = format!(
        r#"{{"cursor":"first","more":true,"changes":[{}],"cursor":"last"}}"#,
        row(1)
    );
    let wrong = format!(r#"{{"cursor":"lost","more":false,"changes":[{}]}}"#, row(9));
    let right = format!(r#"{{"cursor":"end","more":false,"changes":[{}]}}"#, row(2));
    for answer in [page, wrong, right] {
        device.fault("/pull", Fault::Answered(answer));
    }

    assert!(
        phone
            .sync_with(r#"{"direction":"pullOnly"}"#)
            .unwrap()
            .is_success
    );

    assert_eq!(asked.take(), [Value::Null, "first".into(), "last".into()]);
    assert_eq!(
        phone.titles(),
        ["1", "2"],
        "what followed the first is no part of it"
    );
}

#[test]
fn where_every_longer_page_breaks_off_rows_come_one_by_one() {
    let world = with_tasks(1_200);
    let device = world.device("phone");
    let phone = device.open();
    let asked = watch_pulls(&device, |asked| asked["limit"].as_u64().unwrap());
    for _ in 0..6 {
        device.fault("/pull", Fault::Cut(3_000));
    }

    assert!(phone.sync_with("{}").unwrap().is_success);

    assert!(asked.take().contains(&1));
    assert_eq!(phone.titles().len(), 1_200);
}

#[test]
fn a_page_that_breaks_off_after_its_head_is_asked_for_again() {
    let world = with_tasks(2_500);
    let device = world.device("phone");
    let phone = device.open();
    device.fault("/pull", Fault::Cut(20_000));

    assert!(phone.sync_with("{}").unwrap().is_success);

    assert_eq!(phone.titles().len(), 2_500);
}

#[test]
fn a_long_page_is_read_in_slices_where_reading_takes_its_time() {
    let world = with_tasks(1_000);
    for (work_ms, at_least) in [(0, 0), (8, 7)] {
        let a = world.device(&format!("phone {work_ms}")).open();
        a.engine.host().work_ms.set(work_ms);

        assert!(
            a.sync_with(r#"{"direction":"pullOnly"}"#)
                .unwrap()
                .is_success
        );

        let yields = a.engine.host().yields.get();
        assert!(
            yields >= at_least && (work_ms > 0 || yields == 0),
            "{yields} of {at_least}"
        );
        assert_eq!(a.titles().len(), 1_000, "nothing of it is left out");
    }
}

#[test]
fn pages_grow_where_they_come_quickly_and_nobody_has_said_how_long_they_are() {
    let world = with_tasks(7_500);
    let limits_of = |name: &str, prepare: &dyn Fn(&Device), options: &str| {
        let device = world.device(name);
        prepare(&device);
        let limits = watch_pulls(&device, |asked| asked["limit"].as_u64().unwrap());
        let tab = device.open();
        assert!(tab.sync_with(options).unwrap().is_success);
        assert_eq!(tab.titles().len(), 7_500);
        limits.take()
    };
    assert_eq!(
        limits_of("quick", &|_| {}, "{}"),
        [1_000, 2_000, 4_000, 4_000]
    );
    assert_eq!(
        limits_of(
            "slow at first",
            &|device| device.fault("/pull", Fault::Slow(1_000)),
            "{}"
        ),
        [1_000, 1_000, 2_000, 4_000]
    );
    assert_eq!(
        limits_of("asked", &|_| {}, r#"{"overrideBatchSize":2500}"#),
        [2_500, 2_500, 2_500]
    );
    assert_eq!(
        limits_of(
            "an adapter",
            &|device| device.remote.takes_any_limit.set(false),
            "{}"
        ),
        [1_000; 8]
    );
}

#[test]
fn of_a_row_that_a_page_has_twice_the_greatest_version_counts() {
    let world = World::new();
    let device = world.device("phone");
    let tab = device.open();
    device.fault("/pull", Fault::Answered(
        r#"{"changes":[
            {"entity":"tasks","id":"a","version":5,"data":{"title":"new","createdAt":"2026-01-01T00:00:00.000Z","modifiedAt":"2026-01-01T00:00:00.000Z"}},
            {"entity":"tasks","id":"b","version":3.0,"data":{"title":"b","createdAt":"2026-01-01T00:00:00.000Z","modifiedAt":"2026-01-01T00:00:00.000Z"}},
            {"entity":"tasks","id":"a","version":2,"data":{"title":"old","createdAt":"2026-01-01T00:00:00.000Z","modifiedAt":"2026-01-01T00:00:00.000Z"}},
            {"entity":"tasks","id":"b","version":1,"deleted":true}
        ],"cursor":"c","more":false}"#.to_owned(),
    ));
    tab.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(tab.titles(), ["b", "new"]);
}

/// It writes every row anew, and none looks older than the pull afterwards.
#[test]
fn a_full_pull_drops_what_the_server_does_not_have_though_a_compaction_overtakes_it() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    b.create(r#"{"id":"gone","title":"gone"}"#);
    b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    a.create(r#"{"id":"stays","title":"stays"}"#);
    a.sync();
    a.delete("gone");
    a.sync();
    let mut page = full_page(&world);
    // No drift check mends what the pull has missed.
    page.as_object_mut().unwrap().remove("digests");
    laptop.fault("/pull", Fault::AnsweredLate(page.to_string(), 1_000));
    let user = b.engine.opened("ann").unwrap();
    let compaction = async {
        world.clock.sleep(500).await;
        user.db.checkpoint().await.unwrap();
    };
    let pull = (b.engine).synchronize("ann", Options::default(), None, Rc::default());

    let (pulled, ()) = b.run(join(pull, compaction));

    assert!(pulled.unwrap().is_success);
    assert_eq!(b.titles(), ["stays"]);
}

/// The page that a device without a cursor gets.
fn full_page(world: &World) -> Value {
    let request = r#"{"clientId":"x","schema":0,"entities":["tasks"],"limit":100}"#;
    let (status, page) =
        (world.server).handle("ann", "POST", "/sync/v1/pull", request.as_bytes(), 0);
    assert_eq!(status, 200);
    serde_json::from_slice(&page).unwrap()
}

#[test]
fn a_page_does_not_meet_a_pending_edit_while_a_part_of_the_engine_is_missing() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"first"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    let host = b.engine.host();
    host.lacks_part.set(true);
    b.sync();
    assert_eq!(
        b.titles(),
        ["first"],
        "a pull without pending edits needs none"
    );
    a.patch(&id, r#"{"title":"theirs"}"#);
    a.sync();
    b.patch(&id, r#"{"note":"mine"}"#);

    let error = b.sync_with(r#"{"direction":"pullOnly"}"#).unwrap_err();

    assert_eq!(error.code(), Code::Network);
    assert_eq!((b.titles(), b.pending()), (vec!["first".to_owned()], 1));
    host.lacks_part.set(false);
    b.sync();
    let row = b.read(&id).unwrap();
    assert_eq!(
        (row["title"].as_str(), row["note"].as_str()),
        (Some("theirs"), Some("mine"))
    );
}

#[test]
fn a_verdict_does_not_meet_its_operation_while_a_part_of_the_engine_is_missing() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"task","title":"first"}"#);
    a.sync();
    b.sync();
    let host = b.engine.host();
    host.lacks_part.set(true);
    b.create(r#"{"id":"other","title":"mine alone"}"#);
    b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(b.pending(), 0, "a push that is applied needs none");
    a.patch("task", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("task", r#"{"note":"mine"}"#);

    let error = b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();

    assert_eq!(error.code(), Code::Network);
    assert_eq!(b.pending(), 1);
    assert!(b.conflicts().is_empty());
    host.lacks_part.set(false);
    b.sync();
    let row = b.read("task").unwrap();
    assert_eq!(
        (row["title"].as_str(), row["note"].as_str()),
        (Some("theirs"), Some("mine"))
    );
}

#[test]
fn a_part_of_the_engine_that_never_comes_ends_a_cycle_with_its_timeout() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"task","title":"first"}"#);
    a.sync();
    b.sync();
    a.patch("task", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("task", r#"{"note":"mine"}"#);
    let host = b.engine.host();
    host.stalls_part.set(true);
    // Before rows meet a pending edit, and after a failure.
    for fault in [None, Some(Fault::Status(500, None))] {
        if let Some(fault) = fault {
            laptop.fault("/pull", fault);
        }
        let options = r#"{"direction":"pullOnly","timeout":5000}"#;
        assert_eq!(b.sync_with(options).unwrap_err().code(), Code::Timeout);
    }
    host.stalls_part.set(false);
    assert!(b.sync().is_success);
    assert_eq!((b.titles(), b.pending()), (vec!["theirs".to_owned()], 0));
}
