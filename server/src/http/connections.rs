//! The connections: how many there are, what each is waiting for, and which ones end to make room.
//!
//! A connection between two requests, or in the middle of a request's head, costs a client nothing
//! and needs no token. So when all places are taken, such a connection gives way to the newcomer:
//! the oldest one of the address that has the most. A request that is being answered never does,
//! unless its client has stopped reading, or sending its body.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};

use super::timed::TimedStream;

/// How long to wait before trying to accept again, after the system refused.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
/// How long a client must not have read before its connection may give way.
const STALLED: Duration = Duration::from_secs(2);
/// Descriptors for the database, the log, the runtime and static files.
const RESERVED: usize = 48;
/// The most connections by default.
const MOST: usize = 4_096;

/// The limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections in all.
    pub total: usize,
    /// The most connections of one address; behind a proxy all have the same.
    pub per_address: usize,
}

impl Default for Limits {
    /// As many as the process has descriptors for, and any number of one address.
    fn default() -> Self {
        let total = descriptors().map_or(MOST / 4, |all| all.saturating_sub(RESERVED).min(MOST));
        Self {
            total: total.max(8),
            per_address: usize::MAX,
        }
    }
}

/// Returns how many descriptors this process may have open.
fn descriptors() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    let soft = line.split_whitespace().nth(3)?;
    soft.parse()
        .ok()
        .or((soft == "unlimited").then_some(usize::MAX))
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has come since the connection was opened.
    Opened(Instant),
    /// An answer was sent, and nothing has come since.
    Idle(Instant),
    /// The head of a request is arriving.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Since when the client has not read what there is for it, or not sent what it has announced.
    stalled: Option<Instant>,
    ended: bool,
    wakers: [Option<Waker>; 2],
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    address: IpAddr,
    state: Mutex<State>,
}

/// The direction whose task waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        // Its request came just in time.
        state.ended &= phase != Phase::Busy;
    }

    pub(super) fn set_stalled(&self, since: Option<Instant>) {
        self.state().stalled = since;
    }

    /// Returns true if the connection must end; else the waker is called when it must.
    pub(super) fn ends(&self, direction: Direction, waker: &Waker) -> bool {
        let mut state = self.state();
        let [read, write] = &mut state.wakers;
        let slot = match direction {
            Direction::Read => read,
            Direction::Write => write,
        };
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        state.ended
    }

    fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Returns since when the connection has been held for nothing; `None` if it is needed.
    fn held_since(&self) -> Option<Instant> {
        let state = self.state();
        match (state.phase, state.stalled) {
            _ if state.ended => None,
            (Phase::Opened(since) | Phase::Idle(since) | Phase::Head(since), _) => Some(since),
            (Phase::Busy, Some(since)) if since.elapsed() > STALLED => Some(since),
            (Phase::Busy, _) => None,
        }
    }
}

/// All connections. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    limits: Limits,
    all: Arc<Mutex<HashMap<u64, Arc<Connection>>>>,
}

/// A connection's place; given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.all().remove(&self.number);
    }
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            all: Arc::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection, if there is one.
    fn enter(&self, number: u64, address: IpAddr) -> Option<Place> {
        let connection = Arc::new(Connection {
            address,
            state: Mutex::new(State {
                phase: Phase::Opened(Instant::now()),
                stalled: None,
                ended: false,
                wakers: [None, None],
            }),
        });
        let mut all = self.all();
        let of_address = || {
            all.values()
                .filter(|other| other.address == address)
                .count()
        };
        let full = all.len() >= self.limits.total
            || self.limits.per_address < usize::MAX && of_address() >= self.limits.per_address;
        if full {
            return None;
        }
        all.insert(number, connection.clone());
        Some(Place {
            connections: self.clone(),
            number,
            connection,
        })
    }

    /// Ends some of the connections that have been held for nothing the longest: those of `address`
    /// if it has all that it may have, else those of the address that has the most.
    fn make_room(&self, address: Option<IpAddr>) {
        let all = self.all();
        let held: Vec<(IpAddr, Instant, &Arc<Connection>)> = all
            .values()
            .filter_map(|one| Some((one.address, one.held_since()?, one)))
            .collect();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for (address, ..) in &held {
            let count = counts.entry(*address).or_default();
            *count = count.saturating_add(1);
        }
        let own = address.filter(|_| all.len() < self.limits.total);
        let most = counts.iter().max_by_key(|(_, count)| **count);
        let Some(from) = own.or(most.map(|(address, _)| *address)) else {
            return;
        };
        let mut oldest: Vec<_> = held
            .into_iter()
            .filter(|(address, ..)| *address == from)
            .collect();
        oldest.sort_by_key(|(_, since, _)| *since);
        // Several at once, so that a flood does not cost a look at all of them each time.
        let some = oldest.len().div_ceil(32);
        for (.., connection) in oldest.into_iter().take(some) {
            connection.end();
        }
    }
}

/// Accepts connections as far as there are places.
#[derive(Debug)]
pub(super) struct Gate {
    listener: TcpListener,
    connections: Connections,
    next: u64,
}

impl Gate {
    pub(super) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self {
            listener,
            connections: Connections::new(limits),
            next: 0,
        }
    }

    /// Waits a moment for a place: those that were ended need to be polled once. No longer, since
    /// others wait to be accepted meanwhile.
    async fn place(&mut self, address: IpAddr) -> Option<Place> {
        self.next = self.next.wrapping_add(1);
        for attempt in 0..8 {
            if let Some(place) = self.connections.enter(self.next, address) {
                return Some(place);
            }
            if attempt % 4 == 0 {
                self.connections.make_room(Some(address));
            }
            if attempt < 5 {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        None
    }
}

/// The connection that a request came on; `None` for the listener itself.
#[derive(Clone, Debug)]
pub(super) struct Peer(pub(super) Option<Arc<Connection>>);

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Listener for Gate {
    type Io = TimedStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (TimedStream, Peer) {
        loop {
            let (stream, address): (TcpStream, SocketAddr) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                // The client is gone already.
                Err(error) if is_of_the_client(&error) => continue,
                Err(error) => {
                    tracing::error!(%error, "a connection cannot be accepted");
                    self.connections.make_room(None);
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let Some(place) = self.place(address.ip()).await else {
                tracing::warn!("all connections are in use; one was refused");
                continue;
            };
            // Answers are written at once; Nagle's algorithm would only delay them.
            let _ = stream.set_nodelay(true);
            let peer = Peer(Some(place.connection.clone()));
            return (TimedStream::new(stream, place), peer);
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(|_| Peer(None))
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
