//! Word between the instances of one user's database: where the head of its log is, and how sync
//! goes.
//!
//! A message is a number or a text and a hint only: who misses it finds the same by a tail or a
//! time limit.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{BroadcastChannel, MessageEvent};

use crate::ports::host::Heard;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::page::{Presence, presence};
use crate::web::timer::sleep;

/// Heads are announced at most this often, in milliseconds.
const PACE_MS: u64 = 4;

/// The open channels of one host, by database. A channel is closed with its last holder.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// What this host announces on, kept so that its own listeners do not hear it.
    open: RefCell<VecMap<Rc<Channel>>>,
}

impl Channels {
    /// The channel of that database; none where the browser has no channels.
    fn of(&self, database: &str) -> Option<Rc<Channel>> {
        if let Some(channel) = self.open.borrow().get(database) {
            return Some(Rc::clone(channel));
        }
        let channel = Rc::new(Channel::new(database)?);
        self.open.borrow_mut().insert(database, Rc::clone(&channel));
        Some(channel)
    }

    /// Says something, behind what there was to announce.
    pub(super) fn say(&self, database: &str, word: &str) {
        if let Some(channel) = self.of(database) {
            channel.flush();
            let _ = channel.port.post_message(&JsValue::from_str(word));
        }
    }

    /// Announces a head, soon: posting costs a quarter of a durable write, which waits for nobody
    /// to hear of it. Commits in a row are announced as one. A hidden page says it at once, since
    /// its timers may stand still.
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
        spawn_local(async move {
            sleep(PACE_MS).await;
            if let Some(channel) = channel.upgrade() {
                channel.flush();
            }
        });
    }

    pub(super) fn listen(
        &self,
        database: &str,
        mut heard: impl FnMut(Heard) + 'static,
    ) -> Listening {
        let Some(channel) = self.of(database) else {
            return Listening { channel: None };
        };
        let callback = Callback::new(move |event: MessageEvent| {
            // Another version of this page may send anything: what is neither is not for us.
            let data = event.data();
            if let Some(head) = data
                .as_f64()
                .filter(|head| head.is_finite() && *head >= 0.0)
            {
                heard(Heard::Head(head as u64));
            } else if let Some(word) = data.as_string() {
                heard(Heard::Word(word));
            }
        });
        let _ = channel
            .port
            .add_event_listener_with_callback("message", callback.as_js_value().unchecked_ref());
        Listening {
            channel: Some((channel, callback)),
        }
    }

    /// Closes the channel of that database as soon as nobody listens on it.
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
        // Throws where the global is missing, and in contexts without an origin.
        let port = BroadcastChannel::new(&format!("datum-sync:{database}")).ok()?;
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

type Callback = Closure<dyn FnMut(MessageEvent)>;

/// Hears until it is dropped.
#[must_use]
pub struct Listening {
    channel: Option<(Rc<Channel>, Callback)>,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some((channel, callback)) = &self.channel {
            let _ = channel.port.remove_event_listener_with_callback(
                "message",
                callback.as_js_value().unchecked_ref(),
            );
        }
    }
}
