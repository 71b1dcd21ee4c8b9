//! A checkpoint of this instance, folded in steps beside the state that it repeats.
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
    events: std::vec::IntoIter<Event>,
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
            events: events.into_iter(),
            sums: sums.iter().copied(),
        })
    }

    /// Folds about this many rows or events. Returns true if there are more.
    pub fn step(&mut self, most: usize) -> bool {
        let mut left = most;
        while left > 0 {
            if let Some((index, segment)) = self.segments.next() {
                left = left.saturating_sub(segment.entries.len());
                let id = body_id(self.seq, index);
                (self.fresh).fold_segment(id, self.seq, segment, &mut self.sums, None);
            } else if let Some(event) = self.events.next() {
                left = left.saturating_sub(1);
                fold_event(&mut self.fresh, self.seq, event, Origin::Own);
            } else {
                return false;
            }
        }
        self.segments.len() > 0 || self.events.len() > 0
    }

    /// Puts the new state in place of the old one, once everything is folded. Returns the old one.
    pub fn finish(self, replica: &mut Replica) -> Replica {
        let mut fresh = self.fresh;
        fresh.follow(self.seq, replica);
        std::mem::replace(replica, fresh)
    }
}
