//! Reported: rows that are missing, old, doubled or come back.
//! The table in `tests/README.md` lists every report with its tests.

use std::rc::Rc;

use crate::support::auto_sync::{AUTO, DAY, HOUR, leader_tab, wait, with_auto_sync};
use crate::support::calls::{shared, synchronize};
use crate::support::world::{Fault, World, id_of};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use futures_util::future::join;
use serde_json::Value;

const YEAR: i64 = 365 * DAY as i64;

/// Users of PouchDB reported: after days without a visit the database was empty, and the checkpoint
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

/// Users of WatermelonDB reported: where ids were the server's, a row that had been pushed came
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

/// Users of WatermelonDB reported: their own pushes came back as made by others.
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

/// Users of WatermelonDB reported: a row that was deleted soon after it was made came back.
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

/// Users of Legend-State reported: what happened while nobody was listening was never fetched.
/// LegendApp/legend-state#362, #583
#[test]
fn what_happened_while_a_device_was_away_is_there_after_one_cycle() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(AUTO),
        world.device("laptop"),
    );
    let (a, b) = (leader_tab(&phone), laptop.open());
    let kept = id_of(&b.create(r#"{"title":"kept"}"#));
    let gone = id_of(&b.create(r#"{"title":"gone"}"#));
    b.sync();
    a.sync();
    with_auto_sync(&a, async {
        a.engine.host().online.set(false);
        a.engine.network_changed(false);
        wait(&a, 3 * HOUR).await;
        for write in [
            Write::Patch {
                id: kept.clone(),
                changes: r#"{"title":"edited"}"#.to_owned(),
            },
            Write::Delete {
                id: gone.clone(),
                soft: false,
            },
            Write::Create {
                draft: r#"{"title":"new"}"#.to_owned(),
            },
        ] {
            b.engine
                .entities()
                .write("ann", "tasks", vec![write])
                .await
                .unwrap();
            synchronize(&b).await;
        }
        a.engine.host().online.set(true);
        a.engine.network_changed(true);
        a.engine
            .auto_sync()
            .signal(datum_sync::engine::auto_sync::Signal::Online);
        wait(&a, 60_000).await;
    });
    assert_eq!(a.titles(), ["edited", "new"]);
}

/// Users of TanStack DB reported: the fetch at a reconnect overtook the writes that were queued,
/// and what was shown jumped back. TanStack/db#1323
#[test]
fn a_pull_that_overtakes_a_queued_write_never_shows_the_old_value() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), world.device("laptop").open());
    let id = id_of(&a.create(r#"{"title":"old","note":""}"#));
    a.sync();
    b.sync();
    b.patch(&id, r#"{"note":"theirs"}"#);
    b.sync();
    a.patch(&id, r#"{"title":"new"}"#);
    let watching = a
        .run(a.engine.entities().watch("ann", "tasks", None, false))
        .unwrap();
    a.run(watching.next()).unwrap();
    let shown = std::cell::RefCell::new(Vec::new());
    phone.fault("/pull", Fault::Slow(100));
    phone.fault("/push", Fault::Slow(100));

    let options = serde_json::json!({ "direction": "pullThenPush" }).to_string();
    let cycle = async {
        let options = datum_sync::util::json::scan::parse(options.as_bytes()).unwrap();
        let options = datum_sync::model::checked_object::CheckedObject(&options);
        let options = datum_sync::model::config::Options::read(options);
        a.engine
            .synchronize("ann", options, None, Rc::default())
            .await
            .unwrap()
    };
    a.run(join(cycle, async {
        for _ in 0..30 {
            wait(&a, 10).await;
            let read: Value = serde_json::from_str(
                &a.engine
                    .entities()
                    .read("ann", "tasks", &id, false)
                    .await
                    .unwrap()
                    .unwrap(),
            )
            .unwrap();
            shown
                .borrow_mut()
                .push(read["title"].as_str().unwrap().to_owned());
            while let Some(Ok(Some(delta))) = watching.next().now_or_never() {
                assert!(!delta.items.contains("\"old\""), "{}", delta.items);
            }
        }
    }));

    assert!(
        shown.borrow().iter().all(|title| title == "new"),
        "{shown:?}"
    );
    let read = a.read(&id).unwrap();
    assert_eq!(
        (&read["title"], &read["note"], a.pending()),
        (&"new".into(), &"theirs".into(), 0)
    );
}

/// Users of dynos-sync reported: a cursor made of a device's clock passed over rows for ever.
/// dynos-fit/dynos-sync PR #93
#[test]
fn a_clock_that_is_wrong_by_a_year_passes_over_no_row() {
    for skew in [YEAR, -YEAR] {
        let world = World::new();
        let (a, b) = (world.device("phone").open(), world.device("laptop").open());
        a.engine.host().skew.set(skew);
        a.create(r#"{"title":"a"}"#);
        a.sync();
        b.create(r#"{"title":"b"}"#);
        b.sync();
        a.sync();
        b.create(r#"{"title":"c"}"#);
        b.sync();
        a.sync();
        assert_eq!(a.titles(), ["a", "b", "c"]);
        assert_eq!(b.titles(), a.titles());
    }
}

/// Users of gsd-task-manager reported: a time in the far future won every conflict for ever.
/// vscarpenter/gsd-task-manager PR #446
#[test]
fn a_write_from_the_far_future_does_not_win_for_ever() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    a.engine.host().skew.set(50 * YEAR);
    // Before it has heard of the server for the first time, nothing tells the phone what time it
    // is.
    let id = id_of(&a.create(r#"{"title":"from the future"}"#));
    a.sync();
    b.sync();
    for round in 0..3 {
        a.patch(&id, &format!(r#"{{"title":"phone {round}"}}"#));
        world.clock.advance(1_000);
        b.patch(&id, &format!(r#"{{"title":"laptop {round}"}}"#));
        [&a, &b, &a].iter().for_each(|tab| drop(tab.sync()));
        assert_eq!(
            a.read(&id).unwrap()["title"],
            format!("laptop {round}").as_str(),
            "the later write stands"
        );
        assert_eq!(b.read(&id).unwrap()["title"], a.read(&id).unwrap()["title"]);
    }
}
