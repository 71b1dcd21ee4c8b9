//! Timers of the browser, in windows and workers alike. A timer that is dropped is cleared.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use wasm_bindgen::prelude::*;

use crate::util::local_sync::oneshot;
use crate::web::interop::unref;

/// The longest delay that a browser takes; a longer one would fire at once.
const LONGEST_MS: u64 = i32::MAX as u64;

/// Resolves after `ms` milliseconds, however many they are.
pub async fn sleep(ms: u64) {
    let mut left = ms;
    while left > LONGEST_MS {
        Timer::new(i32::MAX).await;
        left = left.saturating_sub(LONGEST_MS);
    }
    Timer::new(i32::try_from(left).unwrap_or(i32::MAX)).await;
}

/// Resolves in a task of its own, behind those that are queued already. A timer would take 4 ms
/// longer if several follow each other, and a second longer in a hidden page.
pub async fn breathe() {
    let Ok(channel) = MessageChannel::new() else {
        return sleep(0).await;
    };
    let (signal, fired) = oneshot_callback();
    let (here, there) = (channel.port1(), channel.port2());
    here.set_onmessage(Some(signal.as_js_value().unchecked_ref()));
    there.post_message(&JsValue::NULL);
    let _ = fired.await;
    here.set_onmessage(None);
    // The browser never collects an open port.
    here.close();
}

/// One `setTimeout`.
struct Timer {
    id: JsValue,
    fired: oneshot::Receiver<()>,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    fn new(ms: i32) -> Self {
        let (callback, fired) = oneshot_callback();
        let id = set_timeout(callback.as_js_value().unchecked_ref(), ms);
        unref(&id);
        Self {
            id,
            fired,
            _callback: callback,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.fired).poll(cx).map(|_| ())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}

/// A callback, and a receiver that resolves with its first call.
fn oneshot_callback() -> (Closure<dyn FnMut()>, oneshot::Receiver<()>) {
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let callback = Closure::new(move || {
        if let Some(sender) = sender.take() {
            let _ = sender.send(());
        }
    });
    (callback, receiver)
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = MessageChannel)]
    type MessageChannel;

    // Throws if the browser has none.
    #[wasm_bindgen(constructor, catch, js_class = "MessageChannel")]
    fn new() -> Result<MessageChannel, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;

    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    #[wasm_bindgen(js_name = MessagePort)]
    type MessagePort;

    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, callback: Option<&js_sys::Function>);

    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);

    #[wasm_bindgen(method)]
    fn close(this: &MessagePort);

    // A number in browsers, an object in Node: passed back as it came.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &js_sys::Function, ms: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
}
