//! Fields that never leave the device: reads and writes.

use crate::support::local_only::{KEEPS, at_server, keeper, kept, unsaid, update};
use crate::support::world::{World, id_of};
use datum_sync::plan::write::Write;
use futures_util::FutureExt;

#[test]
fn local_only_fields_are_read_here_and_never_sent() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), keeper(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());

    let made = a.create(r#"{"title":"milk","secret":"hush-1","draft":{"deep":"hush-2"}}"#);
    let id = id_of(&made);
    assert_eq!(
        (&made["secret"], &made["draft"]["deep"], &made["title"]),
        (&"hush-1".into(), &"hush-2".into(), &"milk".into())
    );
    a.sync();
    a.patch(&id, r#"{"title":"oat milk","secret":"hush-3"}"#);
    update(
        &a,
        &format!(r#"{{"id":"{id}","title":"soy milk","secret":"hush-4","draft":"hush-5"}}"#),
    );
    a.sync();
    b.sync();

    unsaid(&phone, "hush");
    unsaid(&phone, "secret");
    assert_eq!(at_server(&world)["title"], "soy milk");
    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["title"], &seen["secret"], &seen["draft"]),
        (&"soy milk".into(), &"hush-4".into(), &"hush-5".into())
    );
    assert_eq!(seen["isDeleted"], false);
    assert!(seen["version"].as_u64().unwrap() > 0);
    assert_eq!(b.read(&id).unwrap().get("secret"), None);
    // A device that has such fields has the same digest as one that has none.
    assert_eq!(
        a.run(a.engine.metadata().local("ann"))
            .unwrap()
            .unwrap()
            .data_hash,
        b.run(b.engine.metadata().local("ann"))
            .unwrap()
            .unwrap()
            .data_hash
    );
    assert_eq!(a.run(a.engine.entities().count("ann", "tasks")).unwrap(), 1);
}

#[test]
fn a_write_of_local_only_fields_is_one_commit_and_no_operation() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let made = a.create(r#"{"title":"milk","secret":"one"}"#);
    let id = id_of(&made);
    a.sync();
    a.sync();
    phone.requests();
    let modified = a.read(&id).unwrap()["modifiedAt"].clone();
    let before = phone.counts();

    let patched = a.patch(&id, r#"{"secret":"two"}"#);
    let after = phone.counts();
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.records - before.records
        ),
        (1, 1)
    );
    assert_eq!(
        (&patched["secret"], &patched["title"], a.pending()),
        (&"two".into(), &"milk".into(), 0)
    );

    let mut whole = a.read(&id).unwrap();
    whole["secret"] = "three".into();
    let updated = update(&a, &whole.to_string());
    assert_eq!(
        (&updated["secret"], &updated["title"], a.pending()),
        (&"three".into(), &"milk".into(), 0)
    );
    assert_eq!(
        updated["modifiedAt"], modified,
        "what the server has was not touched"
    );

    // The same again changes nothing and writes nothing.
    let before = phone.counts();
    a.patch(&id, r#"{"secret":"three"}"#);
    assert_eq!(phone.counts(), before);

    // One commit for both kinds of fields.
    a.patch(&id, r#"{"secret":"four","title":"tea"}"#);
    assert_eq!(
        (phone.counts().records - before.records, a.pending()),
        (1, 1)
    );
    a.sync();
    assert_eq!(
        (
            &a.read(&id).unwrap()["secret"],
            at_server(&world)["title"].as_str()
        ),
        (&"four".into(), Some("tea"))
    );

    // An update without the field takes it away.
    let mut whole = a.read(&id).unwrap();
    whole.as_object_mut().unwrap().remove("secret");
    update(&a, &whole.to_string());
    assert_eq!(
        (a.read(&id).unwrap().get("secret"), a.pending(), kept(&a)),
        (None, 0, 0)
    );
    unsaid(&phone, "three");
}

#[test]
fn a_failed_call_leaves_no_local_only_fields() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"one"}"#));

    let writes = vec![
        Write::Patch {
            id: id.clone(),
            changes: r#"{"secret":"two"}"#.to_owned(),
        },
        Write::Create {
            draft: r#"{"id":"x","secret":"three"}"#.to_owned(),
        },
        Write::Patch {
            id: "nobody".to_owned(),
            changes: r#"{"secret":"four"}"#.to_owned(),
        },
    ];
    a.run(a.engine.entities().write("ann", "tasks", writes))
        .unwrap_err();

    assert_eq!(
        (&a.read(&id).unwrap()["secret"], a.read("x"), kept(&a)),
        (&"one".into(), None, 1)
    );
}

#[test]
fn large_local_only_fields_are_loaded_when_needed() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(&KEEPS.replace(r#""retry""#, r#""memoryBudget":0,"retry""#));
    let a = phone.open();
    let long = "hush".repeat(3000);
    let ids: Vec<String> = (0..5)
        .map(|n| id_of(&a.create(&format!(r#"{{"title":"{n}","secret":"{n}{long}"}}"#))))
        .collect();
    a.sync();
    a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
        .unwrap();

    let again = phone.open();
    again.patch(&ids[1], r#"{"title":"changed"}"#);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(again.read(id).unwrap()["secret"], format!("{n}{long}"));
    }
    assert_eq!(again.read(&ids[1]).unwrap()["title"], "changed");
    again.sync();
    unsaid(&phone, "hush");
}

#[test]
fn a_watch_sees_a_write_of_local_only_fields() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let (a, other) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk","secret":"one"}"#));
    let watches = [&a, &other].map(|tab| {
        tab.run(tab.engine.entities().watch("ann", "tasks", None, false))
            .unwrap()
    });
    let now = |at: usize| {
        watches[at]
            .next()
            .now_or_never()
            .map(|delta| delta.unwrap().unwrap().items)
    };
    assert!(now(0).unwrap().contains("one"));
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    assert!(now(1).unwrap().contains("one"));

    a.patch(&id, r#"{"secret":"two"}"#);
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();

    assert!(now(0).unwrap().contains("two"));
    assert!(now(1).unwrap().contains("two"), "in another tab too");

    // A tab that slept through a compaction compares what it knew with what there is now.
    a.patch(&id, r#"{"secret":"three"}"#);
    a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
        .unwrap();
    other
        .run(async { other.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    assert!(now(1).unwrap().contains("three"));
}
