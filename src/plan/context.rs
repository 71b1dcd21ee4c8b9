//! The time and the randomness of a plan, as arguments.

use crate::util::uuid::uuid_v7;

/// Time and ids for a plan: the same arguments give the same plan.
#[derive(Debug, Clone)]
pub struct PlanContext {
    /// This device's clock, in milliseconds since 1970.
    pub now: u64,
    /// Random bytes for the ids of new operations; varied by an index for each.
    pub seed: [u8; 10],
}

impl PlanContext {
    /// Returns the id of the `index`th new operation of this plan. Ids ascend, which keeps the
    /// maps that they are looked up in sorted for free.
    #[must_use]
    pub fn op_id(&self, index: usize) -> String {
        let mut random = self.seed;
        if let Some(tail) = random.last_chunk_mut() {
            *tail = u64::from_be_bytes(*tail)
                .wrapping_add(index as u64)
                .to_be_bytes();
        }
        uuid_v7(self.now, random)
    }
}
