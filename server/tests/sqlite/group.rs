//! Writes that share a commit.

use std::path::Path;

use datum_server::rules::store::{Store as _, Transaction as _};
use datum_server::sqlite::SqliteStore;
use tokio::task::JoinHandle;

use crate::common::Folder;

/// Runs a test on one thread: what can go on, has gone on when the test is asked again.
fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

/// Lets everything else go as far as it can without the disk.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn open(folder: &Folder) -> SqliteStore {
    SqliteStore::open(&folder.database(), "e1").await.unwrap()
}

/// Counts the commits in the write-ahead log: the last frame of each names the size of the database.
fn commits(folder: &Folder) -> usize {
    let log = folder.database();
    let log = Path::new(&format!("{}-wal", log.display())).to_owned();
    let bytes = std::fs::read(log).unwrap();
    let page = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    bytes[32..]
        .chunks_exact(24 + page)
        .filter(|frame| frame[4..8] != [0; 4])
        .count()
}

/// Begins to write something of a user, and ends with whether readers see it once it is committed.
fn write(store: &SqliteStore, user: String, commits: bool) -> JoinHandle<bool> {
    let store = store.clone();
    tokio::spawn(async move {
        let mut tx = store.write().await.unwrap();
        tx.put_device(&user, "d", "{}", 1, 10).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }
        is_stored(&store, &user).await
    })
}

async fn is_stored(store: &SqliteStore, user: &str) -> bool {
    let mut tx = store.read().await.unwrap();
    !tx.devices(user).await.unwrap().is_empty()
}

#[test]
fn writes_that_come_during_another_one_are_one_commit_and_are_answered_after_it() {
    let folder = Folder::new();
    run(async {
        let store = open(&folder).await;
        let mut first = store.write().await.unwrap();
        first.put_device("first", "d", "{}", 1, 10).await.unwrap();
        let before = commits(&folder);
        let others: Vec<_> = (0..20)
            .map(|n| write(&store, format!("user {n}"), true))
            .collect();
        settle().await;
        first.commit().await.unwrap();
        for other in others {
            assert!(other.await.unwrap(), "it was answered before the commit");
        }
        assert_eq!(commits(&folder) - before, 1);
        store.close().await;
    });
}

#[test]
fn a_group_has_an_end_however_many_wait() {
    let folder = Folder::new();
    run(async {
        let store = open(&folder).await;
        let first = store.write().await.unwrap();
        let before = commits(&folder);
        let others: Vec<_> = (0..200)
            .map(|n| write(&store, format!("user {n}"), true))
            .collect();
        settle().await;
        first.commit().await.unwrap();
        for other in others {
            assert!(other.await.unwrap());
        }
        let made = commits(&folder) - before;
        assert!((4..=8).contains(&made), "{made}");
        store.close().await;
    });
}

#[test]
fn a_write_that_fails_undoes_nothing_of_the_others() {
    let folder = Folder::new();
    run(async {
        let store = open(&folder).await;
        for first_commits in [true, false] {
            let name = |n| format!("{first_commits} {n}");
            let mut first = store.write().await.unwrap();
            first.put_device(&name(9), "d", "{}", 1, 10).await.unwrap();
            let before = commits(&folder);
            let others: Vec<_> = (0..3)
                .map(|n| (n != 1, write(&store, name(n), n != 1)))
                .collect();
            settle().await;
            if first_commits {
                first.commit().await.unwrap();
            } else {
                drop(first);
            }
            for (commits, other) in others {
                assert_eq!(other.await.unwrap(), commits);
            }
            assert_eq!(is_stored(&store, &name(9)).await, first_commits);
            assert!(!is_stored(&store, &name(1)).await);
            assert_eq!(commits(&folder) - before, 1);
        }
        store.close().await;
    });
}

#[test]
fn a_write_that_is_given_up_in_any_state_holds_up_nobody() {
    let folder = Folder::new();
    run(async {
        let store = open(&folder).await;
        let first = store.write().await.unwrap();
        let waits = write(&store, "given up".to_owned(), true);
        let last = write(&store, "last".to_owned(), true);
        settle().await;
        waits.abort();
        // The first one is given up while it is committed, when the last one waits for it.
        let first = tokio::spawn(first.commit());
        tokio::task::yield_now().await;
        first.abort();
        assert!(last.await.unwrap());
        assert!(!is_stored(&store, "given up").await);
        assert!(write(&store, "next".to_owned(), true).await.unwrap());
        // One that writes nothing leaves nothing open.
        drop(store.write().await.unwrap());
        assert!(write(&store, "after".to_owned(), true).await.unwrap());
        store.close().await;
    });
}
