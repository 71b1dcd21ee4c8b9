//! Operations that wait one behind another: over moves, and over two rows of one id.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::conflicts::resolvers;
use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Fault, FnResolver, ONE_TRY, World};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::Options;
use datum_sync::plan::write::Write;
use datum_sync::state::replica::Replica;
use futures_util::future::join;

const PULL_FIRST: &str = r#"{"direction":"pullThenPush"}"#;

/// A move waits in the space that it goes to, behind what is pending for another row of its id. It
/// has its base where it comes from.
#[test]
fn a_row_is_moved_to_where_another_of_its_id_is_deleted() {
    for options in ["{}", r#"{"overrideBatchSize":1}"#, PULL_FIRST] {
        let world = World::new();
        let bob = team(&world);
        let a = world.device("phone").open();
        a.create(r#"{"id":"x","title":"own"}"#);
        a.sync();
        let selection = format!("tasks\0{TEAM}");
        let (id, soft) = ("x".to_owned(), false);
        a.write(&selection, Write::Delete { id, soft }).unwrap();
        a.moves("x", Some(TEAM));
        if options == PULL_FIRST {
            bob.deletes(Some(TEAM), "x");
        }

        assert!(a.sync_with(options).unwrap().is_success, "{options}");

        assert_eq!(a.buried(), [], "{options}");
        assert_eq!(a.places(), [place("own", Some(TEAM))], "{options}");
        a.at_rest();
    }
}

/// It has no base: the row that was there has left.
#[test]
fn what_is_made_anew_where_a_row_was_moved_from_is_no_edit_of_it() {
    let world = World::new();
    let phone = world.device("phone");
    let bob = team(&world);
    let a = phone.open();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    a.moves("m", Some(TEAM));
    a.create(r#"{"id":"m","title":"more milk"}"#);
    let pushes = Cell::new(0);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        pushes.set(pushes.get() + u32::from(request.path == "/push"));
        if pushes.get() == 2 {
            pushes.set(3);
            bob.deletes(Some(TEAM), "m");
        }
    }));

    let done = a.sync_with(r#"{"overrideBatchSize":1}"#).unwrap();

    assert_eq!((done.is_success, done.conflicts_detected), (true, 0));
    assert_eq!(
        a.places(),
        [place("more milk", None), place("plan", Some(TEAM))]
    );
    a.at_rest();
}

#[test]
fn a_row_that_is_moved_on_and_back_keeps_what_another_has_written() {
    let world = World::new();
    let phone = world.device("phone");
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let a = phone.open();
    a.sync();
    a.patch("x", r#"{"done":true}"#);
    a.moves("x", Some(CLUB));
    // Nothing is coalesced into what another tab may have sent.
    let c = phone.open();
    c.moves("x", Some(TEAM));
    assert_eq!(c.pending(), 3);
    bob.edits(Some(TEAM), "x", "plan b");

    assert!(c.sync_with(PULL_FIRST).unwrap().is_success);

    let b = world.device("laptop").open();
    b.sync();
    for tab in [&c, &b] {
        assert_eq!(tab.places(), [place("plan b", Some(TEAM))]);
        assert_eq!(tab.read("x").unwrap()["done"], true);
    }
    c.at_rest();
}

#[test]
fn nothing_is_made_of_an_edit_in_a_space_that_is_left_while_it_starts() {
    let world = World::new();
    let phone = world.device("phone");
    let bob = team(&world);
    let a = phone.open();
    a.sync();
    a.patch("x", r#"{"done":true}"#);
    bob.deletes(Some(TEAM), "x");
    bob.writes(Some(TEAM), "y", "new");
    world.server.purge_tombstones().unwrap();
    let pulls = Cell::new(0);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        pulls.set(pulls.get() + u32::from(request.path == "/pull"));
        if pulls.get() == 2 {
            pulls.set(3);
            bob.removes(TEAM, "ann");
        }
    }));

    a.sync_with(r#"{"direction":"pullOnly","overrideBatchSize":1}"#)
        .unwrap();

    assert_eq!(
        (a.pending(), a.buried()),
        (0, vec![("notMember".to_owned(), false)])
    );
    assert_eq!(a.places(), []);
}

