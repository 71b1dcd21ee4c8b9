//! Tells the developer, once, of writes that wait although nothing is going to send them.

use std::rc::Rc;

use crate::js::engine::WebEngine;
use crate::js::instance::Instance;
use crate::web::interop::spawn;
use crate::web::timer::sleep;

/// How long a write may wait for a cycle, in milliseconds. An app that syncs by itself calls
/// `synchronize` in the next moment.
const PATIENCE_MS: u64 = 2_000;

/// Looks after a write whether something sends it, and says so if nothing does.
pub(super) fn watch(instance: &Rc<Instance>, user_id: &str) {
    let (engine, notice) = (&instance.engine, &instance.waiting);
    let is_watched = notice.watched.borrow().iter().any(|user| user == user_id);
    if notice.is_told.get() || is_watched || !engine.pending().are_left(user_id) {
        return;
    }
    notice.watched.borrow_mut().push(user_id.to_owned());
    let before = last_start(engine, user_id);
    let (weak, user) = (Rc::downgrade(instance), user_id.to_owned());
    spawn(async move {
        sleep(PATIENCE_MS).await;
        let Some(instance) = weak.upgrade() else {
            return;
        };
        let (engine, notice) = (&instance.engine, &instance.waiting);
        notice
            .watched
            .borrow_mut()
            .retain(|watched| *watched != user);
        let pending = engine.pending();
        let waits = pending.any(&user) && pending.are_left(&user);
        if waits && last_start(engine, &user) == before && !notice.is_told.replace(true) {
            instance.audience().say(
                "warn",
                "Writes wait to be sent, and no automatic sync is started. Set `autoStartSync: true`, or call `startAutoSync` or `synchronize`.",
                "",
                "sync",
            );
        }
    });
}

/// Returns when the user's last cycle began.
fn last_start(engine: &WebEngine, user_id: &str) -> Option<String> {
    let hub = engine.status_hub(user_id).ok()?;
    hub.current().last_started_at.clone()
}
