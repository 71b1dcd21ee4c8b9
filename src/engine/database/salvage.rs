//! A log that was lost under an open instance: its operations are saved into the new one, and stay
//! in memory until that is done.

use crate::engine::database::{Database, Gone, MAX_STALE, Source, load, overtaken};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Result};
use crate::ports::host::Host;
use crate::ports::store::Store;

/// Passes a result on, and saves what is known if it says that the log was lost. Returns none then.
pub(super) async fn salvaged<S: Store, H: Host, T>(
    db: &Database<S, H>,
    found: Result<T>,
) -> Result<Option<T>> {
    match found {
        Err(error) if error.code() == Code::StorageLost => salvage(db).await.map(|()| None),
        found => found.map(Some).map_err(|error| db.on_store_error(error)),
    }
}

/// Begins a new log in place of the lost one, and saves into it what only this instance knows.
async fn salvage<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    // Remembered until it is durable again: the state that holds it is about to go.
    db.unsaved.borrow_mut().remember(&db.memory.whole());
    save(db).await
}

/// Saves what is remembered. Another tab may be doing the same: whoever is second loads what the
/// first has saved, and adds what is missing.
pub(super) async fn save<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    let user_id = db.peek(|replica| replica.user_id().to_owned());
    let context = db.plan_context();
    for _ in 0..MAX_STALE {
        // Another tab may have wiped the log on purpose, and said so.
        db.check_open()?;
        let fresh = load(&db.store, &user_id, db.budget)
            .await
            .map_err(|error| db.on_store_error(error))?;
        db.memory.replace(fresh);
        let commit = db.unsaved.borrow_mut().plan(&db.memory.whole(), &context);
        let appended = db
            .append(commit, None, Durability::Strict, Source::OtherTab)
            .await;
        match appended {
            // Lost once more, just now.
            Err(error) if error.code() == Code::StorageLost => {}
            Err(error) => return Err(db.on_store_error(error)),
            Ok(false) => {}
            Ok(true) => {
                let saved = db.unsaved.take().op_ids();
                // They may be on their way since before the log was lost: nothing is coalesced into
                // them.
                db.update(|replica| replica.outbox_mut().mark_left(&saved));
                db.tell_gone(Gone::Lost(saved.len()));
                return Ok(());
            }
        }
    }
    Err(overtaken())
}
