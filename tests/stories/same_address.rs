//! Another server answers at the address of the known one: DNS moved, or staging stands behind the
//! same proxy. A push names its server, so nothing is applied there.

use std::rc::Rc;

use crate::support::auto_sync::{AUTO, HOUR, leader_tab, wait, with_auto_sync};
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_server::MemoryServer;
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use serde_json::{Value, json};

const PUSH_ONLY: &str = r#"{"direction":"pushOnly"}"#;

/// A server of other data whose epoch has the same name.
fn another() -> MemoryServer {
    let server = MemoryServer::new("epoch-1");
    server.set_server_id("another").unwrap();
    server
}

fn answers(device: &Device, server: Option<&MemoryServer>) {
    device.remote.elsewhere.replace(server.cloned());
}

/// Has another server answer from the next push on.
fn answers_pushes(device: &Device, server: &MemoryServer) {
    let (elsewhere, server) = (Rc::clone(&device.remote.elsewhere), server.clone());
    *device.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" {
            elsewhere.replace(Some(server.clone()));
        }
    }));
}

/// A tab that has synced one row, and has one write pending.
fn synced(phone: &Device) -> Tab {
    let a = phone.open();
    a.create(r#"{"id":"acked","title":"acked"}"#);
    a.sync();
    a.create(r#"{"id":"waits","title":"waits"}"#);
    phone.requests();
    a
}

/// The titles that a server has, and how often each row was written.
fn rows(server: &MemoryServer) -> Vec<(String, u64)> {
    let row = |row: datum_server::rules::store::Row| {
        let data: Value = serde_json::from_str(row.data.as_deref().unwrap()).unwrap();
        (data["title"].as_str().unwrap().to_owned(), row.version)
    };
    server.rows("ann").into_iter().map(row).collect()
}

fn ends_otherwise(tab: &Tab, options: &str) {
    let error = match tab.sync_with(options) {
        Err(error) => error,
        Ok(result) => panic!("{options}: {result:?}"),
    };
    assert_eq!(error.code(), Code::OtherServer, "{options}");
    assert!(!error.is_retryable() && error.message().contains("acceptServer"));
    let status = tab.engine.status_hub("ann").unwrap().current();
    assert_eq!(status.status, SyncState::Failed);
}

#[test]
fn another_server_behind_the_same_address_applies_nothing() {
    for options in [
        "{}",
        PUSH_ONLY,
        r#"{"direction":"pullThenPush"}"#,
        r#"{"overrideBatchSize":1}"#,
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, other) = (synced(&phone), another());
        if options.contains("pullThenPush") {
            answers_pushes(&phone, &other);
        } else {
            answers(&phone, Some(&other));
        }

        ends_otherwise(&a, options);

        assert_eq!(rows(&other), [], "{options}");
        let asked = phone.requests();
        assert_eq!(asked.last().unwrap(), "POST /push", "{options}: and asked");
        let waiting = &a.pending_operations()[0];
        assert_eq!(
            (&waiting["state"], &waiting["attempts"]),
            (&"pending".into(), &0.into()),
            "{options}"
        );
        assert_eq!(a.titles(), ["acked", "waits"]);
        phone.remote.on_request.take();
        ends_otherwise(&a, options);

        // The first server comes back.
        answers(&phone, None);
        assert!(a.sync_with(options).unwrap().is_success);
        a.sync_with(options).unwrap();
        assert_eq!(
            rows(&world.server),
            [("acked".to_owned(), 1), ("waits".to_owned(), 2)],
            "{options}"
        );
        assert_eq!((a.pending(), rows(&other).len()), (0, 0));
    }
}

/// What another server did nothing with was not sent: a later edit becomes part of it.
#[test]
fn an_edit_afterwards_is_one_operation_with_what_was_not_taken() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, other) = (synced(&phone), another());
    answers(&phone, Some(&other));
    ends_otherwise(&a, "{}");
    a.patch("waits", r#"{"title":"edited"}"#);
    assert_eq!(a.pending_operations().len(), 1);
    answers(&phone, None);
    assert!(a.sync().is_success);
    assert_eq!(
        rows(&world.server),
        [("acked".to_owned(), 1), ("edited".to_owned(), 2)]
    );
}

#[test]
fn a_page_that_closes_leaves_nothing_with_another_server() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, other) = (synced(&phone), another());
    let left = a.engine.pending().unload_request("ann").unwrap();
    let arrives = |server: &MemoryServer| {
        let now = world.clock.now();
        let (status, reply) = server.handle("ann", "POST", "/sync/v1/push", left.as_bytes(), now);
        assert_eq!(status, 200);
        serde_json::from_slice::<Value>(&reply).unwrap()
    };

    let reply = arrives(&other);

    assert_eq!(
        (&reply["results"][0]["status"], &reply["results"][0]["code"]),
        (&"retry".into(), &"otherServer".into())
    );
    assert_eq!(rows(&other), []);
    // The page lives on, and another one is opened later.
    answers(&phone, Some(&other));
    ends_otherwise(&a, PUSH_ONLY);
    answers(&phone, None);
    assert_eq!(arrives(&world.server)["results"][0]["status"], "applied");
    let b = phone.open();
    assert!(b.sync().is_success && a.sync().is_success);
    assert_eq!(
        rows(&world.server),
        [("acked".to_owned(), 1), ("waits".to_owned(), 2)]
    );
    assert_eq!((a.pending(), rows(&other).len()), (0, 0));
}

