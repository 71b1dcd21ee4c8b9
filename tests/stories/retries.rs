//! Pushes that fail or are postponed, and when they are sent again.

use std::rc::Rc;

use crate::support::auto_sync::{AUTO, HOUR, MINUTE, create, leader_tab, wait, with_auto_sync};
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::model::error::Code;
use serde_json::{Value, json};

fn fill(tab: &Tab, count: usize) {
    for n in 0..count {
        tab.create(&json!({ "id": format!("t{n:03}"), "title": n.to_string() }).to_string());
    }
}

/// Makes every push that contains this text fail.
fn fail_over(phone: &Device, text: &'static str, fault: Fault) {
    let faults = Rc::clone(&phone.remote.faults);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" && String::from_utf8_lossy(&request.body).contains(text) {
            faults.borrow_mut().push_back(("/push", fault.clone()));
        }
    }));
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
    let waiting = a.pending_operations();
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
    let a = leader_tab(&phone);
    for _ in 0..4 {
        phone.fault("/push", Fault::Status(503, Some(7_000)));
    }
    with_auto_sync(&a, async {
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
    let a = leader_tab(&phone);
    let times = Rc::new(std::cell::RefCell::new(Vec::new()));
    let (kept, clock, faults) = (
        Rc::clone(&times),
        Rc::clone(&world.clock),
        Rc::clone(&phone.remote.faults),
    );
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" {
            kept.borrow_mut().push(clock.now());
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let verdict = json!({ "results": [{ "opId": body["operations"][0]["opId"], "status": "retry" }] });
            faults
                .borrow_mut()
                .push_back(("/push", Fault::Answered(verdict.to_string())));
        }
    }));
    with_auto_sync(&a, async {
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

/// A remote has a budget of time for each push, and answers the rest with `retry` at once.
#[test]
fn what_the_remote_had_no_time_for_is_sent_in_the_same_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    fill(&a, 3);
    let faults = Rc::clone(&phone.remote.faults);
    let answers = Rc::new(std::cell::Cell::new(0));
    let count = Rc::clone(&answers);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path != "/push" {
            return;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let operations = body["operations"].as_array().unwrap();
        let verdict = |(at, op): (usize, &Value)| match at {
            0 => json!({ "opId": op["opId"], "status": "applied", "version": count.get() + 1 }),
            _ => json!({ "opId": op["opId"], "status": "retry", "retryAfterMs": 0 }),
        };
        let results: Vec<Value> = operations.iter().enumerate().map(verdict).collect();
        count.set(count.get() + 1);
        let answer = json!({ "results": results }).to_string();
        faults
            .borrow_mut()
            .push_back(("/push", Fault::Answered(answer)));
    }));
    let result = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!((answers.get(), result.pending_operations), (3, 0));
    assert!(result.is_success);
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
        let waiting = a.pending_operations();
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
        a.dead_letters().is_empty(),
        "a failure is no verdict: nothing is given up"
    );
    // The app corrects it, and it is sent.
    a.patch("a", r#"{"title":"good"}"#);
    *phone.remote.on_request.borrow_mut() = None;
    world.clock.advance(120_000);
    a.sync();
    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 7));
}

#[test]
fn a_remote_that_fails_over_everything_is_left_alone_after_a_few_tries() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    fill(&a, 8);
    fail_over(&phone, "operations", Fault::Status(500, None));
    for _ in 0..8 {
        phone.requests();
        assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::ServerError);
        let requests = phone.requests();
        assert!(requests.len() <= 5, "{requests:?}");
    }
    assert_eq!(a.pending(), 8);
    *phone.remote.on_request.borrow_mut() = None;
    assert!(a.sync().is_success, "and nothing is put off for it");
    assert_eq!(a.pending(), 0);
}

#[test]
fn used_up_tries_lose_nothing() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    fill(&a, 3);
    (0..18).for_each(|_| phone.fault("/push", Fault::Lost));
    for _ in 0..3 {
        assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::Network);
    }
    let waiting = a.pending_operations();
    assert_eq!(
        (
            waiting.len(),
            waiting[0]["attempts"].as_u64() >= Some(3),
            waiting[0]["lastError"]["code"].as_str()
        ),
        (3, true, Some("network"))
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

#[test]
fn a_retry_waits_as_long_as_the_server_asks() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Status(429, Some(7_000)));
    let before = world.clock.now();

    assert!(a.sync().is_success);

    assert!(world.clock.now() - before >= 7_000);
}

/// Whoever answers in a server's place may ask for a day, and one operation would stay here for it.
#[test]
fn an_operation_that_fails_alone_rests_for_an_hour_at_most_and_not_if_the_app_syncs() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        fail_over(&phone, "poison", Fault::Status(503, Some(86_400_000)));
        create(&a.engine, "ann", "poison").await;
        create(&a.engine, "ann", "milk").await;
        wait(&a, 5_000).await;
        let list = a.engine.pending().list("ann").await.unwrap();
        let next = datum_sync::util::time::parse(list[0].next_attempt_at.as_deref().unwrap());
        assert!(list.len() == 1 && next.unwrap() <= world.clock.now() + HOUR);

        *phone.remote.on_request.borrow_mut() = None;
        let sync = a
            .engine
            .synchronize("ann", Default::default(), None, Default::default());
        assert!(sync.await.unwrap().is_success);
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
    });
}
