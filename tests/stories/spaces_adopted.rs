//! Shared spaces of a user whose data another user takes over, or whose server is another one.

use super::other_server::{NEW, OLD, moved};
use super::user_support::switch;
use crate::support::spaces::{CLUB, Peer, TEAM, place};
use crate::support::world::{Tab, World};
use datum_server::MemoryServer;
use datum_sync::model::config::UserSwitch::Adopt;
use datum_sync::model::error::Code;
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
        assert!(b.places().contains(&place("milk", None)));
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

#[test]
fn a_new_server_gets_the_spaces_of_an_owner_and_no_others() {
    let world = World::new();
    let mut phone = world.device("phone");
    let mut desk = world.device_of("carl", "desk");
    for device in [&mut phone, &mut desk] {
        device.remote.address = Some(OLD.to_owned());
    }
    let tablet = world.device("tablet").open();
    tablet.makes(TEAM);
    tablet.creates(Some(TEAM), "x", "plan");
    let draft = |space: &str, user: &str, role: &str| Write::Create {
        draft: json!({ "id": format!("{space}/{user}"), "spaceId": space, "role": role })
            .to_string(),
    };
    tablet
        .write("$member", draft(TEAM, "carl", "owner"))
        .unwrap();
    tablet.sync();
    let c = desk.open();
    c.sync();
    c.creates(Some(TEAM), "z", "more");
    c.makes(CLUB);
    c.write("$member", draft(CLUB, "ann", "writer")).unwrap();
    c.creates(Some(CLUB), "y", "song");
    c.sync();
    let a = phone.open();
    a.sync();
    a.creates(Some(CLUB), "w", "verse");
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    a.patch("y", r#"{"title":"tune"}"#);

    let other = MemoryServer::new("epoch-9");
    let moves = |device: &mut crate::support::world::Device, tab: &Tab| {
        let moved = moved(device, tab, &other, NEW);
        assert_eq!(moved.sync_with("{}").unwrap_err().code(), Code::OtherServer);
        let users = moved.engine.users();
        moved.run(users.accept_server(&moved.user, true)).unwrap();
        for _ in 0..3 {
            moved.sync();
        }
        moved
    };
    let a = moves(&mut phone, &a);
    assert_eq!(
        a.places(),
        [place("mine", Some(TEAM)), place("more", Some(TEAM))]
    );
    let mut letters: Vec<_> = a
        .dead_letters()
        .iter()
        .map(|letter| {
            (
                letter["code"].to_string(),
                letter["data"]["title"].to_string(),
            )
        })
        .collect();
    letters.sort();
    let letter = |title: &str| ("\"notMember\"".to_owned(), format!("\"{title}\""));
    assert_eq!(letters, [letter("tune"), letter("verse")]);
    a.at_rest();
    let c = moves(&mut desk, &c);
    assert_eq!(c.buried(), []);
    let all = [
        place("mine", Some(TEAM)),
        place("more", Some(TEAM)),
        place("song", Some(CLUB)),
        place("verse", Some(CLUB)),
    ];
    assert_eq!(c.places()[..3], all[..3]);
    a.sync();
    assert_eq!(a.places(), c.places());
    for tab in [&a, &c] {
        tab.at_rest();
    }
    let roles = |tab: &Tab, space: &str| {
        tab.run(tab.engine.spaces().members(&tab.user, space))
            .unwrap()
    };
    assert_eq!(
        roles(&a, TEAM),
        r#"[{"userId":"ann","role":"owner"},{"userId":"carl","role":"owner"}]"#
    );
    assert_eq!(
        roles(&a, CLUB),
        r#"[{"userId":"ann","role":"writer"},{"userId":"carl","role":"owner"}]"#
    );
}

#[test]
fn the_end_of_a_space_is_told_if_the_account_is_no_member() {
    for (order, member) in [
        ("pushThenPull", false),
        ("pullThenPush", false),
        ("pushThenPull", true),
    ] {
        let told = format!("{order}, member: {member}");
        let world = World::new();
        let a = world.device("phone").open();
        a.makes(TEAM);
        a.creates(Some(TEAM), "x", "plan");
        let id = format!("{TEAM}/bob");
        let draft = json!({ "id": id, "spaceId": TEAM, "role": "owner" }).to_string();
        if member {
            a.write("$member", Write::Create { draft }).unwrap();
        }
        a.sync();
        a.sync();
        assert!(a.run(a.engine.spaces().delete("ann", TEAM)).unwrap());
        let b = adopted(a);
        b.sync_with(&format!(r#"{{"direction":"{order}"}}"#))
            .unwrap();
        b.sync();
        b.sync();
        assert_eq!(b.pending(), 0, "{told}");
        let codes: Vec<_> = b.buried().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["notMember"][usize::from(member)..], "{told}");
        b.at_rest();
        let laptop = world.device("laptop").open();
        laptop.sync();
        let left: &[_] = if member {
            &[]
        } else {
            &[place("plan", Some(TEAM))]
        };
        assert_eq!(laptop.places(), left, "{told}");
    }
}

/// An owner's rows are offered with their own age, whatever was edited over them.
#[test]
fn an_owners_edit_over_an_offered_row_takes_back_nothing_else() {
    let world = World::new();
    let (mut phone, mut desk) = (world.device("phone"), world.device_of("carl", "desk"));
    for device in [&mut phone, &mut desk] {
        device.remote.address = Some(OLD.to_owned());
    }
    let (a, c) = (phone.open(), desk.open());
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    let member = json!({ "id": format!("{TEAM}/carl"), "spaceId": TEAM, "role": "owner" });
    let draft = member.to_string();
    a.write("$member", Write::Create { draft }).unwrap();
    a.sync();
    c.sync();
    let other = MemoryServer::new("epoch-9");
    let moves = |device: &mut crate::support::world::Device, tab: &Tab| {
        let moved = moved(device, tab, &other, NEW);
        assert_eq!(moved.sync_with("{}").unwrap_err().code(), Code::OtherServer);
        let users = moved.engine.users();
        moved.run(users.accept_server(&moved.user, true)).unwrap();
        moved
    };
    let a = moves(&mut phone, &a);
    a.sync();
    a.sync();
    world.clock.advance(60_000);
    a.patch("x", r#"{"title":"newer"}"#);
    a.sync();
    world.clock.advance(60_000);

    let c = moves(&mut desk, &c);
    c.patch("x", r#"{"done":true}"#);
    for tab in [&c, &c, &a] {
        assert!(tab.sync().is_success);
    }

    for tab in [&a, &c] {
        let row = tab.read("x").unwrap();
        assert_eq!(
            (&row["title"], &row["done"]),
            (&"newer".into(), &true.into())
        );
        tab.at_rest();
    }
}
