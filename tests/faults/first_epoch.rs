//! A device that knows no epoch yet: none of its pushes goes without one.

use crate::support::world::World;
use serde_json::Value;

/// A push that names no epoch is taken by any: delayed over a restore, it was applied in the new
/// history, which the device then offered the same to.
#[test]
fn a_device_that_knows_no_epoch_pulls_before_it_pushes() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let seen = phone.remote.seen.take();
    assert_eq!([&*seen[0].path, &*seen[1].path], ["/pull", "/push"]);
    let body: serde_json::Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(body["epoch"], "epoch-1");
    a.create(r#"{"title":"bread"}"#);
    a.sync();
    assert_eq!(phone.requests()[..2], ["POST /push", "POST /pull"]);
}

/// A cycle that only pushes asks for the epoch, and leaves the rows that it is shown.
#[test]
fn a_device_that_knows_no_epoch_asks_for_it_before_it_only_pushes() {
    let world = World::new();
    world.device("laptop").open().create(r#"{"title":"bread"}"#);
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    assert_eq!(
        a.engine.pending().unload_request("ann"),
        None,
        "of any epoch"
    );
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    let seen = phone.remote.seen.take();
    assert_eq!([&*seen[0].path, &*seen[1].path], ["/pull", "/push"]);
    let [asked, pushed] =
        [&seen[0], &seen[1]].map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    assert_eq!(
        (&asked["limit"], &pushed["epoch"]),
        (&1.into(), &"epoch-1".into())
    );
    assert_eq!(a.titles(), ["milk"]);

    let a = phone.open();
    a.create(r#"{"title":"oats"}"#);
    let left = a.engine.pending().unload_request("ann").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&left).unwrap()["epoch"],
        "epoch-1"
    );
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(phone.requests()[0], "POST /push", "it is known now");
}

/// The first page of a device may meet writes that it is not sure of, which are pushed before the
/// page is applied.
#[test]
fn what_the_first_page_asks_about_names_the_epoch_too() {
    const SUMS: &str = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum"}}}}"#;
    let world = World::new();
    let laptop = world.device("laptop").with_config(SUMS).open();
    laptop.create(r#"{"id":"t","n":1}"#);
    laptop.sync();
    let phone = world.device("phone").with_config(SUMS);
    phone.open().create(r#"{"id":"t","n":2}"#);
    phone.open().sync();
    let seen = phone.remote.seen.take();
    let mut pushes = 0;
    for request in seen.iter().filter(|request| request.path == "/push") {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["epoch"], "epoch-1");
        pushes += 1;
    }
    assert!(pushes > 0);
}
