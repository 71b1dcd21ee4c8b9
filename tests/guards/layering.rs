//! The rooms of `src`: which room may import which, purity, and limits of size. ARCHITECTURE.md
//! draws the same rooms in a block that begins with "```rooms".

use std::collections::{BTreeMap, BTreeSet};

use super::checks::cycles;
use super::sources::{Sources, files, relative, root};

/// A room: its name, whether it is pure, and the rooms that it may import. From the top down.
type Room = (&'static str, Purity, &'static [&'static str]);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purity {
    /// No IO, no clock, no chance, nothing asynchronous: these are arguments.
    Pure,
    Impure,
}
use Purity::{Impure, Pure};

const ROOMS: &[Room] = &[
    (
        "js",
        Impure,
        &[
            "web", "engine", "ports", "plan", "state", "transfer", "query", "schedule", "conflict",
            "log", "model", "util",
        ],
    ),
    ("web", Impure, &["ports", "log", "model", "util"]),
    (
        "engine",
        Impure,
        &[
            "ports", "plan", "state", "transfer", "query", "schedule", "conflict", "log", "model",
            "util",
        ],
    ),
    ("ports", Impure, &["log", "model", "util"]),
    (
        "plan",
        Pure,
        &["state", "transfer", "conflict", "log", "model", "util"],
    ),
    ("state", Pure, &["conflict", "log", "model", "util"]),
    ("transfer", Pure, &["conflict", "log", "model", "util"]),
    ("log", Pure, &["conflict", "model", "util"]),
    ("query", Pure, &["model", "util"]),
    ("schedule", Pure, &["model", "util"]),
    ("conflict", Pure, &["model", "util"]),
    ("model", Pure, &["util"]),
    ("util", Pure, &[]),
];

/// Parts of `util` that are about futures: impure, though their room is not. No pure file imports
/// them.
const FUTURES: &[&str] = &["local_sync", "queue"];

const MOST_LINES: usize = 450;
const MEDIAN_LINES: usize = 170;
const MOST_FILES_OF_AN_IMPL: usize = 3;

#[test]
fn a_room_imports_only_from_rooms_below_it() {
    none(
        "imports that the rooms do not allow",
        upward(Sources::read()),
    );
}

#[test]
fn a_pure_room_imports_only_pure_rooms() {
    let purity = |name: &str| ROOMS.iter().find(|room| room.0 == name).map(|room| room.1);
    for (name, own, imports) in ROOMS.iter().filter(|room| room.1 == Pure) {
        let impure: Vec<_> = imports
            .iter()
            .filter(|import| purity(import) != Some(Pure))
            .collect();
        assert!(
            impure.is_empty(),
            "{name} is {own:?} and imports {impure:?}"
        );
    }
}

#[test]
fn pure_rooms_have_no_io_no_clock_and_no_chance() {
    none("impure", impure(Sources::read()));
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    none("circles", cycles(Sources::read()));
}

#[test]
fn no_type_name_is_declared_twice() {
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in &Sources::read().0 {
        for name in source.types.iter().cloned() {
            declared.entry(name).or_default().push(source.name.clone());
        }
    }
    declared.retain(|_, files| files.len() > 1);
    none("declared more than once", lines(&declared));
}

#[test]
fn no_type_is_implemented_all_over_the_place() {
    let mut implemented: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in &Sources::read().0 {
        for name in source.impls.iter().cloned() {
            implemented
                .entry(name)
                .or_default()
                .push(source.name.clone());
        }
    }
    implemented.retain(|_, files| files.len() > MOST_FILES_OF_AN_IMPL);
    none(
        "implemented in more than three files: let its parts own their state",
        lines(&implemented),
    );
}

#[test]
fn only_js_exports_to_javascript() {
    let sources = Sources::read();
    let wrong = sources
        .0
        .iter()
        .filter(|source| source.room() != Some("js") && source.exports)
        .map(|source| source.name.clone());
    none(
        "`#[wasm_bindgen]` on something else than an extern block",
        wrong.collect(),
    );
}

#[test]
fn no_file_is_longer_than_its_subject_deserves() {
    let mut wrong = Vec::new();
    for folder in [
        "src", "server", "xtask", "tests", "fuzz", "benches", "www/src",
    ] {
        for path in files(&root().join(folder), &["rs", "js", "mjs", "ts"]) {
            let name = relative(&path);
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            if lines > MOST_LINES && !name.ends_with(".d.ts") {
                wrong.push(format!("{name}: {lines} lines"));
            }
        }
    }
    none("more than 450 lines; split by subject", wrong);
}

#[test]
fn half_of_the_files_are_short() {
    let mut lengths: Vec<usize> = Sources::read()
        .0
        .iter()
        .map(|source| source.lines)
        .collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < MEDIAN_LINES, "the median file has {median} lines");
}

#[test]
fn the_drawing_shows_these_rooms() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rooms: Vec<(String, Purity)> = ROOMS
        .iter()
        .map(|(name, purity, _)| ((*name).to_owned(), *purity))
        .collect();
    assert_eq!(drawn(&text), rooms, "the block ```rooms of ARCHITECTURE.md");
    let folders: BTreeSet<String> = Sources::read()
        .0
        .iter()
        .filter_map(|source| source.room().map(str::to_owned))
        .collect();
    let named: BTreeSet<String> = rooms.into_iter().map(|(name, _)| name).collect();
    assert_eq!(folders, named, "the folders of src");
}

