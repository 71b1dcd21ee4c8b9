//! Dead letters of shared spaces: whether they say that a write may stand, and what trying them
//! again does.

use std::rc::Rc;

use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::model::config::Options;
use futures_util::future::select;

const PULL: &str = r#"{"direction":"pullOnly"}"#;

/// A tab pushes, and is closed before it has heard how that ended.
fn sends_and_closes(world: &World, device: &Device, tab: Tab) {
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
    const SUM: &str =
        r#"{"entities":{"tasks":{"mergeFields":{"n":"sum"}}},"retry":{"maxAttempts":1}}"#;
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
