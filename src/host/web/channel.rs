//! Word between the instances of one user's database: where the head of its log is.
//!
//! A message carries one number and is a hint only: who misses it finds the same by a tail.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

use crate::small::Small;

/// The open channels of one host, by database. A channel is closed with its last holder.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// What this host announces on, kept so that its own listeners do not hear it.
    open: RefCell<Small<Rc<Channel>>>,
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

    pub(super) fn announce(&self, database: &str, head: u64) {
        if let Some(channel) = self.of(database) {
            // A number of the log: far below 2^53.
            let _ = channel.port.post_message(&JsValue::from_f64(head as f64));
        }
    }

    pub(super) fn listen(&self, database: &str, mut heard: impl FnMut(u64) + 'static) -> Listening {
        let Some(channel) = self.of(database) else {
            return Listening { channel: None };
        };
        let callback = Callback::new(move |event: MessageEvent| {
            // Another version of this page may send anything: what is no head is not for us.
            if let Some(head) = event.data().as_f64().filter(|head| head.is_finite() && *head >= 0.0) {
                heard(head as u64);
            }
        });
        let _ = channel.port.add_event_listener_with_callback("message", callback.as_js_value().unchecked_ref());
        Listening { channel: Some((channel, callback)) }
    }

    /// Closes the channel of that database as soon as nobody listens on it.
    pub(super) fn release(&self, database: &str) {
        let released = self.open.borrow_mut().remove(database);
        drop(released);
    }
}

#[derive(Debug)]
struct Channel {
    port: BroadcastChannel,
}

impl Channel {
    fn new(database: &str) -> Option<Self> {
        // Throws where the global is missing, and in contexts without an origin.
        let port = BroadcastChannel::new(&format!("datum-sync:{database}")).ok()?;
        Some(Self { port })
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
            let _ = channel.port.remove_event_listener_with_callback("message", callback.as_js_value().unchecked_ref());
        }
    }
}
