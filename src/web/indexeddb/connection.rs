//! One supervised connection to one database: opened when first needed, let go of whenever another
//! tab or the browser wants it, and opened again.
//!
//! An open request that was issued is never abandoned: it runs in a task of its own to its end, and
//! its connection is then adopted, or closed. Callers wait for it, all for the same one, and only
//! as long as their patience lasts.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::rc::{Rc, Weak};

use futures_util::future::{Either, LocalBoxFuture, select};
use indexed_db_futures::database::Database;
use indexed_db_futures::internals::SystemRepr;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::host::{sleep, spawn};
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::open::{delete, identified, request, unanswered};

/// How long an open or a delete may keep its caller waiting, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// How often a batch is tried before its fault is final.
const ATTEMPTS: u32 = 3;

/// The pause before each further attempt, in milliseconds: a network process that crashed needs a
/// moment.
const PAUSES_MS: [u64; 2] = [20, 200];

/// A handle on one database.
#[derive(Debug)]
pub(super) struct Connection {
    name: String,
    schema: Schema,
    patience_ms: Cell<u64>,
    opens: Cell<u64>,
    /// Which database of this name the caller knows: one that was deleted and made again is
    /// another.
    known: Cell<Option<f64>>,
    replaced: Cell<bool>,
    state: RefCell<State>,
}

/// What a database is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    /// Its object stores, with out-of-line keys.
    pub(super) stores: &'static [&'static str],
    /// The store and key that hold a number drawn when the database was made, where that matters.
    pub(super) identity: Option<(&'static str, f64)>,
}

#[derive(Debug)]
enum State {
    /// Not connected; the next call opens.
    Idle,
    /// An open request is in flight.
    Opening(Opening),
    /// Connected.
    Open(Live),
    /// Being deleted: nobody opens until that has an end.
    Deleting,
    /// Closed for good.
    Closed,
}

#[derive(Debug)]
struct Opening {
    ticket: u64,
    blocked: Rc<Cell<bool>>,
    waiting: Vec<oneshot::Sender<Result<Handle, Fault>>>,
}

#[derive(Debug)]
struct Live {
    handle: Handle,
    _on_lost: Closure<dyn FnMut()>,
}

/// An open database, and which open it came from.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) database: Database,
    ticket: u64,
}

impl Connection {
    /// A handle on the database of that name. Opens nothing yet.
    pub(super) fn new(name: String, schema: Schema) -> Rc<Self> {
        Rc::new(Self {
            name,
            schema,
            patience_ms: Cell::new(PATIENCE_MS),
            opens: Cell::new(0),
            known: Cell::new(None),
            replaced: Cell::new(false),
            state: RefCell::new(State::Idle),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long callers wait for an open or a delete, in milliseconds.
    pub(super) fn set_patience(&self, ms: u64) {
        self.patience_ms.set(ms);
    }

    /// Whether the database was deleted and made again since the caller last accepted it: by a wipe
    /// in another tab, or by an eviction.
    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.get()
    }

    /// Takes the database for what it is.
    pub(super) fn accept(&self) {
        self.replaced.set(false);
    }

    /// How many times the database was opened.
    pub(super) fn opens(&self) -> u64 {
        self.opens.get()
    }

    /// Does the work on an open database, and does it again on a fresh connection where the
    /// connection was lost. The work must bear being repeated; it is told how often it was tried.
    pub(super) async fn run<T>(
        self: &Rc<Self>,
        work: impl AsyncFn(&Database, u32) -> Result<T, Fault>,
    ) -> Result<T> {
        let done = RefCell::new(None);
        let (work, place) = (&work, &done);
        let work = move |database: Database, tried: u32| -> LocalBoxFuture<'_, Result<(), Fault>> {
            Box::pin(async move {
                let given = work(&database, tried).await?;
                place.replace(Some(given));
                Ok(())
            })
        };
        self.repeat(&work).await?;
        done.take().ok_or_else(closed)
    }

    // The trying itself, once for all kinds of work.
    async fn repeat<'f>(
        self: &Rc<Self>,
        work: &dyn Fn(Database, u32) -> LocalBoxFuture<'f, Result<(), Fault>>,
    ) -> Result<()> {
        let mut tried = 0_u32;
        loop {
            let fault = match self.handle().await {
                Ok(handle) => match work(handle.database, tried).await {
                    Ok(()) => return Ok(()),
                    Err(fault) => {
                        if fault.is_lost() {
                            self.discard(handle.ticket);
                        }
                        fault
                    }
                },
                Err(fault) => fault,
            };
            let pause = PAUSES_MS.get(tried as usize).copied().unwrap_or_default();
            tried = tried.saturating_add(1);
            if tried >= ATTEMPTS || !fault.is_lost() {
                return Err(fault.into_error());
            }
            sleep(pause).await;
        }
    }

