//! Wrong configs and options are refused by field.

use datum_sync::model::config::{Config, Direction, Options};
use datum_sync::model::error::{Code, Result};
use datum_sync::model::object_reader::ObjectReader;
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
