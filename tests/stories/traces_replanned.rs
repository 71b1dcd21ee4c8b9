//! Traces of decisions about many entities at once: writes by a condition, deletes with rules, imports,
//! adoptions and migrations.

use std::rc::Rc;

use datum_sync::engine::queries::relations::deletes::DeleteHow;
use datum_sync::engine::transfer::ImportOptions;
use datum_sync::model::config::UserSwitch;
use datum_sync::model::error::{Code, Error};
use datum_sync::plan::import::Existing;
use datum_sync::plan::trace::Happened;
use datum_sync::plan::trace::read::{TraceFile, read};
use datum_sync::plan::write::Write;
use serde_json::json;

use super::traces::{planners, replays};
use super::transfer_support::{existing, export, import, import_with};
use super::user_support::switch;
use crate::relation_support::{config, delete, stock};
use crate::support::conflicts::clash;
use crate::support::migrations::{Chain, renamed, updated, with_chain};
use crate::support::trace_report::replay;
use crate::support::world::{Device, Tab, World};

/// The same config, traced.
fn traced(config: &str) -> String {
    let mut config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["trace"] = json!(true);
    config.to_string()
}

fn errors(file: &TraceFile, planner: &str) -> Vec<Option<Code>> {
    let steps = file.steps.iter();
    let nothing = steps.filter_map(|step| match &step.what {
        Happened::Nothing { planner, error } => Some((planner, *error)),
        _ => None,
    });
    let of = nothing.filter(|(given, _)| given.name == planner);
    of.map(|(_, error)| error).collect()
}

#[test]
fn writes_by_a_condition_are_planned_again() {
    let world = World::new();
    let plain = r#"{"entities":{"tasks":{"localOnly":["draft"]}}}"#;
    let phone = world.device("phone").with_config(&traced(plain));
    let a = phone.open();
    for n in 0..6 {
        a.create(&json!({ "n": n, "title": format!("task {n}"), "draft": "mine" }).to_string());
    }
    assert!(a.sync().is_success);
    let patch = |id| Write::Patch {
        id,
        changes: r#"{"title":"done","draft":"theirs"}"#.to_owned(),
    };
    let queries = a.engine.queries();
    let filter = r#"{"field":"n","lessThan":4}"#;
    let patched = a.run(queries.change(&a.user, "tasks", filter, Rc::default(), &patch, None));
    assert_eq!(patched.unwrap().len(), 4);
    let delete = |id| Write::Delete { id, soft: true };
    let filter = r#"{"field":"n","greaterThanOrEqual":5}"#;
    let deleted = a.run(queries.change(&a.user, "tasks", filter, Rc::default(), &delete, None));
    assert_eq!(deleted.unwrap().len(), 1);
    let nothing = r#"{"field":"n","greaterThan":70}"#;
    let none = a.run(queries.change(&a.user, "tasks", nothing, Rc::default(), &delete, None));
    assert!(none.unwrap().is_empty());
    let bad = |id| Write::Patch {
        id,
        changes: "[1]".to_owned(),
    };
    let all = r#"{"field":"n","greaterThanOrEqual":0}"#;
    let refused = a.run(queries.change(&a.user, "tasks", all, Rc::default(), &bad, None));
    let code = refused.unwrap_err().code();
    assert!(a.sync().is_success);
    let file = replays(&a);
    assert!(planners(&file).contains(&"allOrNone".to_owned()));
    assert_eq!(errors(&file, "allOrNone"), [None, Some(code)]);
}