    /// Lets go for now: the next call opens again.
    pub(super) fn rest(&self) {
        let open = matches!(*self.state.borrow(), State::Open(_));
        if open {
            release(self.state.replace(State::Idle));
        }
    }

    /// Whether somebody or something has made it let go since it was open, so that the database may
    /// be gone.
    pub(super) fn has_let_go(&self) -> bool {
        self.known.get().is_some() && !matches!(*self.state.borrow(), State::Open(_))
    }

    /// What tells this database from an earlier or later one of the same name; none before it was
    /// opened.
    pub(super) fn identity(&self) -> Option<f64> {
        self.known.get()
    }

    /// Lets go for good. What was issued still runs to its end.
    pub(super) fn close(&self) {
        release(self.state.replace(State::Closed));
    }

    /// Deletes the database, and closes. Other tabs let go when they are told to; where one does
    /// not, the answer is `storageBlocked`, and the browser deletes as soon as that tab has gone.
    pub(super) async fn delete(self: &Rc<Self>) -> Result<()> {
        if matches!(*self.state.borrow(), State::Closed | State::Deleting) {
            return Err(closed());
        }
        release(self.state.replace(State::Deleting));
        let mut tried = 0_u32;
        let outcome = loop {
            let fault = match delete(&self.name, self.patience_ms.get()).await {
                Ok(()) => break Ok(()),
                Err(fault) => fault,
            };
            let pause = PAUSES_MS.get(tried as usize).copied().unwrap_or_default();
            tried = tried.saturating_add(1);
            if tried >= ATTEMPTS || !fault.is_lost() {
                break Err(fault.into_error());
            }
            sleep(pause).await;
        };
        let deleting = matches!(*self.state.borrow(), State::Deleting);
        if deleting {
            self.state.replace(if outcome.is_ok() {
                State::Closed
            } else {
                State::Idle
            });
        }
        outcome
    }

    /// An open database: the one there is, or the one that is being opened, or a new one.
    fn handle(self: &Rc<Self>) -> impl Future<Output = Result<Handle, Fault>> + use<> {
        let this = Rc::clone(self);
        let found = this.look();
        async move {
            let (opened, blocked) = match found {
                Found::Here(handle) => return Ok(handle),
                Found::Closed => return Err(closed().into()),
                Found::Coming(opened, blocked) => (opened, blocked),
            };
            let patience = Box::pin(sleep(this.patience_ms.get()));
            match select(opened, patience).await {
                Either::Left((Ok(answer), _)) => answer,
                Either::Left((Err(_), _)) => Err(closed().into()),
                Either::Right(_) => Err(unanswered(blocked.get()).into()),
            }
        }
    }

    fn look(self: &Rc<Self>) -> Found {
        let idle = matches!(*self.state.borrow(), State::Idle);
        if idle {
            self.begin();
        }
        match &mut *self.state.borrow_mut() {
            State::Open(live) => Found::Here(live.handle.clone()),
            State::Opening(opening) => {
                let (tx, rx) = oneshot::channel();
                opening.waiting.push(tx);
                Found::Coming(rx, Rc::clone(&opening.blocked))
            }
            State::Idle | State::Deleting | State::Closed => Found::Closed,
        }
    }

