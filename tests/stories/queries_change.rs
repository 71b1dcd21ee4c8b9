//! Changes of all entities that satisfy a condition.

use std::cell::RefCell;
use std::rc::Rc;

use crate::queries::{INDEXED, create_many, numbered, query};
use crate::support::world::{Tab, World, id_of};
use datum_sync::engine::queries::relations::deletes::DeleteHow;
use datum_sync::model::entity::OwnedKey;
use datum_sync::model::error::{Code, Result};
use datum_sync::plan::write::{Write, Written};

fn patch_where(tab: &Tab, filter: &str, changes: &str) -> Result<Vec<Written>> {
    let write = |id| Write::Patch {
        id,
        changes: changes.to_owned(),
    };
    let queries = tab.engine.queries();
    tab.run(queries.change(&tab.user, "tasks", filter, Rc::default(), &write, None))
}

fn delete_where(tab: &Tab, filter: &str) -> Result<Vec<Written>> {
    let write = |id| Write::Delete { id, soft: false };
    let queries = tab.engine.queries();
    tab.run(queries.change(&tab.user, "tasks", filter, Rc::default(), &write, None))
}

fn commits(tab: &Tab) -> u64 {
    let user = tab.run(tab.engine.user(&tab.user)).unwrap();
    user.db.counts().commits
}

