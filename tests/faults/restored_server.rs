//! A server that is restored from a backup: devices offer the writes that it has lost, and nothing
//! else.

use std::rc::Rc;

use crate::support::restored::*;
use crate::support::world::{FnResolver, World};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::cycle::resolvers::Resolvers;
use serde_json::Value;

const DAY: u64 = 24 * 3_600_000;

/// medic/cht-core#8093: the server is restored from a backup, the device's own checkpoint says that
/// all is sent, and what was sent since the backup is gone for good.
#[test]
fn a_checkpoint_kept_only_on_the_client_does_not_keep_it_from_uploading_again() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"kept","title":"before"}"#);
    a.create(r#"{"id":"gone","title":"before"}"#);
    a.create(r#"{"id":"edited","title":"before","n":1}"#);
    a.sync();
    let backup = world.server.backup();
    a.create(r#"{"id":"new","title":"created"}"#);
    a.patch("edited", r#"{"title":"edited","draft":"mine"}"#);
    a.delete("gone");
    a.sync();
    restore(&world, &backup, "epoch-2");
    let told = restore_events(&a);
    phone.requests();

    let result = sync_until_quiet(&a);

    assert_eq!(
        titles(&world),
        pairs(&[("edited", "edited"), ("kept", "before"), ("new", "created")])
    );
    assert_eq!(a.titles(), ["before", "created", "edited"]);
    assert_eq!(
        a.read("edited").unwrap()["draft"],
        "mine",
        "what never leaves the device has stayed"
    );
    assert_eq!((result.pushed_count, result.conflicts_detected), (3, 0));
    assert_eq!(offered_again(&told), [3]);
    let requests = phone.requests();
    assert_eq!(
        requests,
        // The cursor is refused; everything comes afresh; what was forgotten goes; a cycle that
        // finds nothing.
        [
            "POST /pull",
            "POST /pull",
            "POST /push",
            "PUT /metadata",
            "POST /pull"
        ]
    );
    // A third device sees all of it.
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(b.titles(), ["before", "created", "edited"]);
}

#[test]
fn writes_acknowledged_before_a_compaction_are_offered_again() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"edited","title":"before"}"#);
    a.sync();
    let backup = world.server.backup();
    a.create(r#"{"id":"new","title":"created"}"#);
    a.patch("edited", r#"{"title":"edited"}"#);
    a.sync();
    a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
        .unwrap();
    let reopened = phone.open();
    restore(&world, &backup, "epoch-2");

    sync_until_quiet(&reopened);

    let both = pairs(&[("edited", "edited"), ("new", "created")]);
    assert_eq!(titles(&world), both);
    assert_eq!(reopened.titles(), ["created", "edited"]);
}

#[test]
fn a_new_epoch_without_a_loss_offers_nothing() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["same", "edited", "deleted"] {
        a.create(&format!(r#"{{"id":"{id}","title":"mine"}}"#));
    }
    a.sync();
    b.sync();
    b.patch("edited", r#"{"title":"theirs"}"#);
    b.delete("deleted");
    b.sync();
    // The phone has not pulled these yet.
    let versions: Vec<u64> = world
        .server
        .rows("ann")
        .iter()
        .map(|row| row.version)
        .collect();
    world.server.set_epoch("epoch-2").unwrap();
    let (told, told_too) = (restore_events(&a), restore_events(&b));
    phone.requests();

    for tab in [&a, &b] {
        let result = sync_until_quiet(tab);
        assert_eq!((result.pushed_count, result.conflicts_detected), (0, 0));
        assert_eq!(tab.titles(), ["mine", "theirs"]);
    }

    assert_eq!(
        (offered_again(&told), offered_again(&told_too)),
        (vec![0], vec![0])
    );
    assert_eq!(
        world
            .server
            .rows("ann")
            .iter()
            .map(|row| row.version)
            .collect::<Vec<u64>>(),
        versions
    );
    assert!(!phone.requests().contains(&"POST /push".to_owned()));
    let user = a.engine.opened("ann").unwrap();
    assert!(user.db.read(
        |replica| replica.receipts().restored().is_none() && !replica.receipts().has_suspects()
    ));
}

#[test]
fn each_device_offers_what_it_has_written_and_what_it_has_seen_on_top() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","a":1,"b":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"a":2}"#);
    a.sync();
    b.sync();
    b.patch("t", r#"{"b":2}"#);
    b.create(r#"{"id":"u","title":"laptop's"}"#);
    b.sync();
    a.sync();
    a.create(r#"{"id":"v","title":"phone's"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");

    // The phone has seen all, but `u` is the laptop's alone.
    assert_eq!(sync_until_quiet(&a).pushed_count, 2);
    assert_eq!(titles(&world), pairs(&[("t", "milk"), ("v", "phone's")]));
    assert_eq!(
        (
            &server_rows(&world)[0].1["a"],
            &server_rows(&world)[0].1["b"]
        ),
        (&2.into(), &2.into()),
        "the row that it holds contains both"
    );
    let result = sync_until_quiet(&b);
    assert_eq!(
        (result.pushed_count, result.conflicts_detected),
        (1, 0),
        "only what nobody has offered yet"
    );
    a.sync();
    for tab in [&a, &b] {
        assert_eq!(tab.titles(), ["laptop's", "milk", "phone's"]);
    }
}

#[test]
fn an_edit_made_since_the_restore_is_a_conflict_that_keeps_both() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","done":false,"n":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    b.sync();
    b.patch("t", r#"{"done":true}"#);
    b.sync();
    let told = restore_events(&a);

    let result = sync_until_quiet(&a);

    assert_eq!(
        (result.conflicts_detected, result.conflicts_resolved),
        (1, 1)
    );
    b.sync();
    for tab in [&a, &b] {
        let task = tab.read("t").unwrap();
        assert_eq!(
            (task["title"].as_str(), task["done"].as_bool()),
            (Some("oat milk"), Some(true))
        );
    }
    assert_eq!(offered_again(&told), [1]);
}

#[test]
fn the_resolver_sees_the_forgotten_write_as_local_and_knows_what_is_others() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    b.patch("t", r#"{"title":"oat milk"}"#);
    b.sync();
    restore(&world, &backup, "epoch-2");
    a.sync();
    a.patch("t", r#"{"title":"soy milk"}"#);
    a.sync();
    let seen: Rc<std::cell::RefCell<Vec<Conflict>>> = Rc::default();
    let noted = Rc::clone(&seen);
    let asked = FnResolver(move |conflict: &Conflict| {
        noted.borrow_mut().push(conflict.clone());
        Ok(Resolution::Later)
    });
    let again = laptop.open_with(Resolvers {
        fallback: Some(Rc::new(asked)),
        ..Resolvers::default()
    });

    again.sync();

    let conflict = seen.borrow()[0].clone();
    let field = |body: &Option<Rc<str>>, name: &str| {
        serde_json::from_str::<Value>(body.as_deref().unwrap()).unwrap()[name].clone()
    };
    assert_eq!(
        (
            field(&conflict.local, "title"),
            field(&conflict.remote, "title")
        ),
        ("oat milk".into(), "soy milk".into())
    );
    assert_eq!(
        (field(&conflict.base, "n"), field(&conflict.base, "title")),
        (1.into(), Value::Null),
        "the base is what others have written"
    );
    assert_eq!(conflict.fields, ["title"]);
    let parked: Vec<Value> =
        serde_json::from_str(&again.run(again.engine.conflicts().list("ann")).unwrap()).unwrap();
    assert_eq!(
        (parked.len(), again.pending()),
        (1, 1),
        "it waits, and nothing is lost meanwhile"
    );
    assert_eq!(laptop.open().read("t").unwrap()["title"], "oat milk");
    again
        .run(
            again
                .engine
                .conflicts()
                .resolve(parked[0]["id"].as_str().unwrap(), Resolution::Local),
        )
        .unwrap();
    again.sync();
    assert_eq!(titles(&world), pairs(&[("t", "oat milk")]));
}

#[test]
fn what_waits_goes_on_top_of_what_was_forgotten() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","a":1,"b":1}"#);
    a.create(r#"{"id":"d","title":"to go"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"a":2}"#);
    a.create(r#"{"id":"n","title":"new","b":1}"#);
    a.patch("d", r#"{"title":"to go soon"}"#);
    a.sync();
    a.patch("t", r#"{"b":2}"#);
    a.patch("n", r#"{"b":2}"#);
    a.delete("d");
    restore(&world, &backup, "epoch-2");

    let result = sync_until_quiet(&a);

    assert_eq!(result.conflicts_detected, 0);
    let rows = server_rows(&world);
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("t", "milk")]));
    assert_eq!(
        (&rows[1].1["a"], &rows[1].1["b"], &rows[0].1["b"]),
        (&2.into(), &2.into(), &2.into())
    );
}

#[test]
fn what_is_older_than_thirty_days_is_not_offered() {
    let world = World::new();
    let a = device(&world, "phone").open();
    let backup = world.server.backup();
    a.create(r#"{"id":"old","title":"old"}"#);
    a.sync();
    world.clock.advance(31 * DAY);
    a.create(r#"{"id":"new","title":"new"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    sync_until_quiet(&a);
    assert_eq!(titles(&world), pairs(&[("new", "new")]));
}

#[test]
fn dead_letters_parked_conflicts_and_held_tombstones_stay_as_they_are() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["p", "h"] {
        a.create(&format!(r#"{{"id":"{id}","title":"{id}"}}"#));
    }
    a.sync();
    b.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 150);
    a.create(&format!(r#"{{"id":"big","title":"{}"}}"#, "x".repeat(300)));
    a.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 10_000);
    b.patch("p", r#"{"title":"theirs"}"#);
    b.delete("h");
    b.sync();
    a.patch("p", r#"{"title":"mine"}"#);
    a.sync_with(r#"{"includeDeletes":false,"resolveConflicts":false}"#)
        .unwrap();
    let backup = world.server.backup();
    a.create(r#"{"id":"n","title":"new"}"#);
    a.sync_with(r#"{"includeDeletes":false}"#).unwrap();
    restore(&world, &backup, "epoch-2");

    a.sync_with(r#"{"includeDeletes":false}"#).unwrap();

    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!((status.dead_letters, status.unresolved_conflicts), (1, 1));
    assert_eq!(a.read("p").unwrap()["title"], "mine");
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("p", "theirs")]));
    let parked: Vec<Value> =
        serde_json::from_str(&a.run(a.engine.conflicts().list("ann")).unwrap()).unwrap();
    a.run(
        a.engine
            .conflicts()
            .resolve(parked[0]["id"].as_str().unwrap(), Resolution::Local),
    )
    .unwrap();
    sync_until_quiet(&a);
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("p", "mine")]));
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
