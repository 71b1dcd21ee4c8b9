//! Traces of spaces, and those that are kept as files.

use datum_sync::plan::trace::Happened;
use datum_sync::plan::trace::read::read;

use super::traces::{has, planners, replays};
use crate::support::spaces::{CLUB, TEAM, team};
use crate::support::trace_report::replay;
use crate::support::world::{Fault, World};

const CONFIG: &str = r#"{"entities":{"tasks":{},"notes":{}},"trace":true}"#;

#[test]
fn rows_that_move_between_spaces_and_a_space_that_is_left_replay() {
    let world = World::new();
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let a = world.device("phone").with_config(CONFIG).open();
    assert!(a.sync().is_success);
    a.patch("x", r#"{"title":"before"}"#);
    a.moves("x", Some(CLUB));
    a.patch("x", r#"{"done":true}"#);
    assert!(a.sync().is_success);
    a.creates(Some(TEAM), "y", "never sent");
    bob.moves(Some(CLUB), "x", Some(TEAM));
    bob.removes(TEAM, "ann");
    a.sync();
    assert_eq!(a.buried().len(), 1);
    let file = replays(&a);
    assert_eq!(planners(&file), ["page", "verdicts", "write"]);
}

#[test]
fn the_users_of_a_space_are_masked_in_rows_writes_letters_and_conflicts() {
    let world = World::new();
    let a = world.device("phone").with_config(CONFIG).open();
    let space = a.run(a.engine.spaces().create("ann", "plans")).unwrap();
    for user in ["bobsecret", "evesecret"] {
        let role = datum_sync::model::space::Role::Writer;
        a.run(a.engine.spaces().set_role("ann", &space, user, role))
            .unwrap();
    }
    let leaks = || has(&a.run(a.engine.transfer().trace("ann")).unwrap(), "secret");
    assert!(!leaks(), "writes");
    assert!(a.sync().is_success);
    assert!(!leaks(), "rows");
    let role = datum_sync::model::space::Role::Reader;
    let changed = a.engine.spaces();
    a.run(changed.set_role("ann", &space, "bobsecret", role))
        .unwrap();
    let op_id = a.pending_operations()[0]["opId"]
        .as_str()
        .unwrap()
        .to_owned();
    let letters = a.engine.dead_letters();
    a.run(letters.discard_operation("ann", &op_id)).unwrap();
    assert!(!leaks(), "letters");
    replays(&a);
    let db = &a.run(a.engine.user("ann")).unwrap().db;
    a.run(db.checkpoint()).unwrap();
    a.sync();
    assert!(!leaks(), "checkpoints");
    replays(&a);
}

#[test]
fn requests_and_answers_stand_between_the_decisions_that_they_belong_to() {
    let world = World::new();
    let phone = world.device_of("ann.smith@example.com", "phone");
    let config = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"trace":true}"#;
    let a = phone.with_config(config).open();
    a.create(r#"{"title":"milk"}"#);
    assert!(a.sync().is_success);
    let file = replays(&a);
    let said: Vec<String> = (file.steps.iter())
        .map(|step| match &step.what {
            Happened::Activity { text } => {
                let activity: serde_json::Value = serde_json::from_str(text).unwrap();
                let word = |name: &str| activity[name].as_str().unwrap_or("").to_owned();
                assert_ne!(word("kind"), "commit", "a commit is a step itself");
                [word("kind"), word("name"), word("outcome")].join(" ")
            }
            Happened::Committed { planner, .. } => {
                let planner = planner.as_ref();
                planner.map_or_else(String::new, |one| one.name.clone())
            }
            _ => String::new(),
        })
        .collect();
    let at = |what: &str| {
        let found = said.iter().position(|one| one == what);
        found.unwrap_or_else(|| panic!("no {what} in {said:#?}"))
    };
    assert!(at("write") < at("request push running"));
    assert!(at("request push running") < at("request push ok"));
    assert!(at("request push ok") < at("verdicts"));
    assert!(at("request pull running") < at("request pull ok"));

    let text = a.run(a.engine.transfer().trace(&a.user)).unwrap();
    assert!(!text.contains("smith"), "an activity names the user");
}

#[test]
fn a_request_that_failed_is_in_the_trace_with_its_code_and_the_past_is_bounded() {
    let world = World::new();
    let config =
        r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"trace":{"maxBytes":80000}}"#;
    let phone = world.device("phone").with_config(config);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Lost);
    let _ = a.sync_with(r#"{"direction":"pushOnly"}"#);
    let activities = |file: &datum_sync::plan::trace::read::TraceFile| -> Vec<String> {
        let steps = file.steps.iter();
        let texts = steps.filter_map(|step| match &step.what {
            Happened::Activity { text } => Some(text.to_string()),
            _ => None,
        });
        texts.collect()
    };
    let all = activities(&replays(&a)).concat();
    assert!(all.contains(r#""code":"network""#), "{all}");
    for n in 0..100 {
        if n % 10 == 0 {
            let user = a.engine.opened(&a.user).unwrap();
            a.run(user.db.checkpoint()).unwrap();
        }
        phone.fault("/push", Fault::Lost);
        let _ = a.sync_with(r#"{"direction":"pushOnly"}"#);
    }
    let text = a.run(a.engine.transfer().trace(&a.user)).unwrap();
    assert!(text.len() < 400_000, "{} bytes", text.len());
    replays(&a);
}

#[test]
fn every_saved_trace_replays_as_it_was_saved() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "ndjson") {
            let file = read(&std::fs::read(&path).unwrap()).unwrap();
            let report = replay(&file).unwrap();
            let expected = std::fs::read_to_string(path.with_extension("difference")).unwrap();
            assert_eq!(report.difference.join("\n"), expected, "{}", path.display());
            assert!(report.planned > 0, "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} traces");
}
