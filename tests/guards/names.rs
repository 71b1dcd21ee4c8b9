//! Every test, file and function that a document names exists.

use std::collections::BTreeSet;

use super::sources::{Sources, files, relative, root};
use super::tests_index::{binaries, is_elsewhere, is_end_to_end, tests, tests_of_the_kit};

/// The documents that name tests.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "tests/README.md",
    "server/PROTOCOL.md",
];

/// A file of the repository; empty where there is none yet.
fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_default()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests();
    let mut wrong = Vec::new();
    for name in DOCUMENTS {
        let missing = missing(&text(name), &tests, &is_elsewhere);
        wrong.extend(missing.iter().map(|test| format!("{name}: {test}")));
    }
    assert!(
        wrong.is_empty(),
        "there are no such tests:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_demand_and_every_report_has_its_tests() {
    let (tests, document) = (tests(), text("tests/README.md"));
    for (letter, count) in [('S', 62), ('C', 40)] {
        let rows = rows(&document, |first| is_numbered(first, letter));
        let expected: Vec<String> = (1..=count).map(|n| format!("{letter}{n:02}")).collect();
        let found: Vec<&str> = rows.iter().map(|row| row[0]).collect();
        assert_eq!(found, expected);
        for row in rows {
            let wrong = unproved(row.last().unwrap(), &tests);
            assert_eq!(wrong, None, "{}", row[0]);
        }
    }
}

#[test]
fn every_invariant_has_a_test_and_a_mutant() {
    let (tests, document) = (tests(), text("ARCHITECTURE.md"));
    // The tables of the journeys number their rows too.
    let (_, table) = document.split_once("| # | Invariant |").unwrap();
    let rows = rows(table, |first| first.parse::<u32>().is_ok());
    let found: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let expected: Vec<String> = (1..=21).map(|n| n.to_string()).collect();
    assert_eq!(found, expected, "the invariants");
    for row in rows {
        let [number, _, proofs, mutants] = row.as_slice() else {
            panic!(
                "{} is not `| number | invariant | tests | mutants |`",
                row.join(" | ")
            );
        };
        assert_eq!(unproved(proofs, &tests), None, "invariant {number}");
        let mutants = quoted(mutants);
        assert!(!mutants.is_empty(), "invariant {number} has no mutant");
        for mutant in mutants {
            let patch = text(&format!("tests/mutants/{mutant}.patch"));
            assert!(
                patch
                    .lines()
                    .any(|line| line == format!("invariant {number}")),
                "tests/mutants/{mutant}.patch does not say `invariant {number}`"
            );
        }
    }
}

#[test]
fn every_mutant_names_a_test_that_exists() {
    let mut tests = tests();
    tests.extend(tests_of_the_kit());
    let patches = files(&root().join("tests/mutants"), &["patch"]);
    assert!(patches.len() > 20, "the mutants were not found");
    for path in patches {
        let text = std::fs::read_to_string(&path).unwrap();
        for suite in text.lines().filter_map(|line| line.strip_prefix("suite ")) {
            assert!(
                is_found(suite, &tests),
                "{}: suite {suite}",
                relative(&path)
            );
        }
    }
}

/// Whether a binary has a test that a filter selects.
fn is_found(suite: &str, tests: &BTreeSet<String>) -> bool {
    let Some((binary, filter)) = suite.split_once(' ') else {
        return false;
    };
    tests
        .iter()
        .filter_map(|test| test.strip_prefix(binary)?.strip_prefix("::"))
        .any(|test| test.contains(filter))
}

#[test]
fn every_function_of_the_journeys_exists() {
    let mut steps = steps(&text("ARCHITECTURE.md"));
    assert!(steps.len() > 20, "the journeys were not found");
    let symptoms = pairs(&text("CONTRIBUTING.md"));
    assert!(symptoms.len() > 20, "the index of symptoms was not found");
    steps.extend(symptoms);
    let wrong: Vec<String> = steps
        .iter()
        .filter(|(file, function)| !is_declared(file, function))
        .map(|(file, function)| format!("{file} has no function {function}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_declared(file: &str, function: &str) -> bool {
    if file.ends_with(".rs") {
        let source = Sources::read().0.iter().find(|source| source.name == file);
        source.is_some_and(|source| source.functions.contains(function))
    } else {
        let text = text(file);
        [
            format!("function {function}("),
            format!("{function}("),
            format!("{function} = "),
        ]
        .iter()
        .any(|start| text.contains(start))
    }
}

/// The files of `src` in the tables of a document, each with a function that stands behind it.
fn steps(document: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for row in document.lines().filter(|line| line.starts_with('|')) {
        let mut file = None;
        for name in quoted(row) {
            if name.starts_with("src/") {
                file = Some(name);
            } else if let Some(file) = file {
                let function = name.rsplit("::").next().unwrap_or(name);
                let function = function.trim_end_matches("()");
                if function.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    found.push((file.to_owned(), function.to_owned()));
                }
            }
        }
    }
    found
}

/// The files of `src` in a text that a function follows at once, and the functions: `file` `function`
/// and `function`.
fn pairs(document: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = document.split('`').collect();
    let mut found = Vec::new();
    let mut file = None;
    // Every second part is quoted; the one before it joins it to what was quoted last.
    for pair in parts.chunks_exact(2) {
        let [between, quoted] = pair else { continue };
        if quoted.starts_with("src/") {
            file = Some((*quoted).to_owned());
        } else if !matches!(*between, " " | " and ") {
            file = None;
        } else if let Some(file) = &file {
            found.push((file.clone(), (*quoted).to_owned()));
        }
    }
    found
}

/// The cells of each row of a table whose first cell is one of these.
fn rows(document: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Vec<&str>> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|row| is_wanted(row[0]))
        .collect()
}

