//! A server that is restored from an older state: what it has forgotten of a device's acknowledged writes is
//! offered again, and nothing else.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects, missing_docs)]

mod support;

use std::rc::Rc;

use datum_server::memory::MemoryStore;
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::error::Code;
use datum_sync::events::{Filter, Reader, Topic};
use datum_sync::replica::local::Write;
use datum_sync::status::SyncResult;
use datum_sync::sync::resolve::Resolvers;
use futures_util::FutureExt;
use serde_json::Value;
use support::world::{Asked, Device, Fault, Tab, World};

const DAY: u64 = 24 * 3_600_000;

/// Puts a backup back, as an operator does who gives it a new epoch.
fn restore(world: &World, backup: &MemoryStore, epoch: &str) {
    world.server.restore(backup);
    world.server.set_epoch(epoch).unwrap();
}

fn offers(tab: &Tab) -> Rc<Reader> {
    tab.engine.events(Filter { topics: vec![Topic::ServerRestored], ..Filter::default() })
}

fn heard(reader: &Reader) -> Vec<u64> {
    let mut told = Vec::new();
    while let Some(event) = reader.next().now_or_never().flatten() {
        let event: Value = serde_json::from_str(&event.text).unwrap();
        assert_eq!((&event["type"], &event["userId"]), (&"serverRestored".into(), &"ann".into()));
        told.push(event["offeredAgain"].as_u64().unwrap());
    }
    told
}

/// Two cycles: one that hears of it and one more, which must find nothing to do.
fn settle(tab: &Tab) -> SyncResult {
    let first = tab.sync();
    assert!(first.is_success, "{first:?}");
    let second = tab.sync();
    assert!(second.is_success, "{second:?}");
    assert_eq!((second.pushed_count, second.pulled_count, second.conflicts_detected), (0, 0, 0));
    assert_eq!(tab.pending(), 0);
    first
}

fn server(world: &World) -> Vec<(String, Value)> {
    let rows = world.server.rows("ann").into_iter();
    let mut rows: Vec<(String, Value)> = rows.filter_map(|row| Some((row.id.clone(), serde_json::from_str(&row.data?).unwrap()))).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

fn titles(world: &World) -> Vec<(String, String)> {
    server(world).into_iter().map(|(id, data)| (id, data["title"].as_str().unwrap_or_default().to_owned())).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, title)| ((*id).to_owned(), (*title).to_owned())).collect()
}

