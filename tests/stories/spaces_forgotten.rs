//! Pending moves of rows that a restored server has forgotten, in part or as a whole.

use crate::support::restored::restore;
use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Tab, World};
use datum_server::memory::MemoryStore;

/// Ann writes in the team and in the club.
fn both(world: &World) -> Tab {
    let bob = team(world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let a = world.device("phone").open();
    a.sync();
    a
}

/// The server goes back to a backup: then there is one entity, in the club.
fn comes_to_the_club(world: &World, a: &Tab, backup: &MemoryStore, title: &str, told: &str) {
    restore(world, backup, "epoch-2");
    assert!(a.sync().is_success, "{told}: {:?}", a.dead_letters());
    a.sync();
    let mut all = [place(title, Some(CLUB)), place("plan", Some(TEAM))];
    all.sort();
    assert_eq!(a.places(), all, "{told}");
    let count = a.run(a.engine.entities().count("ann", "tasks")).unwrap();
    assert_eq!(count, 2, "{told}: no twin");
    assert_eq!(a.buried(), [], "{told}");
    a.at_rest();
}

#[test]
fn what_the_server_has_forgotten_is_made_where_it_was_to_go() {
    for edited in [false, true] {
        let world = World::new();
        let a = both(&world);
        let backup = world.server.backup();
        a.creates(Some(TEAM), "y", "new");
        a.sync();
        a.moves("y", Some(CLUB));
        if edited {
            a.patch("y", r#"{"done":true}"#);
        }
        comes_to_the_club(&world, &a, &backup, "new", &format!("edited: {edited}"));
        assert_eq!(a.read("y").unwrap()["done"] == true, edited);
    }
}

#[test]
fn a_forgotten_edit_goes_along_with_a_move() {
    for edited in [false, true] {
        let world = World::new();
        let a = both(&world);
        a.creates(Some(TEAM), "y", "new");
        a.sync();
        let backup = world.server.backup();
        a.patch("y", r#"{"title":"newer"}"#);
        a.sync();
        a.moves("y", Some(CLUB));
        if edited {
            a.patch("y", r#"{"done":true}"#);
        }
        comes_to_the_club(&world, &a, &backup, "newer", &format!("edited: {edited}"));
        assert_eq!(a.read("y").unwrap()["done"] == true, edited);
    }
}

#[test]
fn a_forgotten_move_goes_before_what_waits_over_the_row() {
    for (edited, on) in [(false, true), (true, true), (true, false)] {
        let world = World::new();
        let a = both(&world);
        a.create(r#"{"id":"y","title":"new"}"#);
        a.sync();
        let backup = world.server.backup();
        let first = if on { TEAM } else { CLUB };
        a.moves("y", Some(first));
        a.sync();
        a.patch("y", r#"{"title":"newer"}"#);
        a.sync();
        if edited {
            a.patch("y", r#"{"done":true}"#);
        }
        if on {
            a.moves("y", Some(CLUB));
        }
        let told = format!("edited: {edited}, on: {on}");
        comes_to_the_club(&world, &a, &backup, "newer", &told);
        assert_eq!(a.read("y").unwrap()["done"] == true, edited, "{told}");
    }
}

#[test]
fn a_row_that_was_to_go_back_to_where_the_server_has_it_is_there() {
    let world = World::new();
    let a = both(&world);
    a.creates(Some(CLUB), "y", "new");
    a.sync();
    let backup = world.server.backup();
    a.moves("y", None);
    a.sync();
    a.moves("y", Some(CLUB));
    comes_to_the_club(&world, &a, &backup, "new", "there and back");
}

#[test]
fn what_was_to_be_deleted_where_the_server_has_not_moved_it_is_gone() {
    let world = World::new();
    let a = both(&world);
    a.create(r#"{"id":"y","title":"new"}"#);
    a.creates(Some(CLUB), "z", "stays");
    a.sync();
    let backup = world.server.backup();
    a.moves("y", Some(TEAM));
    a.sync();
    a.delete("y");
    comes_to_the_club(&world, &a, &backup, "stays", "a delete");
}
