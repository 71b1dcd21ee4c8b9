//! What tabs show of shared spaces: events in each of them, and watches that read no more than they
//! must.

use std::rc::Rc;

use crate::support::spaces::{CLUB, TEAM, team};
use crate::support::world::{Tab, World};
use datum_sync::engine::events::{Filter, Reader, Topic};
use datum_sync::model::space::Role;
use futures_util::FutureExt;
use serde_json::{Value, json};

fn hears(tab: &Tab) -> Rc<Reader> {
    tab.engine.events(Filter {
        topics: vec![Topic::SpaceJoined, Topic::SpaceLeft, Topic::RoleChanged],
        ..Filter::default()
    })
}

/// What was told since: type, space and role.
fn told(reader: &Rc<Reader>) -> Vec<String> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten())
        .map(|event| {
            let event: Value = serde_json::from_str(&event.text).unwrap();
            assert_eq!(event["userId"], "ann");
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            [text("type"), text("spaceId"), text("role")].join(" ")
        })
        .collect()
}

/// A tab hears that another has written.
fn catches_up(tab: &Tab) {
    tab.run(tab.engine.on_head("ann", u64::MAX)).unwrap();
}

fn news(kind: &str, space: &str, role: &str) -> String {
    [kind, space, role].join(" ")
}

#[test]
fn what_is_new_about_spaces_is_told_once_in_each_tab() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let readers = [hears(&a), hears(&b)];
    let heard = |expected: &[String]| {
        catches_up(&b);
        for reader in &readers {
            assert_eq!(told(reader), expected);
        }
    };
    a.sync();
    heard(&[]);
    let bob = team(&world);
    a.sync();
    heard(&[news("spaceJoined", TEAM, "writer")]);
    bob.sets_role(TEAM, "ann", "reader");
    a.sync();
    a.sync();
    heard(&[news("roleChanged", TEAM, "reader")]);
    bob.removes(TEAM, "ann");
    b.sync();
    catches_up(&a);
    heard(&[news("spaceLeft", TEAM, "reader")]);
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    heard(&[]);
}

#[test]
fn a_space_of_this_device_is_news_in_none_of_its_tabs() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let readers = [hears(&a), hears(&b)];
    let id = a.run(a.engine.spaces().create("ann", "plans")).unwrap();
    catches_up(&b);
    for _ in 0..3 {
        assert!(a.sync().is_success);
    }
    catches_up(&b);
    assert_eq!(readers.map(|reader| told(&reader).len()), [0, 0]);
    // On another device it is.
    let desk = world.device("desk").open();
    let reader = hears(&desk);
    desk.sync();
    assert_eq!(told(&reader), [news("spaceJoined", &id, "owner")]);
}

#[test]
fn a_tab_that_slept_through_a_compaction_or_a_loss_hears_what_is_true() {
    let world = World::new();
    let phone = world.device("phone");
    let bob = team(&world);
    let (a, b) = (phone.open(), phone.open());
    a.sync();
    catches_up(&b);
    let reader = hears(&b);
    bob.makes(CLUB);
    bob.invites(CLUB, "ann", "owner");
    bob.removes(TEAM, "ann");
    a.sync();
    let user = a.run(a.engine.user("ann")).unwrap();
    a.run(user.db.checkpoint()).unwrap();
    catches_up(&b);
    let all = [
        news("spaceJoined", CLUB, "owner"),
        news("spaceLeft", TEAM, "writer"),
    ];
    assert_eq!(told(&reader), all);
    phone.evict();
    assert!(b.sync().is_success || b.sync().is_success);
    assert_eq!(
        told(&reader),
        [] as [String; 0],
        "the storage was lost, no space"
    );
    bob.sets_role(CLUB, "ann", "reader");
    b.sync();
    assert_eq!(told(&reader), [news("roleChanged", CLUB, "reader")]);
}

#[test]
fn a_watch_of_spaces_reads_nothing_for_a_write_that_does_not_concern_them() {
    let world = World::new();
    // No body stays in memory, so each name that is read is a transaction.
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let bob = team(&world);
    for n in 0..20 {
        let space = format!("cccccccc-0000-4000-8000-{n:012}");
        bob.makes(&space);
        bob.invites(&space, "ann", "owner");
        bob.does(json!({ "entity": "$space", "id": space, "space": space, "kind": "patch", "data": { "about": "x".repeat(5000) } }));
    }
    phone.open().sync();
    let a = phone.open();
    let watch = a.run(a.engine.spaces().watch("ann")).unwrap();
    let now = || {
        let next = watch.next().now_or_never();
        next.map(|next| serde_json::from_str::<Value>(&next.unwrap().unwrap()).unwrap())
    };
    assert_eq!(now().unwrap().as_array().unwrap().len(), 21);
    assert_eq!(now(), None);
    let reads = || phone.counts().reads;
    let before = reads();
    for n in 0..10 {
        a.create(&format!(r#"{{"id":"t{n}","title":"{n}"}}"#));
        assert_eq!(now(), None);
    }
    let written = reads() - before;
    assert_eq!(written, 0, "21 names for each write otherwise");
    // What concerns them is shown at once.
    a.run(
        a.engine
            .spaces()
            .rename("ann", "cccccccc-0000-4000-8000-000000000003", "trips"),
    )
    .unwrap();
    assert_eq!(now().unwrap()[4]["name"], "trips");
    assert_eq!(now(), None);
    let made = a.run(a.engine.spaces().create("ann", "mine")).unwrap();
    assert_eq!(now().unwrap()[21]["spaceId"], made.as_str());
    assert!(a.run(a.engine.spaces().leave("ann", TEAM)).unwrap());
    assert_eq!(now().unwrap().as_array().unwrap().len(), 21);
    bob.removes("cccccccc-0000-4000-8000-000000000005", "ann");
    bob.sets_role("cccccccc-0000-4000-8000-000000000006", "ann", "reader");
    a.sync();
    let list = now().unwrap();
    assert!(!list.to_string().contains("000000000005"));
    assert_eq!(list[5]["role"], "reader", "{list}");
    assert!(
        a.run(
            a.engine
                .spaces()
                .set_role("ann", &made, "bob", Role::Reader)
        )
        .is_ok()
    );
    assert_eq!(now(), None, "a member is no part of the list");
}
