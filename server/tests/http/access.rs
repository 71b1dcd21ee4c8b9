//! Who may send requests: tokens, users, origins, development mode.

use crate::common::api::{Api, bearer, create, options, request, token};
use crate::common::run;
use axum::body::Body;
use axum::http::Request;
use datum_server::Config;
use datum_server::http::Options;
use datum_server::http::auth::{Claims, Keys};
use serde_json::{Value, json};

const PULL: &str = r#"{"clientId":"d","cursor":null,"limit":10}"#;

#[test]
fn the_token_decides_the_user_whatever_the_body_says() {
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
fn a_body_that_names_another_user_than_the_token_is_refused() {
    run(async {
        let api = Api::new().await;
        let user = "ann & bob+1 100%";
        let push = |named: &str| {
            let operations = [create("1", "a")];
            json!({ "clientId": "d", "userId": named, "operations": operations })
        };
        let pull = |named: &str| {
            json!({
                "clientId": "d", "userId": named, "cursor": null, "limit": 10, "waitMs": 20_000
            })
        };
        let put = |named: &str| {
            let body = json!({ "deviceId": "d", "userId": named }).to_string();
            request(user, "PUT", "metadata").body(body.into()).unwrap()
        };
        let mismatch = (409, "userMismatch".to_owned());
        for named in ["ann", "", "ANN & bob+1 100%"] {
            let pushed = api.post(user, "push", push(named)).await;
            assert_eq!(pushed.refusal(), mismatch);
            let pulled = api.post(user, "pull", pull(named)).await;
            assert_eq!(pulled.refusal(), mismatch, "without waiting");
            assert_eq!(api.send(put(named)).await.refusal(), mismatch);
        }
        let page = api.pull(user, &Value::Null).await;
        assert_eq!(page["changes"], json!([]), "nothing was written");

        let pushed = api.post(user, "push", push(user)).await.json();
        assert_eq!(pushed["results"][0]["status"], "applied");
        let pulled = api.post(user, "pull", pull(user)).await.json();
        assert_eq!(pulled["changes"][0]["id"], "a");
    });
}

#[test]
fn a_query_that_names_another_user_than_the_token_is_refused() {
    run(async {
        let api = Api::new().await;
        let user = "ann & bob+1 100%";
        let queries = [
            ("?x=1&userId=ann%20%26%20bob%2B1%20100%25", 200),
            ("?x=1&userId=ann+%26+bob%2B1+100%25", 200),
            ("?x=1&userId=ann", 409),
            ("?x=1&userId=", 409),
            ("?x=1&userId=%zz", 409),
            ("?x=1&userId=%", 409),
            ("?x=1&userId=%c3%28", 409),
            ("", 200),
        ];
        for method in ["GET", "DELETE"] {
            for (query, status) in queries {
                let path = format!("metadata{query}");
                let answer = api
                    .send(request(user, method, &path).body(Body::empty()).unwrap())
                    .await;
                assert_eq!(answer.status, status, "{method} {path}");
            }
        }
    });
}

#[test]
fn a_request_without_a_valid_token_is_refused() {
    run(async {
        let api = Api::new().await;
        let foreign = Keys::new(b"another secret, also 32 bytes long")
            .unwrap()
            .issue(&Claims {
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
                "an answer never contains a token"
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
fn only_allowed_origins_may_send_requests() {
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
            "so that the page can read the reason"
        );
        let exposed = refused
            .header("access-control-expose-headers")
            .to_ascii_lowercase();
        assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"));
    });
}

async fn development_api() -> Api {
    let development = Options {
        dev: true,
        ..options()
    };
    Api::with(development, Config::default()).await
}

fn token_request(host: &str, origin: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post("/dev/token").header("host", host);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

#[test]
fn development_mode_issues_tokens_on_loopback() {
    run(async {
        let api = development_api().await;
        let ann = r#"{"userId":"ann"}"#;
        for (host, origin) in [
            ("127.0.0.1:8787", None),
            ("localhost:1", Some("http://localhost:5173")),
            ("[::1]:80", Some("http://[::1]")),
        ] {
            let answer = api.send(token_request(host, origin, ann)).await;
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            let pull = bearer(&token, "POST", "pull").body(PULL.into()).unwrap();
            assert_eq!(api.send(pull).await.status, 200);
        }
        for (host, origin) in [
            ("evil.example", None),
            ("127.0.0.1.evil.example", None),
            ("a@127.0.0.1", None),
            ("127.0.0.1", Some("https://evil.example")),
            ("127.0.0.1", Some("null")),
        ] {
            let answer = api.send(token_request(host, origin, ann)).await;
            let forbidden = (403, "forbidden".to_owned());
            assert_eq!(answer.refusal(), forbidden, "{host} {origin:?}");
        }
        for body in ["", "{}", r#"{"userId":""}"#, r#"{"userId":"a\u0001"}"#] {
            let answer = api.send(token_request("127.0.0.1", None, body)).await;
            assert_eq!(answer.refusal().0, 400, "{body}");
        }
        let production = Api::new().await;
        let answer = production.send(token_request("127.0.0.1", None, ann)).await;
        assert_eq!(answer.refusal(), (404, "notFound".to_owned()));
    });
}

#[test]
fn development_mode_allows_pages_of_loopback_origins() {
    run(async {
        let api = development_api().await;
        for (origin, allowed) in [
            ("http://127.0.0.1:4173", "http://127.0.0.1:4173"),
            ("http://localhost.evil.example", ""),
        ] {
            let health = Request::get("/sync/v1/health").header("origin", origin);
            let answer = api.send(health.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
        }
    });
}
