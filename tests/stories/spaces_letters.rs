//! Dead letters of shared spaces: whether they say that a write may stand, and what trying them
//! again does.

use std::rc::Rc;

use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::model::config::Options;
use futures_util::future::select;

const PULL: &str = r#"{"direction":"pullOnly"}"#;

const SUM: &str = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum"}}},"retry":{"maxAttempts":1}}"#;

/// A tab pushes, and is closed before it has heard how that ended.
pub fn sends_and_closes(world: &World, device: &Device, tab: Tab) {
    device.fault("/push", Fault::Late(2_000));
    device.requests();
    let pushes = tab
        .engine
        .synchronize("ann", Options::default(), None, Rc::default());
    let closes = world.clock.sleep(1_000);
    world.clock.run(select(Box::pin(pushes), Box::pin(closes)));
    assert!(device.requests().contains(&"POST /push".to_owned()));
}

#[test]
fn a_letter_says_that_another_tab_may_have_sent_it() {
    for synced_before in [false, true] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (phone.open(), phone.open());
        let bob = team(&world);
        a.sync();
        a.patch("x", r#"{"title":"mine"}"#);
        if synced_before {
            b.sync();
            b.sync();
            a.patch("x", r#"{"title":"more"}"#);
        }
        sends_and_closes(&world, &phone, b);
        bob.removes(TEAM, "ann");
        a.sync_with(PULL).unwrap();
        assert_eq!(
            a.buried(),
            [("notMember".to_owned(), true)],
            "synced before: {synced_before}"
        );
    }
}

#[test]
fn a_tab_that_alone_has_synced_since_knows_what_was_never_sent() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let bob = team(&world);
    b.sync();
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    b.create(r#"{"title":"milk"}"#);
    bob.removes(TEAM, "ann");
    a.sync_with(PULL).unwrap();
    assert_eq!(a.buried(), [("notMember".to_owned(), false)]);
}

#[test]
fn what_another_tab_may_have_sent_is_not_counted_again_where_its_row_was_moved() {
    let world = World::new();
    let phone = world.device("phone").with_config(SUM);
    let (a, b) = (phone.open(), phone.open());
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    a.sync();
    a.patch("x", r#"{"n":1}"#);
    sends_and_closes(&world, &phone, b);
    bob.moves(Some(TEAM), "x", Some(CLUB));
    a.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();
    a.sync();
    assert!(a.buried().is_empty(), "{:?}", a.dead_letters());
    assert_eq!(a.places(), [place("plan", Some(CLUB))]);
    assert_eq!(a.read("x").unwrap()["n"], 1);
    a.at_rest();
}

#[test]
fn a_page_that_closes_sends_nothing_that_another_tab_takes_for_unsent() {
    for synced in [false, true] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, b) = (phone.open(), phone.open());
        let bob = team(&world);
        a.sync();
        if synced {
            b.sync();
        }
        a.patch("x", r#"{"title":"mine"}"#);
        b.run(b.engine.on_head("ann", u64::MAX)).unwrap();
        let left = b.engine.pending().unload_request("ann");
        assert_eq!(left.is_some(), synced);
        bob.removes(TEAM, "ann");
        a.sync_with(PULL).unwrap();
        assert_eq!(a.buried(), [("notMember".to_owned(), synced)]);
    }
}

/// The last push, as it arrived.
fn last_push(device: &Device) -> Vec<u8> {
    let seen = device.remote.seen.take();
    let mut pushes = seen.into_iter().filter(|one| one.path == "/push");
    pushes.next_back().unwrap().body
}

/// A request that was sent before arrives again.
fn comes_late(world: &World, body: &[u8]) {
    let now = world.clock.now();
    let (status, reply) = world
        .server
        .handle("ann", "POST", "/sync/v1/push", body, now);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&reply));
}

fn retries(tab: &Tab, edited: Option<&str>) {
    let letter = tab.dead_letters().remove(0);
    let id = letter["id"].as_str().unwrap();
    let edited = edited.map(str::to_owned);
    tab.run(tab.engine.dead_letters().retry(id, edited))
        .unwrap();
}

#[test]
fn a_refused_write_that_comes_late_counts_once_with_the_second_try() {
    for (edited, first) in [(false, true), (false, false), (true, true), (true, false)] {
        let world = World::new();
        let phone = world.device("phone").with_config(SUM);
        let a = phone.open();
        let bob = team(&world);
        a.sync();
        a.patch("x", r#"{"n":1,"title":"mine"}"#);
        bob.sets_role(TEAM, "ann", "reader");
        phone.requests();
        a.sync();
        let late = last_push(&phone);
        assert_eq!(a.buried(), [("readOnly".to_owned(), false)]);
        bob.sets_role(TEAM, "ann", "writer");
        a.sync();
        retries(&a, edited.then_some(r#"{"title":"edited","n":1}"#));
        if first {
            comes_late(&world, &late);
        }
        assert!(a.sync().is_success);
        if !first {
            comes_late(&world, &late);
        }
        a.sync();
        a.at_rest();
        let told = format!("edited {edited}, late one first {first}");
        let title = if edited { "edited" } else { "mine" };
        assert_eq!(a.places(), [place(title, Some(TEAM))], "{told}");
        // An edited one is another write: it adds to the late one only if that came first.
        if !edited || !first {
            assert_eq!(a.read("x").unwrap()["n"], 1, "{told}");
        }
    }
}

#[test]
fn a_second_try_of_what_may_stand_is_the_same_operation() {
    let world = World::new();
    let phone = world.device("phone").with_config(SUM);
    let a = phone.open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"n":1}"#);
    phone.fault("/push", Fault::Lost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    let late = last_push(&phone);
    bob.removes(TEAM, "ann");
    a.sync_with(PULL).unwrap();
    assert_eq!(a.buried(), [("notMember".to_owned(), true)]);
    bob.invites(TEAM, "ann", "writer");
    a.sync();
    comes_late(&world, &late);
    retries(&a, None);
    assert!(a.sync().is_success);
    a.sync();
    assert_eq!(a.read("x").unwrap()["n"], 1);
    a.at_rest();
}

#[test]
fn a_second_try_of_several_writes_at_once_is_another_operation() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"title":"first"}"#);
    phone.fault("/push", Fault::ReplyLost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    a.patch("x", r#"{"title":"second"}"#);
    bob.removes(TEAM, "ann");
    a.sync_with(PULL).unwrap();
    assert_eq!(a.buried(), [("notMember".to_owned(), true)]);
    bob.invites(TEAM, "ann", "writer");
    a.sync();
    assert_eq!(a.places(), [place("first", Some(TEAM))]);
    retries(&a, None);
    assert!(a.sync().is_success);
    a.sync();
    assert_eq!(a.places(), [place("second", Some(TEAM))]);
    a.at_rest();
}

#[test]
fn an_operation_whose_id_is_in_use_gets_another_at_its_second_try() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    a.patch("m", r#"{"title":"oat milk"}"#);
    let pending = a.run(a.engine.pending().list("ann")).unwrap();
    let reply = format!(
        r#"{{"results":[{{"opId":"{}","status":"rejected","code":"opIdReused","message":"no"}}]}}"#,
        pending[0].op_id
    );
    phone.fault("/push", Fault::Answered(reply));
    a.sync();
    assert_eq!(a.buried(), [("opIdReused".to_owned(), false)]);
    retries(&a, None);
    let again = a.run(a.engine.pending().list("ann")).unwrap();
    assert_ne!(again[0].op_id, pending[0].op_id);
}