#[test]
fn all_that_match_are_changed_in_one_commit_and_reach_the_server() {
    let world = World::new();
    let (a, b) = (
        world.device("phone").with_config(INDEXED).open(),
        world.device("laptop").open(),
    );
    create_many(&a, numbered(0, 20));
    a.sync();
    b.sync();
    let before = commits(&a);
    let written = patch_where(&a, r#"{"field":"group","equals":1}"#, r#"{"group":9}"#).unwrap();
    assert_eq!((written.len(), commits(&a) - before), (5, 1));
    let deleted = delete_where(&a, r#"{"field":"at","lessThan":4}"#).unwrap();
    let id = |n: usize| Written::Deleted(format!("t{n:05}"));
    assert_eq!(deleted, (0..4).map(id).collect::<Vec<_>>());
    assert_eq!(commits(&a) - before, 2);
    assert_eq!(
        delete_where(&a, r#"{"field":"at","equals":"no"}"#),
        Ok(Vec::new())
    );
    assert_eq!(commits(&a) - before, 2, "nothing matches");
    a.sync();
    b.sync();
    let nines = r#"{"where":{"field":"group","equals":9}}"#;
    assert_eq!(query(&b, nines).len(), 4, "one of the five is deleted");
    assert_eq!(query(&b, "{}").len(), 16);
}

#[test]
fn if_one_write_is_refused_none_is_made() {
    let world = World::new();
    let a = world.device("phone").open();
    create_many(&a, numbered(0, 4));
    let error = patch_where(&a, r#"{"field":"at","lessThan":3}"#, r#"{"id":"t00000"}"#);
    assert_eq!(error.unwrap_err().code(), Code::InvalidEntity);
    let error = delete_where(&a, r#"{"field":"at","bigger":3}"#).unwrap_err();
    assert!(error.message().contains("`where.bigger`"), "{error:?}");
    assert_eq!(
        delete_where(&a, "{}").unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(query(&a, "{}").len(), 4);
}

#[test]
fn a_change_without_a_condition_is_refused_and_one_of_all_says_so() {
    for config in [
        r#"{"entities":{"tasks":{}}}"#,
        r#"{"entities":{"tasks":{"relations":{"parts":{"hasMany":"tasks","foreignKey":"of","onDelete":"cascade"}}}}}"#,
    ] {
        let world = World::new();
        let a = world.device("phone").with_config(config).open();
        create_many(&a, numbered(0, 4));
        let relations = a.engine.relations();
        let by_rules = |filter: &str| {
            a.run(relations.delete_where(&a.user, "tasks", filter, DeleteHow::default(), None))
        };
        for nothing in ["null", " null "] {
            let errors = [
                delete_where(&a, nothing).unwrap_err(),
                patch_where(&a, nothing, r#"{"at":0}"#).unwrap_err(),
                by_rules(nothing).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.code(), Code::InvalidArgument);
                assert!(error.message().contains("{ and: [] }"), "{error:?}");
            }
        }
        assert_eq!(query(&a, "{}").len(), 4);
        assert_eq!(
            patch_where(&a, r#"{"and":[]}"#, r#"{"at":0}"#)
                .unwrap()
                .len(),
            4
        );
        assert_eq!(by_rules(r#"{"and":[]}"#).unwrap().len(), 4);
    }
}

#[test]
fn the_condition_holds_for_the_state_that_the_commit_is_made_on() {
    for config in [r#"{"entities":{"tasks":{}},"memoryBudget":0}"#, INDEXED] {
        let world = World::new();
        let device = world.device("phone").with_config(config);
        let (one, two) = (device.open(), device.open());
        create_many(&one, numbered(0, 8));
        one.sync();
        two.run(two.engine.on_head("ann", u64::MAX)).unwrap();
        // Of this, the first tab has not heard.
        two.patch("t00002", r#"{"group":0}"#);
        two.patch("t00004", r#"{"group":3}"#);
        two.delete("t00000");
        let written = delete_where(&one, r#"{"field":"group","equals":0}"#).unwrap();
        assert_eq!(written, [Written::Deleted("t00002".to_owned())], "{config}");
        let user = one.run(one.engine.user("ann")).unwrap();
        assert!(user.db.counts().stale > 0, "they did meet");
        let left: Vec<String> = query(&one, "{}").iter().map(id_of).collect();
        assert_eq!(
            left,
            ["t00001", "t00003", "t00004", "t00005", "t00006", "t00007"]
        );
    }
}

#[test]
fn each_write_is_told_once_before_it_is_made_also_where_another_tab_was_first() {
    let world = World::new();
    let device = world.device("phone").with_config(INDEXED);
    let (one, two) = (device.open(), device.open());
    create_many(&one, numbered(0, 8));
    one.sync();
    two.run(two.engine.on_head("ann", u64::MAX)).unwrap();
    two.patch("t00002", r#"{"group":0}"#);
    two.patch("t00004", r#"{"group":3}"#);
    let told = RefCell::new(Vec::new());
    let tell = |writes: &[Write]| {
        let ids = writes.iter().map(|write| match write {
            Write::Delete { id, .. } => format!("{id} of {}", query(&one, "{}").len()),
            _ => unreachable!(),
        });
        told.borrow_mut().extend(ids);
    };
    let (filter, write) = (r#"{"field":"group","equals":0}"#, |id| Write::Delete {
        id,
        soft: false,
    });
    let queries = one.engine.queries();
    let change = queries.change("ann", "tasks", filter, Rc::default(), &write, Some(&tell));
    let written = one.run(change).unwrap();
    let deleted = |id: &str| Written::Deleted(id.to_owned());
    assert_eq!(written, [deleted("t00000"), deleted("t00002")]);
    let told = told.into_inner();
    assert_eq!(
        told,
        ["t00000 of 8", "t00004 of 8", "t00002 of 8"],
        "t00004 matched when it was told"
    );
}

#[test]
fn a_change_after_an_entity_of_an_unknown_type_is_refused() {
    let world = World::new();
    let tab = world.device("phone").open();
    let id = id_of(&tab.create(r#"{"title":"kept"}"#));
    let after: Rc<[OwnedKey]> = Rc::new([OwnedKey {
        entity: "nothing".to_owned(),
        id: "n".to_owned(),
    }]);
    let write = |id| Write::Delete { id, soft: false };
    let queries = tab.engine.queries();
    let filter = r#"{"field":"title","equals":"kept"}"#;

    let changed = tab.run(queries.change(&tab.user, "tasks", filter, after, &write, None));

    assert_eq!(changed.unwrap_err().code(), Code::InvalidArgument);
    assert!(tab.read(&id).is_some());
}
