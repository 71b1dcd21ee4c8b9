//! Rows that this device moves to another space.

use super::spaces_letters::sends_and_closes;
use crate::support::spaces::{CLUB, Peer, TEAM, place, team};
use crate::support::world::{Fault, Tab, World};
use datum_sync::model::error::Code;
use serde_json::Value;

/// Ann writes in the team and in the club; the team has one row.
pub(super) fn both(world: &World) -> (Peer, Tab) {
    let bob = team(world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let a = world.device("phone").open();
    a.sync();
    (bob, a)
}

#[test]
fn a_row_is_moved_with_what_waits_over_it() {
    let world = World::new();
    let (_, a) = both(&world);
    a.patch("x", r#"{"title":"before"}"#);
    a.moves("x", Some(CLUB));
    assert_eq!(a.places(), [place("before", Some(CLUB))]);
    a.patch("x", r#"{"done":true}"#);
    assert!(a.sync().is_success);
    a.at_rest();
    let b = world.device("laptop").open();
    b.sync();
    for tab in [&a, &b] {
        assert_eq!(tab.places(), [place("before", Some(CLUB))]);
        assert_eq!(tab.read("x").unwrap()["done"], true);
    }
    b.at_rest();
}

#[test]
fn a_row_goes_from_the_own_space_and_back() {
    let world = World::new();
    let (_, a) = both(&world);
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    a.moves("m", Some(TEAM));
    assert!(a.sync().is_success);
    a.at_rest();
    a.moves("m", None);
    assert!(a.sync().is_success);
    assert_eq!(a.places(), [place("milk", None), place("plan", Some(TEAM))]);
    a.at_rest();
}

#[test]
fn what_was_never_sent_is_made_where_it_was_moved() {
    let world = World::new();
    let (_, a) = both(&world);
    a.creates(Some(TEAM), "y", "new");
    a.moves("y", Some(CLUB));
    a.moves("x", Some(CLUB));
    a.moves("x", Some(TEAM));
    assert_eq!(
        a.places(),
        [place("new", Some(CLUB)), place("plan", Some(TEAM))]
    );
    assert_eq!(a.pending(), 1, "what goes and comes back is nothing");
    assert!(a.sync().is_success);
    a.at_rest();
}

#[test]
fn what_another_tab_may_have_sent_is_moved_and_not_made_twice() {
    for back in [false, true] {
        let world = World::new();
        let bob = team(&world);
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        let phone = world.device("phone");
        let (a, b) = (phone.open(), phone.open());
        a.sync();
        let (from, to) = if back {
            a.moves("x", Some(CLUB));
            (None, Some(TEAM))
        } else {
            a.creates(Some(TEAM), "y", "new");
            (Some("new"), Some(CLUB))
        };
        sends_and_closes(&world, &phone, b);
        a.moves(if back { "x" } else { "y" }, to);
        a.sync();
        a.sync();
        let mut places = vec![place("plan", Some(TEAM))];
        places.extend(from.map(|title| place(title, to)));
        places.sort();
        assert_eq!(a.places(), places);
        a.at_rest();
    }
}

#[test]
fn a_move_whose_answer_is_lost_is_moved_once() {
    for order in ["pushThenPull", "pullThenPush"] {
        let world = World::new();
        let bob = team(&world);
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        let phone = world
            .device("phone")
            .with_config(crate::support::world::ONE_TRY);
        let a = phone.open();
        a.sync();
        a.moves("x", Some(CLUB));
        a.patch("x", r#"{"done":true}"#);
        phone.fault("/push", Fault::ReplyLost);
        let _ = a.sync_with(r#"{"direction":"pushOnly"}"#);
        assert_eq!(a.places(), [place("plan", Some(CLUB))]);
        let options = format!(r#"{{"direction":"{order}"}}"#);
        a.sync_with(&options).unwrap();
        a.sync();
        assert_eq!(a.places(), [place("plan", Some(CLUB))], "{order}");
        assert_eq!(a.read("x").unwrap()["done"], true, "{order}");
        assert!(a.buried().is_empty());
        a.at_rest();
    }
}

#[test]
fn an_edit_elsewhere_goes_along_with_the_move() {
    for order in ["pushThenPull", "pullThenPush"] {
        for after in [false, true] {
            let world = World::new();
            let (bob, a) = both(&world);
            a.moves("x", Some(CLUB));
            if after {
                a.patch("x", r#"{"done":true}"#);
            }
            bob.edits(Some(TEAM), "x", "theirs");
            a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
                .unwrap();
            a.sync();
            let told = format!("{order} {after}");
            assert_eq!(a.places(), [place("theirs", Some(CLUB))], "{told}");
            assert_eq!(a.read("x").unwrap()["done"] == true, after, "{told}");
            a.at_rest();
        }
    }
}

#[test]
fn a_row_that_both_move_ends_where_the_later_word_says() {
    for order in ["pushThenPull", "pullThenPush"] {
        for to_club in [false, true] {
            let world = World::new();
            let (bob, a) = both(&world);
            let third = "cccccccc-0000-4000-8000-000000000003";
            bob.makes(third);
            bob.invites(third, "ann", "writer");
            a.sync();
            a.moves("x", Some(CLUB));
            a.patch("x", r#"{"done":true}"#);
            bob.moves(Some(TEAM), "x", Some(if to_club { CLUB } else { third }));
            a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
                .unwrap();
            a.sync();
            let told = format!("{order} {to_club}");
            assert_eq!(a.places(), [place("plan", Some(CLUB))], "{told}");
            assert_eq!(a.read("x").unwrap()["done"], true, "{told}");
            assert!(a.buried().is_empty(), "{told}");
            a.at_rest();
        }
    }
}

#[test]
fn a_row_that_another_deletes_is_made_where_it_was_moved() {
    for order in ["pushThenPull", "pullThenPush"] {
        let world = World::new();
        let (bob, a) = both(&world);
        a.moves("x", Some(CLUB));
        bob.deletes(Some(TEAM), "x");
        a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
            .unwrap();
        a.sync();
        // The default resolver lets an edit survive a delete; a move is one.
        assert_eq!(a.places(), [place("plan", Some(CLUB))], "{order}");
        a.at_rest();
    }
}

#[test]
fn a_delete_of_what_another_has_moved_meets_the_row_where_it_is() {
    for order in ["pushThenPull", "pullThenPush"] {
        let world = World::new();
        let (bob, a) = both(&world);
        a.delete("x");
        bob.moves(Some(TEAM), "x", Some(CLUB));
        a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
            .unwrap();
        a.sync();
        assert!(a.places().is_empty(), "{order}");
        a.at_rest();
    }
}

#[test]
fn who_may_not_write_there_cannot_move_there() {
    let world = World::new();
    let (bob, a) = both(&world);
    bob.sets_role(CLUB, "ann", "reader");
    a.moves("x", Some(CLUB));
    assert!(!a.sync().is_success);
    assert_eq!(a.buried(), [("readOnly".to_owned(), false)]);
    assert_eq!(a.places(), [place("plan", Some(TEAM))]);
    assert_eq!(
        a.try_move("x", Some(CLUB)).unwrap_err().code(),
        Code::ReadOnly
    );
    a.at_rest();
}

#[test]
fn who_leaves_the_space_that_a_row_was_to_go_to_keeps_the_row() {
    let world = World::new();
    let (bob, a) = both(&world);
    a.moves("x", Some(CLUB));
    a.patch("x", r#"{"done":true}"#);
    bob.removes(CLUB, "ann");
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(a.places(), [place("plan", Some(TEAM))]);
    assert_eq!(a.buried().len(), 2);
    a.at_rest();
}

#[test]
fn what_was_sent_of_a_moved_row_is_another_operation_where_it_lives() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    // Its conflict names a space that no list has yet.
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    bob.moves(Some(TEAM), "x", Some(CLUB));
    a.engine.remote().seen.take();
    a.sync();
    let seen = a.engine.remote().seen.take();
    let pushes = seen.iter().filter(|one| one.path == "/push");
    let sent: Vec<(String, String)> = pushes
        .map(|push| {
            let body: Value = serde_json::from_slice(&push.body).unwrap();
            let op = &body["operations"][0];
            let text = |name: &str| op[name].as_str().unwrap().to_owned();
            (text("space"), text("opId"))
        })
        .collect();
    let spaces: Vec<&str> = sent.iter().map(|(space, _)| &**space).collect();
    assert_eq!(spaces, [TEAM, CLUB]);
    assert_ne!(sent[0].1, sent[1].1);
    assert_eq!(a.places(), [place("mine", Some(CLUB))]);
    a.at_rest();
}
