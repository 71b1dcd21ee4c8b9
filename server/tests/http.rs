//! HTTP's own part: who is asking, from where, and what every answer carries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod common;

use axum::body::Body;
use axum::http::Request;
use common::api::{Api, bearer, create, options, request, token};
use common::run;
use datum_server::Config;
use datum_server::http::Options;
use datum_server::http::auth::{Claims, Keys};
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
fn the_user_is_the_tokens_whatever_the_body_says() {
    run(async {
        let api = Api::new().await;
        let mut op = create("1", "a");
        op["data"]["userId"] = json!("bob");
        let body = json!({ "clientId": "d", "operations": [op, create("2", "b")] });
        let reply = api.post("ann", "push", body).await.json();
        assert_eq!(
            (&reply["results"][0]["code"], &reply["results"][1]["status"]),
            (&json!("userMismatch"), &json!("applied"))
        );
        assert_eq!(api.pull("bob", &Value::Null).await["changes"], json!([]));
        let cursor = &api.pull("ann", &Value::Null).await["cursor"];
        let answer = api
            .post(
                "bob",
                "pull",
                json!({ "clientId": "d", "cursor": cursor, "limit": 1 }),
            )
            .await;
        assert_eq!(answer.refusal(), (410, "cursorExpired".to_owned()));
    });
}

#[test]
fn a_request_that_means_another_user_than_the_token_is_refused_and_does_nothing() {
    run(async {
        let api = Api::new().await;
        // As escaped in a query: what only looks like the user is not the user.
        let user = "ann & bob+1 100%";
        let escaped = "ann%20%26%20bob%2B1%20100%25";
        let push = |meant: &str| json!({ "clientId": "d", "userId": meant, "operations": [create("1", "a")] });
        let pull = |meant: &str| json!({ "clientId": "d", "userId": meant, "cursor": null, "limit": 10, "waitMs": 20_000 });
        let mismatch = (409, "userMismatch".to_owned());
        for meant in ["ann", "", "ANN & bob+1 100%"] {
            assert_eq!(
                api.post(user, "push", push(meant)).await.refusal(),
                mismatch
            );
            assert_eq!(
                api.post(user, "pull", pull(meant)).await.refusal(),
                mismatch,
                "and at once"
            );
            let put = request(user, "PUT", "metadata")
                .body(Body::from(
                    json!({ "deviceId": "d", "userId": meant }).to_string(),
                ))
                .unwrap();
            assert_eq!(api.send(put).await.refusal(), mismatch);
        }
        assert_eq!(
            api.pull(user, &Value::Null).await["changes"],
            json!([]),
            "nothing was done"
        );
        for method in ["GET", "DELETE"] {
            for (query, status) in [
                (escaped, 200),
                ("ann+%26+bob%2B1+100%25", 200),
                ("ann", 409),
                ("", 409),
                ("%zz", 409),
                ("%", 409),
                ("%c3%28", 409),
            ] {
                let path = format!("metadata?x=1&userId={query}");
                assert_eq!(
                    api.send(request(user, method, &path).body(Body::empty()).unwrap())
                        .await
                        .status,
                    status,
                    "{path}"
                );
            }
            assert_eq!(
                api.send(
                    request(user, method, "metadata")
                        .body(Body::empty())
                        .unwrap()
                )
                .await
                .status,
                200,
                "nothing said"
            );
        }
        assert_eq!(
            api.post(user, "push", push(user)).await.json()["results"][0]["status"],
            "applied"
        );
        assert_eq!(
            api.post(user, "pull", pull(user)).await.json()["changes"][0]["id"],
            "a"
        );
    });
}

#[test]
fn a_request_without_a_valid_token_is_refused() {
    run(async {
        let api = Api::new().await;
        let foreign = Keys::new(b"another secret, also 32 bytes long")
            .unwrap()
            .mint(&Claims {
                sub: "ann".into(),
                exp: 9e9,
            })
            .unwrap();
        let good = token("ann", 600.0);
        let (head, rest) = good.split_once('.').unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().0);
        let other_algorithm = format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.{rest}");
        let forever = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.AAAA";
        let cases = [
            (format!("Bearer {}", token("ann", -31.0)), "tokenExpired"),
            (format!("Bearer {foreign}"), "tokenInvalid"),
            (format!("Bearer {unsigned}"), "tokenInvalid"),
            (format!("Bearer {other_algorithm}"), "tokenInvalid"),
            (format!("Bearer {forever}"), "tokenInvalid"),
            (format!("Bearer {head}"), "tokenInvalid"),
            ("Bearer".to_owned(), "tokenInvalid"),
            (format!("Basic {good}"), "tokenInvalid"),
            (format!("Bearer {}", token("", 600.0)), "tokenInvalid"),
            (
                format!("Bearer {}", token("a\u{1}b", 600.0)),
                "tokenInvalid",
            ),
        ];
        for (value, code) in cases {
            let request = Request::post("/sync/v1/pull")
                .header("authorization", &value)
                .body(Body::from(PULL))
                .unwrap();
            let answer = api.send(request).await;
            assert_eq!(answer.refusal(), (401, code.to_owned()), "{value}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
            assert!(
                !answer.json().to_string().contains(rest),
                "an answer never repeats a token"
            );
        }
        let answer = api
            .send(Request::get("/sync/v1/stream").body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.refusal(), (401, "tokenInvalid".to_owned()));
        assert_eq!(
            api.send(
                bearer(&token("ann", -20.0), "POST", "pull")
                    .body(Body::from(PULL))
                    .unwrap()
            )
            .await
            .status,
            200,
            "clocks differ"
        );
    });
}

