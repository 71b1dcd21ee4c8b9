//! Faults of shared spaces that random histories have found.

use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::model::space::Role;
use datum_sync::plan::write::Write;
use serde_json::json;

const RED: &str = r#"{"scope":{"name":"red","query":{"where":{"colour":"red"}}}}"#;

#[test]
fn the_first_pull_of_a_filtered_scope_drops_nothing() {
    let world = World::new();
    team(&world);
    let a = world.device("phone").open();
    a.sync();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.creates(Some(TEAM), "y", "more");
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    let all = [
        place("milk", None),
        place("more", Some(TEAM)),
        place("plan", Some(TEAM)),
    ];
    assert_eq!(a.places(), all);
    a.sync_with(RED).unwrap();
    assert_eq!(a.places(), all);
    a.at_rest();
}

#[test]
fn a_delete_in_a_space_that_is_refused_goes_with_its_creation() {
    for member in [true, false] {
        let world = World::new();
        team(&world).removes(TEAM, "ann");
        let a = world.device("phone").open();
        a.makes(TEAM);
        if member {
            let spaces = || a.engine.spaces();
            a.run(spaces().set_role("ann", TEAM, "carol", Role::Writer))
                .unwrap();
            assert!(a.run(spaces().remove("ann", TEAM, "carol")).unwrap());
        } else {
            a.creates(Some(TEAM), "y", "more");
            let (id, soft) = ("y".to_owned(), false);
            a.write("tasks", Write::Delete { id, soft }).unwrap();
        }
        assert_eq!(a.pending(), 2);
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        let mut codes: Vec<_> = a.buried().into_iter().map(|(code, _)| code).collect();
        codes.sort();
        assert_eq!(codes, ["blocked", "notMember"], "{member}");
        a.sync();
        a.at_rest();
    }
}

/// Without it, the later clock would win over the only edit.
#[test]
fn an_edit_that_cannot_follow_its_row_yet_keeps_its_base() {
    for starts in [false, true] {
        for order in ["pushThenPull", "pullThenPush"] {
            for sent in [false, true] {
                let told = format!("starts: {starts}, {order}, sent: {sent}");
                let world = World::new();
                let bob = team(&world);
                let data =
                    json!({ "title": "note", "n": 1, "modifiedAt": "2031-01-01T00:00:00.000Z" });
                bob.does(json!({ "entity": "tasks", "id": "n", "space": TEAM, "kind": "create", "data": data }));
                let phone = world.device("phone").with_config(ONE_TRY);
                let a = phone.open();
                a.sync();
                a.patch("n", r#"{"n":2}"#);
                if sent {
                    phone.fault("/push", Fault::Lost);
                    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
                }
                bob.makes(CLUB);
                bob.invites(CLUB, "ann", "writer");
                if starts {
                    bob.writes(Some(TEAM), "old", "old");
                    bob.deletes(Some(TEAM), "old");
                    world.server.purge_tombstones().unwrap();
                }
                bob.moves(Some(TEAM), "n", Some(CLUB));

                a.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
                    .unwrap();
                // Nothing is lost with what was in memory.
                let b = phone.open();
                b.sync();
                b.sync();

                let there = [place("note", Some(CLUB)), place("plan", Some(TEAM))];
                assert_eq!(b.places(), there, "{told}");
                assert_eq!(b.read("n").unwrap()["n"], 2, "{told}");
                assert_eq!(b.buried(), [], "{told}");
                b.at_rest();
            }
        }
    }
}

/// A device of a member of the team, on which a row was created, before its storage is lost.
fn about_to_lose(world: &World) -> (Device, Tab) {
    let phone = world.device("phone");
    let a = phone.open();
    a.sync();
    a.creates(Some(TEAM), "y", "new");
    (phone, a)
}

/// No list says yet that its user has left, and the server has just taken it.
#[test]
fn what_is_pushed_after_a_loss_is_shown_before_a_list_has_come() {
    let world = World::new();
    let bob = team(&world);
    let (phone, a) = about_to_lose(&world);
    a.patch("x", r#"{"title":"mine"}"#);
    phone.evict();
    let mut seen = [place("mine", Some(TEAM)), place("new", Some(TEAM))];
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(a.places(), seen);
    let a = phone.open();
    assert_eq!(a.places(), seen);
    a.sync_with(RED).unwrap();
    assert_eq!(a.places(), seen);
    // The next edit has a base, so nobody's clock decides.
    let data = json!({ "title": "newer", "modifiedAt": "2031-01-01T00:00:00.000Z" });
    bob.does(json!({ "entity": "tasks", "id": "y", "space": TEAM, "kind": "patch", "data": data }));
    a.patch("y", r#"{"done":true}"#);
    assert!(a.sync().is_success);
    seen[1] = place("newer", Some(TEAM));
    assert_eq!(a.places(), seen);
    assert_eq!(a.read("y").unwrap()["done"], true);
    a.at_rest();
}

#[test]
fn what_is_pushed_after_a_loss_goes_with_a_space_that_its_user_is_not_in_any_more() {
    let world = World::new();
    let bob = team(&world);
    let (phone, a) = about_to_lose(&world);
    phone.evict();
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    bob.removes(TEAM, "ann");
    a.sync_with(RED).unwrap();
    a.sync();
    assert_eq!(a.places(), []);
    a.at_rest();
}

#[test]
fn a_move_into_a_space_that_is_refused_does_not_follow_a_row_that_another_moved() {
    for elsewhere in [true, false] {
        let world = World::new();
        let bob = team(&world);
        bob.removes(TEAM, "ann");
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        let b = world.device("laptop").open();
        b.sync();
        b.create(r#"{"id":"m","title":"milk","done":false}"#);
        b.sync();
        if elsewhere {
            b.moves("m", Some(CLUB));
            b.sync();
        }
        let phone = world.device("phone");
        phone.open().create(r#"{"id":"m","title":"milk"}"#);
        // Nothing is coalesced into what another tab may have sent.
        let a = phone.open();
        a.makes(TEAM);
        a.moves("m", Some(TEAM));
        a.patch("m", r#"{"more":true}"#);
        assert_eq!(a.pending(), 4);

        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

        assert_eq!(a.pending(), 0, "{elsewhere}");
        a.sync();
        let mut codes: Vec<_> = a.buried().into_iter().map(|(code, _)| code).collect();
        codes.sort();
        assert_eq!(codes, ["blocked", "blocked", "notMember"], "{elsewhere}");
        let space = elsewhere.then_some(CLUB);
        assert_eq!(a.places(), [place("milk", space)], "{elsewhere}");
        assert_eq!(a.read("m").unwrap()["more"], serde_json::Value::Null);
        a.at_rest();
    }
}
