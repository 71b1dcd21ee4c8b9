//! The hand-written types say what ships: `src/js/types.d.ts` is compared, both ways, with the
//! exported classes, the structs that become JavaScript objects, the tables of names, and the keys
//! that options are read by.

use super::shipped::*;
use super::type_texts::*;

#[test]
fn classes_have_the_members_that_are_exported() {
    let mut datum = exported("Datum");
    // Only for the package's entry, which takes them out of the class.
    for internal in ["open", "adopt"] {
        assert!(datum.remove(internal), "`{internal}` is no longer exported");
    }
    let entry = without_comments(&file("src/js/entry.js"));
    for (name, _) in entry_members(&entry) {
        datum.insert(name);
    }
    datum.insert("[Symbol.asyncDispose]".to_owned());
    assert!(entry.contains("Class.prototype[Symbol.asyncDispose] ="));
    assert!(entry.contains("Class.prototype.watchCurrentUser ="));
    datum.insert("watchCurrentUser".to_owned());
    assert!(entry.contains("label(entry.datum, name,"));
    datum.insert("name".to_owned());
    equal("class Datum", &class("Datum"), &datum);
    let mut manager = exported("Manager");
    // The entry makes other methods of these.
    for internal in [
        "countMatches",
        "readQueryPage",
        "readRelated",
        "readRelatedPage",
        "watchRelated",
        "watchResult",
    ] {
        assert!(
            manager.remove(internal),
            "`{internal}` is no longer exported"
        );
        assert!(entry.contains(&format!("\"{internal}\"")), "{internal}");
    }
    for made in ["watchQuery", "watchCount"] {
        assert!(entry.contains(&format!("prototype.{made} =")), "{made}");
        manager.insert(made.to_owned());
    }
    let begins = entry
        .split("for (const name of ")
        .find(|part| part.contains("QueryBuilder("));
    manager.extend(strings(bracketed(
        begins.expect("no beginnings of queries"),
    )));
    equal("class Manager", &class("Manager"), &manager);
    let builder = without_comments(&file("src/js/query-builder.js"));
    let methods = own_methods(block(&builder, "class QueryBuilder"));
    equal("class QueryBuilder", &class("QueryBuilder"), &methods);
    let operators = constant("src/js/query-builder.js", "OPERATORS", 0);
    equal("Operators", &interface("Operators"), &operators);
    let mut feed = interface("StatusFeed");
    feed.insert("[Symbol.asyncIterator]".to_owned());
    equal("StatusFeed", &feed, &exported("Feed"));
    for (member, exported_class) in [
        ("localAdapter", "LocalAdapter"),
        ("remoteAdapter", "RemoteAdapter"),
    ] {
        let types = types();
        let body = block(declared(&types, "class", "Manager"), member);
        equal(member, &member_names(body), &exported(exported_class));
    }
}

