//! Guards the drawing in ARCHITECTURE.md: who may import whom in `src`, what stays pure, where the
//! border to JavaScript is, and that no file outgrows its subject. Reads the source as words; runs
//! none of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The types: they may import each other, and everything may import them.
const TYPES: &[&str] = &[
    "cell",
    "digest",
    "entity",
    "error",
    "events",
    "feed",
    "json",
    "members",
    "metadata",
    "operation",
    "protocol",
    "small",
    "sse",
    "status",
    "time",
    "wait",
];

/// What each other part may import besides the types. A part that is not here is not in the
/// drawing.
const LAYERS: &[(&str, &[&str])] = &[
    ("conflict", &[]),
    ("query", &[]),
    ("host", &[]),
    ("remote", &[]),
    ("store", &[]),
    // Options name a resolver and a durability.
    ("config", &["conflict", "store"]),
    // A schedule goes by the config's times, and hands out a cycle's options.
    ("schedule", &["config"]),
    // Records name segments and sequence numbers by the store's types.
    ("replica", &["conflict", "query", "store"]),
    (
        "database",
        &["conflict", "query", "replica", "store", "host"],
    ),
    (
        "sync",
        &[
            "config", "conflict", "query", "replica", "database", "store", "remote", "host",
        ],
    ),
    (
        "datum",
        &[
            "config", "conflict", "query", "replica", "database", "schedule", "sync", "store",
            "remote", "host",
        ],
    ),
    (
        "js",
        &[
            "config", "conflict", "query", "replica", "database", "sync", "datum", "store",
            "remote", "host",
        ],
    ),
];

/// What implements a port. Only `js`, which puts the house together, and its likes may name one.
const ADAPTERS: &[&str] = &[
    "store::memory",
    "store::indexeddb",
    "remote::http",
    "remote::postgrest",
    "remote::custom",
    "host::web",
];

/// No IO, no clock, no chance: time and random bytes are arguments. (`status` holds the feed, which
/// waits.)
const PURE: &[&str] = &[
    "cell",
    "config",
    "conflict",
    "digest",
    "entity",
    "error",
    "members",
    "metadata",
    "operation",
    "protocol",
    "query",
    "replica",
    "schedule",
    "small",
    "sse",
    "time",
];
const IMPURE: &[&str] = &[
    "async",
    "await",
    "Instant",
    "SystemTime",
    "Date",
    "getrandom",
    "rand",
    "fastrand",
    "web_sys",
    "js_sys",
    "wasm_bindgen",
    "gloo_net",
    "fs",
    "net",
];

const MOST_LINES: usize = 450;

#[test]
fn nothing_imports_upwards() {
    let mut wrong = Vec::new();
    for file in sources() {
        wrong.extend(
            upward(&file.module, &file.words)
                .into_iter()
                .map(|import| format!("{} imports {import}", file.name)),
        );
    }
    assert!(
        wrong.is_empty(),
        "not in the drawing:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn pure_parts_have_no_io_no_clock_and_no_chance() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| PURE.contains(&file.part())) {
        let found: BTreeSet<&String> = file
            .words
            .iter()
            .filter(|word| IMPURE.contains(&word.as_str()))
            .collect();
        wrong.extend(
            found
                .into_iter()
                .map(|word| format!("{} says `{word}`", file.name)),
        );
    }
    assert!(wrong.is_empty(), "impure:\n{}", wrong.join("\n"));
}

