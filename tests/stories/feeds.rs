//! Watches and events: what readers get, and what they cost.

use std::rc::Rc;

use crate::support::world::{CountedStore, Fault, Tab, TestHost, World};
use datum_sync::engine::events::{Filter, Reader, Topic};
use datum_sync::engine::watch::{Delta, Watch};
use futures_util::FutureExt;

type Watching = Watch<CountedStore, TestHost>;

fn watch(tab: &Tab) -> Watching {
    tab.run(tab.engine.entities().watch(&tab.user, "tasks", None, false))
        .unwrap()
}

/// Returns the next delta, if there is one.
fn now(watch: &Watching) -> Option<Delta> {
    watch
        .next()
        .now_or_never()
        .map(|delta| delta.unwrap().expect("the watch has ended"))
}

fn titles(delta: &Delta) -> Vec<String> {
    let items: Vec<serde_json::Value> = serde_json::from_str(&delta.items).unwrap();
    items
        .iter()
        .map(|item| item["title"].as_str().unwrap().to_owned())
        .collect()
}

fn events(reader: &Rc<Reader>) -> Vec<serde_json::Value> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten())
        .map(|event| serde_json::from_str(&event.text).unwrap())
        .collect()
}

fn types(events: &[serde_json::Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[test]
fn a_watch_begins_with_what_is_there_and_hears_of_each_commit_once() {
    let world = World::new();
    let a = world.device("phone").open();
    let milk = a.create(r#"{"title":"milk"}"#);
    let watching = watch(&a);

    let first = now(&watching).unwrap();
    assert!(first.whole);
    assert_eq!(titles(&first), ["milk"]);
    assert_eq!(now(&watching), None, "nothing has changed");

    a.patch(milk["id"].as_str().unwrap(), r#"{"title":"oat milk"}"#);
    let second = now(&watching).unwrap();
    assert_eq!(
        (second.whole, titles(&second)),
        (false, vec!["oat milk".to_owned()])
    );

    a.delete(milk["id"].as_str().unwrap());
    let third = now(&watching).unwrap();
    assert_eq!(
        (third.items.as_str(), third.gone),
        ("[]", vec![milk["id"].as_str().unwrap().to_owned()])
    );
}

#[test]
fn a_pulled_page_is_one_update() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    for n in 0..30 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    a.sync();
    let watching = watch(&b);
    assert_eq!(now(&watching).unwrap().items, "[]");
    let engine = Rc::clone(&b.engine);
    let updates = b.run(async {
        let options = datum_sync::model::config::Options {
            batch_size: Some(10),
            ..Default::default()
        };
        let mut cycle = std::pin::pin!(engine.synchronize("ann", options, None, Rc::default()));
        let mut updates = Vec::new();
        loop {
            let next = std::pin::pin!(watching.next());
            match futures_util::future::select(next, cycle.as_mut()).await {
                futures_util::future::Either::Left((delta, _)) => {
                    updates.push(titles(&delta.unwrap().unwrap()).len())
                }
                futures_util::future::Either::Right((ended, _)) => {
                    assert!(ended.unwrap().is_success);
                    return updates;
                }
            }
        }
    });
    assert_eq!(
        updates.iter().sum::<usize>() + now(&watching).map_or(0, |delta| titles(&delta).len()),
        30
    );
    assert!((2..=3).contains(&updates.len()), "{updates:?}");
}

#[test]
fn a_slow_reader_gets_the_latest_of_each_entity_once() {
    let world = World::new();
    let a = world.device("phone").open();
    let id = a.create(r#"{"title":"0"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let watching = watch(&a);
    now(&watching);
    for n in 1..=50 {
        a.patch(&id, &format!(r#"{{"title":"{n}"}}"#));
    }
    assert_eq!(titles(&now(&watching).unwrap()), ["50"]);
    assert_eq!(now(&watching), None);
}

#[test]
fn a_reader_that_fell_behind_the_journal_is_given_everything_anew() {
    let world = World::new();
    let a = world.device("phone").open();
    let watching = watch(&a);
    now(&watching);
    let drafts = |from: u32| {
        (from..from + 10_001).map(|n| datum_sync::plan::write::Write::Create {
            draft: format!(r#"{{"title":"{n}"}}"#),
        })
    };
    for from in [0, 20_000] {
        a.run(
            a.engine
                .entities()
                .write("ann", "tasks", drafts(from).collect()),
        )
        .unwrap();
    }
    let delta = now(&watching).unwrap();
    assert!(delta.whole);
    assert_eq!(titles(&delta).len(), 20_002);
}

#[test]
fn what_another_tab_writes_is_seen_and_said() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let watching = watch(&b);
    now(&watching);
    let reader = b.engine.events(Filter {
        topics: vec![Topic::DataChanged],
        ..Filter::default()
    });

    let milk = a.create(r#"{"title":"milk"}"#);
    b.run(b.engine.on_head("ann", 1)).unwrap();

    assert_eq!(titles(&now(&watching).unwrap()), ["milk"]);
    let heard = events(&reader);
    assert_eq!(
        (heard.len(), &heard[0]["source"], &heard[0]["created"][0]),
        (1, &"otherTab".into(), &milk["id"])
    );
}

#[test]
fn a_tab_that_slept_through_a_compaction_sees_what_changed_and_nothing_else() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let (milk, tea) = (
        a.create(r#"{"title":"milk"}"#),
        a.create(r#"{"title":"tea"}"#),
    );
    b.run(b.engine.on_head("ann", 2)).unwrap();
    let watching = watch(&b);
    now(&watching);

    a.patch(milk["id"].as_str().unwrap(), r#"{"title":"oat milk"}"#);
    let user = a.engine.opened("ann").unwrap();
    a.run(user.db.checkpoint()).unwrap();
    b.run(b.engine.on_head("ann", 4)).unwrap();

    assert_eq!(titles(&now(&watching).unwrap()), ["oat milk"], "not {tea}");
    assert_eq!(now(&watching), None);
}

#[test]
fn a_checkpoint_changes_nothing_for_a_reader() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let watching = watch(&a);
    now(&watching);
    a.run(a.engine.opened("ann").unwrap().db.checkpoint())
        .unwrap();
    assert_eq!(now(&watching), None);
    a.create(r#"{"title":"tea"}"#);
    assert_eq!(
        titles(&now(&watching).unwrap()),
        ["tea"],
        "it goes on after a checkpoint"
    );
    a.sync();
    now(&watching);
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    assert_eq!(
        now(&watching),
        None,
        "a full pull that finds everything as it was"
    );
}

#[test]
fn nobody_who_listens_costs_nothing() {
    let world = World::new();
    let a = world.device("phone").open();
    let user = a.engine.opened("ann").unwrap();
    assert!(!user.db.is_listening());
    let watching = watch(&a);
    assert!(user.db.is_listening());
    drop(watching);
    a.create(r#"{"title":"milk"}"#);
    assert!(!user.db.is_listening(), "the next commit finds nobody");
}

#[test]
fn one_entity_is_watched_by_its_id() {
    let world = World::new();
    let a = world.device("phone").open();
    let watching = a
        .run(
            a.engine
                .entities()
                .watch("ann", "tasks", Some("t1".to_owned()), false),
        )
        .unwrap();
    assert_eq!(now(&watching).unwrap().items, "[]");
    a.create(r#"{"id":"t2","title":"tea"}"#);
    assert_eq!(now(&watching), None, "another entity");
    a.create(r#"{"id":"t1","title":"milk"}"#);
    assert_eq!(titles(&now(&watching).unwrap()), ["milk"]);
    a.delete("t1");
    assert_eq!(now(&watching).unwrap().gone, ["t1"]);
}

#[test]
fn an_ended_watch_and_a_closed_instance_answer_none() {
    let world = World::new();
    let a = world.device("phone").open();
    let (ended, left) = (watch(&a), watch(&a));
    now(&ended);
    now(&left);
    ended.end();
    assert!(ended.next().now_or_never().unwrap().unwrap().is_none());
    let waiting = async { left.next().await.unwrap() };
    let (delta, ()) = a.run(futures_util::future::join(waiting, a.engine.close()));
    assert!(delta.is_none());
}

#[test]
fn a_cycle_tells_what_it_does_while_it_does_it() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    b.create(r#"{"title":"tea"}"#);
    b.sync();
    let reader = a.engine.events(Filter::default());
    a.create(r#"{"title":"milk"}"#);

    a.sync();

    let heard = events(&reader);
    assert_eq!(heard[0]["source"], "local");
    let kinds = types(&heard);
    assert_eq!(
        (kinds[0], kinds[1], *kinds.last().unwrap()),
        ("dataChanged", "syncStarted", "syncCompleted")
    );
    assert_eq!(
        (&heard[1]["direction"], &heard[1]["pendingOperations"]),
        (&"pushThenPull".into(), &1.into())
    );
    let pulled = heard
        .iter()
        .find(|event| event["source"] == "remote" && event["created"][0].is_string())
        .unwrap();
    assert_eq!(pulled["entity"], "tasks");
    assert!(kinds.contains(&"syncProgress"));
    assert_eq!(heard.last().unwrap()["result"]["syncedCount"], 2);
    assert!(
        heard
            .iter()
            .all(|event| event["userId"] == "ann" && event["at"].is_string())
    );
}

#[test]
fn failures_conflicts_and_dead_letters_are_events() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"milk","n":1}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    b.sync();
    a.patch(&id, r#"{"title":"oat milk"}"#);
    a.sync();
    b.patch(&id, r#"{"title":"soy milk"}"#);
    let reader = b.engine.events(Filter::default());
    b.sync();
    let heard = events(&reader);
    let conflict = heard
        .iter()
        .find(|event| event["type"] == "conflictDetected")
        .unwrap();
    assert_eq!(
        (
            &conflict["conflict"]["entityId"],
            &conflict["conflict"]["fields"][0]
        ),
        (&id.clone().into(), &"title".into())
    );
    let resolved = heard
        .iter()
        .find(|event| event["type"] == "conflictResolved")
        .unwrap();
    assert_eq!(
        (&resolved["taken"], &resolved["conflict"]["base"]["title"]),
        (&"merged".into(), &"milk".into())
    );

    laptop.fault("/pull", Fault::Status(403, None));
    b.sync_with("{}").unwrap_err();
    let heard = events(&reader);
    assert_eq!(
        (
            types(&heard).last(),
            &heard.last().unwrap()["error"]["code"]
        ),
        (Some(&"syncFailed"), &"forbidden".into())
    );
}

#[test]
fn a_reader_hears_only_what_it_asked_for() {
    let world = World::new();
    let a = world.device("phone").open();
    let ended = a.engine.events(Filter {
        topics: vec![Topic::SyncCompleted],
        ..Filter::default()
    });
    let notes = a.engine.events(Filter {
        entity: Some("notes".to_owned()),
        ..Filter::default()
    });
    let bobs = a.engine.events(Filter {
        user_id: Some("bob".to_owned()),
        ..Filter::default()
    });
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    assert_eq!(types(&events(&ended)), ["syncCompleted"]);
    assert!(events(&notes).is_empty() && events(&bobs).is_empty());
}

#[test]
fn a_thousand_readers_that_never_read_take_bounded_memory() {
    let world = World::new();
    let a = world.device("phone").open();
    let readers: Vec<_> = (0..1000)
        .map(|_| a.engine.events(Filter::default()))
        .collect();
    let watches: Vec<_> = (0..1000).map(|_| watch(&a)).collect();
    let statuses: Vec<_> = (0..1000)
        .map(|_| a.engine.status_hub("ann").unwrap().subscribe())
        .collect();
    for n in 0..60 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    }
    let waiting = events(&readers[0]);
    assert!(waiting.len() <= 256, "{}", waiting.len());
    assert_eq!(
        *types(&waiting).last().unwrap(),
        "syncCompleted",
        "the end of a cycle is never dropped for its progress"
    );
    assert!(a.engine.metrics().dropped_events > 0);
    let mut terminal = 0;
    while let Some(status) = statuses[0].next().now_or_never().flatten() {
        terminal += u32::from(status.is_terminal());
    }
    assert!(
        terminal >= 60,
        "none is dropped before 256 wait: {terminal}"
    );
    assert_eq!(titles(&now(&watches[0]).unwrap()).len(), 60);
}

#[test]
fn every_read_that_waits_ends_with_its_feed() {
    let world = World::new();
    let a = world.device("phone").open();
    let subscription = a.engine.status_hub("ann").unwrap().subscribe();
    assert!(a.run(subscription.next()).is_some());
    let close = async { subscription.end() };

    let (one, two, ()) = a.run(futures_util::future::join3(
        subscription.next(),
        subscription.next(),
        close,
    ));

    assert!(one.is_none() && two.is_none());
}
