//! Writes that change nothing, and patches that remove fields.

use crate::support::local_only::{at_server, keeper, unsaid, update};
use crate::support::world::{Tab, World, id_of};
use datum_sync::plan::write::{Write, Written};
use serde_json::{Value, json};

fn remove(tab: &Tab, id: &str, changes: &Value, removed: &[&str]) -> Value {
    let write = Write::PatchAndRemove {
        id: id.to_owned(),
        changes: changes.to_string(),
        removed: removed.iter().map(|name| (*name).to_owned()).collect(),
    };
    match tab.write("tasks", write).unwrap() {
        Written::Entity(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_that_changes_nothing_queues_nothing_and_keeps_the_time() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let made = a.create(r#"{"title":"milk","tags":["a",{"b":null}]}"#);
    let id = id_of(&made);
    a.sync();
    let synced = a.read(&id).unwrap();
    let before = phone.counts();

    let shuffled = json!({"tags": ["a", {"b": null}], "title": "milk", "id": id});
    for same in [
        a.patch(&id, "{}"),
        a.patch(&id, r#"{"title":"milk"}"#),
        a.patch(&id, r#"{"tags":["a",{"b":null}],"title":"milk"}"#),
        update(&a, &synced.to_string()),
        update(&a, &shuffled.to_string()),
        remove(&a, &id, &json!({}), &["due", "nothing"]),
        remove(&a, &id, &json!({"title": "milk"}), &["due"]),
    ] {
        assert_eq!(same, synced);
    }

    assert_eq!((a.pending(), phone.counts().records), (0, before.records));
    assert_eq!(a.read(&id).unwrap(), synced);
    phone.requests();
    assert_eq!(
        a.sync_with(r#"{"direction":"pushOnly"}"#)
            .unwrap()
            .pushed_count,
        0
    );

    a.patch(&id, r#"{"title":"tea"}"#);
    a.patch(&id, r#"{"title":"tea"}"#);
    assert_eq!(a.pending(), 1);
    assert_ne!(a.read(&id).unwrap()["modifiedAt"], synced["modifiedAt"]);
    assert_eq!(
        a.patch(&id, r#"{"due":null}"#)["due"],
        Value::Null,
        "null is a value"
    );
}

#[test]
fn a_patch_removes_fields_here_and_on_the_server() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk","due":"today","n":1}"#));
    a.sync();
    b.sync();

    let patched = remove(&a, &id, &json!({"title": "tea"}), &["due", "none"]);
    assert_eq!(
        (patched.get("due"), &patched["title"]),
        (None, &json!("tea"))
    );
    assert_eq!(a.pending(), 1);
    b.patch(&id, r#"{"n":2}"#);
    b.sync();
    a.sync();
    b.sync();

    for tab in [&a, &b] {
        let read = tab.read(&id).unwrap();
        assert_eq!(
            (read.get("due"), &read["title"], &read["n"]),
            (None, &json!("tea"), &json!(2))
        );
    }
    assert_eq!(at_server(&world).get("due"), None);
    remove(&b, &id, &json!({}), &["n"]);
    b.sync();
    assert_eq!(at_server(&world).get("n"), None);
}

#[test]
fn a_field_that_is_removed_before_the_first_push_is_never_sent() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    remove(&a, &id, &json!({}), &["secret"]);
    assert_eq!(a.pending(), 1);
    a.sync();
    unsaid(&phone, "hush");
    assert_eq!(a.read(&id).unwrap().get("secret"), None);
}

#[test]
fn a_local_only_field_is_removed_without_an_operation() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush","draft":"x"}"#));
    a.sync();
    let synced = a.read(&id).unwrap();

    let removed = remove(&a, &id, &json!({}), &["secret"]);

    assert_eq!(
        (removed.get("secret"), &removed["draft"]),
        (None, &json!("x"))
    );
    assert_eq!(
        (a.pending(), &removed["modifiedAt"]),
        (0, &synced["modifiedAt"])
    );
    assert_eq!(phone.open().read(&id).unwrap(), removed);
    let both = remove(&a, &id, &json!({"title": "tea"}), &["draft"]);
    assert_eq!(
        (both.get("draft"), &both["title"], a.pending()),
        (None, &json!("tea"), 1)
    );
    a.sync();
    assert_eq!(at_server(&world)["title"], "tea");
}
