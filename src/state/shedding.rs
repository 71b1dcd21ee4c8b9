//! Frees a state that nothing uses any more, some of it at a time: very many rows take as long to free
//! as to fold.

use crate::state::replica::Replica;

/// Frees about so many rows and operations. Returns true if there are more.
pub fn free_some(replica: &mut Replica, most: usize) -> bool {
    let mut left = most;
    for (_, rows) in replica.entities.iter_mut() {
        left = left.saturating_sub(rows.shed(left));
    }
    left = left.saturating_sub(replica.outbox.shed(left));
    left == 0
}
