//! An app is updated while tabs of its older version are open, and in several tabs at once.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::clock::Clock;
use crate::support::migrations::{Chain, at_version, renamed, updated, version, with_chain};
use crate::support::world::{Device, Tab, World};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::log::commit::{Commit, Entry, SegmentBody, SegmentWrite};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use datum_sync::ports::host::Host;
use datum_sync::ports::store::{Append, Store};

fn filled(world: &World, count: usize) -> (Device, Tab) {
    let phone = at_version(world.device("phone"), 1);
    let tab = phone.open();
    for number in 0..count {
        tab.create(&format!(r#"{{"id":"t{number:03}","text":"{number}"}}"#));
    }
    tab.sync();
    (phone, tab)
}

#[test]
fn a_tab_of_an_older_app_writes_and_sends_no_more() {
    let world = World::new();
    let (phone, old) = filled(&world, 3);
    old.patch("t001", r#"{"text":"pending"}"#);
    let (phone, _) = updated(phone);
    let new = phone.open();
    assert_eq!(new.read("t001").unwrap()["title"], "pending");

    let draft = r#"{"text":"too late"}"#.to_owned();
    let refused = old.write("tasks", Write::Create { draft }).unwrap_err();
    assert_eq!(refused.code(), Code::ClientOutdated);
    assert!(refused.message().contains("reload the page"), "{refused}");
    phone.requests();
    let refused = old.sync_with("{}").unwrap_err();
    assert_eq!(refused.code(), Code::ClientOutdated);
    assert!(!phone.requests().contains(&"POST /sync/v1/push".to_owned()));
    let status = old.engine.status_hub("ann").unwrap().current();
    assert_eq!(status.errors[0].code, Code::ClientOutdated);

    assert_eq!(new.titles(), ["0", "2", "pending"]);
    assert!(new.sync().is_success);
    assert_eq!(new.pending(), 0);
}

#[test]
fn two_tabs_that_open_at_once_migrate_each_entity_once() {
    let world = World::new();
    let (phone, old) = filled(&world, 40);
    old.run(old.engine.close());
    let (phone, chain) = updated(phone);
    let other = phone.unopened(Resolvers::default());
    let tab = phone.unopened(Resolvers::default());
    let clock: Rc<Clock> = Rc::clone(&world.clock);
    let both = clock.run(async {
        futures_util::future::join(other.engine.sign_in("ann"), tab.engine.sign_in("ann")).await
    });
    both.0.unwrap();
    both.1.unwrap();
    assert_eq!((version(&other), version(&tab)), (2, 2));
    assert_eq!(chain.ids.borrow().len(), 40);
    assert_eq!(other.titles(), tab.titles());
}

#[test]
fn a_tab_that_is_frozen_while_it_migrates_holds_nobody_up_for_ever() {
    let world = World::new();
    let (phone, old) = filled(&world, 3);
    let name = "datum-sync-migration:datum/ann";
    let held = old.run(old.engine.host().try_lock(name)).unwrap();
    assert!(held.is_some());
    let (phone, _) = updated(phone);
    let before = world.clock.now();
    let tab = phone.open();
    assert_eq!(version(&tab), 2);
    assert!((15_000..20_000).contains(&(world.clock.now() - before)));
}

#[test]
fn what_an_older_tab_writes_meanwhile_is_migrated_too_and_nothing_else_again() {
    let world = World::new();
    let (phone, old) = filled(&world, 30);
    old.run(old.engine.close());
    let store = phone.store();
    let written = Rc::new(Cell::new(0));
    let (inner, count) = (store.inner.reopen(), Rc::clone(&written));
    let write = move |call: u64| {
        if call > 1 {
            return;
        }
        // As a tab of the older app pulls: a row changes, one goes, one comes.
        let bodies = [r#"{"text":"changed"}"#, r#"{"text":"new"}"#];
        let row = |id: &str, at: usize, len: usize| Entry {
            id: id.to_owned(),
            version: 100,
            deleted: len == 0,
            offset: at as u32,
            len: len as u32,
            ..Entry::default()
        };
        let segment = SegmentWrite {
            entity: "tasks".to_owned(),
            entries: vec![
                row("t007", 0, bodies[0].len()),
                row("t008", 0, 0),
                row("t999", bodies[0].len(), bodies[1].len()),
            ],
            body: SegmentBody::New(Rc::from(bodies.concat().as_bytes())),
        };
        let commit = Commit {
            segments: vec![segment],
            events: Vec::new(),
        };
        let load = pollster::block_on(inner.load()).unwrap();
        let seq = load.last().unwrap().0 + 1;
        let append = Append {
            seq,
            record: commit.encode(seq).record,
            ..Append::default()
        };
        pollster::block_on(inner.append(append, Durability::Strict)).unwrap();
        count.set(count.get() + 1);
    };
    let chain = Chain::default()
        .step(renamed("text", "title"))
        .at_call(write);
    let (phone, chain) = with_chain(phone, chain);
    let tab = phone.open();
    assert_eq!(written.get(), 1);
    let ids = chain.ids.borrow();
    assert_eq!(ids[..30].len(), 30);
    assert_eq!(ids[30..], ["t007".to_owned(), "t999".to_owned()]);
    assert_eq!(tab.read("t007").unwrap()["title"], "changed");
    assert_eq!(tab.read("t999").unwrap()["title"], "new");
    assert_eq!((tab.read("t008"), tab.titles().len()), (None, 30));
}

#[test]
fn a_log_that_an_older_tab_began_anew_is_migrated_before_the_next_write() {
    let world = World::new();
    let (phone, old) = filled(&world, 2);
    old.run(old.engine.close());
    let (phone, chain) = updated(phone);
    let new = phone.open();
    phone.evict();
    let phone = at_version(phone, 1);
    let old = phone.open();
    old.create(r#"{"id":"x","text":"of the older tab"}"#);
    chain.ids.borrow_mut().clear();
    new.create(r#"{"id":"y","title":"of the newer tab"}"#);
    assert_eq!(*chain.ids.borrow(), ["x"]);
    assert_eq!(version(&new), 2);
    assert_eq!(new.titles(), ["of the newer tab", "of the older tab"]);
    let draft = r#"{"text":"again"}"#.to_owned();
    let refused = old.write("tasks", Write::Create { draft }).unwrap_err();
    assert_eq!(refused.code(), Code::ClientOutdated);
}

#[test]
fn the_first_record_of_an_older_tab_is_migrated_before_the_newer_ones_own() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let old = phone.open();
    let (phone, chain) = updated(phone);
    let new = phone.open();
    old.create(r#"{"id":"x","text":"of the older tab"}"#);
    new.create(r#"{"id":"y","title":"of the newer tab"}"#);
    assert_eq!(
        (&*chain.ids.borrow(), version(&new)),
        (&vec!["x".to_owned()], 2)
    );
    assert_eq!(new.titles(), ["of the newer tab", "of the older tab"]);
}
