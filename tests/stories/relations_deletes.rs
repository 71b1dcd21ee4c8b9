//! Deletes that concern other entities: what goes along, what is kept, and that it is one commit.

use std::cell::RefCell;

use datum_sync::engine::queries::relations::deletes::DeleteHow;
use datum_sync::model::config::DeleteBehavior;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::{Value, json};

use crate::relation_support::{config, delete, delete_plan, ids, opened, put, stock};
use crate::support::spaces::{TEAM, team};
use crate::support::world::{Tab, World};

const ALL: [(&str, &str); 4] = [
    ("projects", "cascade"),
    ("tasks", "cascade"),
    ("subtasks", "cascade"),
    ("tags", "cascade"),
];

fn commits(tab: &Tab) -> u64 {
    tab.run(tab.engine.user(&tab.user))
        .unwrap()
        .db
        .counts()
        .commits
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_cascade_goes_through_all_levels_in_one_commit_and_reaches_other_devices() {
    let (world, tab) = opened(&ALL);
    stock(&tab);
    put(
        &tab,
        "taskTags",
        &[
            json!({"id":"j","task":"t1","tag":"red"}),
            json!({"id":"k","task":"t3","tag":"red"}),
        ],
    );
    tab.sync();
    let other = world.device("laptop").with_config(&config(&[])).open();
    other.sync();
    let before = commits(&tab);
    assert_eq!(
        delete(&tab, "people", &["ann", "nobody", "ann"]).unwrap(),
        ["ann"]
    );
    assert_eq!(commits(&tab) - before, 1);
    assert_eq!(ids(&tab, "people"), ["ben"]);
    assert_eq!(ids(&tab, "projects"), ["p2"]);
    assert_eq!(ids(&tab, "tasks"), ["t3"]);
    assert_eq!(ids(&tab, "taskTags"), ["k"]);
    tab.sync();
    other.sync();
    assert_eq!(
        (ids(&other, "tasks"), ids(&other, "people")),
        (ids(&tab, "tasks"), ids(&tab, "people"))
    );
    assert_eq!(delete(&tab, "people", &["nobody"]).unwrap(), none());
    assert_eq!(commits(&tab) - before, commits(&tab) - before);
}

#[test]
fn a_restriction_anywhere_in_a_cascade_keeps_everything() {
    let (_world, tab) = opened(&[("projects", "cascade"), ("tasks", "restrict")]);
    stock(&tab);
    let before = commits(&tab);
    let error = delete(&tab, "people", &["ben", "ann"]).unwrap_err();
    assert_eq!(
        (error.code(), error.entity(), error.entity_id()),
        (Code::Restricted, Some("projects"), Some("p1"))
    );
    assert!(
        error.message().contains("`tasks` t1") && error.message().contains("1 more"),
        "{error:?}"
    );
    assert_eq!(
        (
            commits(&tab),
            ids(&tab, "people").len(),
            ids(&tab, "projects").len()
        ),
        (before, 2, 2)
    );
    // What goes itself restricts nothing.
    assert_eq!(delete(&tab, "tasks", &["t1", "t2"]).unwrap(), ["t1", "t2"]);
    assert_eq!(delete(&tab, "people", &["ann"]).unwrap(), ["ann"]);
    assert_eq!(ids(&tab, "projects"), ["p2"]);
}

#[test]
fn those_that_restrict_may_be_deleted_in_the_same_call() {
    let (_world, tab) = opened(&[("subtasks", "restrict")]);
    stock(&tab);
    assert_eq!(
        delete(&tab, "tasks", &["t1"]).unwrap_err().code(),
        Code::Restricted
    );
    assert_eq!(delete(&tab, "tasks", &["t1", "t2"]).unwrap(), ["t1", "t2"]);
    assert_eq!(ids(&tab, "tasks"), ["t3"]);
}

#[test]
fn set_null_changes_keys_also_those_that_never_leave_the_device() {
    let (_world, tab) = opened(&[("projects", "setNull"), ("desk", "setNull")]);
    stock(&tab);
    put(
        &tab,
        "desks",
        &[json!({"id":"d","personId":"ann","wood":"oak"})],
    );
    tab.sync();
    let before = commits(&tab);
    delete(&tab, "people", &["ann"]).unwrap();
    assert_eq!(commits(&tab) - before, 1);
    let project = tab.read_in("projects", "p1", false).unwrap();
    assert_eq!(
        (&project["ownerId"], project.get("ownerId").is_some()),
        (&Value::Null, true)
    );
    assert_eq!(
        tab.read_in("desks", "d", false).unwrap()["personId"],
        Value::Null
    );
    assert_eq!(
        tab.pending(),
        2,
        "one delete and one patch: the desk's key is on this device only"
    );
    tab.sync();
    assert_eq!(tab.pending(), 0);
}

#[test]
fn circles_end_and_each_entity_goes_once() {
    let (_world, tab) = opened(&[("subtasks", "cascade")]);
    put(
        &tab,
        "tasks",
        &[
            json!({"id":"a","parentId":"c"}),
            json!({"id":"b","parentId":"a"}),
            json!({"id":"c","parentId":"b"}),
            json!({"id":"self","parentId":"self"}),
            json!({"id":"other"}),
        ],
    );
    assert_eq!(
        delete_plan(&tab, "tasks", "b")["deleted"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(delete(&tab, "tasks", &["b"]).unwrap(), ["b"]);
    assert_eq!(delete(&tab, "tasks", &["self"]).unwrap(), ["self"]);
    assert_eq!(ids(&tab, "tasks"), ["other"]);
    tab.sync();
    assert_eq!(tab.pending(), 0);
}

#[test]
fn a_plan_says_what_a_delete_would_do_and_does_nothing() {
    let (_world, tab) = opened(&[
        ("projects", "cascade"),
        ("tasks", "restrict"),
        ("desk", "setNull"),
    ]);
    stock(&tab);
    put(&tab, "desks", &[json!({"id":"d","personId":"ann"})]);
    let before = commits(&tab);
    assert_eq!(
        delete_plan(&tab, "people", "ann"),
        json!({
            "canDelete": false,
            "deleted": [{"entity":"people","id":"ann"}, {"entity":"projects","id":"p1"}],
            "changed": [{"entity":"desks","id":"d","fields":["personId"]}],
            "restrictedBy": [
                {"entity":"tasks","id":"t1","relation":"tasks","of":{"entity":"projects","id":"p1"}},
                {"entity":"tasks","id":"t2","relation":"tasks","of":{"entity":"projects","id":"p1"}},
            ],
        })
    );
    let nothing = json!({"canDelete":true,"deleted":[],"changed":[],"restrictedBy":[]});
    assert_eq!(delete_plan(&tab, "people", "nobody"), nothing);
    assert_eq!(commits(&tab), before);
}

#[test]
fn what_another_tab_adds_meanwhile_goes_along_and_restricts() {
    for (rule, lean) in [("cascade", false), ("restrict", false), ("cascade", true)] {
        let world = World::new();
        let mut text = config(&[("tasks", rule)]);
        if lean {
            text = text.replacen('{', r#"{"memoryBudget":0,"#, 1);
        }
        let device = world.device("phone").with_config(&text);
        let (one, two) = (device.open(), device.open());
        stock(&one);
        one.sync();
        two.run(two.engine.on_head("ann", u64::MAX)).unwrap();
        delete(&one, "projects", &["nothing"]).unwrap();
        // Of these, the first tab has not heard.
        put(&two, "tasks", &[json!({"id":"new","projectId":"p2"})]);
        two.patch("t1", r#"{"projectId":null}"#);
        let done = delete(&one, "projects", &["p2"]);
        let user = one.run(one.engine.user("ann")).unwrap();
        assert!(user.db.counts().stale > 0, "they did meet");
        if rule == "restrict" {
            assert_eq!(done.unwrap_err().code(), Code::Restricted);
            continue;
        }
        assert_eq!(done.unwrap(), ["p2"]);
        assert_eq!(ids(&one, "tasks"), ["t1", "t2", "t3"]);
        assert_eq!(delete(&one, "projects", &["p1"]).unwrap(), ["p1"]);
        assert_eq!(ids(&one, "tasks"), ["t1", "t3"]);
    }
}

#[test]
fn ten_thousand_children_go_in_one_commit() {
    let (_world, tab) = opened(&ALL);
    stock(&tab);
    let tasks: Vec<Value> = (0..10_000)
        .map(|n| json!({"id":format!("x{n:05}"),"projectId":"p2"}))
        .collect();
    put(&tab, "tasks", &tasks);
    tab.sync();
    let before = commits(&tab);
    assert_eq!(delete(&tab, "projects", &["p2"]).unwrap(), ["p2"]);
    assert_eq!((commits(&tab) - before, tab.pending()), (1, 10_001));
    assert_eq!(ids(&tab, "tasks"), ["t1", "t2", "t3"]);
    tab.sync();
    assert_eq!(tab.pending(), 0);
}

#[test]
fn pending_writes_go_with_their_entities_and_parents_are_deleted_last() {
    let (world, tab) = opened(&ALL);
    stock(&tab);
    tab.sync();
    tab.patch("t1", r#"{"title":"edited"}"#);
    put(&tab, "tasks", &[json!({"id":"fresh","projectId":"p1"})]);
    delete(&tab, "people", &["ann"]).unwrap();
    assert_eq!(
        tab.pending(),
        5,
        "ann, her project and its two tasks; and what the server may have got of the third"
    );
    tab.sync();
    assert_eq!(tab.pending(), 0);
    let rows = world.server.rows("ann");
    let version = |id: &str| rows.iter().find(|row| row.id == id).unwrap().version;
    assert!(version("t2") < version("t1"), "a subtask before its task");
    assert!(version("t1") < version("p1") && version("p1") < version("ann"));
}

#[test]
fn what_the_user_may_not_write_keeps_everything() {
    let world = World::new();
    let bob = team(&world);
    let tab = world.device("phone").with_config(&config(&ALL)).open();
    tab.sync();
    put(&tab, "projects", &[json!({"id":"p"})]);
    put(
        &tab,
        "tasks",
        &[
            json!({"id":"mine","projectId":"p"}),
            json!({"id":"ours","projectId":"p","spaceId":TEAM}),
        ],
    );
    tab.sync();
    bob.sets_role(TEAM, "ann", "reader");
    tab.sync();
    let error = delete(&tab, "projects", &["p"]).unwrap_err();
    assert_eq!(
        (error.code(), error.entity_id()),
        (Code::ReadOnly, Some("ours"))
    );
    assert_eq!(ids(&tab, "tasks"), ["mine", "ours", "x"]);
    bob.sets_role(TEAM, "ann", "writer");
    tab.sync();
    delete(&tab, "projects", &["p"]).unwrap();
    assert_eq!(ids(&tab, "tasks"), ["x"]);
}

#[test]
fn a_pulled_deletion_concerns_nothing_else() {
    let (world, tab) = opened(&ALL);
    stock(&tab);
    tab.sync();
    let other = world.device("laptop").with_config(&config(&[])).open();
    other.sync();
    delete(&other, "people", &["ann"]).unwrap();
    other.sync();
    tab.sync();
    assert_eq!(
        (ids(&tab, "people"), tab.pending()),
        (vec!["ben".to_owned()], 0)
    );
    assert_eq!(
        ids(&tab, "projects"),
        ["p1", "p2"],
        "the server decides about the others"
    );
}

#[test]
fn a_condition_deletes_what_refers_to_what_it_finds() {
    let (_world, tab) = opened(&ALL);
    stock(&tab);
    let relations = tab.engine.relations();
    let soft = DeleteHow {
        behavior: Some(DeleteBehavior::SoftDelete),
        ..DeleteHow::default()
    };
    let filter = r#"{"field":"ownerId","equals":"ann"}"#;
    let told = RefCell::new(Vec::new());
    let tell = |writes: &[Write]| {
        told.borrow_mut()
            .extend(writes.iter().map(|write| match write {
                Write::Delete { id, .. } => id.clone(),
                other => panic!("{other:?}"),
            }));
    };
    let gone = tab
        .run(relations.delete_where(&tab.user, "projects", filter, soft, Some(&tell)))
        .unwrap();
    assert_eq!(gone, ["p1"]);
    assert_eq!(told.into_inner(), ["p1"], "before the commit, and once");
    assert_eq!(
        (ids(&tab, "projects"), ids(&tab, "tasks")),
        (vec!["p2".to_owned()], vec!["t3".to_owned()])
    );
}
