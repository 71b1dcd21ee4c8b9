//! Work on many rows: it is done in steps, and between two of them the page has a turn.
//!
//! The clock of these tests stands still, so that only what is counted yields.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::migrations::{Chain, at_version, filled, renamed, with_chain};
use crate::support::world::{Device, Tab, World};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::Options;
use datum_sync::model::entity::Key;
use datum_sync::model::metadata::MetadataComparison;
use datum_sync::plan::write::Write;
use datum_sync::state::replica::Replica;
use datum_sync::util::local_sync::yield_now;
use futures_util::future::join;
use serde_json::json;

const ROWS: usize = 25_000;

fn device(world: &World) -> Device {
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create_in("notes", r#"{"id":"first"}"#);
    filled(&a, &phone, ROWS);
    a.run(a.engine.close());
    phone
}

fn yields(tab: &Tab) -> u64 {
    tab.engine.host().yields.get()
}

fn sign_in(tab: &Tab) {
    tab.run(tab.engine.sign_in(&tab.user)).unwrap();
}

#[test]
fn a_migration_indexes_encodes_and_loads_many_rows_in_steps() {
    let world = World::new();
    let phone = device(&world);
    let (first, last) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let host = Rc::new(Cell::new(None::<Rc<dyn Fn() -> u64>>));
    let seen = (Rc::clone(&first), Rc::clone(&last), Rc::clone(&host));
    let chain = Chain::default()
        .step(renamed("text", "title"))
        .at_call(move |_| {
            let (first, last, host) = &seen;
            let count = host.take().unwrap();
            first.set(Some(first.get().unwrap_or_else(|| count())));
            last.set(count());
            host.set(Some(count));
        });
    let (phone, _) = with_chain(phone, chain);
    let tab = phone.unopened(Resolvers::default());
    let engine = Rc::clone(&tab.engine);
    host.set(Some(Rc::new(move || {
        assert!(engine.host().loads.get() > 0, "its code is waited for");
        engine.host().yields.get()
    })));
    sign_in(&tab);
    host.set(None);

    assert_eq!(first.get(), Some(2), "25,000 rows, 10,000 at a time");
    assert_eq!(last.get(), 2, "time stands still");
    // Three transactions of 2 MiB ahead, each encoded in two steps, with a pause behind it. Then a
    // pause, and the checkpoint, which is less than 1 MiB. Then 25,000 rows are folded, and those
    // before them are freed.
    let after = yields(&tab) - last.get();
    assert_eq!(after, 3 * (1 + 1) + 1 + 2 + 2);
    assert_eq!(tab.read("task-000042").unwrap()["title"], "task 42");
}

#[test]
fn the_first_question_that_needs_an_index_of_many_rows_builds_it_in_steps() {
    let world = World::new();
    let phone = device(&world);
    let open = || {
        let tab = phone.unopened(Resolvers::default());
        sign_in(&tab);
        assert_eq!(yields(&tab), 0, "opening builds none");
        tab
    };
    let tab = open();
    let page = || {
        let entities = tab.engine.entities();
        entities.read_page(&tab.user, "tasks", 10, None, false)
    };
    // The second one does not wait for the first.
    let (one, other) = tab.run(join(page(), page()));
    assert_eq!(one.unwrap().total, ROWS as u64);
    assert_eq!(other.unwrap().total, ROWS as u64);
    assert!((1..=2).contains(&yields(&tab)), "{} steps", yields(&tab));

    let tab = open();
    tab.create(r#"{"id":"new","text":"soap"}"#);
    assert_eq!(yields(&tab), 2, "a write");
    let tab = open();
    let query = r#"{"where":{"field":"text","equals":"task 42"}}"#;
    let found = tab.engine.queries().query(&tab.user, "tasks", query, false);
    assert!(tab.run(found).unwrap().contains("task-000042"));
    assert!(yields(&tab) >= 2, "a query");
    let tab = open();
    let watch = tab.run(tab.engine.entities().watch(&tab.user, "tasks", None, false));
    assert_eq!(yields(&tab), 2, "a watch");
    drop(watch);
}

#[test]
fn a_checkpoint_of_many_rows_is_made_in_steps_and_readers_miss_nothing_meanwhile() {
    let world = World::new();
    let phone = device(&world);
    let tab = phone.unopened(Resolvers::default());
    sign_in(&tab);
    let user = tab.engine.opened(&tab.user).unwrap();
    tab.create(r#"{"id":"new","text":"soap"}"#);
    let before = yields(&tab);
    let read = async {
        let mut seen = Vec::new();
        while user.db.peek(Replica::checkpointed_at) == 0 {
            seen.push((user.count("tasks"), user.exists(&Key::new("tasks", "new"))));
            yield_now().await;
        }
        seen
    };
    let (written, seen) = tab.run(join(user.db.checkpoint(), read));
    written.unwrap();
    assert!(seen.len() > 2, "{} reads", seen.len());
    assert!(seen.iter().all(|seen| *seen == (ROWS as u64 + 1, true)));
    let steps = yields(&tab) - before;
    assert_eq!(
        steps,
        2 + 2 + 2,
        "25,000 rows are planned, folded and freed"
    );
    assert_eq!(user.count("tasks"), ROWS as u64 + 1);
    assert_eq!(tab.pending(), 1 + 1, "the note and the task");
    assert_eq!(tab.read("task-000042").unwrap()["text"], "task 42");
}

#[test]
fn a_digest_of_many_rows_is_made_in_steps_and_takes_in_what_is_pulled_meanwhile() {
    let world = World::new();
    let phone = device(&world);
    let laptop = world.device("laptop").open();
    for number in 0..30 {
        laptop.create(&format!(r#"{{"id":"task-{number:06}","text":"new"}}"#));
    }
    laptop.sync();

    let tab = phone.unopened(Resolvers::default());
    sign_in(&tab);
    let before = yields(&tab);
    let first = tab.run(tab.engine.metadata().local(&tab.user));
    assert_eq!(first.unwrap(), None, "it has not synced");
    assert!(
        yields(&tab) >= before + 4,
        "25,000 rows are indexed and hashed"
    );

    let tab = phone.unopened(Resolvers::default());
    sign_in(&tab);
    let is_over = Cell::new(false);
    let sync = async {
        let options = Options::read(CheckedObject(&json!({})));
        let synced = tab
            .engine
            .synchronize(&tab.user, options, None, Rc::default());
        assert!(synced.await.unwrap().is_success);
        is_over.set(true);
    };
    let hash = async {
        while !is_over.get() {
            tab.engine.metadata().local(&tab.user).await.unwrap();
            yield_now().await;
        }
    };
    tab.run(join(sync, hash));
    let user = tab.engine.opened(&tab.user).unwrap();
    assert_eq!(user.count("tasks"), 30, "the server has no others");
    let compared = tab.run(tab.engine.metadata().compare(&tab.user));
    assert_eq!(compared.unwrap(), MetadataComparison::InSync);
}

#[test]
fn without_the_last_part_many_rows_are_taken_at_once_and_a_checkpoint_waits_for_it() {
    let world = World::new();
    let phone = device(&world);
    let tab = phone.unopened(Resolvers::default());
    tab.engine.host().lacks_part.set(true);
    sign_in(&tab);
    let entities = tab.engine.entities();
    let page = tab.run(entities.read_page(&tab.user, "tasks", 10, None, false));
    assert_eq!(page.unwrap().total, ROWS as u64);
    let drafts = (0..2_000).map(|number| Write::Create {
        draft: format!(r#"{{"id":"new-{number}","text":"{}"}}"#, "x".repeat(700)),
    });
    tab.run(entities.write(&tab.user, "tasks", drafts.collect()))
        .unwrap();
    assert_eq!(yields(&tab), 0, "the code of steps is not there");

    let user = tab.engine.opened(&tab.user).unwrap();
    let checkpointed = || user.db.peek(Replica::checkpointed_at);
    while !user.db.read(Replica::wants_checkpoint) {
        tab.create(&format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000)));
    }
    let count = user.count("tasks");
    tab.run(tab.engine.tidy(&tab.user)).unwrap();
    assert_eq!(checkpointed(), 0);
    tab.engine.host().lacks_part.set(false);
    tab.run(tab.engine.tidy(&tab.user)).unwrap();
    assert!(checkpointed() > 0);
    assert_eq!(user.count("tasks"), count);
}

#[test]
fn very_many_pending_operations_are_migrated_and_compacted_in_steps() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    let drafts = (0..25_000).map(|number| Write::Create {
        draft: format!(r#"{{"id":"task-{number:06}","text":"task {number}"}}"#),
    });
    a.run(a.engine.entities().write("ann", "tasks", drafts.collect()))
        .unwrap();
    a.run(a.engine.close());
    let chain = Chain::default().step(renamed("text", "title"));
    let (phone, _) = with_chain(phone, chain);
    let tab = phone.unopened(Resolvers::default());
    sign_in(&tab);
    // 5,000 at a time are written, each with a pause behind it; 10,000 at a time are folded and
    // freed. The rest encodes some MiB, one at a time.
    let encoding = yields(&tab) - (5 + 2 + 2);
    assert!((3..=6).contains(&encoding), "{encoding} steps");
    assert_eq!(tab.pending(), 25_000);
    assert_eq!(tab.read("task-000042").unwrap()["title"], "task 42");

    let before = yields(&tab);
    let user = tab.engine.opened(&tab.user).unwrap();
    tab.run(user.db.checkpoint()).unwrap();
    assert_eq!(yields(&tab) - before, 2 + encoding + 2 + 2);
    assert_eq!(tab.pending(), 25_000);
    let fresh = phone.open();
    assert_eq!(fresh.pending_operations().len(), 25_000);
    assert_eq!(fresh.read("task-000042").unwrap()["title"], "task 42");
}

#[test]
fn reads_and_writes_of_many_rows_do_not_wait_for_a_part_of_the_engine() {
    let world = World::new();
    let phone = device(&world);
    let tab = phone.unopened(Resolvers::default());
    sign_in(&tab);
    tab.engine.host().stalls_part.set(true);

    assert_eq!(tab.titles().len(), 25_000);
    let drafts = (0..12_000).map(|n| Write::Create {
        draft: format!(r#"{{"title":"late {n}"}}"#),
    });
    let write = tab.engine.entities();
    tab.run(write.write("ann", "tasks", drafts.collect()))
        .unwrap();

    assert_eq!(tab.titles().len(), 37_000);
}
