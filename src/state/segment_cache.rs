//! Segments: many entities' JSON as one run of bytes. Directories are always in memory; bodies come
//! when first needed and go again, least recently used first, when the memory budget is exceeded.

use std::cell::Cell;
use std::rc::Rc;

use crate::log::address::BodyId;
use crate::log::segment::{checksum, slice};
use crate::state::replica::ViewBody;
use crate::util::collections::seq_map::SeqMap;

#[derive(Debug)]
struct Segment {
    len: u32,
    live: u64,
    hash: u64,
    external: bool,
    resident: Option<Rc<[u8]>>,
    used: Cell<u64>,
}

/// The segments that live rows point into.
#[derive(Debug, Default)]
pub struct Segments {
    segments: SeqMap<Segment>,
    budget: u64,
    resident: u64,
    clock: Cell<u64>,
    pinned: Vec<BodyId>,
}

impl Segments {
    /// No segments yet, and a budget in bytes for the bodies kept in memory.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// An empty set with the same budget.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::new(self.budget)
    }

    /// Takes note of a segment. A body that lies in its record stays in memory for good.
    pub fn register(
        &mut self,
        id: BodyId,
        len: u32,
        hash: u64,
        external: bool,
        resident: Option<Rc<[u8]>>,
    ) {
        if external && resident.is_some() {
            self.resident = self.resident.saturating_add(u64::from(len));
        }
        self.segments.insert(
            id,
            Segment {
                len,
                live: 0,
                hash,
                external,
                resident,
                used: Cell::new(self.tick()),
            },
        );
        self.trim(id);
    }

    /// Counts bytes of a live row in.
    pub fn gain(&mut self, id: BodyId, len: u32) {
        if let Some(segment) = self.segments.get_mut(id) {
            segment.live = segment.live.saturating_add(u64::from(len));
        }
    }

    /// Counts bytes of a dead row out; a segment in which nothing lives any more leaves memory.
    pub fn lose(&mut self, id: BodyId, len: u32) {
        if let Some(segment) = self.segments.get_mut(id) {
            segment.live = segment.live.saturating_sub(u64::from(len));
            if segment.live == 0 {
                self.drop_resident(id);
                if self
                    .segments
                    .get(id)
                    .is_some_and(|segment| !segment.external)
                {
                    self.segments.remove(id);
                }
            }
        }
    }

    /// The text of a row, or the segment that must be fetched first.
    #[must_use]
    pub fn text(&self, id: BodyId, offset: u32, len: u32) -> ViewBody<'_> {
        let absent = ViewBody::Absent {
            segment: id,
            offset,
            len,
        };
        let Some(segment) = self.segments.get(id) else {
            return absent;
        };
        segment.used.set(self.tick());
        segment
            .resident
            .as_ref()
            .and_then(|bytes| slice(bytes, offset, len))
            .map_or(absent, ViewBody::Text)
    }

    /// Keeps these bodies in memory, whatever the budget, until [`Self::unpin`]: a plan that needs
    /// several at once must find them all.
    pub fn pin(&mut self, ids: &[BodyId]) {
        self.pinned.extend(ids);
    }

    /// Lets the budget rule again.
    pub fn unpin(&mut self) {
        self.pinned.clear();
        self.trim(0);
    }

    /// Puts a fetched body in, if it is the one that the log speaks of.
    ///
    /// Answers whether it is: a body that is missing or does not match its checksum is corrupt.
    pub fn supply(&mut self, id: BodyId, bytes: Option<Rc<[u8]>>) -> bool {
        let Some(segment) = self.segments.get_mut(id) else {
            return false;
        };
        let Some(bytes) = bytes.filter(|bytes| {
            bytes.len() == segment.len as usize
                && checksum(bytes) == segment.hash
                && std::str::from_utf8(bytes).is_ok()
        }) else {
            return false;
        };
        if segment.resident.replace(bytes).is_none() {
            self.resident = self.resident.saturating_add(u64::from(segment.len));
        }
        self.trim(id);
        true
    }

    /// Forgets a segment altogether, as after a compaction or a quarantine.
    pub fn remove(&mut self, id: BodyId) {
        self.drop_resident(id);
        self.segments.remove(id);
    }

    /// External segments with their length and how much of it lives.
    pub fn external(&self) -> impl Iterator<Item = (BodyId, u32, u64)> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.external)
            .map(|(id, segment)| (*id, segment.len, segment.live))
    }

    /// Length, checksum and place of a segment.
    #[must_use]
    pub fn describe(&self, id: BodyId) -> Option<(u32, u64, bool)> {
        self.segments
            .get(id)
            .map(|segment| (segment.len, segment.hash, segment.external))
    }

    /// The body of a segment where it is in memory.
    #[must_use]
    pub fn resident(&self, id: BodyId) -> Option<&Rc<[u8]>> {
        self.segments.get(id)?.resident.as_ref()
    }

    /// Bytes of rows that live.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.segments
            .iter()
            .fold(0, |sum, (_, segment)| sum.saturating_add(segment.live))
    }

    /// Bytes of external bodies in memory now.
    #[must_use]
    pub const fn resident_bytes(&self) -> u64 {
        self.resident
    }

    fn drop_resident(&mut self, id: BodyId) {
        if let Some(segment) = self.segments.get_mut(id)
            && segment.external
            && segment.resident.take().is_some()
        {
            self.resident = self.resident.saturating_sub(u64::from(segment.len));
        }
    }

    /// Brings memory back under the budget, sparing the segment that has just come in: a reader
    /// that asked for it must find it.
    fn trim(&mut self, spare: BodyId) {
        while self.resident > self.budget {
            let oldest = self
                .segments
                .iter()
                .filter(|(id, segment)| {
                    *id != spare
                        && !self.pinned.contains(id)
                        && segment.external
                        && segment.resident.is_some()
                })
                .min_by_key(|(_, segment)| segment.used.get());
            let Some((id, _)) = oldest else { return };
            let id = *id;
            self.drop_resident(id);
        }
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get().saturating_add(1));
        self.clock.get()
    }
}
