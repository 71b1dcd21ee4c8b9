//! Shared spaces and a restored server, a drift, a thousand of them, and a cursor from before.

use super::spaces_moved::both;
use crate::support::restored::restore;
use crate::support::spaces::{CLUB, Peer, TEAM, place, team};
use crate::support::world::{Fault, World};

#[test]
fn a_space_that_the_server_has_forgotten_is_made_anew_by_its_maker() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.creates(Some(TEAM), "y", "more");
    a.sync();
    a.sync();
    a.patch("y", r#"{"done":true}"#);
    restore(&world, &backup, "epoch-2");
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    let all = [
        place("milk", None),
        place("more", Some(TEAM)),
        place("plan", Some(TEAM)),
    ];
    assert_eq!(a.places(), all);
    assert!(a.buried().is_empty());
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(b.places(), all);
    assert_eq!(b.read("y").unwrap()["done"], true);
}

#[test]
fn what_was_written_into_a_forgotten_space_of_another_becomes_letters() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    team(&world);
    a.sync();
    a.creates(Some(TEAM), "y", "mine");
    a.sync();
    a.creates(Some(TEAM), "z", "waits");
    restore(&world, &backup, "epoch-2");
    a.sync();
    assert_eq!(a.places(), [place("milk", None)]);
    let titles: Vec<_> = a
        .dead_letters()
        .iter()
        .map(|letter| {
            let title = letter["data"]["title"].as_str().unwrap().to_owned();
            (letter["code"].as_str().unwrap().to_owned(), title)
        })
        .collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    for title in ["mine", "waits"] {
        assert!(titles.contains(&("notMember".to_owned(), title.to_owned())));
    }
    a.at_rest();
}

#[test]
fn what_is_kept_is_told_of_each_space() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    for n in 0..5 {
        a.create(&format!(r#"{{"id":"m{n}","title":"m{n}"}}"#));
    }
    a.sync();
    let backup = world.server.backup();
    // Versions in the team are small, those of the own space are large.
    a.patch("m0", r#"{"title":"own"}"#);
    a.patch("x", r#"{"title":"shared"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    bob.edits(Some(TEAM), "x", "plan b");
    bob.writes(Some(TEAM), "y", "new");
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(a.places(), b.places());
    let titles: Vec<_> = a.places().into_iter().map(|(title, _)| title).collect();
    assert!(titles.contains(&"own".to_owned()) && titles.contains(&"new".to_owned()));
}

#[test]
fn a_forgotten_move_is_moved_again() {
    let world = World::new();
    let a = world.device("phone").open();
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    a.sync();
    let backup = world.server.backup();
    a.moves("x", Some(CLUB));
    a.sync();
    a.patch("x", r#"{"done":true}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    assert!(a.sync().is_success);
    a.sync();
    assert_eq!(a.places(), [place("plan", Some(CLUB))]);
    assert_eq!(a.read("x").unwrap()["done"], true);
    assert_eq!(a.run(a.engine.entities().count("ann", "tasks")).unwrap(), 1);
    a.at_rest();
}

/// The first pull after the restore is of a scope that lacks the row, and a push follows it.
#[test]
fn a_move_whose_base_is_forgotten_is_sent_before_its_row_is_pulled() {
    let corner = r#"{"scope":{"query":{"where":{"shop":"corner"}}}}"#;
    for is_gone in [false, true] {
        let world = World::new();
        let (bob, a) = both(&world);
        let backup = world.server.backup();
        if is_gone {
            bob.writes(Some(TEAM), "y", "new");
        } else {
            bob.edits(Some(TEAM), "x", "lost");
        }
        a.sync();
        let id = if is_gone { "y" } else { "x" };
        a.moves(id, Some(CLUB));
        restore(&world, &backup, "epoch-2");
        if !is_gone {
            bob.edits(Some(TEAM), "x", "since");
        }

        assert!(a.sync_with(corner).unwrap().is_success);
        assert!(a.sync_with(corner).unwrap().is_success);
        assert_eq!(a.dead_letters(), [] as [serde_json::Value; 0]);
        assert!(a.sync().is_success);

        let (kept, moved) = match is_gone {
            false => (None, place("since", Some(CLUB))),
            true => (Some(place("plan", Some(TEAM))), place("new", Some(CLUB))),
        };
        let mut all: Vec<_> = kept.into_iter().chain([moved]).collect();
        all.sort();
        assert_eq!(a.places(), all, "gone: {is_gone}");
        a.at_rest();
        let b = world.device("laptop").open();
        b.sync();
        assert_eq!(b.places(), all);
    }
}

#[test]
fn a_drift_in_one_space_is_mended() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    team(&world);
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    // A page that was changed on its way: the row is in another space than on the server.
    let page = format!(
        r#"{{"changes":[{{"entity":"tasks","id":"x","space":"{TEAM}","version":9,"deleted":true}}],"cursor":"","more":false,"epoch":"epoch-1"}}"#
    );
    let state = a
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.cursor("").unwrap().cursor.clone().unwrap());
    let page = page.replace(r#""cursor":"""#, &format!(r#""cursor":"{state}""#));
    phone.fault("/pull", Fault::Answered(page));
    a.sync();
    assert_eq!(a.places(), [place("milk", None)]);
    a.sync();
    assert_eq!(a.places(), [place("milk", None), place("plan", Some(TEAM))]);
    a.at_rest();
}

#[test]
fn a_thousand_spaces_are_one_pull() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let bob = Peer::new(&world, "bob");
    for n in 0..1_000 {
        let space = format!("aaaaaaaa-0000-4000-8000-{n:012x}");
        bob.makes(&space);
        bob.invites(&space, "ann", "writer");
    }
    let last = format!("aaaaaaaa-0000-4000-8000-{:012x}", 999);
    bob.writes(Some(&last), "x", "last");
    assert!(a.sync().is_success);
    assert_eq!(a.places(), [place("last", Some(&last))]);
    phone.requests();
    a.at_rest();
    let cursor = a
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.cursor("").unwrap().cursor.clone().unwrap());
    assert!(cursor.len() < 7_000, "{}", cursor.len());
    a.patch("x", r#"{"title":"mine"}"#);
    assert!(a.sync().is_success);
    a.at_rest();
}

#[test]
fn a_remote_that_knows_no_spaces_is_pulled_as_before() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let page = |id: &str, cursor: &str| {
        format!(
            r#"{{"changes":[{{"entity":"tasks","id":"{id}","version":3,"data":{{"title":"{id}"}}}}],"cursor":"{cursor}","more":false}}"#
        )
    };
    phone.fault("/pull", Fault::Answered(page("one", "c1")));
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    phone.fault("/pull", Fault::Answered(page("two", "c2")));
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(a.places(), [place("one", None), place("two", None)]);
}

#[test]
fn who_has_no_spaces_pays_nothing_for_them() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    a.sync();
    let seen = phone.remote.seen.take();
    for request in seen {
        let body = String::from_utf8(request.body).unwrap();
        assert!(!body.contains("space"), "{body}");
    }
    let user = a.engine.opened("ann").unwrap();
    user.db.read(|replica| {
        assert!(replica.spaces().list().is_empty());
        assert!(replica.spaces().all_passed().is_empty());
        assert_eq!(replica.spaces().listed_at(), 0);
    });
}

