//! Shared spaces where the remote has none: an adapter that ignores `space` would mix the rows of all
//! spaces into the user's own.

use crate::support::spaces::{TEAM, place, team};
use crate::support::world::{Device, Tab, World};
use datum_sync::model::error::{Code, Result};
use datum_sync::model::space::Role;

/// A device whose remote is an adapter that knows no spaces.
fn careless(world: &World) -> Device {
    let phone = world.device("phone");
    phone.remote.careless.set(true);
    phone
}

/// No push has named a space.
fn sent_none(phone: &Device) {
    for request in phone.remote.seen.take() {
        let body = String::from_utf8(request.body).unwrap();
        let is_push = request.path == "/push";
        assert!(!is_push || !body.contains("\"space\""), "{body}");
        assert!(!body.contains("$space"), "{body}");
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "{error:?}");
    assert!(error.message().contains("`spaces`"), "{error:?}");
}

/// Writes offline what the remote cannot take, beside what it can.
fn writes(a: &Tab) -> String {
    let home = a.run(a.engine.spaces().create("ann", "home")).unwrap();
    a.creates(Some(&home), "x", "plan");
    a.create(r#"{"id":"y","title":"milk"}"#);
    a.create(r#"{"id":"z","title":"bread"}"#);
    home
}

/// The letters have the rows with all their fields, and nothing else is lost.
fn told(a: &Tab) {
    let letters = a.dead_letters();
    let titles: Vec<_> = letters
        .iter()
        .map(|letter| letter["data"]["title"].as_str().unwrap_or("-").to_owned())
        .collect();
    let codes: Vec<_> = letters
        .iter()
        .map(|letter| letter["code"].as_str())
        .collect();
    assert_eq!(codes.len(), 2, "{letters:?}");
    assert!(codes.contains(&Some("unsupported")), "{letters:?}");
    assert!(titles.contains(&"plan".to_owned()), "{letters:?}");
    assert_eq!(
        (a.places(), a.pending()),
        (vec![place("bread", None), place("milk", None)], 0)
    );
}

#[test]
fn what_was_written_before_it_was_known_is_told_and_never_sent() {
    for direction in ["pushThenPull", "pullThenPush", "pushOnly"] {
        let world = World::new();
        let phone = careless(&world);
        let a = phone.open();
        writes(&a);
        a.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
            .unwrap();
        told(&a);
        sent_none(&phone);
    }
}

#[test]
fn a_pull_alone_tells_it_too() {
    let world = World::new();
    let phone = careless(&world);
    let a = phone.open();
    writes(&a);
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(a.buried().len(), 2);
    assert_eq!(a.pending(), 2);
    assert!(a.sync().is_success);
    told(&a);
    sent_none(&phone);
}

#[test]
fn a_move_that_waits_is_told_and_its_entity_stays() {
    let world = World::new();
    let phone = careless(&world);
    let a = phone.open();
    phone.fault("/pull", crate::support::world::Fault::Lost);
    a.create(r#"{"id":"y","title":"milk"}"#);
    let home = a.run(a.engine.spaces().create("ann", "home")).unwrap();
    a.moves("y", Some(&home));
    let _ = a.sync_with("{}");
    a.sync_with("{}").unwrap();
    let told = a.dead_letters();
    assert!(
        told.iter().any(|letter| letter["data"]["title"] == "milk"),
        "{told:?}"
    );
    assert_eq!(a.pending(), 0);
    sent_none(&phone);
}

#[test]
fn once_it_is_known_every_write_into_a_space_is_refused_also_after_a_reload() {
    let world = World::new();
    let phone = careless(&world);
    let a = phone.open();
    a.create(r#"{"id":"y","title":"milk"}"#);
    assert!(a.sync().is_success);
    for checkpointed in [false, true] {
        if checkpointed {
            let user = a.run(a.engine.user("ann")).unwrap();
            a.run(user.db.checkpoint()).unwrap();
        }
        let b = phone.open();
        refused(b.run(b.engine.spaces().create("ann", "home")));
        refused(b.run(b.engine.spaces().set_role("ann", TEAM, "bob", Role::Reader)));
        refused(b.try_create(Some(TEAM), "x", "plan"));
        refused(b.try_move("y", Some(TEAM)));
        b.patch("y", &format!(r#"{{"done":{checkpointed}}}"#));
        assert_eq!(b.pending(), 1);
        assert!(b.sync().is_success);
    }
    sent_none(&phone);
}

#[test]
fn a_letter_of_it_cannot_be_sent_again_while_the_remote_has_none() {
    let world = World::new();
    let phone = careless(&world);
    let a = phone.open();
    let home = writes(&a);
    a.sync_with("{}").unwrap();
    let letters = a.dead_letters();
    let making = letters
        .iter()
        .find(|letter| letter["code"] == "unsupported")
        .unwrap();
    let id = making["id"].as_str().unwrap().to_owned();
    refused(a.run(a.engine.dead_letters().retry(&id, None)));
    // The backend has got spaces: the next pull finds out.
    phone.remote.careless.set(false);
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    a.run(a.engine.dead_letters().retry(&id, None)).unwrap();
    assert!(a.sync().is_success);
    assert!(
        a.places().contains(&place("plan", Some(&home))),
        "{:?}",
        a.places()
    );
}

#[test]
fn a_backend_that_gets_spaces_is_noticed_without_a_full_pull() {
    let world = World::new();
    let phone = careless(&world);
    let a = phone.open();
    a.create(r#"{"id":"y","title":"milk"}"#);
    assert!(a.sync().is_success);
    refused(a.run(a.engine.spaces().create("ann", "home")));
    phone.remote.careless.set(false);
    assert!(a.sync().is_success);
    a.run(a.engine.spaces().create("ann", "home")).unwrap();
    assert!(a.sync().is_success);
    assert_eq!(a.pending(), 0);
}

#[test]
fn spaces_that_a_remote_has_no_more_are_left_and_what_waits_is_told() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    team(&world);
    a.create(r#"{"id":"y","title":"milk"}"#);
    a.sync();
    a.creates(Some(TEAM), "z", "waits");
    phone.remote.careless.set(true);
    phone.remote.seen.take();
    let page = r#"{"changes":[{"entity":"tasks","id":"y","version":1,"data":{"title":"milk"}}],"cursor":"c","more":false}"#;
    phone.fault(
        "/pull",
        crate::support::world::Fault::Answered(page.to_owned()),
    );
    a.sync_with(r#"{"direction":"pullOnly","forceFullSync":true}"#)
        .unwrap();
    assert_eq!(a.places(), [place("milk", None)]);
    assert_eq!(a.buried(), [("unsupported".to_owned(), false)]);
    assert_eq!(a.run(a.engine.spaces().list("ann")).unwrap(), "[]");
    sent_none(&phone);
}

#[test]
fn all_that_waits_becomes_letters_in_one_commit() {
    let [one, three] = [1, 3].map(|spaces| {
        let world = World::new();
        let phone = careless(&world);
        let a = phone.open();
        for _ in 0..spaces {
            a.run(a.engine.spaces().create("ann", "home")).unwrap();
        }
        let before = phone.counts().transactions;
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        let codes: Vec<_> = a.buried().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, vec!["unsupported"; spaces]);
        phone.counts().transactions - before
    });
    assert_eq!(one, three);
}
