//! Pulls that break off, replies that are no protocol, refused tokens, invalid input.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::world::{Fault, ONE_TRY, Tab, World, id_of};
use datum_sync::model::error::Code;
use datum_sync::model::status::HealthState;
use datum_sync::plan::write::Write;
use serde_json::json;

#[test]
fn a_pull_that_breaks_off_leaves_a_clean_prefix() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone"),
        world.device("laptop").with_config(ONE_TRY),
    );
    let (a, b) = (phone.open(), laptop.open());
    for n in 0..9 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    a.sync();
    // The second page is being fetched while the first is committed.
    laptop.fault("/pull", Fault::Slow(1));
    laptop.fault("/pull", Fault::Lost);

    let error = b.sync_with(r#"{"overrideBatchSize":3}"#).unwrap_err();
    assert_eq!(error.code(), Code::Network);
    let reopened = laptop.open();
    assert_eq!(reopened.titles().len(), 3);
    laptop.requests();
    let result = reopened.sync_with(r#"{"overrideBatchSize":3}"#).unwrap();

    assert_eq!((result.pulled_count, reopened.titles().len()), (6, 9));
}

#[test]
fn a_refused_token_leaves_the_queue_intact_and_the_next_sign_in_sends_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.sync();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    let hub = a.engine.status_hub("ann").unwrap();
    for path in ["/push", "/pull"] {
        phone.requests();
        phone.fault(path, Fault::Status(401, None));
        let options = if path == "/pull" {
            r#"{"direction":"pullThenPush"}"#
        } else {
            "{}"
        };
        let error = a.sync_with(options).unwrap_err();

        assert_eq!(
            (error.code(), error.is_retryable()),
            (Code::Unauthorized, false)
        );
        assert_eq!(
            phone.requests().len(),
            1,
            "a token that was refused is not tried again"
        );
        assert_eq!((a.pending(), a.titles()), (1, vec!["milk".to_owned()]));
        assert_eq!(hub.current().health.status, HealthState::Unauthorized);
    }
    a.patch(&id, r#"{"title":"oat milk"}"#);

    let result = a.sync();

    assert!(result.is_success && a.pending() == 0, "{result:?}");
    assert_eq!(hub.current().health.status, HealthState::Healthy);
    assert_eq!(world.server.rows("ann").len(), 1);
}

#[test]
fn replies_that_are_no_protocol_are_coded_errors() {
    let pull = |body: &str| body.as_bytes().to_vec();
    for body in [
        "<!doctype html><title>Sign in</title>",
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
        let error = a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap_err();
        let is_page = body.starts_with('<');
        let code = if is_page {
            Code::Network
        } else {
            Code::Protocol
        };
        assert_eq!(error.code(), code, "{body}: {error}");
        assert!(!is_page || error.message().contains("Sign in"), "{error}");
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
        a.sync();
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
        let error = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{body}: {error}");
        assert_eq!(error.entity(), Some("tasks"), "{body}");
        assert_eq!(a.pending(), 1, "{body}");
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
fn pages_without_rows_and_without_an_end_end_the_cycle() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"mine"}"#);
    let (faults, pages) = (Rc::clone(&phone.remote.faults), Cell::new(0));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/pull" {
            pages.set(pages.get() + 1);
            let page = json!({ "changes": [], "cursor": pages.get().to_string(), "more": true });
            faults
                .borrow_mut()
                .push_back(("/pull", Fault::Answered(page.to_string())));
        }
    }));
    let error = a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap_err();
    assert_eq!(error.code(), Code::Protocol);
    assert!(phone.requests().len() < 1_100);
    *phone.remote.on_request.borrow_mut() = None;
    assert!(a.sync().is_success);
    assert_eq!(a.pending(), 0);
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
