//! Persistent storage: asks the browser not to evict it, and warns if there is none.

use std::rc::Rc;

use crate::js::instance::Instance;
use crate::model::config::Persist;
use crate::ports::host::Host;
use crate::web::interop::spawn;

/// Warns if nothing is stored; otherwise asks the browser for persistence after the first write, if
/// the config asks for it.
pub(super) fn watch(instance: &Rc<Instance>) {
    let engine = &instance.engine;
    if let Some(refused) = engine.backing().refused() {
        let why = refused.cause().unwrap_or_default();
        instance.audience().say(
            "warn",
            "The browser gives no storage: everything is kept in memory, and lost with the page.",
            why,
            "storage",
        );
    }
    if engine.config().persist != Persist::Always || engine.backing().refused().is_some() {
        return;
    }
    let (first_write, weak) = (engine.first_write(), Rc::downgrade(instance));
    spawn(async move {
        first_write.reached().await;
        if let Some(instance) = weak.upgrade() {
            request(&instance).await;
        }
    });
}

/// Asks the browser not to evict the stored data. Returns whether it promises that.
pub(super) async fn request(instance: &Instance) -> bool {
    let host = instance.engine.host();
    if instance.engine.config().persist == Persist::Never {
        return host.storage().await.persisted;
    }
    let granted = host.request_persistence().await;
    let message = if granted {
        "The browser has promised not to evict what is stored."
    } else {
        "The browser may evict what is stored when it needs room."
    };
    instance.audience().say("info", message, "", "storage");
    granted
}
