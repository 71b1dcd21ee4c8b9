//! Storage that is lost between two visits: told apart from a first visit and from a wipe.

use std::rc::Rc;

use crate::support::world::{Device, Tab, World};
use datum_sync::engine::events::{Filter, Reader, Topic};
use datum_sync::model::error::Code;
use futures_util::FutureExt;

/// Returns the events that a reader has not read.
fn read(reader: &Rc<Reader>) -> Vec<serde_json::Value> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten())
        .map(|event| serde_json::from_str(&event.text).unwrap())
        .collect()
}

fn losses(tab: &Tab) -> Vec<serde_json::Value> {
    read(&tab.engine.events(Filter {
        topics: vec![Topic::StorageLost],
        ..Filter::default()
    }))
}

/// Closes the only tab, so that no instance sees what happens to storage.
fn leave(tab: Tab) {
    tab.run(tab.engine.close());
}

/// A device with one synced entity and `waiting` pending ones.
fn device(world: &World, waiting: usize) -> Device {
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    for n in 0..waiting {
        a.create(&format!(r#"{{"title":"waiting {n}"}}"#));
    }
    leave(a);
    phone
}

#[test]
fn a_loss_between_two_visits_is_told_with_what_was_lost() {
    for (waiting, lost) in [
        (0, serde_json::json!(0)),
        (1, serde_json::json!(1)),
        (3, serde_json::json!("unknown")),
    ] {
        let world = World::new();
        let phone = device(&world, waiting);
        phone.evict();

        let b = phone.open();

        let told = losses(&b);
        assert_eq!(
            (&told[0]["type"], &told[0]["lostOperations"], told.len()),
            (&"storageLost".into(), &lost, 1)
        );
        assert_eq!(
            b.engine.status_hub("ann").unwrap().current().errors[0].code,
            Code::StorageLost
        );
        b.sync();
        assert_eq!(b.titles(), ["synced"], "everything is pulled afresh");
        let status = b.engine.status_hub("ann").unwrap().current();
        assert_eq!(
            (status.errors.len(), status.errors[0].code),
            (1, Code::StorageLost),
            "the first cycle's end still shows it"
        );
        assert!(b.sync().is_success);
        assert!(
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .errors
                .is_empty()
        );
        leave(b);
        assert!(losses(&phone.open()).is_empty(), "once");
    }
}

#[test]
fn a_number_that_a_cycle_left_is_known() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    (0..3).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    leave(a);
    phone.evict();

    assert_eq!(losses(&phone.open())[0]["lostOperations"], 3);
}

#[test]
fn a_first_visit_a_reload_and_a_wipe_are_no_loss() {
    let world = World::new();
    let phone = world.device("phone");
    let first = phone.open();
    assert!(losses(&first).is_empty());
    first.create(r#"{"title":"waits"}"#);
    leave(first);
    let reloaded = phone.open();
    assert!(losses(&reloaded).is_empty());
    reloaded
        .run(reloaded.engine.users().clear_data("ann"))
        .unwrap();
    leave(reloaded);
    assert!(losses(&phone.open()).is_empty());
}

#[test]
fn a_loss_of_everything_is_noticed_where_the_marks_outlive_it() {
    let world = World::new();
    let phone = device(&world, 1);
    phone.evict();
    phone.disk.notes.take();
    assert_eq!(losses(&phone.open())[0]["lostOperations"], 1);

    let other = device(&world, 1);
    other.evict();
    other.disk.notes.take();
    other.disk.field_hashes.take();
    assert!(
        losses(&other.open()).is_empty(),
        "nothing is left that could tell it from a first visit"
    );
}

#[test]
fn a_log_whose_notes_are_lost_is_adopted_as_it_is() {
    for keep_marks in [true, false] {
        let world = World::new();
        let phone = device(&world, 2);
        phone.disk.notes.take();
        if !keep_marks {
            phone.disk.field_hashes.take();
        }

        let b = phone.open();

        assert!(losses(&b).is_empty());
        assert_eq!((b.pending(), b.titles().len()), (2, 3));
        b.sync();
        assert_eq!(device_ids(&b), ["phone"]);
        leave(b);
        phone.evict();
        assert_eq!(
            losses(&phone.open())[0]["lostOperations"],
            0,
            "and watched from then on"
        );
    }
}

/// Returns the ids of all devices that the server knows.
fn device_ids(tab: &Tab) -> Vec<String> {
    let bytes = tab
        .run(datum_sync::ports::remote::Remote::metadata(
            tab.engine.remote(),
            "ann",
        ))
        .unwrap()
        .unwrap();
    let reply: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    reply["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["deviceId"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_log_that_was_lost_makes_the_device_another_one_for_that_user() {
    let world = World::new();
    let phone = device(&world, 1);
    phone.evict();
    let b = phone.open();
    b.sync();
    let ids = device_ids(&b);
    assert_eq!(ids.len(), 2, "{ids:?}");
    leave(b);

    let again = phone.open();
    again.create(r#"{"title":"later"}"#);
    again.sync();
    assert_eq!(
        device_ids(&again),
        ids,
        "one for each log, not for each visit"
    );
}

#[test]
fn a_log_lost_under_an_open_tab_is_not_told_again_at_the_next_visit() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();
    a.create(r#"{"title":"after"}"#);
    assert_eq!(losses(&a)[0]["savedOperations"], 1);
    leave(a);

    assert!(losses(&phone.open()).is_empty());
}

#[test]
fn a_log_that_only_observes_leaves_the_loss_for_the_app() {
    let world = World::new();
    let phone = device(&world, 1);
    phone.evict();
    let b = phone.open();
    let reader = |is_observer| {
        b.engine.events(Filter {
            is_observer,
            ..Filter::default()
        })
    };
    assert_eq!(read(&reader(true)).len(), 1, "a log");
    assert_eq!(read(&reader(false)).len(), 1, "the app");
    assert_eq!(
        read(&reader(false)).len(),
        0,
        "who comes later has nothing to ask"
    );
}

#[test]
fn notes_are_not_written_for_every_write() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.disk.noted.get();
    (0..20).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    assert_eq!(phone.disk.noted.get() - before, 2, "one waits, some wait");
    a.sync();
    assert_eq!(phone.disk.noted.get() - before, 3, "none waits");
    a.sync();
    assert_eq!(phone.disk.noted.get() - before, 3);
}

#[test]
fn two_tabs_that_write_by_turns_note_what_is_true() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let heads = |tab: &Tab| {
        tab.engine
            .opened("ann")
            .unwrap()
            .db
            .read(datum_sync::state::replica::Replica::head)
    };
    let hear = |from: &Tab, to: &Tab| to.run(to.engine.on_head("ann", heads(from))).unwrap();
    a.create(r#"{"title":"1"}"#);
    hear(&a, &b);
    a.sync();
    hear(&a, &b);
    b.create(r#"{"title":"2"}"#);
    hear(&b, &a);
    b.sync();
    hear(&b, &a);
    a.create(r#"{"title":"3"}"#);
    leave(a);
    leave(b);
    phone.evict();

    assert_eq!(losses(&phone.open())[0]["lostOperations"], 1);
}
