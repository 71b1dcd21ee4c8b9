//! Packs the rows of a commit into segments of a size that browsers move quickly.

use std::rc::Rc;

use crate::log::commit::{Commit, Entry, SegmentBody, SegmentWrite};

/// The largest body of a segment with more than one row. Chromium passes values of up to 256 KiB to
/// its database within the request; longer ones take another path, which costs twice as much to
/// write and to read.
pub const SEGMENT_BYTES: usize = 240 * 1024;

/// The open segment of one entity type.
#[derive(Debug, Default)]
pub struct Packing {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Packing {
    /// Adds a row and its body, if any. If the segment has no room left, moves it into the commit
    /// first.
    pub fn push(
        &mut self,
        entity: &str,
        mut entry: Entry,
        body: Option<&str>,
        commit: &mut Commit,
    ) {
        if let Some(body) = body {
            if !self.bytes.is_empty() && self.bytes.len().saturating_add(body.len()) > SEGMENT_BYTES
            {
                self.close(entity, commit);
            }
            entry.offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            entry.len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(body.as_bytes());
        }
        self.entries.push(entry);
    }

    /// Moves the segment into the commit if it has rows.
    pub fn close(&mut self, entity: &str, commit: &mut Commit) {
        let Self { entries, bytes } = std::mem::take(self);
        if !entries.is_empty() {
            commit.segments.push(SegmentWrite {
                entity: entity.to_owned(),
                entries,
                body: SegmentBody::New(Rc::from(bytes)),
            });
        }
    }
}