#[test]
fn deletes_and_the_rules_that_they_follow_are_planned_again() {
    let world = World::new();
    let rules = [
        ("projects", "cascade"),
        ("tasks", "setNull"),
        ("subtasks", "restrict"),
        ("desk", "cascade"),
    ];
    let phone = world.device("phone").with_config(&traced(&config(&rules)));
    let a = phone.open();
    stock(&a);
    a.run(a.engine.entities().write(
        &a.user,
        "desks",
        vec![Write::Create {
            draft: r#"{"id":"d","personId":"ann"}"#.to_owned(),
        }],
    ))
    .unwrap();
    a.sync();
    assert_eq!(delete(&a, "people", &["ann", "nobody"]).unwrap(), ["ann"]);
    assert!(delete(&a, "people", &["nobody"]).unwrap().is_empty());
    a.run(a.engine.entities().write(
        &a.user,
        "tasks",
        vec![Write::Create {
            draft: r#"{"id":"child","parentId":"t1"}"#.to_owned(),
        }],
    ))
    .unwrap();
    let restricted = delete(&a, "tasks", &["t1"]).unwrap_err();
    assert_eq!(restricted.code(), Code::Restricted);
    let filter = r#"{"field":"parentId","equals":"t1"}"#;
    let relations = a.engine.relations();
    let by_condition = relations.delete_where(&a.user, "tasks", filter, DeleteHow::default(), None);
    assert_eq!(a.run(by_condition).unwrap(), ["child", "t2"]);
    a.sync();
    let file = replays(&a);
    assert!(planners(&file).contains(&"delete".to_owned()));
    assert_eq!(errors(&file, "delete"), [None, Some(Code::Restricted)]);
}

const ASK: &str = r#"{"entities":{"tasks":{"conflictResolver":"ask"},"notes":{"deleteBehavior":"softDelete","localOnly":["draft"]}},"trace":true}"#;

