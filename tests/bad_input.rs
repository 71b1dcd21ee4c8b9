//! Bad input: what callers and servers may get wrong, and that nothing is lost by it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use support::world::{Fault, Tab, World};

fn id_of(task: &serde_json::Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

#[test]
fn replies_that_are_no_protocol_are_coded_errors() {
    let pull = |body: &str| body.as_bytes().to_vec();
    for body in [
        "",
        "<!doctype html><title>Sign in</title>",
        "{\"changes\":[",
        "[]",
        "null",
        r#"{"changes":[],"cursor":"","more":false}"#,
        r#"{"changes":[],"cursor":7,"more":false}"#,
        r#"{"changes":[{"entity":"tasks","id":"a","version":-1,"data":{}}],"cursor":"c","more":false}"#,
        r#"{"changes":[{"entity":"tasks","id":"a","version":1.5,"data":{}}],"cursor":"c","more":false}"#,
        r#"{"changes":[{"entity":"tasks","id":"","version":1,"data":{}}],"cursor":"c","more":false}"#,
        r#"{"changes":[{"entity":"tasks","id":"a","version":1,"data":[1]}],"cursor":"c","more":false}"#,
        r#"{"changes":[{"entity":"tasks","id":"a","version":1}],"cursor":"c","more":false}"#,
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        a.create(r#"{"title":"milk"}"#);
        phone.fault("/pull", Fault::Garbled(pull(body)));
        let error = a.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{body}: {error}");
        assert_eq!(a.pending(), 1, "{body}");
        assert!(a.sync().is_success, "{body}");
    }
    for body in [
        r#"{"results":[]}"#,
        r#"{"results":[{"opId":"other","status":"applied","version":1}]}"#,
        r#"{"results":[{"opId":"OP","status":"applied"}]}"#,
        r#"{"results":[{"opId":"OP","status":"perhaps"}]}"#,
        r#"{"results":[{"opId":"OP","status":"conflict","version":3,"row":7}]}"#,
        r#"{"results":{}}"#,
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        a.create(r#"{"title":"milk"}"#);
        let op = a
            .run(a.engine.pending().list("ann"))
            .unwrap()
            .remove(0)
            .op_id;
        phone.fault(
            "/push",
            Fault::Garbled(body.replace("OP", &op).into_bytes()),
        );
        let error = a.sync_with("{}").unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{body}: {error}");
        assert_eq!(
            a.pending(),
            0,
            "{body}: the pull has shown that the server has it"
        );
        assert!(a.sync().is_success, "{body}");
    }
}

#[test]
fn a_cursor_that_is_repeated_for_ever_ends_the_cycle() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    for _ in 0..4 {
        phone.fault(
            "/pull",
            Fault::Garbled(br#"{"changes":[],"cursor":"same","more":true}"#.to_vec()),
        );
    }
    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::Protocol);
}

#[test]
fn wrong_entities_are_refused_by_field() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let create =
        |tab: &Tab, draft: String| tab.write("tasks", Write::Create { draft }).unwrap_err();
    for (draft, field) in [
        (r#"{"id":7}"#.to_owned(), "`id`"),
        (r#"{"id":""}"#.to_owned(), "`id`"),
        (format!(r#"{{"id":"{}"}}"#, "x".repeat(513)), "`id`"),
        (r#"{"version":"one"}"#.to_owned(), "`version`"),
        (r#"{"isDeleted":"no"}"#.to_owned(), "`isDeleted`"),
        (r#"{"isDeleted":true}"#.to_owned(), "`isDeleted`"),
        (r#"{"createdAt":"yesterday"}"#.to_owned(), "`createdAt`"),
        (r#"{"modifiedAt":5}"#.to_owned(), "`modifiedAt`"),
        (format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20)), "bytes"),
        ("[1]".to_owned(), "object"),
    ] {
        let error = create(&a, draft.clone());
        assert_eq!(
            error.code(),
            Code::InvalidEntity,
            "{}",
            &draft[..draft.len().min(40)]
        );
        assert!(error.message().contains(field), "{error}");
    }
    let id = id_of(&a.create(r#"{"id":"quote \" and 🦀","title":"x"}"#));
    assert_eq!(
        create(&a, format!(r#"{{"id":{}}}"#, serde_json::json!(id))).code(),
        Code::AlreadyExists
    );
    assert_eq!(
        a.write(
            "tasks",
            Write::Update {
                entity: r#"{"id":"nobody"}"#.to_owned()
            }
        )
        .unwrap_err()
        .code(),
        Code::NotFound
    );
    assert!(!a.delete("nobody"));
    assert_eq!(
        a.write(
            "nothing",
            Write::Delete {
                id: id.clone(),
                soft: false
            }
        )
        .unwrap_err()
        .code(),
        Code::InvalidArgument
    );
    assert!(a.sync().is_success);
    assert_eq!(a.read(&id).unwrap()["id"], id);
    assert_eq!(a.pending(), 0);
}
