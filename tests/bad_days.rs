//! Bad days: lost storage, refusals, broken replies, tabs and users beside each other. The same
//! engine and rules as in `stories`, with faults.
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

use std::cell::RefCell;
use std::rc::Rc;

use datum_sync::conflict::Resolution;
use datum_sync::engine::cycle::resolve::Resolvers;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::status::HealthState;
use datum_sync::plan::write::Write;
use support::world::{Asked, Fault, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

fn id_of(task: &serde_json::Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_write_that_the_storage_refuses_leaves_nothing() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    phone
        .store()
        .failing
        .borrow_mut()
        .push_back(Code::StorageFull);

    let error = a
        .write(
            "tasks",
            Write::Create {
                draft: r#"{"title":"milk"}"#.to_owned(),
            },
        )
        .unwrap_err();

    assert_eq!(error.code(), Code::StorageFull);
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
    assert_eq!(phone.open().titles().len(), 0);
    a.create(r#"{"title":"tea"}"#);
    assert_eq!(a.titles(), ["tea"]);
}

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

#[test]
fn a_pull_that_breaks_off_leaves_a_clean_prefix() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone"),
        world.device("laptop").with_config(ONE_TRY),
    );
    let (a, b) = (phone.open(), laptop.open());
    for n in 0..9 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    a.sync();
    // The second page is being fetched while the first is committed.
    laptop.fault("/pull", Fault::Slow(1));
    laptop.fault("/pull", Fault::Lost);

    let error = b.sync_with(r#"{"overrideBatchSize":3}"#).unwrap_err();
    assert_eq!(error.code(), Code::Network);
    let reopened = laptop.open();
    assert_eq!(reopened.titles().len(), 3);
    laptop.requests();
    let result = reopened.sync_with(r#"{"overrideBatchSize":3}"#).unwrap();

    assert_eq!((result.pulled_count, reopened.titles().len()), (6, 9));
}

#[test]
fn a_resolver_that_fails_parks_the_conflict() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let failing = Resolvers {
        fallback: Some(Rc::new(Asked(|_: &_| {
            Err(Error::new(Code::Conflict, "no idea"))
        }))),
        ..Resolvers::default()
    };
    let (a, b) = (phone.open(), laptop.open_with(failing));
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    b.sync();
    a.patch(&id, r#"{"title":"theirs"}"#);
    b.patch(&id, r#"{"title":"mine"}"#);
    a.sync();

    let result = b.sync();

    assert!(!result.is_success);
    assert_eq!(
        (
            result.conflicts_detected,
            result.conflicts_resolved,
            result.pending_operations
        ),
        (1, 0, 1)
    );
    assert_eq!(
        b.read(&id).unwrap()["title"],
        "mine",
        "the local write is still what the app sees"
    );
    assert_eq!(
        b.engine
            .status_hub("ann")
            .unwrap()
            .current()
            .unresolved_conflicts,
        1
    );
    assert_eq!(
        b.sync().conflicts_detected,
        0,
        "a parked conflict is not found again"
    );
    assert_eq!(laptop.open().pending(), 1);
}

#[test]
fn an_apps_resolver_decides_with_base_and_both_sides_at_hand() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let joined = Asked(|conflict: &datum_sync::conflict::Conflict| {
        let title = |body: &Option<Rc<str>>| {
            serde_json::from_str::<serde_json::Value>(body.as_deref().unwrap()).unwrap()["title"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(title(&conflict.base), "milk");
        assert_eq!(conflict.fields, ["title"]);
        Ok(Resolution::Merged(Rc::from(format!(
            r#"{{"title":"{} and {}"}}"#,
            title(&conflict.remote),
            title(&conflict.local)
        ))))
    });
    let (a, b) = (
        phone.open(),
        laptop.open_with(Resolvers {
            fallback: Some(Rc::new(joined)),
            ..Resolvers::default()
        }),
    );
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    b.sync();
    a.patch(&id, r#"{"title":"tea"}"#);
    b.patch(&id, r#"{"title":"rice"}"#);
    a.sync();

    assert!(b.sync().is_success);
    a.sync();

    assert_eq!(a.read(&id).unwrap()["title"], "tea and rice");
    assert_eq!(a.read(&id), b.read(&id));
}

#[test]
fn each_builtin_resolver_keeps_what_its_name_says() {
    for (resolver, expected) in [
        ("localPriority", "mine"),
        ("remotePriority", "theirs"),
        ("lastWriteWins", "mine"),
        ("merge", "mine"),
    ] {
        let world = World::new();
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (a, b) = (phone.open(), laptop.open());
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        a.sync();
        b.sync();
        a.patch(&id, r#"{"title":"theirs"}"#);
        b.patch(&id, r#"{"title":"mine"}"#);
        a.sync();
        b.sync_with(&format!(r#"{{"conflictResolver":"{resolver}"}}"#))
            .unwrap();
        a.sync();
        assert_eq!(a.read(&id).unwrap()["title"], expected, "{resolver}");
        assert_eq!(a.read(&id), b.read(&id), "{resolver}");
    }
}

#[test]
fn two_tabs_write_to_one_log() {
    let world = World::new();
    let phone = world.device("phone");
    let (one, two) = (phone.open(), phone.open());
    let id = id_of(&one.create(r#"{"title":"milk","done":false}"#));

    two.create(r#"{"title":"tea"}"#);
    two.patch(&id, r#"{"title":"oat milk"}"#);
    one.patch(&id, r#"{"done":true}"#);

    let head = two
        .run(two.engine.user("ann"))
        .unwrap()
        .db
        .read(|replica| replica.head());
    two.run(two.engine.on_head("ann", head + 1)).unwrap();
    for tab in [&one, &two] {
        assert_eq!(tab.titles(), ["oat milk", "tea"]);
        assert_eq!(tab.read(&id).unwrap()["done"], true);
    }
    assert!(
        one.run(one.engine.user("ann")).unwrap().db.counts().stale > 0,
        "they did meet"
    );
    assert!(one.sync().is_success);
    two.sync();
    assert_eq!(
        (one.pending(), two.pending(), world.server.rows("ann").len()),
        (0, 0, 2)
    );
}

#[test]
fn users_do_not_see_each_other() {
    let world = World::new();
    let (anns, bobs) = (
        world.device_of("ann", "phone"),
        world.device_of("bob", "laptop"),
    );
    let (ann, bob) = (anns.open(), bobs.open());
    ann.create(r#"{"title":"private"}"#);
    ann.sync();
    bob.sync();
    assert_eq!(bob.titles().len(), 0);
    assert_eq!(
        ann.run(ann.engine.entities().read_all("bob", "tasks", false))
            .unwrap(),
        "[]"
    );
    let error = ann
        .write(
            "tasks",
            Write::Create {
                draft: r#"{"userId":"bob","title":"x"}"#.to_owned(),
            },
        )
        .unwrap_err();
    assert_eq!(error.code(), Code::UserMismatch);
    for bad in ["", "a\u{7}b"] {
        assert_eq!(
            ann.run(ann.engine.pending().count(bad)).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}

#[test]
fn a_drift_is_mended_by_one_full_pull() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    b.sync();
    // A segment that cannot be read any more: its row goes, and the digests differ.
    let user = b.run(b.engine.user("ann")).unwrap();
    b.run(user.db.record(
        datum_sync::model::config::storage::Durability::Strict,
        &|_| {
            vec![datum_sync::log::commit::Event::Sweep {
                before: u64::MAX,
                entities: None,
            }]
        },
    ))
    .unwrap();
    assert!(b.read(&id).is_none());

    let result = b.sync();

    assert!(result.is_success, "{result:?}");
    assert_eq!(b.read(&id).unwrap()["title"], "milk");
}

#[test]
fn a_restored_server_leads_to_a_fresh_pull() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"title":"old"}"#);
    a.sync();
    let backup = world.server.backup();
    a.create(r#"{"title":"new"}"#);
    a.sync();
    b.sync();
    world.server.restore(&backup);
    world.server.set_epoch("epoch-2").unwrap();

    assert!(b.sync().is_success);

    assert_eq!(b.titles(), ["old"]);
}

#[test]
fn a_segment_that_is_damaged_is_set_aside_and_fetched_again() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let drafts = (0..50)
        .map(|n| Write::Create {
            draft: format!(r#"{{"title":"task {n:02}","text":"{}"}}"#, "x".repeat(200)),
        })
        .collect();
    a.run(a.engine.entities().write("ann", "tasks", drafts))
        .unwrap();
    a.sync();
    b.sync();
    b.create(r#"{"title":"mine"}"#);
    laptop.store().damaged.set(true);

    let reopened = laptop.open();
    assert_eq!(
        reopened.titles(),
        ["mine"],
        "what cannot be read is not made up"
    );
    assert_eq!(reopened.pending(), 1);
    laptop.store().damaged.set(false);
    assert!(reopened.sync().is_success);

    assert_eq!(reopened.titles().len(), 51);
}

#[test]
fn a_remote_that_cannot_keep_metadata_does_not_spoil_a_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/metadata", Fault::Status(500, None));

    let result = a.sync();

    assert!(result.is_success && result.error.is_none(), "{result:?}");
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().errors.len(),
        1,
        "it is shown all the same"
    );
    phone.requests();
    a.sync();
    assert!(
        phone.requests().contains(&"PUT /metadata".to_owned()),
        "and made up for"
    );
}

#[test]
fn a_refused_token_leaves_the_queue_intact_and_the_next_sign_in_sends_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    let hub = a.engine.status_hub("ann").unwrap();
    for path in ["/push", "/pull"] {
        phone.requests();
        phone.fault(path, Fault::Status(401, None));
        let options = if path == "/pull" {
            r#"{"direction":"pullThenPush"}"#
        } else {
            "{}"
        };
        let error = a.sync_with(options).unwrap_err();

        assert_eq!(
            (error.code(), error.is_retryable()),
            (Code::Unauthorized, false)
        );
        assert_eq!(
            phone.requests().len(),
            1,
            "a token that was refused is not tried again"
        );
        assert_eq!((a.pending(), a.titles()), (1, vec!["milk".to_owned()]));
        assert_eq!(hub.current().health.status, HealthState::Unauthorized);
    }
    a.patch(&id, r#"{"title":"oat milk"}"#);

    let result = a.sync();

    assert!(result.is_success && a.pending() == 0, "{result:?}");
    assert_eq!(hub.current().health.status, HealthState::Healthy);
    assert_eq!(world.server.rows("ann").len(), 1);
}

#[test]
fn a_delete_is_not_cancelled_with_a_create_that_another_tab_has_sent() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    phone.fault("/push", Fault::ReplyLost);
    b.sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();

    assert!(a.delete(&id));
    let result = a.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert!(laptop.titles().is_empty());
}

#[test]
fn a_device_does_not_lose_its_later_write_to_its_own_earlier_one() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    // The clock is far ahead when the first write is stamped, and right when the second is.
    a.engine.host().skew.set(13_000_000);
    let id = id_of(&a.create(r#"{"title":"first","n":1}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    // The other tab sends it; the answer is lost for good.
    phone.fault("/push", Fault::ReplyLost);
    b.sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();
    a.engine.host().skew.set(0);

    a.patch(&id, r#"{"title":"second"}"#);
    let result = a.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!((a.titles(), a.pending()), (vec!["second".to_owned()], 0));
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.titles(), ["second"]);
}

#[test]
fn a_write_that_is_synced_while_a_first_pull_is_on_its_way_never_disappears() {
    let world = World::new();
    let phone = world.device("phone");
    // A browser without locks: both tabs sync at once.
    let mut beside = world.device("phone");
    (beside.disk, beside.wire) = (phone.disk.clone(), phone.wire.clone());
    let (a, b) = (phone.open(), beside.open());
    // Asked for before the write, and answered after it was pushed.
    phone.fault("/pull", Fault::LazyRows(20_000));
    let store = phone.store().inner;
    let there = Rc::new(RefCell::new(Vec::new()));
    let (seen, key) = (
        Rc::clone(&there),
        datum_sync::model::entity::Key::new("tasks", "t"),
    );
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |_| {
        let mut replica = datum_sync::state::replica::Replica::new("ann", u64::MAX);
        for (seq, record) in
            &pollster::block_on(datum_sync::ports::store::Store::load(&store.reopen())).unwrap()
        {
            replica.apply_record(*seq, record).unwrap();
        }
        seen.borrow_mut().push(replica.view(&key).is_some());
    }));

    let meanwhile = async {
        datum_sync::ports::host::Host::sleep(b.engine.host(), 100).await;
        b.engine
            .entities()
            .write(
                "ann",
                "tasks",
                vec![Write::Create {
                    draft: r#"{"id":"t","title":"milk"}"#.to_owned(),
                }],
            )
            .await
            .unwrap();
        b.engine
            .synchronize(
                "ann",
                datum_sync::model::config::Options::default(),
                None,
                Rc::default(),
            )
            .await
    };
    let cycle = a.engine.synchronize(
        "ann",
        datum_sync::model::config::Options::default(),
        None,
        Rc::default(),
    );
    let (one, two) = a.run(futures_util::future::join(cycle, meanwhile));

    assert!(one.unwrap().is_success && two.unwrap().is_success);
    assert_eq!(
        there.borrow().iter().position(|there| *there),
        Some(1),
        "it is there from the push on"
    );
    assert!(
        there.borrow().iter().skip(1).all(|there| *there),
        "{there:?}"
    );
    assert_eq!(a.titles(), ["milk"]);
}

#[test]
fn a_clock_that_is_wrong_by_a_day_decides_nothing() {
    for skew in [-86_400_000, 86_400_000] {
        let world = World::new();
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (a, b) = (phone.open(), laptop.open());
        a.engine.host().skew.set(skew);
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        a.sync();
        b.sync();
        b.patch(&id, r#"{"title":"first"}"#);
        world.clock.advance(60_000);
        a.patch(&id, r#"{"title":"second"}"#);
        b.sync();
        a.sync();
        assert_eq!(
            a.read(&id).unwrap()["title"],
            "second",
            "off by {skew}: the later write wins"
        );
        a.patch(&id, r#"{"title":"third"}"#);
        world.clock.advance(60_000);
        b.sync();
        b.patch(&id, r#"{"title":"fourth"}"#);
        b.sync();
        a.sync();
        assert_eq!(
            a.read(&id).unwrap()["title"],
            "fourth",
            "off by {skew}: the earlier write loses"
        );
    }
}

#[test]
fn a_create_that_arrives_after_its_delete_makes_nothing() {
    for edited in [false, true] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, b) = (phone.open(), phone.open());
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        b.run(b.engine.on_head("ann", 1)).unwrap();
        // The other tab sends it, and the request takes its time.
        let late = b.engine.pending().unload_request("ann").unwrap();
        if edited {
            a.patch(&id, r#"{"title":"tea"}"#);
            a.sync();
        }
        a.delete(&id);
        assert!(a.sync().is_success);

        let (status, _) = world.server.handle(
            "ann",
            "POST",
            "/sync/v1/push",
            late.as_bytes(),
            world.clock.now(),
        );

        assert_eq!(status, 200);
        assert!(
            world
                .server
                .rows("ann")
                .iter()
                .all(|row| row.data.is_none()),
            "it is deleted, edited before: {edited}"
        );
        assert!(a.sync().is_success && b.sync().is_success);
        assert_eq!((a.titles().len(), b.titles().len(), a.pending()), (0, 0, 0));
    }
}
