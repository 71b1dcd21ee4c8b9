//! A log that is lost while tabs have it open: their operations are saved into the next one.

use std::rc::Rc;

use crate::support::world::{Fault, World, id_of};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;

#[test]
fn a_log_lost_under_an_open_tab_keeps_its_outbox() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();

    a.create(r#"{"title":"after"}"#);
    assert!(a.sync().is_success);

    assert_eq!(a.titles(), ["after", "synced", "waiting"]);
    assert_eq!(world.server.rows("ann").len(), 3);
}

#[test]
fn operations_of_a_lost_log_are_kept_until_they_can_be_saved() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();
    phone
        .store()
        .failing
        .borrow_mut()
        .extend([Code::StorageLost, Code::StorageFull]);

    assert_eq!(
        a.write(
            "tasks",
            Write::Create {
                draft: r#"{"title":"x"}"#.to_owned()
            }
        )
        .unwrap_err()
        .code(),
        Code::StorageFull
    );
    a.create(r#"{"title":"after"}"#);

    assert_eq!(a.titles(), ["after", "waiting"]);
    assert_eq!(phone.open().titles(), ["after", "waiting"]);
}

#[test]
fn a_delete_is_not_lost_with_the_log_while_its_create_is_on_its_way() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    phone.fault("/push", Fault::Slow(1_000));
    let engine = Rc::clone(&a.engine);

    let (synced, deleted) = a.run(async {
        let cycle = engine.synchronize(
            "ann",
            datum_sync::model::config::Options::default(),
            None,
            Rc::default(),
        );
        let meanwhile = async {
            datum_sync::ports::host::Host::sleep(engine.host(), 500).await;
            phone.evict();
            engine
                .entities()
                .write(
                    "ann",
                    "tasks",
                    vec![Write::Delete {
                        id: id.clone(),
                        soft: false,
                    }],
                )
                .await
        };
        futures_util::future::join(cycle, meanwhile).await
    });

    assert!(
        synced.is_ok()
            && matches!(
                deleted.unwrap()[0],
                datum_sync::plan::write::Written::Deleted(_)
            )
    );
    a.sync();
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
    assert!(
        world
            .server
            .rows("ann")
            .iter()
            .all(|row| row.data.is_none()),
        "the server has the delete too"
    );
}

#[test]
fn the_base_of_a_pending_edit_survives_the_loss_of_its_log() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","mine":1,"theirs":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"mine":2}"#);
    phone.evict();
    a.patch("t", r#"{"mine":3}"#);
    world.clock.advance(60_000);
    b.patch("t", r#"{"theirs":2}"#);
    b.sync();

    assert!(a.sync().is_success);

    b.sync();
    let seen = b.read("t").unwrap();
    assert_eq!(
        (&seen["mine"], &seen["theirs"]),
        (&3.into(), &2.into()),
        "merged by the base, not by the clock"
    );
}

#[test]
fn a_write_that_needs_a_body_of_the_lost_log_finds_what_there_is() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let a = phone.open();
    let long = "x".repeat(5_000);
    let id = id_of(&a.create(&format!(r#"{{"title":"{long}"}}"#)));
    let laptop = world
        .device("laptop")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    a.sync();
    let b = laptop.open();
    b.sync();
    laptop.evict();

    assert!(b.titles().is_empty(), "what is left is read");
    let refused = b
        .write(
            "tasks",
            Write::Patch {
                id: id.clone(),
                changes: r#"{"title":"y"}"#.to_owned(),
            },
        )
        .unwrap_err();

    assert_eq!(
        refused.code(),
        Code::NotFound,
        "it comes again with the next pull"
    );
    b.sync();
    assert_eq!(b.titles(), [long]);
}

#[test]
fn a_log_that_cannot_be_begun_anew_at_once_keeps_each_operation_once() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();
    phone
        .store()
        .failing_loads
        .borrow_mut()
        .push_back(Code::StorageUnavailable);

    assert_eq!(
        a.sync_with("{}").unwrap_err().code(),
        Code::StorageUnavailable
    );
    // Nothing was saved yet, so that the loss is noticed a second time.
    assert!(a.sync().is_success);

    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 1));
}
