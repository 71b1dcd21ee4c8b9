//! A callback that lives until it has its answer, whatever becomes of whoever asked.

use std::rc::Rc;

use js_sys::Function;
use web_sys::Event;

use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::interop::{EventCallback, function_of};

/// A handler for the events of a request or transaction, and the answer that it finds: the first
/// event for which `answer` says something. The handler frees itself then, and not before, so a
/// future may be dropped while its transaction runs on.
pub(super) fn until<T: 'static>(
    mut answer: impl FnMut(&Event) -> Option<T> + 'static,
) -> (Function, oneshot::Receiver<T>) {
    let (tx, rx) = oneshot::channel();
    let mut tx = Some(tx);
    let keep: Rc<RefCell<Option<EventCallback>>> = Rc::default();
    let own = Rc::clone(&keep);
    let closure = EventCallback::new(move |event: Event| {
        let Some(found) = answer(&event) else {
            return;
        };
        if let Some(tx) = tx.take() {
            let _ = tx.send(found);
        }
        // Counted by the bindings: it is freed when this call has returned.
        drop(own.take());
    });
    let function = function_of(&closure).clone();
    keep.replace(Some(closure));
    (function, rx)
}
