//! Keys of records that a compaction has emptied: kept as a fence against sleeping tabs, freed
//! without any.

use crate::support::world::{Device, Tab, World};

/// Writes until a checkpoint is due, and has it written.
fn grow(tab: &Tab) {
    let before = tab
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.checkpointed_at());
    while !tab
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.wants_checkpoint())
    {
        tab.create(&format!(r#"{{"title":"{}"}}"#, "x".repeat(2_000)));
    }
    tab.run(tab.engine.tidy("ann")).unwrap();
    assert!(
        before
            < tab
                .engine
                .opened("ann")
                .unwrap()
                .db
                .read(|replica| replica.checkpointed_at())
    );
}

fn first_key(device: &Device) -> u64 {
    device.store().inner.keys()[0]
}

#[test]
fn keys_below_the_checkpoint_are_freed_where_nobody_else_is_there() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    grow(&a);

    let checkpoint = a
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.checkpointed_at());
    assert_eq!(phone.store().inner.keys(), [checkpoint]);
    a.create(r#"{"title":"after"}"#);
    assert_eq!(phone.open().titles(), a.titles());
}

#[test]
fn keys_stay_while_another_tab_sleeps_and_fence_it_off() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, sleeper) = (phone.open(), phone.open());
    grow(&a);
    assert_eq!(first_key(&phone), 1, "the sleeping tab holds its place");

    sleeper.create(r#"{"title":"woken"}"#);

    assert!(a.engine.opened("ann").is_some());
    let fresh = phone.open();
    assert!(
        fresh.titles().contains(&"woken".to_owned()),
        "it was written after the checkpoint, not below it"
    );
    assert_eq!(fresh.titles(), sleeper.titles());
}

#[test]
fn keys_that_had_to_stay_are_freed_once_the_other_tab_has_gone() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    grow(&a);
    b.run(b.engine.close());
    grow(&a);

    assert!(first_key(&phone) > 2);
}

#[test]
fn a_tab_that_rested_looks_before_it_writes_below_the_checkpoint() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, cached) = (phone.open(), phone.open());
    cached.create(r#"{"title":"before"}"#);
    cached.engine.let_go();
    a.run(a.engine.on_head("ann", 1)).unwrap();
    grow(&a);
    assert!(first_key(&phone) > 2, "who rests holds no key");

    cached.create(r#"{"title":"back"}"#);

    let fresh = phone.open();
    assert!(
        ["before", "back"]
            .iter()
            .all(|title| fresh.titles().contains(&(*title).to_owned()))
    );
    assert_eq!(fresh.titles(), cached.titles());
    grow(&a);
    assert!(
        first_key(&phone)
            < cached
                .engine
                .opened("ann")
                .unwrap()
                .db
                .read(|replica| replica.head()),
        "it has its place again"
    );
}

#[test]
fn without_locks_no_key_is_ever_freed() {
    let world = World::new();
    let phone = world.device("phone");
    phone.has_locks.set(false);
    let a = phone.open();
    grow(&a);
    grow(&a);

    assert_eq!(first_key(&phone), 1);
}
