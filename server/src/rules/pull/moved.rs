//! Where the rows live now whose tombstones say that they were moved.

use std::collections::BTreeMap;

use crate::rules::ServerError;
use crate::rules::page::PageRow;
use crate::rules::store::{MAX_HOPS, Space, Transaction};

use super::readable::Readable;

/// Completes the tombstones of moved rows, as far as the user may read where those are. A row that
/// was moved more than once is followed, also through spaces that the user may not read.
pub(super) async fn resolve<T: Transaction>(
    tx: &mut T,
    spaces: &Readable,
    changes: &mut [PageRow],
) -> Result<(), ServerError> {
    let moved = changes
        .iter_mut()
        .filter(|change| change.row.moved_to.is_some());
    let mut asked: BTreeMap<Space, Vec<&mut PageRow>> = BTreeMap::new();
    for change in moved {
        if let Some(to) = change.row.moved_to.clone() {
            asked.entry(to).or_default().push(change);
        }
    }
    for _ in 0..MAX_HOPS {
        let mut next: BTreeMap<Space, Vec<&mut PageRow>> = BTreeMap::new();
        for (space, changes) in asked {
            let keys: Vec<(&str, &str)> = changes
                .iter()
                .map(|change| (change.row.entity.as_str(), change.row.id.as_str()))
                .collect();
            let stamps = tx.stamps(&space, &keys).await?;
            let readable = spaces.all.iter().any(|reading| reading.space == space);
            for (change, stamp) in changes.into_iter().zip(stamps) {
                match stamp {
                    Some(stamp) if !stamp.deleted => {
                        change.moved_to = readable.then(|| (space.id().cloned(), stamp.version));
                    }
                    Some(stamp) => {
                        if let Some(to) = stamp.moved_to {
                            next.entry(to).or_default().push(change);
                        }
                    }
                    None => {}
                }
            }
        }
        asked = next;
    }
    Ok(())
}
