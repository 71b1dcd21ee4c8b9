//! The order in which operations are sent.

use super::outbox_support::{family, on_server, patch};
use crate::support::world::{Fault, World};
use datum_sync::model::error::Code;
use datum_sync::plan::context::PlanContext;
use datum_sync::plan::write::Write;
use serde_json::json;

fn gone(id: &str) -> Write {
    Write::Delete {
        id: id.to_owned(),
        soft: false,
    }
}

#[test]
fn the_ids_of_one_commit_ascend_in_the_order_of_its_writes() {
    let moment = PlanContext {
        now: 1_790_000_000_000,
        seed: [0x5a; 10],
    };
    let ids: Vec<String> = (0..2_000).map(|index| moment.op_id(index)).collect();
    assert!(ids.is_sorted_by(|one, next| one < next));
}

#[test]
fn a_child_goes_out_behind_its_parent_in_the_same_request() {
    let world = World::new();
    let (phone, a) = family(&world);
    a.create(r#"{"id":"child","project":"p"}"#);
    a.create(r#"{"id":"other"}"#);
    a.create(r#"{"id":"grandchild","parent":"child"}"#);
    a.create_in("projects", r#"{"id":"p"}"#);
    assert!(
        a.pending_operations()
            .iter()
            .all(|op| op["state"] == "pending" && op["lastError"].is_null()),
        "nothing but order holds them"
    );

    assert!(a.sync().is_success);

    assert_eq!(phone.pushed(), [["other", "p", "child", "grandchild"]]);
}

#[test]
fn what_a_write_names_goes_first_whatever_it_does() {
    let world = World::new();
    let (phone, a) = family(&world);
    for id in ["a", "b", "c"] {
        a.create(&json!({ "id": id, "n": 1 }).to_string());
    }
    a.sync();
    phone.pushed();

    a.write_after("tasks", patch("a", r#"{"n":2}"#), &[("tasks", "c")])
        .unwrap();
    a.write("tasks", gone("b")).unwrap();
    a.write_after("tasks", patch("c", r#"{"n":2}"#), &[("tasks", "b")])
        .unwrap();
    // Coalesced with the first edit: what that waits for is not forgotten.
    a.patch("a", r#"{"n":3}"#);
    let again = phone.open();
    assert!(again.sync().is_success);

    assert_eq!(phone.pushed(), [["b", "c", "a"]]);
    let unknown = a
        .write_after("tasks", patch("a", "{}"), &[("cars", "x")])
        .unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
}

#[test]
fn a_dependency_is_never_in_a_later_batch() {
    let world = World::new();
    let (phone, a) = family(&world);
    for n in 0..5 {
        a.create(&json!({ "id": format!("t{n}"), "project": format!("p{n}") }).to_string());
    }
    for n in 0..5 {
        a.create_in("projects", &json!({ "id": format!("p{n}") }).to_string());
    }
    a.sync_with(r#"{"overrideBatchSize":3}"#).unwrap();
    let sent: Vec<String> = phone.pushed().concat();
    assert_eq!(
        sent,
        ["p0", "t0", "p1", "t1", "p2", "t2", "p3", "t3", "p4", "t4"]
    );
}

#[test]
fn a_parent_is_deleted_after_its_children() {
    let world = World::new();
    let (phone, a) = family(&world);
    for id in ["p", "q"] {
        a.create_in("projects", &json!({ "id": id }).to_string());
    }
    for id in ["one", "two", "moved"] {
        a.create(&json!({ "id": id, "project": "p" }).to_string());
    }
    a.sync();
    phone.pushed();

    a.write("projects", gone("p")).unwrap();
    a.delete("one");
    a.patch("moved", r#"{"project":"q"}"#);
    a.delete("two");
    // Sent again after an answer that was none, in the same order.
    for _ in 0..3 {
        phone.fault(
            "/push",
            Fault::Answered(json!({ "results": [] }).to_string()),
        );
    }
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    assert!(a.sync().is_success);

    let mut pushed = phone.pushed();
    let alone = pushed.drain(1..3).map(|push| push.len());
    assert_eq!(alone.collect::<Vec<_>>(), [1, 1], "it looked for the cause");
    assert_eq!(
        pushed,
        [["one", "moved", "two", "p"], ["one", "moved", "two", "p"]]
    );
    assert_eq!(on_server(&world), ["moved", "q"]);
}

#[test]
fn operations_that_depend_on_each_other_go_in_the_order_of_the_queue() {
    let world = World::new();
    let (phone, a) = family(&world);
    a.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"a"}"#.to_owned(),
        },
        &[("tasks", "c")],
    )
    .unwrap();
    a.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"b"}"#.to_owned(),
        },
        &[("tasks", "a")],
    )
    .unwrap();
    a.write_after(
        "tasks",
        Write::Create {
            draft: r#"{"id":"c"}"#.to_owned(),
        },
        &[("tasks", "b")],
    )
    .unwrap();
    a.create(r#"{"id":"other"}"#);
    assert!(
        a.pending_operations()
            .iter()
            .all(|op| op["state"] == "pending"),
        "{:?}",
        a.pending_operations()
    );

    assert!(a.sync().is_success);

    assert_eq!(phone.pushed().concat(), ["other", "a", "b", "c"]);
}
