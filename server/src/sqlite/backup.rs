//! Backup while the server runs, restore while it does not.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Executor, Row as _};

use super::file::{SqliteStore, failed};
use crate::rules::ServerError;
use crate::rules::store::{Result, Store as _, Transaction as _};

/// Copies a database into a new file. Others may read and write it during the copy.
///
/// # Errors
/// Errors of SQLite; a file that exists already.
pub async fn back_up(database: &Path, copy: &Path) -> Result<()> {
    let from = connect(database).await?;
    let copied = copy_to(&from, copy).await;
    from.close().await;
    copied
}

/// Replaces a database that nobody has open with a copy, under a new epoch, which tells every
/// device of the restore. The old database is deleted.
///
/// # Errors
/// A database that is in use; a copy that is not a database; those of SQLite or the file system.
pub async fn restore(copy: &Path, database: &Path, epoch: &str) -> Result<()> {
    // The copy gets its epoch before it takes the database's place.
    let fresh = with_suffix(database, ".restoring");
    remove(&fresh)?;
    back_up(copy, &fresh).await?;
    // Opening also migrates an old copy.
    let store = SqliteStore::open(&fresh, epoch).await?;
    let mut tx = store.write().await?;
    tx.set_epoch(epoch).await?;
    tx.commit().await?;
    store.close().await;
    if database.exists() {
        check_unused(database).await?;
    }
    // SQLite would apply a write-ahead log that stays behind to the copy.
    for suffix in ["-wal", "-shm"] {
        remove(&with_suffix(database, suffix))?;
    }
    std::fs::rename(&fresh, database).map_err(ServerError::internal)
}

/// Fails if a server has the database open. Nobody uses a file that cannot be opened.
async fn check_unused(database: &Path) -> Result<()> {
    let Ok(pool) = connect(database).await else {
        return Ok(());
    };
    // Only a sole connection may leave WAL mode, which also merges the log into the file.
    let mode = pool.fetch_one("PRAGMA journal_mode = DELETE").await;
    pool.close().await;
    match mode {
        Err(sqlx::Error::Database(cause)) if cause.code().is_some_and(|code| code == "5") => {
            Err(in_use(database))
        }
        Ok(row) if row.try_get::<String, _>(0).is_ok_and(|mode| mode == "wal") => {
            Err(in_use(database))
        }
        _ => Ok(()),
    }
}

fn in_use(database: &Path) -> ServerError {
    ServerError::internal(format!(
        "{} is in use; stop the server first",
        database.display()
    ))
}

async fn connect(file: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(std::time::Duration::from_millis(500));
    SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(failed)
}

async fn copy_to(from: &SqlitePool, copy: &Path) -> Result<()> {
    let name = copy
        .to_str()
        .ok_or_else(|| ServerError::internal("the copy's path is not valid UTF-8"))?;
    sqlx::query("VACUUM INTO ?1")
        .bind(name)
        .execute(from)
        .await
        .map_err(failed)?;
    // The copy is on disk before anyone relies on it.
    std::fs::File::open(copy)
        .and_then(|file| file.sync_all())
        .map_err(ServerError::internal)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServerError::internal(error))
        }
        _ => Ok(()),
    }
}
