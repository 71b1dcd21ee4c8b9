//! What a config may say, and its defaults.

use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::merge_fields::Policy;
use datum_sync::model::config::relations::OnDelete;
use datum_sync::model::config::resolver::Builtin;
use datum_sync::model::config::storage::Durability;
use datum_sync::model::config::timing::{ColdStart, ColdStrategy, Timing};
use datum_sync::model::config::{Config, DeleteBehavior, Direction, Jitter};
use datum_sync::util::json::scan::parse;

fn config(json: &str) -> Config {
    Config::read(CheckedObject(&parse(json.as_bytes()).unwrap()))
}

#[test]
fn relations_of_each_kind_are_read_and_give_their_types_parents() {
    let config = config(
        r#"{ "entities": {
            "tasks": { "relations": {
                "list": { "belongsTo": "lists", "foreignKey": "listId" },
                "tags": { "manyToMany": "tags", "through": "joins", "thisKey": "task", "otherKey": "tag", "onDelete": "cascade" },
                "nothing": null
            } },
            "lists": { "relations": {
                "tasks": { "hasMany": "tasks", "foreignKey": "listId", "onDelete": "restrict" },
                "first": { "hasOne": "tasks", "foreignKey": "firstIn", "onDelete": "setNull" }
            } },
            "tags": {}, "joins": {}
        } }"#,
    );
    let relations = |entity: &str| -> Vec<(String, bool, OnDelete)> {
        let all = config.relations(entity);
        let each = all
            .iter()
            .map(|it| (it.name.clone(), it.is_many(), it.on_delete));
        each.collect()
    };
    let named = |name: &str, is_many, rule| (name.to_owned(), is_many, rule);
    assert_eq!(
        relations("tasks"),
        [
            named("list", false, OnDelete::Nothing),
            named("tags", true, OnDelete::Cascade)
        ]
    );
    assert_eq!(
        relations("lists"),
        [
            named("first", false, OnDelete::SetNull),
            named("tasks", true, OnDelete::Restrict)
        ]
    );
    let parents = |entity: &str| -> Vec<(String, String)> {
        let parents = &config.of(entity).unwrap().parents;
        let each = parents
            .iter()
            .map(|it| (it.entity.clone(), it.foreign_key.clone()));
        each.collect()
    };
    let key = |entity: &str, field: &str| (entity.to_owned(), field.to_owned());
    // Named from both sides, one is there once.
    assert_eq!(
        parents("tasks"),
        [key("lists", "firstIn"), key("lists", "listId")]
    );
    assert_eq!(parents("joins"), [key("tasks", "task"), key("tags", "tag")]);
    let has_rules = ["tasks", "lists", "tags"].map(|entity| config.has_delete_rules(entity));
    assert_eq!(has_rules, [true, true, false]);
}

#[test]
fn every_field_of_a_config_is_read() {
    let config = config(
        r#"{
            "name": "notes", "entities": { "tasks": { "deleteBehavior": "softDelete", "conflictResolver": "ask", "localOnly": ["draft", "local notes"], "indexes": ["due", ["project.name", "due"]], "mergeFields": { "votes": "sum", "address.city": "remote" } }, "lists": {} },
            "syncTimeout": 5, "resolverTimeout": 6, "defaultSyncDirection": "pullOnly", "defaultSyncOptions": { "overrideBatchSize": 7 },
            "defaultConflictResolver": "localPriority", "retry": { "maxAttempts": 9, "factor": 1.5, "jitter": "none" },
            "durability": { "local": "relaxed", "pulled": "strict" }, "memoryBudget": 0, "trace": { "maxBytes": 70000 }, "schemaVersion": 3, "schemaField": "v",
            "excludedSyncUserIds": ["guest"], "autoStartSync": true, "autoSyncInterval": 1000, "syncAfterWrite": 7,
            "syncOnReconnect": false, "syncOnVisible": false,
            "coldStart": { "strategy": "fullSync", "threshold": 1, "delay": 2, "maxDuration": 3 }
        }"#,
    );
    assert_eq!(
        (
            config.name.as_str(),
            config.sync_timeout,
            config.memory_budget,
            config
                .schema_field
                .as_deref()
                .map(|field| (field.name.clone(), field.version)),
            config.schema,
            config.trace
        ),
        ("notes", 5, 0, Some(("v".to_owned(), 3)), 3, 70_000)
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
        *config.indexes("tasks"),
        [
            vec!["due".to_owned()],
            vec!["project.name".to_owned(), "due".to_owned()]
        ]
    );
    assert_eq!(config.indexes("lists").len(), 0);
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
    let config = config(r#"{ "entities": { "tasks": null }, "retry": null }"#);
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
            .timing
            .after_write,
        None
    );
}
