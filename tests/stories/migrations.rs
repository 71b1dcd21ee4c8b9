//! An update of the app: what is stored becomes what its newer version expects.

use crate::support::migrations::{
    Chain, at_version, filled, renamed, updated, version, with_chain,
};
use crate::support::world::{Fault, Tab, World};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::entity::Key;
use datum_sync::state::view::{View, ViewBody};
use futures_util::FutureExt;
use serde_json::json;

fn all(tab: &Tab) -> Vec<serde_json::Value> {
    let text = tab.run(tab.engine.entities().read_all(&tab.user, "tasks", true));
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[test]
fn rows_and_what_waits_are_migrated_at_once() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create(r#"{"id":"synced","text":"milk","secret":"hush"}"#);
    a.create(r#"{"id":"edited","text":"bread"}"#);
    a.create_in("notes", r#"{"id":"note","text":"untouched"}"#);
    a.sync();
    a.patch("edited", r#"{"text":"rye bread"}"#);
    a.create(r#"{"id":"new","text":"soap","secret":"psst"}"#);
    a.delete("synced");
    a.create(r#"{"id":"other","text":"salt"}"#);
    a.run(a.engine.close());

    let (phone, chain) = updated(phone);
    let b = phone.open();
    assert_eq!(version(&b), 2);
    assert_eq!(b.titles(), ["rye bread", "salt", "soap"]);
    assert_eq!(b.read("edited").unwrap().get("text"), None);
    let new = b.read("new").unwrap();
    assert_eq!(
        (&new["title"], &new["secret"]),
        (&json!("soap"), &json!("psst"))
    );
    assert_eq!(
        b.read_in("notes", "note", false).unwrap()["text"],
        "untouched"
    );
    assert_eq!(b.pending(), 4);
    assert!(!chain.ids.borrow().contains(&"note".to_owned()));

    phone.requests();
    assert!(b.sync().is_success);
    // The whole entity goes: under its former names, the server's row would keep the old value too.
    let server = world.device("other").open();
    server.sync();
    let rows = all(&server);
    let edited = rows.iter().find(|row| row["id"] == "edited").unwrap();
    assert_eq!(
        (edited.get("text"), &edited["title"]),
        (None, &json!("rye bread"))
    );

    let again = phone.open();
    let before = chain.ids.borrow().len();
    assert_eq!(again.titles(), b.titles());
    assert_eq!(chain.ids.borrow().len(), before, "once");
}

#[test]
fn fields_that_never_leave_the_device_are_migrated_with_their_entity() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create(r#"{"id":"t","text":"milk","secret":"hush"}"#);
    a.sync();
    a.run(a.engine.close());

    let chain = Chain::default().step(|fields| {
        let secret = fields.remove("secret").ok_or("no secret")?;
        fields.insert("hidden".into(), json!([secret, fields["text"]]));
        Ok(())
    });
    let (phone, _) = with_chain(phone, chain);
    let b = phone.open();
    assert_eq!(b.read("t").unwrap()["hidden"], json!(["hush", "milk"]));
    let stored = |tab: &Tab| {
        let user = tab.engine.opened("ann").unwrap();
        user.db
            .read(|replica| match replica.view(&Key::new("tasks", "t")) {
                Some(View {
                    body: Some(ViewBody::Text(text)),
                    ..
                }) => text.to_owned(),
                other => panic!("{other:?}"),
            })
    };
    assert!(
        !stored(&b).contains("hush"),
        "apart from what is sent: {}",
        stored(&b)
    );
    b.patch("t", r#"{"text":"oat milk"}"#);
    phone.requests();
    b.sync();
    let other = world.device("other").open();
    other.sync();
    let row = other.read("t").unwrap();
    assert_eq!((row.get("hidden"), row.get("secret")), (None, None));
    assert_eq!(b.read("t").unwrap()["hidden"], json!(["hush", "milk"]));
}

#[test]
fn dead_letters_and_parked_conflicts_are_migrated() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let laptop = at_version(world.device("laptop"), 1);
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","text":"milk"}"#);
    a.create(r#"{"id":"bad","text":"fine"}"#);
    a.sync();
    b.sync();
    b.patch("t", r#"{"text":"theirs"}"#);
    b.sync();
    a.patch("t", r#"{"text":"mine"}"#);
    a.sync_with(r#"{"conflictResolver":"ask"}"#).unwrap();
    assert_eq!(a.conflicts().len(), 1);
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    a.patch("bad", &format!(r#"{{"text":"{}"}}"#, "x".repeat(200)));
    a.sync();
    assert_eq!(a.dead_letters().len(), 1);
    a.run(a.engine.close());

    let (phone, _) = updated(phone);
    let c = phone.open();
    let conflict = &c.conflicts()[0];
    for (side, text) in [("base", "milk"), ("local", "mine"), ("remote", "theirs")] {
        assert_eq!(
            (conflict[side].get("text"), &conflict[side]["title"]),
            (None, &json!(text)),
            "{side}"
        );
    }
    let letter = &c.dead_letters()[0];
    assert_eq!(
        (letter["data"].get("text"), &letter["base"]["title"]),
        (None, &json!("fine"))
    );
    assert_eq!(letter["data"]["title"].as_str().unwrap().len(), 200);
}

#[test]
fn steps_follow_each_other_from_the_version_that_is_stored() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    phone
        .open()
        .create(r#"{"id":"t","text":"milk","price":1.50,"big":12345678901234567890123}"#);
    let chain = || Chain::default().step(renamed("text", "title"));
    let (phone, _) = with_chain(phone, chain());
    assert_eq!(version(&phone.open()), 2);
    let (phone, _) = with_chain(phone, chain().step(renamed("title", "name")));
    let tab = phone.open();
    assert_eq!(
        (version(&tab), &tab.read("t").unwrap()["name"]),
        (3, &json!("milk"))
    );
    let text = tab.run(tab.engine.entities().read(&tab.user, "tasks", "t", false));
    let text = text.unwrap().unwrap();
    for kept in [r#""price":1.50"#, r#""big":12345678901234567890123"#] {
        assert!(
            text.contains(kept),
            "what no migration touches keeps its text: {text}"
        );
    }
}

#[test]
fn a_log_that_begins_has_the_apps_version() {
    let world = World::new();
    let (phone, chain) = updated(world.device("phone"));
    let a = phone.open();
    assert_eq!(
        (phone.counts().transactions, version(&a)),
        (0, 0),
        "opening writes nothing"
    );
    a.create(r#"{"title":"milk"}"#);
    assert_eq!((phone.counts().transactions, version(&a)), (1, 2));
    let b = phone.open();
    b.run(b.engine.opened("ann").unwrap().db.checkpoint())
        .unwrap();
    assert_eq!(version(&phone.open()), 2, "a checkpoint repeats it");
    assert!(chain.ids.borrow().is_empty());
}

#[test]
fn without_migrations_the_data_is_taken_as_it_is() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 0);
    phone.open().create(r#"{"title":"milk"}"#);
    let phone = at_version(phone, 7);
    let tab = phone.open();
    assert_eq!((version(&tab), tab.titles()), (7, vec!["milk".to_owned()]));
    let before = phone.counts().transactions;
    assert_eq!(version(&phone.open()), 7);
    assert_eq!(
        phone.counts().transactions,
        before,
        "the version is stated once"
    );
}

#[test]
fn many_rows_are_written_in_bounded_transactions_and_leave_no_garbage() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create_in("notes", r#"{"id":"first"}"#);
    filled(&a, &phone, 20_000);
    a.run(a.engine.close());

    let (phone, chain) = updated(phone);
    let before = phone.counts();
    let b = phone.open();
    let after = phone.counts();
    assert_eq!(chain.ids.borrow().len(), 20_000);
    // 6 MB: two transactions of 2 MiB, and the rest with the checkpoint.
    assert_eq!(after.transactions - before.transactions, 3);
    assert_eq!(b.read("task-000042").unwrap()["title"], "task 42");
    let user = b.engine.opened("ann").unwrap();
    let (dead, segments) = user.db.read(|replica| {
        let external: Vec<_> = replica.segments().external().collect();
        let known: Vec<_> = external.iter().map(|(id, ..)| *id).collect();
        assert_eq!(
            phone.store().inner.body_ids(),
            known,
            "nothing else is stored"
        );
        let dead: u64 = external
            .iter()
            .map(|(_, len, live)| u64::from(*len) - live)
            .sum();
        (dead, external.len())
    });
    assert_eq!((dead, user.count("tasks")), (0, 20_000));
    assert!(segments < 40, "{segments} segments");
    assert_eq!(all(&b).len(), 20_000);
    assert_eq!(all(&phone.open()).len(), 20_000);
}

#[test]
fn the_app_hears_how_far_a_migration_is() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    for number in 0..30 {
        a.run(a.engine.entities().write(
            "bob",
            "tasks",
            vec![datum_sync::plan::write::Write::Create {
                draft: format!(r#"{{"text":"{number}"}}"#),
            }],
        ))
        .unwrap();
    }
    a.sync_with("{}").unwrap();
    let (phone, _) = updated(phone);
    let tab = phone.open();
    let events = tab.engine.events(Filter {
        topics: vec![Topic::MigrationProgress],
        ..Filter::default()
    });
    tab.run(tab.engine.user("bob")).unwrap();
    let last = events.next().now_or_never().flatten().unwrap();
    let last: serde_json::Value = serde_json::from_str(&last.text).unwrap();
    assert_eq!(last["userId"], "bob");
    assert_eq!(
        [&last["from"], &last["to"], &last["done"], &last["total"]],
        [&json!(1), &json!(2), &json!(0), &json!(0)],
        "nothing of bob is synced: no rows"
    );
}

#[test]
fn a_full_pull_that_was_interrupted_starts_again_after_a_migration() {
    let world = World::new();
    let laptop = at_version(world.device("laptop"), 1);
    let b = laptop.open();
    for number in 0..6 {
        b.create(&format!(r#"{{"id":"t{number}","text":"task {number}"}}"#));
    }
    b.sync();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    phone.fault("/pull", Fault::Slow(0));
    for _ in 0..3 {
        phone.fault("/pull", Fault::Lost);
    }
    let pages = r#"{"overrideBatchSize":2,"direction":"pullOnly"}"#;
    a.sync_with(pages).unwrap_err();
    let pulls_all = |tab: &Tab| {
        let user = tab.engine.opened("ann").unwrap();
        user.db
            .read(|replica| (replica.is_pulling_all(), user.count("tasks")))
    };
    assert_eq!(pulls_all(&a), (true, 2));
    a.run(a.engine.close());
    let (phone, _) = updated(phone);
    let c = phone.open();
    assert_eq!(pulls_all(&c), (false, 2));
    c.sync();
    assert_eq!(pulls_all(&c), (false, 6));
}

/// What a page sends as it is left may be an earlier version of a pending operation in the log.
#[test]
fn a_value_that_was_sent_before_an_update_is_known_as_this_devices_own_after_it() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create(r#"{"id":"t","text":"milk","litres":1}"#);
    let user = a.engine.opened("ann").unwrap();
    let op_id = (user.db).read(|replica| replica.outbox().iter().next().unwrap().op.op_id.clone());
    a.patch("t", r#"{"litres":2}"#);
    assert_eq!(a.pending(), 1);
    a.run(a.engine.close());
    // The clock of the device has been set back meanwhile.
    let sent = json!({"text": "milk", "litres": 1, "createdAt": "2030-01-01T00:00:00.000Z", "modifiedAt": "2030-01-01T00:00:00.000Z"});
    let left = json!({"clientId": "phone", "userId": "ann", "schema": 1, "operations": [
        {"opId": op_id, "entity": "tasks", "id": "t", "kind": "create", "baseVersion": null, "data": sent}
    ]});
    let left = left.to_string();
    let (status, _) = (world.server).handle("ann", "POST", "/sync/v1/push", left.as_bytes(), 0);
    assert_eq!(status, 200);

    let (phone, _) = updated(phone);
    let b = phone.open();
    b.sync();
    assert_eq!(b.read("t").unwrap()["litres"], 2);
    assert_eq!(b.pending(), 0);
}
