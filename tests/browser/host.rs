//! The contract of a host, in a window.

use crate::support::browser::host_stories;
use wasm_bindgen_test::wasm_bindgen_test;

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

crate::host_stories!(mount);
