//! What users of other sync engines met and reported, as stories of this one: several tabs,
//! storage, clocks and sign-ins. The table in `tests/README.md` says which complaint is answered
//! where.
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

use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::error::Code;
use datum_sync::model::status::State;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use futures_util::future::join;
use serde_json::Value;
use support::live::{AUTO, DAY, HOUR, create, leading, live, wait};
use support::world::{Fault, Tab, World};

const YEAR: i64 = 365 * DAY as i64;

fn id_of(task: &Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

/// The titles that another device of the same user gets from the server.
fn shared(world: &World) -> Vec<String> {
    let reader = world.device("reader").open();
    reader.sync();
    reader.titles()
}

async fn synchronize(tab: &Tab) {
    let _ = tab
        .engine
        .synchronize(&tab.user, Default::default(), None, Rc::default())
        .await;
}

/// Users of LiveStore met this: after another tab had taken the lead, the count of what waits never
/// came to zero. livestorejs/livestore#954
#[test]
fn what_a_closed_tab_was_sending_is_settled_by_the_next_and_waits_nowhere() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Slow(1_000));
    a.run(join(synchronize(&a), async {
        wait(&a, 500).await;
        a.engine.close().await;
    }));

    let result = b.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!(
        (
            b.pending(),
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .pending_operations
        ),
        (0, 0)
    );
    assert_eq!(
        (phone.open().pending(), shared(&world)),
        (0, vec!["milk".to_owned()])
    );
}

/// Users of Legend-State met this: what happened while nobody was listening was never fetched.
/// LegendApp/legend-state#362, #583
#[test]
fn what_happened_while_a_device_was_away_is_there_after_one_cycle() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(AUTO),
        world.device("laptop"),
    );
    let (a, b) = (leading(&phone), laptop.open());
    let kept = id_of(&b.create(r#"{"title":"kept"}"#));
    let gone = id_of(&b.create(r#"{"title":"gone"}"#));
    b.sync();
    a.sync();
    live(&a, async {
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

/// Users of TanStack DB met this: the fetch at a reconnect overtook the writes that were queued,
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
        let members = datum_sync::model::object_reader::ObjectReader::new(
            &options,
            Code::InvalidArgument,
            "The options",
        )
        .unwrap();
        let options = datum_sync::model::config::Options::read(members).unwrap();
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

/// Users of LiveStore and TanStack DB met this: two tabs that started together stalled, and a tab
/// that did not lead had no queue. livestorejs/livestore#763, TanStack/db#1486, TanStack/db#865
#[test]
fn two_tabs_that_start_together_both_write_and_both_sync() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.run(join(
        create(&a.engine, "ann", "left"),
        create(&b.engine, "ann", "right"),
    ));
    a.run(join(synchronize(&a), synchronize(&b)));
    a.run(join(synchronize(&a), synchronize(&b)));

    assert_eq!(
        (a.titles(), a.pending()),
        (vec!["left".to_owned(), "right".to_owned()], 0)
    );
    assert_eq!((b.titles(), b.pending()), (a.titles(), 0));
    assert_eq!(shared(&world), a.titles());
}

/// Users of Dexie, PouchDB and others met this: a full disk was a nameless failure, after which the
/// sync had stopped in silence. dexie/Dexie.js#776, #840, apache/pouchdb#4531,
/// vrtmrz/obsidian-livesync#254
#[test]
fn a_full_disk_is_named_and_the_sync_goes_on_when_there_is_room() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), world.device("laptop").open());
    b.create(r#"{"title":"theirs"}"#);
    b.sync();
    phone
        .store()
        .failing
        .borrow_mut()
        .extend([Code::StorageFull; 8]);

    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::StorageFull);
    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.status, status.errors.last().unwrap().code),
        (State::Failed, Code::StorageFull),
        "and whoever watches is told"
    );

    phone.store().failing.borrow_mut().clear();
    assert!(a.sync().is_success);
    assert_eq!(
        a.titles(),
        ["theirs"],
        "the cursor had not gone on without its rows"
    );
}

/// Users of PouchDB met this: a refused token was invisible to an app whose sync runs by itself, so
/// that it could not show its login. apache/pouchdb#5172, #4276,
/// pouchdb-community/pouchdb-authentication#156
#[test]
fn an_app_whose_sync_runs_by_itself_hears_of_a_refused_token() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leading(&phone);
    (0..9).for_each(|_| phone.fault("/push", Fault::Status(401, None)));
    live(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 30_000).await;
    });
    let status = a.engine.status_hub("ann").unwrap().current();
    let error = status.errors.last().unwrap();
    assert_eq!(
        (status.status, error.code, error.status, error.retryable),
        (State::Failed, Code::Unauthorized, Some(401), false)
    );
    assert_eq!(status.pending_operations, 1);
}

/// Users of RxDB met this: removing a database left its checkpoints behind; those of Dexie, that a
/// logout did not push first. pubkey/rxdb#3319, dexie/Dexie.js#2019
#[test]
fn a_user_who_was_wiped_has_pushed_before_and_pulls_everything_at_the_next_sign_in() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    a.create(r#"{"title":"tea"}"#);
    let left = a
        .run(a.engine.users().logout(
            "ann",
            LogoutOptions {
                wipe: true,
                ..LogoutOptions::default()
            },
        ))
        .unwrap();
    assert_eq!((left.flushed, phone.disk.stores.borrow().len()), (1, 0));

    let again = phone.open();

    assert_eq!(
        (again.sync().pulled_count, again.titles()),
        (2, vec!["milk".to_owned(), "tea".to_owned()])
    );
}

/// Users of dynos-sync met this: a cursor made of a device's clock passed over rows for ever.
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

/// Users of gsd-task-manager met this: a time in the far future won every conflict for ever.
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
