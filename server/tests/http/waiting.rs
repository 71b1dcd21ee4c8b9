//! Long pulls and streams.

use std::time::Duration;

use crate::common::api::{Api, bearer, create, request, token};
use crate::common::run;
use axum::body::{Body, BodyDataStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

/// Far longer than any step here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

async fn waiting_pull(api: &Api, user: &str, cursor: &Value, wait_ms: u64) -> Value {
    let body = json!({ "clientId": "d", "cursor": cursor, "limit": 10, "waitMs": wait_ms });
    let answer = tokio::time::timeout(TIMEOUT, api.post(user, "pull", body))
        .await
        .expect("the pull never answered");
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn open(api: &Api, token: &str) -> BodyDataStream {
    let response = api
        .open(bearer(token, "GET", "stream").body(Body::empty()).unwrap())
        .await;
    assert_eq!(response.status(), 200);
    let mut stream = response.into_body().into_data_stream();
    assert_eq!(
        next(&mut stream).await,
        ": open\n\n",
        "the first chunk comes at once"
    );
    stream
}

async fn next(stream: &mut BodyDataStream) -> String {
    let chunk = tokio::time::timeout(TIMEOUT, stream.next())
        .await
        .expect("the stream was silent");
    String::from_utf8(chunk.expect("the stream ended").unwrap().to_vec()).unwrap()
}

#[test]
fn a_long_pull_answers_when_its_user_has_something_new() {
    run(async {
        let api = Api::new().await;
        let cursor = api.pull("ann", &Value::Null).await["cursor"].clone();
        let waiting = tokio::spawn({
            let (api, cursor) = (api.clone(), cursor.clone());
            async move { waiting_pull(&api, "ann", &cursor, 25_000).await }
        });
        // The pull finds the write at once, or is notified of it if it waits already.
        api.push("bob", json!([create("1", "b")])).await;
        api.push("ann", json!([create("1", "a")])).await;
        assert_eq!(waiting.await.unwrap()["changes"][0]["id"], "a");
    });
}

#[test]
fn a_long_pull_without_changes_times_out() {
    run(async {
        let api = Api::new().await;
        let cursor = api.pull("ann", &Value::Null).await["cursor"].clone();
        assert_eq!(
            waiting_pull(&api, "ann", &cursor, 20).await["changes"],
            json!([])
        );
        api.push("ann", json!([create("1", "a")])).await;
        assert_eq!(
            waiting_pull(&api, "ann", &cursor, 25_000).await["changes"][0]["id"],
            "a",
            "a pull with changes does not wait"
        );
    });
}

#[test]
fn a_stream_hints_at_the_users_own_changes() {
    run(async {
        let api = Api::new().await;
        let mut stream = open(&api, &token("ann", 600.0)).await;
        api.push("bob", json!([create("1", "b")])).await;
        api.push("ann", json!([create("1", "a")])).await;
        assert_eq!(next(&mut stream).await, "event: change\ndata: {}\n\n");
        api.push("ann", json!([create("1", "a")])).await;
        api.push("ann", json!([create("2", "c")])).await;
        assert_eq!(next(&mut stream).await, "event: change\ndata: {}\n\n");
        // Neither bob's write nor the replay made a hint: the next event is the last one.
        api.stopping.send_replace(true);
        assert_eq!(
            next(&mut stream).await,
            "event: bye\ndata: {\"reason\":\"shutdown\"}\n\n"
        );
    });
}

#[test]
fn a_stream_ends_with_its_token() {
    run(async {
        let api = Api::new().await;
        let stream = open(&api, &token("ann", -10.0)).await;
        let rest: Vec<_> = tokio::time::timeout(TIMEOUT, stream.try_collect())
            .await
            .expect("the stream did not end")
            .unwrap();
        assert_eq!(
            rest.concat(),
            b"event: bye\ndata: {\"reason\":\"tokenExpired\"}\n\n"
        );
    });
}

#[test]
fn stopping_ends_long_pulls_and_streams() {
    run(async {
        let api = Api::new().await;
        let cursor = api.pull("ann", &Value::Null).await["cursor"].clone();
        let mut stream = open(&api, &token("ann", 600.0)).await;
        let waiting = tokio::spawn({
            let api = api.clone();
            async move { waiting_pull(&api, "ann", &cursor, 25_000).await }
        });
        api.stopping.send_replace(true);
        assert_eq!(waiting.await.unwrap()["changes"], json!([]));
        assert!(next(&mut stream).await.contains("shutdown"));
        assert!(
            tokio::time::timeout(TIMEOUT, stream.next())
                .await
                .unwrap()
                .is_none()
        );
        let late = api
            .send(request("ann", "GET", "stream").body(Body::empty()).unwrap())
            .await;
        assert!(
            String::from_utf8(late.bytes)
                .unwrap()
                .ends_with("shutdown\"}\n\n")
        );
    });
}

#[test]
fn the_number_of_streams_per_user_is_limited() {
    run(async {
        let api = Api::new().await;
        let mut streams = Vec::new();
        for _ in 0..256 {
            streams.push(open(&api, &token("ann", 600.0)).await);
        }
        let refused = api
            .send(request("ann", "GET", "stream").body(Body::empty()).unwrap())
            .await;
        assert_eq!(refused.refusal(), (429, "rateLimited".to_owned()));
        drop(open(&api, &token("bob", 600.0)).await);
        streams.pop();
        streams.push(open(&api, &token("ann", 600.0)).await);
    });
}

const SPACE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn in_space(op_id: &str, entity: &str, id: &str, kind: &str, base: Value, data: Value) -> Value {
    json!({ "opId": op_id, "space": SPACE, "entity": entity, "id": id, "kind": kind, "baseVersion": base, "data": data })
}

fn member(op_id: &str, user: &str, kind: &str, base: Value) -> Value {
    let id = format!("{SPACE}/{user}");
    in_space(
        op_id,
        "$member",
        &id,
        kind,
        base,
        json!({ "role": "writer" }),
    )
}

#[test]
fn a_stream_hints_at_all_spaces_and_follows_the_membership() {
    run(async {
        let api = Api::new().await;
        let hint = "event: change\ndata: {}\n\n";
        let mut bob = open(&api, &token("bob", 600.0)).await;
        let mut eve = open(&api, &token("eve", 600.0)).await;
        let making = in_space(
            "1",
            "$space",
            SPACE,
            "create",
            Value::Null,
            json!({ "name": "A" }),
        );
        api.push("ann", json!([making])).await;
        let joined = api
            .push("ann", json!([member("2", "bob", "create", Value::Null)]))
            .await;
        assert_eq!(next(&mut bob).await, hint, "bob is invited");
        let row = |op_id: &str| in_space(op_id, "task", op_id, "create", Value::Null, json!({}));
        api.push("ann", json!([row("3")])).await;
        assert_eq!(
            next(&mut bob).await,
            hint,
            "of a space that came after the stream"
        );
        let mut ann = open(&api, &token("ann", 600.0)).await;
        api.push("bob", json!([row("4")])).await;
        assert_eq!(next(&mut ann).await, hint);
        assert_eq!(next(&mut bob).await, hint, "one's own");
        let base = joined[0]["version"].clone();
        api.push("ann", json!([member("5", "bob", "delete", base)]))
            .await;
        assert_eq!(next(&mut bob).await, hint, "bob is removed");
        api.push("ann", json!([row("6")])).await;
        // The next event is the last one: bob hears nothing more of it, and eve never did.
        assert_eq!(next(&mut ann).await, hint);
        api.stopping.send_replace(true);
        for stream in [&mut bob, &mut eve] {
            assert!(next(stream).await.contains("shutdown"));
        }
    });
}

#[test]
fn a_long_pull_answers_when_a_space_has_something_new_or_the_list_has_changed() {
    run(async {
        let api = Api::new().await;
        let making = in_space(
            "1",
            "$space",
            SPACE,
            "create",
            Value::Null,
            json!({ "name": "A" }),
        );
        api.push("ann", json!([making])).await;
        let mut cursor = api.pull("bob", &Value::Null).await["cursor"].clone();
        let steps = [
            member("2", "bob", "create", Value::Null),
            in_space("3", "task", "x", "create", Value::Null, json!({})),
            member("4", "bob", "delete", json!(3)),
        ];
        for (step, op) in steps.into_iter().enumerate() {
            let waiting = tokio::spawn({
                let (api, cursor) = (api.clone(), cursor.clone());
                async move { waiting_pull(&api, "bob", &cursor, 25_000).await }
            });
            assert_eq!(api.push("ann", json!([op])).await[0]["status"], "applied");
            let page = waiting.await.unwrap();
            let told = (
                page["changes"].as_array().unwrap().len(),
                page["spaces"].as_array().map(Vec::len),
            );
            assert_eq!(told, [(3, Some(1)), (1, None), (0, Some(0))][step]);
            cursor = page["cursor"].clone();
        }
    });
}
