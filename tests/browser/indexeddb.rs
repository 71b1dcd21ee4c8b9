//! IndexedDB in a real browser: the store suite, and what only a browser can do to a database.

use crate::support::browser::{Patch, delete_raw, js, open_raw, overwrite, start_delete_raw};
use crate::support::indexeddb::{Browser, unique};
use crate::support::store_suite::{self, Stores, add, body, bytes, record, tailed, text};
use datum_sync::error::Code;
use datum_sync::store::indexeddb::{IndexedDbStore, RootDatabase};
use datum_sync::store::{Append, AppendError, Durability, Store};
use futures_util::FutureExt;
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

// What it costs.

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

// What engines do.

/// Why the `add` is the last request: see `write.rs`. The engine is asked directly, not the store.
#[wasm_bindgen_test]
async fn an_add_that_comes_last_takes_its_whole_transaction_with_it() {
    let rounds = js(
        "name",
        "const open = () => new Promise((resolve, reject) => {
           const request = indexedDB.open(name, 1);
           request.onupgradeneeded = () => { request.result.createObjectStore('log'); request.result.createObjectStore('bodies'); };
           request.onsuccess = () => resolve(request.result);
           request.onerror = () => reject(request.error);
         });
         const append = (db, seq, who) => new Promise((resolve) => {
           const tx = db.transaction(['log', 'bodies'], 'readwrite');
           tx.objectStore('bodies').put(who, seq);
           const add = tx.objectStore('log').add(who, seq);
           let verdict = 'unknown';
           add.onerror = () => { verdict = add.error.name; };
           tx.oncomplete = () => resolve('complete');
           tx.onabort = () => resolve(verdict);
           tx.commit();
         });
         const get = (db, store, key) => new Promise((resolve) => {
           const request = db.transaction(store).objectStore(store).get(key);
           request.onsuccess = () => resolve(request.result);
         });
         return (async () => {
           const [a, b] = [await open(), await open()];
           let right = 0;
           for (let seq = 1; seq <= 120; seq++) {
             const both = seq % 2 ? [[a, 'a'], [b, 'b']] : [[b, 'b'], [a, 'a']];
             const ends = await Promise.all(both.map(([db, who]) => append(db, seq, who)));
             const winner = both[ends.indexOf('complete')][1];
             const once = ends.toSorted().join() === 'ConstraintError,complete';
             if (once && await get(a, 'log', seq) === winner && await get(a, 'bodies', seq) === winner) right++;
           }
           a.close(); b.close();
           return right;
         })();",
    )
    .of(&unique())
    .await;
    assert_eq!(rounds.as_f64(), Some(120.0));
}

// Connections that others want, or take.

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
            stubborn.stores(),
            2,
            "the dropped call must not have left a database without object stores"
        );
        stubborn.close();
        stubborn = open_raw(&format!("{name}/ann"), 2).await;
        stubborn.close();
    }
}

// Futures that are dropped.

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

// Browsers that fail. A patched prototype stands in for what cannot be provoked from a page.

#[wasm_bindgen_test]
async fn a_connection_that_died_unnoticed_is_opened_again() {
    let store = Browser.fresh().await;
    add(&store, record(1)).await.unwrap();
    let patch = Patch::new(
        "IDBDatabase",
        "transaction",
        "if (count++ === 0) throw new DOMException('The database connection is closing.', 'InvalidStateError');
         return original.apply(this, args);",
    );
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
    assert_eq!(
        patch.count(),
        3,
        "refused, then the fresh database is identified, then read"
    );
    assert_eq!(store.stats().opens, 2);
}

#[wasm_bindgen_test]
async fn a_connection_that_stays_dead_is_an_error_after_three_attempts() {
    let store = Browser.fresh().await;
    let patch = Patch::new(
        "IDBDatabase",
        "transaction",
        "count++; throw new DOMException('Connection lost', 'UnknownError');",
    );
    assert_eq!(
        store.load().await.unwrap_err().code(),
        Code::StorageUnavailable
    );
    assert_eq!(patch.count(), 3);
    drop(patch);
    assert!(store.load().await.unwrap().is_empty());
}

/// The commit goes through, and its answer is lost: Safari's network process died in between.
const COMMITTED_BUT_LOST: &str = "original.apply(this, args);
    if (count++ === 0) { this.oncomplete = null; this.dispatchEvent(new Event('abort')); this.onabort = null; }";

#[wasm_bindgen_test]
async fn an_append_whose_answer_was_lost_finds_its_own_record() {
    let store = Browser.fresh().await;
    let patch = Patch::new("IDBTransaction", "commit", COMMITTED_BUT_LOST);
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
    let patch = Patch::new("IDBTransaction", "commit", COMMITTED_BUT_LOST);
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
    let patch = Patch::new(
        "IDBTransaction",
        "commit",
        "count++; Object.defineProperty(this, 'error', { value: new DOMException('full', 'QuotaExceededError') }); this.abort();",
    );
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
    let patch = Patch::new(
        "IDBObjectStore",
        "add",
        "count++; throw new DOMException('no', 'DataCloneError');",
    );
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
    let patch = Patch::new(
        "IDBFactory",
        "open",
        "count++; throw new DOMException('denied', 'SecurityError');",
    );
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
async fn a_durability_is_passed_on_to_the_browser() {
    let store = Browser.fresh().await;
    let patch = Patch::new(
        "IDBDatabase",
        "transaction",
        "globalThis.__durability = args[2].durability; return original.apply(this, args);",
    );
    store.append(record(1), Durability::Strict).await.unwrap();
    assert_eq!(
        js("", "return globalThis.__durability")
            .now("")
            .as_string()
            .unwrap(),
        "strict"
    );
    store.append(record(2), Durability::Relaxed).await.unwrap();
    assert_eq!(
        js("", "return globalThis.__durability")
            .now("")
            .as_string()
            .unwrap(),
        "relaxed"
    );
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
    overwrite(
        store.database(),
        &format!("tx.objectStore('bodies').put('text', {})", body(1, 0)),
    )
    .await;
    assert_eq!(
        store.bodies(&[body(1, 0), body(2, 0)]).await.unwrap(),
        [None, Some(bytes(b"body"))]
    );
    let whole = store.load().await.unwrap();
    overwrite(store.database(), "tx.objectStore('log').put({ a: 1 }, 1)").await;
    let records = store.load().await.unwrap();
    assert_eq!(
        (records.len(), &records[1]),
        (2, &whole[1]),
        "the others are what they were"
    );
    assert!(
        datum_sync::replica::record::Commit::decode(&records[0].1).is_err(),
        "no reader takes it"
    );
    overwrite(store.database(), "tx.objectStore('bodies').put('text', 0)").await;
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

// The app's own database.

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
    // A tab that has not heard.
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
