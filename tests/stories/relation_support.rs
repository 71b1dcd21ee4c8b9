//! Helpers: people own projects, projects have tasks, and tasks have tags and subtasks.

use datum_sync::engine::queries::relations::SelectedEntities;
use datum_sync::engine::queries::relations::deletes::DeleteHow;
use datum_sync::engine::queries::relations::graph::RelatedGraph;
use datum_sync::model::error::Result;
use datum_sync::plan::write::Write;
use serde_json::{Value, json};

use crate::support::world::{Tab, World};

/// The entity types, with a rule for each relation that has the same name in `rules`.
pub fn config(rules: &[(&str, &str)]) -> String {
    let rule = |name: &str| {
        let rule = rules.iter().find(|(relation, _)| *relation == name);
        rule.map_or("none", |(_, rule)| rule)
    };
    json!({
        "retry": { "maxAttempts": 1 },
        "entities": {
            "people": { "relations": {
                "projects": { "hasMany": "projects", "foreignKey": "ownerId", "onDelete": rule("projects") },
                "desk": { "hasOne": "desks", "foreignKey": "personId", "onDelete": rule("desk") },
            } },
            "desks": { "localOnly": ["personId"], "deleteBehavior": "softDelete" },
            "projects": { "relations": {
                "owner": { "belongsTo": "people", "foreignKey": "ownerId" },
                "tasks": { "hasMany": "tasks", "foreignKey": "projectId", "onDelete": rule("tasks") },
            } },
            "tasks": { "relations": {
                "project": { "belongsTo": "projects", "foreignKey": "projectId" },
                "parent": { "belongsTo": "tasks", "foreignKey": "parentId" },
                "subtasks": { "hasMany": "tasks", "foreignKey": "parentId", "onDelete": rule("subtasks") },
                "tags": { "manyToMany": "tags", "through": "taskTags", "thisKey": "task", "otherKey": "tag", "onDelete": rule("tags") },
                "__proto__": { "belongsTo": "people", "foreignKey": "constructor" },
            } },
            "tags": { "relations": {
                "tasks": { "manyToMany": "tasks", "through": "taskTags", "thisKey": "tag", "otherKey": "task" },
            } },
            "taskTags": {},
        },
    })
    .to_string()
}

pub fn opened(rules: &[(&str, &str)]) -> (World, Tab) {
    let world = World::new();
    let tab = world.device("phone").with_config(&config(rules)).open();
    (world, tab)
}

/// Stores entities of one type.
pub fn put(tab: &Tab, entity: &str, drafts: &[Value]) {
    let writes = drafts.iter().map(|draft| Write::Create {
        draft: draft.to_string(),
    });
    tab.run(
        tab.engine
            .entities()
            .write(&tab.user, entity, writes.collect()),
    )
    .unwrap();
}

/// Two people, of whom one owns a project with two tasks.
pub fn stock(tab: &Tab) {
    put(
        tab,
        "people",
        &[json!({"id":"ann","name":"Ann"}), json!({"id":"ben"})],
    );
    put(
        tab,
        "projects",
        &[json!({"id":"p1","ownerId":"ann"}), json!({"id":"p2"})],
    );
    put(
        tab,
        "tasks",
        &[
            json!({"id":"t1","projectId":"p1","constructor":"ben"}),
            json!({"id":"t2","projectId":"p1","parentId":"t1"}),
            json!({"id":"t3","projectId":null}),
        ],
    );
}

/// A graph as what an app gets, with no more of each entity than its id and its relations.
pub fn nested(graph: &RelatedGraph) -> Vec<Value> {
    (0..graph.entities.len())
        .map(|at| node(graph, None, at))
        .collect()
}

fn node(graph: &RelatedGraph, of: Option<usize>, at: usize) -> Value {
    let entities = of.map_or(&graph.entities, |of| &graph.nodes[of].entities);
    let entity: Value = serde_json::from_str(&entities[at].text).unwrap();
    let mut shown = serde_json::Map::new();
    shown.insert("id".to_owned(), entity["id"].clone());
    for (place, child) in graph.nodes.iter().enumerate() {
        if child.parent == of {
            let found: Vec<Value> = child.links[at]
                .iter()
                .map(|link| node(graph, Some(place), *link))
                .collect();
            let value = match child.is_many {
                true => Value::Array(found),
                false => found.into_iter().next().unwrap_or(Value::Null),
            };
            shown.insert(child.relation.clone(), value);
        }
    }
    Value::Object(shown)
}

pub fn graph(tab: &Tab, entity: &str, query: &str) -> Result<RelatedGraph> {
    tab.run(
        tab.engine
            .relations()
            .query(&tab.user, entity, query, false),
    )
}

/// What a query gives.
pub fn find(tab: &Tab, entity: &str, query: Value) -> Vec<Value> {
    nested(&graph(tab, entity, &query.to_string()).unwrap())
}

/// What a read of one entity gives; null if there is none.
pub fn read(tab: &Tab, entity: &str, id: &str, with: &[&str]) -> Value {
    let selected = SelectedEntities {
        selection: entity.to_owned(),
        only: Some(id.to_owned()),
        page: None,
        include: false.into(),
    };
    let with: Vec<String> = with.iter().map(|it| (*it).to_owned()).collect();
    let found = tab.run(tab.engine.relations().read(&tab.user, selected, &with));
    nested(&found.unwrap())
        .into_iter()
        .next()
        .unwrap_or(Value::Null)
}

pub fn delete(tab: &Tab, entity: &str, ids: &[&str]) -> Result<Vec<String>> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    let relations = tab.engine.relations();
    tab.run(relations.delete(&tab.user, entity, ids, DeleteHow::default()))
}

/// What a delete would do.
pub fn delete_plan(tab: &Tab, entity: &str, id: &str) -> Value {
    let relations = tab.engine.relations();
    let plan = tab
        .run(relations.delete_plan(&tab.user, entity, id))
        .unwrap();
    serde_json::from_str(&plan).unwrap()
}

/// The ids of all entities of a type.
pub fn ids(tab: &Tab, entity: &str) -> Vec<String> {
    let all = tab
        .run(tab.engine.entities().read_all(&tab.user, entity, false))
        .unwrap();
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    all.iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}