#[test]
fn every_refusal_is_json_with_a_code_and_the_requests_id() {
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
fn answers_are_not_stored_and_name_their_request() {
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
fn only_pages_on_the_list_may_ask() {
    run(async {
        let allowed = Options {
            allow_origins: vec!["https://app.example".into()],
            ..options()
        };
        let api = Api::with(allowed, Config::default()).await;
        let ask = async |origin: &str| {
            let preflight = Request::options("/sync/v1/push")
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header(
                    "access-control-request-headers",
                    "authorization,content-type,content-encoding",
                );
            api.send(preflight.body(Body::empty()).unwrap()).await
        };
        let answer = ask("https://app.example").await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, "https://app.example")
        );
        assert_eq!(answer.header("access-control-max-age"), "7200");
        for header in ["authorization", "content-type", "content-encoding"] {
            assert!(
                answer
                    .header("access-control-allow-headers")
                    .contains(header)
            );
        }
        for foreign in [
            "https://app.example.evil",
            "http://app.example",
            "http://localhost:5173",
            "null",
        ] {
            assert_eq!(
                ask(foreign).await.header("access-control-allow-origin"),
                "",
                "{foreign}"
            );
        }
        let refused = Request::post("/sync/v1/pull")
            .header("origin", "https://app.example")
            .body(Body::from(PULL))
            .unwrap();
        let refused = api.send(refused).await;
        assert_eq!(
            (
                refused.status,
                refused.header("access-control-allow-origin")
            ),
            (401, "https://app.example"),
            "or the page cannot read why"
        );
        let exposed = refused
            .header("access-control-expose-headers")
            .to_ascii_lowercase();
        assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"));
    });
}

#[test]
fn development_mode_mints_tokens_on_loopback_and_answers_its_pages() {
    run(async {
        let api = Api::with(
            Options {
                dev: true,
                ..options()
            },
            Config::default(),
        )
        .await;
        let wish = |host: &str, origin: Option<&str>, body: &str| {
            let mut request = Request::post("/dev/token").header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            request.body(Body::from(body.to_owned())).unwrap()
        };
        let ann = r#"{"userId":"ann"}"#;
        for (host, origin) in [
            ("127.0.0.1:8787", None),
            ("localhost:1", Some("http://localhost:5173")),
            ("[::1]:80", Some("http://[::1]")),
        ] {
            let answer = api.send(wish(host, origin, ann)).await;
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            assert_eq!(
                api.send(
                    bearer(&token, "POST", "pull")
                        .body(Body::from(PULL))
                        .unwrap()
                )
                .await
                .status,
                200
            );
        }
        for (host, origin) in [
            ("evil.example", None),
            ("127.0.0.1.evil.example", None),
            ("a@127.0.0.1", None),
            ("127.0.0.1", Some("https://evil.example")),
            ("127.0.0.1", Some("null")),
        ] {
            assert_eq!(
                api.send(wish(host, origin, ann)).await.refusal(),
                (403, "forbidden".to_owned()),
                "{host} {origin:?}"
            );
        }
        for body in ["", "{}", r#"{"userId":""}"#, r#"{"userId":"a\u0001"}"#] {
            assert_eq!(
                api.send(wish("127.0.0.1", None, body)).await.refusal().0,
                400,
                "{body}"
            );
        }
        let page = Request::get("/sync/v1/health")
            .header("origin", "http://127.0.0.1:4173")
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            api.send(page).await.header("access-control-allow-origin"),
            "http://127.0.0.1:4173"
        );
        let foreign = Request::get("/sync/v1/health")
            .header("origin", "http://localhost.evil.example")
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            api.send(foreign)
                .await
                .header("access-control-allow-origin"),
            ""
        );

        let strict = Api::new().await;
        assert_eq!(
            strict.send(wish("127.0.0.1", None, ann)).await.refusal(),
            (404, "notFound".to_owned())
        );
    });
}

#[test]
fn a_folder_is_served_beside_the_protocol() {
    run(async {
        let folder = common::Folder::new();
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
