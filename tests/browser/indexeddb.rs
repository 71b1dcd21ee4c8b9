//! The contract of a store on IndexedDB, what each call costs, and which behavior of browsers it
//! needs.

use crate::support::browser::indexeddb::{Browser, unique};
use crate::support::browser::{Patch, Raw, overwrite, raw};
use crate::support::store_suite::{self, Stores, add, body, bytes, record};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::Code;
use datum_sync::ports::store::{Append, AppendError, Store};
use datum_sync::web::indexeddb::IndexedDbStore;
use futures_util::future::join;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

macro_rules! mount {
    ($($story:ident,)*) => {
        $(
            #[wasm_bindgen_test]
            async fn $story() {
                store_suite::$story(&Browser).await;
            }
        )*
    };
}

crate::store_stories!(mount);

#[wasm_bindgen_test]
async fn an_append_is_one_transaction_and_a_load_another() {
    let store = Browser.fresh().await;
    let opened = store.stats();
    assert_eq!((opened.opens, opened.reads, opened.writes), (1, 0, 0));
    let bodies = vec![(body(1, 0), bytes(b"a")), (body(1, 1), bytes(b"b"))];
    add(
        &store,
        Append {
            bodies,
            ..record(1)
        },
    )
    .await
    .unwrap();
    store.load().await.unwrap();
    store.bodies(&[body(1, 0), body(1, 1)]).await.unwrap();
    let stats = store.stats();
    assert_eq!(
        (stats.opens, stats.reads, stats.writes, stats.records),
        (1, 2, 1, 3)
    );
}

#[wasm_bindgen_test]
async fn concurrent_first_calls_share_one_open() {
    let store = IndexedDbStore::unopened(&unique(), "ann").unwrap();
    let (a, b) = join(store.load(), store.load()).await;
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(store.stats().opens, 1);
}

/// Why the `add` is the last request: see `write.rs`. The engine is asked directly, not the store.
#[wasm_bindgen_test]
async fn an_add_that_comes_last_takes_its_whole_transaction_with_it() {
    let rounds = JsFuture::from(raw().rounds_with_one_winner(&unique(), 120))
        .await
        .unwrap();
    assert_eq!(rounds.as_f64(), Some(120.0));
}

#[wasm_bindgen_test]
async fn a_durability_is_passed_on_to_the_browser() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::note_durability);
    store.append(record(1), Durability::Strict).await.unwrap();
    assert_eq!(raw().last_durability(), "strict");
    store.append(record(2), Durability::Relaxed).await.unwrap();
    assert_eq!(raw().last_durability(), "relaxed");
    drop(patch);
}

#[wasm_bindgen_test]
async fn a_value_of_a_foreign_kind_is_set_aside_not_a_panic() {
    let store = Browser.fresh().await;
    for seq in 1..=2 {
        add(
            &store,
            Append {
                bodies: vec![(body(seq, 0), bytes(b"body"))],
                ..record(seq)
            },
        )
        .await
        .unwrap();
    }
    overwrite(store.database(), "bodies", body(1, 0), "text").await;
    assert_eq!(
        store.bodies(&[body(1, 0), body(2, 0)]).await.unwrap(),
        [None, Some(bytes(b"body"))]
    );
    let whole = store.load().await.unwrap();
    overwrite(store.database(), "log", 1, js_sys::Object::new()).await;
    let records = store.load().await.unwrap();
    assert_eq!(
        (records.len(), &records[1]),
        (2, &whole[1]),
        "the others are what they were"
    );
    assert!(
        datum_sync::log::commit::Commit::decode(&records[0].1).is_err(),
        "no reader takes it"
    );
    overwrite(store.database(), "bodies", 0, "text").await;
    assert_eq!(
        store.load().await.unwrap(),
        records,
        "without the place of the checkpoint, all is read"
    );
}

#[wasm_bindgen_test]
async fn numbers_that_are_no_keys_are_refused() {
    let store = Browser.fresh().await;
    for seq in [0, 1 << 53, u64::MAX] {
        assert!(
            matches!(add(&store, record(seq)).await, Err(AppendError::Failed(error)) if error.code() == Code::InvalidArgument)
        );
        assert_eq!(
            store.bodies(&[seq]).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert_eq!(store.stats().writes, 0);
}

#[wasm_bindgen_test]
fn unfit_names_are_refused() {
    assert_eq!(
        IndexedDbStore::unopened("", "ann").unwrap_err().code(),
        Code::InvalidConfig
    );
    assert_eq!(
        IndexedDbStore::unopened("a/b", "ann").unwrap_err().code(),
        Code::InvalidConfig
    );
    assert_eq!(
        IndexedDbStore::unopened("app", "").unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        IndexedDbStore::unopened("app", "a/b").unwrap().database(),
        "app/a/b"
    );
}
