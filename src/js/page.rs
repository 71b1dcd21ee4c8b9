//! Binds an instance to its page: other tabs' messages, the network, and the page's end.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::auto_sync::Signal;
use crate::js::instance::Instance;
use crate::ports::host::TabMessage;
use crate::web::interop::spawn;
use crate::web::parts;

#[wasm_bindgen(module = "/src/js/support.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestBackgroundSync)]
    fn request_background_sync(tag: &str);
}

/// Binds an instance that has just been made.
pub(super) fn bind(instance: &Rc<Instance>) {
    let (engine, config) = (&instance.engine, instance.engine.config());
    if config.flush_on_leave || config.background_sync {
        let weak = Rc::downgrade(instance);
        let leaving = engine.host().on_leaving(move || {
            if let Some(instance) = weak.upgrade() {
                instance.leave();
            }
        });
        *instance.page.leaving.borrow_mut() = Some(leaving);
    }
    let weak = Rc::downgrade(instance);
    engine.backing().on_open(move |user_id| {
        if let Some(instance) = weak.upgrade() {
            instance.listen(user_id);
        }
    });
    let weak = Rc::downgrade(instance);
    engine.backing().on_change(move || {
        let Some(instance) = weak.upgrade() else {
            return;
        };
        let message = if instance.engine.backing().refused().is_some() {
            "The browser's storage is back: what was in memory is stored."
        } else {
            "The app has deleted its databases: its users are signed out."
        };
        instance.audience().say("info", message, "", "storage");
        spawn(async move { instance.engine.on_storage_change().await });
    });
    let weak = Rc::downgrade(instance);
    let network = engine.host().on_network(move |online| {
        if let Some(instance) = weak.upgrade() {
            instance.engine.network_changed(online);
            if online {
                instance.engine.auto_sync().signal(Signal::Online);
            } else {
                instance.request_background_sync();
            }
        }
    });
    *instance.page.network.borrow_mut() = Some(network);
}

impl Instance {
    /// Listens to the other instances of this user's database.
    fn listen(self: &Rc<Self>, user_id: &str) {
        let database = format!("{}/{user_id}", self.engine.config().name);
        let (weak, user) = (Rc::downgrade(self), user_id.to_owned());
        let listening = self.engine.host().listen(&database, move |message| {
            let (weak, user) = (weak.clone(), user.clone());
            spawn(async move {
                // What other tabs tell is no part of what a page shows first.
                parts::cycles().await;
                let Some(instance) = weak.upgrade() else {
                    return;
                };
                match message {
                    // If this tail fails, the next commit or cycle reads it.
                    TabMessage::Head(head) => drop(instance.engine.on_head(&user, head).await),
                    TabMessage::Status(word) => {
                        instance.engine.tabs().on_message(&user, &word).await
                    }
                }
            });
        });
        self.page.channels.borrow_mut().insert(user_id, listening);
    }

    /// The page is hidden or left: sends pending operations without waiting for the answer, and
    /// asks the service worker to send the rest.
    fn leave(&self) {
        let Some(user) = self.engine.current_user() else {
            return;
        };
        let remote = self.engine.remote();
        // What is pending stays queued.
        if self.engine.config().flush_on_leave
            && parts::is_whole()
            && remote.can_flush(&user)
            && let Some(body) = self.engine.pending().unload_request(&user)
            // A page is hidden before it is left: the same operations are sent once.
            && self.page.last_flush.replace(body.clone()) != body
        {
            remote.flush_on_leave(&user, body);
        }
        self.request_background_sync();
    }

    /// Asks the service worker for a sync, if the app wants that and operations are pending.
    fn request_background_sync(&self) {
        let config = self.engine.config();
        let wanted = config.background_sync
            && self
                .engine
                .current_user()
                .is_some_and(|user| self.engine.pending().any(&user));
        if wanted {
            request_background_sync(&format!("datum-sync:{}", config.name));
        }
    }
}
