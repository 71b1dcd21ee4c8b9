//! The rules of the sync protocol as a WebAssembly module of their own, for Node, Deno, Bun and others. No page loads it.
//!
//! A request is answered in one call and never waits: the store in memory has no need to, and the connections to
//! SQLite that JavaScript has are synchronous. So no two requests are in a transaction at the same time.
#![cfg(target_arch = "wasm32")]

mod fractions;
mod journal;
mod sqlite;
mod thrown;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use datum_server::rules::store::{Identity, Result, Store};
use datum_server::{Config, MemoryStore, Reply, ServerError, Service};
use js_sys::{Array, Function, Uint8Array};
use serde_json::json;
use wasm_bindgen::prelude::*;

use journal::JsJournal;
use sqlite::{Database, JsStore};

/// A remote over one store.
#[wasm_bindgen]
pub struct Rules(Over);

enum Over {
    Memory(Service<MemoryStore>),
    Sqlite(Service<JsStore>),
}

macro_rules! over {
    ($rules:expr, $service:ident => $work:expr) => {
        match &$rules.0 {
            Over::Memory($service) => ready($work),
            Over::Sqlite($service) => ready($work),
        }
    };
}

#[wasm_bindgen]
impl Rules {
    /// On memory. `journal` is called with each line to keep, and throws if it cannot.
    ///
    /// # Errors
    /// Fails if the settings cannot be read.
    pub fn memory(
        config: &str,
        server_id: &str,
        epoch: &str,
        journal: Option<Function>,
    ) -> std::result::Result<Self, JsError> {
        fractions::install();
        let identity = Identity {
            server_id: server_id.to_owned(),
            epoch: epoch.to_owned(),
        };
        let store = match journal {
            Some(append) => MemoryStore::with_journal(identity, Arc::new(JsJournal::new(append))),
            None => MemoryStore::of_identity(identity),
        };
        let config = settings(config)?;
        Ok(Self(Over::Memory(Service { store, config })))
    }

    /// On a connection to SQLite, whose schema is migrated. A new database gets `epoch`.
    ///
    /// # Errors
    /// Fails if the settings cannot be read, or the database cannot be used.
    pub fn sqlite(
        config: &str,
        database: Database,
        epoch: &str,
    ) -> std::result::Result<Self, JsError> {
        fractions::install();
        let store = JsStore::new(database);
        ready(store.migrate(epoch)).map_err(into_js)?;
        let config = settings(config)?;
        Ok(Self(Over::Sqlite(Service { store, config })))
    }

    /// Applies a line of the journal, before the first request.
    ///
    /// # Errors
    /// Fails if it is no line of one.
    pub fn replay(&self, line: &str) -> std::result::Result<(), JsError> {
        match &self.0 {
            Over::Memory(service) => service.store.replay(line).map_err(into_js),
            Over::Sqlite(_) => Ok(()),
        }
    }

    /// Answers a request of an authenticated user: a head as JSON, and the body of an answer with status 200.
    #[must_use]
    pub fn answer(&self, user: &str, method: &str, target: &str, body: &[u8], now: f64) -> Array {
        let now = milliseconds(now);
        let reply = over!(self, service => service.handle(user, method, target, body, now));
        answered(reply)
    }

    /// Answers whether the store can be read and written.
    #[must_use]
    pub fn health(&self, now: f64) -> Array {
        answered(over!(self, service => service.health(milliseconds(now))))
    }

    /// Returns how long a pull wants to wait for a change, in milliseconds.
    #[wasm_bindgen(js_name = waitMs)]
    #[must_use]
    pub fn wait_ms(&self, body: &[u8]) -> f64 {
        let wait = match &self.0 {
            Over::Memory(service) => service.wait_ms(body),
            Over::Sqlite(service) => service.wait_ms(body),
        };
        u32::try_from(wait).map_or(0.0, f64::from)
    }

    /// Removes tombstones and applied operations whose retention has ended. Returns the error as JSON, if any.
    #[must_use]
    pub fn sweep(&self, now: f64) -> Option<String> {
        let swept = over!(self, service => service.sweep(milliseconds(now)));
        swept.err().map(|error| failure(&error))
    }

    /// Replaces the epoch, after a backup was restored.
    ///
    /// # Errors
    /// Errors of the store.
    #[wasm_bindgen(js_name = setEpoch)]
    pub fn set_epoch(&self, epoch: &str) -> std::result::Result<(), JsError> {
        over!(self, service => service.set_epoch(epoch)).map_err(into_js)
    }

    /// Forgets all tombstones, or all applied operations, whatever their age: for tests of the protocol.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn forget(&self, operations: bool) -> std::result::Result<(), JsError> {
        let (tombstones, operations) = if operations {
            (0, u64::MAX)
        } else {
            (u64::MAX, 0)
        };
        over!(self, service => forget(&service.store, tombstones, operations)).map_err(into_js)
    }
}

async fn forget<S: Store>(store: &S, tombstones: u64, operations: u64) -> Result<()> {
    use datum_server::rules::store::Transaction as _;
    let mut tx = store.write().await?;
    tx.sweep(tombstones, operations, u64::MAX).await?;
    tx.commit().await
}

fn settings(config: &str) -> std::result::Result<Config, JsError> {
    serde_json::from_str(config).map_err(|error| JsError::new(&error.to_string()))
}

fn answered(reply: Result<Reply>) -> Array {
    match reply {
        Ok(reply) => {
            let head = json!({
                "status": 200, "changed": reply.changed, "others": reply.others, "idle": reply.idle,
            });
            let body = Uint8Array::from(reply.body.as_slice());
            Array::of2(&head.to_string().into(), &body)
        }
        Err(error) => Array::of1(&failure(&error).into()),
    }
}

fn failure(error: &ServerError) -> String {
    json!({
        "status": error.status, "code": error.code, "message": error.message,
        "retryAfterMs": error.retry_after_ms, "cause": error.cause,
    })
    .to_string()
}

fn into_js(error: ServerError) -> JsError {
    JsError::new(&error.cause.unwrap_or(error.message))
}

/// Times are whole numbers below 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The cast saturates.
fn milliseconds(time: f64) -> u64 {
    time as u64
}

/// Polls a future once: no store here ever returns `Pending`.
fn ready<R>(future: impl Future<Output = Result<R>>) -> Result<R> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ServerError::internal("the store returned Pending")),
    }
}
