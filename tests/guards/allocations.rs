//! Allocations of common work, counted natively: unlike times they are the same on every machine.

use std::rc::Rc;

use crate::support::migrations::{at_version, updated};
use crate::support::world::{Tab, World};
use datum_sync::plan::write::Write;
use datum_sync::query::fields::EntityRef;
use datum_sync::query::read::Query;
use datum_sync::query::select::Select;

const TASKS: u64 = 1_000;

fn task(n: u64) -> String {
    let note = "call the supplier about the order ".repeat(5);
    format!(
        r#"{{"id":"task-{n:06}","title":"task {n}","done":{},"priority":{},"note":"{note}","tags":["work","list-{}"]}}"#,
        n.is_multiple_of(3),
        n % 5,
        n % 20
    )
}

fn create_many(tab: &Tab, from: u64, count: u64) {
    let writes = (from..from + count)
        .map(|n| Write::Create { draft: task(n) })
        .collect();
    tab.run(tab.engine.entities().write(&tab.user, "tasks", writes))
        .unwrap();
}

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// Returns a world whose server has the tasks.
fn seeded() -> World {
    let world = World::new();
    let phone = world.device("phone");
    let tab = phone.open();
    create_many(&tab, 0, TASKS);
    tab.sync();
    world
}

#[test]
fn a_first_pull_makes_a_dozen_allocations_for_each_entity() {
    let world = seeded();
    let laptop = world.device("laptop");
    let tab = laptop.open();
    let both = allocations(|| drop(tab.sync_with(r#"{"direction":"pullOnly"}"#).unwrap()));
    // The server runs in the same thread: the same requests once more tell its share.
    let pulls: Vec<_> = laptop
        .remote
        .seen
        .borrow()
        .iter()
        .filter(|request| request.path == "/pull")
        .cloned()
        .collect();
    let served = allocations(|| {
        for pull in &pulls {
            let (status, _) = world.server.handle(
                "ann",
                pull.method,
                "/sync/v1/pull",
                &pull.body,
                world.clock.now(),
            );
            assert_eq!(status, 200);
        }
    });

    assert_eq!(tab.titles().len() as u64, TASKS);
    assert!(
        both - served < 12 * TASKS,
        "{both} with {served} of the server's"
    );
}

#[test]
fn a_write_allocates_for_its_entity_and_little_else() {
    let world = seeded();
    let tab = world.device("laptop").open();
    tab.sync();
    let many = allocations(|| create_many(&tab, TASKS, TASKS));
    let one = allocations(|| create_many(&tab, 2 * TASKS, 1));

    assert!(many < 20 * TASKS, "{many}");
    assert!(one < 90, "{one}");
}

#[test]
fn a_cycle_with_nothing_to_do_allocates_the_same_however_much_there_is() {
    let world = seeded();
    let tab = world.device("laptop").open();
    tab.sync();
    tab.sync();

    let idle = allocations(|| drop(tab.sync()));

    assert!(idle < 400, "{idle}");
}

#[test]
fn reading_allocates_what_it_hands_over() {
    let world = seeded();
    let laptop = world.device("laptop");
    laptop.open().sync();
    let tab = laptop.open();

    let one = allocations(|| {
        drop(
            tab.run(
                tab.engine
                    .entities()
                    .read("ann", "tasks", "task-000077", false),
            )
            .unwrap(),
        )
    });
    let all = allocations(|| {
        drop(
            tab.run(tab.engine.entities().read_all("ann", "tasks", false))
                .unwrap(),
        )
    });
    let opened = allocations(|| drop(laptop.open()));

    assert!(one < 20, "{one}");
    assert!(all < 60, "no row is folded for it: {all}");
    assert!(opened < 600, "nor for opening: {opened}");
}

#[test]
fn a_query_allocates_for_the_entities_that_it_returns_and_for_no_others() {
    let bodies: Vec<String> = (0..TASKS)
        .map(|n| task(n).replace("the order", "\\u0074he order"))
        .collect();
    let query = r#"{
        "where": {"and": [
            {"field": "done", "equals": false},
            {"field": "priority", "greaterThanOrEqual": 1},
            {"field": "tags.0", "isIn": ["work", "home"]},
            {"field": "tags", "arrayContains": "work"},
            {"field": "note", "containsIgnoreCase": "ABOUT THE"},
            {"field": "note", "notEquals": "x"},
            {"field": "title", "matches": "^task [0-9]+$"}
        ]},
        "orderBy": [{"field": "note"}],
        "limit": 10
    }"#;
    let query = Rc::new(Query::read(query, "tasks").unwrap());
    let mut select = Select::new(query, false);
    let mut offer = |bodies: &[String]| {
        for body in bodies {
            select.offer(&EntityRef {
                id: "one",
                space: None,
                user: "ann",
                version: 1,
                deleted: false,
                sync_state: "synced",
                body,
            });
        }
    };
    // The rooms grow and the page fills.
    offer(&bodies[..100]);
    assert_eq!(allocations(|| offer(&bodies[100..])), 0);
    assert!(select.finish().matched > 400);
}

#[test]
fn a_migration_takes_as_long_for_each_pending_operation_however_many_there_are() {
    let migrated = |count: u64| {
        let world = World::new();
        let phone = at_version(world.device("phone"), 1);
        let tab = phone.open();
        create_many(&tab, 0, count);
        tab.run(tab.engine.close());
        let (phone, chain) = updated(phone);
        let made = allocations(|| assert_eq!(phone.open().pending(), count));
        assert_eq!(chain.ids.borrow().len() as u64, count);
        made
    };
    let (few, many) = (migrated(TASKS), migrated(4 * TASKS));

    assert!(
        many < 5 * few,
        "{few} for {TASKS}, {many} for four times as many"
    );
}
