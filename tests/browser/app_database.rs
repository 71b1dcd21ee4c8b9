//! The database of the whole app: device id, users and wipe counts.

use crate::support::browser::indexeddb::unique;
use datum_sync::model::error::Code;
use datum_sync::ports::store::Store;
use datum_sync::web::indexeddb::RootDatabase;
use futures_util::future::join;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn the_root_database_keeps_values_and_lists_them_by_prefix() {
    let name = unique();
    let root = RootDatabase::open(&name).await.unwrap();
    assert_eq!(root.get("deviceId").await.unwrap(), None);
    root.put("deviceId", "one").await.unwrap();
    root.put("deviceId", "two \u{1f980}").await.unwrap();
    root.put("schema", "{\"version\":1}").await.unwrap();
    let again = RootDatabase::open(&name).await.unwrap();
    assert_eq!(
        again.get("deviceId").await.unwrap().as_deref(),
        Some("two \u{1f980}")
    );
    assert_eq!(
        again.list("s").await.unwrap(),
        [("schema".to_owned(), "{\"version\":1}".to_owned())]
    );
    assert_eq!(again.list("").await.unwrap().len(), 2);
    again.remove("schema").await.unwrap();
    assert_eq!(root.get("schema").await.unwrap(), None);
}

#[wasm_bindgen_test]
async fn two_tabs_that_ask_for_a_device_id_at_once_get_the_same() {
    let name = unique();
    let (here, there) = (
        RootDatabase::open(&name).await.unwrap(),
        RootDatabase::open(&name).await.unwrap(),
    );
    let (a, b) = join(
        here.get_or_put("deviceId", "a"),
        there.get_or_put("deviceId", "b"),
    )
    .await;
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b);
    assert_eq!(here.get("deviceId").await.unwrap(), Some(a.clone()));
    assert_eq!(there.get_or_put("deviceId", "c").await.unwrap(), a);
}

#[wasm_bindgen_test]
async fn users_registered_by_two_tabs_at_once_are_all_known() {
    let name = unique();
    let (here, there) = (
        RootDatabase::open(&name).await.unwrap(),
        RootDatabase::open(&name).await.unwrap(),
    );
    let (a, b) = join(here.note("ann", "0 a"), there.note("bo/user:x", "0 b")).await;
    a.and(b).unwrap();
    here.note("ann", "0 c").await.unwrap();
    assert_eq!(there.users().await.unwrap(), ["ann", "bo/user:x"]);
    let (store, note, wipes) = there.open_store("ann").await.unwrap();
    assert_eq!((note.as_deref(), wipes), (Some("0 c"), 0));
    store.wipe().await.unwrap();
    assert_eq!(there.users().await.unwrap(), ["bo/user:x"]);
    // A tab that was not told.
    here.note("ann", "0 d").await.unwrap();
    assert_eq!(there.users().await.unwrap(), ["bo/user:x"]);
    here.note("ann", "1 e").await.unwrap();
    assert_eq!(there.users().await.unwrap(), ["ann", "bo/user:x"]);
}

#[wasm_bindgen_test]
async fn a_root_database_that_was_wiped_or_closed_says_so() {
    let name = unique();
    let root = RootDatabase::open(&name).await.unwrap();
    root.put("deviceId", "one").await.unwrap();
    root.wipe().await.unwrap();
    assert_eq!(root.get("deviceId").await.unwrap_err().code(), Code::Closed);
    let again = RootDatabase::open(&name).await.unwrap();
    assert_eq!(again.get("deviceId").await.unwrap(), None);
    again.close();
    assert_eq!(again.put("a", "b").await.unwrap_err().code(), Code::Closed);
}
