//! The hand-written types say what ships: `src/js/types.d.ts` is compared, both ways, with the
//! exported classes, the structs that become JavaScript objects, the tables of names, and the keys
//! that options are read by.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeSet;
use std::path::Path;

use datum_sync::model::config::{Config, Options};
use datum_sync::model::error::Code;
use datum_sync::model::object_reader::ObjectReader;
use serde_json::{Value, json};

type Names = BTreeSet<String>;

fn names<const N: usize>(of: [&str; N]) -> Names {
    of.into_iter().map(str::to_owned).collect()
}

fn equal(what: &str, types: &Names, shipped: &Names) {
    let missing: Vec<_> = shipped.difference(types).collect();
    let extra: Vec<_> = types.difference(shipped).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{what}: types.d.ts lacks {missing:?}, and has {extra:?}, which does not ship"
    );
}

// Reading texts

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust source of the package, one after another.
fn sources(folder: &Path, into: &mut String) {
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

fn rust(folder: &str) -> String {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut text,
    );
    without_comments(&text)
}

fn types() -> String {
    without_comments(&file("src/js/types.d.ts"))
}

/// Takes comments away; texts in double quotes stay as they are.
fn without_comments(text: &str) -> String {
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
        } else if rest.starts_with('"') {
            let mut escaped = false;
            let end = rest[1..]
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
fn block<'a>(text: &'a str, start: &str) -> &'a str {
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("there is no `{start}`"));
    bracketed(&text[at + start.len()..])
}

/// What stands behind the first `=` after `start`.
fn behind<'a>(text: &'a str, start: &str) -> &'a str {
    let at = text.find(start).unwrap();
    text[at..].split_once('=').unwrap().1
}

