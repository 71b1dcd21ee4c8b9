//! An open connection, the work in flight on it, and how that work hears of the connection's end.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::Promise;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::IdbDatabase;

use crate::util::local_sync::Notify;
use crate::web::indexeddb::fault::Fault;
use crate::web::interop::{member, spawn};
use crate::web::timer::sleep;

/// How long work in flight may go on after its connection was closed, in milliseconds, before it is
/// taken for lost.
const GRACE_MS: u64 = 2_000;

/// A connection that listens for its end. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) handle: Handle,
    _on_lost: Closure<dyn FnMut(JsValue)>,
}

/// An open database, and which open it came from.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) database: IdbDatabase,
    pub(super) ticket: u64,
    end: Rc<End>,
}

/// The end of a connection, for the work that is in flight on it. When Chromium closes a connection
/// by force, as it does to evict an origin, some transactions neither complete nor abort.
#[derive(Debug, Default)]
struct End {
    asked: Cell<bool>,
    reached: Notify,
}

impl Handle {
    /// Whether another tab waits for it to close, or the browser has closed it.
    pub(super) fn is_asked(&self) -> bool {
        self.end.asked.get()
    }

    /// Returns the result of a transaction on this connection, which is lost if the connection ends
    /// first.
    pub(super) async fn outcome(&self, transaction: Promise) -> Result<JsValue, Fault> {
        let result = JsFuture::from(transaction);
        match select(result, self.end.reached.notified()).await {
            Either::Left((outcome, _)) => Ok(outcome?),
            Either::Right(_) => Err(ended()),
        }
    }
}

pub(super) fn ended() -> Fault {
    Fault::named("AbortError", "The browser has closed the connection.")
}

impl Live {
    /// `on_end` is called when the connection must not be used any more, with whether a script
    /// deletes the database.
    pub(super) fn new(database: IdbDatabase, ticket: u64, on_end: impl Fn(bool) + 'static) -> Self {
        let end = Rc::<End>::default();
        let told = Rc::clone(&end);
        // `versionchange`: another tab deletes or upgrades, and waits for this connection to close;
        // transactions in flight still finish. `close`: the browser has closed the connection.
        let on_lost = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            told.asked.set(true);
            // An upgrade has a number here, a deletion null, and a `close` has no such member.
            let version = member(&event, "newVersion");
            if version.is_undefined() {
                told.reached.notify_waiters();
            }
            on_end(version.is_null());
        });
        database.set_onversionchange(Some(on_lost.as_js_value().unchecked_ref()));
        database.set_onclose(Some(on_lost.as_js_value().unchecked_ref()));
        Self {
            handle: Handle {
                database,
                ticket,
                end,
            },
            _on_lost: on_lost,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let database = &self.handle.database;
        database.set_onversionchange(None);
        database.set_onclose(None);
        database.close();
        let end = Rc::clone(&self.handle.end);
        // Held by this, by the listener and by the clone; more, and work is in flight. Nothing would
        // tell it now that the browser has dropped its transaction.
        if Rc::strong_count(&end) <= 3 {
            return;
        }
        spawn(async move {
            sleep(GRACE_MS).await;
            end.reached.notify_waiters();
        });
    }
}