#[test]
fn cycles_in_the_background_leave_nothing_with_another_server() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, other) = (leader_tab(&phone), another());
    with_auto_sync(&a, async {
        wait(&a, HOUR).await;
        crate::support::auto_sync::create(&a.engine, "ann", "acked").await;
        wait(&a, HOUR).await;
        answers(&phone, Some(&other));
        crate::support::auto_sync::create(&a.engine, "ann", "waits").await;
        wait(&a, 6 * HOUR).await;
        let status = a.engine.status_hub("ann").unwrap().current();
        assert_eq!(status.status, SyncState::Failed);
        assert_eq!(status.errors[0].code, Code::OtherServer);
        assert_eq!((rows(&other), rows(&world.server).len()), (Vec::new(), 1));
        answers(&phone, None);
        wait(&a, HOUR).await;
    });
    assert_eq!(
        rows(&world.server),
        [("acked".to_owned(), 1), ("waits".to_owned(), 2)]
    );
    assert_eq!((a.pending(), rows(&other).len()), (0, 0));
}

/// The first try may have reached the own server: the operation counts as sent, and is applied once.
#[test]
fn a_push_that_is_repeated_names_its_server_again() {
    for first in [Fault::Lost, Fault::ReplyLost] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, other) = (synced(&phone), another());
        phone.fault("/push", first);
        let (seen, elsewhere, server) = (
            Rc::clone(&phone.remote.seen),
            Rc::clone(&phone.remote.elsewhere),
            other.clone(),
        );
        *phone.remote.on_request.borrow_mut() = Some(Box::new(move |_| {
            if seen.borrow().len() == 2 {
                elsewhere.replace(Some(server.clone()));
            }
        }));
        ends_otherwise(&a, "{}");
        assert_eq!(phone.requests(), ["POST /push"; 2]);
        a.patch("waits", r#"{"title":"edited"}"#);
        assert_eq!(a.pending_operations().len(), 2, "it may have arrived");
        assert_eq!(rows(&other), []);
        phone.remote.on_request.take();
        answers(&phone, None);
        assert!(a.sync().is_success);
        assert_eq!(
            rows(&world.server),
            [("acked".to_owned(), 1), ("edited".to_owned(), 3)]
        );
    }
}

/// A tab that has not heard yet of the server that another one has met takes none in its place.
#[test]
fn a_tab_that_is_behind_does_not_take_another_server_for_the_first() {
    for options in ["{}", r#"{"direction":"pullOnly"}"#] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, b, other) = (phone.open(), phone.open(), another());
        let theirs = json!({"opId": "x", "entity": "tasks", "id": "theirs", "kind": "create", "data": {"title": "theirs"}});
        let push = json!({"clientId": "x", "operations": [theirs]}).to_string();
        let now = world.clock.now();
        let (status, _) = other.handle("ann", "POST", "/sync/v1/push", push.as_bytes(), now);
        assert_eq!((status, rows(&other).len()), (200, 1));
        a.create(r#"{"id":"first","title":"first"}"#);
        assert!(a.sync().is_success);
        answers(&phone, Some(&other));
        b.sync_with(options).unwrap_err();
        assert_eq!(rows(&other).len(), 1, "{options}");
        answers(&phone, None);
        for tab in [&a, &b] {
            assert!(tab.sync().is_success, "{options}");
            assert_eq!(tab.titles(), ["first"], "{options}");
        }
        assert_eq!(rows(&world.server), [("first".to_owned(), 1)]);
    }
}

#[test]
fn the_app_can_take_the_other_server_for_its_own() {
    for offers in [true, false] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, other) = (synced(&phone), another());
        answers(&phone, Some(&other));
        ends_otherwise(&a, "{}");
        a.run(a.engine.users().accept_server("ann", offers))
            .unwrap();
        assert_eq!(a.engine.pending().unload_request("ann"), None);
        a.create(r#"{"id":"later","title":"later"}"#);
        for _ in 0..2 {
            assert!(a.sync().is_success);
        }
        let titles: Vec<String> = rows(&other).into_iter().map(|(title, _)| title).collect();
        let expected: &[&str] = match offers {
            true => &["acked", "later", "waits"],
            false => &["later"],
        };
        assert_eq!(a.titles(), expected);
        assert_eq!((titles.len(), a.pending()), (expected.len(), 0));
        // The first one is another server now.
        a.create(r#"{"id":"not-here","title":"not-here"}"#);
        answers(&phone, None);
        ends_otherwise(&a, PUSH_ONLY);
        assert_eq!(rows(&world.server), [("acked".to_owned(), 1)]);
    }
}

/// That another server answers explains whatever else has failed.
#[test]
fn another_server_is_what_a_cycle_tells_of_two_failures() {
    for (options, path) in [
        ("{}", "/push"),
        (r#"{"direction":"pullThenPush"}"#, "/pull"),
    ] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, other) = (synced(&phone), another());
        answers(&phone, Some(&other));
        phone.fault(path, Fault::Page(404));
        ends_otherwise(&a, options);
        assert_eq!((a.pending(), rows(&other).len()), (1, 0), "{options}");
        assert_eq!(phone.requests().len(), 2, "{options}");
    }
}

