//! One supervised connection to one database: opened when first needed, closed when another tab or
//! the browser asks for that, and opened again.
//!
//! An open request is never abandoned: it runs to its end in a task of its own, and its connection
//! is then used or closed. All callers wait for the same request, each for a limited time.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::rc::{Rc, Weak};

use futures_util::future::{Either, select};
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbDatabase;

use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::live::{Handle, Live, ended};
use crate::web::indexeddb::open::{OpenRequest, Schema, delete, identity, request, unanswered};
use crate::web::interop::spawn;
use crate::web::timer::sleep;

/// How long a caller waits for an open or a delete, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// How often work is tried before its fault is final.
const ATTEMPTS: u32 = 3;

/// The pause before each further attempt, in milliseconds: a browser process that has crashed needs
/// a moment to restart.
const PAUSES_MS: [u64; 2] = [20, 200];

/// Makes the requests of one transaction on an open database, and returns the promise of its result.
/// Must be repeatable; the number counts earlier attempts.
pub(super) type Transaction<'a> = dyn Fn(&IdbDatabase, u32) -> Result<Promise, Fault> + 'a;

/// A handle on one database.
#[derive(Debug)]
pub(in crate::web) struct Connection {
    name: String,
    schema: Schema,
    patience_ms: Cell<u64>,
    opens: Cell<u64>,
    /// The identity of the database that was opened last: one that was deleted and made again has
    /// another.
    known: Cell<Option<f64>>,
    replaced: Cell<bool>,
    /// A script of this origin has deleted the database under this connection.
    deleted: Cell<bool>,
    on_deleted: RefCell<Option<OnDeleted>>,
    state: RefCell<ConnectionState>,
}

#[derive(Debug)]
enum ConnectionState {
    /// Not connected; the next call opens.
    Idle,
    /// An open request is in flight.
    Opening(Opening),
    /// Connected.
    Open(Live),
    /// Being deleted: no open until that ends.
    Deleting,
    /// Closed for good.
    Closed,
}

/// Called when a script deletes the database.
#[derive(Clone)]
struct OnDeleted(Rc<dyn Fn()>);

impl fmt::Debug for OnDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDeleted")
    }
}

#[derive(Debug)]
struct Opening {
    ticket: u64,
    request: OpenRequest,
    waiting: Vec<oneshot::Sender<Result<Handle, Fault>>>,
}

