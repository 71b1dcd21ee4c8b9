//! Storage that is full or refuses a write.

use std::cell::Cell;

use crate::support::world::{Tab, World};
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use datum_sync::plan::write::Write;
use datum_sync::state::replica::Replica;

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

fn create(title: &str) -> Write {
    Write::Create {
        draft: format!(r#"{{"title":"{title}"}}"#),
    }
}

fn with<T>(tab: &Tab, read: impl FnOnce(&Replica) -> T) -> T {
    tab.engine.opened("ann").unwrap().db.read(read)
}

#[test]
fn a_full_storage_is_compacted_once_and_the_write_made_after_all() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    (0..5).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    phone
        .store()
        .failing
        .borrow_mut()
        .push_back(Code::StorageFull);

    a.create(r#"{"title":"fits"}"#);

    assert_eq!(
        with(&a, Replica::checkpointed_at),
        6,
        "what there was came to one record"
    );
    assert_eq!((a.titles().len(), phone.open().titles().len()), (6, 6));
}

#[test]
fn a_storage_that_stays_full_refuses_the_write_and_takes_the_next_when_there_is_room() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    (0..5).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    phone
        .store()
        .failing
        .borrow_mut()
        .extend([Code::StorageFull; 3]);

    for _ in 0..2 {
        assert_eq!(
            a.write("tasks", create("too much")).unwrap_err().code(),
            Code::StorageFull
        );
        assert_eq!(
            (a.titles().len(), a.pending()),
            (5, 5),
            "nothing of it is seen"
        );
    }
    assert!(
        phone.store().failing.borrow().is_empty(),
        "room is not looked for again where there was none"
    );
    a.create(r#"{"title":"fits"}"#);
    assert_eq!(phone.open().titles(), a.titles());
}

#[test]
fn a_page_that_does_not_fit_stops_the_pull_where_it_was_and_says_so() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    (0..25).for_each(|n| drop(laptop.create(&format!(r#"{{"title":"{n}"}}"#))));
    laptop.sync();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"defaultSyncOptions":{"overrideBatchSize":10}}"#);
    let a = phone.open();
    let (failing, asked) = (phone.store().failing, Cell::new(0));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        asked.set(asked.get() + u32::from(request.path.ends_with("/pull")));
        if asked.get() == 3 {
            // From the second page on: the third is asked for before the second is planned.
            failing.borrow_mut().resize(5, Code::StorageFull);
        }
    }));

    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::StorageFull);

    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.status, status.errors.last().unwrap().code),
        (SyncState::Failed, Code::StorageFull)
    );
    assert_eq!(a.titles().len(), 10, "the first page");
    phone.remote.on_request.take();
    phone.store().failing.take();
    phone.requests();
    assert!(a.sync().is_success);
    assert_eq!(a.titles().len(), 25);
    assert_eq!(
        phone
            .requests()
            .iter()
            .filter(|line| line.ends_with("/pull"))
            .count(),
        2,
        "on from where it stopped"
    );
}