/// A page of the own server asks about a change that may have been sent, and another server gets the
/// question.
#[test]
fn a_question_is_for_the_own_server_too() {
    let world = World::new();
    let sums = |name: &str| {
        world.device(name).with_config(
            r#"{"entities":{"tasks":{"mergeFields":{"n":"sum"}}},"retry":{"maxAttempts":1}}"#,
        )
    };
    let (phone, laptop) = (sums("phone"), sums("laptop"));
    let (a, b, other) = (phone.open(), laptop.open(), another());
    a.sync();
    b.create(r#"{"id":"t","title":"t","n":10}"#);
    b.sync();
    a.create(r#"{"id":"t","title":"t","n":100}"#);
    phone.fault("/push", Fault::Lost);
    a.sync_with(PUSH_ONLY).unwrap_err();
    answers_pushes(&phone, &other);
    ends_otherwise(&a, r#"{"direction":"pullOnly"}"#);
    assert_eq!((rows(&other).len(), a.pending()), (0, 1));
    phone.remote.on_request.take();
    answers(&phone, None);
    assert!(a.sync().is_success && b.sync().is_success);
    assert_eq!(a.read("t").unwrap()["n"], 110);
    assert_eq!(b.read("t").unwrap()["n"], 110);
}

/// One that only pushes learns the server with the epoch, before its cycle ends.
#[test]
fn a_new_device_names_its_server_in_its_first_push() {
    for options in ["{}", PUSH_ONLY] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, other) = (phone.open(), another());
        a.create(r#"{"id":"first","title":"first"}"#);
        answers_pushes(&phone, &other);
        ends_otherwise(&a, options);
        let left = a.engine.pending().unload_request("ann").unwrap();
        let left: Value = serde_json::from_str(&left).unwrap();
        assert!(left["serverId"].is_string() && left["epoch"] == "epoch-1");
        assert_eq!(rows(&other), [], "{options}");
        phone.remote.on_request.take();
        answers(&phone, None);
        assert!(a.sync_with(options).unwrap().is_success);
        assert_eq!(rows(&world.server), [("first".to_owned(), 1)]);
    }
}

/// A refusal has no name. The one who refuses is asked for it before an operation is given up.
#[test]
fn what_another_server_finds_too_large_is_no_dead_letter() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, other) = (synced(&phone), another());
    answers(&phone, Some(&other));
    phone.fault("/push", Fault::Status(413, None));
    ends_otherwise(&a, "{}");
    assert_eq!(phone.requests(), ["POST /push", "GET /metadata"]);
    assert_eq!(a.pending(), 1);
    assert!(a.dead_letters().is_empty());
    answers(&phone, None);
    phone.fault("/push", Fault::Status(413, None));
    a.sync();
    assert_eq!(a.dead_letters()[0]["code"], "tooLarge", "of the own server");
}

/// An older server, or another backend of the protocol, compares nothing: it is found out by its
/// reply, and nothing that it may have applied counts as not sent.
#[test]
fn a_server_that_does_not_compare_is_found_out_by_its_reply() {
    let world = World::new();
    let phone = world.device("phone");
    let a = synced(&phone);
    let op_id = a.pending_operations()[0]["opId"].clone();
    let results = json!([{"opId": op_id, "status": "applied", "version": 7}]);
    let reply = json!({"results": results, "epoch": "epoch-1", "serverId": "older"});
    phone.fault("/push", Fault::Answered(reply.to_string()));
    let error = a.sync_with("{}").unwrap_err();
    assert_eq!(error.code(), Code::OtherServer);
    assert!(!error.message().contains("Nothing"), "{error}");
    a.patch("waits", r#"{"title":"edited"}"#);
    assert_eq!(a.pending_operations().len(), 2);
    assert!(a.sync().is_success);
    assert_eq!(
        rows(&world.server),
        [("acked".to_owned(), 1), ("edited".to_owned(), 3)]
    );
}

/// The name that an adapter has given itself is not known to the backend behind it.
#[test]
fn the_name_of_an_adapter_is_not_sent() {
    let world = World::new();
    let mut phone = world.device("phone");
    phone.remote.server_id = Some("mine".to_owned());
    let a = phone.open();
    a.create(r#"{"id":"t","title":"t"}"#);
    assert!(a.sync().is_success);
    let seen = phone.remote.seen.take();
    let pushed = seen.iter().find(|request| request.path == "/push").unwrap();
    let pushed: Value = serde_json::from_slice(&pushed.body).unwrap();
    assert_eq!((&pushed["serverId"], a.pending()), (&Value::Null, 0));
}
