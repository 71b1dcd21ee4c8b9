//! Moves that are refused, and refusals of rows that move.

use super::spaces_moved::both;
use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Fault, ONE_TRY, World};

const KEEPS: &str = r#"{"entities":{"tasks":{"onRejected":"keepLocal"}}}"#;

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
