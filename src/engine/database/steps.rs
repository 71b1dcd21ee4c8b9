//! Work on very many rows in steps: between two of them the page has its turn. Boxed, because only
//! large databases come here.

use futures_util::future::LocalBoxFuture;

use crate::engine::database::{Database, INDEXED_ROWS};
use crate::log::address::Seq;
use crate::log::commit::Commit;
use crate::log::record::Encoder;
use crate::model::error::Result;
use crate::plan::checkpoint::{CheckpointDraft, CheckpointStep};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::fold::checkpoint::CheckpointFold;
use crate::state::shedding::free_some;

/// Builds the rest of the row index.
pub(super) fn index<S: Store, H: Host>(db: &Database<S, H>) -> LocalBoxFuture<'_, ()> {
    Box::pin(async move {
        db.host.breathe().await;
        while db.update(|replica| replica.materialize_some(INDEXED_ROWS)) {
            db.host.breathe().await;
        }
    })
}

/// Hashes the rows that have no hash yet: a digest that is read next costs nothing. A page that has not loaded the code
/// for steps yet leaves the rest to that.
pub(in crate::engine) fn hash<S: Store, H: Host>(db: &Database<S, H>) -> LocalBoxFuture<'_, ()> {
    Box::pin(async move {
        db.materialize().await;
        while db.update(|replica| replica.hash_some(INDEXED_ROWS)) && db.host.has_all() {
            db.host.breathe().await;
        }
    })
}

/// Encodes the rest of a commit.
pub(super) fn encode<'a, H: Host>(
    host: &'a H,
    encoder: &'a mut Encoder,
    commit: &'a Commit,
) -> LocalBoxFuture<'a, ()> {
    Box::pin(async move {
        host.breathe().await;
        while encoder.step(commit) {
            host.breathe().await;
        }
    })
}

/// Folds a checkpoint that was appended. Readers see the state before it, which is the same, until
/// it is whole.
pub(super) fn fold<'a, S: Store, H: Host>(
    db: &'a Database<S, H>,
    seq: Seq,
    commit: &'a mut Commit,
    (bytes, sums): (usize, &'a [u64]),
) -> LocalBoxFuture<'a, ()> {
    Box::pin(async move {
        let begun = db.peek(|replica| CheckpointFold::begin(replica, seq, commit, sums));
        let Some(mut checkpoint) = begun else {
            let commit = std::mem::take(commit);
            return db.update(|replica| replica.apply_own(seq, commit, bytes, sums));
        };
        while checkpoint.step(INDEXED_ROWS) {
            db.host.breathe().await;
        }
        let mut old = db.update(|replica| checkpoint.finish(replica));
        // Also to free very many rows takes its time.
        while free_some(&mut old, INDEXED_ROWS) {
            db.host.breathe().await;
        }
    })
}

/// Plans a checkpoint, as far as that can be done in steps. The caller has the turn.
pub(super) fn plan<'a, S: Store, H: Host>(
    db: &'a Database<S, H>,
    draft: &'a mut CheckpointDraft,
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(async move {
        db.materialize().await;
        loop {
            let step = db.read(|replica| match replica.is_pulling_all() {
                true => CheckpointStep::Done,
                false => draft.step(replica, INDEXED_ROWS),
            });
            match step {
                CheckpointStep::More => db.host.breathe().await,
                CheckpointStep::Needs(bodies) => db.fetch_for_plan(&bodies).await?,
                CheckpointStep::Done => return Ok(()),
            }
        }
    })
}
