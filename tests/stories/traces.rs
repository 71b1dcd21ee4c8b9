//! Traces: what an app did is seen again from a file.

use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::Config;
use datum_sync::model::error::Code;
use datum_sync::plan::trace::Happened;
use datum_sync::plan::trace::masks::Masks;
use datum_sync::plan::trace::read::{TraceFile, read};
use datum_sync::plan::write::Write;
use serde_json::json;

use crate::support::trace_report::replay;
use crate::support::world::{Fault, Tab, World};

const CONFIG: &str = r#"{"entities":{"tasks":{"mergeFields":{"notes":"text","count":"sum"},"localOnly":["draft"]},"notes":{"deleteBehavior":"softDelete","onRejected":"keepLocal"}},"trace":true}"#;

fn exported(tab: &Tab) -> String {
    tab.run(tab.engine.transfer().trace(&tab.user)).unwrap()
}

/// Replays what a tab has traced. With `DATUM_SAVE_TRACES`, a folder, keeps the file as well.
pub(super) fn replays(tab: &Tab) -> TraceFile {
    let text = exported(tab);
    if let Ok(folder) = std::env::var("DATUM_SAVE_TRACES") {
        let test = std::thread::current().name().unwrap_or("trace").to_owned();
        let name = test.rsplit("::").next().unwrap().replace('_', "-");
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path.with_extension("ndjson"), &text).unwrap();
        std::fs::write(path.with_extension("difference"), "").unwrap();
    }
    let file = read(text.as_bytes()).unwrap();
    assert!(file.is_whole);
    let report = replay(&file).unwrap();
    assert!(
        report.difference.is_empty(),
        "{:#?}\n{:#?}",
        report.lines,
        report.difference
    );
    assert!(report.planned > 0, "nothing was planned again");
    file
}

/// Returns whether a file has a word: as it is, or in its records.
pub(super) fn has(file: &str, word: &str) -> bool {
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    file.contains(word) || file.contains(&hex)
}

