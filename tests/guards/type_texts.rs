//! Reads members, unions and tables of TypeScript and Rust texts.

use std::collections::BTreeSet;
use std::path::Path;

pub(super) type Names = BTreeSet<String>;

pub(super) fn names<const N: usize>(of: [&str; N]) -> Names {
    of.into_iter().map(str::to_owned).collect()
}

pub(super) fn equal(what: &str, types: &Names, shipped: &Names) {
    let missing: Vec<_> = shipped.difference(types).collect();
    let extra: Vec<_> = types.difference(shipped).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}: types.d.ts lacks {missing:?}, and has {extra:?}, which does not ship"
    );
}

pub(super) fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust source of the package, one after another.
pub(super) fn sources(folder: &Path, into: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

pub(super) fn rust(folder: &str) -> String {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut text,
    );
    without_comments(&text)
}

pub(super) fn types() -> String {
    without_comments(&file("src/js/types.d.ts"))
}

/// Takes comments away; texts in double quotes stay as they are.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if rest.starts_with("'\"'") {
            out.push_str("' '");
            3
        } else if let Some(behind) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = behind
                .find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })
                .unwrap()
                + 2;
            out.push_str(&rest[..end]);
            end
        } else {
            out.push_str(&rest[..1]);
            1
        };
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// What stands between the first bracket after `start` and its counterpart.
pub(super) fn block<'a>(text: &'a str, start: &str) -> &'a str {
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("there is no `{start}`"));
    bracketed(&text[at + start.len()..])
}

/// What stands behind the first `=` after `start`.
pub(super) fn behind<'a>(text: &'a str, start: &str) -> &'a str {
    let at = text.find(start).unwrap();
    text[at..].split_once('=').unwrap().1
}

pub(super) fn bracketed(text: &str) -> &str {
    let begin = text.find(['{', '[']).unwrap();
    let mut depth = 0;
    for (at, c) in text[begin..].char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[begin + 1..begin + at];
        }
    }
    panic!("a bracket is not closed in {:.40}", &text[begin..])
}

/// The parts of a text between separators that stand in no bracket.
pub(super) fn parts(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && c == separator {
            found.push(text[from..at].trim());
            from = at + 1;
        }
    }
    found.push(text[from..].trim());
    found.retain(|part| !part.is_empty());
    found
}

pub(super) fn strings(text: &str) -> Names {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
