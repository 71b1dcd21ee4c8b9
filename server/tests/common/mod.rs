//! A folder on disk for each test, and a runtime.

pub mod api;
pub mod running;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use datum_server::sqlite::SqliteStore;

/// A folder that is deleted on drop.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = format!(
            "datum-server-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn database(&self) -> PathBuf {
        self.0.join("datum.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

thread_local! {
    /// The folders of this test's stores; each test has its own thread.
    static FOLDERS: std::cell::RefCell<Vec<Folder>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Returns an empty database, which is deleted when the test ends.
#[allow(dead_code)] // Not every test file needs it.
pub async fn empty_store() -> SqliteStore {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.database(), "e1").await.unwrap();
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    store
}

/// Runs a test on a multi-threaded runtime.
#[allow(dead_code)] // Not every test file needs it.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}
