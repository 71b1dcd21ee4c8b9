//! How far the addresses of each object are moved.

use crate::failure::{Failure, Result};

use super::Object;

/// A distance is a multiple of this, so that no alignment changes.
const STEP: u32 = 256;
/// A distance is at most this many steps longer than that of the object before it.
const STEPS: u32 = 1023;
/// The end of the memory that addresses may be moved to: a number beyond it would be negative.
const END: u32 = 1 << 30;

/// Returns a distance for each object, longer from one to the next.
pub fn of(objects: &[Object]) -> Result<Vec<u32>> {
    let mut random: u64 = 1;
    let mut distance = 0;
    let mut distances = Vec::new();
    for object in objects {
        // Not the same step each time: the difference of two distances is not a third one.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        distance += STEP * (1 + (random >> 33) as u32 % STEPS);
        if object.range.end + distance > END {
            return Err(Failure::new("too many objects to tell them apart"));
        }
        distances.push(distance);
    }
    Ok(distances)
}
