//! IndexedDB connections that another tab wants, blocks or closes, and futures that are dropped.

use crate::support::browser::indexeddb::{Browser, unique};
use crate::support::browser::{delete_raw, open_raw, start_delete_raw};
use crate::support::store_suite::{Stores, add, body, bytes, record, text};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::Code;
use datum_sync::ports::store::{Append, Store};
use datum_sync::web::indexeddb::IndexedDbStore;
use futures_util::FutureExt;
use futures_util::future::join;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn a_delete_by_another_tab_is_not_blocked_and_a_later_call_reopens() {
    let store = Browser.fresh().await;
    add(&store, record(1)).await.unwrap();
    delete_raw(store.database()).await;
    assert!(store.load().await.unwrap().is_empty());
    assert_eq!(store.stats().opens, 2);
    add(&store, record(1)).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_delete_that_meets_an_open_is_not_blocked() {
    for _ in 0..20 {
        let name = unique();
        let opened = IndexedDbStore::open(&name, "ann");
        let deleted = async { delete_raw(&format!("{name}/ann")).await };
        let (store, ()) = join(opened, deleted).await;
        assert!(store.unwrap().load().await.unwrap().is_empty());
    }
}

#[wasm_bindgen_test]
async fn an_append_that_a_versionchange_meets_is_stored_or_refused_whole() {
    let store = Browser.fresh().await;
    // Issued before the delete, so it completes; the database goes only then.
    let appended = add(&store, record(1));
    let (appended, ()) = join(appended, delete_raw(store.database())).await;
    appended.unwrap();
    assert!(store.load().await.unwrap().is_empty());
}

#[wasm_bindgen_test]
async fn a_newer_database_is_a_coded_error() {
    let name = unique();
    open_raw(&format!("{name}/ann"), 7).await.close();
    assert_eq!(
        IndexedDbStore::open(&name, "ann").await.unwrap_err().code(),
        Code::Migration
    );
}

#[wasm_bindgen_test]
async fn a_wipe_that_another_tab_blocks_says_so_and_comes_true_later() {
    // Long enough to hear that it is blocked, on a busy machine too.
    let store = Browser.fresh().await.with_patience(2_000);
    add(&store, record(1)).await.unwrap();
    // It hears `versionchange` and does nothing: a tab that is frozen, or runs older code.
    let stubborn = open_raw(store.database(), 1).await;
    assert_eq!(store.wipe().await.unwrap_err().code(), Code::StorageBlocked);
    stubborn.close();
    assert_eq!(
        store.load().await.unwrap_err().code(),
        Code::Closed,
        "it was asked for, and comes true"
    );
    assert!(
        Browser
            .another(&store)
            .await
            .load()
            .await
            .unwrap()
            .is_empty()
    );
}

#[wasm_bindgen_test]
async fn an_open_that_is_held_up_says_so_and_is_adopted_when_it_comes() {
    let name = unique();
    let stubborn = open_raw(&format!("{name}/ann"), 1).await;
    let deleted = start_delete_raw(&format!("{name}/ann"));
    let store = IndexedDbStore::unopened(&name, "ann")
        .unwrap()
        .with_patience(100);
    assert_eq!(store.load().await.unwrap_err().code(), Code::StorageBlocked);
    assert_eq!(store.load().await.unwrap_err().code(), Code::StorageBlocked);
    stubborn.close();
    JsFuture::from(deleted).await.unwrap();
    let store = store.with_patience(10_000);
    assert!(store.load().await.unwrap().is_empty());
    assert_eq!(
        store.stats().opens,
        1,
        "the request that was late is the one that counts"
    );
}

#[wasm_bindgen_test]
async fn an_open_that_comes_after_its_store_has_gone_holds_nothing() {
    for drop_it in [true, false] {
        let name = unique();
        let store = IndexedDbStore::unopened(&name, "ann").unwrap();
        assert!(store.load().now_or_never().is_none());
        if drop_it {
            drop(store);
        } else {
            store.close();
        }
        // Blocked for ever if the connection were still there and deaf.
        let mut stubborn = open_raw(&format!("{name}/ann"), 1).await;
        assert_eq!(
            stubborn.object_store_names().length(),
            2,
            "the dropped call must not have left a database without object stores"
        );
        stubborn.close();
        stubborn = open_raw(&format!("{name}/ann"), 2).await;
        stubborn.close();
    }
}

#[wasm_bindgen_test]
async fn an_append_that_is_dropped_once_issued_is_stored() {
    let store = Browser.fresh().await;
    let dropped = Append {
        bodies: vec![(body(1, 0), bytes(b"body"))],
        ..record(1)
    };
    assert!(
        store
            .append(dropped, Durability::Strict)
            .now_or_never()
            .is_none()
    );
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
    assert_eq!(
        store.bodies(&[body(1, 0)]).await.unwrap(),
        [Some(bytes(b"body"))]
    );
}

#[wasm_bindgen_test]
async fn an_append_that_is_dropped_on_close_is_stored() {
    let store = Browser.fresh().await;
    let there = Browser.another(&store).await;
    assert!(add(&store, record(1)).now_or_never().is_none());
    store.close();
    drop(store);
    assert_eq!(text(&there.load().await.unwrap()), ["record 1"]);
}

#[wasm_bindgen_test]
async fn reads_that_are_dropped_leave_the_store_usable() {
    let store = Browser.fresh().await;
    add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(b"body"))],
            ..record(1)
        },
    )
    .await
    .unwrap();
    for _ in 0..20 {
        assert!(store.load().now_or_never().is_none());
        assert!(store.tail(0).now_or_never().is_none());
        assert!(
            store
                .bodies(&[body(1, 0), body(1, 1)])
                .now_or_never()
                .is_none()
        );
    }
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
}
