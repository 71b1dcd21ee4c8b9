//! Shared spaces in pages: joining, leaving, starting from the beginning, and rows that move.

use std::rc::Rc;

use crate::support::spaces::{CLUB, Peer, TEAM, place, team};
use crate::support::world::{Fault, Tab, World};
use datum_sync::engine::events::{Filter, Reader, Topic};
use futures_util::FutureExt;
use serde_json::Value;

fn hears(tab: &Tab) -> Rc<Reader> {
    tab.engine.events(Filter {
        topics: vec![
            Topic::SpaceJoined,
            Topic::SpaceLeft,
            Topic::RoleChanged,
            Topic::DeadLetter,
        ],
        ..Filter::default()
    })
}

/// What was told: type, and space or code.
fn told(reader: &Rc<Reader>) -> Vec<(String, String)> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten())
        .map(|event| {
            let event: Value = serde_json::from_str(&event.text).unwrap();
            let what = match event["spaceId"].as_str() {
                Some(_) => &event["role"],
                None => &event["deadLetter"]["code"],
            };
            (
                event["type"].as_str().unwrap().to_owned(),
                what.as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn pair(kind: &str, what: &str) -> (String, String) {
    (kind.to_owned(), what.to_owned())
}

fn synced(tab: &Tab) {
    let result = tab.sync();
    assert!(result.is_success, "{result:?}");
}

#[test]
fn a_space_that_is_joined_comes_whole_and_is_told() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let reader = hears(&a);
    let bob = team(&world);
    synced(&a);
    assert_eq!(a.places(), [place("milk", None), place("plan", Some(TEAM))]);
    assert_eq!(told(&reader), [pair("spaceJoined", "writer")]);
    bob.sets_role(TEAM, "ann", "reader");
    synced(&a);
    assert_eq!(told(&reader), [pair("roleChanged", "reader")]);
    a.at_rest();
    phone.requests();
    let before = phone.counts();
    a.sync();
    assert_eq!(
        phone.requests(),
        ["POST /pull"],
        "an idle cycle is one request"
    );
    assert_eq!(phone.counts().transactions - before.transactions, 1);
}

#[test]
fn a_removed_member_keeps_nothing_and_gets_dead_letters() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    a.sync();
    a.create(r#"{"title":"milk","id":"m"}"#);
    a.patch("x", r#"{"title":"mine"}"#);
    assert_eq!(a.places(), [place("milk", None), place("mine", Some(TEAM))]);
    let reader = hears(&a);
    bob.removes(TEAM, "ann");
    a.engine.remote().seen.take();
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    let pulls = a.engine.remote().seen.take();
    let pulls = pulls.iter().filter(|one| one.path == "/pull").count();
    assert_eq!(pulls, 1, "nothing is left that a digest would find");
    let user = a.engine.opened("ann").unwrap();
    user.db.read(|replica| {
        let all = replica.entities().iter();
        let shared = all.filter(|(table, _)| table.contains(TEAM));
        assert_eq!(
            shared.map(|(_, rows)| rows.iter().count()).sum::<usize>(),
            0
        );
    });
    assert_eq!(a.places(), [place("milk", None)]);
    assert_eq!(a.buried(), [("notMember".to_owned(), false)]);
    assert_eq!(
        told(&reader),
        [pair("spaceLeft", "writer"), pair("deadLetter", "notMember")]
    );
    synced(&a);
    a.at_rest();
}

#[test]
fn a_letter_of_what_was_sent_says_that_it_may_stand() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    phone.fault("/push", Fault::ReplyLost);
    phone.fault("/push", Fault::Lost);
    phone.fault("/push", Fault::Lost);
    phone.fault("/push", Fault::Lost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    phone.remote.faults.borrow_mut().clear();
    bob.removes(TEAM, "ann");
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(a.buried(), [("notMember".to_owned(), true)]);
}

#[test]
fn a_member_who_comes_back_gets_everything_again() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    a.sync();
    bob.removes(TEAM, "ann");
    a.sync();
    assert!(a.places().is_empty());
    bob.edits(Some(TEAM), "x", "better plan");
    bob.invites(TEAM, "ann", "reader");
    synced(&a);
    assert_eq!(a.places(), [place("better plan", Some(TEAM))]);
    a.at_rest();
}

#[test]
fn a_member_who_left_and_came_back_unheard_loses_nothing() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    bob.removes(TEAM, "ann");
    bob.invites(TEAM, "ann", "writer");
    synced(&a);
    a.at_rest();
    assert_eq!(a.places(), [place("mine", Some(TEAM))]);
    assert!(a.buried().is_empty());
}

#[test]
fn a_space_that_ends_takes_its_rows_along_on_every_device() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    let bob = team(&world);
    a.sync();
    b.sync();
    bob.ends(TEAM);
    for tab in [&a, &b] {
        synced(tab);
        assert!(tab.places().is_empty());
        tab.at_rest();
    }
}

