//! Deletes against edits, and entities that are created again after a delete.

use std::rc::Rc;

use crate::support::conflicts::{clash, resolvers};
use crate::support::world::{FnResolver, World, id_of};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::plan::write::Write;
use serde_json::Value;

#[test]
fn an_acknowledged_delete_removes_the_row_without_a_pull() {
    let world = World::new();
    let a = world.device("phone").open();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    a.delete(&id);

    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

    assert_eq!((a.pending(), a.read(&id)), (0, None));
    assert!(a.titles().is_empty());
}

#[test]
fn a_delete_against_an_edit_ends_as_the_resolver_says_in_every_order() {
    // What is left of the edit, on both devices: by resolver.
    let cases = [
        ("merge", true),
        ("lastWriteWins", true),
        ("localPriority", false),
        ("remotePriority", true),
    ];
    for (resolver, edit_stays) in cases {
        for order in ["pushThenPull", "pullThenPush"] {
            for soft in [false, true] {
                let options =
                    format!(r#"{{"conflictResolver":"{resolver}","direction":"{order}"}}"#);
                let told = format!("{resolver} {order} soft: {soft}");
                // Deleted here, edited there.
                let world = World::new();
                let (a, b) = (world.device("phone").open(), world.device("laptop").open());
                clash(&a, &b);
                b.write(
                    "tasks",
                    Write::Delete {
                        id: "t".to_owned(),
                        soft,
                    },
                )
                .unwrap();
                let result = b.sync_with(&options).unwrap();
                assert_eq!(
                    (
                        result.is_success,
                        result.conflicts_detected,
                        result.conflicts_resolved
                    ),
                    (true, 1, 1),
                    "{told}"
                );
                a.sync();
                b.sync();
                let expected: Vec<&str> = if edit_stays { vec!["theirs"] } else { vec![] };
                assert_eq!(
                    (a.titles(), b.titles(), b.pending()),
                    (
                        expected.iter().map(|s| (*s).to_owned()).collect(),
                        expected.iter().map(|s| (*s).to_owned()).collect(),
                        0
                    ),
                    "{told}"
                );
                let why = &b.explained("t")[0];
                assert_eq!(
                    (&why["resolver"], &why["fields"][0]["field"]),
                    (&resolver.into(), &"isDeleted".into()),
                    "{told}"
                );
                // Edited here, deleted there.
                let world = World::new();
                let (a, b) = (world.device("phone").open(), world.device("laptop").open());
                clash(&a, &b);
                a.write(
                    "tasks",
                    Write::Delete {
                        id: "t".to_owned(),
                        soft,
                    },
                )
                .unwrap();
                a.sync();
                let result = b.sync_with(&options).unwrap();
                assert_eq!(
                    (result.is_success, result.conflicts_resolved),
                    (true, 1),
                    "{told}"
                );
                a.sync();
                b.sync();
                let left = usize::from(resolver != "remotePriority");
                assert_eq!(
                    (a.titles().len(), b.titles().len(), b.pending()),
                    (left, left, 0),
                    "{told}"
                );
                assert_eq!(a.read("t"), b.read("t"), "{told}");
            }
        }
    }
}

#[test]
fn deleted_and_made_anew_is_an_edit_and_deleted_on_both_sides_is_no_conflict() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    clash(&a, &b);
    // Made anew there.
    a.delete("t");
    a.sync();
    a.create(r#"{"id":"t","title":"anew","n":1}"#);
    a.sync();
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(a.read("t"), b.read("t"));
    assert_eq!(
        b.read("t").unwrap()["n"],
        2,
        "what only this side has changed stays"
    );
    // Made anew here, and deleted there meanwhile.
    a.delete("t");
    b.delete("t");
    b.create(r#"{"id":"t","title":"mine anew"}"#);
    a.sync();
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(
        (a.titles(), a.read("t")),
        (vec!["mine anew".to_owned()], b.read("t"))
    );
    // Deleted on both sides.
    a.delete("t");
    b.delete("t");
    a.sync();
    let result = b.sync();
    assert_eq!(
        (
            result.is_success,
            result.conflicts_detected,
            b.pending(),
            b.titles().len()
        ),
        (true, 0, 0, 0)
    );
    // Edited here, where the delete there was held back.
    a.create(r#"{"id":"u","title":"milk"}"#);
    a.sync();
    b.sync();
    a.delete("u");
    a.sync();
    b.sync_with(r#"{"includeDeletes":false}"#).unwrap();
    b.patch("u", r#"{"title":"still here"}"#);
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(
        (a.titles(), b.titles()),
        (vec!["still here".to_owned()], vec!["still here".to_owned()])
    );
}

#[test]
fn an_apps_resolver_takes_any_side_of_a_deletion() {
    let answers = [
        ("local", Resolution::Local),
        ("remote", Resolution::Remote),
        (
            "merged",
            Resolution::Merged(Rc::from(r#"{"id":"t","title":"both"}"#)),
        ),
    ];
    for (name, answer) in answers {
        for here in [false, true] {
            let world = World::new();
            let given = answer.clone();
            let kind = if here {
                "deletedLocally"
            } else {
                "deletedRemotely"
            };
            let resolver = FnResolver(move |conflict: &Conflict| {
                assert!(
                    conflict.to_json().contains(kind)
                        && (conflict.local.is_none(), conflict.remote.is_none()) == (here, !here)
                );
                Ok(given.clone())
            });
            let (a, b) = (
                world.device("phone").open(),
                world.device("laptop").open_with(resolvers(resolver)),
            );
            clash(&a, &b);
            if here {
                b.delete("t");
            } else {
                a.delete("t");
                a.sync();
            }
            let result = b.sync();
            assert!(
                result.is_success && result.conflicts_resolved == 1,
                "{result:?}"
            );
            a.sync();
            let left = match (name, here) {
                ("merged", _) => vec!["both"],
                ("local", false) => vec!["mine"],
                ("remote", true) => vec!["theirs"],
                _ => vec![],
            };
            assert_eq!(
                (a.titles(), b.titles(), b.pending()),
                (
                    left.iter().map(|s| (*s).to_owned()).collect(),
                    left.iter().map(|s| (*s).to_owned()).collect(),
                    0
                ),
                "{name} {kind}"
            );
            let why = &b.explained("t")[0];
            assert_eq!(
                (&why["resolver"], &why["fields"][0]["taken"]),
                (&"function".into(), &name.into())
            );
        }
    }
}

#[test]
fn a_create_that_arrives_after_its_delete_makes_nothing() {
    for edited in [false, true] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, b) = (phone.open(), phone.open());
        b.sync();
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        b.run(b.engine.on_head("ann", u64::MAX)).unwrap();
        // The other tab sends it, and the request takes its time.
        let late = b.engine.pending().unload_request("ann").unwrap();
        if edited {
            a.patch(&id, r#"{"title":"tea"}"#);
            a.sync();
        }
        a.delete(&id);
        assert!(a.sync().is_success);

        let (status, _) = world.server.handle(
            "ann",
            "POST",
            "/sync/v1/push",
            late.as_bytes(),
            world.clock.now(),
        );

        assert_eq!(status, 200);
        assert!(
            world
                .server
                .rows("ann")
                .iter()
                .all(|row| row.data.is_none()),
            "it is deleted, edited before: {edited}"
        );
        assert!(a.sync().is_success && b.sync().is_success);
        assert_eq!((a.titles().len(), b.titles().len(), a.pending()), (0, 0, 0));
    }
}

#[test]
fn a_delete_against_an_edit_can_be_decided_either_way() {
    for (resolution, left) in [(Resolution::Local, 0), (Resolution::Remote, 1)] {
        let world = World::new();
        let (a, b) = (world.device("phone").open(), world.device("laptop").open());
        a.create(r#"{"id":"t","title":"milk"}"#);
        a.sync();
        b.sync();
        a.patch("t", r#"{"title":"theirs"}"#);
        a.sync();
        b.delete("t");
        b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
        let conflict = b.conflicts().remove(0);
        assert_eq!(
            (&conflict["kind"], &conflict["local"]),
            (&"deletedLocally".into(), &Value::Null)
        );
        b.run(
            b.engine
                .conflicts()
                .resolve(conflict["id"].as_str().unwrap(), resolution),
        )
        .unwrap();
        assert!(b.sync().is_success);
        a.sync();
        assert_eq!((a.titles().len(), b.titles().len()), (left, left));
    }
}

#[test]
fn an_entity_made_again_after_the_deletion_of_one_without_a_trace_is_there() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.delete("t");
    // This tab does not know what the other one has sent, so that the deletion goes first.
    b.run(b.engine.on_head("ann", 2)).unwrap();
    b.create(r#"{"id":"t","title":"tea"}"#);

    // The server never had it: it answers its deletion with the version 1, and the first row that
    // it stores has that version too.
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

    assert_eq!((a.pending(), a.titles()), (0, vec!["tea".to_owned()]));
    a.sync();
    assert_eq!(a.titles(), ["tea"]);
}
