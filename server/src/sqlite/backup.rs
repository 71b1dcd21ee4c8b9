//! Copies of the file: taken while it is served, and put back while it is not.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Executor, Row as _};

use super::{SqliteStore, failed};
use crate::rules::ServerError;
use crate::rules::store::{Result, Store as _, Transaction as _};

/// Writes a copy of a database as it is now into a file that must not exist; others may read and
/// write meanwhile.
///
/// # Errors
/// Whatever SQLite says.
pub async fn back_up(database: &Path, copy: &Path) -> Result<()> {
    let from = connect(database).await?;
    let copied = copy_to(&from, copy).await;
    from.close().await;
    copied
}

/// Puts a copy in the place of a database that nobody has open, with a new epoch, so that every
/// device hears of it: the copy has it before it is put there. What stood there is gone.
///
/// # Errors
/// A database that is in use; a copy that is none; whatever SQLite or the file system says.
pub async fn restore(copy: &Path, database: &Path, epoch: &str) -> Result<()> {
    let fresh = beside(database, ".restoring");
    remove(&fresh)?;
    back_up(copy, &fresh).await?;
    // Brings an old copy up to date as well.
    let store = SqliteStore::open(&fresh, epoch).await?;
    let mut tx = store.write().await?;
    tx.set_epoch(epoch).await?;
    tx.commit().await?;
    store.close().await;
    if database.exists() {
        leave_alone(database).await?;
    }
    // A log of writes that stays behind would be laid over the copy.
    for ending in ["-wal", "-shm"] {
        remove(&beside(database, ending))?;
    }
    std::fs::rename(&fresh, database).map_err(ServerError::internal)
}

/// Refuses where a server has the database open. One that cannot be read is nobody's.
async fn leave_alone(database: &Path) -> Result<()> {
    let Ok(pool) = connect(database).await else {
        return Ok(());
    };
    // Only who is alone may give up the write-ahead log; that folds it into the file, too.
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
        .ok_or_else(|| ServerError::internal("the copy's path is not text"))?;
    sqlx::query("VACUUM INTO ?1")
        .bind(name)
        .execute(from)
        .await
        .map_err(failed)?;
    // On disk before anybody relies on it.
    std::fs::File::open(copy)
        .and_then(|file| file.sync_all())
        .map_err(ServerError::internal)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
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