#[test]
fn a_space_whose_tombstones_are_forgotten_starts_alone() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let bob = team(&world);
    a.create(r#"{"title":"milk"}"#);
    bob.writes(Some(TEAM), "y", "old");
    a.sync();
    bob.deletes(Some(TEAM), "y");
    bob.writes(Some(TEAM), "z", "new");
    world.server.purge_tombstones().unwrap();
    phone.requests();
    synced(&a);
    assert_eq!(
        a.places(),
        [
            place("milk", None),
            place("new", Some(TEAM)),
            place("plan", Some(TEAM))
        ]
    );
    a.at_rest();
}

#[test]
fn joining_while_a_pull_is_under_way_ends_whole() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let bob = Peer::new(&world, "bob");
    bob.makes(TEAM);
    let ann = Peer::new(&world, "ann");
    for n in 0..8 {
        ann.writes(None, &format!("own{n}"), "own");
        bob.writes(Some(TEAM), &format!("team{n}"), "team");
    }
    let asked = std::cell::Cell::new(0);
    let bob = Rc::new(bob);
    let inviting = Rc::clone(&bob);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/pull" {
            asked.set(asked.get() + 1);
            match asked.get() {
                2 => inviting.invites(TEAM, "ann", "reader"),
                4 => inviting.removes(TEAM, "ann"),
                5 => inviting.invites(TEAM, "ann", "writer"),
                _ => {}
            }
        }
    }));
    a.sync_with(r#"{"overrideBatchSize":3}"#).unwrap();
    synced(&a);
    assert_eq!(a.places().len(), 16);
    a.at_rest();
}

