//! Fields that are merged by adding changes: each change counts once.

use crate::support::test_remote::Hook;
use crate::support::world::{Device, Fault, Request, Tab, World};
use serde_json::json;

const SUMS: &str = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum","tags":"union"}},"notes":{}},"retry":{"maxAttempts":1}}"#;

fn summing(world: &World, name: &str) -> Device {
    world.device(name).with_config(SUMS)
}

fn n(tab: &Tab) -> i64 {
    tab.read("t").unwrap()["n"].as_i64().unwrap()
}

/// Opens a tab on each device, both with the same counter, at 1.
fn counting(phone: &Device, laptop: &Device) -> (Tab, Tab) {
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","n":1}"#);
    a.sync();
    b.sync();
    (a, b)
}

fn add(tab: &Tab, more: i64) {
    tab.patch("t", &json!({ "n": n(tab) + more }).to_string());
}

#[test]
fn two_devices_that_add_the_same_to_the_same_are_both_counted() {
    for direction in ["pushThenPull", "pullThenPush", "pullOnly"] {
        let world = World::new();
        let (a, b) = (
            summing(&world, "phone").open(),
            summing(&world, "laptop").open(),
        );
        a.create(r#"{"id":"t","n":1}"#);
        a.sync();
        b.sync();
        add(&a, 1);
        add(&b, 1);
        a.sync();
        b.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
            .unwrap();
        b.sync();
        a.sync();
        assert_eq!((n(&a), n(&b), b.pending()), (3, 3, 0), "{direction}");
        let told = b.explained("t");
        assert_eq!(
            (told.len(), &told[0]["fields"][0]["because"]),
            (1, &"`sum`: both changes were added.".into())
        );
    }
}

#[test]
fn a_change_whose_answer_was_lost_is_not_counted_twice() {
    for direction in ["pushThenPull", "pullThenPush", "pullOnly"] {
        let world = World::new();
        let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
        let (a, b) = counting(&phone, &laptop);
        add(&b, 10);
        laptop.fault("/push", Fault::ReplyLost);
        b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
        // The server has counted it already, and both sides add more.
        a.sync();
        add(&a, 100);
        a.sync();
        add(&b, 1000);
        b.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
            .unwrap();
        b.sync();
        a.sync();
        assert_eq!((n(&a), n(&b)), (1111, 1111), "{direction}");
    }
}

#[test]
fn a_change_that_another_tab_was_sending_is_not_counted_twice() {
    let world = World::new();
    let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
    let (a, one) = counting(&phone, &laptop);
    let two = laptop.open();
    add(&one, 10);
    // The other tab sends it, and closes before the answer.
    laptop.fault("/push", Fault::ReplyLost);
    laptop.fault("/pull", Fault::Slow(0));
    laptop.fault("/pull", Fault::Lost);
    two.sync_with("{}").unwrap_err();
    drop(two);
    a.sync();
    add(&a, 100);
    a.sync();
    add(&one, 1000);
    add(&one, 1000);
    assert_eq!(one.pending(), 2, "more than two never wait");
    one.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();
    a.sync();
    assert_eq!((n(&a), n(&one), one.pending()), (2111, 2111, 0));
}

/// The operation rests after its answer was lost, so the pull meets it first.
#[test]
fn a_change_that_rests_is_asked_for_before_it_is_counted_again() {
    let world = World::new();
    let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
    let (a, b) = counting(&phone, &laptop);
    add(&b, 10);
    laptop.fault("/push", Fault::ReplyLost);
    b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    b.create(r#"{"id":"other"}"#);
    // The first request of the search is for either; both arrive.
    for _ in 0..2 {
        fail_on_t(&laptop, true);
        b.sync_with(r#"{"direction":"pushOnly"}"#).ok();
    }
    add(&a, 100);
    a.sync();

    // Now it is taken again, but rests.
    fail_on_t(&laptop, false);
    b.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    b.sync();
    a.sync();

    assert_eq!((n(&a), n(&b)), (111, 111));
}

#[test]
fn a_change_of_which_the_remote_never_tells_is_left_to_the_app() {
    let world = World::new();
    let (phone, laptop) = (summing(&world, "phone"), summing(&world, "laptop"));
    let (a, b) = counting(&phone, &laptop);
    a.create(r#"{"id":"later"}"#);
    a.sync();
    b.sync();
    add(&b, 10);
    fail_on_t(&laptop, true);
    b.create(r#"{"id":"other"}"#);
    b.sync_with(r#"{"direction":"pushOnly"}"#).ok();
    add(&a, 100);
    a.patch("later", r#"{"title":"milk"}"#);
    a.sync();

    b.sync_with(r#"{"direction":"pullOnly"}"#).ok();
    b.sync_with(r#"{"direction":"pullOnly"}"#).ok();

    assert_eq!(
        b.read("later").unwrap()["title"],
        "milk",
        "the pull goes on"
    );
    let parked = b.conflicts();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(n(&b), 11, "nothing is lost, nothing is guessed");
}

/// Lets the server fail on pushes that contain `t`, or not any more.
fn fail_on_t(device: &Device, fails: bool) {
    let faults = std::rc::Rc::clone(&device.remote.faults);
    *device.remote.on_request.borrow_mut() = fails.then(|| -> Hook {
        Box::new(move |request: &Request| {
            let body = String::from_utf8_lossy(&request.body);
            if request.path.ends_with("/push") && body.contains(r#""id":"t""#) {
                faults
                    .borrow_mut()
                    .push_back(("/push", Fault::Status(500, None)));
            }
        })
    });
}

/// Devices of two tabs each add to one counter, in any direction, over a network that loses
/// requests and answers.
#[test]
fn no_order_of_events_loses_a_change_or_counts_one_twice() {
    for seed in 1..=25_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut throw = move |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        };
        let world = World::new();
        let devices = [summing(&world, "phone"), summing(&world, "laptop")];
        let mut tabs: Vec<Tab> = devices
            .iter()
            .flat_map(|device| [device.open(), device.open()])
            .collect();
        tabs[0].create(r#"{"id":"t","n":0,"tags":[]}"#);
        tabs[0].sync();
        for tab in &tabs {
            tab.sync();
        }
        let mut total = 0;
        for _ in 0..40 {
            let at = throw(4) as usize;
            let device = &devices[at / 2];
            match throw(8) {
                0..=3 => {
                    let more = throw(9) as i64 - 4;
                    // A tab that adds to what it reads has to know what the other has written.
                    let tab = &tabs[at];
                    tab.run(tab.engine.on_head("ann", u64::MAX)).unwrap();
                    add(tab, more);
                    total += more;
                }
                4 => tabs[at] = device.open(),
                _ => {
                    match throw(6) {
                        0 => device.fault("/push", Fault::ReplyLost),
                        1 => device.fault("/push", Fault::Lost),
                        2 => device.fault("/pull", Fault::ReplyLost),
                        _ => {}
                    }
                    let direction =
                        ["pushThenPull", "pullThenPush", "pullOnly", "pushOnly"][throw(4) as usize];
                    // A failure here is made up for later.
                    let _ = tabs[at].sync_with(&format!(r#"{{"direction":"{direction}"}}"#));
                }
            }
        }
        for device in &devices {
            device.remote.faults.borrow_mut().clear();
        }
        for _ in 0..3 {
            for tab in &tabs {
                tab.sync();
            }
        }
        for (place, tab) in tabs.iter().enumerate() {
            assert_eq!(
                (n(tab), tab.pending()),
                (total, 0),
                "seed {seed}, tab {place}"
            );
        }
    }
}