fn bracketed(text: &str) -> &str {
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
fn parts(text: &str, separator: char) -> Vec<&str> {
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

fn strings(text: &str) -> Names {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

// The types

/// The members of a class or an interface, by name: what follows the name.
fn members(body: &str) -> Vec<(String, String)> {
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

fn member_names(body: &str) -> Names {
    members(body).into_iter().map(|(name, _)| name).collect()
}

fn declared<'a>(types: &'a str, kind: &str, name: &str) -> &'a str {
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

fn interface(name: &str) -> Names {
    member_names(declared(&types(), "interface", name))
}

fn class(name: &str) -> Names {
    member_names(declared(&types(), "class", name))
}

/// What is written behind a member of an interface.
fn type_of(name: &str, member: &str) -> String {
    members(declared(&types(), "interface", name))
        .into_iter()
        .find(|(found, _)| found == member)
        .unwrap_or_else(|| panic!("{name} has no {member}"))
        .1
}

fn union(name: &str) -> Names {
    let types = types();
    let start = format!("export type {name} =");
    let at = types.find(&start).unwrap() + start.len();
    strings(parts(&types[at..], ';')[0])
}

// What ships

/// The members that wasm-bindgen exports for a class, by their JavaScript names.
fn exported(class: &str) -> Names {
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

fn camel(name: &str) -> String {
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
fn serialized(name: &str) -> Vec<(String, bool)> {
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
fn variants(name: &str) -> Names {
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
fn table(name: &str) -> Names {
    let sources = rust("src");
    sources
        .match_indices(&format!("impl {name} {{"))
        .map(|(at, _)| bracketed(&sources[at..]))
        .find(|body| body.contains("const NAMES"))
        .map(|body| strings(bracketed(behind(body, "const NAMES"))))
        .unwrap_or_else(|| panic!("{name} has no table NAMES"))
}

/// The texts in a constant array of a file; the `nth` of that name.
fn constant(path: &str, name: &str, nth: usize) -> Names {
    let text = without_comments(&file(path));
    let (at, _) = text
        .match_indices(&format!("const {name}"))
        .nth(nth)
        .unwrap_or_else(|| panic!("{path} has no {name}"));
    strings(bracketed(behind(&text[at..], "const")))
}

/// The keys that a function reads from an options object.
fn keys_read(path: &str, function: &str) -> Names {
    const READERS: [&str; 9] = [
        "text", "texts", "flag", "whole", "whole_or", "number", "choice", "object", "value",
    ];
    let text = without_comments(&file(path));
    let body = block(&text, function);
    let mut found = Names::new();
    for reader in READERS {
        let call = format!("given.{reader}(");
        for (at, _) in body.match_indices(&call) {
            let argument = body[at + call.len()..].trim_start();
            if argument.starts_with('"') {
                found.insert(argument.split('"').nth(1).unwrap().to_owned());
            }
        }
    }
    found
}

// The tests

#[test]
fn classes_have_the_members_that_are_exported() {
    let mut datum = exported("Datum");
    assert!(datum.remove("open"), "`open` is no longer exported");
    let entry = without_comments(&file("src/js/entry.js"));
    for (name, _) in entry_members(&entry) {
        datum.insert(name);
    }
    datum.insert("[Symbol.asyncDispose]".to_owned());
    assert!(entry.contains("Class.prototype[Symbol.asyncDispose] ="));
    equal("class Datum", &class("Datum"), &datum);
    equal("class Manager", &class("Manager"), &exported("Manager"));
    let mut feed = interface("StatusFeed");
    feed.insert("[Symbol.asyncIterator]".to_owned());
    equal("StatusFeed", &feed, &exported("StatusFeed"));
    for (member, exported_class) in [
        ("localAdapter", "LocalAdapter"),
        ("remoteAdapter", "RemoteAdapter"),
    ] {
        let types = types();
        let body = block(declared(&types, "class", "Manager"), member);
        equal(member, &member_names(body), &exported(exported_class));
    }
}

/// What the package's entry adds to the class: `initialize: { value: … }`.
fn entry_members(entry: &str) -> Vec<(String, String)> {
    let body = block(entry, "const members =");
    parts(body, ',')
        .into_iter()
        .map(|part| part.split_once(':').unwrap())
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[test]
fn objects_that_are_set_by_hand_have_their_members() {
    let manager = without_comments(&file("src/js/manager.rs"));
    let set = |function: &str| -> Names {
        let body = block(&manager, function);
        let body = &body[..body.len()];
        body.split("set_member(")
            .skip(1)
            .filter_map(|call| call.split('"').nth(1))
            .map(str::to_owned)
            .collect()
    };
    equal(
        "Page",
        &interface("Page"),
        &set("pub fn read_page(&self, page: &JsValue, options: &JsValue) -> Promise"),
    );
    let types = types();
    let result = members(declared(&types, "class", "Manager"))
        .into_iter()
        .find(|(name, _)| name == "pushAndSync")
        .expect("Manager has no pushAndSync")
        .1;
    equal(
        "the result of pushAndSync",
        &member_names(block(&result, "Promise<")),
        &set("pub fn push_and_sync(&self, draft: &JsValue, options: &JsValue) -> Promise"),
    );
}

#[test]
fn errors_have_their_members_and_codes() {
    let support = file("src/js/support.js");
    let body = block(&support, "class DatumError extends Error");
    let mut shipped = constant("src/js/support.js", "DETAILS", 0);
    for part in body.split("this.").skip(1) {
        let (name, rest) = part.split_at(part.find(|c: char| !c.is_alphanumeric()).unwrap());
        if rest.starts_with(" =") {
            shipped.insert(name.to_owned());
        }
    }
    shipped.extend(names(["cause", "toJSON"]));
    equal("class DatumError", &class("DatumError"), &shipped);
    let mut detail = constant("src/js/support.js", "DETAILS", 0);
    detail.insert("cause".to_owned());
    equal("DatumErrorDetail", &interface("DatumErrorDetail"), &detail);
    let sources = without_comments(&file("src/model/error.rs"));
    let mut codes = strings(block(&sources, "pub const fn as_str(self) -> &'static str"));
    // Thrown by the package's entry, before there is an engine.
    codes.insert("notInitialized".to_owned());
    equal("DatumErrorCode", &union("DatumErrorCode"), &codes);
}

#[test]
fn interfaces_have_the_members_that_serde_writes() {
    for (name, of) in [
        ("SyncStatus", "SyncStatus"),
        ("Health", "Health"),
        ("SyncResult", "SyncResult"),
        ("SyncMetadata", "SyncMetadata"),
        ("PendingOperation", "PendingOperation"),
        ("UserSwitchResult", "UserSwitchResult"),
        ("LogoutResult", "LogoutResult"),
        ("Metrics", "Metrics"),
        ("DatumErrorJson", "ErrorJson"),
    ] {
        let written = serialized(of);
        let shipped = written.iter().map(|(name, _)| name.clone()).collect();
        equal(name, &interface(name), &shipped);
        for (member, is_optional) in written {
            let optional = type_of(name, &member).starts_with('?');
            assert_eq!(optional, is_optional, "{name}.{member}: `?` against serde");
        }
    }
}

#[test]
fn unions_have_the_names_of_their_tables() {
    equal(
        "BuiltinResolver",
        &union("BuiltinResolver"),
        &table("Builtin"),
    );
    equal("FieldPolicy", &union("FieldPolicy"), &table("Policy"));
    equal(
        "UserSwitchStrategy",
        &union("UserSwitchStrategy"),
        &table("UserSwitch"),
    );
    let behavior = strings(&type_of("DeleteOptions", "behavior"));
    equal(
        "DeleteOptions.behavior",
        &behavior,
        &table("DeleteBehavior"),
    );
    let state = strings(&type_of("SyncMetadata", "syncStatus"));
    equal("SyncMetadata.syncStatus", &state, &table("SyncState"));
    equal("SyncState", &union("SyncState"), &variants("State"));
    equal(
        "MetadataComparison",
        &union("MetadataComparison"),
        &variants("MetadataComparison"),
    );
    for (name, member, of) in [
        ("SyncStatus", "phase", "Phase"),
        ("Health", "status", "HealthState"),
        ("Health", "local", "LocalHealth"),
        ("Health", "remote", "RemoteHealth"),
    ] {
        equal(member, &strings(&type_of(name, member)), &variants(of));
    }
    let directions = constant("src/model/config.rs", "DIRECTIONS", 0);
    equal("SyncDirection", &union("SyncDirection"), &directions);
    let strategies = strings(&type_of("DatumConfig", "syncRequestStrategy"));
    let shipped = constant("src/model/config.rs", "STRATEGIES", 0);
    equal("syncRequestStrategy", &strategies, &shipped);
    let strategies = strings(&type_of("ColdStart", "strategy"));
    let shipped = constant("src/model/config/timing.rs", "STRATEGIES", 0);
    equal("ColdStart.strategy", &strategies, &shipped);
}

#[test]
fn events_and_log_entries_have_their_names() {
    let types = types();
    let start = types.find("export type DatumEvent =").unwrap();
    let events = parts(&types[start..], ';')[0];
    let told: Names = events
        .split("readonly type: \"")
        .skip(1)
        .map(|part| part.split('"').next().unwrap().to_owned())
        .collect();
    equal("DatumEvent", &told, &table("Topic"));
    let observe = without_comments(&file("src/js/observe.js"));
    let logged: Names = parts(block(&observe, "const ENTRIES ="), ',')
        .into_iter()
        .map(|part| part.split(':').next().unwrap().trim().to_owned())
        .collect();
    equal("the events that are logged", &logged, &table("Topic"));
    let levels = union("LogLevel");
    equal(
        "LogLevel",
        &levels,
        &constant("src/js/observe.rs", "LEVELS", 0),
    );
    equal(
        "LogLevel",
        &levels,
        &constant("src/js/observe.js", "LEVELS", 0),
    );
    let scopes: Names = ["sync", "remote", "storage"]
        .into_iter()
        .filter(|scope| observe.contains(&format!("\"{scope}\"")))
        .chain(scopes_of(&observe))
        .map(str::to_owned)
        .collect();
    equal(
        "LogEntry.scope",
        &strings(&type_of("LogEntry", "scope")),
        &scopes,
    );
}

/// The second argument of each `#log(level, scope, …)`, and of each entry made by hand.
fn scopes_of(observe: &str) -> Vec<&str> {
    let calls = observe
        .match_indices("this.#log(")
        .map(|(at, call)| parts(&observe[at + call.len()..], ',')[1]);
    let made = observe
        .match_indices("scope: ")
        .map(|(at, key)| &observe[at + key.len()..]);
    calls
        .chain(made)
        .filter_map(|text| text.strip_prefix('"')?.split('"').next())
        .collect()
}

/// The keys that a reader knows, as its own error lists them.
fn known(error: &str) -> Names {
    let list = error
        .split("known are ")
        .nth(1)
        .unwrap_or_else(|| panic!("{error}"));
    list.trim_end_matches('.')
        .split(", ")
        .map(str::to_owned)
        .collect()
}

fn config_error(config: &Value) -> String {
    let given = ObjectReader::new(config, Code::InvalidConfig, "The config").unwrap();
    let given = given.also_allow(&["remote"]);
    Config::read(given).unwrap_err().message().to_owned()
}

#[test]
fn config_has_the_keys_that_are_read() {
    let mut keys = known(&config_error(&json!({ "entities": { "a": {} }, "x": 1 })));
    keys.extend(constant("src/js/config.rs", "LIVE", 0));
    equal("DatumConfig", &interface("DatumConfig"), &keys);
    let mut keys = known(&config_error(&json!({ "entities": { "a": { "x": 1 } } })));
    keys.extend(constant("src/js/config.rs", "LIVE", 1));
    equal("EntityConfig", &interface("EntityConfig"), &keys);
    let keys = known(&config_error(
        &json!({ "entities": { "a": {} }, "coldStart": { "x": 1 } }),
    ));
    equal("ColdStart", &interface("ColdStart"), &keys);
    for member in ["retry", "durability"] {
        let keys = known(&config_error(
            &json!({ "entities": { "a": {} }, member: { "x": 1 } }),
        ));
        let types = type_of("DatumConfig", member);
        equal(member, &member_names(bracketed(&types)), &keys);
    }
    let keys = constant("src/web/http/config.rs", "KEYS", 0);
    equal("HttpRemote", &interface("HttpRemote"), &keys);
}

#[test]
fn options_have_the_keys_that_are_read() {
    let error = |options: &Value| {
        let given = ObjectReader::new(options, Code::InvalidArgument, "The options").unwrap();
        let Err(error) = Options::read(given) else {
            panic!("{options} was taken")
        };
        error.message().to_owned()
    };
    let mut keys = known(&error(&json!({ "x": 1 })));
    keys.extend(names(["conflictResolver", "signal"]));
    equal("SyncOptions", &interface("SyncOptions"), &keys);
    let keys = known(&error(&json!({ "scope": { "entities": ["a"], "x": 1 } })));
    equal("SyncScope", &interface("SyncScope"), &keys);

    const MANAGER: &str = "src/js/manager/options.rs";
    let user = keys_read(
        MANAGER,
        "fn read_user_option(value: &JsValue) -> Result<Option<String>>",
    );
    equal("UserOption", &interface("UserOption"), &user);
    let with_user = |name: &str| &interface(name) | &interface("UserOption");
    equal(
        "ReadOptions",
        &with_user("ReadOptions"),
        &keys_read(MANAGER, "impl ReadOptions"),
    );
    equal(
        "PageRequest",
        &interface("PageRequest"),
        &keys_read(MANAGER, "impl PageOptions"),
    );
    let mut written = keys_read(
        MANAGER,
        "behaviors: Option<&[(&'static str, DeleteBehavior)]>,\n) -> Result<WriteOptions>",
    );
    written.insert("dependsOn".to_owned());
    let written_types = &with_user("WriteOptions") | &interface("DeleteOptions");
    equal("WriteOptions and DeleteOptions", &written_types, &written);
    let switch = keys_read("src/js/users.rs", "impl SwitchRequest");
    equal("UserSwitch", &interface("UserSwitch"), &switch);
    let logout = keys_read(
        "src/js/users.rs",
        "fn read_logout(value: &JsValue) -> Result<LogoutOptions>",
    );
    equal("LogoutOptions", &interface("LogoutOptions"), &logout);
    let filter = keys_read(
        "src/js/events.rs",
        "fn read_filter(value: &JsValue) -> Result<Filter>",
    );
    equal("EventFilter", &interface("EventFilter"), &filter);
}

/// The fields that the engine owns are listed on both sides of the border.
#[test]
fn tables_that_stand_twice_are_equal() {
    let of_rust = constant("src/model/entity.rs", "OWN_FIELDS", 0);
    equal("Entity", &interface("Entity"), &of_rust);
    assert_eq!(constant("src/js/middleware.js", "OWN", 0), of_rust);
    let depth = |path: &str, name: &str| -> u32 {
        let text = file(path);
        let value = text.split(name).nth(1).unwrap().split('=').nth(1).unwrap();
        value
            .trim()
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    // What is stored must stay readable for the engine, which takes more than the border lets in.
    assert!(
        depth("src/js/support.js", "const MAX_DEPTH")
            < depth("src/util/json/scan.rs", "const MAX_DEPTH:")
    );
}
