//! Work on very many rows in steps: between two of them the page has its turn. Boxed, because only
//! large databases come here.

use futures_util::future::LocalBoxFuture;

use crate::engine::database::{Database, INDEXED_ROWS};
use crate::log::address::Seq;
use crate::log::commit::Commit;
use crate::log::record::Encoder;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::fold::checkpoint::CheckpointFold;

/// Builds the rest of the row index.
pub(super) fn index<S: Store, H: Host>(db: &Database<S, H>) -> LocalBoxFuture<'_, ()> {
    Box::pin(async move {
        db.host.breathe().await;
        while db.update(|replica| replica.materialize_some(INDEXED_ROWS)) {
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
        db.update(|replica| checkpoint.finish(replica));
    })
}
