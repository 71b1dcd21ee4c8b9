//! Conflicts between real devices: counters that lose no change and count none twice, deletes
//! against edits, and the explanation of what was decided.
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

use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::cycle::resolve::{Resolver, Resolvers};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::config::{Direction, Options};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::{Value, json};
use support::world::{Asked, Device, Fault, Tab, World};

const SUMS: &str = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum","tags":"union"}},"notes":{}},"retry":{"maxAttempts":1}}"#;

fn summing(world: &World, name: &str) -> Device {
    world.device(name).with_config(SUMS)
}

fn n(tab: &Tab) -> i64 {
    tab.read("t").unwrap()["n"].as_i64().unwrap()
}

fn add(tab: &Tab, more: i64) {
    tab.patch("t", &json!({ "n": n(tab) + more }).to_string());
}

fn resolvers(resolver: impl Resolver + 'static) -> Resolvers {
    Resolvers {
        fallback: Some(Rc::new(resolver)),
        ..Resolvers::default()
    }
}

/// Both devices have `t`; the first has pushed an edit of it, and the second has one that waits.
fn clash(a: &Tab, b: &Tab) {
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("t", r#"{"title":"mine","n":2}"#);
}

#[test]
fn two_devices_that_add_the_same_to_the_same_are_both_counted() {
    for direction in ["pushThenPull", "pullThenPush", "pullOnly"] {
        let world = World::new();
        let (a, b) = (
            summing(&world, "phone").open(),
            summing(&world, "laptop").open(),
        );
        a.create(r#"{"id":"t","n":1}"#);
        a.sync();
        b.sync();
        add(&a, 1);
        add(&b, 1);
        a.sync();
        b.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
            .unwrap();
        b.sync();
        a.sync();
        assert_eq!((n(&a), n(&b), b.pending()), (3, 3, 0), "{direction}");
        let told = b.explained("t");
        assert_eq!(
            (told.len(), &told[0]["fields"][0]["because"]),
            (1, &"`sum`: both changes were added.".into())
        );
    }
}

#[test]
fn a_change_whose_answer_was_lost_is_not_counted_twice() {
    for direction in ["pushThenPull", "pullThenPush", "pullOnly"] {
        let world = World::new();
        let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
        let (a, b) = (phone.open(), laptop.open());
        a.create(r#"{"id":"t","n":1}"#);
        a.sync();
        b.sync();
        add(&b, 10);
        laptop.fault("/push", Fault::ReplyLost);
        b.sync_with("{}").unwrap_err();
        // The server counts it already, and here comes more on top of it, on both sides.
        a.sync();
        add(&a, 100);
        a.sync();
        add(&b, 1000);
        b.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
            .unwrap();
        b.sync();
        a.sync();
        assert_eq!((n(&a), n(&b)), (1111, 1111), "{direction}");
    }
}

#[test]
fn a_change_that_another_tab_was_sending_is_not_counted_twice() {
    let world = World::new();
    let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
    let (a, one) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","n":1}"#);
    a.sync();
    one.sync();
    let two = laptop.open();
    add(&one, 10);
    // The other tab sends it, and closes before the answer.
    laptop.fault("/push", Fault::ReplyLost);
    two.sync_with("{}").unwrap_err();
    drop(two);
    a.sync();
    add(&a, 100);
    a.sync();
    add(&one, 1000);
    add(&one, 1000);
    assert_eq!(one.pending(), 2, "more than two never wait");
    one.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();
    a.sync();
    assert_eq!((n(&a), n(&one), one.pending()), (2111, 2111, 0));
}

/// Devices of two tabs each add to one counter, in any direction, over a network that loses
/// requests and answers.
#[test]
fn no_order_of_events_loses_a_change_or_counts_one_twice() {
    for seed in 1..=25_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut throw = move |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        let world = World::new();
        let devices = [summing(&world, "phone"), summing(&world, "laptop")];
        let mut tabs: Vec<Tab> = devices
            .iter()
            .flat_map(|device| [device.open(), device.open()])
            .collect();
        tabs[0].create(r#"{"id":"t","n":0,"tags":[]}"#);
        tabs[0].sync();
        for tab in &tabs {
            tab.sync();
        }
        let mut total = 0;
        for _ in 0..40 {
            let at = throw(4) as usize;
            let device = &devices[at / 2];
            match throw(8) {
                0..=3 => {
                    let more = throw(9) as i64 - 4;
                    // A tab that adds to what it reads has to know what the other has written.
                    let tab = &tabs[at];
                    tab.run(tab.engine.on_head("ann", u64::MAX)).unwrap();
                    add(tab, more);
                    total += more;
                }
                4 => tabs[at] = device.open(),
                _ => {
                    match throw(6) {
                        0 => device.fault("/push", Fault::ReplyLost),
                        1 => device.fault("/push", Fault::Lost),
                        2 => device.fault("/pull", Fault::ReplyLost),
                        _ => {}
                    }
                    let direction =
                        ["pushThenPull", "pullThenPush", "pullOnly", "pushOnly"][throw(4) as usize];
                    // What fails now is made up for later.
                    let _ = tabs[at].sync_with(&format!(r#"{{"direction":"{direction}"}}"#));
                }
            }
        }
        for device in &devices {
            device.wire.faults.borrow_mut().clear();
        }
        for _ in 0..3 {
            for tab in &tabs {
                tab.sync();
            }
        }
        for (place, tab) in tabs.iter().enumerate() {
            assert_eq!(
                (n(tab), tab.pending()),
                (total, 0),
                "seed {seed}, tab {place}"
            );
        }
    }
}

#[test]
fn a_delete_against_an_edit_ends_as_the_resolver_says_in_every_order() {
    // What is left of the edit, on both devices: by resolver.
    let cases = [
        ("merge", true),
        ("lastWriteWins", true),
        ("localPriority", false),
        ("remotePriority", true),
    ];
    for (resolver, edit_stays) in cases {
        for order in ["pushThenPull", "pullThenPush"] {
            for soft in [false, true] {
                let options =
                    format!(r#"{{"conflictResolver":"{resolver}","direction":"{order}"}}"#);
                let told = format!("{resolver} {order} soft: {soft}");
                // Deleted here, edited there.
                let world = World::new();
                let (a, b) = (world.device("phone").open(), world.device("laptop").open());
                clash(&a, &b);
                b.write(
                    "tasks",
                    Write::Delete {
                        id: "t".to_owned(),
                        soft,
                    },
                )
                .unwrap();
                let result = b.sync_with(&options).unwrap();
                assert_eq!(
                    (
                        result.is_success,
                        result.conflicts_detected,
                        result.conflicts_resolved
                    ),
                    (true, 1, 1),
                    "{told}"
                );
                a.sync();
                b.sync();
                let expected: Vec<&str> = if edit_stays { vec!["theirs"] } else { vec![] };
                assert_eq!(
                    (a.titles(), b.titles(), b.pending()),
                    (
                        expected.iter().map(|s| (*s).to_owned()).collect(),
                        expected.iter().map(|s| (*s).to_owned()).collect(),
                        0
                    ),
                    "{told}"
                );
                let why = &b.explained("t")[0];
                assert_eq!(
                    (&why["resolver"], &why["fields"][0]["field"]),
                    (&resolver.into(), &"isDeleted".into()),
                    "{told}"
                );
                // Edited here, deleted there.
                let world = World::new();
                let (a, b) = (world.device("phone").open(), world.device("laptop").open());
                clash(&a, &b);
                a.write(
                    "tasks",
                    Write::Delete {
                        id: "t".to_owned(),
                        soft,
                    },
                )
                .unwrap();
                a.sync();
                let result = b.sync_with(&options).unwrap();
                assert_eq!(
                    (result.is_success, result.conflicts_resolved),
                    (true, 1),
                    "{told}"
                );
                a.sync();
                b.sync();
                let left = usize::from(resolver != "remotePriority");
                assert_eq!(
                    (a.titles().len(), b.titles().len(), b.pending()),
                    (left, left, 0),
                    "{told}"
                );
                assert_eq!(a.read("t"), b.read("t"), "{told}");
            }
        }
    }
}

#[test]
fn deleted_and_made_anew_is_an_edit_and_deleted_on_both_sides_is_no_conflict() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    clash(&a, &b);
    // Made anew there.
    a.delete("t");
    a.sync();
    a.create(r#"{"id":"t","title":"anew","n":1}"#);
    a.sync();
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(a.read("t"), b.read("t"));
    assert_eq!(
        b.read("t").unwrap()["n"],
        2,
        "what only this side has changed stays"
    );
    // Made anew here, and deleted there meanwhile.
    a.delete("t");
    b.delete("t");
    b.create(r#"{"id":"t","title":"mine anew"}"#);
    a.sync();
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(
        (a.titles(), a.read("t")),
        (vec!["mine anew".to_owned()], b.read("t"))
    );
    // Deleted on both sides.
    a.delete("t");
    b.delete("t");
    a.sync();
    let result = b.sync();
    assert_eq!(
        (
            result.is_success,
            result.conflicts_detected,
            b.pending(),
            b.titles().len()
        ),
        (true, 0, 0, 0)
    );
    // Edited here, where the delete there was held back.
    a.create(r#"{"id":"u","title":"milk"}"#);
    a.sync();
    b.sync();
    a.delete("u");
    a.sync();
    b.sync_with(r#"{"includeDeletes":false}"#).unwrap();
    b.patch("u", r#"{"title":"still here"}"#);
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(
        (a.titles(), b.titles()),
        (vec!["still here".to_owned()], vec!["still here".to_owned()])
    );
}

#[test]
fn an_apps_resolver_takes_any_side_of_a_deletion() {
    let answers = [
        ("local", Resolution::Local),
        ("remote", Resolution::Remote),
        (
            "merged",
            Resolution::Merged(Rc::from(r#"{"id":"t","title":"both"}"#)),
        ),
    ];
    for (name, answer) in answers {
        for here in [false, true] {
            let world = World::new();
            let given = answer.clone();
            let kind = if here {
                "deletedLocally"
            } else {
                "deletedRemotely"
            };
            let resolver = Asked(move |conflict: &Conflict| {
                assert!(
                    conflict.to_json().contains(kind)
                        && (conflict.local.is_none(), conflict.remote.is_none()) == (here, !here)
                );
                Ok(given.clone())
            });
            let (a, b) = (
                world.device("phone").open(),
                world.device("laptop").open_with(resolvers(resolver)),
            );
            clash(&a, &b);
            if here {
                b.delete("t");
            } else {
                a.delete("t");
                a.sync();
            }
            let result = b.sync();
            assert!(
                result.is_success && result.conflicts_resolved == 1,
                "{result:?}"
            );
            a.sync();
            let left = match (name, here) {
                ("merged", _) => vec!["both"],
                ("local", false) => vec!["mine"],
                ("remote", true) => vec!["theirs"],
                _ => vec![],
            };
            assert_eq!(
                (a.titles(), b.titles(), b.pending()),
                (
                    left.iter().map(|s| (*s).to_owned()).collect(),
                    left.iter().map(|s| (*s).to_owned()).collect(),
                    0
                ),
                "{name} {kind}"
            );
            let why = &b.explained("t")[0];
            assert_eq!(
                (&why["resolver"], &why["fields"][0]["taken"]),
                (&"function".into(), &name.into())
            );
        }
    }
}

#[test]
fn what_was_decided_is_explained_in_the_commit_that_decides_it_and_outlives_a_reload() {
    let world = World::new();
    let laptop = summing(&world, "laptop");
    let (a, b) = (summing(&world, "phone").open(), laptop.open());
    let other_tab = laptop.open();
    clash(&a, &b);
    let reader = b.engine.events(Filter {
        topics: vec![Topic::ConflictResolved],
        ..Filter::default()
    });
    let before = laptop.counts().transactions;

    b.sync();

    // The push that clashes and is merged, the push of what it was merged to, the pulled page, the
    // end.
    assert_eq!(laptop.counts().transactions - before, 4);
    let told = b.explained("t");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (
            &told[0]["entity"],
            &told[0]["entityId"],
            &told[0]["resolver"]
        ),
        (&"tasks".into(), &"t".into(), &"merge".into())
    );
    let fields: Vec<(&str, &str, &str)> = told[0]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            (
                field["field"].as_str().unwrap(),
                field["taken"].as_str().unwrap(),
                field["because"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("n", "local", "Only this device changed it."),
            (
                "title",
                "local",
                "Both sides changed it: the later write, here, was taken."
            )
        ]
    );
    assert_eq!(
        (
            &told[0]["fields"][1]["base"],
            &told[0]["fields"][1]["remote"]
        ),
        (&"milk".into(), &"theirs".into())
    );
    let event: Value =
        serde_json::from_str(&reader.next().now_or_never().flatten().unwrap().text).unwrap();
    assert_eq!(
        (&event["explanation"], &event["taken"]),
        (&told[0], &"merged".into())
    );

    assert!(
        other_tab.explained("t").is_empty(),
        "the other tab has not heard of it yet"
    );
    other_tab
        .run(other_tab.engine.on_head("ann", u64::MAX))
        .unwrap();
    assert_eq!(
        (other_tab.explained("t"), other_tab.explained("u").len()),
        (told.clone(), 0)
    );
    assert_eq!(laptop.open().explained("t"), told);
    let user = b.run(b.engine.user("ann")).unwrap();
    b.run(user.db.checkpoint()).unwrap();
    assert_eq!(laptop.open().explained("t"), told, "over a checkpoint");
    assert!(
        a.explained("t").is_empty(),
        "on the device that had nothing to decide"
    );
    assert_eq!(
        b.run(b.engine.conflicts().explain("ann", "nothing", "t"))
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
    assert_eq!(
        b.run(b.engine.conflicts().explain("ann", "tasks", ""))
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
    b.run(b.engine.users().clear_data("ann")).unwrap();
    assert!(b.explained("t").is_empty());
}

#[test]
fn a_late_verdict_takes_nothing_back_of_what_another_tab_knows_by_now() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{"conflictResolver":"ask"}}}"#);
    let (a, b, laptop) = (phone.open(), phone.open(), world.device("laptop").open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    laptop.sync();
    laptop.patch("t", r#"{"title":"oat milk"}"#);
    laptop.sync();
    a.patch("t", r#"{"title":"soy milk"}"#);
    phone.fault("/push", Fault::LazyRows(1_000));

    a.run(async {
        let sync = |tab: &Tab, direction| {
            let (engine, options) = (
                Rc::clone(&tab.engine),
                Options {
                    direction: Some(direction),
                    ..Options::default()
                },
            );
            async move {
                engine
                    .synchronize("ann", options, None, Rc::default())
                    .await
                    .unwrap()
            }
        };
        let meanwhile = async {
            datum_sync::ports::host::Host::sleep(b.engine.host(), 500).await;
            // The tab that sends was frozen, and its lock is taken from it.
            phone.locks.borrow_mut().clear();
            sync(&b, Direction::PullOnly).await;
            let title = |title: &str| {
                vec![Write::Patch {
                    id: "t".to_owned(),
                    changes: format!(r#"{{"title":"{title}"}}"#),
                }]
            };
            laptop
                .engine
                .entities()
                .write("ann", "tasks", title("rice milk"))
                .await
                .unwrap();
            sync(&laptop, Direction::PushOnly).await;
            sync(&b, Direction::PullOnly).await;
        };
        futures_util::future::join(sync(&a, Direction::PushOnly), meanwhile).await
    });

    let waiting: Value =
        serde_json::from_str(&a.run(a.engine.conflicts().list("ann")).unwrap()).unwrap();
    assert_eq!(
        (
            waiting.as_array().unwrap().len(),
            &waiting[0]["remote"]["title"]
        ),
        (1, &"rice milk".into())
    );
}
