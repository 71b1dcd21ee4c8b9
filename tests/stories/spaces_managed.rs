//! The spaces of a user as an app manages them: made, named, shared, left.

use super::spaces_letters::sends_and_closes;
use crate::support::spaces::{CLUB, Peer, TEAM, team};
use crate::support::world::{Fault, ONE_TRY, Tab, World};
use datum_sync::model::error::Code;
use datum_sync::model::space::Role;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::{Value, json};

fn spaces(tab: &Tab) -> Value {
    let text = tab.run(tab.engine.spaces().list(&tab.user)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn members(tab: &Tab, space: &str) -> Value {
    let text = tab
        .run(tab.engine.spaces().members(&tab.user, space))
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_space_is_made_named_shared_and_ended_offline() {
    let world = World::new();
    let a = world.device("phone").open();
    let b = world.device_of("bob", "desk").open();
    let id = a.run(a.engine.spaces().create("ann", "plans")).unwrap();
    let named = |name: &str, role: &str| json!([{ "spaceId": id, "role": role, "name": name }]);
    assert_eq!(spaces(&a), named("plans", "owner"));
    assert_eq!(
        members(&a, &id),
        json!([{ "userId": "ann", "role": "owner" }])
    );
    a.run(a.engine.spaces().rename("ann", &id, "trips"))
        .unwrap();
    a.run(a.engine.spaces().set_role("ann", &id, "bob", Role::Reader))
        .unwrap();
    a.creates(Some(&id), "x", "rome");
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    b.sync();
    assert_eq!(spaces(&b), named("trips", "reader"));
    let both = json!([{ "userId": "ann", "role": "owner" }, { "userId": "bob", "role": "reader" }]);
    assert_eq!((members(&a, &id), members(&b, &id)), (both.clone(), both));
    let refused = b.run(b.engine.spaces().rename("bob", &id, "mine"));
    assert_eq!(refused.unwrap_err().code(), Code::NotOwner);
    a.run(a.engine.spaces().set_role("ann", &id, "bob", Role::Writer))
        .unwrap();
    a.sync();
    b.sync();
    b.patch("x", r#"{"title":"paris"}"#);
    b.sync();
    assert!(b.run(b.engine.spaces().leave("bob", &id)).unwrap());
    assert_eq!(spaces(&b), json!([]));
    b.sync();
    b.sync();
    assert!(b.places().is_empty());
    a.sync();
    assert_eq!(
        members(&a, &id),
        json!([{ "userId": "ann", "role": "owner" }])
    );
    assert_eq!(a.titles(), ["paris"]);
    assert!(a.run(a.engine.spaces().delete("ann", &id)).unwrap());
    assert_eq!(spaces(&a), json!([]));
    a.sync();
    a.sync();
    assert!(a.titles().is_empty());
    a.at_rest();
}

#[test]
fn the_maker_of_a_space_is_a_member_before_the_server_says_so() {
    let world = World::new();
    let a = world.device("phone").open();
    let id = a.run(a.engine.spaces().create("ann", "plans")).unwrap();
    a.run(a.engine.spaces().set_role("ann", &id, "aaron", Role::Owner))
        .unwrap();
    let both =
        json!([{ "userId": "aaron", "role": "owner" }, { "userId": "ann", "role": "owner" }]);
    let leave = || a.run(a.engine.spaces().leave("ann", &id));
    assert_eq!(members(&a, &id), both);
    assert_eq!(leave().unwrap_err().code(), Code::NotFound);
    // It is made, and not pulled.
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(members(&a, &id), both);
    assert_eq!(leave().unwrap_err().code(), Code::NotFound);
    a.sync();
    assert_eq!(members(&a, &id), both);
    assert!(leave().unwrap());
    assert!(!leave().unwrap());
    a.sync();
    assert_eq!(spaces(&a), json!([]));
    a.at_rest();
}

#[test]
fn nothing_is_written_into_a_space_that_is_being_left() {
    let world = World::new();
    let a = world.device("phone").open();
    let made = ["plans", "trips"].map(|name| a.run(a.engine.spaces().create("ann", name)).unwrap());
    let [left, ended] = &made;
    a.creates(Some(left), "x", "rome");
    a.creates(Some(ended), "y", "oslo");
    a.create(r#"{"id":"z","title":"milk"}"#);
    a.sync();
    a.sync();
    a.patch("x", r#"{"title":"paris"}"#);
    assert!(a.run(a.engine.spaces().leave("ann", left)).unwrap());
    assert!(a.run(a.engine.spaces().delete("ann", ended)).unwrap());
    assert_eq!(spaces(&a), json!([]));
    for (space, id) in [(left, "x"), (ended, "y")] {
        let (draft, changes) = (
            json!({ "title": "late", "spaceId": space }).to_string(),
            r#"{"title":"late"}"#.to_owned(),
        );
        let id = id.to_owned();
        for write in [Write::Create { draft }, Write::Patch { id, changes }] {
            assert_eq!(a.write("tasks", write).unwrap_err().code(), Code::NotMember);
        }
        let moved = a.try_move("z", Some(space));
        assert_eq!(moved.unwrap_err().code(), Code::NotMember);
    }
    // The last owner stays, so that the space is there again.
    a.sync();
    a.sync();
    assert_eq!(a.buried(), [("lastOwner".to_owned(), false)]);
    assert_eq!(a.titles(), ["milk", "paris"]);
    a.patch("x", r#"{"title":"bonn"}"#);
    a.sync();
    a.at_rest();
}

#[test]
fn a_watch_of_spaces_tells_each_change_once() {
    let world = World::new();
    let a = world.device("phone").open();
    let watch = a.run(a.engine.spaces().watch("ann")).unwrap();
    let now = || {
        watch
            .next()
            .now_or_never()
            .map(|next| next.unwrap().unwrap())
    };
    assert_eq!(now().as_deref(), Some("[]"));
    assert_eq!(now(), None);
    let bob = Peer::new(&world, "bob");
    bob.makes(TEAM);
    bob.invites(TEAM, "ann", "reader");
    a.sync();
    let told = |role: &str| json!([{ "spaceId": TEAM, "role": role, "name": "team" }]);
    let next = || serde_json::from_str::<Value>(&now().unwrap()).unwrap();
    assert_eq!(next(), told("reader"));
    a.create(r#"{"title":"milk"}"#);
    assert_eq!(now(), None);
    bob.sets_role(TEAM, "ann", "writer");
    a.sync();
    assert_eq!(next(), told("writer"));
    bob.removes(TEAM, "ann");
    a.sync();
    assert_eq!(now().as_deref(), Some("[]"));
    watch.end();
    assert_eq!(watch.next().now_or_never().unwrap().unwrap(), None);
}

#[test]
fn bad_input_is_refused_by_name() {
    let world = World::new();
    let a = world.device("phone").open();
    let manager = || a.engine.spaces();
    let code = |result: datum_sync::model::error::Result<()>| result.unwrap_err().code();
    for name in ["", "a\nb", &"x".repeat(513)] {
        let made = a.run(manager().create("ann", name)).map(drop);
        assert_eq!(code(made), Code::InvalidArgument);
    }
    for id in ["", "team", "AAAAAAAA-0000-4000-8000-000000000001", "a\0b"] {
        assert_eq!(
            code(a.run(manager().rename("ann", id, "x"))),
            Code::InvalidArgument
        );
        let draft = json!({ "title": "x", "spaceId": id }).to_string();
        let made = a.write("tasks", datum_sync::plan::write::Write::Create { draft });
        if !id.is_empty() {
            assert_eq!(made.unwrap_err().code(), Code::InvalidEntity, "{id}");
        }
    }
    assert_eq!(
        code(a.run(manager().rename("ann", TEAM, "x"))),
        Code::NotFound
    );
    assert_eq!(
        code(a.run(manager().set_role("ann", TEAM, "bob", Role::Reader))),
        Code::NotMember
    );
    assert!(!a.run(manager().leave("ann", TEAM)).unwrap());
    assert_eq!(
        code(a.run(manager().set_role("ann", TEAM, &"b".repeat(476), Role::Reader))),
        Code::InvalidArgument
    );
    assert_eq!(
        a.try_move("x", Some(TEAM)).unwrap_err().code(),
        Code::NotFound
    );
    a.create(r#"{"id":"x","title":"milk"}"#);
    assert_eq!(
        a.try_move("x", Some(TEAM)).unwrap_err().code(),
        Code::NotMember
    );
}

#[test]
fn the_end_of_what_has_ended_already_is_done() {
    for (ends, direction) in [
        (true, "pullThenPush"),
        (true, "pushThenPull"),
        (false, "pullThenPush"),
        (false, "pushThenPull"),
    ] {
        let world = World::new();
        let a = world.device("phone").open();
        let id = a.run(a.engine.spaces().create("ann", "plans")).unwrap();
        a.run(a.engine.spaces().set_role("ann", &id, "bob", Role::Owner))
            .unwrap();
        a.sync();
        a.sync();
        let bob = Peer::new(&world, "bob");
        if ends {
            a.run(a.engine.spaces().rename("ann", &id, "trips"))
                .unwrap();
            a.run(a.engine.spaces().delete("ann", &id)).unwrap();
            bob.ends(&id);
        } else {
            a.run(a.engine.spaces().leave("ann", &id)).unwrap();
            bob.removes(&id, "ann");
        }
        let options = format!(r#"{{"direction":"{direction}"}}"#);
        let result = a.sync_with(&options).unwrap();
        let told = format!("ends {ends}, {direction}");
        assert!(result.is_success, "{told} {result:?}");
        assert!(a.buried().is_empty(), "{told} {:?}", a.dead_letters());
        assert_eq!(spaces(&a), json!([]), "{told}");
        a.at_rest();
    }
}

#[test]
fn nothing_of_a_space_that_has_ended_stays_behind_one_of_its_id() {
    for pulls_between in [false, true] {
        let world = World::new();
        let a = world.device("phone").open();
        a.makes(TEAM);
        a.run(a.engine.spaces().set_role("ann", TEAM, "bob", Role::Reader))
            .unwrap();
        a.creates(Some(TEAM), "x", "rome");
        a.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();
        if pulls_between {
            a.sync();
        }
        assert!(a.run(a.engine.spaces().delete("ann", TEAM)).unwrap());
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        a.makes(TEAM);
        a.engine.remote().seen.take();
        a.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();
        let pulls = a.engine.remote().seen.take();
        let pulls = pulls.iter().filter(|one| one.path == "/pull").count();
        assert_eq!(pulls, 1, "nothing is left that a digest would find");
        // An id of a space is never used again.
        assert_eq!(a.buried(), [("notMember".to_owned(), false)]);
        assert_eq!(spaces(&a), json!([]));
        assert!(a.places().is_empty());
        a.at_rest();
    }
}

#[test]
fn an_end_that_was_refused_before_its_author_is_a_member_again_is_sent_again() {
    for ends in [true, false] {
        let world = World::new();
        let a = world.device("phone").open();
        let bob = team(&world);
        bob.sets_role(TEAM, "ann", "owner");
        a.sync();
        match ends {
            true => a.run(a.engine.spaces().delete("ann", TEAM)).unwrap(),
            false => a.run(a.engine.spaces().leave("ann", TEAM)).unwrap(),
        };
        bob.removes(TEAM, "ann");
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        assert_eq!(spaces(&a), json!([]));
        bob.invites(TEAM, "ann", "owner");
        a.engine.remote().seen.take();
        a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
        let pulls = a.engine.remote().seen.take();
        let pulls = pulls.iter().filter(|one| one.path == "/pull").count();
        assert_eq!(pulls, 1, "nothing is missing that a digest would find");
        world.clock.advance(60_000);
        a.sync();
        a.sync();
        assert_eq!((spaces(&a), a.buried()), (json!([]), Vec::new()));
        assert!(a.places().is_empty());
        a.at_rest();
    }
}

#[test]
fn a_space_whose_creation_met_what_this_device_had_sent_is_its_users() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    a.sync();
    a.makes(CLUB);
    a.creates(Some(CLUB), "y", "rome");
    sends_and_closes(&world, &phone, b);
    a.run(a.engine.spaces().rename("ann", CLUB, "trips"))
        .unwrap();
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!(
        spaces(&a),
        json!([{ "spaceId": CLUB, "role": "owner", "name": "trips" }])
    );
    a.creates(Some(CLUB), "z", "oslo");
    a.sync();
    assert_eq!(a.titles(), ["oslo", "rome"]);
    a.at_rest();
}

#[test]
fn nothing_stays_of_a_space_that_is_made_again_after_a_loss_and_that_others_have() {
    for size in [100, 1] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        let bob = team(&world);
        a.sync();
        a.creates(Some(TEAM), "y", "mine");
        phone.evict();
        phone.fault("/push", Fault::ReplyLost);
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
        a.makes(TEAM);
        bob.removes(TEAM, "ann");
        let options = format!(r#"{{"direction":"pullThenPush","overrideBatchSize":{size}}}"#);
        a.sync_with(&options).unwrap();
        assert_eq!(a.places(), [], "{size}");
        assert_eq!((spaces(&a), a.pending()), (json!([]), 0));
        assert_eq!(a.buried(), [("notMember".to_owned(), false)]);
        a.at_rest();
    }
}
