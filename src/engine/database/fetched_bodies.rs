//! Bodies that a reader has asked for. A reader looks rows up again after each fetch: a checkpoint
//! may have moved them meanwhile.

use std::rc::Rc;

use crate::engine::database::Database;
use crate::log::address::BodyId;
use crate::log::segment;
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;

/// Segments that a reader holds, whatever the memory budget; `None` for one that could not be had.
#[derive(Debug, Default)]
pub struct FetchedBodies {
    /// How many logs were lost before the one that has these: each has its own segments.
    lost: u64,
    segments: SeqMap<Option<Rc<[u8]>>>,
}

impl FetchedBodies {
    /// Fetches segments.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn fetch<S: Store, H: Host>(
        &mut self,
        db: &Database<S, H>,
        segments: &[BodyId],
    ) -> Result<()> {
        let lost = db.peek(|replica| replica.place().lost);
        let found = db.fetch_for_reader(segments).await?;
        if self.lost != lost {
            *self = Self {
                lost,
                ..Self::default()
            };
        }
        for segment in segments {
            self.segments.insert(*segment, None);
        }
        for (segment, bytes) in found {
            self.segments.insert(segment, Some(bytes));
        }
        Ok(())
    }

    /// Returns the text of a body; `None` if it was asked for and could not be had.
    ///
    /// # Errors
    /// Returns the segment to fetch first.
    pub fn text<'a>(
        &'a self,
        replica: &Replica,
        body: &ViewBody<'a>,
    ) -> Result<Option<&'a str>, BodyId> {
        match *body {
            ViewBody::Text(text) => Ok(Some(text)),
            ViewBody::Absent {
                segment,
                offset,
                len,
            } => {
                let is_same_log = self.lost == replica.place().lost;
                let asked = self.segments.get(segment).filter(|_| is_same_log);
                let bytes = asked.ok_or(segment)?.as_ref();
                Ok(bytes.and_then(|bytes| segment::slice(bytes, offset, len)))
            }
        }
    }
}
