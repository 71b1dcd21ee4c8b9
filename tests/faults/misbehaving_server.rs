//! Servers that fail by content, by size, by count and by time: everything else flows within one
//! cycle, and nothing is lost.

use std::rc::Rc;

use crate::support::world::{Device, Fault, Request, Tab, World};
use datum_sync::model::error::Code;
use serde_json::{Value, json};

/// How a request that the server does not take fails.
const WAYS: [Way; 10] = [
    Way::Status(500),
    Way::Status(503),
    Way::Status(504),
    Way::Status(400),
    Way::Status(422),
    Way::Page(403),
    Way::Page(200),
    // A refusal without CORS headers, a connection that is closed.
    Way::Lost,
    Way::Silent,
    Way::Cut,
];

const DIRECTIONS: [&str; 3] = ["pushThenPull", "pullThenPush", "pushOnly"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Status(u16),
    Page(u16),
    Lost,
    Silent,
    Cut,
}

impl Way {
    fn fault(self) -> Fault {
        match self {
            Self::Status(status) => Fault::Status(status, None),
            Self::Page(status) => Fault::Page(status),
            Self::Lost => Fault::Lost,
            Self::Silent => Fault::Silent(10_000),
            Self::Cut => Fault::Cut(2),
        }
    }
}

/// SplitMix64.
struct Dice(std::cell::Cell<u64>);

impl Dice {
    fn below(&self, n: usize) -> usize {
        let mut z = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(z);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// Makes every request for which `fails` is true fail in this way.
fn misbehave(device: &Device, way: Way, fails: impl Fn(&Request) -> bool + 'static) {
    let faults = Rc::clone(&device.remote.faults);
    *device.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        let path = if request.path == "/push" {
            "/push"
        } else {
            "/pull"
        };
        if matches!(&*request.path, "/push" | "/pull") && fails(request) {
            faults.borrow_mut().push_back((path, way.fault()));
        }
    }));
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn operations(request: &Request) -> Vec<Value> {
    let body = body(request);
    body["operations"].as_array().cloned().unwrap_or_default()
}

fn fill(tab: &Tab, from: usize, count: usize) {
    for n in from..from + count {
        tab.create(&json!({ "id": format!("t{n:04}"), "title": format!("task {n}") }).to_string());
    }
}

