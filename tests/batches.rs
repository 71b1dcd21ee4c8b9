//! How much goes into one push, what a failed one leads to, and what becomes of writes that were on
//! their way.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use std::rc::Rc;

use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::{Value, json};
use support::live::{AUTO, HOUR, MINUTE, create, leading, live, wait};
use support::world::{Device, Fault, Tab, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

fn sizes(phone: &Device) -> Vec<usize> {
    phone.pushed().iter().map(Vec::len).collect()
}

fn fill(tab: &Tab, count: usize) {
    for n in 0..count {
        tab.create(&json!({ "id": format!("t{n:03}"), "title": n.to_string() }).to_string());
    }
}

/// Every push that carries this text meets this fault.
fn fail_over(phone: &Device, text: &'static str, fault: Fault) {
    let faults = Rc::clone(&phone.wire.faults);
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" && String::from_utf8_lossy(&request.body).contains(text) {
            faults.borrow_mut().push_back(("/push", fault.clone()));
        }
    }));
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
    // A gateway that gave up waiting.
    phone.fault("/push", Fault::Status(504, None));
    phone.fault("/push", Fault::Status(504, None));
    phone.fault("/push", Fault::Slow(3_000));
    assert!(a.sync().is_success);
    assert_eq!(
        sizes(&phone),
        [40, 20, 10, 10, 20],
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
fn a_failed_upload_does_not_freeze_downloads() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(ONE_TRY),
        world.device("laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    b.create(r#"{"id":"theirs","title":"theirs"}"#);
    b.sync();
    a.create(r#"{"id":"mine","title":"mine"}"#);
    phone.fault("/push", Fault::Status(500, None));

    assert_eq!(
        a.sync_with("{}").unwrap_err().code(),
        Code::ServerError,
        "it is said all the same"
    );

    assert_eq!(a.titles(), ["mine", "theirs"]);
    let waiting = a.waiting();
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["lastError"]["status"]),
        (&"pending".into(), &500.into())
    );
    assert_eq!(
        (
            waiting[0]["lastError"]["code"].as_str(),
            waiting[0]["attempts"].as_u64()
        ),
        (Some("serverError"), Some(1))
    );
    phone.fault("/push", Fault::Status(429, Some(5_000)));
    phone.requests();
    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::RateLimited);
    assert_eq!(
        phone.requests(),
        ["POST /push"],
        "a remote that asks for fewer requests gets no more"
    );
}

#[test]
fn a_failed_upload_is_tried_again_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leading(&phone);
    for _ in 0..4 {
        phone.fault("/push", Fault::Status(503, Some(7_000)));
    }
    live(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 2_000).await;
        let waiting = a.engine.pending().list("ann").await.unwrap();
        assert_eq!(
            (
                waiting[0].attempts,
                waiting[0].last_error.as_ref().unwrap().retry_after_ms
            ),
            (1, Some(7_000))
        );
        let next =
            datum_sync::util::time::parse(waiting[0].next_attempt_at.as_deref().unwrap()).unwrap();
        assert!(
            next >= world.clock.now() + 5_000,
            "what the remote asked for is not undercut"
        );
        wait(&a, 10 * MINUTE).await;
        assert_eq!(
            a.engine.pending().count("ann").await.unwrap(),
            0,
            "no write, no call: it went by itself"
        );
    });
}

#[test]
fn what_the_remote_puts_off_again_and_again_is_asked_for_less_and_less_often() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leading(&phone);
    let times = Rc::new(std::cell::RefCell::new(Vec::new()));
    let (kept, clock, faults) = (
        Rc::clone(&times),
        Rc::clone(&world.clock),
        Rc::clone(&phone.wire.faults),
    );
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" {
            kept.borrow_mut().push(clock.now());
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let verdict = json!({ "results": [{ "opId": body["operations"][0]["opId"], "status": "retry" }] });
            faults
                .borrow_mut()
                .push_back(("/push", Fault::Answered(verdict.to_string())));
        }
    }));
    live(&a, async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, HOUR).await;
    });
    let times = times.borrow();
    assert!(
        (40..=600).contains(&times.len()),
        "{} times in an hour, not each second of it",
        times.len()
    );
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= 1_000 && pair[1] - pair[0] <= 70_000)
    );
}

#[test]
fn what_the_remote_has_put_off_goes_though_the_clock_is_set_back_meanwhile() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    let id = a.create(r#"{"title":"milk"}"#)["id"].clone();
    let op_id = a.waiting()[0]["opId"].clone();
    let verdict =
        json!({ "results": [{ "opId": op_id, "status": "retry", "retryAfterMs": 3_600_000 }] });
    phone.fault("/push", Fault::Answered(verdict.to_string()));
    let _ = a.sync_with("{}");
    let _ = a.sync_with("{}");
    assert_eq!(a.waiting()[0]["entityId"], id, "not before its time");

    a.engine.host().skew.set(-30_000);
    let _ = a.sync_with("{}");
    assert_eq!(a.pending(), 1, "a clock that is put right changes nothing");
    a.engine.host().skew.set(-10 * 3_600_000);
    let _ = a.sync_with("{}");

    assert_eq!(
        a.pending(),
        0,
        "by a clock that was set, nobody knows how long it was to wait"
    );
}

