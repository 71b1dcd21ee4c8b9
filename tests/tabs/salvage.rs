//! Several tabs that lose their log, and save what each knows into the next one.

use crate::support::local_only::keeper;
use crate::support::running_tabs::{RunningTab, run_together, wait_until};
use crate::support::test_remote::Fault;
use crate::support::world::{Tab, World, id_of};
use datum_sync::plan::write::Write;

#[test]
fn two_tabs_that_lose_their_log_at_once_both_save_what_they_know() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"of both"}"#);
    b.create(r#"{"title":"of b alone"}"#);
    phone.evict();

    let create = |title: &str| {
        vec![Write::Create {
            draft: format!(r#"{{"title":"{title}"}}"#),
        }]
    };
    let both = futures_util::future::join(
        a.engine.entities().write("ann", "tasks", create("after a")),
        b.engine.entities().write("ann", "tasks", create("after b")),
    );
    let (one, two) = a.run(both);

    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(
        phone.open().titles(),
        ["after a", "after b", "of b alone", "of both"]
    );
}

#[test]
fn an_edit_that_carries_a_lost_operation_along_is_not_undone_by_another_tab() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    phone.evict();

    a.patch(&id, r#"{"title":"oat milk"}"#);
    assert_eq!(
        a.pending(),
        2,
        "what was saved may be on its way: nothing is coalesced into it"
    );
    b.create(r#"{"title":"tea"}"#);

    assert_eq!(phone.open().titles(), ["oat milk", "tea"]);
    a.sync();
    let laptop = world.device("laptop").open();
    laptop.sync();
    b.sync();
    laptop.sync();
    assert_eq!(laptop.titles(), ["oat milk", "tea"]);
}

#[test]
fn an_operation_saved_late_from_a_lost_log_takes_nothing_away() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.create(r#"{"id":"t","of b":1}"#);
    phone.evict();
    // The other tab does not know of the entity, creates it too, and syncs before the first tab
    // wakes.
    a.create(r#"{"id":"t","of a":2}"#);
    a.sync();
    b.create(r#"{"title":"b wakes"}"#);
    assert!(b.sync().is_success);

    let laptop = world.device("laptop").open();
    laptop.sync();
    let seen = laptop.read("t").unwrap();
    assert_eq!((&seen["of a"], &seen["of b"]), (&2.into(), &1.into()));
}

#[test]
fn two_tabs_that_made_the_same_entity_in_a_lost_log_keep_what_both_wrote() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    world.device("laptop").open().sync();
    b.create(r#"{"id":"t","of b":1}"#);
    phone.evict();
    a.create(r#"{"id":"t","of a":2}"#);
    b.create(r#"{"title":"b wakes"}"#);
    assert_eq!(b.read("t").unwrap()["of a"], 2, "one on top of the other");

    let other = world.device("laptop").open();
    other.create(r#"{"id":"t","of c":3}"#);
    other.sync();
    assert!(a.sync().is_success);
    other.sync();

    let seen = other.read("t").unwrap();
    assert_eq!(
        (&seen["of a"], &seen["of b"], &seen["of c"]),
        (&2.into(), &1.into(), &3.into())
    );
}

#[test]
fn what_was_deleted_before_the_loss_is_not_made_again_by_a_tab_that_had_not_heard() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    a.delete(&id);
    phone.evict();

    a.create(r#"{"title":"of a"}"#);
    b.create(r#"{"title":"of b"}"#);

    assert_eq!(phone.open().titles(), ["of a", "of b"]);
    assert!(a.sync().is_success);
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.titles(), ["of a", "of b"]);
}

/// One tab salvages a lost log, syncs and pulls newer rows; then another tab salvages what only it
/// knew.
fn saved_over_a_newer_row(title: &str, theirs: &str) -> (World, Tab, Tab) {
    let world = World::new();
    let laptop = world.device("laptop").open();
    laptop.create(&format!(r#"{{"id":"t","title":"{title}"}}"#));
    laptop.sync();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let (a, b) = (phone.open(), phone.open());
    a.sync();
    b.run(b.engine.on_head("ann", u64::MAX)).unwrap();
    a.patch("t", r#"{"of a":1}"#);
    phone.evict();
    b.create(r#"{"id":"b wakes"}"#);
    b.sync();
    laptop.patch("t", theirs);
    laptop.sync();
    b.sync();
    a.create(r#"{"id":"a wakes"}"#);
    (world, a, b)
}

#[test]
fn what_is_written_on_top_of_an_operation_saved_late_keeps_what_came_after_that() {
    // A long row lies outside the log's records and is not in memory.
    for title in ["milk".to_owned(), "milk".repeat(2_000)] {
        let (world, a, b) = saved_over_a_newer_row(&title, r#"{"theirs":2}"#);
        let both = |tab: &Tab| {
            tab.read("t")
                .map(|seen| (seen["of a"].clone(), seen["theirs"].clone()))
        };
        a.patch("t", r#"{"of a":3}"#);

        for direction in ["pullOnly", "pushOnly", "pullThenPush"] {
            assert!(
                a.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
                    .unwrap()
                    .is_success
            );
        }

        b.sync();
        let laptop = world.device("laptop").open();
        laptop.sync();
        for tab in [&a, &b, &laptop] {
            assert_eq!(both(tab), Some((3.into(), 2.into())));
        }
    }
}

#[test]
fn what_was_written_over_an_operation_saved_late_is_not_undone_by_what_follows_it() {
    let patch = Write::Patch {
        id: "t".to_owned(),
        changes: r#"{"done":true}"#.to_owned(),
    };
    let update = Write::Update {
        entity: r#"{"id":"t","title":"milk","of a":1,"done":true}"#.to_owned(),
    };
    for write in [patch, update] {
        let (world, a, b) = saved_over_a_newer_row("milk", r#"{"title":"oat milk"}"#);
        a.write("tasks", write).unwrap();
        a.patch("t", r#"{"of a":3}"#);

        for direction in ["pullOnly", "pushOnly"] {
            assert!(
                a.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
                    .unwrap()
                    .is_success
            );
        }

        b.sync();
        let laptop = world.device("laptop").open();
        laptop.sync();
        for tab in [&a, &b, &laptop] {
            let seen = tab.read("t").unwrap();
            assert_eq!(
                (&seen["title"], &seen["done"], &seen["of a"]),
                (&"oat milk".into(), &true.into(), &3.into())
            );
        }
    }
}

#[test]
fn what_clashes_with_what_came_after_an_operation_saved_late_is_a_conflict() {
    let (world, a, _b) = saved_over_a_newer_row("milk", r#"{"title":"oat milk"}"#);
    a.patch("t", r#"{"title":"soy milk"}"#);

    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    let pushed = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

    assert_eq!(
        pushed.conflicts_resolved, 1,
        "it was made without knowing what came after"
    );
    assert_eq!(
        a.read("t").unwrap()["title"],
        "soy milk",
        "the later one by the clock"
    );
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.read("t").unwrap()["title"], "soy milk");
}

#[test]
fn a_tab_that_does_nothing_hears_of_a_new_log_whose_head_is_lower() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    for title in ["one", "two", "three"] {
        a.create(&format!(r#"{{"title":"{title}"}}"#));
    }
    b.run(b.engine.on_head("ann", 3)).unwrap();
    phone.evict();
    a.create(r#"{"title":"four"}"#);

    b.run(b.engine.on_head("ann", 2)).unwrap();

    assert_eq!(b.titles(), ["four", "one", "three", "two"]);
}

#[test]
fn what_another_tab_has_saved_and_sent_is_not_queued_again() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"gone","title":"milk"}"#);
    a.create(r#"{"id":"t","title":"tea"}"#);
    b.run(b.engine.on_head("ann", 2)).unwrap();
    phone.evict();
    a.create(r#"{"title":"a wakes"}"#);
    a.sync();
    a.delete("gone");
    a.patch("t", r#"{"title":"green tea"}"#);
    a.sync();
    // The state of the log that tells of it is a checkpoint by then.
    let user = a.run(a.engine.user("ann")).unwrap();
    a.run(user.db.checkpoint()).unwrap();

    b.create(r#"{"title":"b wakes"}"#);

    assert_eq!(b.pending(), 1, "only its own");
    assert_eq!(b.titles(), ["a wakes", "b wakes", "green tea"]);
    b.sync();
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.titles(), ["a wakes", "b wakes", "green tea"]);
}

#[test]
fn local_only_fields_that_were_written_since_are_not_undone_by_a_tab_that_wakes() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk","secret":"old"}"#);
    b.run(b.engine.on_head("ann", 1)).unwrap();
    a.create(r#"{"id":"late","title":"tea","secret":"of a alone"}"#);
    phone.evict();
    a.patch("t", r#"{"secret":"new"}"#);

    b.create(r#"{"title":"b wakes"}"#);

    let secret = |id| b.read(id).unwrap()["secret"].clone();
    assert_eq!(
        (secret("t"), secret("late")),
        ("new".into(), "of a alone".into())
    );
}

#[test]
fn local_only_fields_that_another_tab_had_not_heard_of_are_saved_over_what_it_saved() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk","secret":"old"}"#);
    a.create(r#"{"id":"u","title":"tea","secret":"old"}"#);
    b.run(b.engine.on_head("ann", 2)).unwrap();
    b.patch("t", r#"{"secret":"unheard"}"#);
    b.patch("u", r#"{"secret":"unheard"}"#);
    phone.evict();
    a.create(r#"{"title":"a wakes"}"#);
    a.patch("u", r#"{"secret":"written since"}"#);

    b.create(r#"{"title":"b wakes"}"#);

    let secret = |id| b.read(id).unwrap()["secret"].clone();
    assert_eq!(
        (secret("t"), secret("u")),
        ("unheard".into(), "written since".into())
    );
}

#[test]
fn a_page_that_was_asked_for_in_a_lost_log_replaces_nothing_of_the_next_one() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    laptop.create(r#"{"id":"t","title":"old"}"#);
    laptop.sync();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    for n in 0..20 {
        b.create(&format!(r#"{{"title":"{n:02}"}}"#));
    }
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        phone.fault("/pull", Fault::Late(10_000));
        b.sync(r#"{"direction":"pullOnly"}"#);
        wait_until(&b, || phone.requests().len() == 1).await;
        phone.locks.borrow_mut().clear();
        phone.evict();
        a.sync("{}");
        wait_until(&a, || a.ended.borrow().len() == 1).await;
        let patch = vec![Write::Patch {
            id: "t".to_owned(),
            changes: r#"{"title":"new"}"#.to_owned(),
        }];
        let engine = &a.tab.engine;
        engine
            .entities()
            .write("ann", "tasks", patch)
            .await
            .unwrap();
        a.sync("{}");
        wait_until(&a, || a.ended.borrow().len() == 2).await;
        wait_until(&b, || b.ended.borrow().len() == 1).await;
    });
    assert_eq!(b.tab.read("t").unwrap()["title"], "new");
    assert_eq!(
        b.tab.read("t").unwrap()["version"],
        a.tab.read("t").unwrap()["version"]
    );
}
