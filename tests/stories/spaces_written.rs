//! What an app writes into shared spaces: made offline, refused by a role, answered late.

use crate::support::spaces::{CLUB, Peer, TEAM, place, team};
use crate::support::world::{Fault, World};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::json;

#[test]
fn a_space_made_offline_goes_before_what_is_in_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    assert_eq!(a.places(), [place("plan", Some(TEAM))]);
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(b.places(), [place("plan", Some(TEAM))]);
    b.at_rest();
}

#[test]
fn what_is_in_a_space_that_is_refused_becomes_letters_with_it() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = Peer::new(&world, "bob");
    bob.makes(TEAM);
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let mut buried = a.buried();
    buried.sort();
    assert_eq!(
        buried,
        [
            ("blocked".to_owned(), false),
            ("notMember".to_owned(), false)
        ]
    );
    assert_eq!(a.places(), [place("milk", None)]);
    a.at_rest();
}

#[test]
fn a_space_that_ends_before_its_maker_hears_of_it_leaves_nothing() {
    let world = World::new();
    let a = world.device("phone").open();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(a.places(), [place("plan", Some(TEAM))]);
    Peer::new(&world, "ann").ends(TEAM);
    assert!(a.sync().is_success);
    assert!(a.places().is_empty());
    a.at_rest();
}

#[test]
fn the_known_role_refuses_a_write_at_once() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    bob.sets_role(TEAM, "ann", "reader");
    a.sync();
    let code = |write| a.write("tasks", write).unwrap_err().code();
    let patch = || Write::Patch {
        id: "x".to_owned(),
        changes: r#"{"title":"mine"}"#.to_owned(),
    };
    assert_eq!(code(patch()), Code::ReadOnly);
    assert_eq!(
        code(Write::Delete {
            id: "x".to_owned(),
            soft: false
        }),
        Code::ReadOnly
    );
    assert_eq!(
        a.try_create(Some(TEAM), "y", "mine").unwrap_err().code(),
        Code::ReadOnly
    );
    assert_eq!(
        a.try_create(Some(CLUB), "y", "mine").unwrap_err().code(),
        Code::NotMember
    );
    let member = format!("{TEAM}/carl");
    let draft = json!({ "id": member, "spaceId": TEAM, "role": "reader" }).to_string();
    let invites = a.write("$member", Write::Create { draft });
    assert_eq!(invites.unwrap_err().code(), Code::NotOwner);
    bob.sets_role(TEAM, "ann", "writer");
    a.sync();
    a.write("tasks", patch()).unwrap();
    assert!(a.sync().is_success);
}

#[test]
fn a_role_lowered_between_write_and_push_makes_letters_one_by_one() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    a.creates(Some(TEAM), "y", "more");
    a.create(r#"{"title":"milk"}"#);
    bob.sets_role(TEAM, "ann", "reader");
    a.sync();
    assert_eq!(
        a.buried(),
        [
            ("readOnly".to_owned(), false),
            ("readOnly".to_owned(), false)
        ]
    );
    assert_eq!(a.places(), [place("milk", None), place("plan", Some(TEAM))]);
    a.at_rest();
}

#[test]
fn an_owner_may_leave_when_another_stays() {
    let world = World::new();
    let a = world.device("phone").open();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.sync();
    a.sync();
    let id = format!("{TEAM}/ann");
    let leave = || Write::Delete {
        id: id.clone(),
        soft: false,
    };
    a.write("$member", leave()).unwrap();
    a.sync();
    assert_eq!(a.buried(), [("lastOwner".to_owned(), false)]);
    Peer::new(&world, "ann").invites(TEAM, "bob", "owner");
    a.sync();
    a.write("$member", leave()).unwrap();
    assert!(a.sync().is_success);
    a.sync();
    assert!(a.places().is_empty());
    a.at_rest();
}

#[test]
fn two_users_and_three_devices_count_a_sum_once() {
    let config = r#"{"entities":{"tasks":{"mergeFields":{"n":"sum"}}}}"#;
    let world = World::new();
    let bob_first = Peer::new(&world, "bob");
    bob_first.makes(TEAM);
    bob_first.invites(TEAM, "ann", "writer");
    bob_first.does(json!({ "entity": "tasks", "id": "x", "space": TEAM, "kind": "create", "data": { "title": "n", "n": 0 } }));
    let (phone, laptop) = (
        world.device("phone").with_config(config),
        world.device("laptop").with_config(config),
    );
    let desk = world.device_of("bob", "desk").with_config(config);
    let tabs = [phone.open(), laptop.open(), desk.open()];
    for tab in &tabs {
        tab.sync();
    }
    for (n, tab) in tabs.iter().enumerate() {
        tab.patch("x", &format!(r#"{{"n":{}}}"#, n + 1));
    }
    phone.fault("/push", Fault::ReplyLost);
    for _ in 0..4 {
        for tab in &tabs {
            let _ = tab.sync_with("{}");
        }
    }
    for tab in &tabs {
        assert_eq!(tab.read("x").unwrap()["n"], 6);
        assert_eq!(tab.pending(), 0);
    }
}
