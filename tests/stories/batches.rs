//! How many operations go into one push.

use crate::support::world::{Device, Fault, Tab, World};
use serde_json::json;

fn sizes(phone: &Device) -> Vec<usize> {
    phone.pushed().iter().map(Vec::len).collect()
}

fn fill(tab: &Tab, count: usize) {
    for n in 0..count {
        tab.create(&json!({ "id": format!("t{n:03}"), "title": n.to_string() }).to_string());
    }
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_the_limit_remembered() {
    let world = World::new();
    world.server.configure(|config| config.max_operations = 20);
    let phone = world.device("phone");
    let a = phone.open();
    fill(&a, 64);
    assert!(a.sync().is_success);
    assert_eq!(
        sizes(&phone),
        [64, 32, 16, 24, 16, 20, 12],
        "between what went and what was refused"
    );
    for n in 0..40 {
        a.patch(&format!("t{n:03}"), r#"{"title":"again"}"#);
    }
    assert!(a.sync().is_success);
    assert_eq!(sizes(&phone), [20, 20], "the next cycle knows it");
}

#[test]
fn a_batch_that_takes_too_long_is_halved_at_once_and_grows_again_when_it_is_quick() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    fill(&a, 40);
    // A gateway timeout.
    phone.fault("/push", Fault::Status(504, None));
    phone.fault("/push", Fault::Slow(0));
    phone.fault("/push", Fault::Status(504, None));
    phone.fault("/push", Fault::Slow(3_000));
    let result = a.sync();
    assert!(result.is_success, "{result:?}");
    assert_eq!(
        sizes(&phone),
        [40, 1, 20, 10, 10, 19],
        "not the same request three times over, and not more after a slow one"
    );
    (0..40).for_each(|n| drop(a.patch(&format!("t{n:03}"), r#"{"title":"again"}"#)));
    a.sync_with(r#"{"overrideBatchSize":15}"#).unwrap();
    assert_eq!(
        sizes(&phone),
        [15, 15, 10],
        "never more than the call allows"
    );
}

#[test]
fn a_batch_has_no_more_bytes_than_a_proxy_takes() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    for n in 0..5 {
        a.create(&json!({ "id": format!("t{n}"), "title": "x".repeat(400 << 10) }).to_string());
    }
    assert!(a.sync().is_success);
    assert_eq!(sizes(&phone), [2, 2, 1]);
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    for n in 0..8 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    world.server.configure(|config| config.max_operations = 3);

    assert!(a.sync().is_success);

    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 8));
}

#[test]
fn a_custom_batch_size_is_what_travels() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    for n in 0..7 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    phone.requests();

    a.sync_with(r#"{"direction":"pushOnly","overrideBatchSize":3}"#)
        .unwrap();

    let pushes: Vec<_> = phone
        .requests()
        .into_iter()
        .filter(|r| r == "POST /push")
        .collect();
    assert_eq!(pushes.len(), 3);
}