fn device(world: &World, name: &str) -> Device {
    world.device(name).with_config(r#"{"entities":{"tasks":{"localOnly":["draft"]},"notes":{}},"retry":{"maxAttempts":1}}"#)
}

/// medic/cht-core#8093: the server is restored from a backup, the device's own checkpoint says that all is sent, and
/// what was sent since the backup is gone for good.
#[test]
fn a_checkpoint_kept_only_on_the_client_does_not_keep_it_from_uploading_again() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"kept","title":"before"}"#);
    a.create(r#"{"id":"gone","title":"before"}"#);
    a.create(r#"{"id":"edited","title":"before","n":1}"#);
    a.sync();
    let backup = world.server.backup();
    a.create(r#"{"id":"new","title":"created"}"#);
    a.patch("edited", r#"{"title":"edited","draft":"mine"}"#);
    a.delete("gone");
    a.sync();
    restore(&world, &backup, "epoch-2");
    let told = offers(&a);
    phone.requests();

    let result = settle(&a);

    assert_eq!(titles(&world), pairs(&[("edited", "edited"), ("kept", "before"), ("new", "created")]));
    assert_eq!(a.titles(), ["before", "created", "edited"]);
    assert_eq!(a.read("edited").unwrap()["draft"], "mine", "what never leaves the device has stayed");
    assert_eq!((result.pushed_count, result.conflicts_detected), (3, 0));
    assert_eq!(heard(&told), [3]);
    let requests = phone.requests();
    assert_eq!(
        requests,
        // The cursor is refused; everything comes afresh; what was forgotten goes; a cycle that finds nothing.
        ["POST /pull", "POST /pull", "POST /push", "PUT /metadata", "POST /pull"]
    );
    // A third device sees all of it.
    let b = world.device("laptop").open();
    b.sync();
    assert_eq!(b.titles(), ["before", "created", "edited"]);
}

#[test]
fn a_new_epoch_without_a_loss_offers_nothing() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["same", "edited", "deleted"] {
        a.create(&format!(r#"{{"id":"{id}","title":"mine"}}"#));
    }
    a.sync();
    b.sync();
    b.patch("edited", r#"{"title":"theirs"}"#);
    b.delete("deleted");
    b.sync();
    // The phone has not pulled these yet.
    let versions: Vec<u64> = world.server.rows("ann").iter().map(|row| row.version).collect();
    world.server.set_epoch("epoch-2").unwrap();
    let (told, told_too) = (offers(&a), offers(&b));
    phone.requests();

    for tab in [&a, &b] {
        let result = settle(tab);
        assert_eq!((result.pushed_count, result.conflicts_detected), (0, 0));
        assert_eq!(tab.titles(), ["mine", "theirs"]);
    }

    assert_eq!((heard(&told), heard(&told_too)), (vec![0], vec![0]));
    assert_eq!(world.server.rows("ann").iter().map(|row| row.version).collect::<Vec<u64>>(), versions);
    assert!(!phone.requests().contains(&"POST /push".to_owned()));
    let user = a.engine.opened("ann").unwrap();
    assert!(user.db.with(|replica| replica.receipts().restored().is_none() && !replica.receipts().has_suspects()));
}

#[test]
fn each_device_offers_what_it_has_written_and_what_it_has_seen_on_top() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","a":1,"b":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"a":2}"#);
    a.sync();
    b.sync();
    b.patch("t", r#"{"b":2}"#);
    b.create(r#"{"id":"u","title":"laptop's"}"#);
    b.sync();
    a.sync();
    a.create(r#"{"id":"v","title":"phone's"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");

    // The phone has seen all, but `u` is the laptop's alone.
    assert_eq!(settle(&a).pushed_count, 2);
    assert_eq!(titles(&world), pairs(&[("t", "milk"), ("v", "phone's")]));
    assert_eq!((&server(&world)[0].1["a"], &server(&world)[0].1["b"]), (&2.into(), &2.into()), "the row that it holds contains both");
    let result = settle(&b);
    assert_eq!((result.pushed_count, result.conflicts_detected), (1, 0), "only what nobody has offered yet");
    a.sync();
    for tab in [&a, &b] {
        assert_eq!(tab.titles(), ["laptop's", "milk", "phone's"]);
    }
}

#[test]
fn an_edit_made_since_the_restore_is_a_conflict_that_keeps_both() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","done":false,"n":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    b.sync();
    b.patch("t", r#"{"done":true}"#);
    b.sync();
    let told = offers(&a);

    let result = settle(&a);

    assert_eq!((result.conflicts_detected, result.conflicts_resolved), (1, 1));
    b.sync();
    for tab in [&a, &b] {
        let task = tab.read("t").unwrap();
        assert_eq!((task["title"].as_str(), task["done"].as_bool()), (Some("oat milk"), Some(true)));
    }
    assert_eq!(heard(&told), [1]);
}

#[test]
fn the_resolver_sees_the_forgotten_write_as_local_and_knows_what_is_others() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    let backup = world.server.backup();
    b.patch("t", r#"{"title":"oat milk"}"#);
    b.sync();
    restore(&world, &backup, "epoch-2");
    a.sync();
    a.patch("t", r#"{"title":"soy milk"}"#);
    a.sync();
    let seen: Rc<std::cell::RefCell<Vec<Conflict>>> = Rc::default();
    let noted = Rc::clone(&seen);
    let asked = Asked(move |conflict: &Conflict| {
        noted.borrow_mut().push(conflict.clone());
        Ok(Resolution::Later)
    });
    let again = laptop.open_with(Resolvers { fallback: Some(Rc::new(asked)), ..Resolvers::default() });

    again.sync();

    let conflict = seen.borrow()[0].clone();
    let field = |body: &Option<Rc<str>>, name: &str| serde_json::from_str::<Value>(body.as_deref().unwrap()).unwrap()[name].clone();
    assert_eq!((field(&conflict.local, "title"), field(&conflict.remote, "title")), ("oat milk".into(), "soy milk".into()));
    assert_eq!(
        (field(&conflict.base, "n"), field(&conflict.base, "title")),
        (1.into(), Value::Null),
        "the base is what others have written"
    );
    assert_eq!(conflict.fields, ["title"]);
    let parked: Vec<Value> = serde_json::from_str(&again.run(again.engine.conflicts("ann")).unwrap()).unwrap();
    assert_eq!((parked.len(), again.pending()), (1, 1), "it waits, and nothing is lost meanwhile");
    assert_eq!(laptop.open().read("t").unwrap()["title"], "oat milk");
    again.run(again.engine.resolve_conflict(parked[0]["id"].as_str().unwrap(), Resolution::Local)).unwrap();
    again.sync();
    assert_eq!(titles(&world), pairs(&[("t", "oat milk")]));
}

#[test]
fn what_waits_goes_on_top_of_what_was_forgotten() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","a":1,"b":1}"#);
    a.create(r#"{"id":"d","title":"to go"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"a":2}"#);
    a.create(r#"{"id":"n","title":"new","b":1}"#);
    a.patch("d", r#"{"title":"to go soon"}"#);
    a.sync();
    a.patch("t", r#"{"b":2}"#);
    a.patch("n", r#"{"b":2}"#);
    a.delete("d");
    restore(&world, &backup, "epoch-2");

    let result = settle(&a);

    assert_eq!(result.conflicts_detected, 0);
    let rows = server(&world);
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("t", "milk")]));
    assert_eq!((&rows[1].1["a"], &rows[1].1["b"], &rows[0].1["b"]), (&2.into(), &2.into(), &2.into()));
}

#[test]
fn wherever_the_tab_dies_nothing_is_lost_and_nothing_offered_twice() {
    for step in 0..12 {
        let world = World::new();
        let phone = device(&world, "phone");
        let a = phone.open();
        for n in 0..4 {
            a.create(&format!(r#"{{"id":"kept-{n}","title":"kept"}}"#));
        }
        a.sync();
        let backup = world.server.backup();
        for n in 0..4 {
            a.create(&format!(r#"{{"id":"new-{n}","title":"new"}}"#));
            a.patch(&format!("kept-{n}"), r#"{"title":"edited"}"#);
        }
        a.sync();
        restore(&world, &backup, "epoch-2");
        // The storage refuses everything from this commit on: as good as a crash between two of them.
        let store = phone.store();
        *store.failing.borrow_mut() = std::collections::VecDeque::new();
        let (options, engine) = (r#"{"overrideBatchSize":2}"#, phone.open());
        let before = phone.counts().transactions;
        let counts = Rc::clone(&store.counts);
        let failing = Rc::clone(&store.failing);
        *phone.wire.on_request.borrow_mut() = Some(Box::new(move |_| {
            if counts.get().transactions >= before + step {
                failing.borrow_mut().extend([Code::StorageUnavailable; 3]);
            }
        }));
        let _ = engine.sync_with(options);
        *phone.wire.on_request.borrow_mut() = None;
        store.failing.borrow_mut().clear();
        drop(engine);

        let again = phone.open();
        let result = again.sync_with(options).unwrap();
        assert!(result.is_success, "step {step}: {result:?}");
        settle(&again);
        let rows = world.server.rows("ann");
        assert_eq!(rows.len(), 8, "step {step}");
        assert_eq!(again.titles(), ["edited", "edited", "edited", "edited", "new", "new", "new", "new"], "step {step}");
        // Four rows of the backup, and eight writes on top: each was made once.
        assert_eq!(rows.iter().map(|row| row.version).max(), Some(12), "step {step}");
    }
}

#[test]
fn two_tabs_at_once_offer_it_once() {
    let world = World::new();
    let phone = device(&world, "phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.create(r#"{"id":"u","title":"new"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    // The lock over tabs holds nobody back.
    let cycle = |tab: &Tab| {
        let engine = Rc::clone(&tab.engine);
        async move { engine.synchronize("ann", Default::default(), None, Rc::default()).await }
    };
    let (one, other) = a.run(async { futures_util::future::join(cycle(&a), cycle(&b)).await });
    assert!(one.unwrap().is_success && other.unwrap().is_success);
    settle(&a);
    settle(&b);
    assert_eq!(titles(&world), pairs(&[("t", "oat milk"), ("u", "new")]));
    assert_eq!(world.server.rows("ann").iter().map(|row| row.version).max(), Some(3), "one edit and one create");
}

#[test]
fn a_verdict_of_the_old_epoch_that_comes_late_settles_nothing() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    // The answer of the push arrives, and between it and the pull the server is restored.
    let server = world.server.clone();
    let pulls = std::cell::Cell::new(0);
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path.ends_with("/pull") {
            pulls.set(pulls.get() + 1);
            if pulls.get() == 1 {
                server.restore(&backup);
                server.set_epoch("epoch-2").unwrap();
            }
        }
    }));
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "oat milk")]));

    // Restored before the push: its verdicts are of another history, and its operation is sent again.
    *phone.wire.on_request.borrow_mut() = None;
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"soy milk"}"#);
    a.sync();
    a.create(r#"{"id":"u","title":"new"}"#);
    restore(&world, &backup, "epoch-3");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "soy milk"), ("u", "new")]));
}

#[test]
fn nothing_is_pushed_before_the_restored_server_was_pulled_from() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    a.patch("t", r#"{"n":1}"#);
    let result = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!((result.pushed_count, a.pending()), (0, 1));
    // It knows now, and the pull breaks off.
    phone.fault("/pull", Fault::Lost);
    a.sync_with("{}").unwrap_err();
    settle(&a);
    let row = &server(&world)[0].1;
    assert_eq!((&row["title"], &row["n"]), (&"oat milk".into(), &1.into()));
}

#[test]
fn what_is_older_than_thirty_days_is_not_offered() {
    let world = World::new();
    let a = device(&world, "phone").open();
    let backup = world.server.backup();
    a.create(r#"{"id":"old","title":"old"}"#);
    a.sync();
    world.clock.advance(31 * DAY);
    a.create(r#"{"id":"new","title":"new"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("new", "new")]));
}

#[test]
fn dead_letters_parked_conflicts_and_held_tombstones_stay_as_they_are() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["p", "h"] {
        a.create(&format!(r#"{{"id":"{id}","title":"{id}"}}"#));
    }
    a.sync();
    b.sync();
    world.server.configure(|config| config.max_entity_bytes = 150);
    a.create(&format!(r#"{{"id":"big","title":"{}"}}"#, "x".repeat(300)));
    a.sync();
    world.server.configure(|config| config.max_entity_bytes = 10_000);
    b.patch("p", r#"{"title":"theirs"}"#);
    b.delete("h");
    b.sync();
    a.patch("p", r#"{"title":"mine"}"#);
    a.sync_with(r#"{"includeDeletes":false,"resolveConflicts":false}"#).unwrap();
    let backup = world.server.backup();
    a.create(r#"{"id":"n","title":"new"}"#);
    a.sync_with(r#"{"includeDeletes":false}"#).unwrap();
    restore(&world, &backup, "epoch-2");

    a.sync_with(r#"{"includeDeletes":false}"#).unwrap();

    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!((status.dead_letters, status.unresolved_conflicts), (1, 1));
    assert_eq!(a.read("p").unwrap()["title"], "mine");
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("p", "theirs")]));
    let parked: Vec<Value> = serde_json::from_str(&a.run(a.engine.conflicts("ann")).unwrap()).unwrap();
    a.run(a.engine.resolve_conflict(parked[0]["id"].as_str().unwrap(), Resolution::Local)).unwrap();
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("n", "new"), ("p", "mine")]));
}

#[test]
fn a_server_that_cannot_tell_what_it_kept_is_compared_with() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["same", "edited", "twice"] {
        a.create(&format!(r#"{{"id":"{id}","title":"milk","n":1}}"#));
    }
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("edited", r#"{"title":"oat milk"}"#);
    a.patch("twice", r#"{"title":"oat milk"}"#);
    a.create(r#"{"id":"new","title":"new"}"#);
    a.sync();
    world.server.restore(&backup);
    for device in [&phone, &laptop] {
        device.wire.vague.set(true);
    }
    world.server.set_epoch("epoch-2").unwrap();
    b.sync();
    b.patch("twice", r#"{"n":2}"#);
    b.sync();

    let result = settle(&a);

    assert_eq!((result.pushed_count, result.conflicts_detected), (3, 1));
    assert_eq!(titles(&world), pairs(&[("edited", "oat milk"), ("new", "new"), ("same", "milk"), ("twice", "oat milk")]));
    assert_eq!(server(&world)[3].1["n"], 2);
}

#[test]
fn a_server_that_is_restored_twice_is_offered_it_twice() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    let told = offers(&a);
    // It has heard of the first, and offered nothing yet.
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!((heard(&told), a.pending()), (vec![1], 1));
    restore(&world, &backup, "epoch-3");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "milk")]));
    restore(&world, &backup, "epoch-4");
    settle(&phone.open());
    assert_eq!(titles(&world), pairs(&[("t", "milk")]));
}

#[test]
fn clearing_sync_metadata_forgets_no_receipt_and_clearing_the_user_does() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    let backup = world.server.backup();
    a.write("notes", Write::Create { draft: r#"{"id":"n","title":"note"}"#.to_owned() }).unwrap();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    a.run(a.engine.clear_metadata("ann", true, true)).unwrap();
    restore(&world, &backup, "epoch-2");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("n", "note"), ("t", "milk")]));

    a.run(a.engine.clear_user_data("ann")).unwrap();
    restore(&world, &backup, "epoch-3");
    let b = phone.open();
    b.sync();
    assert_eq!(titles(&world), pairs(&[]), "whoever gives up the data gives up what it was good for");
}
