//! Segments: the JSON of many entities as one run of bytes. Their directories are always in memory.
//! Bodies are fetched when first needed and evicted, least recently used first, when the memory
//! budget is exceeded.

use std::cell::Cell;
use std::rc::Rc;

use crate::log::address::BodyId;
use crate::log::segment::{checksum, slice};
use crate::state::view::ViewBody;
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
    /// An empty set with a budget in bytes for external bodies in memory.
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

    /// Adds a segment. A body that is part of its record (not `external`) always stays in memory.
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

    /// Adds a row's bytes to the segment's live bytes.
    pub fn gain(&mut self, id: BodyId, len: u32) {
        if let Some(segment) = self.segments.get_mut(id) {
            segment.live = segment.live.saturating_add(u64::from(len));
        }
    }

    /// Subtracts a row's bytes from the segment's live bytes; a segment without live bytes leaves
    /// memory.
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

    /// Returns a row's text, or the segment that must be fetched first.
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

    /// Exempts these bodies from eviction until [`Self::unpin`], so that a plan that needs several
    /// at once finds them all.
    pub fn pin(&mut self, ids: &[BodyId]) {
        self.pinned.extend(ids);
    }

    /// Ends [`Self::pin`] and evicts down to the budget.
    pub fn unpin(&mut self) {
        self.pinned.clear();
        self.trim(0);
    }

    /// Puts a fetched body in. Returns false if it is missing or does not match the length and
    /// checksum in the log.
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

    /// Removes a segment, as quarantine does.
    pub fn remove(&mut self, id: BodyId) {
        self.drop_resident(id);
        self.segments.remove(id);
    }

    /// External segments with their length and live bytes.
    pub fn external(&self) -> impl Iterator<Item = (BodyId, u32, u64)> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.external)
            .map(|(id, segment)| (*id, segment.len, segment.live))
    }

    /// Returns a segment's length, its checksum and whether it is external.
    #[must_use]
    pub fn describe(&self, id: BodyId) -> Option<(u32, u64, bool)> {
        self.segments
            .get(id)
            .map(|segment| (segment.len, segment.hash, segment.external))
    }

    /// Returns a segment's body if it is in memory.
    #[must_use]
    pub fn resident(&self, id: BodyId) -> Option<&Rc<[u8]>> {
        self.segments.get(id)?.resident.as_ref()
    }

    /// How often bodies have been looked at.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.clock.get()
    }

    /// The live bytes of all segments.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.segments
            .iter()
            .fold(0, |sum, (_, segment)| sum.saturating_add(segment.live))
    }

    /// The bytes of external bodies in memory.
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

    /// Evicts down to the budget. Spares the segment that was just added, because the reader that
    /// asked for it must find it.
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
