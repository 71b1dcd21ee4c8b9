//! The contracts of host and store in a dedicated worker, which has no `window`.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use support::browser::host_stories;
use support::browser::indexeddb::Browser;
use support::store_suite;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

macro_rules! mount_host {
    ($($story:ident,)*) => {
        $(
            #[wasm_bindgen_test]
            async fn $story() {
                host_stories::$story().await;
            }
        )*
    };
}

macro_rules! mount_store {
    ($($story:ident,)*) => {
        $(
            #[wasm_bindgen_test]
            async fn $story() {
                store_suite::$story(&Browser).await;
            }
        )*
    };
}

host_stories!(mount_host);
store_stories!(mount_store);
