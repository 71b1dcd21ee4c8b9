//! A client of the router, without a socket.
#![allow(dead_code)] // Not every test file needs all of it.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, header};
use datum_server::http::auth::{Claims, Keys};
use datum_server::http::rate::Rate;
use datum_server::http::{Options, router};
use datum_server::sqlite::SqliteStore;
use datum_server::{Config, Service};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

pub const SECRET: &[u8] = b"a secret for tests, 32 bytes long";

/// A server without a socket.
#[derive(Clone)]
pub struct Api {
    pub router: Router,
    pub store: SqliteStore,
    pub stopping: watch::Sender<bool>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|e| panic!("{e} in {:?}", String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Returns status and code of an error, and checks what every error must have.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(body["requestId"], self.header("x-request-id"));
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

pub fn options() -> Options {
    Options {
        secret: SECRET.to_vec(),
        rate: Rate {
            per_second: 0.0,
            burst: 1.0,
        },
        ..Options::default()
    }
}

impl Api {
    pub async fn new() -> Self {
        Self::with(options(), Config::default()).await
    }

    pub async fn with(options: Options, config: Config) -> Self {
        Self::over(super::empty_store().await, options, config)
    }

    pub fn over(store: SqliteStore, options: Options, config: Config) -> Self {
        let (stopping, stopped) = watch::channel(false);
        let router = router(
            Service {
                store: store.clone(),
                config,
            },
            &options,
            stopped,
        )
        .unwrap();
        Self {
            router,
            store,
            stopping,
        }
    }

    /// Returns the response before its body is read.
    pub async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub async fn post(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(
            request(user, "POST", path)
                .body(Body::from(body.to_string()))
                .unwrap(),
        )
        .await
    }

    pub async fn push(&self, user: &str, operations: Value) -> Value {
        let answer = self
            .post(
                user,
                "push",
                json!({ "clientId": "d", "operations": operations }),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["results"].clone()
    }

    pub async fn pull(&self, user: &str, cursor: &Value) -> Value {
        let answer = self
            .post(
                user,
                "pull",
                json!({ "clientId": "d", "cursor": cursor, "limit": 7 }),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
}

pub fn request(user: &str, method: &str, path: &str) -> axum::http::request::Builder {
    bearer(&token(user, 600.0), method, path)
}

pub fn bearer(token: &str, method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/sync/v1/{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
}

/// Returns a token that expires in `lifetime` seconds.
pub fn token(user: &str, lifetime: f64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    Keys::new(SECRET)
        .unwrap()
        .issue(&Claims {
            sub: user.to_owned(),
            exp: (now + lifetime).floor(),
        })
        .unwrap()
}

pub fn create(op_id: &str, id: &str) -> Value {
    json!({ "opId": op_id, "entity": "task", "id": id, "kind": "create", "baseVersion": null, "data": { "title": id } })
}
