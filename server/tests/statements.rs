//! How many statements SQLite is given. In a process of its own: the count is of the whole process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use datum_server::sqlite::SqliteStore;
use datum_server::{Config, Service};
use serde_json::{Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Statements;

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

const SPACE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Counts a pull, which may be repeated: the end of what came before it is now and then counted too.
async fn counted_pull(service: &Service<SqliteStore>, body: Value) -> (usize, Value) {
    let mut best = counted(service, "pull", body.clone()).await;
    for _ in 0..4 {
        let again = counted(service, "pull", body.clone()).await;
        if again.0 < best.0 {
            best = again;
        }
    }
    best
}

async fn counted(service: &Service<SqliteStore>, path: &str, body: Value) -> (usize, Value) {
    COUNT.store(0, Ordering::Relaxed);
    let path = format!("/sync/v1/{path}");
    let body = body.to_string();
    let reply = service
        .handle("ann", "POST", &path, body.as_bytes(), 1)
        .await;
    let reply = serde_json::from_slice(&reply.unwrap().body).unwrap();
    (COUNT.load(Ordering::Relaxed), reply)
}

#[test]
fn the_users_own_rows_cost_no_more_statements_than_before_there_were_spaces() {
    tracing::subscriber::set_global_default(Statements).unwrap();
    common::run(async {
        let service = Service {
            store: common::empty_store().await,
            config: Config::default(),
        };
        let row = |id: &str| json!({ "opId": id, "entity": "task", "id": id, "kind": "create", "baseVersion": null, "data": {} });
        let push = |rows: Value| json!({ "clientId": "d", "operations": rows });
        let pull = |cursor: &Value| json!({ "clientId": "d", "cursor": cursor, "limit": 100 });
        counted(&service, "push", push(json!([row("1")]))).await;
        let (first, page) = counted_pull(&service, pull(&Value::Null)).await;
        let (pushed, _) = counted(&service, "push", push(json!([row("2"), row("3")]))).await;
        let (pulled, page) = counted_pull(&service, pull(&page["cursor"])).await;
        let (idle, _) = counted_pull(&service, pull(&page["cursor"])).await;
        // Before there were spaces: 5, 11, 5 and 5. A push begins and ends a savepoint since: several
        // share a commit.
        assert_eq!((first, pushed, pulled, idle), (4, 13, 4, 3));
        // A shared space costs a statement for the list, and one for its own rows.
        let mut making = row(SPACE);
        (making["entity"], making["space"]) = (json!("$space"), json!(SPACE));
        making["data"] = json!({ "name": "A" });
        counted(&service, "push", push(json!([making]))).await;
        let (joined, page) = counted_pull(&service, pull(&page["cursor"])).await;
        let (idle, _) = counted_pull(&service, pull(&page["cursor"])).await;
        assert_eq!((joined, idle), (5, 4));
    });
}
