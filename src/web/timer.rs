//! Timers of the browser, in windows and workers alike. A timer that is dropped is cleared.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use wasm_bindgen::prelude::*;

use crate::util::local_sync::oneshot;

/// The longest delay that a browser takes; a longer one would fire at once.
const LONGEST_MS: u64 = i32::MAX as u64;

/// Resolves after that many milliseconds, however many they are.
pub async fn sleep(ms: u64) {
    let mut left = ms;
    while left > LONGEST_MS {
        Timer::new(i32::MAX).await;
        left = left.saturating_sub(LONGEST_MS);
    }
    Timer::new(i32::try_from(left).unwrap_or(i32::MAX)).await;
}

/// Resolves in a task of its own, after those that wait already. A timer would do so 4 ms later
/// where several follow each other, and a second later in a hidden page.
pub async fn breathe() {
    let Ok(channel) = Channel::new() else {
        return sleep(0).await;
    };
    let (tx, came) = oneshot::channel();
    let mut tx = Some(tx);
    let callback = Closure::<dyn FnMut()>::new(move || {
        if let Some(tx) = tx.take() {
            let _ = tx.send(());
        }
    });
    let (here, there) = (channel.port1(), channel.port2());
    here.set_onmessage(Some(callback.as_js_value().unchecked_ref()));
    there.post_message(&JsValue::NULL);
    let _ = came.await;
    here.set_onmessage(None);
    // An open port is kept for good.
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
        let (tx, fired) = oneshot::channel();
        let mut tx = Some(tx);
        let callback = Closure::new(move || {
            if let Some(tx) = tx.take() {
                let _ = tx.send(());
            }
        });
        let id = set_timeout(callback.as_js_value().unchecked_ref(), ms);
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

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = MessageChannel)]
    type Channel;

    // Throws where there is none.
    #[wasm_bindgen(constructor, catch, js_class = "MessageChannel")]
    fn new() -> Result<Channel, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn port1(this: &Channel) -> Port;

    #[wasm_bindgen(method, getter)]
    fn port2(this: &Channel) -> Port;

    #[wasm_bindgen(js_name = MessagePort)]
    type Port;

    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &Port, callback: Option<&js_sys::Function>);

    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &Port, message: &JsValue);

    #[wasm_bindgen(method)]
    fn close(this: &Port);

    // A number in browsers, an object in Node: passed back as it came.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &js_sys::Function, ms: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
}
