//! A checkpoint of this instance, folded some rows at a time beside the state that it repeats.
//! Readers see that state until all of the new one is there.

use crate::log::address::{Seq, body_id};
use crate::log::commit::{Commit, Event, SegmentWrite};
use crate::state::fold::events::fold_event;
use crate::state::fold::{Origin, emptied};
use crate::state::replica::Replica;

/// A checkpoint that is being folded.
#[derive(Debug)]
pub struct CheckpointFold<'a> {
    fresh: Replica,
    seq: Seq,
    segments: std::iter::Enumerate<std::vec::IntoIter<SegmentWrite>>,
    events: Vec<Event>,
    sums: std::iter::Copied<std::slice::Iter<'a, u64>>,
}

impl<'a> CheckpointFold<'a> {
    /// Begins with a commit that has been appended. Returns `None`, and leaves it, if it is no
    /// checkpoint. `sums` are the checksums of its long bodies.
    #[must_use]
    pub fn begin(
        replica: &Replica,
        seq: Seq,
        commit: &mut Commit,
        sums: &'a [u64],
    ) -> Option<Self> {
        let Some(Event::Checkpoint { kept, damage }) = commit.events.first() else {
            return None;
        };
        let mut fresh = emptied(replica, seq, kept);
        fresh.damage = *damage;
        let Commit { segments, events } = std::mem::take(commit);
        Some(Self {
            fresh,
            seq,
            segments: segments.into_iter().enumerate(),
            events,
            sums: sums.iter().copied(),
        })
    }

    /// Folds about this many rows. Returns true if there are more.
    pub fn step(&mut self, rows: usize) -> bool {
        let mut left = rows;
        while left > 0 {
            let Some((index, segment)) = self.segments.next() else {
                return false;
            };
            left = left.saturating_sub(segment.entries.len());
            let id = body_id(self.seq, index);
            (self.fresh).fold_segment(id, self.seq, segment, &mut self.sums, None);
        }
        self.segments.len() > 0
    }

    /// Puts the new state in place of the old one.
    pub fn finish(self, replica: &mut Replica) {
        let mut fresh = self.fresh;
        for event in self.events {
            fold_event(&mut fresh, self.seq, event, Origin::Own);
        }
        fresh.follow(self.seq, replica);
        *replica = fresh;
    }
}
