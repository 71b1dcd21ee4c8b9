//! A callback that lives until it has its answer, even if the future that awaits it is dropped.

use std::rc::Rc;

use js_sys::Function;
use web_sys::Event;

use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::interop::{EventCallback, function_of};

/// Returns a handler for the events of a request or transaction, and a receiver for the first
/// answer that `answer` returns. The handler frees itself with that answer and not before, so the
/// receiver may be dropped while the transaction runs on.
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
        // wasm-bindgen frees it once this call has returned.
        drop(own.take());
    });
    let function = function_of(&closure).clone();
    keep.replace(Some(closure));
    (function, rx)
}