    /// Issues an open request, in this turn, and leaves it to a task that outlives every caller.
    fn begin(self: &Rc<Self>) {
        let ticket = self.opens.get().saturating_add(1);
        self.opens.set(ticket);
        let blocked = Rc::new(Cell::new(false));
        let schema = self.schema;
        let request = request(&self.name, schema, Rc::clone(&blocked));
        self.state.replace(State::Opening(Opening {
            ticket,
            blocked,
            waiting: Vec::new(),
        }));
        let this = Rc::downgrade(self);
        spawn(async move {
            let opened = match request {
                Ok((request, on_event)) => {
                    let opened = request.await;
                    // It has heard all that there is to hear.
                    drop(on_event);
                    match opened {
                        Ok(database) => identified(database, schema).await,
                        Err(error) => Err(error.into()),
                    }
                }
                Err(fault) => Err(fault),
            };
            match (this.upgrade(), opened) {
                (Some(this), opened) => this.settle(ticket, opened),
                // Late, and nobody is left: an unowned connection would block every later upgrade.
                (None, Ok((database, _))) => database.close(),
                (None, Err(_)) => {}
            }
        });
    }

    fn settle(self: &Rc<Self>, ticket: u64, opened: Result<(Database, f64), Fault>) {
        let awaited =
            matches!(&*self.state.borrow(), State::Opening(opening) if opening.ticket == ticket);
        if !awaited {
            if let Ok((database, _)) = opened {
                database.close();
            }
            return;
        }
        let (next, answer) = match opened {
            Ok((database, identity)) => {
                if self
                    .known
                    .replace(Some(identity))
                    .is_some_and(|known| known != identity)
                {
                    self.replaced.set(true);
                }
                let handle = Handle { database, ticket };
                (
                    State::Open(Live::new(handle.clone(), Rc::downgrade(self))),
                    Ok(handle),
                )
            }
            Err(fault) => (State::Idle, Err(fault)),
        };
        if let State::Opening(opening) = self.state.replace(next) {
            for waiting in opening.waiting {
                let _ = waiting.send(answer.clone());
            }
        }
    }

    /// Closes that connection, if it is still the current one; the next call opens another.
    fn discard(&self, ticket: u64) {
        let current =
            matches!(&*self.state.borrow(), State::Open(live) if live.handle.ticket == ticket);
        if current {
            release(self.state.replace(State::Idle));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

enum Found {
    Here(Handle),
    Coming(oneshot::Receiver<Result<Handle, Fault>>, Rc<Cell<bool>>),
    Closed,
}

impl Live {
    fn new(handle: Handle, owner: Weak<Connection>) -> Self {
        let ticket = handle.ticket;
        // `versionchange`: another tab deletes or upgrades, and waits for us; transactions in
        // flight still finish. `close`: the browser closed the connection by force.
        let on_lost = Closure::<dyn FnMut()>::new(move || {
            if let Some(owner) = owner.upgrade() {
                owner.discard(ticket);
            }
        });
        let database = handle.database.as_sys();
        database.set_onversionchange(Some(on_lost.as_js_value().unchecked_ref()));
        database.set_onclose(Some(on_lost.as_js_value().unchecked_ref()));
        Self {
            handle,
            _on_lost: on_lost,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let database = self.handle.database.as_sys();
        database.set_onversionchange(None);
        database.set_onclose(None);
        database.close();
    }
}

/// Ends a state that has been replaced: its connection closes, its waiting callers hear `closed`.
fn release(state: State) {
    mem::drop(state);
}

fn closed() -> Error {
    Error::new(Code::Closed, "The store has been closed.")
}
