//! A config or options that are wrong are refused, and the message names the field and the fix.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)]

use datum_sync::model::config::merge_fields::Policy;
use datum_sync::model::config::resolver::Builtin;
use datum_sync::model::config::storage::Durability;
use datum_sync::model::config::timing::{ColdStart, ColdStrategy, Timing};
use datum_sync::model::config::{Config, DeleteBehavior, Direction, Jitter, Options};
use datum_sync::model::error::{Code, Result};
use datum_sync::model::metadata::read_reply;
use datum_sync::model::object_reader::ObjectReader;
use datum_sync::model::protocol::MetadataSyncStatus;
use datum_sync::util::json::scan::parse;

fn config(json: &str) -> Result<Config> {
    let value = parse(json.as_bytes()).unwrap();
    Config::read(ObjectReader::new(
        &value,
        Code::InvalidConfig,
        "The config",
    )?)
}

fn options(json: &str) -> Result<Options> {
    let value = parse(json.as_bytes()).unwrap();
    Options::read(
        ObjectReader::new(&value, Code::InvalidArgument, "The sync options")?
            .also_allow(&["signal"]),
    )
}

#[test]
fn every_field_of_a_config_is_read() {
    let config = config(
        r#"{
            "name": "notes", "entities": { "tasks": { "deleteBehavior": "softDelete", "conflictResolver": "ask", "localOnly": ["draft", "local notes"], "mergeFields": { "votes": "sum", "address.city": "remote" } }, "lists": {} },
            "syncTimeout": 5, "resolverTimeout": 6, "defaultSyncDirection": "pullOnly", "defaultSyncOptions": { "overrideBatchSize": 7 },
            "defaultConflictResolver": "localPriority", "retry": { "maxAttempts": 9, "factor": 1.5, "jitter": "none" },
            "durability": { "local": "relaxed", "pulled": "strict" }, "memoryBudget": 0, "schemaVersion": 3,
            "excludedSyncUserIds": ["guest"], "autoStartSync": true, "autoSyncInterval": 1000, "syncAfterWrite": 7,
            "syncOnReconnect": false, "syncOnVisible": false,
            "coldStart": { "strategy": "fullSync", "threshold": 1, "delay": 2, "maxDuration": 3 }
        }"#,
    )
    .unwrap();
    assert_eq!(
        (
            config.name.as_str(),
            config.sync_timeout,
            config.memory_budget,
            config.schema
        ),
        ("notes", 5, 0, 3)
    );
    assert_eq!(
        config.entities.get("tasks").unwrap().delete_behavior,
        Some(DeleteBehavior::SoftDelete)
    );
    assert_eq!(
        (
            config.local_only("tasks").join(","),
            config.local_only("lists").len()
        ),
        ("draft,local notes".to_owned(), 0)
    );
    assert_eq!(
        (config.resolver_of("tasks"), config.resolver_of("lists")),
        (Builtin::Ask, Builtin::LocalPriority)
    );
    let fields: Vec<_> = config
        .policies("tasks")
        .iter()
        .map(|(path, policy)| (path.to_owned(), *policy))
        .collect();
    assert_eq!(
        fields,
        [
            ("address.city".to_owned(), Policy::Remote),
            ("votes".to_owned(), Policy::Sum)
        ]
    );
    assert_eq!(
        (
            config.sums("tasks"),
            config.sums("lists"),
            config.resolver_timeout
        ),
        (true, false, 6)
    );
    assert_eq!(
        (config.defaults.direction, config.defaults.batch_size),
        (Some(Direction::PullOnly), Some(7))
    );
    assert_eq!(
        (
            config.retry.max_attempts,
            config.retry.initial,
            config.retry.jitter
        ),
        (9, 500, Jitter::None)
    );
    assert!((config.retry.factor - 1.5).abs() < f64::EPSILON);
    assert_eq!(
        (config.local, config.pulled),
        (Durability::Relaxed, Durability::Strict)
    );
    assert_eq!(config.excluded, ["guest"]);
    let cold = ColdStart {
        strategy: ColdStrategy::FullSync,
        threshold: 1,
        delay: 2,
        max_duration: 3,
    };
    let timing = Timing {
        auto_start: true,
        interval: 1_000,
        after_write: Some(7),
        on_reconnect: false,
        on_visible: false,
        cold: Some(cold),
    };
    assert_eq!(config.timing, timing);
}

