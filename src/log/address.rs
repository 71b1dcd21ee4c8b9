//! Positions of records in the log, and keys of segment bodies in the store.

/// Returns the key of a commit's segment body.
#[must_use]
pub const fn body_id(seq: Seq, index: usize) -> BodyId {
    seq.saturating_mul(BODIES_PER_RECORD)
        .saturating_add(index as u64)
}

/// A record's position in the log. The first record has 1; 0 is the head of an empty log.
pub type Seq = u64;

/// The key of a segment body: its record's position times [`BODIES_PER_RECORD`], plus its index.
/// Never below [`BODIES_PER_RECORD`], so that a store may use key 0 for itself.
pub type BodyId = u64;

/// How many bodies a record may have.
pub const BODIES_PER_RECORD: u64 = 1 << 16;

/// The records and bodies that a checkpoint supersedes. Record keys stay as the fence; only values
/// go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Records to overwrite with empty values.
    pub records: Vec<Seq>,
    /// Bodies to remove.
    pub bodies: Vec<BodyId>,
}