#[test]
fn a_row_that_moves_is_never_away_between_two_pages() {
    for limit in [1, 2, 100] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        let bob = team(&world);
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        a.sync();
        bob.moves(Some(TEAM), "x", Some(CLUB));
        bob.writes(Some(CLUB), "y", "other");
        let watching = a
            .run(a.engine.entities().watch("ann", "tasks", None, false))
            .unwrap();
        watching.next().now_or_never().unwrap().unwrap();
        a.sync_with(&format!(r#"{{"overrideBatchSize":{limit}}}"#))
            .unwrap();
        while let Some(delta) = watching.next().now_or_never() {
            let delta = delta.unwrap().unwrap();
            assert_eq!(delta.gone, Vec::<String>::new(), "limit {limit}");
        }
        assert_eq!(
            a.places(),
            [place("other", Some(CLUB)), place("plan", Some(CLUB))],
            "limit {limit}"
        );
        a.at_rest();
    }
}

#[test]
fn an_edit_goes_with_the_row_to_where_it_was_moved() {
    for (limit, order) in [
        (1, "pullThenPush"),
        (100, "pullThenPush"),
        (1, "pushThenPull"),
    ] {
        let world = World::new();
        let a = world.device("phone").open();
        let bob = team(&world);
        bob.makes(CLUB);
        bob.invites(CLUB, "ann", "writer");
        a.sync();
        a.patch("x", r#"{"title":"mine"}"#);
        bob.does(serde_json::json!({ "entity": "tasks", "id": "x", "space": TEAM, "kind": "patch", "data": { "done": true } }));
        bob.moves(Some(TEAM), "x", Some(CLUB));
        let options = format!(r#"{{"overrideBatchSize":{limit},"direction":"{order}"}}"#);
        a.sync_with(&options).unwrap();
        synced(&a);
        a.at_rest();
        let told = format!("limit {limit}, {order}");
        assert_eq!(a.places(), [place("mine", Some(CLUB))], "{told}");
        assert_eq!(a.read("x").unwrap()["done"], true, "{told}");
        assert!(a.buried().is_empty(), "{told}");
    }
}

#[test]
fn a_row_that_moves_to_where_the_user_cannot_see_it_is_gone() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    bob.makes(CLUB);
    a.sync();
    bob.moves(Some(TEAM), "x", Some(CLUB));
    synced(&a);
    assert!(a.places().is_empty());
    a.at_rest();
}

#[test]
fn two_rows_of_one_id_are_both_kept_and_the_users_own_is_shown() {
    let world = World::new();
    let a = world.device("phone").open();
    let ann = Peer::new(&world, "ann");
    ann.writes(None, "x", "own");
    a.sync();
    team(&world);
    synced(&a);
    assert_eq!(a.places(), [place("own", None)]);
    assert_eq!(a.read("x").unwrap()["title"], "own");
    let theirs = a.read_in(&format!("tasks\0{TEAM}"), "x", false).unwrap();
    assert_eq!(
        (&theirs["title"], &theirs["spaceId"]),
        (&"plan".into(), &TEAM.into())
    );
    assert_eq!(a.run(a.engine.entities().count("ann", "tasks")).unwrap(), 2);
    a.at_rest();
}

#[test]
fn rows_of_a_space_that_no_list_names_are_left_out() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let page = format!(
        r#"{{"changes":[{{"entity":"tasks","id":"x","version":9,"space":"{TEAM}","data":{{"title":"stray"}}}}],"cursor":"c","more":false,"epoch":"epoch-1"}}"#
    );
    phone.fault("/pull", Fault::Answered(page));
    a.sync();
    assert_eq!(a.places(), [place("milk", None)]);
}

#[test]
fn a_row_that_a_started_space_lacks_meets_the_edit_that_waits() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    bob.writes(Some(TEAM), "y", "other");
    a.sync();
    a.patch("x", r#"{"title":"mine"}"#);
    assert!(a.delete("y"));
    bob.deletes(Some(TEAM), "x");
    bob.deletes(Some(TEAM), "y");
    bob.writes(Some(TEAM), "z", "new");
    world.server.purge_tombstones().unwrap();
    let reader = a.engine.events(Filter {
        topics: vec![Topic::ConflictDetected],
        ..Filter::default()
    });
    let result = a
        .sync_with(r#"{"direction":"pullOnly","overrideBatchSize":1}"#)
        .unwrap();
    assert_eq!((result.conflicts_detected, a.pending()), (1, 1));
    let event = reader.next().now_or_never().flatten().unwrap();
    let event: Value = serde_json::from_str(&event.text).unwrap();
    assert_eq!(event["conflict"]["base"]["title"], "plan", "{event}");
    synced(&a);
    assert_eq!(
        a.places(),
        [place("mine", Some(TEAM)), place("new", Some(TEAM))]
    );
    a.at_rest();
}

/// The main pull's cursor knows a place in it, and has not heard that its rows are gone here.
#[test]
fn a_space_that_a_scope_tells_is_left_comes_whole_when_its_user_is_back() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let bob = team(&world);
    a.sync();
    bob.removes(TEAM, "ann");
    a.sync_with(r#"{"scope":{"name":"red","query":{"where":{"colour":"red"}}}}"#)
        .unwrap();
    assert_eq!(a.places(), []);
    bob.invites(TEAM, "ann", "writer");
    phone.requests();

    assert!(a.sync().is_success);

    assert_eq!(a.places(), [place("plan", Some(TEAM))]);
    let pulls = phone.requests();
    let pulls = pulls.iter().filter(|request| *request == "POST /pull");
    assert_eq!(pulls.count(), 1, "no drift check mends it");
    a.at_rest();
}
