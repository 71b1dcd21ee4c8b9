//! Browsers whose IndexedDB fails. A patched prototype stands in for what a page cannot provoke.

use crate::support::browser::indexeddb::{Browser, unique};
use crate::support::browser::{Patch, Raw, raw};
use crate::support::store_suite::{Stores, add, body, bytes, record, tailed, text};
use datum_sync::model::error::Code;
use datum_sync::ports::store::{Append, AppendError, Store};
use datum_sync::web::indexeddb::{IndexedDbStore, RootDatabase};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn a_connection_that_died_unnoticed_is_opened_again() {
    let store = Browser.fresh().await;
    add(&store, record(1)).await.unwrap();
    let patch = Patch::new(Raw::connection_dies_once);
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
    assert_eq!(
        patch.count(),
        3,
        "refused, then the fresh database is identified, then read"
    );
    assert_eq!(store.stats().opens, 2);
}

#[wasm_bindgen_test]
async fn transactions_without_an_answer_end_with_their_connection() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::connection_is_closed_by_force);
    add(&store, record(1)).await.unwrap();
    drop(patch);
    let patch = Patch::new(Raw::connection_is_closed_by_force);
    assert_eq!(
        text(&store.load().await.unwrap()),
        ["record 1"],
        "the append that gave no answer was stored, and was found"
    );
    drop(patch);
    assert_eq!(store.stats().opens, 3);
}

#[wasm_bindgen_test]
async fn a_connection_that_is_closed_by_force_while_it_is_identified_is_opened_again() {
    let name = unique();
    RootDatabase::open(&name).await.unwrap();
    let patch = Patch::new(Raw::connection_is_closed_by_force);
    let store = IndexedDbStore::open(&name, "ann").await.unwrap();
    drop(patch);
    assert_eq!(store.stats().opens, 2);
    add(&store, record(1)).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_connection_that_stays_dead_is_an_error_after_three_attempts() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::connection_stays_dead);
    assert_eq!(
        store.load().await.unwrap_err().code(),
        Code::StorageUnavailable
    );
    assert_eq!(patch.count(), 3);
    drop(patch);
    assert!(store.load().await.unwrap().is_empty());
}

#[wasm_bindgen_test]
async fn an_append_whose_answer_was_lost_finds_its_own_record() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::commit_loses_its_answer);
    add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(b"body"))],
            ..record(1)
        },
    )
    .await
    .unwrap();
    assert_eq!(
        patch.count(),
        2,
        "it was tried again, and refused by its own key"
    );
    drop(patch);
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
    assert_eq!(store.stats().opens, 2);
}

#[wasm_bindgen_test]
async fn an_append_whose_answer_was_lost_does_not_take_anothers_record_for_its_own() {
    let store = Browser.fresh().await;
    add(
        &Browser.another(&store).await,
        Append {
            record: bytes(b"another"),
            ..record(1)
        },
    )
    .await
    .unwrap();
    let patch = Patch::new(Raw::commit_loses_its_answer);
    assert!(matches!(
        add(&store, record(1)).await,
        Err(AppendError::Stale)
    ));
    assert_eq!(patch.count(), 2);
    drop(patch);
    assert_eq!(text(&tailed(&store, 0).await.unwrap()), ["another"]);
}

#[wasm_bindgen_test]
async fn a_full_disk_is_a_coded_error_and_nothing_is_written() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::disk_is_full);
    let full = add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(b"body"))],
            ..record(1)
        },
    )
    .await;
    assert!(matches!(full, Err(AppendError::Failed(error)) if error.code() == Code::StorageFull));
    assert_eq!(patch.count(), 1, "a full disk is not tried again");
    drop(patch);
    assert!(store.load().await.unwrap().is_empty());
    add(&store, record(1)).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_request_that_throws_aborts_what_came_before_it() {
    let store = Browser.fresh().await;
    let patch = Patch::new(Raw::add_throws);
    let thrown = add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(b"body"))],
            ..record(1)
        },
    )
    .await;
    assert!(
        matches!(thrown, Err(AppendError::Failed(error)) if error.code() == Code::StorageUnavailable)
    );
    assert_eq!(patch.count(), 1);
    drop(patch);
    assert_eq!(store.bodies(&[body(1, 0)]).await.unwrap(), [None]);
}

#[wasm_bindgen_test]
async fn a_browser_that_refuses_storage_is_a_coded_error() {
    let patch = Patch::new(Raw::open_is_denied);
    assert_eq!(
        IndexedDbStore::open(&unique(), "ann")
            .await
            .unwrap_err()
            .code(),
        Code::StorageUnavailable
    );
    assert_eq!(
        RootDatabase::open(&unique()).await.unwrap_err().code(),
        Code::StorageUnavailable
    );
    assert_eq!(patch.count(), 2);
}

#[wasm_bindgen_test]
async fn a_read_whose_requests_all_fail_is_repeated_and_nothing_is_thrown_in_the_page() {
    let store = Browser.fresh().await;
    for seq in 1..=3 {
        let bodies = vec![(body(seq, 0), bytes(b"body"))];
        let append = Append {
            bodies,
            ..record(seq)
        };
        add(&store, append).await.unwrap();
    }
    raw().watch_thrown();
    let patch = Patch::new(Raw::third_get_aborts);
    let ids = [body(1, 0), body(2, 0), body(3, 0)];
    let found = store.bodies(&ids).await.unwrap();
    assert_eq!(found, vec![Some(bytes(b"body")); 3]);
    assert_eq!(patch.count(), 7, "refused, identified, then read");
    drop(patch);
    assert_eq!(raw().thrown_so_far(), "");
}