/// A tab with all kinds of what a file has.
fn full(world: &World) -> (Device, Tab) {
    world
        .server
        .configure(|config| config.max_entity_bytes = 200);
    let phone = world.device("phone").with_config(ASK);
    let (a, b) = (phone.open(), world.device("laptop").with_config(ASK).open());
    a.create(r#"{"id":"synced","title":"synced"}"#);
    a.create(r#"{"id":"edited","title":"edited"}"#);
    a.create(&json!({ "id": "long", "title": "x".repeat(300) }).to_string());
    a.create_in("notes", r#"{"id":"note","title":"note","draft":"mine"}"#);
    a.sync();
    clash(&b, &a);
    a.sync();
    a.patch("edited", r#"{"title":"edited twice"}"#);
    a.create(r#"{"id":"new","title":"new"}"#);
    assert_eq!((a.conflicts().len(), a.dead_letters().len()), (1, 1));
    (phone, a)
}

#[test]
fn imports_are_planned_again() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);
    let b = world.device("tablet").with_config(ASK).open();
    let dry = ImportOptions {
        dry_run: true,
        ..ImportOptions::default()
    };
    import_with(&b, file.as_bytes(), &dry).unwrap();
    let done = import(&b, &file).unwrap();
    assert_eq!((done.conflicts, done.dead_letters), (1, 1));
    b.patch("synced", r#"{"title":"changed here"}"#);
    b.sync();
    let kept = import(&b, &file).unwrap();
    let error = import_with(&b, file.as_bytes(), &existing(Existing::Fail)).unwrap_err();
    import_with(&b, file.as_bytes(), &existing(Existing::Overwrite)).unwrap();
    assert_eq!((kept.kept, error.code()), (1, Code::AlreadyExists));
    b.sync();
    let traced = replays(&b);
    assert!(planners(&traced).contains(&"import".to_owned()));
    assert_eq!(
        errors(&traced, "import"),
        [None, None, Some(Code::AlreadyExists)]
    );

    // As new writes of another user; nothing in the file has the user's name.
    let c = world.device_of("bob", "desk").with_config(ASK).open();
    let as_new = ImportOptions {
        as_new: true,
        user_id: Some("bob".to_owned()),
        ..ImportOptions::default()
    };
    assert!(import_with(&c, file.as_bytes(), &as_new).unwrap().added > 0);
    c.sync();
    assert!(planners(&replays(&c)).contains(&"import".to_owned()));
}

#[test]
fn an_adoption_is_planned_again() {
    let world = World::new();
    let visitors = r#"{"entities":{"tasks":{},"notes":{"localOnly":["draft"]}},"excludedSyncUserIds":["ann"],"trace":true}"#;
    let phone = world.device("phone").with_config(visitors);
    let a = phone.open();
    a.create(r#"{"id":"milk","title":"milk"}"#);
    a.patch("milk", r#"{"title":"oat milk"}"#);
    a.create_in(
        "notes",
        r#"{"id":"note","title":"note","draft":"only here"}"#,
    );
    let result = switch(&a, "bob", UserSwitch::Adopt);
    assert_eq!(result.adopted.unwrap().added, 2);
    let bob = Tab {
        user: "bob".to_owned(),
        ..a
    };
    bob.sync();
    let file = replays(&bob);
    assert!(planners(&file).contains(&"adoption".to_owned()));
}

#[test]
fn a_migration_is_planned_again_from_what_the_apps_functions_made() {
    let world = World::new();
    let schema = |version: u32| {
        format!(
            r#"{{"entities":{{"tasks":{{"localOnly":["secret"]}},"notes":{{}}}},"schemaVersion":{version},"retry":{{"maxAttempts":1}},"trace":true}}"#
        )
    };
    let phone = world.device("phone").with_config(&schema(1));
    let a = phone.open();
    for n in 0..9 {
        let task = json!({ "id": format!("t{n}"), "text": format!("milk {n}"), "n": 1.5, "secret": "mine" });
        a.create(&task.to_string());
    }
    a.create_in("notes", r#"{"id":"note","text":"stays"}"#);
    assert!(a.sync().is_success);
    a.patch("t3", r#"{"text":"oat milk"}"#);
    a.delete("t4");
    a.run(a.engine.close());
    let (phone, _) = updated(phone);
    let b = phone.with_config(&schema(2)).open();
    assert_eq!(b.read("t3").unwrap()["title"], "oat milk");
    b.patch("t3", r#"{"title":"soy milk"}"#);
    assert!(b.sync().is_success);
    let file = replays(&b);
    assert!(planners(&file).contains(&"migration".to_owned()));
    // Another engine makes something else of what the functions made.
    let text = b.run(b.engine.transfer().trace(&b.user)).unwrap();
    let end = text.rfind(r#"{"line":"end""#).unwrap();
    let changed = text[..end].replacen(
        r#""of":"tasks\u0000t5","data":{"#,
        r#""of":"tasks\u0000t5","data":{"x":1,"#,
        1,
    );
    assert_ne!(changed, text[..end]);
    let report = replay(&read(changed.as_bytes()).unwrap()).unwrap();
    assert!(
        report.difference[0].contains("commit by migration differs"),
        "{:?}",
        report.difference
    );
}

#[test]
fn a_migration_that_writes_bodies_ahead_and_one_without_functions_are_planned_again() {
    let world = World::new();
    let schema = |version: u32| {
        format!(
            r#"{{"entities":{{"tasks":{{}}}},"schemaVersion":{version},"trace":{{"maxBytes":100000000}}}}"#
        )
    };
    let phone = world.device("phone").with_config(&schema(1));
    let a = phone.open();
    for n in 0..14 {
        let text = "l".repeat(200_000);
        a.create(&json!({ "id": format!("t{n:02}"), "text": text }).to_string());
    }
    assert!(a.sync().is_success);
    a.run(a.engine.close());
    let (phone, _) = with_chain(phone, Chain::default().step(renamed("text", "title")));
    let phone = phone.with_config(&schema(2));
    let before = phone.counts();
    let b = phone.open();
    assert!(
        phone.counts().transactions - before.transactions > 1,
        "nothing was written ahead"
    );
    let file = replays(&b);
    assert!(planners(&file).contains(&"migration".to_owned()));
    b.run(b.engine.close());
    phone.migrations.replace(None);
    let c = phone.with_config(&schema(3)).open();
    assert!(planners(&replays(&c)).contains(&"schema".to_owned()));
}

#[test]
fn marks_have_another_order_than_values_and_that_is_no_difference() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"trace":true}"#;
    let phone = world.device("phone").with_config(config);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.patch("t", &json!({ "title": "x".repeat(150) }).to_string());
    // Read from the log, it may have been sent, so the next edit waits behind it.
    let b = phone.open();
    b.patch("t", r#"{"n":2}"#);
    b.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 10_000);
    let letter = b.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    b.run(b.engine.dead_letters().retry(&letter, None)).unwrap();
    // The letter has hashes of both edits, in order of the hashes.
    (0..8).for_each(|_| drop(replays(&b)));
}

/// Reads a file without its last line, which says that it is whole, and replays it. Returns what is wrong with it.
fn refused(lines: &[&str]) -> Option<Error> {
    let file = match read(lines.join("\n").as_bytes()) {
        Ok(file) => file,
        Err(error) => return Some(error),
    };
    replay(&file).err()
}

#[test]
fn lines_that_no_export_writes_are_refused_by_line_and_nothing_panics() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);
    let b = world.device("tablet").with_config(ASK).open();
    import(&b, &file).unwrap();
    b.sync();
    let text = b.run(b.engine.transfer().trace(&b.user)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let lines = &lines[..lines.len() - 2];
    assert!(refused(lines).is_none());
    let is_step = |line: &&&str| !line.contains(r#""line":"activity""#);
    let mut refusals = 0;
    for at in 1..lines.len() {
        // Each line twice, each two in another order, and each without a half of it.
        let mut twice = lines.to_vec();
        twice.insert(at, lines[at]);
        let mut swapped = lines.to_vec();
        swapped.swap(at, at.saturating_sub(1).max(1));
        let half = &lines[at][..lines[at].len() / 2];
        let mut cut = lines.to_vec();
        cut[at] = half;
        cut.push("{}");
        for changed in [twice, swapped, cut] {
            let Some(error) = refused(&changed) else {
                continue;
            };
            refusals += 1;
            let codes = [Code::InvalidArgument, Code::Corrupt];
            assert!(codes.contains(&error.code()), "{error}");
            assert!(error.message().contains("Line "), "{error}");
        }
    }
    let steps = lines.iter().skip(1).filter(is_step).count();
    assert!(refusals > steps, "{refusals} refusals of {steps} steps");
}

#[test]
fn hostile_members_are_refused_by_line() {
    let head = r#"{"line":"header","format":"datum-sync-trace","formatVersion":2,"userId":"a","config":{"entities":{"tasks":{}}}}"#;
    let load = r#"{"line":"load","head":0,"records":0}"#;
    let long = format!(
        r#"{{"line":"activity","activity":"{}"}}"#,
        "x".repeat(3_000_000)
    );
    for (line, code) in [
        (
            r#"{"line":"nothing","head":0,"planner":"import","input":{}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"import","input":{"header":{"userId":"a","server":{}},"existing":"keep"},"data":{"bytes":"00"}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"import","input":{"header":7},"data":{"bytes":"zz"}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"adoption","input":{"userId":[]}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"migration","input":{"made":[{"of":"t"}]}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"migration","input":{"changes":[{"entity":"tasks","from":99999999999}]}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"delete","input":{"named":[{"table":"tasks"}]}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"delete","input":{"behavior":"explode"}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"allOrNone","input":{"groups":[{"table":"tasks","writes":[{"kind":"steal"}]}]}}"#,
            Code::InvalidArgument,
        ),
        (
            r#"{"line":"nothing","head":0,"planner":"__proto__","input":{}}"#,
            Code::InvalidArgument,
        ),
        (r#"{"line":"activity"}"#, Code::InvalidArgument),
        (&long, Code::InvalidArgument),
    ] {
        let error = refused(&[head, load, line, load]).unwrap_or_else(|| panic!("{line} is taken"));
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains("Line 3"), "{error}");
    }
    // An activity of anything is shown, and changes nothing.
    let odd = r#"{"line":"activity","activity":{"kind":7,"name":["\u0000"],"outcome":{}}}"#;
    assert!(refused(&[head, odd, load, odd]).is_none());
}
