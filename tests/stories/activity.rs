//! What an instance tells of its work: cycles, phases, requests and commits.

use std::rc::Rc;

use crate::support::world::{Device, Fault, Tab, World};
use datum_sync::engine::activity::ActivityReader;
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::Value;

/// Returns what a reader has been told since the last call.
fn told(reader: &ActivityReader) -> Vec<Value> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten())
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

fn ended<'a>(told: &'a [Value], kind: &str) -> Vec<&'a Value> {
    told.iter()
        .filter(|activity| activity["kind"] == kind && activity["outcome"] != "running")
        .collect()
}

fn named<'a>(told: &'a [Value], kind: &str, name: &str) -> Vec<&'a Value> {
    let mut all = ended(told, kind);
    all.retain(|activity| activity["name"] == name);
    all
}

fn watched(world: &World, config: &str) -> (Device, Tab, Rc<ActivityReader>) {
    let phone = world.device("phone").with_config(config);
    let tab = phone.open();
    let reader = tab.engine.watch_activity(None);
    (phone, tab, reader)
}

const TASKS: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":2,"jitter":"none","initial":700}}"#;

#[test]
fn a_cycle_comes_with_its_phases_requests_and_commits() {
    let world = World::new();
    let (_phone, tab, reader) = watched(&world, TASKS);
    tab.create(r#"{"id":"secret-id","title":"secret-title"}"#);
    let write = told(&reader);
    assert_eq!(write.len(), 1, "{write:?}");
    assert_eq!(
        (&write[0]["kind"], &write[0]["source"], &write[0]["outcome"]),
        (&"commit".into(), &"local".into(), &"ok".into())
    );
    assert!(write[0]["parent"].is_null() && write[0]["bytes"].as_u64() > Some(0));

    let result = tab.sync();

    let all = told(&reader);
    let cycles = ended(&all, "cycle");
    assert_eq!(cycles.len(), 1);
    let cycle = cycles[0];
    assert_eq!(
        (&cycle["name"], &cycle["outcome"], &cycle["automatic"]),
        (&"pushThenPull".into(), &"ok".into(), &false.into())
    );
    assert_eq!(cycle["operations"], 1);
    assert_eq!(cycle["bytesSent"], result.bytes_pushed);
    assert_eq!(cycle["bytesReceived"], result.bytes_pulled);
    let phases = ended(&all, "phase");
    assert!(phases.len() >= 2 && phases.iter().all(|phase| phase["parent"] == cycle["id"]));
    let parents: Vec<_> = [cycle["id"].clone()]
        .into_iter()
        .chain(phases.iter().map(|phase| phase["id"].clone()))
        .collect();
    let requests = ended(&all, "request");
    assert!(
        requests
            .iter()
            .all(|request| parents.contains(&request["parent"]))
    );
    let push = named(&all, "request", "push")[0];
    assert_eq!(
        (&push["operations"], &push["attempt"]),
        (&1.into(), &1.into())
    );
    assert!(push["bytesSent"].as_u64() > Some(0) && push["bytesReceived"].as_u64() > Some(0));
    let pull = named(&all, "request", "pull")[0];
    assert!(pull["limit"].as_u64() > Some(0) && pull["bytesReceived"].as_u64() > Some(0));
    let commits = ended(&all, "commit");
    assert!(commits.iter().any(|commit| commit["source"] == "remote"));
    assert!(
        commits
            .iter()
            .all(|commit| parents.contains(&commit["parent"]))
    );

    let begun = all
        .iter()
        .filter(|activity| activity["outcome"] == "running");
    for begun in begun {
        let ends = all
            .iter()
            .filter(|other| other["id"] == begun["id"] && other["outcome"] != "running");
        assert_eq!(ends.count(), 1, "{begun}");
    }
    let text = format!("{write:?}{all:?}");
    assert!(!text.contains("secret"), "no values of the app: {text}");
}

#[test]
fn a_failed_request_says_why_and_when_it_is_tried_again() {
    let world = World::new();
    let (phone, tab, reader) = watched(&world, TASKS);
    tab.sync();
    tab.create(r#"{"title":"milk"}"#);
    told(&reader);
    phone.fault("/push", Fault::Status(503, None));

    tab.sync();

    let all = told(&reader);
    let pushes = named(&all, "request", "push");
    assert_eq!(pushes.len(), 2, "{pushes:?}");
    assert_eq!(
        (&pushes[0]["outcome"], &pushes[0]["retryInMs"]),
        (&"failed".into(), &700.into())
    );
    assert_eq!(
        (&pushes[0]["error"]["code"], &pushes[0]["error"]["status"]),
        (&"serverError".into(), &503.into())
    );
    assert_eq!(
        (&pushes[1]["outcome"], &pushes[1]["attempt"]),
        (&"ok".into(), &2.into())
    );
    assert!(pushes[1]["retryInMs"].is_null());
    assert_eq!(ended(&all, "cycle")[0]["outcome"], "ok");
}

#[test]
fn what_fails_for_good_fails_its_phase_and_its_cycle() {
    let world = World::new();
    let (phone, tab, reader) = watched(&world, TASKS);
    phone.fault("/pull", Fault::Status(403, None));

    tab.sync_with("{}").unwrap_err();

    let all = told(&reader);
    for kind in ["request", "phase", "cycle"] {
        let last = ended(&all, kind).pop().unwrap().clone();
        assert_eq!(
            (&last["outcome"], &last["error"]["code"]),
            (&"failed".into(), &"forbidden".into()),
            "{last}"
        );
    }
}

#[test]
fn what_is_stopped_is_cancelled_and_a_413_is_an_answer_without_a_result() {
    let world = World::new();
    let (phone, tab, reader) = watched(&world, TASKS);
    tab.sync();
    tab.create(r#"{"title":"milk"}"#);
    tab.create(r#"{"title":"bread"}"#);
    told(&reader);
    phone.fault("/push", Fault::Status(413, None));
    tab.sync();
    let all = told(&reader);
    let pushes = named(&all, "request", "push");
    assert_eq!(
        (&pushes[0]["answer"], &pushes[0]["operations"]),
        (&"tooLarge".into(), &2.into())
    );
    assert_eq!(pushes[1]["operations"], 1);

    phone.fault("/pull", Fault::Silent(10_000));
    let cancel = Rc::new(Cancel::default());
    let stops = {
        let cancel = Rc::clone(&cancel);
        let clock = Rc::clone(&tab.clock);
        async move {
            clock.sleep(50).await;
            cancel.stop(Stop::Abort);
        }
    };
    let sync = tab
        .engine
        .synchronize("ann", Default::default(), None, cancel);
    let (result, ()) = tab.run(futures_util::future::join(sync, stops));
    assert!(result.unwrap().was_cancelled);
    let all = told(&reader);
    for kind in ["request", "phase", "cycle"] {
        assert_eq!(
            ended(&all, kind).pop().unwrap()["outcome"],
            "cancelled",
            "{kind}"
        );
    }
    // What comes next is part of nothing that was cancelled.
    tab.create(r#"{"title":"tea"}"#);
    assert!(told(&reader)[0]["parent"].is_null());
}

#[test]
fn requests_outside_of_cycles_are_told_too() {
    let world = World::new();
    let (phone, tab, reader) = watched(&world, TASKS);
    tab.run(tab.engine.health().check(None)).unwrap();
    tab.run(tab.engine.metadata().remote("ann")).unwrap();
    phone.fault("/metadata", Fault::Lost);
    tab.run(tab.engine.metadata().remote("ann")).unwrap_err();
    let all = told(&reader);
    let requests: Vec<_> = ended(&all, "request")
        .iter()
        .map(|request| {
            (
                request["name"].as_str().unwrap().to_owned(),
                request["outcome"].as_str().unwrap().to_owned(),
                request["parent"].is_null(),
            )
        })
        .collect();
    let of = |name: &str, outcome: &str| (name.to_owned(), outcome.to_owned(), true);
    assert_eq!(
        requests,
        [
            of("health", "ok"),
            of("metadata", "ok"),
            of("metadata", "failed")
        ]
    );
}

#[test]
fn commits_of_another_tab_and_those_that_were_too_late_are_told_apart() {
    let world = World::new();
    let phone = world.device("phone").with_config(TASKS);
    let (a, b) = (phone.open(), phone.open());
    let reader = b.engine.watch_activity(None);
    a.create(r#"{"title":"milk"}"#);

    b.create(r#"{"title":"bread"}"#);

    let all = told(&reader);
    let seen: Vec<_> = all
        .iter()
        .map(|commit| {
            let member = |name: &str| commit[name].as_str().unwrap().to_owned();
            (member("name"), member("source"), member("outcome"))
        })
        .collect();
    let of = |name: &str, source: &str, outcome: &str| {
        (name.to_owned(), source.to_owned(), outcome.to_owned())
    };
    assert_eq!(
        seen,
        [
            of("append", "local", "cancelled"),
            of("read", "otherTab", "ok"),
            of("append", "local", "ok"),
        ]
    );
}

#[test]
fn a_reader_gets_its_own_user_and_a_slow_one_learns_what_it_lost() {
    let world = World::new();
    let (_phone, tab, reader) = watched(&world, TASKS);
    let bobs = tab.engine.watch_activity(Some("bob".to_owned()));
    let drafts: Vec<Write> = (0..1_010)
        .map(|n| Write::Create {
            draft: format!(r#"{{"title":"{n}"}}"#),
        })
        .collect();
    for draft in drafts {
        tab.write("tasks", draft).unwrap();
    }
    assert!(told(&bobs).is_empty(), "nothing of another user");
    let all = told(&reader);
    assert_eq!(all.len(), 1_000, "the memory of a reader is bounded");
    assert_eq!(all[0]["dropped"], 10);
    assert!(all[1]["dropped"].is_null());
}

#[test]
fn a_loop_that_was_left_gets_nothing_and_the_end_of_the_instance_ends_the_others() {
    let world = World::new();
    let (_phone, tab, reader) = watched(&world, TASKS);
    let left = tab.engine.watch_activity(None);
    left.end();
    tab.create(r#"{"title":"milk"}"#);
    assert_eq!(left.next().now_or_never(), Some(None));
    tab.run(tab.engine.close());
    told(&reader);
    assert_eq!(reader.next().now_or_never(), Some(None));
    let late = tab.engine.watch_activity(None);
    assert_eq!(late.next().now_or_never(), Some(None));
}
