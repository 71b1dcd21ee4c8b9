//! The push of a page that unloads: it is applied once, and nothing is lost.

use crate::support::world::{Device, Fault, Tab, World};
use serde_json::Value;

/// Sends the push of a page that unloads, and drops its reply.
fn leave(world: &World, tab: &Tab) -> Value {
    let body = tab
        .engine
        .pending()
        .unload_request(&tab.user)
        .expect("something waits");
    let (status, reply) = world.server.handle(
        &tab.user,
        "POST",
        "/sync/v1/push",
        body.as_bytes(),
        world.clock.now(),
    );
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&reply));
    serde_json::from_str(&body).unwrap()
}

fn titles(world: &World, device: &Device) -> Vec<String> {
    let tab = world.device_of(&device.user, "reader").open();
    tab.sync();
    tab.titles()
}

/// Returns the operations of each push since the last call.
fn pushed(device: &Device) -> Vec<Value> {
    let seen = device.remote.seen.take();
    seen.iter()
        .filter(|request| request.path == "/push")
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

#[test]
fn what_is_left_behind_is_applied_once_and_gets_its_verdict_after_the_reload() {
    let world = World::new();
    let phone = world.device("phone");
    let tab = phone.open();
    tab.sync();
    let id = tab.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    tab.create(r#"{"title":"bread"}"#);

    let body = leave(&world, &tab);
    assert_eq!(body["operations"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&body["clientId"], &body["operations"][0]["id"]),
        (&"phone".into(), &id.clone().into())
    );
    assert_eq!(
        titles(&world, &phone),
        ["bread", "milk"],
        "the server has it before the app is opened again"
    );
    assert_eq!(tab.pending(), 2, "no verdict has come: it waits");

    let again = phone.open();
    assert_eq!(
        (again.pending(), again.titles()),
        (2, vec!["bread".to_owned(), "milk".to_owned()])
    );
    let result = again.sync();
    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!((result.pushed_count, again.pending()), (2, 0));
    assert_eq!(
        pushed(&phone)[0]["operations"],
        body["operations"],
        "the same operations under the same ids"
    );
    assert_eq!(world.server.rows("ann").len(), 2, "applied once");
    assert_eq!(again.read(&id).unwrap()["version"], 1);
}

#[test]
fn an_edit_afterwards_waits_behind_what_was_left() {
    for reload in [false, true] {
        for options in ["{}", r#"{"direction":"pullThenPush"}"#] {
            let world = World::new();
            let phone = world.device("phone");
            let mut tab = phone.open();
            let id = tab.create(r#"{"title":"milk","done":false}"#)["id"]
                .as_str()
                .unwrap()
                .to_owned();
            tab.sync();
            tab.patch(&id, r#"{"title":"oat milk"}"#);
            leave(&world, &tab);
            if reload {
                tab = phone.open();
            }
            tab.patch(&id, r#"{"done":true}"#);
            assert_eq!(
                tab.pending(),
                2,
                "nothing is put into an operation that may have been sent"
            );

            let result = tab.sync_with(options).unwrap();

            assert!(result.is_success && tab.pending() == 0, "{result:?}");
            let task = tab.read(&id).unwrap();
            assert_eq!(
                (&task["title"], &task["done"]),
                (&"oat milk".into(), &true.into())
            );
            let other = world.device("laptop").open();
            other.sync();
            let seen = other.read(&id).unwrap();
            assert_eq!(
                (&seen["title"], &seen["done"]),
                (&"oat milk".into(), &true.into())
            );
        }
    }
}

#[test]
fn what_never_arrived_is_sent_by_the_next_cycle() {
    let world = World::new();
    let phone = world.device("phone");
    let tab = phone.open();
    tab.sync();
    tab.create(r#"{"title":"milk"}"#);
    assert!(tab.engine.pending().unload_request("ann").is_some());
    assert!(phone.open().sync().is_success);
    assert_eq!(titles(&world, &phone), ["milk"]);
}

#[test]
fn one_request_holds_what_fits_in_order_and_at_most_one_an_entity() {
    let world = World::new();
    let phone = world.device("phone");
    let tab = phone.open();
    tab.sync();
    let note = "n".repeat(21_000);
    for at in 0..5 {
        tab.create(&format!(r#"{{"title":"t{at}","note":"{note}"}}"#));
    }
    let body = tab.engine.pending().unload_request("ann").unwrap();
    assert!(body.len() <= 60 << 10, "{}", body.len());
    let body: Value = serde_json::from_str(&body).unwrap();
    let sent: Vec<&str> = body["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|op| op["data"]["title"].as_str().unwrap())
        .collect();
    assert_eq!(sent, ["t0", "t1"], "a third would be too much");
    assert!(tab.sync().is_success);

    // An operation that is too large alone is not sent, nor are those behind it.
    tab.create(&format!(
        r#"{{"title":"huge","note":"{}"}}"#,
        "n".repeat(70_000)
    ));
    tab.create(r#"{"title":"small"}"#);
    assert_eq!(tab.engine.pending().unload_request("ann"), None);
    assert!(tab.sync().is_success);

    // Ids that JSON writes longer than they are.
    for at in 0..100 {
        tab.create(&format!(
            r#"{{"id":"{}{at}","title":"x"}}"#,
            r#"\""#.repeat(480)
        ));
    }
    let body = tab.engine.pending().unload_request("ann").unwrap();
    assert!(body.len() <= 60 << 10, "{}", body.len());
}

#[test]
fn what_must_not_be_sent_is_not_left_behind_either() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"excludedSyncUserIds":["eve"]}"#);
    let tab = phone.open();
    tab.sync();
    assert_eq!(
        tab.engine.pending().unload_request("ann"),
        None,
        "nothing waits"
    );
    tab.create(r#"{"title":"milk"}"#);
    assert!(tab.engine.pending().any("ann") && !tab.engine.pending().any("bob"));
    assert_eq!(
        tab.engine.pending().unload_request("bob"),
        None,
        "a user whose database is not open"
    );

    tab.engine.host().online.set(false);
    assert_eq!(tab.engine.pending().unload_request("ann"), None, "offline");
    tab.engine.host().online.set(true);
    tab.run(tab.engine.pauses().pause(Some("ann"))).unwrap();
    assert_eq!(tab.engine.pending().unload_request("ann"), None, "paused");
    tab.run(tab.engine.pauses().resume(Some("ann"))).unwrap();
    assert!(tab.engine.pending().unload_request("ann").is_some());
    tab.run(tab.engine.close());
    assert_eq!(tab.engine.pending().unload_request("ann"), None, "closed");

    let eve = world
        .device_of("eve", "phone")
        .with_config(r#"{"entities":{"tasks":{}},"excludedSyncUserIds":["eve"]}"#)
        .open();
    eve.create(r#"{"title":"hers"}"#);
    assert_eq!(eve.engine.pending().unload_request("eve"), None, "excluded");

    let puller = world
        .device("tablet")
        .with_config(r#"{"entities":{"tasks":{}},"defaultSyncDirection":"pullOnly"}"#)
        .open();
    puller.create(r#"{"title":"mine"}"#);
    assert_eq!(
        puller.engine.pending().unload_request("ann"),
        None,
        "this app never pushes by itself"
    );
}

#[test]
fn what_is_on_its_way_is_not_sent_twice() {
    let world = World::new();
    let phone = world.device("phone");
    let tab = phone.open();
    tab.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Slow(500));
    let engine = std::rc::Rc::clone(&tab.engine);
    let left: std::rc::Rc<std::cell::RefCell<Vec<Option<String>>>> = std::rc::Rc::default();
    let seen = std::rc::Rc::clone(&left);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" {
            seen.borrow_mut()
                .push(engine.pending().unload_request("ann"));
        }
    }));
    assert!(tab.sync().is_success);
    *phone.remote.on_request.borrow_mut() = None;
    assert_eq!(*left.borrow(), [None]);
}
