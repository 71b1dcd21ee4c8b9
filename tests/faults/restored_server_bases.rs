//! Base versions from before a restore: none is trusted because it happens to exist again.

use crate::support::restored::*;
use crate::support::world::{Device, Tab, World};
use datum_sync::plan::write::Write;

#[test]
fn a_server_that_cannot_tell_what_it_kept_is_compared_with() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["same", "edited", "twice"] {
        a.create(&format!(r#"{{"id":"{id}","title":"milk","n":1}}"#));
    }
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("edited", r#"{"title":"oat milk"}"#);
    a.patch("twice", r#"{"title":"oat milk"}"#);
    a.create(r#"{"id":"new","title":"new"}"#);
    a.sync();
    world.server.restore(&backup);
    for device in [&phone, &laptop] {
        device.remote.vague.set(true);
    }
    world.server.set_epoch("epoch-2").unwrap();
    b.sync();
    b.patch("twice", r#"{"n":2}"#);
    b.sync();

    let result = sync_until_quiet(&a);

    assert_eq!((result.pushed_count, result.conflicts_detected), (3, 1));
    assert_eq!(
        titles(&world),
        pairs(&[
            ("edited", "oat milk"),
            ("new", "new"),
            ("same", "milk"),
            ("twice", "oat milk")
        ])
    );
    assert_eq!(server_rows(&world)[3].1["n"], 2);
}

/// A restored server reuses versions: the base version of an edit is now that of another row.
#[test]
fn an_old_base_that_fits_by_chance_overwrites_nothing() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"n":2}"#);
    a.sync();
    b.delete("t");
    restore(&world, &backup, "epoch-2");
    // Offered again, it has the version that it had at first.
    a.sync();
    let before = world.server.rows("ann");
    assert_eq!(
        before.iter().map(|row| row.version).collect::<Vec<u64>>(),
        [1]
    );

    assert!(
        b.sync_with(r#"{"direction":"pushOnly"}"#)
            .unwrap()
            .is_success
    );

    assert_eq!(
        world.server.rows("ann"),
        before,
        "a push of the old epoch does nothing"
    );
    assert_eq!(sync_until_quiet(&b).conflicts_detected, 1);
    a.sync();
    for tab in [&a, &b] {
        assert_eq!(
            tab.read("t").unwrap()["n"],
            2,
            "an edit survives a delete that did not know of it"
        );
    }
}

/// A laptop has edited a row whose version, since the restore, is that of another row.
fn with_an_old_base(world: &World) -> (Device, Tab, Tab) {
    let (phone, laptop) = (device(world, "phone"), device(world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"n":2}"#);
    a.sync();
    b.write(
        "tasks",
        Write::Update {
            entity: r#"{"id":"t","title":"oat milk","n":1}"#.to_owned(),
        },
    )
    .unwrap();
    restore(world, &backup, "epoch-2");
    // Offered anew, it has the version that it had at first.
    a.sync();
    assert_eq!(
        world
            .server
            .rows("ann")
            .iter()
            .map(|row| row.version)
            .collect::<Vec<u64>>(),
        [1]
    );
    (laptop, a, b)
}

/// Asserts that both edits are on the server and on both devices.
fn both_edits_stand(world: &World, tabs: [&Tab; 2]) {
    let all = std::iter::once(server_rows(world)[0].1.clone())
        .chain(tabs.map(|tab| tab.read("t").unwrap()));
    for task in all {
        assert_eq!(
            (&task["title"], &task["n"]),
            (&"oat milk".into(), &2.into())
        );
    }
}

#[test]
fn what_a_scope_alone_was_pulled_of_trusts_no_base_of_the_rest() {
    let world = World::new();
    let (_, a, b) = with_an_old_base(&world);
    b.sync_with(r#"{"direction":"pullOnly","scope":{"name":"notes","entities":["notes"]}}"#)
        .unwrap();
    assert_eq!(b.pending(), 1);

    // An edit of a row that is not compared yet.
    b.patch("t", r#"{"done":true}"#);
    assert!(
        b.sync_with(r#"{"direction":"pushOnly"}"#)
            .unwrap()
            .is_success
    );

    assert_eq!(
        b.pending(),
        0,
        "what is outside of every scope is sent all the same"
    );
    sync_until_quiet(&b);
    a.sync();
    both_edits_stand(&world, [&a, &b]);
    assert_eq!(server_rows(&world)[0].1["done"], true);
}

#[test]
fn what_was_saved_from_a_lost_log_keeps_the_epoch_of_its_bases() {
    for pulled_by_another in [false, true] {
        let world = World::new();
        let (laptop, a, b) = with_an_old_base(&world);
        laptop.evict();
        if pulled_by_another {
            laptop
                .open()
                .sync_with(
                    r#"{"direction":"pullOnly","scope":{"name":"notes","entities":["notes"]}}"#,
                )
                .unwrap();
        }
        let before = world.server.rows("ann");

        b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        if !pulled_by_another {
            assert_eq!(
                world.server.rows("ann"),
                before,
                "a push of the old epoch does nothing"
            );
        }

        sync_until_quiet(&b);
        a.sync();
        both_edits_stand(&world, [&a, &b]);
    }
}

/// By version and time the row equals one that the server has forgotten; only its writer differs.
#[test]
fn a_row_that_another_device_made_meanwhile_is_not_taken_for_a_state_of_before() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    b.create(r#"{"id":"t","done":true}"#);
    world.clock.now.set(world.clock.now.get() + 1_000);
    a.create(r#"{"id":"other"}"#);
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    for device in [&phone, &laptop] {
        device.remote.vague.set(true);
    }
    b.sync();

    sync_until_quiet(&a);

    b.sync();
    for tab in [&a, &b] {
        let task = tab.read("t").unwrap();
        assert_eq!(
            (task["title"].as_str(), task["done"].as_bool()),
            (Some("milk"), Some(true))
        );
    }
}

/// A patch whose row is gone creates it. Somebody else may do so first, with newer values in the
/// fields that the patch left alone.
#[test]
fn a_patch_of_a_row_that_a_restored_server_lacks_stays_a_patch() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    restore(&world, &backup, "epoch-2");
    a.patch("t", r#"{"title":"oat milk"}"#);
    world.clock.now.set(world.clock.now.get() + 1_000);
    b.patch("t", r#"{"n":2}"#);
    b.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    b.patch("t", r#"{"done":true}"#);

    sync_until_quiet(&a);
    sync_until_quiet(&b);

    let row = server_rows(&world).remove(0).1;
    assert_eq!(
        (&row["title"], &row["n"], &row["done"]),
        (&"oat milk".into(), &2.into(), &true.into())
    );
}

/// The outcome of a conflict holds values of others, which are not this device's to defend.
#[test]
fn the_outcome_of_a_conflict_is_no_write_of_the_whole_entity() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    b.create(r#"{"id":"t","n":1}"#);
    b.sync();
    restore(&world, &backup, "epoch-2");
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    world.clock.now.set(world.clock.now.get() + 1_000);
    b.patch("t", r#"{"n":2}"#);
    b.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    restore(&world, &backup, "epoch-3");
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.sync();
    world.clock.now.set(world.clock.now.get() + 1_000);
    b.patch("t", r#"{"n":3}"#);

    sync_until_quiet(&b);

    let row = server_rows(&world).remove(0).1;
    assert_eq!((&row["title"], &row["n"]), (&"oat milk".into(), &3.into()));
}
