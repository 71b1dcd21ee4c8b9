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
