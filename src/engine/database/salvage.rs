//! Recovers from the loss of a log under an open instance: saves its operations into a new log, and
//! keeps them in memory until that is done.

use crate::engine::database::{Database, LogEnd, MAX_STALE, Source, load, migration, overtaken};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Result};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::replica::Replica;

/// Passes a result on. If it says that the log was lost, salvages it and returns `None`.
pub(super) async fn salvaged<S: Store, H: Host, T>(
    db: &Database<S, H>,
    found: Result<T>,
) -> Result<Option<T>> {
    match found {
        Err(error) if error.code() == Code::StorageLost => salvage(db).await.map(|()| None),
        found => found.map(Some).map_err(|error| db.on_store_error(error)),
    }
}

/// Starts a new log in place of the lost one, and saves the data that only this instance has.
async fn salvage<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    // Kept until it is durable again: the state that holds it is about to be replaced.
    db.unsaved.borrow_mut().remember(&db.memory.whole());
    save(db).await
}

/// Writes the salvaged data. Another tab may be doing the same: the second one loads what the first
/// has written, and adds what is missing.
pub(super) async fn save<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    let user_id = db.peek(|replica| replica.user_id().to_owned());
    let context = db.plan_context();
    for _ in 0..MAX_STALE {
        // Another tab may have wiped the log on purpose.
        db.check_open()?;
        let fresh = load(
            (&db.store, db.trace.as_deref()),
            &user_id,
            db.budget,
            db.schema.version(),
        )
        .await
        .map_err(|error| db.on_store_error(error))?;
        db.memory.replace(fresh);
        db.update(Replica::count_loss);
        if migration::is_due(db) {
            // A tab of an earlier version of the app began the new log.
            migration::boxed(db).await?;
        }
        let mut commit = {
            let mut unsaved = db.unsaved.borrow_mut();
            unsaved.stood_in |= db.store.took_over();
            unsaved.plan(&db.memory.whole(), &context)
        };
        let stood_in = db.unsaved.borrow().stood_in;
        let appended = if commit.is_empty() {
            Ok(true)
        } else {
            db.append(&mut commit, None, Durability::Strict, Source::OtherTab)
                .await
        };
        match appended {
            // Lost again, just now.
            Err(error) if error.code() == Code::StorageLost => {}
            Err(error) => return Err(db.on_store_error(error)),
            Ok(false) => {}
            Ok(true) => {
                let saved = db.unsaved.take().op_ids();
                // They may have been sent before the log was lost, so nothing is coalesced into
                // them.
                db.update(|replica| replica.outbox_mut().mark_left(&saved));
                db.report_log_end(if stood_in {
                    LogEnd::TookOver
                } else {
                    LogEnd::Lost(saved.len())
                });
                return Ok(());
            }
        }
    }
    Err(overtaken())
}