/// The public methods of a class in a script: what opens a bracket at its first level.
fn own_methods(body: &str) -> Names {
    let lines = body.lines().filter_map(|line| line.strip_prefix("  "));
    let opened = lines.filter(|line| line.ends_with(") {") && !line.starts_with([' ', '#']));
    let names = opened.filter_map(|line| line.split('(').next());
    let names = names.map(|name| name.trim_start_matches("async ").to_owned());
    names.filter(|name| name != "constructor").collect()
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
    let manager = [file("src/js/manager.rs"), file("src/js/manager/pages.rs")].concat();
    let manager = without_comments(&manager);
    let set = |function: &str| -> Names {
        block(&manager, function)
            .split("set_member(")
            .skip(1)
            .filter_map(|call| call.split('"').nth(1))
            .map(str::to_owned)
            .collect()
    };
    equal("Page", &interface("Page"), &set("fn page_object("));
    let queries = without_comments(&file("src/js/manager/queries.rs"));
    let set_in_queries = |function: &str| -> Names {
        let calls = block(&queries, function).split("set_member(").skip(1);
        let names = calls.filter_map(|call| call.split('"').nth(1));
        names.map(str::to_owned).collect()
    };
    equal(
        "QueryChange",
        &interface("QueryChange"),
        &set_in_queries("fn apply(&self, update: &ResultUpdate) -> Result<JsValue>"),
    );
    let engine = without_comments(&file("src/engine/queries.rs"));
    let explained: Names = block(&engine, "pub async fn explain")
        .split("(&mut text, \"")
        .skip(1)
        .filter_map(|call| call.split('"').next())
        .map(str::to_owned)
        .collect();
    equal(
        "QueryExplanation",
        &interface("QueryExplanation"),
        &explained,
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
    let body = block(&support, "DatumError: class extends Error");
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
        ("ImportResult", "ImportResult"),
        ("Metrics", "Metrics"),
        ("NextSyncExplanation", "NextSyncExplanation"),
        ("OperationExplanation", "OperationExplanation"),
        ("WaitReason", "WaitReason"),
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
    equal("OnDelete", &union("OnDelete"), &table("OnDelete"));
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
    equal(
        "EntitySyncState",
        &union("EntitySyncState"),
        &table("EntitySyncState"),
    );
    let state = strings(&type_of("SyncMetadata", "syncStatus"));
    equal(
        "SyncMetadata.syncStatus",
        &state,
        &table("MetadataSyncStatus"),
    );
    equal("SyncState", &union("SyncState"), &variants("SyncState"));
    equal(
        "MetadataComparison",
        &union("MetadataComparison"),
        &variants("MetadataComparison"),
    );
    let reasons = &union("NextSyncReason") | &union("WaitReasonName");
    equal("WaitReasonName", &reasons, &variants("Reason"));
    for (name, member, of) in [
        ("OperationExplanation", "state", "WaitState"),
        ("SyncStatus", "phase", "Phase"),
        ("Health", "status", "HealthState"),
        ("Health", "local", "LocalHealth"),
        ("Health", "remote", "RemoteHealth"),
    ] {
        equal(member, &strings(&type_of(name, member)), &variants(of));
    }
    let directions = constant("src/model/config/options.rs", "DIRECTIONS", 0);
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

/// The keys of an object of rules in a script, and of those that it takes from others.
fn rules(path: &str, start: &str) -> Names {
    let text = without_comments(&file(path));
    keys_of(&text, block(&text, start))
}

fn keys_of(text: &str, body: &str) -> Names {
    let mut keys = Names::new();
    for part in parts(body, ',') {
        match part.strip_prefix("...") {
            Some(other) => keys.extend(keys_of(text, block(text, &format!("const {other} =")))),
            None => drop(keys.insert(part.split([':', '(']).next().unwrap().trim().to_owned())),
        }
    }
    keys
}

const READ: &str = "src/js/options.js";

#[test]
fn config_has_the_keys_that_are_read() {
    let keys = rules(READ, "const CONFIG =");
    equal("DatumConfig", &interface("DatumConfig"), &keys);
    let keys = rules(READ, "const ENTITY =");
    equal("EntityConfig", &interface("EntityConfig"), &keys);
    let keys = rules(READ, "coldStart: object(");
    equal("ColdStart", &interface("ColdStart"), &keys);
    for member in ["retry", "durability"] {
        let keys = rules(READ, &format!("{member}: object("));
        let types = type_of("DatumConfig", member);
        equal(member, &member_names(bracketed(&types)), &keys);
    }
    let keys = rules("src/js/config.js", "const HTTP =");
    equal("HttpRemote", &interface("HttpRemote"), &keys);
}

#[test]
fn options_have_the_keys_that_are_read() {
    let text = without_comments(&file(READ));
    let all = block(&text, "const OPTIONS =");
    let read = |kind: &str| -> Names {
        let of = parts(all, ',')
            .into_iter()
            .find_map(|part| part.strip_prefix(&format!("{kind}: [")))
            .unwrap_or_else(|| panic!("nothing is read as `{kind}`"));
        let given = parts(of.trim_end_matches(']'), ',')[1];
        if given.starts_with('{') {
            keys_of(&text, bracketed(given))
        } else {
            keys_of(&text, block(&text, &format!("const {given} =")))
        }
    };
    equal("SyncOptions", &interface("SyncOptions"), &read("sync"));
    let keys = rules(READ, "const SCOPE =");
    equal("SyncScope", &interface("SyncScope"), &keys);
    equal("UserOption", &interface("UserOption"), &read("user"));
    let with_user = |name: &str| &interface(name) | &interface("UserOption");
    let placed = |name: &str| &with_user(name) | &interface("SpaceOption");
    let types = &placed("ReadOptions") | &interface("QueryOptions");
    equal("ReadOptions", &types, &read("read"));
    equal("SpaceOption", &with_user("SpaceOption"), &read("space"));
    equal("QueryOptions", &placed("QueryOptions"), &read("query"));
    let types = &placed("PageReadOptions") | &interface("QueryOptions");
    equal("PageReadOptions", &types, &read("related"));
    equal("PageRequest", &interface("PageRequest"), &read("page"));
    equal("WriteOptions", &placed("WriteOptions"), &read("write"));
    for (name, kind) in [("PatchOptions", "patch"), ("DeleteOptions", "delete")] {
        let types = &placed("WriteOptions") | &interface(name);
        equal(name, &types, &read(kind));
    }
    equal("UserSwitch", &interface("UserSwitch"), &read("switch"));
    equal(
        "LogoutOptions",
        &interface("LogoutOptions"),
        &read("logout"),
    );
    equal("EventFilter", &interface("EventFilter"), &read("filter"));
    equal(
        "ActivityFilter",
        &interface("ActivityFilter"),
        &read("user"),
    );
}

/// The fields that the engine owns are listed on both sides of the border.
#[test]
fn tables_that_stand_twice_are_equal() {
    let of_rust = constant("src/model/entity.rs", "OWN_FIELDS", 0);
    equal("Entity", &interface("Entity"), &of_rust);
    assert_eq!(constant("src/js/middleware.js", "OWN", 0), of_rust);
    for (read, written) in [
        ("RESOLVERS", table("Builtin")),
        ("SWITCHES", table("UserSwitch")),
        ("BEHAVIORS", table("DeleteBehavior")),
        ("POLICIES", table("Policy")),
        (
            "DIRECTIONS",
            constant("src/model/config/options.rs", "DIRECTIONS", 0),
        ),
        ("REQUESTS", constant("src/model/config.rs", "STRATEGIES", 0)),
        (
            "COLD_STARTS",
            constant("src/model/config/timing.rs", "STRATEGIES", 0),
        ),
    ] {
        assert_eq!(constant(READ, read, 0), written);
    }
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
            < depth("src/util/json/scan/tree.rs", "const MAX_DEPTH:")
    );
}
