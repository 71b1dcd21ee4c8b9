//! How a user's data lies in the browser's storage: rows by entity type, segments, the records of the
//! log since its last checkpoint, and when the next one is written.

use serde::Serialize;

use crate::model::table::Table;
use crate::state::growth::{MAX_RECORDS, MIN_BYTES, MIN_DEAD_BYTES, MIN_RECORDS};
use crate::state::replica::Replica;
use crate::state::rows::RowBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// `StorageSize["entities"]` of the public surface: the rows of one entity type, in all spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeUse {
    pub rows: u64,
    /// Deleted rows of which a trace is kept.
    pub tombstones: u64,
    pub bytes: u64,
    /// Segments that have bodies of these rows.
    pub segments: u64,
}

/// `StorageSize["log"]` of the public surface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogUse {
    /// Records since the last checkpoint, and their bytes.
    pub records: u64,
    pub record_bytes: u64,
    /// Segments beside the records, their bytes, and those of them that no row has any more.
    pub segments: u64,
    pub segment_bytes: u64,
    pub dead_bytes: u64,
    /// A checkpoint would pay for itself.
    pub is_due: bool,
    /// When the next checkpoint is written, for people.
    pub because: String,
}

/// Measures the rows of each entity type.
#[must_use]
pub fn by_type(replica: &Replica) -> VecMap<TypeUse> {
    let mut all = VecMap::<TypeUse>::default();
    for (table, rows) in replica.entities().iter() {
        let mut segments = SeqMap::<()>::default();
        let known = all.entry(Table(table).entity());
        for (_, row) in rows.iter() {
            let count = match row.is_deleted() {
                true => &mut known.tombstones,
                false => &mut known.rows,
            };
            *count = count.saturating_add(1);
            let bytes = match &row.body {
                RowBody::None => 0,
                RowBody::Own(text) => text.len() as u64,
                RowBody::At { segment, len, .. } => {
                    segments.insert(*segment, ());
                    u64::from(*len)
                }
            };
            known.bytes = known.bytes.saturating_add(bytes);
        }
        // A segment has rows of one table only.
        let count = segments.iter().count() as u64;
        known.segments = known.segments.saturating_add(count);
    }
    all
}

/// Measures the log.
#[must_use]
pub fn of_log(replica: &Replica) -> LogUse {
    let (mut segments, mut segment_bytes, mut live_bytes) = (0_u64, 0_u64, 0_u64);
    for (_, len, live) in replica.segments().external() {
        segments = segments.saturating_add(1);
        segment_bytes = segment_bytes.saturating_add(u64::from(len));
        live_bytes = live_bytes.saturating_add(live);
    }
    let (records, record_bytes) = replica.growth.counts();
    let is_due = replica.wants_checkpoint();
    let because = if replica.is_pulling_all() {
        "Everything is being pulled again: it waits for the end of that.".to_owned()
    } else if is_due {
        "It is due, and is written in an idle moment after the next write or cycle.".to_owned()
    } else {
        let left = MAX_RECORDS.saturating_sub(records);
        let many = MIN_RECORDS.max(records);
        let long = MIN_BYTES.max(replica.directory_bytes()) >> 10;
        let dead = MIN_DEAD_BYTES >> 20;
        format!(
            "It is written after {left} more records at the latest: sooner once {many} have {long} KiB, or once more than half of the segments, and more than {dead} MiB, is dead."
        )
    };
    LogUse {
        records,
        record_bytes,
        segments,
        segment_bytes,
        dead_bytes: segment_bytes.saturating_sub(live_bytes),
        is_due,
        because,
    }
}
