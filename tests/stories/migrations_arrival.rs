//! Rows of devices whose app is older: `schemaField` names the version of each on the server.

use crate::support::migrations::{Chain, Fields, renamed, version, with_chain};
use crate::support::world::{Device, Tab, World};
use serde_json::{Value, json};

/// A device whose app has this version, and whose entities name theirs.
fn marked(device: Device, version: u32) -> Device {
    let device = device.with_config(&config(version));
    let chain: Chain = match version {
        1 => return device,
        2 => titled(),
        _ => titled().step(counted),
    };
    with_chain(device, chain).0.with_config(&config(version))
}

fn config(version: u32) -> String {
    format!(
        r#"{{"entities":{{"tasks":{{}}}},"schemaVersion":{version},"schemaField":"v","retry":{{"maxAttempts":1}}}}"#
    )
}

fn titled() -> Chain {
    Chain::default().step(renamed("text", "title"))
}

/// Done twice, it would be seen.
fn counted(fields: &mut Fields) -> Result<(), String> {
    let count = fields.get("count").and_then(Value::as_u64).unwrap_or(0);
    fields.insert("count".to_owned(), json!(count + 1));
    Ok(())
}

/// What the server has of an entity.
fn at_server(world: &World, id: &str) -> Value {
    let plain = world.device(&format!("plain-{}", world.clock.now()));
    let tab = plain.open();
    tab.sync();
    tab.read(id).unwrap()
}

fn task(tab: &Tab) -> Value {
    tab.read("t").unwrap()
}

#[test]
fn a_row_of_an_older_app_is_migrated_when_it_arrives() {
    let world = World::new();
    let (old, new) = (
        marked(world.device("old"), 1),
        marked(world.device("new"), 2),
    );
    let (a, b) = (old.open(), new.open());
    a.create(r#"{"id":"t","text":"milk","price":1.50}"#);
    a.sync();
    assert_eq!(at_server(&world, "t")["v"], 1);
    b.sync();
    assert_eq!(
        (task(&b).get("text"), &task(&b)["title"]),
        (None, &json!("milk"))
    );
    // Once more, from the beginning.
    b.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    assert_eq!(task(&b)["title"], "milk");
    let text = b.run(b.engine.entities().read("ann", "tasks", "t", false));
    assert!(text.unwrap().unwrap().contains(r#""price":1.50"#));
}

#[test]
fn a_first_edit_takes_the_whole_entity_to_the_new_form_at_the_server() {
    let world = World::new();
    let (old, new) = (
        marked(world.device("old"), 1),
        marked(world.device("new"), 2),
    );
    let (a, b) = (old.open(), new.open());
    a.create(r#"{"id":"t","text":"milk","done":false}"#);
    a.sync();
    b.sync();
    b.patch("t", r#"{"done":true}"#);
    assert!(b.sync().is_success);
    let row = at_server(&world, "t");
    assert_eq!(
        (row.get("text"), &row["title"], &row["done"], &row["v"]),
        (None, &json!("milk"), &json!(true), &json!(2))
    );
    // Another new device takes it as it is, and so does this one.
    let other = marked(world.device("other"), 2).open();
    other.sync();
    b.sync();
    assert_eq!(task(&other)["title"], "milk");
    assert_eq!(task(&b)["v"], 2);
    // From now on, only what changes is sent.
    new.requests();
    b.patch("t", r#"{"done":false}"#);
    b.sync();
    let seen = new.remote.seen.take();
    let pushed = seen.iter().find(|request| request.path.ends_with("/push"));
    let body: Value = serde_json::from_slice(&pushed.unwrap().body).unwrap();
    assert_eq!(
        (
            &body["operations"][0]["kind"],
            body["operations"][0]["data"].get("title")
        ),
        (&json!("patch"), None)
    );
}

#[test]
fn what_arrived_in_a_newer_form_is_not_migrated_again_with_the_log() {
    let world = World::new();
    let newest = marked(world.device("newest"), 3);
    let phone = marked(world.device("phone"), 2);
    let (a, b) = (newest.open(), phone.open());
    b.create(r#"{"id":"mine","title":"bread"}"#);
    b.sync();
    a.create(r#"{"id":"t","title":"milk","count":1}"#);
    a.sync();
    b.sync();
    assert_eq!(task(&b)["v"], 3);
    b.run(b.engine.close());
    let phone = marked(phone, 3);
    let c = phone.open();
    assert_eq!(version(&c), 3);
    assert_eq!(task(&c)["count"], 1, "it was of version 3 already");
    assert_eq!(c.read("mine").unwrap()["count"], 1);
    c.sync();
    assert_eq!(c.read("mine").unwrap()["count"], 1);
    c.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    assert_eq!(
        c.read("mine").unwrap()["count"],
        1,
        "from the server's version"
    );
}

#[test]
fn edits_of_an_older_and_a_newer_app_are_merged_in_the_new_form() {
    let world = World::new();
    let (old, new) = (
        marked(world.device("old"), 1),
        marked(world.device("new"), 2),
    );
    let (a, b) = (old.open(), new.open());
    a.create(r#"{"id":"t","text":"milk","done":false,"place":"here"}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"text":"oat milk"}"#);
    a.sync();
    b.patch("t", r#"{"done":true}"#);
    // The verdict of the push has the row of the older app.
    assert!(b.sync().is_success);
    let row = at_server(&world, "t");
    assert_eq!(
        (row.get("text"), &row["title"], &row["done"], &row["v"]),
        (None, &json!("oat milk"), &json!(true), &json!(2))
    );
    assert_eq!(task(&b)["title"], "oat milk");
}

#[test]
fn a_row_that_no_migration_fits_stops_the_pull_and_is_named() {
    let world = World::new();
    let old = marked(world.device("old"), 1);
    let a = old.open();
    a.create(r#"{"id":"fine","text":"milk"}"#);
    a.create(r#"{"id":"odd","text":7}"#);
    a.sync();
    let chain = Chain::default().step(|fields| match fields["text"] {
        Value::String(_) => renamed("text", "title")(fields),
        _ => Err("threw: `text` is no string.".to_owned()),
    });
    let (new, _) = with_chain(world.device("new"), chain);
    let b = new.with_config(&config(2)).open();
    let error = b.sync_with("{}").unwrap_err();
    assert_eq!(
        (error.code(), error.entity(), error.entity_id()),
        (
            datum_sync::model::error::Code::Migration,
            Some("tasks"),
            Some("odd")
        )
    );
    assert!(
        b.titles().is_empty(),
        "a page is taken as a whole or not at all"
    );
}
