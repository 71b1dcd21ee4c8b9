//! The in-memory server that the client's tests use.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use datum_server::MemoryServer;
use serde_json::{Value, json};

fn call(server: &MemoryServer, user: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, body) = server.handle(
        user,
        "POST",
        &format!("/sync/v1/{path}"),
        body.to_string().as_bytes(),
        1_000,
    );
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn what_one_device_pushes_another_pulls() {
    let server = MemoryServer::new("e1");
    let op = json!({ "opId": "o1", "entity": "task", "id": "t\"1🦀", "kind": "create", "baseVersion": null, "data": { "title": "milk" } });
    let (status, reply) = call(
        &server,
        "ann",
        "push",
        json!({ "clientId": "a", "operations": [op, op] }),
    );
    assert_eq!(status, 200);
    assert_eq!(
        reply["results"][0],
        json!({ "opId": "o1", "status": "applied", "version": 1 })
    );
    assert_eq!(
        reply["results"][1],
        json!({ "opId": "o1", "status": "applied", "version": 1, "replayed": true })
    );
    let (status, page) = call(
        &server,
        "ann",
        "pull",
        json!({ "clientId": "b", "cursor": null, "limit": 10 }),
    );
    assert_eq!(status, 200);
    assert_eq!(
        page["changes"],
        json!([{ "entity": "task", "id": "t\"1🦀", "version": 1, "data": { "title": "milk" } }])
    );
    assert_eq!(
        (&page["more"], &page["remaining"], &page["epoch"]),
        (&json!(false), &json!(0), &json!("e1"))
    );
    assert_eq!(page["digests"]["task"]["count"], 1);
    let (_, other) = call(
        &server,
        "bob",
        "pull",
        json!({ "clientId": "b", "cursor": null, "limit": 10 }),
    );
    assert_eq!(other["changes"], json!([]));
    let (status, refused) = call(
        &server,
        "bob",
        "pull",
        json!({ "clientId": "b", "cursor": page["cursor"], "limit": 10 }),
    );
    assert_eq!((status, &refused["code"]), (410, &json!("cursorExpired")));
}

#[test]
fn a_restored_server_is_detected() {
    let server = MemoryServer::new("e1");
    let backup = server.backup();
    let op = json!({ "opId": "o1", "entity": "task", "id": "1", "kind": "create", "baseVersion": null, "data": {} });
    call(
        &server,
        "ann",
        "push",
        json!({ "clientId": "a", "operations": [op] }),
    );
    let (_, page) = call(
        &server,
        "ann",
        "pull",
        json!({ "clientId": "a", "cursor": null, "limit": 10 }),
    );
    let pull = json!({ "clientId": "a", "cursor": page["cursor"], "limit": 10 });
    server.restore(&backup);
    assert_eq!(
        call(&server, "ann", "pull", pull.clone()).1["code"],
        "epochChanged"
    );
    server.set_epoch("e2").unwrap();
    assert_eq!(call(&server, "ann", "pull", pull).1["code"], "epochChanged");
}

#[test]
fn a_push_into_a_space_names_the_others_who_have_something_to_pull() {
    let server = MemoryServer::new("e1");
    const SPACE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    let push = |user: &str, entity: &str, id: &str, kind: &str, base: Option<u64>, data: Value| {
        let op = json!({ "opId": format!("{kind}{id}{data}"), "space": SPACE, "entity": entity, "id": id,
            "kind": kind, "baseVersion": base, "data": data });
        let body = json!({ "clientId": "a", "operations": [op] }).to_string();
        let reply = server.answer(user, "POST", "/sync/v1/push", body.as_bytes(), 1);
        let reply = reply.unwrap();
        (reply.changed, reply.others)
    };
    let none: Vec<String> = Vec::new();
    let name = json!({ "name": "A" });
    assert_eq!(
        push("ann", "$space", SPACE, "create", None, name),
        (true, none.clone())
    );
    let role = json!({ "role": "writer" });
    for user in ["bob", "eve"] {
        push(
            "ann",
            "$member",
            &format!("{SPACE}/{user}"),
            "create",
            None,
            role.clone(),
        );
    }
    let named = |users: &[&str]| {
        users
            .iter()
            .map(|user| (*user).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        push("bob", "task", "x", "create", None, json!({})),
        (true, named(&["ann", "eve"]))
    );
    assert_eq!(
        push("bob", "task", "x", "create", None, json!({})),
        (false, none.clone()),
        "again"
    );
    assert_eq!(
        push("tim", "task", "y", "create", None, json!({})),
        (false, none),
        "a stranger"
    );
    let leave = push(
        "eve",
        "$member",
        &format!("{SPACE}/eve"),
        "delete",
        Some(4),
        Value::Null,
    );
    assert_eq!(leave, (true, named(&["ann", "bob"])));
    assert_eq!(
        server
            .rows_in(&datum_server::rules::store::Space::shared(SPACE))
            .len(),
        5
    );
    assert_eq!(server.digests("bob").unwrap()["task"].count, 1);
    let end = push("ann", "$space", SPACE, "delete", Some(1), Value::Null);
    assert_eq!(end, (true, named(&["bob"])));
}
