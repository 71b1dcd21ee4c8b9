//! Conflicts: how resolvers and apps decide them, and how the decision is explained.

use std::rc::Rc;

use crate::support::conflicts::clash;
use crate::support::world::{Device, FnResolver, Tab, World, id_of};
use datum_sync::conflict::Resolution;
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::error::Code;
use futures_util::FutureExt;
use serde_json::Value;

const SUMS: &str = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum","tags":"union"}},"notes":{}},"retry":{"maxAttempts":1}}"#;

#[test]
fn an_apps_resolver_decides_with_base_and_both_sides_at_hand() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let joined = FnResolver(|conflict: &datum_sync::conflict::Conflict| {
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

fn parked(world: &World) -> (Device, Tab, Tab) {
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("t", r#"{"title":"mine"}"#);
    b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
    (laptop, a, b)
}

#[test]
fn a_parked_conflict_shows_all_three_sides_and_waits_over_a_reload() {
    let world = World::new();
    let (laptop, a, b) = parked(&world);
    drop(b);
    let again = laptop.open();
    a.patch("t", r#"{"n":9}"#);
    a.sync();
    again.sync();

    let waiting = again.conflicts();

    assert_eq!(waiting.len(), 1);
    let conflict = &waiting[0];
    assert_eq!(
        (&conflict["base"]["title"], &conflict["local"]["title"]),
        (&"milk".into(), &"mine".into())
    );
    assert_eq!(
        (&conflict["remote"]["title"], &conflict["remote"]["n"]),
        (&"theirs".into(), &9.into()),
        "the remote's side moves on"
    );
    assert_eq!(
        (&conflict["kind"], &conflict["fields"][0]),
        (&"bothModified".into(), &"title".into())
    );
}

#[test]
fn what_the_app_decides_is_what_every_device_sees() {
    for (resolution, expected) in [
        (Resolution::Local, "mine"),
        (Resolution::Remote, "theirs"),
        (
            Resolution::Merged(Rc::from(r#"{"title":"both","n":3}"#)),
            "both",
        ),
    ] {
        let world = World::new();
        let (laptop, a, b) = parked(&world);
        let reader = b.engine.events(Filter {
            topics: vec![Topic::ConflictResolved],
            ..Filter::default()
        });
        let id = b.conflicts()[0]["id"].as_str().unwrap().to_owned();

        b.run(b.engine.conflicts().resolve(&id, resolution.clone()))
            .unwrap();

        assert!(b.conflicts().is_empty());
        assert_eq!(
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .unresolved_conflicts,
            0
        );
        assert!(
            reader.next().now_or_never().flatten().is_some(),
            "{resolution:?}"
        );
        assert_eq!(b.read("t").unwrap()["title"], expected);
        let result = b.sync();
        assert!(
            result.is_success && result.conflicts_detected == 0 && b.pending() == 0,
            "{result:?}"
        );
        a.sync();
        assert_eq!(a.read("t").unwrap()["title"], expected);
        assert_eq!(laptop.open().read("t").unwrap()["title"], expected);
        assert_eq!(
            b.run(b.engine.conflicts().resolve(&id, Resolution::Local))
                .unwrap_err()
                .code(),
            Code::NotFound
        );
    }
}

fn summing(world: &World, name: &str) -> Device {
    world.device(name).with_config(SUMS)
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
            (
                "title",
                "local",
                "Both sides changed it: the later write, here, was taken."
            ),
            ("n", "local", "Only this device changed it.")
        ]
    );
    assert_eq!(
        (
            &told[0]["fields"][0]["base"],
            &told[0]["fields"][0]["remote"]
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
