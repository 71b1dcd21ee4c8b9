//! Cycles that begin by themselves, as JavaScript sees them, and what the page tells of itself.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::auto_sync::Signal;
use crate::js::convert::{error_to_js, read_options};
use crate::js::{Datum, Inner, optional_user, user};
use crate::model::config::timing::{MAX_INTERVAL_MS, MIN_INTERVAL_MS};
use crate::model::error::{Code, Result};
use crate::web::host::{Lead, PageWatch, Presence, spawn};

/// Keeps the engine told of whether this tab leads and whether it is seen, until it is dropped.
pub(crate) struct Attendance {
    _page: PageWatch,
    _lead: Rc<Lead>,
}

/// Runs the schedule until the instance is closed.
pub(crate) fn attend(inner: &Rc<Inner>) {
    let (engine, host) = (&inner.engine, inner.engine.host());
    if host.presence() == Presence::Hidden {
        engine.auto_sync().signal(Signal::Hidden);
    }
    let weak = Rc::downgrade(inner);
    let lead = Rc::new(host.lead(&engine.config().name, move |leads| {
        if let Some(inner) = weak.upgrade() {
            inner.engine.auto_sync().signal(Signal::Leader(leads));
        }
    }));
    let (weak, of_page) = (Rc::downgrade(inner), Rc::clone(&lead));
    let mut cached = false;
    let page = host.on_presence(move |presence| {
        if let Some(inner) = weak.upgrade() {
            inner
                .engine
                .auto_sync()
                .signal(if presence == Presence::Visible {
                    Signal::Visible
                } else {
                    Signal::Hidden
                });
            if matches!(presence, Presence::Away | Presence::Cached) {
                inner.engine.tabs().leave_all();
            }
            if presence == Presence::Cached {
                inner.engine.let_go();
                cached = true;
            } else if std::mem::take(&mut cached) {
                spawn(async move { inner.engine.brought_back().await });
            }
        }
        of_page.presence(presence);
    });
    inner.attendance.borrow_mut().replace(Attendance {
        _page: page,
        _lead: lead,
    });
    let (inner, listening) = (Rc::clone(inner), Rc::clone(inner));
    spawn(async move { inner.engine.auto_sync().run().await });
    spawn(async move { listening.engine.realtime().run().await });
}

#[wasm_bindgen]
impl Datum {
    /// Starts a user's automatic cycles.
    ///
    /// # Errors
    /// `invalidArgument`, naming what is wrong; `closed`.
    #[wasm_bindgen(js_name = startAutoSync)]
    pub fn start_auto_sync(&self, user_id: &JsValue, options: &JsValue) -> Result<(), JsValue> {
        let start = || -> Result<()> {
            let user = user(user_id)?;
            let given = read_options(
                options,
                Code::InvalidArgument,
                "The options of `startAutoSync`",
                &[],
            )?;
            let mut given = given.members()?;
            let interval = given.whole("interval", MIN_INTERVAL_MS, MAX_INTERVAL_MS);
            given.finish()?;
            self.inner.engine.auto_sync().start(&user, interval)
        };
        start().map_err(|e| error_to_js(&e))
    }

    /// Stops a user's automatic cycles, or everybody's.
    ///
    /// # Errors
    /// `invalidArgument` for a bad id; `closed`.
    #[wasm_bindgen(js_name = stopAutoSync)]
    pub fn stop_auto_sync(&self, user_id: &JsValue) -> Result<(), JsValue> {
        optional_user(user_id)
            .and_then(|user| self.inner.engine.auto_sync().stop(user.as_deref()))
            .map_err(|e| error_to_js(&e))
    }

    /// When the next automatic cycle begins.
    ///
    /// # Errors
    /// `invalidArgument` for a bad id.
    #[wasm_bindgen(js_name = nextSyncTime)]
    pub fn next_sync_time(&self, user_id: &JsValue) -> Result<JsValue, JsValue> {
        let at = user(user_id)
            .map(|user| self.inner.engine.auto_sync().next_sync_time(&user))
            .map_err(|e| error_to_js(&e))?;
        Ok(at.map_or(JsValue::NULL, |at| {
            JsValue::from_str(&crate::util::time::format(at))
        }))
    }
}