fn is_numbered(cell: &str, letter: char) -> bool {
    cell.strip_prefix(letter)
        .is_some_and(|number| number.len() == 2 && number.parse::<u32>().is_ok())
}

/// What a document puts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Why a cell names no test: it is empty, or this is none. A cell that begins with a dash says why
/// there is none.
fn unproved(cell: &str, tests: &BTreeSet<String>) -> Option<String> {
    if cell.starts_with("– ") {
        return None;
    }
    let names = quoted(cell);
    if names.is_empty() {
        return Some("no test, and no reason".to_owned());
    }
    names
        .into_iter()
        .find(|name| !is_proof(name, tests))
        .map(|name| format!("`{name}` is no test"))
}

fn is_proof(name: &str, tests: &BTreeSet<String>) -> bool {
    if let Some((file, title)) = name.split_once(": ") {
        return is_end_to_end(file, title);
    }
    if name.contains('/') {
        let path = root().join(name);
        return path.exists() || root().join(format!("{name}.test.mjs")).exists();
    }
    is_named(name, tests)
}

/// Whether this is a test, a module of tests or a binary of them.
fn is_named(name: &str, tests: &BTreeSet<String>) -> bool {
    let whole = name.trim_end_matches("::*");
    tests.contains(name)
        || tests
            .iter()
            .any(|test| test.starts_with(&format!("{whole}::")))
}

/// The tests that a text names and that do not exist. Only what begins with a binary's name, or
/// is a sentence, is taken for a test's name.
fn missing(
    document: &str,
    tests: &BTreeSet<String>,
    is_elsewhere: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let binaries = binaries(tests);
    quoted(document)
        .into_iter()
        .filter(|name| {
            name.contains("::")
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_:*".contains(c))
        })
        .filter(|name| {
            let first = name.split("::").next().unwrap();
            let last = name.rsplit("::").next().unwrap();
            let is_sentence = last.matches('_').count() >= 3;
            if binaries.contains(first) {
                !is_named(name, tests)
            } else {
                is_sentence && !is_elsewhere(last)
            }
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_guard_sees_what_is_missing() {
    let tests: BTreeSet<String> = ["stories::basics::one", "simulation::two"]
        .map(str::to_owned)
        .into();
    let missing = |text: &str| missing(text, &tests, &|name| name == "known_to_the_server");
    assert_eq!(
        missing("`stories::basics::other`"),
        ["stories::basics::other"]
    );
    assert_eq!(missing("`stories::gone::*`"), ["stories::gone::*"]);
    assert_eq!(
        missing("`bad_days::a_name_of_old`"),
        ["bad_days::a_name_of_old"]
    );
    assert!(missing("`stories::basics::one`, `stories::basics::*`, `simulation::two`").is_empty());
    assert!(
        missing("`Host::yield_now`, `pushes::known_to_the_server`, stories::no::test").is_empty()
    );

    assert_eq!(unproved("`stories::basics::one`", &tests), None);
    assert_eq!(unproved("– it is about prose", &tests), None);
    assert!(unproved("", &tests).is_some());
    assert!(unproved("words", &tests).is_some());
    assert!(unproved("`guide: no such title`", &tests).is_some());
    assert!(unproved("`stories::basics::one`, `other::one`", &tests).is_some());
    assert!(unproved("`tests/e2e/nowhere`", &tests).is_some());
    assert_eq!(
        unproved("`server/tests`, `tests/e2e/tabs`, `simulation`", &tests),
        None
    );

    assert!(is_found("stories basics::o", &tests));
    assert!(is_found("simulation two", &tests));
    assert!(!is_found("stories two", &tests));
    assert!(!is_found("stories", &tests));

    let found = pairs("| 401 | `src/a.rs` `f` (`word`) and `g`, `src/b.rs` `h` and `i`; `j` |");
    let owned = |file: &str, function: &str| (file.to_owned(), function.to_owned());
    assert_eq!(
        found,
        [
            owned("src/a.rs", "f"),
            owned("src/b.rs", "h"),
            owned("src/b.rs", "i")
        ]
    );

    let document = "| 1 | `src/a.rs` | `f` and `B::g()` | `src/b/c.rs` | `h` |\n`src/d.rs` `i`";
    let found = steps(document);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(file, function)| (file.as_str(), function.as_str()))
        .collect();
    assert_eq!(
        found,
        [("src/a.rs", "f"), ("src/a.rs", "g"), ("src/b/c.rs", "h")]
    );
    assert!(!is_declared("src/lib.rs", "no_such_function"));
}
