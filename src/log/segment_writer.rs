//! Rows on their way into a commit: their bodies one after another, in segments of a size that
//! browsers move quickly.

use std::rc::Rc;

use crate::log::commit::{Commit, Entry, SegmentBody, SegmentWrite};

/// A segment is closed before its body grows beyond this. Chromium hands a value of up to 256 KiB
/// to its database with the request; a longer one takes a way of its own, which costs twice as much
/// to write and to read.
pub const SEGMENT_BYTES: usize = 240 * 1024;

/// The open segment of one entity type.
#[derive(Debug, Default)]
pub struct Packing {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Packing {
    /// Adds a row, with its body where it has one. A segment that has no room for it goes into the
    /// commit first.
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

    /// Puts the segment into the commit, where it has any row.
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
