//! Shared spaces of a user whose data another user takes over, or whose server is another one.

use super::user_support::switch;
use crate::support::spaces::{CLUB, Peer, TEAM, place};
use crate::support::world::{Tab, World};
use datum_sync::model::config::UserSwitch::Adopt;
use datum_sync::plan::write::Write;
use serde_json::json;

/// Ann may write in the team of carl, which has two rows; bob perhaps too.
fn shared(world: &World, bob: Option<&str>) -> (Peer, Tab) {
    let carl = Peer::new(world, "carl");
    carl.makes(TEAM);
    carl.invites(TEAM, "ann", "writer");
    if let Some(role) = bob {
        carl.invites(TEAM, "bob", role);
    }
    carl.writes(Some(TEAM), "x", "plan");
    carl.writes(Some(TEAM), "y", "more");
    carl.writes(Some(TEAM), "z", "old");
    let a = world.device("phone").open();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    (carl, a)
}

/// The tab as one of the account's.
fn adopted(a: Tab) -> Tab {
    let result = switch(&a, "bob", Adopt);
    assert!(result.success && result.error.is_none(), "{result:?}");
    Tab {
        user: "bob".to_owned(),
        ..a
    }
}

#[test]
fn an_account_that_is_a_member_too_goes_on_with_what_was_pending() {
    let world = World::new();
    let (_, a) = shared(&world, Some("writer"));
    a.patch("x", r#"{"title":"mine"}"#);
    a.delete("z");
    a.creates(Some(TEAM), "n", "new");
    a.moves("y", None);
    a.moves("m", Some(TEAM));
    let b = adopted(a);
    assert!(b.sync().is_success, "{:?}", b.dead_letters());
    b.sync();
    let places = [
        place("milk", Some(TEAM)),
        place("mine", Some(TEAM)),
        place("more", None),
        place("new", Some(TEAM)),
    ];
    assert_eq!(b.places(), places);
    assert_eq!(b.buried(), []);
    b.at_rest();
    let again = world.device_of("bob", "laptop").open();
    again.sync();
    assert_eq!(again.places(), places);
}

#[test]
fn an_account_that_is_no_member_gets_letters_of_what_was_pending_alone() {
    for role in [None, Some("reader")] {
        let world = World::new();
        let (_, a) = shared(&world, role);
        a.patch("x", r#"{"title":"mine"}"#);
        let b = adopted(a);
        b.sync();
        b.sync();
        let code = if role.is_some() {
            "readOnly"
        } else {
            "notMember"
        };
        let letters = b.dead_letters();
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert_eq!(
            (&letters[0]["code"], &letters[0]["data"]["title"]),
            (&code.into(), &"mine".into())
        );
        assert_eq!(b.places().contains(&place("milk", None)), true);
        assert_eq!(b.places().len(), if role.is_some() { 4 } else { 1 });
        b.at_rest();
    }
}

#[test]
fn what_an_owner_had_begun_in_a_space_of_the_server_is_not_made_anew() {
    let world = World::new();
    let a = world.device("phone").open();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.sync();
    a.sync();
    a.makes(CLUB);
    a.creates(Some(CLUB), "y", "song");
    for space in [TEAM, CLUB] {
        let member = format!("{space}/carl");
        let draft = json!({ "id": member, "spaceId": space, "role": "reader" }).to_string();
        a.write("$member", Write::Create { draft }).unwrap();
    }
    let b = adopted(a);
    b.sync();
    b.sync();
    assert_eq!(b.places(), [place("song", Some(CLUB))]);
    let letters = b.dead_letters();
    assert_eq!(letters.len(), 1, "the invitation: {letters:?}");
    assert_eq!(letters[0]["entity"], "$member");
    let c = world.device_of("carl", "laptop").open();
    c.sync();
    assert_eq!(c.places(), [place("song", Some(CLUB))]);
    b.at_rest();
}