#[test]
fn an_operation_that_the_remote_fails_over_does_not_block_the_queue() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"id":"a","title":"poison"}"#);
    fill(&a, 6);
    // A backend that knows no verdicts: one bad write fails the whole request, for days.
    for (fault, code) in [
        (Fault::Status(500, None), "serverError"),
        (Fault::Status(422, None), "protocol"),
    ] {
        fail_over(&phone, "poison", fault);
        for _ in 0..4 {
            let _ = a.sync_with("{}");
            world.clock.advance(120_000);
        }
        let waiting = a.waiting();
        assert_eq!(waiting.len(), 1, "the others went");
        assert_eq!(
            (
                waiting[0]["entityId"].as_str(),
                waiting[0]["lastError"]["code"].as_str()
            ),
            (Some("a"), Some(code))
        );
        for n in 0..6 {
            a.patch(&format!("t{n:03}"), r#"{"title":"again"}"#);
        }
    }
    assert_eq!(world.server.rows("ann").len(), 6);
    assert!(
        a.letters().is_empty(),
        "a failure is no verdict: nothing is given up"
    );
    // The app mends it, and it goes.
    a.patch("a", r#"{"title":"good"}"#);
    *phone.wire.on_request.borrow_mut() = None;
    world.clock.advance(120_000);
    a.sync();
    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 7));
}

#[test]
fn a_remote_that_fails_over_everything_is_left_alone_after_two_tries() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    fill(&a, 8);
    fail_over(&phone, "operations", Fault::Status(500, None));
    for _ in 0..8 {
        phone.requests();
        assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::ServerError);
        assert!(phone.requests().len() <= 3);
    }
    assert_eq!(a.pending(), 8);
    *phone.wire.on_request.borrow_mut() = None;
    assert!(a.sync().is_success, "and nothing is put off for it");
    assert_eq!(a.pending(), 0);
}

#[test]
fn used_up_tries_lose_nothing() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    fill(&a, 3);
    (0..9).for_each(|_| phone.fault("/push", Fault::Lost));
    for _ in 0..3 {
        assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::Network);
    }
    let waiting = a.waiting();
    assert_eq!(
        (
            waiting.len(),
            waiting[0]["attempts"].as_u64(),
            waiting[0]["lastError"]["code"].as_str()
        ),
        (3, Some(3), Some("network"))
    );
    // A later write that succeeds takes nothing of it away.
    a.create(r#"{"id":"later","title":"later"}"#);
    assert!(phone.open().sync().is_success);
    assert_eq!(
        world.server.rows("ann").len(),
        4,
        "all of them, not only the last"
    );
}

/// Runs something in the same tab while a push is on its way, and answers the result of the cycle.
fn meanwhile(a: &Tab, phone: &Device, work: impl AsyncFnOnce()) -> bool {
    phone.fault("/push", Fault::Slow(1_000));
    a.run(async {
        let cycle = a
            .engine
            .synchronize("ann", Default::default(), None, Rc::default());
        let work = async {
            wait(a, 500).await;
            work().await;
        };
        futures_util::future::join(cycle, work)
            .await
            .0
            .unwrap()
            .is_success
    })
}

async fn write(a: &Tab, write: Write) {
    a.engine
        .entities()
        .write("ann", "tasks", vec![write])
        .await
        .unwrap();
}

#[test]
fn an_edit_while_the_create_is_on_its_way_waits_for_the_verdict_and_keeps_its_fields() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    let ok = meanwhile(&a, &phone, async || {
        write(
            &a,
            Write::Patch {
                id: "t".to_owned(),
                changes: r#"{"n":2}"#.to_owned(),
            },
        )
        .await;
        let waiting = a.engine.pending().list("ann").await.unwrap();
        let states: Vec<Value> = waiting
            .iter()
            .map(|op| serde_json::to_value(op.state).unwrap())
            .collect();
        assert_eq!(states, ["inFlight", "blocked"]);
        assert_eq!(waiting[1].blocked_by.as_deref(), Some(&*waiting[0].op_id));
    });
    assert!(ok && a.pending() == 0, "the edit went in the same cycle");
    let row = &world.server.rows("ann")[0];
    let data: Value = serde_json::from_str(row.data.as_deref().unwrap()).unwrap();
    assert_eq!(
        (&data["title"], &data["n"], row.version),
        (&"milk".into(), &2.into(), 2)
    );
    assert_eq!(phone.pushed(), [["t"], ["t"]]);
}

#[test]
fn a_delete_while_the_create_is_on_its_way_is_not_undone_by_the_answer() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let ok = meanwhile(&a, &phone, async || {
        write(
            &a,
            Write::Delete {
                id: "t".to_owned(),
                soft: false,
            },
        )
        .await
    });
    assert!(ok && a.titles().is_empty() && a.pending() == 0);
    assert!(world.server.rows("ann")[0].data.is_none());
    let laptop = world.device("laptop").open();
    laptop.sync();
    a.sync();
    assert!(
        laptop.titles().is_empty() && a.titles().is_empty(),
        "it does not come back"
    );
}

#[test]
fn what_was_on_its_way_at_a_reload_is_sent_again_and_applied_once() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    phone.fault("/push", Fault::ReplyLost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    drop(a);
    let again = phone.open();
    again.patch("t", r#"{"title":"oat milk"}"#);
    again.delete("t");
    again.create(r#"{"id":"u","title":"tea"}"#);
    let result = again.sync();
    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!(
        (again.titles(), again.pending()),
        (vec!["tea".to_owned()], 0)
    );
    assert_eq!(phone.pushed()[0], ["t"], "as it was");
}

#[test]
fn a_verdict_that_arrives_in_another_tab_settles_here_too() {
    let world = World::new();
    world
        .server
        .configure(|config| config.max_entity_bytes = 150);
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"good","title":"milk"}"#);
    a.create(&json!({ "id": "bad", "title": "x".repeat(200) }).to_string());
    b.sync();
    a.run(a.engine.on_head("ann", u64::MAX)).unwrap();
    assert_eq!(
        (a.pending(), a.letters().len(), a.titles()),
        (0, 1, vec!["milk".to_owned()])
    );
    a.patch("good", r#"{"title":"tea"}"#);
    assert!(a.sync().is_success, "made on what the other tab was told");
}