pub(super) fn planners(file: &TraceFile) -> Vec<String> {
    let mut names: Vec<String> = file
        .steps
        .iter()
        .filter_map(|step| match &step.what {
            Happened::Committed { planner, .. } => planner.as_ref().map(|one| one.name.clone()),
            Happened::Nothing { planner, .. } => Some(planner.name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_day_of_conflicts_replays_to_the_same_state() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let laptop = world.device("laptop").with_config(CONFIG);
    let (a, b) = (phone.open(), laptop.open());
    let first = a.create(r#"{"title":"Milk","notes":"one two three","count":1,"draft":"mine"}"#);
    let id = first["id"].as_str().unwrap();
    assert!(a.sync().is_success && b.sync().is_success);
    a.patch(
        id,
        r#"{"title":"Oat milk","notes":"one 2 three","count":3}"#,
    );
    b.patch(id, r#"{"title":"Soy milk","notes":"one two 3","count":2}"#);
    assert!(a.sync().is_success && b.sync().is_success && a.sync().is_success);
    a.delete(id);
    b.patch(id, r#"{"title":"still wanted"}"#);
    assert!(a.sync().is_success && b.sync().is_success && a.sync().is_success);
    let file = replays(&b);
    assert_eq!(planners(&file), ["localOnly", "page", "verdicts", "write"]);
    replays(&a);
}

#[test]
fn parked_conflicts_and_their_decisions_replay() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"defaultConflictResolver":"ask","trace":true}"#;
    let phone = world.device("phone").with_config(config);
    let laptop = world.device("laptop").with_config(config);
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"Milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(a.sync().is_success && b.sync().is_success);
    a.patch(&id, r#"{"title":"Oat milk"}"#);
    b.patch(&id, r#"{"title":"Soy milk"}"#);
    assert!(a.sync().is_success);
    b.sync();
    let conflicts = b.run(b.engine.conflicts().list(&b.user)).unwrap();
    let conflicts: serde_json::Value = serde_json::from_str(&conflicts).unwrap();
    let conflict = conflicts[0]["id"].as_str().unwrap();
    replays(&b);
    let local = datum_sync::conflict::Resolution::Local;
    b.run(b.engine.conflicts().resolve(conflict, local))
        .unwrap();
    assert!(b.sync().is_success);
    let file = replays(&b);
    assert!(planners(&file).contains(&"decision".to_owned()));
}

#[test]
fn a_refused_write_and_its_retry_replay() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 200);
    let id = a.create(&json!({ "title": "x".repeat(300) }).to_string())["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    let letters = a.run(a.engine.dead_letters().list(&a.user)).unwrap();
    let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
    let letter = letters[0]["id"].as_str().unwrap().to_owned();
    replays(&a);
    let edited = Some(r#"{"title":"short"}"#.to_owned());
    a.run(a.engine.dead_letters().retry(&letter, edited))
        .unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.read(&id).unwrap()["title"], "short");
    let file = replays(&a);
    assert!(planners(&file).contains(&"retry".to_owned()));
}

#[test]
fn a_discarded_write_and_what_depends_on_it_replay() {
    let world = World::new();
    let config = r#"{"entities":{"projects":{},"tasks":{"relations":{"project":{"belongsTo":"projects","foreignKey":"project"}}}},"trace":true}"#;
    let a = world.device("phone").with_config(config).open();
    a.create_in("projects", r#"{"id":"p","title":"secret"}"#);
    a.create(r#"{"id":"t","project":"p","title":"secret"}"#);
    let op_id = a.pending_operations()[0]["opId"]
        .as_str()
        .unwrap()
        .to_owned();
    let letters = a.engine.dead_letters();
    a.run(letters.discard_operation(&a.user, &op_id)).unwrap();
    assert_eq!(a.dead_letters().len(), 2);
    let file = replays(&a);
    assert!(planners(&file).contains(&"rejection".to_owned()));
    assert!(!has(&exported(&a), "secret"));
}

#[test]
fn what_the_engine_says_of_dead_letters_stays_and_the_id_of_a_user_does_not() {
    let config = Config::read(CheckedObject(&json!({})));
    let mut masks = Masks::new(&config, [7; 16]);
    for ours in [
        "It depends on projects p, which the app discarded.",
        "The app discarded it before the remote had decided it.",
    ] {
        assert_eq!(masks.message(ours), ours);
    }
    for end in [
        "which the app discarded.",
        "which the remote refused (notMember): No.",
    ] {
        let masked = masks.message(&format!("It depends on $member s/bob, {end}"));
        assert!(!masked.contains("bob"), "{masked}");
        assert!(masked.starts_with("It depends on $member s/"), "{masked}");
    }
}

#[test]
fn what_a_tab_knew_of_deliveries_counts_in_the_replay() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"trace":true}"#);
    let a = phone.open();
    let id = a.create(r#"{"title":"one"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(a.sync().is_success);
    a.patch(&id, r#"{"title":"two"}"#);
    (0..4).for_each(|_| phone.fault("/push", Fault::ReplyLost));
    let _ = a.sync_with(r#"{"direction":"pushOnly"}"#);
    assert_eq!(a.pending(), 1);
    a.patch(&id, r#"{"title":"three"}"#);
    assert_eq!(
        a.pending(),
        2,
        "nothing is coalesced into what may have been sent"
    );
    replays(&a);
}

#[test]
fn what_two_tabs_write_replays_in_each() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let (a, b) = (phone.open(), phone.open());
    let id = a.create(r#"{"title":"one"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let sees = |tab: &Tab| {
        tab.run(tab.engine.opened(&tab.user).unwrap().db.catch_up())
            .unwrap()
    };
    sees(&b);
    b.patch(&id, r#"{"title":"two"}"#);
    sees(&a);
    phone.fault("/push", Fault::Lost);
    a.sync();
    b.patch(&id, r#"{"title":"three"}"#);
    a.patch(&id, r#"{"title":"four"}"#);
    assert!(b.sync().is_success && a.sync().is_success);
    a.run(a.engine.opened(&a.user).unwrap().db.checkpoint())
        .unwrap();
    sees(&b);
    b.patch(&id, r#"{"title":"five"}"#);
    sees(&a);
    let file = replays(&a);
    assert!(planners(&file).contains(&"checkpoint".to_owned()));
    let follows = |step: &&datum_sync::plan::trace::TraceStep| {
        matches!(&step.what, Happened::Followed { .. })
    };
    assert!(replays(&b).steps.iter().any(|step| follows(&step)));
}

#[test]
fn nothing_personal_stands_in_the_file_and_two_files_have_no_mark_in_common() {
    let world = World::new();
    let phone = world
        .device_of("ann.smith@example.com", "phone")
        .with_config(CONFIG);
    let a = phone.open();
    let draft = json!({
        "title": "Kündigung für Frau Özdemir, Zimmer 4711",
        "count": 5, "salary": 81250.75, "born": "1984-03-29", "draft": "geheim",
        "role": "Patientin", "tags": ["krebs", "\u{1f600}", "患者"], "nested": { "iban": "DE89370400440532013000" },
    });
    a.create(&draft.to_string());
    assert!(a.sync().is_success);
    let (one, two) = (exported(&a), exported(&a));
    for secret in [
        "Kündigung",
        "Frau",
        "Özdemir",
        "4711",
        "81250",
        "1984",
        "geheim",
        "krebs",
        "Patientin",
        "患者",
        "DE89",
        "ann.smith",
        "smith",
        "example",
    ] {
        assert!(!has(&one, secret), "{secret} stands in the file");
    }
    let title = |text: &str| {
        let at = text.find(r#""title":""#).unwrap();
        text[at..at + 40].to_owned()
    };
    assert_ne!(title(&one), title(&two));
    replays(&a);
}

#[test]
fn two_numbers_have_two_marks() {
    let config = Config::read(CheckedObject(&json!({})));
    for key in 0..20 {
        let mut masks = Masks::new(&config, [key; 16]);
        let mut seen: Vec<f64> = Vec::new();
        for number in (0..5).flat_map(|n| [format!("{n}"), format!("{n}.5"), format!("{n}.25")]) {
            let mark: f64 = masks.json(&number).parse().unwrap();
            assert!(!seen.contains(&mark), "{number} has the mark {mark}");
            seen.push(mark);
        }
    }
}

#[test]
fn a_planner_that_plans_something_else_is_shown_at_its_step() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let a = phone.open();
    let id = a.create(r#"{"title":"one"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.patch(&id, r#"{"title":"two"}"#);
    assert!(a.sync().is_success);
    // Another engine: one that thinks of the field as local.
    let text = exported(&a).replace(r#""localOnly":["draft"]"#, r#""localOnly":["title"]"#);
    let mut file = read(text.as_bytes());
    assert_eq!(
        file.as_ref().unwrap_err().code(),
        Code::Corrupt,
        "it was changed"
    );
    let end = text.rfind(r#"{"line":"end""#).unwrap();
    file = read(&text.as_bytes()[..end]);
    let report = replay(&file.unwrap()).unwrap();
    assert!(
        report.difference[0].contains("commit by write differs"),
        "{:?}",
        report.difference
    );
    assert!(report.difference.iter().any(|line| line.starts_with("- ")));
    assert!(report.difference.iter().any(|line| line.starts_with("+ ")));
}

#[test]
fn a_file_that_is_no_whole_trace_is_refused_by_line_or_replayed_as_far_as_it_goes() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let a = phone.open();
    a.create(r#"{"title":"one"}"#);
    assert!(a.sync().is_success);
    let whole = exported(&a);
    for end in (0..whole.len()).step_by(97) {
        let Ok(cut) = read(&whole.as_bytes()[..end]) else {
            assert!(!whole[..end].contains('\n'), "a cut at {end} is refused");
            continue;
        };
        assert!(!cut.is_whole);
        assert!(replay(&cut).unwrap().difference.is_empty());
    }
    let says = |text: &str, words: &str| {
        let error = read(text.as_bytes()).unwrap_err();
        assert!(error.message().contains(words), "{error}");
    };
    says("", "empty");
    says("hello\n", "no trace");
    says(r#"{"line":"header","format":"datum-sync"}"#, "no trace");
    says(
        &whole.replacen(r#""formatVersion":2"#, r#""formatVersion":3"#, 1),
        "format 3",
    );
    let damaged = whole.replacen(r#"{"line":"commit""#, r#"{"line":commit""#, 1);
    says(&damaged, "Line ");
    says(
        &whole.replacen("queue create", "queue update", 1),
        "do not fit",
    );
    // A log without end would be named record by record.
    let endless = [
        r#"{"line":"header","format":"datum-sync-trace","formatVersion":1,"userId":"a","config":{}}"#,
        r#"{"line":"load","head":0,"records":2}"#,
        r#"{"line":"record","seq":1,"bytes":"00"}"#,
        r#"{"line":"record","seq":"4611686018427387904","bytes":"00"}"#,
        r#"{"line":"nothing","head":"4611686018427387904","planner":"checkpoint","input":{}}"#,
    ];
    let file = read(endless.join("\n").as_bytes()).unwrap();
    let error = replay(&file).err().unwrap();
    assert!(error.message().contains("more records"), "{error}");
    // A step that cannot follow.
    let lines: Vec<&str> = whole.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains(r#""line":"commit""#))
        .unwrap();
    let without: Vec<&str> = lines[..lines.len() - 1]
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, line)| *line)
        .collect();
    let file = read(without.join("\n").as_bytes()).unwrap();
    let error = replay(&file).err().unwrap();
    assert!(error.message().contains("head"), "{error}");
}

#[test]
fn writes_that_are_no_entities_are_refused_again() {
    let world = World::new();
    let phone = world.device("phone").with_config(CONFIG);
    let a = phone.open();
    let bad = Write::Create {
        draft: "[1]".to_owned(),
    };
    assert!(a.write("tasks", bad).is_err());
    a.create(r#"{"title":"one"}"#);
    replays(&a);
}