impl Connection {
    /// Returns a handle on the database of that name, without opening it.
    pub(super) fn new(name: String, schema: Schema) -> Rc<Self> {
        Rc::new(Self {
            name,
            schema,
            patience_ms: Cell::new(PATIENCE_MS),
            opens: Cell::new(0),
            known: Cell::new(None),
            replaced: Cell::new(false),
            deleted: Cell::new(false),
            on_deleted: RefCell::new(None),
            state: RefCell::new(ConnectionState::Idle),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sets how long callers wait for an open or a delete, in milliseconds.
    pub(super) fn set_patience(&self, ms: u64) {
        self.patience_ms.set(ms);
    }

    /// Whether the database was deleted and made again since the caller last accepted it: by a wipe
    /// in another tab, or by an eviction.
    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.get()
    }

    /// Accepts the database that there is.
    pub(super) fn accept(&self) {
        self.replaced.set(false);
    }

    /// Whether a script of this origin has deleted the database while this connection was open. A
    /// browser that evicts it closes the connection instead.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.get()
    }

    /// Forgets an earlier deletion: the caller wants a new database.
    pub(super) fn expect_new(&self) {
        self.deleted.set(false);
    }

    /// Calls back when a script deletes the database.
    pub(in crate::web) fn on_deleted(&self, callback: impl Fn() + 'static) {
        *self.on_deleted.borrow_mut() = Some(OnDeleted(Rc::new(callback)));
    }

    fn note_deletion(&self) {
        self.deleted.set(true);
        let callback = self.on_deleted.borrow().clone();
        if let Some(OnDeleted(callback)) = callback {
            callback();
        }
    }

    /// How many times the database was opened.
    pub(super) fn opens(&self) -> u64 {
        self.opens.get()
    }

    /// Opens the database, unless it is open.
    pub(super) async fn open(self: &Rc<Self>) -> Result<()> {
        let nothing = |_: &IdbDatabase, _| Ok(Promise::resolve(&JsValue::UNDEFINED));
        self.run(&nothing).await.map(drop)
    }

    /// Runs a transaction on an open database, and again on a fresh connection if the connection is
    /// lost. Not generic, so that this code exists once: callers read the result.
    pub(super) async fn run(self: &Rc<Self>, transaction: &Transaction<'_>) -> Result<JsValue> {
        let mut tried = 0_u32;
        loop {
            let fault = match self.handle().await {
                Ok(handle) => {
                    let ended = match transaction(&handle.database, tried) {
                        Ok(result) => handle.outcome(result).await,
                        Err(fault) => Err(fault),
                    };
                    match ended {
                        Ok(result) => return Ok(result),
                        Err(fault) => {
                            if fault.is_lost() {
                                self.discard(handle.ticket);
                            }
                            fault
                        }
                    }
                }
                Err(fault) => fault,
            };
            pause_before_retry(fault, &mut tried).await?;
        }
    }

    /// Closes the connection for now: the next call opens again.
    pub(super) fn rest(&self) {
        let open = matches!(*self.state.borrow(), ConnectionState::Open(_));
        if open {
            release(self.state.replace(ConnectionState::Idle));
        }
    }

    /// Whether the connection was closed since it was open, so that the database may be gone.
    pub(super) fn has_let_go(&self) -> bool {
        self.known.get().is_some() && !matches!(*self.state.borrow(), ConnectionState::Open(_))
    }

    /// Whether an open is in flight, which makes the database if there is none.
    pub(super) fn is_opening(&self) -> bool {
        matches!(*self.state.borrow(), ConnectionState::Opening(_))
    }

    /// Distinguishes this database from an earlier or later one of the same name; `None` before it
    /// was opened.
    pub(super) fn identity(&self) -> Option<f64> {
        self.known.get()
    }

    /// Closes for good. Requests in flight still run to their end.
    pub(super) fn close(&self) {
        release(self.state.replace(ConnectionState::Closed));
    }

    /// Deletes the database, and closes. Other tabs close their connections when the browser asks;
    /// if one does not, this fails with `storageBlocked`, and the browser deletes once that tab is
    /// gone.
    pub(super) async fn delete(self: &Rc<Self>) -> Result<()> {
        if matches!(
            *self.state.borrow(),
            ConnectionState::Closed | ConnectionState::Deleting
        ) {
            return Err(closed());
        }
        release(self.state.replace(ConnectionState::Deleting));
        let mut tried = 0_u32;
        let outcome = loop {
            match delete(&self.name, self.patience_ms.get()).await {
                Ok(()) => break Ok(()),
                Err(fault) => {
                    if let Err(error) = pause_before_retry(fault, &mut tried).await {
                        break Err(error);
                    }
                }
            }
        };
        let deleting = matches!(*self.state.borrow(), ConnectionState::Deleting);
        if deleting {
            self.state.replace(if outcome.is_ok() {
                ConnectionState::Closed
            } else {
                ConnectionState::Idle
            });
        }
        outcome
    }

    /// Returns the open database, waits for the one that is being opened, or opens one.
    fn handle(self: &Rc<Self>) -> impl Future<Output = Result<Handle, Fault>> + use<> {
        let this = Rc::clone(self);
        let found = this.look();
        async move {
            let (opened, request) = match found {
                Lookup::Here(handle) => return Ok(handle),
                Lookup::Closed => return Err(closed().into()),
                Lookup::Coming(opened, request) => (opened, request),
            };
            let patience = Box::pin(sleep(this.patience_ms.get()));
            match select(opened, patience).await {
                Either::Left((Ok(answer), _)) => answer,
                Either::Left((Err(_), _)) => Err(closed().into()),
                Either::Right(_) => Err(unanswered(request.blocked()).into()),
            }
        }
    }

    fn look(self: &Rc<Self>) -> Lookup {
        let idle = matches!(*self.state.borrow(), ConnectionState::Idle);
        if idle {
            self.begin();
        }
        match &mut *self.state.borrow_mut() {
            ConnectionState::Open(live) => Lookup::Here(live.handle.clone()),
            ConnectionState::Opening(opening) => {
                let (tx, rx) = oneshot::channel();
                opening.waiting.push(tx);
                Lookup::Coming(rx, opening.request.clone())
            }
            ConnectionState::Idle | ConnectionState::Deleting | ConnectionState::Closed => {
                Lookup::Closed
            }
        }
    }

    /// Issues an open request, in this turn, and awaits it in a task that outlives every caller.
    fn begin(self: &Rc<Self>) {
        let ticket = self.opens.get().saturating_add(1);
        self.opens.set(ticket);
        let schema = self.schema;
        let (request, opened) = request(&self.name, schema);
        self.state.replace(ConnectionState::Opening(Opening {
            ticket,
            request,
            waiting: Vec::new(),
        }));
        let this = Rc::downgrade(self);
        spawn(async move {
            let opened = match opened.await {
                Ok(database) => {
                    // It listens from now on: nobody else can hear that the browser closes it, or
                    // that another tab waits for it.
                    let live = Live::new(database.unchecked_into(), ticket, {
                        let owner = Weak::clone(&this);
                        move |deleted| {
                            if let Some(owner) = owner.upgrade() {
                                owner.discard(ticket);
                                if deleted {
                                    owner.note_deletion();
                                }
                            }
                        }
                    });
                    let found = identity(&live.handle, schema).await;
                    found.map(|identity| (live, identity))
                }
                Err(thrown) => Err(thrown.into()),
            };
            // If nobody is left, it closes: it would block every later upgrade and delete.
            if let Some(this) = this.upgrade() {
                this.adopt(ticket, opened);
            }
        });
    }

    fn adopt(&self, ticket: u64, opened: Result<(Live, f64), Fault>) {
        let awaited = matches!(&*self.state.borrow(), ConnectionState::Opening(opening) if opening.ticket == ticket);
        if !awaited {
            return;
        }
        let (next, answer) = match opened {
            Ok((live, _)) if live.handle.is_asked() => (ConnectionState::Idle, Err(ended())),
            Ok((live, identity)) => {
                if self
                    .known
                    .replace(Some(identity))
                    .is_some_and(|known| known != identity)
                {
                    self.replaced.set(true);
                }
                let handle = live.handle.clone();
                (ConnectionState::Open(live), Ok(handle))
            }
            Err(fault) => (ConnectionState::Idle, Err(fault)),
        };
        if let ConnectionState::Opening(opening) = self.state.replace(next) {
            for waiting in opening.waiting {
                let _ = waiting.send(answer.clone());
            }
        }
    }

    /// Closes that connection, if it is still the current one; the next call opens another.
    fn discard(&self, ticket: u64) {
        let current = matches!(&*self.state.borrow(), ConnectionState::Open(live) if live.handle.ticket == ticket);
        if current {
            release(self.state.replace(ConnectionState::Idle));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

enum Lookup {
    Here(Handle),
    Coming(oneshot::Receiver<Result<Handle, Fault>>, OpenRequest),
    Closed,
}

/// Drops a state that was replaced: its connection closes, and its waiting callers get `closed`.
fn release(state: ConnectionState) {
    mem::drop(state);
}

/// Waits before the next attempt.
///
/// # Errors
/// The fault's own error, if another attempt would not help or there have been enough.
async fn pause_before_retry(fault: Fault, tried: &mut u32) -> Result<()> {
    let pause = PAUSES_MS.get(*tried as usize).copied().unwrap_or_default();
    *tried = tried.saturating_add(1);
    if *tried >= ATTEMPTS || !fault.is_lost() {
        return Err(fault.into_error());
    }
    sleep(pause).await;
    Ok(())
}

fn closed() -> Error {
    Error::new(Code::Closed, "The store has been closed.")
}
