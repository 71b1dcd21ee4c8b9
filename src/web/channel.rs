//! A `BroadcastChannel` between the instances of one user's database: heads of the log, and
//! messages about sync.
//!
//! Every message is a hint, a number or a string. An instance that misses one learns the same by
//! reading the tail of the log, or by a time limit.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, Event, MessageEvent};

use crate::ports::host::TabMessage;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::interop::{EventListener, spawn, unref};
use crate::web::page::{Presence, presence};
use crate::web::timer::sleep;

/// Heads are announced at most this often, in milliseconds.
const PACE_MS: u64 = 4;

/// The open channels of one host, by database. A channel closes with its last holder.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// The channels that this host posts on. Its own listeners share them, so they do not hear it.
    open: RefCell<VecMap<Rc<Channel>>>,
}

impl Channels {
    /// Returns the channel of that database; `None` if the browser has no channels.
    fn of(&self, database: &str) -> Option<Rc<Channel>> {
        if let Some(channel) = self.open.borrow().get(database) {
            return Some(Rc::clone(channel));
        }
        let channel = Rc::new(Channel::new(database)?);
        self.open.borrow_mut().insert(database, Rc::clone(&channel));
        Some(channel)
    }

    /// Posts a message, behind a head that is still to be announced.
    pub(super) fn post_status(&self, database: &str, word: &str) {
        if let Some(channel) = self.of(database) {
            channel.flush();
            let _ = channel.port.post_message(&JsValue::from_str(word));
        }
    }

    /// Posts a head within [`PACE_MS`]: posting costs a quarter of a durable write, and commits in
    /// a row are announced as one. A hidden page posts at once, since its timers may be suspended.
    pub(super) fn announce(&self, database: &str, head: u64) {
        let Some(channel) = self.of(database) else {
            return;
        };
        if channel.due.replace(Some(head)).is_some() {
            return;
        }
        if presence() != Presence::Visible {
            channel.flush();
            return;
        }
        let channel = Rc::downgrade(&channel);
        spawn(async move {
            sleep(PACE_MS).await;
            if let Some(channel) = channel.upgrade() {
                channel.flush();
            }
        });
    }

    pub(super) fn listen(
        &self,
        database: &str,
        mut on_message: impl FnMut(TabMessage) + 'static,
    ) -> Listening {
        let Some(channel) = self.of(database) else {
            return Listening { channel: None };
        };
        let listener = EventListener::new(
            vec![(channel.port.clone().unchecked_into(), &["message"])],
            move |event: Event| {
                // Another version of this page may send anything; other kinds are ignored.
                let data = event.unchecked_ref::<MessageEvent>().data();
                if let Some(head) = data
                    .as_f64()
                    .filter(|head| head.is_finite() && *head >= 0.0)
                {
                    on_message(TabMessage::Head(head as u64));
                } else if let Some(word) = data.as_string() {
                    on_message(TabMessage::Status(word));
                }
            },
        );
        Listening {
            channel: Some((listener, channel)),
        }
    }

    /// Closes the channel of that database once nobody listens on it.
    pub(super) fn release(&self, database: &str) {
        let released = self.open.borrow_mut().remove(database);
        if let Some(channel) = released {
            channel.flush();
        }
    }
}

#[derive(Debug)]
struct Channel {
    port: BroadcastChannel,
    /// The head that is still to be announced.
    due: Cell<Option<u64>>,
}

impl Channel {
    fn new(database: &str) -> Option<Self> {
        // Throws if the global is missing, and in contexts without an origin.
        let port = BroadcastChannel::new(&format!("datum-sync:{database}")).ok()?;
        unref(&port);
        Some(Self {
            port,
            due: Cell::default(),
        })
    }

    fn flush(&self) {
        if let Some(head) = self.due.take() {
            // A number of the log: far below 2^53.
            let _ = self.port.post_message(&JsValue::from_f64(head as f64));
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.port.close();
    }
}

/// Listens until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Listening {
    // The listener goes before the channel that it listens on.
    #[expect(dead_code, reason = "held for its Drop")]
    channel: Option<(EventListener, Rc<Channel>)>,
}