#[test]
fn what_a_config_leaves_out_has_a_default() {
    let config = config(r#"{ "entities": { "tasks": null }, "retry": null }"#).unwrap();
    assert_eq!(
        (
            config.name.as_str(),
            config.sync_timeout,
            config.memory_budget
        ),
        ("datum", 120_000, 67_108_864)
    );
    assert_eq!(
        (
            config.retry.max_attempts,
            config.retry.initial,
            config.retry.max
        ),
        (3, 500, 60_000)
    );
    assert_eq!(
        (config.local, config.pulled),
        (Durability::Strict, Durability::Relaxed)
    );
    assert_eq!(
        (config.resolver_of("tasks"), config.is_soft("tasks")),
        (Builtin::Merge, false)
    );
    let timing = Timing {
        auto_start: false,
        interval: 900_000,
        after_write: Some(1_000),
        on_reconnect: true,
        on_visible: true,
        cold: None,
    };
    assert_eq!(config.timing, timing);
}

#[test]
fn a_cold_start_comes_with_automatic_cycles_or_by_its_own_name() {
    let cold = |more: &str| {
        self::config(&format!(r#"{{ "entities": {{ "tasks": {{}} }}, {more} }}"#))
            .unwrap()
            .timing
            .cold
    };
    let usual = ColdStart {
        strategy: ColdStrategy::Adaptive,
        threshold: 3_600_000,
        delay: 500,
        max_duration: 15_000,
    };
    assert_eq!(cold(r#""autoStartSync": true"#), Some(usual));
    assert_eq!(cold(r#""coldStart": {}"#), Some(usual));
    assert_eq!(
        cold(r#""autoStartSync": true, "coldStart": { "strategy": "disabled" }"#),
        None
    );
    assert_eq!(
        config(r#"{ "entities": { "tasks": {} }, "syncAfterWrite": false }"#)
            .unwrap()
            .timing
            .after_write,
        None
    );
}

#[test]
fn a_wrong_config_is_refused_and_the_message_names_the_field_and_the_fix() {
    for (wrong, field, fix) in [
        ("[]", "The config", "must be an object"),
        ("{}", "`entities`", "at least one entity type"),
        (
            r#"{ "entities": {} }"#,
            "`entities`",
            "at least one entity type",
        ),
        (r#"{ "entities": [] }"#, "`entities`", "must be an object"),
        (r#"{ "entities": { "": {} } }"#, "`entities.`", "is no name"),
        (
            r#"{ "entities": { "tasks": 1 } }"#,
            "`entities.tasks`",
            "must be an object",
        ),
        (
            r#"{ "entities": { "tasks": { "deleteBehaviour": 1 } } }"#,
            "`entities.tasks.deleteBehaviour`",
            "conflictResolver, deleteBehavior, localOnly",
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["a", ""] } } }"#,
            "`entities.tasks.localOnly`",
            "empty name",
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["a", "version"] } } }"#,
            "`entities.tasks.localOnly`",
            "`version`, which the engine owns",
        ),
        (
            r#"{ "entities": { "tasks": { "relations": { "project": { "belongsTo": "projects", "foreignKey": "p" } } } } }"#,
            "`entities`",
            "a relation to `projects`, which is no entity type",
        ),
        (
            r#"{ "entities": { "tasks": { "relations": { "subtasks": { "hasMany": "tasks", "foreignKey": "p" } } } } }"#,
            "`entities.tasks.relations.subtasks`",
            "only `belongsTo` is",
        ),
        (
            r#"{ "entities": { "tasks": { "relations": { "parent": { "belongsTo": "tasks" } } } } }"#,
            "`entities.tasks.relations.parent`",
            "foreignKey: \"projectId\"",
        ),
        (
            r#"{ "entities": { "tasks": { "relations": { "parent": { "belongsTo": "tasks", "foreignKey": "id" } } } } }"#,
            "`entities.tasks.relations.parent.foreignKey`",
            "of the app's own",
        ),
        (
            r#"{ "entities": { "tasks": { "onRejected": "keep" } } }"#,
            "`entities.tasks.onRejected`",
            r#""revert", "keepLocal""#,
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": [1] } } }"#,
            "`entities.tasks.localOnly[0]`",
            "must be a string",
        ),
        (
            r#"{ "entities": { "tasks": { "deleteBehavior": "soft" } } }"#,
            "`entities.tasks.deleteBehavior`",
            r#""softDelete", "hardDelete""#,
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["draft"], "mergeFields": { "votes": "add" } } } }"#,
            "`entities.tasks.mergeFields.votes`",
            r#""sum", "union", "text""#,
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["draft"], "mergeFields": { "version": "max" } } } }"#,
            "`entities.tasks.mergeFields.version`",
            "the engine owns",
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["draft"], "mergeFields": { "userId.x": "max" } } } }"#,
            "`entities.tasks.mergeFields.userId.x`",
            "the engine owns",
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["draft"], "mergeFields": { "a..b": "max" } } } }"#,
            "`entities.tasks.mergeFields.a..b`",
            "such as `address.city`",
        ),
        (
            r#"{ "entities": { "tasks": { "localOnly": ["draft"], "mergeFields": { "draft": "text" } } } }"#,
            "`entities.tasks.mergeFields.draft`",
            "`localOnly`",
        ),
        (
            r#"{ "entities": { "tasks": { "conflictResolver": 1 } } }"#,
            "`entities.tasks.conflictResolver`",
            r#""merge", "lastWriteWins""#,
        ),
    ] {
        let error = config(wrong).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfig, "{wrong}");
        assert!(
            error.message().contains(field) && error.message().contains(fix),
            "{wrong}: {error}"
        );
    }
    for (wrong, field, fix) in [
        (r#""nmae": "x""#, "`nmae`", "known are name, entities,"),
        (r#""name": 7"#, "`name`", "must be a string"),
        (
            r#""autoSyncInterval": 0"#,
            "`autoSyncInterval`",
            "from 1000 to 86400000",
        ),
        (
            r#""autoSyncInterval": -1"#,
            "`autoSyncInterval`",
            "from 1000 to 86400000",
        ),
        (
            r#""syncAfterWrite": true"#,
            "`syncAfterWrite`",
            "from 0 to 3600000, or false",
        ),
        (
            r#""coldStart": { "strategy": "priorityBased" }"#,
            "`coldStart.strategy`",
            "adaptive",
        ),
        (
            r#""coldStart": { "maxDuration": 0 }"#,
            "`coldStart.maxDuration`",
            "from 1",
        ),
        (r#""coldStart": true"#, "`coldStart`", "must be an object"),
        (r#""name": "a/b""#, "`name`", "must not contain `/`"),
        (r#""name": """#, "`name`", "is no name"),
        (
            r#""syncTimeout": 0"#,
            "`syncTimeout`",
            "a whole number from 1 to 86400000",
        ),
        (r#""syncTimeout": 1.5"#, "`syncTimeout`", "a whole number"),
        (r#""syncTimeout": -1"#, "`syncTimeout`", "a whole number"),
        (r#""syncTimeout": "5""#, "`syncTimeout`", "a whole number"),
        (
            r#""memoryBudget": 1e21"#,
            "`memoryBudget`",
            "a whole number",
        ),
        (r#""persist": "yes""#, "`persist`", "true, false"),
        (
            r#""schemaVersion": 4294967296"#,
            "`schemaVersion`",
            "to 4294967295",
        ),
        (r#""retry": 3"#, "`retry`", "must be an object"),
        (
            r#""retry": { "attempts": 3 }"#,
            "`retry.attempts`",
            "known are maxAttempts, factor, initial, max, jitter",
        ),
        (
            r#""retry": { "maxAttempts": 0 }"#,
            "`retry.maxAttempts`",
            "a whole number from 1 to 100",
        ),
        (
            r#""retry": { "factor": 0.5 }"#,
            "`retry.factor`",
            "a number from 1 to 100",
        ),
        (
            r#""retry": { "factor": true }"#,
            "`retry.factor`",
            "must be a number",
        ),
        (
            r#""retry": { "jitter": "some" }"#,
            "`retry.jitter`",
            r#""full", "none""#,
        ),
        (
            r#""defaultSyncDirection": "both""#,
            "`defaultSyncDirection`",
            r#""pushThenPull""#,
        ),
        (
            r#""defaultSyncOptions": { "timeout": 0 }"#,
            "`defaultSyncOptions.timeout`",
            "greater than 0",
        ),
        (
            r#""defaultSyncOptions": { "fast": true }"#,
            "`defaultSyncOptions.fast`",
            "is not known",
        ),
        (
            r#""syncRequestStrategy": "queue""#,
            "`syncRequestStrategy`",
            r#""joinInFlight""#,
        ),
        (
            r#""durability": { "local": "maybe" }"#,
            "`durability.local`",
            r#""strict", "relaxed""#,
        ),
        (
            r#""durability": { "remote": "strict" }"#,
            "`durability.remote`",
            "known are local, pulled",
        ),
        (
            r#""excludedSyncUserIds": "guest""#,
            "`excludedSyncUserIds`",
            "must be an array",
        ),
        (
            r#""excludedSyncUserIds": ["a", 1]"#,
            "`excludedSyncUserIds[1]`",
            "must be a string",
        ),
    ] {
        let error = config(&format!(
            r#"{{ "entities": {{ "tasks": {{}} }}, {wrong} }}"#
        ))
        .unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfig, "{wrong}");
        assert!(
            error.message().contains(field) && error.message().contains(fix),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn wrong_options_are_refused_and_the_message_names_the_field_and_the_fix() {
    let read = options(r#"{ "direction": "pushOnly", "timeout": 0.5, "scope": { "entities": ["tasks"], "query": { "a": 1 } } }"#).unwrap();
    assert_eq!(
        (read.direction, read.timeout),
        (Some(Direction::PushOnly), Some(1))
    );
    assert_eq!(read.scope.unwrap().cursor_name(), r#"tasks?{"a":1}"#);
    for (wrong, field, fix) in [
        (
            r#"{ "froce": true }"#,
            "`froce`",
            "known are signal, timeout, direction",
        ),
        (r#"{ "force": 1 }"#, "`force`", "must be true or false"),
        (r#"{ "direction": "up" }"#, "`direction`", r#""pullOnly""#),
        (
            r#"{ "overrideBatchSize": 0 }"#,
            "`overrideBatchSize`",
            "from 1 to 10000",
        ),
        (
            r#"{ "overrideBatchSize": 10001 }"#,
            "`overrideBatchSize`",
            "from 1 to 10000",
        ),
        (r#"{ "timeout": -1 }"#, "`timeout`", "greater than 0"),
        (r#"{ "timeout": "soon" }"#, "`timeout`", "must be a number"),
        (r#"{ "scope": "tasks" }"#, "`scope`", "must be an object"),
        (
            r#"{ "scope": { "name": "" } }"#,
            "`scope.name`",
            "must not be empty",
        ),
        (
            r#"{ "scope": { "entities": [""] } }"#,
            "`scope.entities`",
            "no name of an entity type",
        ),
        (
            r#"{ "scope": { "entity": "tasks" } }"#,
            "`scope.entity`",
            "known are entities, query, name",
        ),
        (
            r#"{ "conflictResolver": "mine" }"#,
            "`conflictResolver`",
            r#""merge""#,
        ),
    ] {
        let error = options(wrong).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong}");
        assert!(
            error.message().contains(field) && error.message().contains(fix),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn metadata_of_a_remote_is_read_and_what_is_new_in_it_is_passed_over() {
    let reply = read_reply(
        br#"{
            "devices": [
                { "deviceId": "phone", "lastSyncTime": "t2", "lastSuccessfulSyncTime": "t1", "dataHash": "0f", "syncStatus": "failed",
                  "entityCounts": { "tasks": { "count": 3, "hash": "0e", "pending": 2, "new": 1 } }, "conflictCount": 1,
                  "errorMessage": "no", "retryCount": 4, "syncDuration": 5, "customMetadata": { "app": { "a": 1 } }, "new": {} },
                {}
            ],
            "digests": { "tasks": { "count": 2, "hash": "0d" } }, "serverTime": "t3", "new": null
        }"#,
    )
    .unwrap();
    // The server reads the same with what serde derives.
    let phone = &reply.devices[0];
    assert_eq!(
        (
            phone.device_id.as_str(),
            phone.last_sync_time.as_deref(),
            phone.sync_status
        ),
        ("phone", Some("t2"), MetadataSyncStatus::Failed)
    );
    assert_eq!(
        serde_json::from_value::<datum_sync::model::protocol::MetadataReply>(
            serde_json::to_value(&reply).unwrap()
        )
        .unwrap(),
        reply
    );
    assert_eq!(
        (
            phone.entity_counts.get("tasks").unwrap().pending,
            phone.retry_count,
            phone.sync_duration
        ),
        (2, 4, Some(5))
    );
    assert_eq!(phone.custom_metadata.as_ref().unwrap()["app"]["a"], 1);
    assert_eq!(
        (
            reply.devices[1].sync_status,
            reply.digests.unwrap().get("tasks").unwrap().hash.as_str()
        ),
        (MetadataSyncStatus::NeverSynced, "0d")
    );
}

#[test]
fn metadata_of_a_remote_that_is_wrong_is_refused_and_its_place_named() {
    for (wrong, words) in [
        ("<html>", "is a web page"),
        ("7", "must be an object"),
        ("{", "is not what protocol 1 asks for"),
        (r#"{ "devices": {} }"#, "`devices` must be an array"),
        (
            r#"{ "devices": [{}, 1] }"#,
            "`devices[1]` must be an object",
        ),
        (
            r#"{ "devices": [{ "conflictCount": -1 }] }"#,
            "`devices[0].conflictCount` must be a whole number",
        ),
        (
            r#"{ "devices": [{ "syncStatus": "great" }] }"#,
            "`devices[0].syncStatus` must be one of",
        ),
        (
            r#"{ "devices": [{ "entityCounts": { "tasks": 1 } }] }"#,
            "`devices[0].entityCounts.tasks` must be an object",
        ),
        (
            r#"{ "devices": [{ "customMetadata": [] }] }"#,
            "`devices[0].customMetadata` must be an object",
        ),
        (
            r#"{ "digests": { "tasks": { "hash": "0d" } } }"#,
            "`digests.tasks.count` is missing",
        ),
    ] {
        let error = read_reply(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{wrong}");
        assert!(error.message().contains(words), "{wrong}: {error}");
    }
}
