//! TODO

/// The key of a commit's segment.
#[must_use]
pub const fn body_id(seq: Seq, index: usize) -> BodyId {
    seq.saturating_mul(BODIES_PER_RECORD)
        .saturating_add(index as u64)
}

/// The place of a record in the log; the first record has 1, and 0 is the head of an empty log.
pub type Seq = u64;

/// The key of a segment body: its record's place times [`BODIES_PER_RECORD`], plus its index, so
/// never below [`BODIES_PER_RECORD`]. A store may keep what is its own under 0.
pub type BodyId = u64;

/// How many bodies a record may have.
pub const BODIES_PER_RECORD: u64 = 1 << 16;

/// What a checkpoint makes superfluous. Record keys stay, as they are the fence; only values go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Records to overwrite with empty values.
    pub records: Vec<Seq>,
    /// Bodies to remove.
    pub bodies: Vec<BodyId>,
}