#[test]
fn a_forgotten_space_that_its_maker_is_ending_or_leaving_is_not_made_anew() {
    for ends in [true, false] {
        let world = World::new();
        let a = world.device("phone").open();
        a.create(r#"{"title":"milk"}"#);
        a.sync();
        let backup = world.server.backup();
        a.makes(TEAM);
        a.creates(Some(TEAM), "x", "plan");
        a.sync();
        a.sync();
        let spaces = || a.engine.spaces();
        assert!(match ends {
            true => a.run(spaces().delete("ann", TEAM)).unwrap(),
            false => a.run(spaces().leave("ann", TEAM)).unwrap(),
        });
        restore(&world, &backup, "epoch-2");
        a.sync();
        a.sync();
        // The space and its row were to stay for others: a letter says that they are gone.
        let mut told: Vec<_> = a
            .dead_letters()
            .iter()
            .map(|letter| letter["entity"].to_string())
            .collect();
        told.sort();
        let expected: &[&str] = if ends {
            &[]
        } else {
            &["\"$space\"", "\"tasks\""]
        };
        assert_eq!(told, expected, "ends {ends}");
        assert_eq!(a.run(spaces().list("ann")).unwrap(), "[]");
        assert_eq!(a.places(), [place("milk", None)]);
        a.at_rest();
    }
}

#[test]
fn what_waits_to_leave_or_to_enter_a_forgotten_space_does_so() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.makes(TEAM);
    a.creates(Some(TEAM), "x", "plan");
    a.sync();
    a.sync();
    a.moves("x", None);
    a.moves("m", Some(TEAM));
    a.patch("m", r#"{"done":true}"#);
    restore(&world, &backup, "epoch-2");
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    assert_eq!(a.buried(), []);
    assert_eq!(a.places(), [place("milk", Some(TEAM)), place("plan", None)]);
    assert_eq!(a.read("m").unwrap()["done"], true);
}

#[test]
fn what_one_space_has_lost_is_offered_though_another_has_kept_more() {
    let world = World::new();
    let a = world.device("phone").open();
    team(&world);
    for n in 0..9 {
        a.create(&format!(r#"{{"id":"m{n}","title":"m{n}"}}"#));
    }
    a.sync();
    let backup = world.server.backup();
    a.patch("x", r#"{"done":true}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    assert!(a.sync().is_success);
    a.sync();
    a.at_rest();
    let b = world.device("laptop").open();
    b.sync();
    for tab in [&a, &b] {
        assert_eq!(tab.read("x").unwrap()["done"], true);
    }
}

#[test]
fn what_waits_to_go_from_one_forgotten_space_to_anothers_stays_where_it_is() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    team(&world);
    a.makes(CLUB);
    a.creates(Some(CLUB), "y", "mine");
    a.sync();
    a.sync();
    a.moves("y", Some(TEAM));
    restore(&world, &backup, "epoch-2");
    a.sync();
    a.sync();
    assert_eq!(a.places(), [place("milk", None), place("mine", Some(CLUB))]);
    assert_eq!((a.pending(), a.buried().len()), (0, 1));
    a.at_rest();
}
