//! Queries: what they find, of which state, and how little they read for it.

use std::cell::Cell;
use std::rc::Rc;

use crate::query_dice::Dice;
use crate::query_reference::reference_page;
use crate::query_support::Entity;
use crate::support::world::{Device, Tab, World, id_of};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::Value;

pub const INDEXED: &str = r#"{"entities":{"tasks":{"indexes":["at",["group","at"]]},"notes":{}}}"#;

pub fn query(tab: &Tab, query: &str) -> Vec<Value> {
    let text = tab
        .run(tab.engine.queries().query(&tab.user, "tasks", query, false))
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(tab: &Tab, text: &str) -> Vec<String> {
    query(tab, text).iter().map(id_of).collect()
}

fn count(tab: &Tab, query: &str) -> u64 {
    tab.run(tab.engine.queries().count(&tab.user, "tasks", query))
        .unwrap()
}

/// Everything that a tab reads, as the reference takes it.
pub fn entities(tab: &Tab) -> Vec<Entity> {
    let text = tab
        .run(tab.engine.entities().read_all(&tab.user, "tasks", true))
        .unwrap();
    let all: Vec<&serde_json::value::RawValue> = serde_json::from_str(&text).unwrap();
    all.into_iter()
        .map(|raw| {
            let value: Value = serde_json::from_str(raw.get()).unwrap();
            Entity {
                version: value["version"].as_u64().unwrap(),
                deleted: value["isDeleted"] == true,
                ..Entity::new(value["id"].as_str().unwrap(), raw.get())
            }
        })
        .collect()
}

pub fn create_many(tab: &Tab, drafts: impl Iterator<Item = String>) {
    let writes = drafts.map(|draft| Write::Create { draft }).collect();
    tab.run(tab.engine.entities().write(&tab.user, "tasks", writes))
        .unwrap();
}

pub fn numbered(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|n| {
        let group = n % 4;
        format!(r#"{{"id":"t{n:05}","at":{n},"group":{group},"title":"task {n}"}}"#)
    })
}

/// A device whose tasks were synced, with a tab that has not read any of them.
fn stocked(world: &World, config: &str, tasks: usize) -> (Device, Tab) {
    let first = world.device("phone").open();
    create_many(&first, numbered(0, tasks));
    first.sync();
    let device = world.device("laptop").with_config(config);
    let puller = device.open();
    puller.sync();
    let tab = device.open();
    (device, tab)
}

#[test]
fn a_query_finds_what_it_says_in_its_order() {
    let world = World::new();
    let a = world.device("phone").open();
    create_many(&a, numbered(0, 12));
    a.delete("t00004");
    let text =
        r#"{"where":{"field":"group","equals":0},"orderBy":[{"field":"at","descending":true}]}"#;
    assert_eq!(ids(&a, text), ["t00008", "t00000"]);
    let deleted = text.replace("\"where\"", "\"includeDeleted\":true,\"where\"");
    // The tombstone has no body, so it is in no group.
    assert_eq!(ids(&a, &deleted), ["t00008", "t00000"]);
    let deleted = r#"{"includeDeleted":true,"where":{"field":"isDeleted","equals":true}}"#;
    assert_eq!(ids(&a, deleted), ["t00004"]);
    assert_eq!(query(&a, text)[0]["title"], "task 8");
    assert_eq!(
        (
            count(&a, "{}"),
            count(&a, r#"{"where":{"field":"at","lessThan":6},"limit":1}"#)
        ),
        (11, 5)
    );
    assert_eq!(ids(&a, r#"{"limit":0}"#), [""; 0]);
}

#[test]
fn a_bad_query_is_refused_with_its_path() {
    let world = World::new();
    let a = world.device("phone").open();
    let asked = |text: &str| {
        a.run(a.engine.queries().query(&a.user, "tasks", text, false))
            .unwrap_err()
    };
    let error = asked(r#"{"where":{"and":[{"field":"at","gte":1}]}}"#);
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("where.and[0].gte"), "{error:?}");
    let other = a.run(a.engine.queries().query(&a.user, "nothing", "{}", false));
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument);
    let page = |query: &str, after: Option<&str>| {
        a.run(
            a.engine
                .queries()
                .page(&a.user, "tasks", query, (5, after), false),
        )
        .map(|_| ())
        .map_err(|error| error.code())
    };
    assert_eq!(page(r#"{"limit":5}"#, None), Err(Code::InvalidArgument));
    assert_eq!(page("{}", Some("nonsense")), Err(Code::InvalidArgument));
    assert_eq!(page("{}", None), Ok(()));
}

#[test]
fn random_queries_find_what_they_find_on_parsed_values_with_indexes_and_without() {
    const CONFIGS: [&str; 3] = [
        r#"{"entities":{"tasks":{}}}"#,
        r#"{"entities":{"tasks":{"indexes":["a",["b","a"],"version",["a.b","id"]]}}}"#,
        r#"{"entities":{"tasks":{"indexes":["b"]}},"memoryBudget":0}"#,
    ];
    let mut dice = Dice(17);
    for round in 0..3 {
        let world = World::new();
        let author = world.device("phone").open();
        let drafts = |dice: &mut Dice, count: usize| -> Vec<String> {
            (0..count).map(|_| dice.object(3)).collect()
        };
        create_many(&author, drafts(&mut dice, 120).into_iter());
        author.sync();
        let device = world.device("laptop").with_config(CONFIGS[round % 3]);
        device.open().sync();
        let tab = device.open();
        for _ in 0..12 {
            for _ in 0..4 {
                let all = entities(&tab);
                let id = all[dice.roll(all.len())].id.clone();
                match dice.roll(3) {
                    0 => drop(tab.create(&dice.object(3))),
                    1 if tab.read(&id).is_some() => drop(tab.patch(&id, &dice.object(2))),
                    _ => drop(tab.delete(&id)),
                }
            }
            for _ in 0..6 {
                let text = dice.query();
                assert_eq!(
                    ids(&tab, &text),
                    reference_page(&text, &entities(&tab)),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn an_indexed_query_reads_the_rows_that_it_returns_and_no_others() {
    let world = World::new();
    let (device, tab) = stocked(&world, INDEXED, 10_000);
    drop(device);
    let text = r#"{"where":{"field":"group","equals":3},"orderBy":[{"field":"at","descending":true}],"limit":50}"#;
    let explained = tab
        .run(tab.engine.queries().explain(&tab.user, "tasks", text))
        .unwrap();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["index"], serde_json::json!(["group", "at"]));
    assert_eq!(explained["inOrder"], true);
    assert!(explained["indexMemory"].as_u64().unwrap() > 100_000);
    let before = looks(&tab);
    let found = ids(&tab, text);
    assert_eq!((found.len(), found[0].as_str()), (50, "t09999"));
    let looked = looks(&tab) - before;
    assert!(
        looked <= 110,
        "{looked} looks at 50 entities, each once to evaluate and once to return"
    );
    // A write is taken into the index.
    tab.patch("t09999", r#"{"group":1}"#);
    assert_eq!(ids(&tab, text)[0], "t09995");
}

/// How many bodies have been looked at.
fn looks(tab: &Tab) -> u64 {
    tab.run(tab.engine.user(&tab.user))
        .unwrap()
        .db
        .peek(|replica| replica.segments().looks())
}

#[test]
fn pages_follow_each_other_whatever_is_written_between_them() {
    let world = World::new();
    let (_device, tab) = stocked(&world, INDEXED, 300);
    for text in [
        r#"{"where":{"field":"group","isIn":[1,2]},"orderBy":[{"field":"at","descending":true}]}"#,
        r#"{"where":{"field":"group","equals":1},"orderBy":[{"field":"at"}]}"#,
        r#"{"where":{"field":"at","greaterThan":10}}"#,
        "{}",
    ] {
        let (mut after, mut found): (Option<String>, Vec<String>) = Default::default();
        loop {
            let page = tab
                .run(tab.engine.queries().page(
                    &tab.user,
                    "tasks",
                    text,
                    (7, after.as_deref()),
                    false,
                ))
                .unwrap();
            let items: Vec<Value> = serde_json::from_str(&page.items).unwrap();
            found.extend(items.iter().map(id_of));
            // Nothing that has been shown comes again, and what is inserted before does not either.
            tab.patch(&found[0], r#"{"title":"read"}"#);
            if page.after.is_none() {
                break;
            }
            assert_eq!(items.len(), 7);
            after = page.after;
        }
        assert_eq!(found, ids(&tab, text), "{text}");
    }
}

#[test]
fn a_query_yields_and_its_result_is_of_one_state_whatever_is_written_meanwhile() {
    for text in [
        r#"{"orderBy":[{"field":"title"}],"limit":20}"#,
        // By an index, so that it ends early unless something changes.
        r#"{"orderBy":[{"field":"at"}],"limit":2500}"#,
        // No index.
        r#"{"where":{"not":{"field":"at","greaterThanOrEqual":1000}}}"#,
        r#"{"where":{"not":{"field":"group","notEquals":2}},"limit":700}"#,
    ] {
        let world = World::new();
        let (_device, tab) = stocked(&world, INDEXED, 6_000);
        query(&tab, r#"{"where":{"field":"at","equals":1}}"#);
        tab.engine.host().work_ms.set(20);
        let yields = tab.engine.host().yields.get();
        let ended = Cell::new(false);
        let (engine, user) = (Rc::clone(&tab.engine), tab.user.clone());
        let asked = async {
            let found = engine.queries().query(&user, "tasks", text, false).await;
            ended.set(true);
            // At once: nothing else has run.
            let all = engine.entities();
            (
                found.unwrap(),
                all.read_all(&user, "tasks", false).await.unwrap(),
            )
        };
        let mut writes = 0;
        let writer = async {
            while !ended.get() {
                writes += 1;
                // The last becomes the first, and one in the middle goes.
                let write = |id: String, at: i64| Write::Patch {
                    id,
                    changes: format!(r#"{{"at":{at}}}"#),
                };
                let gone = Write::Delete {
                    id: format!("t{:05}", 100 + writes),
                    soft: false,
                };
                let group = vec![
                    write(format!("t{:05}", 5_999 - writes), -writes),
                    write(format!("t{:05}", 2_400 + writes % 100), 5_000),
                    gone,
                ];
                let _ = tab.engine.entities().write(&tab.user, "tasks", group).await;
                if writes > 60 {
                    break;
                }
            }
        };
        let ((found, all), ()) = tab.run(async { futures_util::future::join(asked, writer).await });
        tab.engine.host().work_ms.set(0);
        assert!(writes > 1, "nothing was written meanwhile: {writes} {text}");
        assert!(tab.engine.host().yields.get() > yields + 2);
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        let all: Vec<Value> = serde_json::from_str(&all).unwrap();
        let all: Vec<Entity> = all
            .iter()
            .map(|task| Entity::new(task["id"].as_str().unwrap(), &task.to_string()))
            .collect();
        let found: Vec<String> = found.iter().map(id_of).collect();
        assert_eq!(found, reference_page(text, &all), "{text}");
    }
}

#[test]
fn bodies_outside_of_memory_are_fetched_in_batches_and_each_once() {
    let world = World::new();
    let (device, tab) = stocked(
        &world,
        r#"{"entities":{"tasks":{"indexes":["at"]}},"memoryBudget":0}"#,
        6_000,
    );
    let reads = device.counts().reads;
    let text = r#"{"where":{"field":"title","endsWith":"77"}}"#;
    assert_eq!(ids(&tab, text).len(), 60);
    let first = device.counts().reads - reads;
    assert!((1..=4).contains(&first), "{first} transactions");
    let text = r#"{"where":{"field":"at","between":[100,120]}}"#;
    assert_eq!(ids(&tab, text).len(), 21);
    let again = device.counts().reads;
    assert_eq!(ids(&tab, text).len(), 21);
    assert!(device.counts().reads - again <= 2, "the index is there");
}