/// Returns the ids that wait, in order.
fn waiting(tab: &Tab) -> Vec<String> {
    let waiting = tab.pending_operations();
    let ids = waiting.iter().map(|op| op["entityId"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// The rows of another device that a pull has to bring.
fn theirs(world: &World, count: usize) {
    let other = world.device("other");
    let tab = other.open();
    for n in 0..count {
        tab.create(&json!({ "id": format!("theirs{n:04}"), "title": "theirs" }).to_string());
    }
    assert!(tab.sync().is_success);
}

#[test]
fn one_operation_that_the_server_fails_on_rests_and_is_named_and_all_else_flows() {
    // A cut answer is about an operation that was applied: a pull or another try tells.
    let ways = WAYS.into_iter().filter(|way| *way != Way::Cut);
    for (n, way) in ways.enumerate() {
        for (m, direction) in DIRECTIONS.into_iter().enumerate() {
            {
                let bad = [0, 33, 79][(n + m) % 3];
                let world = World::new();
                theirs(&world, 3);
                let phone = world.device("phone");
                let a = phone.open();
                fill(&a, 0, 80);
                let id = format!("t{bad:04}");
                a.patch(&id, r#"{"title":"DROP TABLE"}"#);
                misbehave(&phone, way, |request| {
                    request.path == "/push"
                        && String::from_utf8_lossy(&request.body).contains("DROP TABLE")
                });
                let what = format!("{way:?} over {id}, {direction}");
                let result = a
                    .sync_with(&json!({ "direction": direction }).to_string())
                    .unwrap_or_else(|error| panic!("{what}: {error}"));

                assert_eq!(waiting(&a).join(","), id, "{what}");
                let error = result.error.unwrap();
                assert_eq!(error.entity_id.as_deref(), Some(&*id), "{what}");
                assert_eq!(
                    a.titles().iter().filter(|title| *title == "theirs").count(),
                    if direction == "pushOnly" { 0 } else { 3 },
                    "{what}"
                );
                let requests = phone.requests().len();
                assert!(requests <= 30, "{what}: {requests} requests");

                // New writes do not wait behind it, nor for a search.
                world.clock.advance(100_000);
                a.create(r#"{"title":"new"}"#);
                phone.requests();
                let _ = a.sync_with(&json!({ "direction": direction }).to_string());
                assert_eq!(waiting(&a).join(","), id, "{what}");
                let requests = phone.requests().len();
                assert!(requests <= 6, "{what}: {requests} requests");

                // The app corrects it.
                a.patch(&id, r#"{"title":"corrected"}"#);
                world.clock.advance(100_000);
                let _ = a.sync_with("{}");
                world.clock.advance(100_000);
                let _ = a.sync_with("{}");
                *phone.remote.on_request.borrow_mut() = None;
                world.clock.advance(100_000);
                assert!(a.sync().is_success, "{what}");
                assert_eq!(a.pending(), 0, "{what}");
                assert_eq!(world.server.rows("ann").len(), 84, "{what}");
            }
        }
    }
}

#[test]
fn a_server_that_takes_few_operations_or_bytes_at_once_gets_few() {
    for way in WAYS {
        for direction in DIRECTIONS {
            for by_bytes in [false, true] {
                let world = World::new();
                theirs(&world, 3);
                let phone = world.device("phone");
                let a = phone.open();
                fill(&a, 0, 100);
                misbehave(&phone, way, move |request| {
                    if by_bytes {
                        request.path == "/push" && request.body.len() > 4_000
                    } else {
                        operations(request).len() > 7
                    }
                });
                let what = format!("{way:?}, {direction}, by bytes: {by_bytes}");
                let options = json!({ "direction": direction }).to_string();
                let result = a
                    .sync_with(&options)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(result.is_success, "{what}: {result:?}");
                assert_eq!(a.pending(), 0, "{what}");
                // It is remembered.
                fill(&a, 100, 40);
                phone.requests();
                a.sync_with(&options).unwrap();
                assert_eq!(a.pending(), 0, "{what}");
                let requests = phone.requests().len();
                assert!(requests <= 20, "{what}: {requests} requests");
            }
        }
    }
}

#[test]
fn a_pull_asks_for_fewer_rows_until_they_come_remembers_it_and_grows_back() {
    for way in WAYS {
        // A page in the remote's place is no answer to a limit.
        if matches!(way, Way::Page(_)) {
            continue;
        }
        let world = World::new();
        theirs(&world, 900);
        let phone = world.device("phone");
        let a = phone.open();
        fill(&a, 0, 3);
        let fails = |request: &Request| {
            request.path == "/pull" && body(request)["limit"].as_u64().unwrap() > 300
        };
        misbehave(&phone, way, fails);
        let result = a
            .sync_with("{}")
            .unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert_eq!(result.pulled_count, 900, "{way:?}");
        let limits = limits(&phone);
        assert!(limits.len() <= 20, "{way:?}: {limits:?}");
        theirs_again(&world);
        a.sync();
        let limits = self::limits(&phone);
        assert!(
            limits.iter().all(|limit| *limit <= 300),
            "{way:?}: {limits:?}"
        );
        *phone.remote.on_request.borrow_mut() = None;
        for _ in 0..3 {
            theirs_again(&world);
            a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
        }
        let most = self::limits(&phone).into_iter().max().unwrap();
        assert!(most >= 200, "{way:?}: {most}");
    }
}

fn theirs_again(world: &World) {
    let other = world.device("another");
    let tab = other.open();
    tab.sync();
    for n in 0..50 {
        tab.patch(&format!("theirs{n:04}"), r#"{"title":"theirs again"}"#);
    }
    tab.sync();
}

fn limits(phone: &Device) -> Vec<u64> {
    let seen = phone.remote.seen.take();
    let pulls = seen.iter().filter(|request| request.path == "/pull");
    pulls
        .map(|request| body(request)["limit"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_remote_that_fails_on_everything_gets_few_requests_and_its_page_size_back() {
    for way in WAYS {
        let world = World::new();
        theirs(&world, 3);
        let phone = world.device("phone");
        let a = phone.open();
        fill(&a, 0, 50);
        misbehave(&phone, way, |_| true);
        for _ in 0..3 {
            a.sync_with("{}").unwrap_err();
            let requests = phone.requests().len();
            assert!(requests <= 8, "{way:?}: {requests}");
        }
        *phone.remote.on_request.borrow_mut() = None;
        let result = a.sync();
        assert!(result.is_success, "{way:?}: {result:?}");
        assert_eq!(a.pending(), 0, "{way:?}: nothing is put off for it");
        assert!(limits(&phone).contains(&1000), "{way:?}");
    }
}

/// Each history: a server with one fault of its own, which never changes; devices that write; one
/// cycle. What the fault is not about is through after it.
#[test]
fn no_single_misbehaviour_stops_anything_else() {
    for seed in 0..60_u64 {
        let dice = Dice(std::cell::Cell::new(seed));
        let way = WAYS[dice.below(WAYS.len())];
        let direction = ["pushThenPull", "pullThenPush"][dice.below(2)];
        let (mine, others) = (1 + dice.below(120), dice.below(300));
        let world = World::new();
        theirs(&world, others);
        let phone = world.device("phone");
        let a = phone.open();
        fill(&a, 0, mine);
        let kind = dice.below(4);
        let bad = format!("task {}\"", dice.below(mine));
        let most = 1 + dice.below(60);
        let is_bad = bad.clone();
        let times = Rc::new(std::cell::Cell::new(dice.below(3)));
        misbehave(&phone, way, move |request| match kind {
            // By content.
            0 => {
                request.path == "/push" && String::from_utf8_lossy(&request.body).contains(&is_bad)
            }
            // By size and by count.
            1 => request.path == "/push" && request.body.len() > 400 * most,
            2 => {
                let limit = body(request)["limit"].as_u64().unwrap_or(0) as usize;
                limit > most && !matches!(way, Way::Page(_)) || operations(request).len() > most
            }
            // By time: the first few requests.
            _ => {
                let left = times.get();
                times.set(left.saturating_sub(1));
                left > 0
            }
        });
        let ended = a.sync_with(&json!({ "direction": direction }).to_string());
        let what = format!("seed {seed}: {way:?} {kind} {direction} {mine} {others}: {ended:?}");
        if kind == 3 {
            let again = ended.or_else(|_| a.sync_with("{}"));
            let again = again.or_else(|_| a.sync_with("{}"));
            assert!(again.is_ok(), "{what}");
        }
        let left = waiting(&a);
        if kind == 0 {
            let applied = usize::from(way == Way::Cut);
            assert!((1 - applied..=1).contains(&left.len()), "{what}");
        } else {
            assert!(left.is_empty(), "{what}: {left:?}");
        }
        let pulled = a.titles().iter().filter(|title| *title == "theirs").count();
        assert_eq!(pulled, others, "{what}");
        *phone.remote.on_request.borrow_mut() = None;
        world.clock.advance(100_000);
        assert!(a.sync().is_success, "{what}");
        assert_eq!(world.server.rows("ann").len(), mine + others, "{what}");
    }
}

#[test]
fn an_answer_that_ends_too_early_is_a_broken_transport_and_is_asked_for_again_in_the_cycle() {
    let world = World::new();
    theirs(&world, 20);
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"mine"}"#);
    for (path, bytes) in [("/push", 0), ("/pull", 0), ("/push", 17), ("/pull", 801)] {
        a.patch(
            &datum_id(&a),
            &json!({ "title": format!("{path} {bytes}") }).to_string(),
        );
        phone.fault(path, Fault::Cut(bytes));
        let result = a.sync();
        assert!(result.is_success, "{path} {bytes}: {result:?}");
        assert_eq!(a.pending(), 0);
    }
    for _ in 0..3 {
        phone.fault("/pull", Fault::Cut(100));
    }
    let error = a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (Code::Network, true));
}

fn datum_id(tab: &Tab) -> String {
    let all = tab.run(tab.engine.entities().read_all("ann", "tasks", false));
    let all: Vec<Value> = serde_json::from_str(&all.unwrap()).unwrap();
    let mine = all
        .iter()
        .find(|task| !task["title"].as_str().unwrap().starts_with("theirs"));
    mine.unwrap()["id"].as_str().unwrap().to_owned()
}