/// What is impure in pure files, and what they import from those that are not.
fn impure(sources: &Sources) -> Vec<String> {
    let is_pure = |path: &[String]| {
        let pure = |room: &Room| room.0 == path[0] && room.1 == Pure;
        let futures = path[0] == "util"
            && path
                .get(1)
                .is_some_and(|part| FUTURES.contains(&part.as_str()));
        ROOMS.iter().any(pure) && !futures
    };
    let mut wrong = Vec::new();
    for source in sources
        .0
        .iter()
        .filter(|source| !source.module.is_empty() && is_pure(&source.module))
    {
        wrong.extend(
            source
                .impurities
                .iter()
                .map(|what| format!("{}: `{what}`", source.name)),
        );
        wrong.extend(
            source
                .imports
                .iter()
                .filter(|path| path[0] == "util" && !is_pure(path))
                .map(|path| format!("{} imports {}", source.name, path.join("::"))),
        );
    }
    wrong
}

/// The rooms of the drawing, from the top down: a room begins its line, and `PURE` stands behind it.
fn drawn(text: &str) -> Vec<(String, Purity)> {
    text.lines()
        .skip_while(|line| *line != "```rooms")
        .skip(1)
        .take_while(|line| *line != "```")
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .map(|line| {
            let name = line
                .split_whitespace()
                .next()
                .unwrap()
                .trim_end_matches('/');
            let purity = if line
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "PURE")
            {
                Pure
            } else {
                Impure
            };
            (name.to_owned(), purity)
        })
        .collect()
}

/// The imports that the rooms do not allow.
fn upward(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in &sources.0 {
        let Some(own) = source.room() else { continue };
        let Some((_, _, allowed)) = ROOMS.iter().find(|(name, _, _)| *name == own) else {
            wrong.push(format!("{}: `{own}` is no room", source.name));
            continue;
        };
        wrong.extend(
            source
                .imports
                .iter()
                .filter(|path| path[0] != own && !allowed.contains(&path[0].as_str()))
                .map(|path| format!("{} imports {}", source.name, path.join("::"))),
        );
    }
    wrong
}

fn lines(found: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    found
        .iter()
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect()
}

#[track_caller]
fn none(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn the_guard_sees_an_import_wherever_it_stands() {
    let refused = |name: &str, text: &str| upward(&Sources::of(&[(name, text)]));
    let sees = |name: &str, text: &str, import: &str| {
        assert_eq!(
            refused(name, text),
            [format!("{name} imports {import}")],
            "{text}"
        );
    };
    sees(
        "src/engine.rs",
        "use crate::js::manager::Manager;",
        "js::manager::Manager",
    );
    sees(
        "src/engine/cycle.rs",
        "use crate::{model::Key, web};",
        "web",
    );
    sees(
        "src/plan/page.rs",
        "use crate::state::{self, Replica}; use crate::engine::*;",
        "engine",
    );
    sees(
        "src/web/http.rs",
        "fn f() { crate::engine::run() }",
        "engine::run",
    );
    sees(
        "src/web/http.rs",
        "fn f() { println!(\"{}\", crate::engine::LIMIT) }",
        "engine::LIMIT",
    );
    sees(
        "src/conflict/merge.rs",
        "use super::super::state::Replica;",
        "state::Replica",
    );
    sees(
        "src/util/json.rs",
        "mod inner { fn f(a: super::super::super::log::Record) {} }",
        "log::Record",
    );
    sees(
        "src/model.rs",
        "pub use crate::log::Commit as C;",
        "log::Commit",
    );
    sees(
        "src/state/fold.rs",
        "impl crate::plan::Planner for A {}",
        "plan::Planner",
    );
    assert_eq!(
        refused("src/novelty.rs", "use crate::model::Key;"),
        ["src/novelty.rs: `novelty` is no room"]
    );
    for text in [
        "use crate::{ports::{Store, Seq}, plan::Plan}; // crate::js\nconst A: &str = \"crate::js\";",
        "#[cfg(test)] mod tests { use crate::js::A; } pub(crate) fn f() {}",
        "use futures_util::future::join; use self::database::Database; use super::engine::A;",
        "/// [`crate::js::Datum`]\npub struct A;",
    ] {
        assert!(refused("src/engine.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn the_guard_sees_what_is_impure() {
    let sources = Sources::of(&[
        (
            "src/plan/page.rs",
            "use crate::util::queue::Queue; fn f() { std::time::Instant::now(); }",
        ),
        ("src/util/queue.rs", "async fn next() {}"),
        ("src/engine/cycle.rs", "async fn run() { js_sys::f() }"),
        ("src/lib.rs", "pub mod plan;"),
    ]);
    assert_eq!(
        impure(&sources),
        [
            "src/plan/page.rs: `std::time::Instant::now`",
            "src/plan/page.rs imports util::queue::Queue",
        ]
    );
}

#[test]
fn the_guard_reads_the_drawing() {
    let text = "words\n```rooms\njs/      classes\n         more of them\nplan     PURE: rules\n```\nutil PURE\n";
    assert_eq!(
        drawn(text),
        [("js".to_owned(), Impure), ("plan".to_owned(), Pure)]
    );
    assert!(drawn("```\njs\n```").is_empty());
}
