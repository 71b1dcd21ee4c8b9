//! Reported: sync that stops and does not resume.
//! The table in `tests/README.md` lists every report with its tests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::support::auto_sync::{AUTO, DAY, HOUR, create, leader_tab, wait, with_auto_sync};
use crate::support::calls::shared;
use crate::support::world::{Fault, World, id_of};
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use serde_json::Value;

const ONE_TRY: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"excludedSyncUserIds":["guest"]}"#;

/// Users of PouchDB reported: a client stopped syncing for days, until its database was deleted.
/// apache/pouchdb#8298
#[test]
fn an_outage_of_days_ends_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    let out = Rc::new(Cell::new(true));
    let (faults, still) = (Rc::clone(&phone.remote.faults), Rc::clone(&out));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
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
    with_auto_sync(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 3 * DAY).await;
        let status = a.engine.status_hub("ann").unwrap().current();
        assert_eq!(
            (status.status, status.pending_operations),
            (SyncState::Failed, 1),
            "and it says so"
        );
        out.set(false);
        wait(&a, 2 * HOUR).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
    });
    assert_eq!(shared(&world), ["milk"]);
}

/// Users of Legend-State reported: one bad change blocked the queue, and nothing could remove it;
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

/// Users of PowerSync reported: while an upload failed nothing was downloaded, and it waited for
/// the next local write before it was tried again. powersync-ja/powersync-native#15,
/// powersync-ja/powersync-kotlin#340
#[test]
fn what_others_write_arrives_while_an_upload_fails_and_the_upload_is_tried_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    let other = world.device("laptop").open();
    let broken = Rc::new(Cell::new(true));
    let (faults, still) = (Rc::clone(&phone.remote.faults), Rc::clone(&broken));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if still.get() && request.path == "/push" {
            faults
                .borrow_mut()
                .push_back(("/push", Fault::Status(500, None)));
        }
    }));
    other.create(r#"{"title":"theirs"}"#);
    other.sync();
    with_auto_sync(&a, async {
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

/// Users of Electric reported: a server that forgot where they were answered conflict and fetch
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
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
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
    phone.remote.faults.borrow_mut().clear();
    assert!(a.sync().is_success);
}

/// Users of Dexie, PouchDB and others reported: a full disk was a nameless failure, after which the
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
        (SyncState::Failed, Code::StorageFull),
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

/// Users of PouchDB reported: a refused token was invisible to an app whose sync runs by itself, so
/// that it could not show its login. apache/pouchdb#5172, #4276,
/// pouchdb-community/pouchdb-authentication#156
#[test]
fn an_app_whose_sync_runs_by_itself_hears_of_a_refused_token() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    (0..9).for_each(|_| phone.fault("/push", Fault::Status(401, None)));
    with_auto_sync(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 30_000).await;
    });
    let status = a.engine.status_hub("ann").unwrap().current();
    let error = status.errors.last().unwrap();
    assert_eq!(
        (status.status, error.code, error.status, error.retryable),
        (SyncState::Failed, Code::Unauthorized, Some(401), false)
    );
    assert_eq!(status.pending_operations, 1);
}
