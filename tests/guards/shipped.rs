//! What the types say, and what ships: exported methods, serialized fields, tables of names.

use super::type_texts::*;

/// The members of a class or an interface, by name: what follows the name.
pub(super) fn members(body: &str) -> Vec<(String, String)> {
    parts(body, ';')
        .into_iter()
        .filter_map(|part| {
            let mut part = part;
            for word in ["private ", "static ", "override ", "readonly "] {
                part = part.strip_prefix(word).unwrap_or(part).trim_start();
            }
            let end = if part.starts_with('[') {
                part.find(']').unwrap() + 1
            } else {
                part.find(|c: char| !c.is_alphanumeric() && c != '_')?
            };
            let (name, rest) = part.split_at(end);
            (name != "constructor").then(|| (name.to_owned(), rest.trim().to_owned()))
        })
        .collect()
}

pub(super) fn member_names(body: &str) -> Names {
    members(body).into_iter().map(|(name, _)| name).collect()
}

pub(super) fn declared<'a>(types: &'a str, kind: &str, name: &str) -> &'a str {
    let start = [" ", "<", "\n"]
        .iter()
        .map(|end| format!("export {kind} {name}{end}"))
        .find(|start| types.contains(start.as_str()))
        .unwrap_or_else(|| panic!("types.d.ts has no {kind} {name}"));
    // A generic's default may have brackets of its own.
    let at = types.find(&start).unwrap();
    let open = at + types[at..].find(" {\n").unwrap();
    bracketed(&types[open..])
}

pub(super) fn interface(name: &str) -> Names {
    member_names(declared(&types(), "interface", name))
}

pub(super) fn class(name: &str) -> Names {
    member_names(declared(&types(), "class", name))
}

/// What is written behind a member of an interface.
pub(super) fn type_of(name: &str, member: &str) -> String {
    members(declared(&types(), "interface", name))
        .into_iter()
        .find(|(found, _)| found == member)
        .unwrap_or_else(|| panic!("{name} has no {member}"))
        .1
}

pub(super) fn union(name: &str) -> Names {
    let types = types();
    let start = format!("export type {name} =");
    let at = types.find(&start).unwrap() + start.len();
    strings(parts(&types[at..], ';')[0])
}

/// The members that wasm-bindgen exports for a class, by their JavaScript names.
pub(super) fn exported(class: &str) -> Names {
    let sources = rust("src");
    let mut found = Names::new();
    for start in [
        format!("#[wasm_bindgen]\nimpl {class} {{"),
        format!("#[wasm_bindgen]\n\nimpl {class} {{"),
    ] {
        for (at, _) in sources.match_indices(&start) {
            let body = bracketed(&sources[at + start.len() - 1..]);
            // A method ends with the first bracket in none: an attribute stands before the next.
            for part in body.split("pub fn ").collect::<Vec<_>>().windows(2) {
                let attributes = part[0].rsplit('}').next().unwrap();
                let own = part[1].split('(').next().unwrap().trim();
                let name = match attributes.split("js_name = ").nth(1) {
                    Some(name) => name.split([',', ')']).next().unwrap().trim_matches('"'),
                    None => own,
                };
                found.insert(name.to_owned());
            }
        }
    }
    assert!(!found.is_empty(), "no class {class} is exported");
    found
}

pub(super) fn camel(name: &str) -> String {
    let mut upper = false;
    name.chars()
        .filter_map(|c| {
            if c == '_' {
                upper = true;
                return None;
            }
            Some(if std::mem::take(&mut upper) {
                c.to_ascii_uppercase()
            } else {
                c
            })
        })
        .collect()
}

/// The members that serde writes for a struct, and whether each may be absent.
pub(super) fn serialized(name: &str) -> Vec<(String, bool)> {
    let sources = rust("src");
    let start = format!("pub struct {name} {{");
    let at = sources
        .find(&start)
        .unwrap_or_else(|| panic!("no struct {name} in src"));
    let attributes = sources[..at].rsplit("\n\n").next().unwrap();
    assert!(
        attributes.contains("camelCase"),
        "{name} is not renamed to camelCase"
    );
    let body = bracketed(&sources[at..]);
    parts(body, ',')
        .into_iter()
        .filter_map(|part| {
            // What follows a comma within `<…>` is no field.
            let (attributes, field) = part.rsplit_once("pub ")?;
            assert!(!attributes.contains("flatten"), "{name} flattens a field");
            let field = field.split(':').next().unwrap().trim();
            let name = match attributes.split("rename = \"").nth(1) {
                Some(name) => name.split('"').next().unwrap().to_owned(),
                None => camel(field),
            };
            Some((name, attributes.contains("skip_serializing_if")))
        })
        .collect()
}

/// The variants of an enum, as serde writes them in camelCase.
pub(super) fn variants(name: &str) -> Names {
    let sources = rust("src");
    let body = block(&sources, &format!("pub enum {name} "));
    parts(body, ',')
        .into_iter()
        .map(|part| {
            let name = part.rsplit([']', '\n']).next().unwrap().trim();
            let mut chars = name.chars();
            let first = chars.next().unwrap().to_ascii_lowercase();
            std::iter::once(first).chain(chars).collect()
        })
        .collect()
}

/// The names in a table `NAMES` of a type.
pub(super) fn table(name: &str) -> Names {
    let sources = rust("src");
    sources
        .match_indices(&format!("impl {name} {{"))
        .map(|(at, _)| bracketed(&sources[at..]))
        .find(|body| body.contains("const NAMES"))
        .map(|body| strings(bracketed(behind(body, "const NAMES"))))
        .unwrap_or_else(|| panic!("{name} has no table NAMES"))
}

/// The texts in a constant array of a file; the `nth` of that name.
pub(super) fn constant(path: &str, name: &str, nth: usize) -> Names {
    let text = without_comments(&file(path));
    let (at, _) = text
        .match_indices(&format!("const {name}"))
        .nth(nth)
        .unwrap_or_else(|| panic!("{path} has no {name}"));
    strings(bracketed(behind(&text[at..], "const")))
}
