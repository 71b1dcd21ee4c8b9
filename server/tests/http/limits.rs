//! Size limits, compression, rate limits.

use std::io::{Read as _, Write as _};

use crate::common::api::{Api, create, options, request};
use crate::common::run;
use axum::body::Body;
use datum_server::Config;
use datum_server::http::Options;
use datum_server::http::rate::Rate;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_over_the_limit_is_413_in_json() {
    run(async {
        let api = Api::with(
            options(),
            Config {
                max_body_bytes: 100_000,
                ..Config::default()
            },
        )
        .await;
        let body = |bytes: usize| {
            Body::from(format!(
                r#"{{"clientId":"{}","operations":[]}}"#,
                "d".repeat(bytes)
            ))
        };
        assert_eq!(
            api.send(request("ann", "POST", "push").body(body(400)).unwrap())
                .await
                .status,
            200
        );
        for bytes in [100_001, 5_000_000] {
            let answer = api
                .send(request("ann", "POST", "push").body(body(bytes)).unwrap())
                .await;
            assert_eq!(answer.refusal(), (413, "bodyTooLarge".to_owned()));
        }
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 300_000, "small when compressed");
        let bomb = request("ann", "POST", "push")
            .header("content-encoding", "gzip")
            .body(Body::from(bomb))
            .unwrap();
        assert_eq!(
            api.send(bomb).await.refusal(),
            (413, "bodyTooLarge".to_owned())
        );
    });
}

#[test]
fn a_hundred_thousand_operations_are_413_in_json() {
    run(async {
        let api = Api::new().await;
        let one = |i| {
            format!(
                r#"{{"opId":"o{i}","entity":"task","id":"{i}","kind":"delete","baseVersion":1}}"#
            )
        };
        let body = format!(
            r#"{{"clientId":"d","operations":[{}]}}"#,
            (0..100_000).map(one).collect::<Vec<_>>().join(",")
        );
        let answer = api
            .send(
                request("ann", "POST", "push")
                    .body(Body::from(body))
                    .unwrap(),
            )
            .await;
        assert_eq!(answer.refusal(), (413, "tooManyOperations".to_owned()));
    });
}

fn rows(count: usize) -> Value {
    let row = |i| create(&format!("o{i}"), &format!("a rather long identifier {i}"));
    json!({ "clientId": "d", "operations": (0..count).map(row).collect::<Vec<_>>() })
}

#[test]
fn requests_may_be_gzip() {
    run(async {
        let api = Api::new().await;
        let body = gzip(rows(50).to_string().as_bytes());
        let push = request("ann", "POST", "push").header("content-encoding", "gzip");
        let reply = api.send(push.body(body.into()).unwrap()).await.json();
        assert_eq!(reply["results"].as_array().unwrap().len(), 50);
    });
}

#[test]
fn answers_are_compressed_as_the_client_accepts_and_streams_are_not() {
    run(async {
        let api = Api::new().await;
        api.post("ann", "push", rows(50)).await;
        let pull = async |encoding: &str| {
            let body = json!({ "clientId": "d", "cursor": null, "limit": 100 }).to_string();
            let pull = request("ann", "POST", "pull").header("accept-encoding", encoding);
            api.send(pull.body(body.into()).unwrap()).await
        };
        let plain = pull("identity").await;
        assert_eq!(plain.header("content-encoding"), "");
        let gzipped = pull("gzip").await;
        assert_eq!(gzipped.header("content-encoding"), "gzip");
        assert!(gzipped.bytes.len() < plain.bytes.len() / 2);
        let mut text = String::new();
        GzDecoder::new(gzipped.bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        let page: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(page["changes"], plain.json()["changes"]);
        let brotli = pull("gzip, deflate, br").await;
        assert_eq!(brotli.header("content-encoding"), "br");

        let stream = request("ann", "GET", "stream").header("accept-encoding", "gzip");
        let stream = api.open(stream.body(Body::empty()).unwrap()).await;
        let headers = stream.headers();
        assert_eq!(headers["content-type"].as_bytes(), b"text/event-stream");
        assert_eq!(headers.get("content-encoding"), None);
    });
}

#[test]
fn a_body_with_a_wrong_encoding_is_refused() {
    run(async {
        let api = Api::new().await;
        let send = async |encoding: &str, body: Vec<u8>| {
            api.send(
                request("ann", "POST", "push")
                    .header("content-encoding", encoding)
                    .body(Body::from(body))
                    .unwrap(),
            )
            .await
            .refusal()
        };
        assert_eq!(
            send("gzip", b"{}".to_vec()).await,
            (400, "badRequest".to_owned())
        );
        let cut = gzip(&[b' '; 10_000]);
        assert_eq!(
            send("gzip", cut[..cut.len() / 2].to_vec()).await,
            (400, "badRequest".to_owned())
        );
        assert_eq!(
            send("zstd", b"{}".to_vec()).await,
            (415, "unsupportedEncoding".to_owned())
        );
    });
}

#[test]
fn a_user_over_the_rate_limit_must_wait_and_others_need_not() {
    run(async {
        let api = Api::with(
            Options {
                rate: Rate {
                    per_second: 0.01,
                    burst: 2.0,
                },
                ..options()
            },
            Config::default(),
        )
        .await;
        let pull = json!({ "clientId": "d", "cursor": null, "limit": 1 });
        for status in [200, 200, 429] {
            assert_eq!(api.post("ann", "pull", pull.clone()).await.status, status);
        }
        let refused = api.post("ann", "pull", pull.clone()).await;
        assert_eq!(refused.refusal(), (429, "rateLimited".to_owned()));
        let wait_ms = refused.json()["retryAfterMs"].as_u64().unwrap();
        assert!((1..=100_000).contains(&wait_ms));
        assert_eq!(
            refused.header("retry-after"),
            wait_ms.div_ceil(1_000).to_string()
        );
        assert_eq!(api.post("bob", "pull", pull).await.status, 200);
    });
}
