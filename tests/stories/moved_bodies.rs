//! Bodies that a checkpoint moves while a reader fetches them: no reader misses an entity, and what
//! a reader gets is of one state.

use std::future::Future;
use std::rc::Rc;

use crate::relation_support::config;
use crate::support::world::{Device, Tab, World, id_of};
use datum_sync::engine::queries::relations::SelectedEntities;
use datum_sync::log::address::BodyId;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use datum_sync::ports::store::Store;
use datum_sync::state::replica::Replica;
use futures_util::future::join;
use serde_json::Value;

/// How many times a page of tasks was pulled, and how many tasks each had.
const PAGES: usize = 5;
const PAGE: usize = 30;

/// How many turns a fetch takes, before or after the store looks: a checkpoint is done meanwhile.
const MOMENTS: [(u32, u32); 2] = [(200, 0), (0, 200)];

/// A device whose tasks are in small segments, none of which stays in memory.
fn device(world: &World) -> Device {
    let config = config(&[]).replacen('{', r#"{"memoryBudget":0,"#, 1);
    let (phone, laptop) = (world.device("phone").open(), world.device("laptop"));
    let laptop = laptop.with_config(&config);
    let puller = laptop.open();
    for page in 0..PAGES {
        let drafts = (page * PAGE..(page + 1) * PAGE).map(|number| Write::Create {
            draft: format!(
                r#"{{"id":"t{number:05}","title":"task {number}","at":{number},"notes":"{}"}}"#,
                "x".repeat(200)
            ),
        });
        let writes = phone.engine.entities();
        phone
            .run(writes.write("ann", "tasks", drafts.collect()))
            .unwrap();
        phone.sync();
        puller.sync();
    }
    puller.run(puller.engine.close());
    laptop
}

fn segments(tab: &Tab) -> Vec<BodyId> {
    let user = tab.engine.opened(&tab.user).unwrap();
    user.db.read(|replica| {
        let all = replica.segments().external();
        all.map(|(id, ..)| id).collect()
    })
}

fn ids(items: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(items).unwrap();
    all.iter().map(id_of).collect()
}

fn expected() -> Vec<String> {
    let all = (0..PAGES * PAGE).map(|number| format!("t{number:05}"));
    all.chain(["the last".to_owned()]).collect()
}

/// Reads all tasks while they move, each time in a tab that has none of them in memory.
fn reads<F: Future<Output = Vec<String>>>(what: &str, read: impl Fn(Tab) -> F) {
    for by_another in [false, true] {
        for moment in MOMENTS {
            let world = World::new();
            let device = device(&world);
            let (tab, other) = (device.open(), device.open());
            // So that rows are looked up one by one.
            tab.create(r#"{"id":"the last"}"#);
            other.run(other.engine.on_head("ann", u64::MAX)).unwrap();
            let before = segments(&tab);
            assert_eq!(before.len(), PAGES, "one segment a page");
            let mover = if by_another { &other } else { &tab };
            let mover = mover.engine.opened("ann").unwrap();
            let store = device.store();
            store.body_turns.set(moment);
            let clock = Rc::clone(&tab.clock);
            let moved = async {
                // The checkpoint itself needs bodies.
                store.body_turns.set((0, 0));
                mover.db.checkpoint().await.unwrap();
            };
            let reader = Tab {
                engine: Rc::clone(&tab.engine),
                user: tab.user.clone(),
                clock: Rc::clone(&clock),
            };
            let (found, ()) = clock.run(join(read(reader), moved));
            let name = format!("{what}, by another tab: {by_another}, {moment:?}");
            assert_eq!(found, expected(), "{name}");
            tab.run(tab.engine.on_head("ann", u64::MAX)).unwrap();
            let after = segments(&tab);
            assert!(before.iter().all(|id| !after.contains(id)), "{name}");
            let damage = tab.engine.opened("ann").unwrap();
            let damage = damage.db.peek(Replica::damage);
            assert!(!damage.needs_full_pull, "{name}: nothing is damaged");
        }
    }
}

#[test]
fn no_reader_misses_an_entity_whose_body_moves_while_it_is_fetched() {
    reads("readAll", |tab| async move {
        let all = tab.engine.entities();
        ids(&all.read_all("ann", "tasks", false).await.unwrap())
    });
    reads("readPage", |tab| async move {
        let all = tab.engine.entities();
        let page = all.read_page("ann", "tasks", 1_000, None, false).await;
        ids(&page.unwrap().items)
    });
    reads("watchAll", |tab| async move {
        let watch = tab.engine.entities().watch("ann", "tasks", None, false);
        let watch = watch.await.unwrap();
        ids(&watch.next().await.unwrap().unwrap().items)
    });
    reads("query", |tab| async move {
        let query = r#"{"where":{"not":{"field":"at","equals":-1}}}"#;
        let queries = tab.engine.queries();
        let found = queries.query("ann", "tasks", query, false).await;
        ids(&found.unwrap())
    });
    reads("a read with relations", |tab| async move {
        let selected = SelectedEntities {
            selection: "tasks".to_owned(),
            only: None,
            page: None,
            include: false.into(),
        };
        let with = ["tags".to_owned()];
        let graph = tab.engine.relations().read("ann", selected, &with).await;
        let entities = graph.unwrap().entities;
        entities.into_iter().map(|entity| entity.key.id).collect()
    });
}

#[test]
fn one_entity_is_found_while_its_body_moves() {
    for moment in MOMENTS {
        let world = World::new();
        let device = device(&world);
        let tab = device.open();
        let user = tab.engine.opened("ann").unwrap();
        let store = device.store();
        store.body_turns.set(moment);
        let read = tab.engine.entities().read("ann", "tasks", "t00042", false);
        let moved = async {
            store.body_turns.set((0, 0));
            user.db.checkpoint().await.unwrap();
        };
        let (found, ()) = tab.run(join(read, moved));
        let found = found.unwrap();
        assert!(found.is_some_and(|text| text.contains("task 42")));
    }
}

#[test]
fn what_a_reader_gets_is_of_one_state() {
    let kinds = [false, true].into_iter();
    for (paged, moment) in kinds.flat_map(|paged| MOMENTS.map(|moment| (paged, moment))) {
        let world = World::new();
        let device = device(&world);
        let tab = device.open();
        let user = tab.engine.opened("ann").unwrap();
        tab.create(r#"{"id":"the last"}"#);
        let store = device.store();
        store.body_turns.set(moment);
        let read = async {
            let entities = tab.engine.entities();
            if paged {
                let page = entities.read_page("ann", "tasks", 1_000, None, false);
                page.await.map(|page| page.items)
            } else {
                entities.read_all("ann", "tasks", false).await
            }
        };
        // One goes and another one comes, in one commit, while the bodies of all are fetched.
        let change = async {
            store.body_turns.set((0, 0));
            let group = vec![
                Write::Delete {
                    id: "t00003".to_owned(),
                    soft: false,
                },
                Write::Create {
                    draft: r#"{"id":"t00003b"}"#.to_owned(),
                },
            ];
            let writes = tab.engine.entities();
            writes.write("ann", "tasks", group).await.unwrap();
            user.db.checkpoint().await.unwrap();
        };
        let (all, ()) = tab.run(join(read, change));
        let all = ids(&all.unwrap());
        let has = |id: &str| all.iter().any(|it| it == id);
        assert!(
            has("t00003") != has("t00003b"),
            "{paged}, {moment:?}: one of the two"
        );
        assert_eq!(all.len(), PAGES * PAGE + 1);
    }
}

#[test]
fn an_export_does_not_take_bodies_of_the_next_log_for_those_of_a_lost_one() {
    let world = World::new();
    let device = device(&world);
    let tab = device.open();
    let export = tab.run(tab.engine.transfer().export("ann", false)).unwrap();
    device.evict();
    tab.create(r#"{"id":"new"}"#);
    // The same tasks come in other segments under the same keys.
    tab.sync();
    assert!(
        tab.run(device.store().load())
            .is_ok_and(|log| !log.is_empty())
    );
    let error = loop {
        match tab.run(export.next()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was exported as if nothing had happened"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::StorageBlocked);
    assert!(error.message().contains("removed"), "{}", error.message());
}
