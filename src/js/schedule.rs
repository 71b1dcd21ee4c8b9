//! Automatic cycles: started by the app, run by the leading tab while it is visible.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::auto_sync::Signal;
use crate::js::arguments::read_user;
use crate::js::convert::read_options;
use crate::js::instance::Instance;
use crate::js::page_bindings::Attendance;
use crate::model::error::Result;
use crate::web::interop::spawn;
use crate::web::page::Presence;
use crate::web::parts;

/// Runs the schedule until the instance is closed.
pub(crate) fn attend(instance: &Rc<Instance>) {
    let (engine, host) = (&instance.engine, instance.engine.host());
    if host.presence() == Presence::Hidden {
        engine.auto_sync().signal(Signal::Hidden);
    }
    let weak = Rc::downgrade(instance);
    let election = Rc::new(host.lead(&engine.config().name, move |leads| {
        if let Some(instance) = weak.upgrade() {
            instance.engine.auto_sync().signal(Signal::Leader(leads));
        }
    }));
    let (weak, candidate) = (Rc::downgrade(instance), Rc::clone(&election));
    let mut cached = false;
    let listener = host.on_presence(move |presence| {
        // It keeps its locks and connections, which end with it, and the browser does not cache it.
        let is_left = matches!(presence, Presence::Away | Presence::Cached);
        if is_left && !parts::is_whole() {
            return;
        }
        if let Some(instance) = weak.upgrade() {
            instance
                .engine
                .auto_sync()
                .signal(if presence == Presence::Visible {
                    Signal::Visible
                } else {
                    Signal::Hidden
                });
            if is_left {
                instance.engine.tabs().leave_all();
            }
            if presence == Presence::Cached {
                instance.engine.let_go();
                cached = true;
            } else if std::mem::take(&mut cached) {
                spawn(async move { instance.engine.brought_back().await });
            }
        }
        candidate.presence(presence);
    });
    instance.page.attend(Attendance {
        _presence: listener,
        _election: election,
    });
    let (of_schedule, of_hints) = (Rc::clone(instance), Rc::clone(instance));
    spawn(async move {
        parts::cycles().await;
        of_schedule.engine.auto_sync().run().await
    });
    spawn(async move {
        parts::cycles().await;
        of_hints.engine.realtime().run().await
    });
}

/// Starts a user's automatic cycles: `startAutoSync`.
pub(super) fn start(instance: &Instance, user_id: &JsValue, options: &JsValue) -> Result<()> {
    let user = read_user(user_id)?;
    let interval = read_options(options, "start")?.data().whole("interval");
    instance.engine.auto_sync().start(&user, interval)
}
