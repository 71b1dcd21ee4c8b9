//! Errors, headers, health and info, static files.

use crate::common::api::{Api, create, options, request};
use crate::common::run;
use axum::body::Body;
use axum::http::Request;
use datum_server::Config;
use datum_server::http::Options;
use serde_json::{Value, json};

const PULL: &str = r#"{"clientId":"d","cursor":null,"limit":10}"#;

#[test]
fn what_one_device_pushes_another_pulls() {
    run(async {
        let api = Api::new().await;
        assert_eq!(
            api.push("ann", json!([create("1", "a")])).await[0]["status"],
            "applied"
        );
        let page = api.pull("ann", &Value::Null).await;
        assert_eq!(page["changes"][0]["data"], json!({ "title": "a" }));
        assert_eq!(api.pull("bob", &Value::Null).await["changes"], json!([]));
    });
}

#[test]
fn a_push_for_another_server_is_answered_and_does_nothing() {
    run(async {
        let api = Api::new().await;
        let own = api.pull("ann", &Value::Null).await["serverId"].clone();
        let push = async |server_id: &Value| {
            let body =
                json!({ "clientId": "d", "serverId": server_id, "operations": [create("1", "a")] });
            let asked = request("ann", "POST", "push").body(Body::from(body.to_string()));
            let answer = api.send(asked.unwrap()).await;
            assert_eq!(answer.status, 200);
            answer.json()
        };
        let reply = push(&json!("another")).await;
        let verdict = &reply["results"][0];
        assert_eq!(
            (&verdict["code"], &reply["serverId"]),
            (&json!("otherServer"), &own)
        );
        assert_eq!(api.pull("ann", &Value::Null).await["changes"], json!([]));
        assert_eq!(push(&own).await["results"][0]["status"], "applied");
    });
}

#[test]
fn every_error_is_json_with_a_code_and_a_request_id() {
    run(async {
        let api = Api::new().await;
        let cases = [
            ("POST", "pull", "{", 400, "badRequest"),
            ("POST", "push", "not json", 400, "badRequest"),
            ("POST", "push", "\u{0}", 400, "badRequest"),
            ("PUT", "metadata", "[]", 400, "badRequest"),
            ("GET", "pull", "", 405, "methodNotAllowed"),
            ("POST", "nothing", "", 404, "notFound"),
            ("POST", "pull/", "", 404, "notFound"),
        ];
        for (method, path, body, status, code) in cases {
            let answer = api
                .send(request("ann", method, path).body(Body::from(body)).unwrap())
                .await;
            assert_eq!(
                answer.refusal(),
                (status, code.to_owned()),
                "{method} {path} {body}"
            );
            assert_eq!(answer.header("content-type"), "application/json");
        }
        let outside = api
            .send(Request::get("/").body(Body::empty()).unwrap())
            .await;
        assert_eq!(outside.refusal(), (404, "notFound".to_owned()));
        let bytes = api
            .send(
                request("ann", "POST", "push")
                    .body(Body::from(vec![b'"', 0xff, 0xfe]))
                    .unwrap(),
            )
            .await;
        assert_eq!(bytes.refusal(), (400, "badRequest".to_owned()));
    });
}

#[test]
fn answers_are_not_cached_and_have_a_request_id() {
    run(async {
        let api = Api::new().await;
        let first = api
            .post("ann", "pull", serde_json::from_str(PULL).unwrap())
            .await;
        let second = api
            .post("ann", "pull", serde_json::from_str(PULL).unwrap())
            .await;
        assert!(first.header("cache-control").contains("no-store"));
        assert_eq!(first.header("content-type"), "application/json");
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    });
}

#[test]
fn health_needs_no_token_and_info_does() {
    run(async {
        let api = Api::new().await;
        let health = api
            .send(Request::get("/sync/v1/health").body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (
                health.status,
                &health.json()["status"],
                &health.json()["epoch"]
            ),
            (200, &json!("ok"), &json!("e1"))
        );
        assert_eq!(
            api.send(Request::get("/sync/v1/info").body(Body::empty()).unwrap())
                .await
                .status,
            401
        );
        let info = api
            .send(request("ann", "GET", "info").body(Body::empty()).unwrap())
            .await
            .json();
        assert_eq!(
            (
                &info["limits"]["maxOperations"],
                &info["retention"]["tombstoneDays"]
            ),
            (&json!(10_000), &json!(90))
        );
    });
}

#[test]
fn a_folder_is_served_beside_the_protocol() {
    run(async {
        let folder = crate::common::Folder::new();
        std::fs::write(
            folder.0.join("index.html"),
            "<!doctype html><title>demo</title>",
        )
        .unwrap();
        std::fs::write(folder.0.join("engine.wasm"), b"\0asm").unwrap();
        std::fs::write(folder.0.join("app.js"), "export {};").unwrap();
        let api = Api::with(
            Options {
                static_dir: Some(folder.0.clone()),
                ..options()
            },
            Config::default(),
        )
        .await;
        for (path, kind) in [
            ("/", "text/html"),
            ("/engine.wasm", "application/wasm"),
            ("/app.js", "text/javascript"),
        ] {
            let answer = api
                .send(Request::get(path).body(Body::empty()).unwrap())
                .await;
            assert_eq!((answer.status, answer.header("content-type")), (200, kind));
        }
        assert_eq!(
            api.send(Request::get("/../Cargo.toml").body(Body::empty()).unwrap())
                .await
                .status,
            404
        );
        assert_eq!(
            api.send(
                Request::get("/sync/v1/index.html")
                    .body(Body::empty())
                    .unwrap()
            )
            .await
            .refusal()
            .0,
            401
        );
    });
}
