//! Work on many rows: it is done in steps, and between two of them the page has a turn.
//!
//! The clock of these tests stands still, so that only what is counted yields.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::migrations::{Chain, at_version, filled, renamed, with_chain};
use crate::support::world::{Device, Tab, World};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::entity::Key;
use datum_sync::state::replica::Replica;
use datum_sync::util::local_sync::yield_now;
use futures_util::future::join;

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
    host.set(Some(Rc::new(move || engine.host().yields.get())));
    sign_in(&tab);
    host.set(None);

    assert_eq!(first.get(), Some(2), "25,000 rows, 10,000 at a time");
    assert_eq!(last.get(), 2, "time stands still");
    // Three transactions of 2 MiB ahead, each encoded in two steps, with a pause behind it. Then a
    // pause, and the checkpoint, which is less than 1 MiB. Then 25,000 rows are loaded.
    let after = yields(&tab) - last.get();
    assert_eq!(after, 3 * (1 + 1) + 1 + 2);
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
fn a_checkpoint_of_many_rows_is_folded_in_steps_and_readers_miss_nothing_meanwhile() {
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
    assert_eq!(yields(&tab) - before, 2, "25,000 rows, 10,000 at a time");
    assert_eq!(user.count("tasks"), ROWS as u64 + 1);
    assert_eq!(tab.pending(), 1 + 1, "the note and the task");
    assert_eq!(tab.read("task-000042").unwrap()["text"], "task 42");
}