/// It was made on the row that the move takes along.
#[test]
fn an_edit_behind_a_move_is_merged_with_its_base() {
    let world = World::new();
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), world.device("laptop").open());
    a.sync();
    b.sync();
    a.patch("x", r#"{"title":"first"}"#);
    a.moves("x", Some(CLUB));
    a.patch("x", r#"{"title":"mine"}"#);
    // The first edit arrives, and the move does not.
    let (faults, pushes) = (Rc::clone(&phone.remote.faults), Cell::new(0));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        pushes.set(pushes.get() + u32::from(request.path == "/push"));
        if pushes.get() == 2 {
            pushes.set(3);
            faults.borrow_mut().push_back(("/push", Fault::Lost));
        }
    }));
    let only = r#"{"direction":"pushOnly","overrideBatchSize":1}"#;
    assert!(!a.sync_with(only).is_ok_and(|done| done.is_success));
    b.sync();
    world.clock.advance(60_000);
    b.patch("x", r#"{"done":true}"#);
    b.sync();

    assert!(a.sync().is_success);

    b.sync();
    for tab in [&a, &b] {
        assert_eq!(tab.places(), [place("mine", Some(CLUB))]);
        assert_eq!(tab.read("x").unwrap()["done"], true);
    }
    a.at_rest();
}

#[test]
fn a_space_that_another_tab_renames_while_it_is_made_is_the_users_at_once() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, c) = (phone.open(), phone.open());
    a.sync();
    c.makes(TEAM);
    let head = (c.engine.opened("ann").unwrap().db).read(Replica::head);
    a.run(a.engine.on_head("ann", head)).unwrap();
    phone.fault("/push", Fault::Late(1_000));
    let push = r#"{"direction":"pushOnly"}"#;
    let value = serde_json::from_str(push).unwrap();
    let options = Options::read(CheckedObject(&value));
    let made = (a.engine).synchronize("ann", options, None, Rc::default());
    let selection = format!("$space\0{TEAM}");
    let renamed = async {
        world.clock.sleep(500).await;
        let (id, changes) = (TEAM.to_owned(), r#"{"name":"new"}"#.to_owned());
        let patch = vec![Write::Patch { id, changes }];
        c.engine.entities().write("ann", &selection, patch).await
    };

    let (made, renamed) = a.run(join(made, renamed));

    renamed.unwrap();
    assert!(made.as_ref().is_ok_and(|done| done.is_success), "{made:?}");
    a.sync_with(push).unwrap();
    a.creates(Some(TEAM), "x", "plan");
    assert!(a.sync().is_success);
    assert_eq!(
        (a.places(), a.buried()),
        (vec![place("plan", Some(TEAM))], vec![])
    );
    a.at_rest();
}

#[test]
fn a_move_to_a_space_that_is_left_stays_a_letter_when_its_row_comes() {
    let world = World::new();
    let bob = team(&world);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "writer");
    let a = world.device("phone").open();
    a.sync();
    a.moves("x", Some(CLUB));
    bob.edits(Some(TEAM), "x", "plan b");
    bob.removes(CLUB, "ann");

    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();

    assert_eq!((a.pending(), a.buried().len()), (0, 1));
    assert_eq!(a.places(), [place("plan b", Some(TEAM))]);
}

/// The decision is about the edit. The move waits with it.
#[test]
fn a_move_outlives_the_decision_of_a_conflict() {
    for behind in [false, true] {
        for ours in [true, false] {
            let told = format!("behind: {behind}, ours: {ours}");
            let world = World::new();
            let bob = team(&world);
            bob.makes(CLUB);
            bob.invites(CLUB, "ann", "writer");
            let later = |_: &Conflict| Ok(Resolution::Later);
            let a = (world.device("phone")).open_with(resolvers(FnResolver(later)));
            a.sync();
            if behind {
                a.moves("x", Some(CLUB));
                a.patch("x", r#"{"title":"mine"}"#);
            } else {
                a.patch("x", r#"{"title":"mine"}"#);
                a.moves("x", Some(CLUB));
            }
            bob.edits(Some(TEAM), "x", "theirs");
            a.sync_with(PULL_FIRST).unwrap();
            let list = a.run(a.engine.conflicts().list("ann")).unwrap();
            let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
            assert_eq!(list.len(), 1, "{told}");
            assert_eq!(list[0]["local"]["title"], "mine", "{told}");
            let id = list[0]["id"].as_str().unwrap().to_owned();
            let side = if ours {
                Resolution::Local
            } else {
                Resolution::Remote
            };
            a.run(a.engine.conflicts().resolve(&id, side)).unwrap();
            assert!(a.sync().is_success, "{told}");
            a.sync();
            let title = if ours { "mine" } else { "theirs" };
            assert_eq!(a.places(), [place(title, Some(CLUB))], "{told}");
            assert_eq!(a.buried(), [], "{told}");
            a.at_rest();
        }
    }
}
