//! The host stories in a window.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs)]

use support::host_stories;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

mod support;

wasm_bindgen_test_configure!(run_in_browser);

macro_rules! mount {
    ($($story:ident,)*) => {
        $(
            #[wasm_bindgen_test]
            async fn $story() {
                host_stories::$story().await;
            }
        )*
    };
}

host_stories!(mount);