#[test]
fn only_js_exports_to_javascript() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|file| file.part() != "js" && exports(&file.words))
        .map(|file| file.name.clone())
        .collect();
    assert!(
        wrong.is_empty(),
        "#[wasm_bindgen] on something else than an extern block:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_file_is_longer_than_its_subject_deserves() {
    let mut wrong = Vec::new();
    for folder in ["src", "server", "xtask", "tests", "benches", "www/src"] {
        for path in files(&root().join(folder)) {
            let name = relative(&path);
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            if lines > MOST_LINES {
                wrong.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "more than {MOST_LINES} lines; split by subject:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_npm_package_has_the_version_of_the_crate() {
    let manifest: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("pkg.json")).unwrap()).unwrap();
    assert_eq!(
        manifest["version"],
        env!("CARGO_PKG_VERSION"),
        "pkg.json and Cargo.toml"
    );
}

#[test]
fn the_guard_sees_what_it_must() {
    let words = |text: &str| words(text);
    let from = |module: &str| -> Vec<String> { module.split("::").map(str::to_owned).collect() };
    let refused = |module: &str, text: &str| upward(&from(module), &words(text));

    assert_eq!(
        refused("sync", "use crate::js::manager::Manager;"),
        ["js::manager::Manager"]
    );
    assert_eq!(
        refused("replica::fold", "use crate::{entity::Key, sync};"),
        ["sync"]
    );
    assert_eq!(
        refused(
            "sync::push",
            "use crate::store::{Store, indexeddb::IndexedDb};"
        ),
        ["store::indexeddb::IndexedDb"]
    );
    assert_eq!(
        refused("datum", "fn f() { crate::host::web::Web::new() }"),
        ["host::web::Web::new"]
    );
    assert_eq!(
        refused("conflict::merge", "use super::super::replica::Replica;"),
        ["replica::Replica"]
    );
    assert_eq!(refused("entity", "use crate::store::Seq;"), ["store::Seq"]);
    assert_eq!(
        refused("novelty", "use crate::error::Code;"),
        ["anything: `novelty` is not in LAYERS"]
    );
    assert!(
        refused(
            "sync",
            "use crate::{store::{Store, Seq}, remote::Remote}; // crate::js\n/* crate::js::X */ const A: &str = \"crate::js\";"
        )
        .is_empty()
    );
    assert!(
        refused(
            "store::indexeddb::write",
            "use crate::host::web::sleep; use super::event::until; use crate::store::Seq;"
        )
        .is_empty()
    );
    assert!(
        refused(
            "sync",
            "#[cfg(test)] mod tests { use crate::store::memory::Memory; } pub(crate) fn f() {}"
        )
        .is_empty()
    );
    assert_eq!(
        refused(
            "sync",
            "#[cfg(test)] mod tests { fn a() {} } use crate::js::A;"
        ),
        ["js::A"]
    );

    assert!(exports(&words("#[wasm_bindgen] pub fn f() {}")));
    assert!(exports(&words("#[wasm_bindgen(js_name = a)] impl A {}")));
    assert!(!exports(&words(
        "#[wasm_bindgen] extern \"C\" { #[wasm_bindgen(js_name = \"fetch\")] fn f(); }"
    )));
    assert!(!exports(&words(
        "use wasm_bindgen::prelude::*; fn f<'a>(c: char) -> bool { c == '\"' }"
    )));
    assert!(
        words("let a = 'x'; let b = r#\"async \"#; fn f<'async_>() {}")
            .iter()
            .all(|word| word != "async")
    );
}

/// A file of `src`, without its comments, strings and tests.
struct Source {
    name: String,
    module: Vec<String>,
    words: Vec<String>,
}

impl Source {
    fn part(&self) -> &str {
        &self.module[0]
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut sources = Vec::new();
    for path in files(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
    {
        let module: Vec<String> = path
            .strip_prefix(&src)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module[0] != "lib" && module.last().is_none_or(|last| last != "tests") {
            sources.push(Source {
                name: relative(&path),
                module,
                words: words(&std::fs::read_to_string(&path).unwrap()),
            });
        }
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

/// The imports of `words` that a file of `module` must not have.
fn upward(module: &[String], words: &[String]) -> Vec<String> {
    let part = module[0].as_str();
    let allowed = match LAYERS.iter().find(|(name, _)| *name == part) {
        Some((_, allowed)) => *allowed,
        None if TYPES.contains(&part) => &[],
        None => return vec![format!("anything: `{part}` is not in LAYERS")],
    };
    let own = module.join("::");
    let adapter = is_adapter(&own);
    let may = |import: &[String]| {
        let top = import[0].as_str();
        if is_adapter(&import.join("::")) {
            return part == "js" || adapter;
        }
        let port = ["store", "remote", "host"].contains(&top);
        top == part || TYPES.contains(&top) || allowed.contains(&top) || adapter && port
    };
    imports(module, words)
        .into_iter()
        .filter(|import| !may(import))
        .map(|import| import.join("::"))
        .collect()
}

fn is_adapter(path: &str) -> bool {
    ADAPTERS.iter().any(|adapter| {
        path == *adapter
            || path
                .strip_prefix(adapter)
                .is_some_and(|rest| rest.starts_with("::"))
    })
}

/// Every path from the crate's root, whether it begins with `crate`, `super` or `self`; groups are
/// unfolded.
fn imports(module: &[String], words: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 1 < words.len() {
        let root =
            ["crate", "super", "self"].contains(&words[at].as_str()) && words[at + 1] == "::";
        if !root || at > 0 && words[at - 1] == "::" {
            at += 1;
            continue;
        }
        let mut base = if words[at] == "crate" {
            Vec::new()
        } else {
            module.to_vec()
        };
        while at + 1 < words.len()
            && words[at + 1] == "::"
            && ["crate", "super", "self"].contains(&words[at].as_str())
        {
            if words[at] == "super" {
                base.pop();
            }
            at += 2;
        }
        unfold(words, &mut at, &base, &mut found);
    }
    found.retain(|path| !path.is_empty());
    found
}

/// Reads `a::{b, c::d}` from `at` on, each path with `base` before it.
fn unfold(words: &[String], at: &mut usize, base: &[String], found: &mut Vec<Vec<String>>) {
    let mut path = base.to_vec();
    loop {
        match words.get(*at).map(String::as_str) {
            Some("{") => {
                *at += 1;
                while words.get(*at).is_some_and(|word| word != "}") {
                    unfold(words, at, &path, found);
                    if words.get(*at).is_some_and(|word| word == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            Some(word) if word.starts_with(|first: char| first.is_alphabetic() || first == '_') => {
                if word != "self" {
                    path.push(word.to_owned());
                }
                *at += 1;
            }
            _ => *at += 1,
        }
        if words.get(*at).is_some_and(|word| word == "::") {
            *at += 1;
        } else {
            break;
        }
    }
    if words.get(*at).is_some_and(|word| word == "as") {
        *at += 2;
    }
    found.push(path);
}

/// Whether a `#[wasm_bindgen]` stands on anything but an extern block.
fn exports(words: &[String]) -> bool {
    let mut at = 0;
    while at + 2 < words.len() {
        if !(words[at] == "#" && words[at + 1] == "[" && words[at + 2] == "wasm_bindgen") {
            at += 1;
            continue;
        }
        at = past(words, at + 1, "[", "]");
        while words.get(at).is_some_and(|word| word == "#") {
            at = past(words, at + 1, "[", "]");
        }
        if words.get(at).is_some_and(|word| word == "unsafe") {
            at += 1;
        }
        if words.get(at).is_none_or(|word| word != "extern") {
            return true;
        }
        at = past(words, at + 1, "{", "}");
    }
    false
}

/// The place after the bracket that closes the first `open` from `at` on.
fn past(words: &[String], mut at: usize, open: &str, close: &str) -> usize {
    let mut depth = 0;
    while at < words.len() {
        if words[at] == open {
            depth += 1;
        } else if words[at] == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
        at += 1;
    }
    at
}

/// The words and signs of a Rust text: no comments, no strings, and nothing under `#[cfg(test)]`.
fn words(text: &str) -> Vec<String> {
    let all = tokens(text);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if all[at..]
            .iter()
            .map(String::as_str)
            .take(7)
            .eq(["#", "[", "cfg", "(", "test", ")", "]"])
        {
            at += 7;
            let end = all[at..]
                .iter()
                .position(|word| word == ";" || word == "{")
                .map_or(all.len(), |offset| at + offset);
            at = if all.get(end).is_some_and(|word| word == "{") {
                past(&all, end, "{", "}")
            } else {
                end + 1
            };
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word: usize = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .map(char::len_utf8)
            .sum();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = string(rest) {
            length
        } else if word > 0 {
            out.push(rest[..word].to_owned());
            word
        } else if rest.starts_with("::") {
            out.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                out.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    out
}

/// The length of the string, character or lifetime that `text` begins with.
fn string(text: &str) -> Option<usize> {
    let bare = text.strip_prefix('b').unwrap_or(text);
    let prefix = text.len() - bare.len();
    if let Some(raw) = bare.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = raw[hashes..].strip_prefix('"')?;
        return Some(
            prefix + 1 + hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len()),
        );
    }
    let quote = bare
        .chars()
        .next()
        .filter(|quote| ['"', '\''].contains(quote))?;
    let mut escaped = false;
    for (at, letter) in bare.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote && (quote == '"' || at > 1) => return Some(prefix + at + 1),
            // No character ends here: it is a lifetime.
            _ if quote == '\'' && at > 1 && !bare[1..].starts_with('\\') => {
                let name: usize = bare[1..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .map(char::len_utf8)
                    .sum();
                return Some(prefix + 1 + name);
            }
            _ => {}
        }
    }
    Some(text.len())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The source files below a folder; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["node_modules", "dist", "target", "pkg"].contains(&name.as_str()) {
                found.extend(files(&path));
            }
        } else if [".rs", ".js", ".mjs", ".ts"]
            .iter()
            .any(|ending| name.ends_with(ending))
            && !name.ends_with(".d.ts")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
