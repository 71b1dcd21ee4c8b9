//! Shared spaces and input that nobody should send: from an app, and from a careless backend.

use crate::support::spaces::{CLUB, TEAM, place, team};
use crate::support::world::{Fault, Tab, World};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::space::Role;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;
use serde_json::json;

fn sets_role(tab: &Tab, member: &str, role: Role) {
    let spaces = tab.engine.spaces();
    tab.run(spaces.set_role(&tab.user, TEAM, member, role))
        .unwrap();
}

fn members(tab: &Tab) -> String {
    tab.run(tab.engine.spaces().members(&tab.user, TEAM))
        .unwrap()
}

#[test]
fn the_last_owner_who_demotes_themself_stays_one() {
    let world = World::new();
    let a = world.device("phone").open();
    a.makes(TEAM);
    a.sync();
    a.sync();
    sets_role(&a, "ann", Role::Reader);
    a.sync();
    assert_eq!(a.buried(), [("lastOwner".to_owned(), false)]);
    assert_eq!(members(&a), r#"[{"userId":"ann","role":"owner"}]"#);
    a.creates(Some(TEAM), "x", "plan");
    assert!(a.sync().is_success);
    a.at_rest();
}

#[test]
fn a_role_that_does_not_exist_is_refused_and_changes_nothing() {
    let world = World::new();
    let a = world.device("phone").open();
    a.makes(TEAM);
    a.sync();
    let draft = json!({ "id": format!("{TEAM}/bob"), "spaceId": TEAM, "role": "king" }).to_string();
    a.write("$member", Write::Create { draft }).unwrap();
    a.sync();
    assert_eq!(a.buried(), [("invalidData".to_owned(), false)]);
    assert_eq!(members(&a), r#"[{"userId":"ann","role":"owner"}]"#);
    a.at_rest();
}

/// The list, the starts, the rows and the moves of a page name spaces that the user is not in, and
/// the list names one twice, with a role that there is not.
#[test]
fn a_page_that_names_spaces_of_nobody_changes_nothing_there() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    team(&world);
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync();
    let cursor = a
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(|replica| replica.cursor("").unwrap().cursor.clone().unwrap());
    let reader = a.engine.events(Filter {
        topics: vec![Topic::SpaceJoined, Topic::SpaceLeft, Topic::DeadLetter],
        ..Filter::default()
    });
    let page = json!({
        "changes": [
            { "entity": "tasks", "id": "y", "space": CLUB, "version": 9, "data": { "title": "stray" } },
            { "entity": "tasks", "id": "gone", "space": TEAM, "version": 9, "deleted": true, "movedTo": { "space": CLUB, "version": 3 } },
            { "entity": "$member", "id": format!("{CLUB}/ann"), "space": CLUB, "version": 9, "data": { "role": "owner" } },
        ],
        "spaces": [{ "id": TEAM, "role": "writer" }, { "id": TEAM, "role": "king" }],
        "starts": [{ "space": CLUB, "at": 9 }],
        "cursor": cursor, "more": false, "epoch": "epoch-1",
    });
    phone.fault("/pull", Fault::Answered(page.to_string()));
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!(a.places(), [place("milk", None), place("plan", Some(TEAM))]);
    assert!(reader.next().now_or_never().is_none());
    a.engine.opened("ann").unwrap().db.read(|replica| {
        assert_eq!(replica.spaces().role(TEAM), Some(Role::Writer));
        assert_eq!(replica.spaces().list().len(), 1);
        let tables = replica.entities().keys();
        assert!(!tables.into_iter().any(|table| table.contains(CLUB)));
    });
    a.sync();
    a.at_rest();
}

/// A device that pulled from a server without spaces goes on at its cursor once the server has them.
#[test]
fn a_cursor_from_before_there_were_spaces_gets_them_in_the_next_pull() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    let hash = datum_sync::model::digest::row_hash;
    let epoch = hash("epoch", "epoch-1", 0);
    let text = format!("1.{epoch:x}.0.1.0.0.0");
    let old = format!("{text}.{:x}", hash("ann", &text, epoch));
    let row = json!({ "entity": "tasks", "id": "m", "version": 1, "data": { "title": "milk" } });
    let page = json!({ "changes": [row], "cursor": old, "more": false, "epoch": "epoch-1" });
    phone.fault("/pull", Fault::Answered(page.to_string()));
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    let known = || {
        a.engine
            .opened("ann")
            .unwrap()
            .db
            .read(|replica| replica.cursor("").unwrap().cursor.clone())
    };
    assert_eq!(known().as_deref(), Some(&*old));
    a.patch("m", r#"{"title":"oat milk"}"#);
    team(&world);
    phone.remote.seen.take();
    assert!(a.sync().is_success);
    let seen = phone.remote.seen.take();
    let asked = seen.iter().find(|request| request.path == "/pull").unwrap();
    assert!(
        String::from_utf8_lossy(&asked.body).contains(&old),
        "it goes on"
    );
    assert_eq!(
        a.places(),
        [place("oat milk", None), place("plan", Some(TEAM))]
    );
    a.at_rest();
}
