//! Rows that this device moves to another space.

use super::spaces_letters::sends_and_closes;
use crate::support::spaces::{CLUB, Peer, TEAM, place, team};
use crate::support::world::{Fault, ONE_TRY, Tab, World};
use datum_sync::model::error::Code;

const KEEPS: &str = r#"{"entities":{"tasks":{"onRejected":"keepLocal"}}}"#;

/// Ann writes in the team and in the club; the team has one row.
fn both(world: &World) -> (Peer, Tab) {
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
fn a_pending_or_refused_move_says_where_it_goes() {
    let world = World::new();
    let (bob, a) = both(&world);
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    a.moves("x", None);
    a.moves("m", Some(CLUB));
    let pending = a.run(a.engine.pending().list("ann")).unwrap();
    let text = serde_json::to_value(&pending).unwrap();
    assert_eq!(
        (&text[0]["spaceId"], &text[0]["to"]),
        (&TEAM.into(), &().into())
    );
    assert_eq!(
        (text[1].get("spaceId"), &text[1]["to"]),
        (None, &CLUB.into())
    );
    a.creates(Some(TEAM), "y", "new");
    let pending = a.run(a.engine.pending().list("ann")).unwrap();
    let text = serde_json::to_value(&pending[2]).unwrap();
    assert_eq!(text.get("to"), None);
    bob.sets_role(CLUB, "ann", "reader");
    a.sync();
    let letters = a.dead_letters();
    assert_eq!((letters.len(), &letters[0]["to"]), (1, &CLUB.into()));
}

#[test]
fn two_refused_moves_in_a_row_are_tried_again_as_one() {
    let third = "cccccccc-0000-4000-8000-000000000003";
    for (order, sent) in [
        ("pushThenPull", true),
        ("pullThenPush", true),
        ("pushThenPull", false),
    ] {
        let world = World::new();
        let bob = team(&world);
        for space in [CLUB, third] {
            bob.makes(space);
            bob.invites(space, "ann", "writer");
        }
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.sync();
        a.moves("x", Some(CLUB));
        if sent {
            phone.fault("/push", Fault::Lost);
            a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
        }
        a.moves("x", Some(third));
        a.patch("x", r#"{"title":"mine"}"#);
        assert_eq!(a.pending(), if sent { 3 } else { 2 });
        bob.sets_role(if sent { CLUB } else { third }, "ann", "reader");
        a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
            .unwrap();
        a.sync();
        assert_eq!(a.places(), [place("plan", Some(TEAM))], "{order}");
        let mut codes: Vec<_> = a.buried().into_iter().map(|(code, _)| code).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes, ["blocked", "readOnly"], "{order}");
        bob.sets_role(if sent { CLUB } else { third }, "ann", "writer");
        a.sync();
        let first = a
            .dead_letters()
            .into_iter()
            .find(|letter| letter["code"] == "readOnly");
        let id = first.unwrap()["id"].as_str().unwrap().to_owned();
        let before = a.dead_letters();
        a.run(a.engine.dead_letters().retry(&id, None)).unwrap();
        assert_eq!(
            a.buried(),
            [],
            "{order} {sent} {before:?} {:?}",
            a.dead_letters()
        );
        assert!(a.sync().is_success);
        a.sync();
        assert_eq!(a.places(), [place("mine", Some(third))], "{order}");
        a.at_rest();
    }
}

#[test]
fn what_was_refused_and_is_still_shown_goes_along_with_a_move() {
    for creates in [false, true] {
        let world = World::new();
        let bob = team(&world);
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        let a = world.device("phone").with_config(KEEPS).open();
        a.sync();
        let id = if creates { "y" } else { "x" };
        bob.sets_role(TEAM, "ann", "reader");
        if creates {
            a.creates(Some(TEAM), "y", "mine");
        } else {
            a.patch("x", r#"{"title":"mine"}"#);
        }
        a.sync();
        assert_eq!(a.buried(), [("readOnly".to_owned(), false)]);
        bob.sets_role(TEAM, "ann", "writer");
        a.sync();
        assert!(a.places().contains(&place("mine", Some(TEAM))));
        a.moves(id, Some(CLUB));
        assert!(a.places().contains(&place("mine", Some(CLUB))));
        assert_eq!(a.buried(), []);
        assert!(a.sync().is_success, "{:?}", a.dead_letters());
        a.sync();
        let mut places = vec![place("mine", Some(CLUB))];
        places.extend(creates.then(|| place("plan", Some(TEAM))));
        assert_eq!(a.places(), places);
        a.at_rest();
    }
}

#[test]
fn what_was_refused_and_is_still_shown_follows_a_row_that_another_moves() {
    let world = World::new();
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    bob.sets_role(TEAM, "ann", "reader");
    let a = world.device("phone").with_config(KEEPS).open();
    a.sync();
    bob.sets_role(TEAM, "ann", "writer");
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    bob.sets_role(TEAM, "ann", "reader");
    a.sync();
    assert_eq!(a.places(), [place("mine", Some(TEAM))]);
    bob.moves(Some(TEAM), "x", Some(CLUB));
    a.sync_with(r#"{"overrideBatchSize":1}"#).unwrap();
    assert_eq!(a.places(), [place("mine", Some(CLUB))]);
    assert_eq!(a.run(a.engine.entities().count("ann", "tasks")).unwrap(), 1);
    let letter = &a.dead_letters()[0];
    assert_eq!(
        (&letter["spaceId"], &letter["code"]),
        (&CLUB.into(), &"readOnly".into())
    );
    let id = letter["id"].as_str().unwrap().to_owned();
    a.run(a.engine.dead_letters().retry(&id, None)).unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.places(), [place("mine", Some(CLUB))]);
    a.at_rest();
}

#[test]
fn a_letter_of_a_row_that_was_moved_is_tried_again_where_the_row_is() {
    let world = World::new();
    let (bob, a) = both(&world);
    bob.sets_role(TEAM, "ann", "reader");
    a.patch("x", r#"{"title":"mine"}"#);
    a.sync();
    assert_eq!(a.buried(), [("readOnly".to_owned(), false)]);
    bob.moves(Some(TEAM), "x", Some(CLUB));
    a.sync();
    let id = a.dead_letters()[0]["id"].as_str().unwrap().to_owned();
    a.run(a.engine.dead_letters().retry(&id, None)).unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.places(), [place("mine", Some(CLUB))]);
    a.at_rest();
}
