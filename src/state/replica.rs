//! The replica: the state folded from one user's log. It plans commits and applies them, and does
//! nothing else: no storage, no clock, no dice. Time and chance are arguments.
//!
//! Memory follows the log: a planned commit changes nothing until it has been appended and comes
//! back through [`Replica::apply`], the same door that loading and other tabs' commits use.

use std::rc::Rc;

use crate::conflict::explain::History;
use crate::log::address::{BodyId, Seq};
use crate::log::commit::{Commit, Damage, Event};
use crate::log::directory::Directory;
use crate::log::facts::{CursorState, DeadLetter, Facts, Parked};
use crate::model::digest::Digest;
use crate::model::entity::{Key, OwnedKey};
use crate::model::error::{Code, Error, Result};
use crate::state::growth::Growth;
use crate::state::outbox::Outbox;
use crate::state::rows::{Body, Row, Rows};
use crate::state::segment_cache::Segments;
use crate::state::{changes, kept_rejections, lazy_rows, local_only, receipts};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// One user's entities, outbox, cursors and metadata, as of the log's head.
#[derive(Debug, Default)]
pub struct Replica {
    pub(crate) user_id: String,
    pub(crate) head: Seq,
    pub(crate) entities: VecMap<Rows>,
    pub(crate) device: VecMap<Rows>,
    pub(crate) orphans: Vec<OwnedKey>,
    pub(crate) outbox: Outbox,
    pub(crate) cursors: VecMap<CursorState>,
    pub(crate) conflicts: VecMap<Parked>,
    pub(crate) dead_letters: VecMap<DeadLetter>,
    pub(crate) history: History,
    pub(crate) kept: VecMap<OrderedMap<kept_rejections::Kept>>,
    pub(crate) facts: Facts,
    pub(crate) damage: Damage,
    pub(super) unreadable: u64,
    pub(crate) segments: Segments,
    pub(crate) growth: Growth,
    pub(crate) touched: changes::Touched,
    pub(crate) receipts: receipts::Receipts,
    pub(crate) lazy_rows: lazy_rows::LazyRows,
}

/// An entity as a reader sees it: the pending write where there is one, else the synced row.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The body; none where nothing was kept of a deleted entity.
    pub body: Option<ViewBody<'a>>,
    /// The server's version; 0 until it has one.
    pub version: u64,
    /// A tombstone.
    pub deleted: bool,
    /// Fields of a refused patch that lie over the body: the text of a JSON object.
    pub over: Option<&'a str>,
}

/// Where a view's body lies.
#[derive(Debug, Clone)]
pub enum ViewBody<'a> {
    /// At hand.
    Text(&'a str),
    /// In a segment that must be fetched first.
    Absent {
        /// The segment.
        segment: BodyId,
        /// Bytes from its start.
        offset: u32,
        /// Bytes.
        len: u32,
    },
}

impl Replica {
    /// An empty replica, as of an empty log.
    #[must_use]
    pub fn new(user_id: &str, memory_budget: u64) -> Self {
        Self {
            user_id: user_id.to_owned(),
            segments: Segments::new(memory_budget),
            ..Self::default()
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The place of the last record that was applied.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// The operations that wait.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The operations that wait, to mark what is being sent. In memory only.
    pub const fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// What the log says of past cycles.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What could not be read of the log.
    #[must_use]
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// The cursor of a scope; the empty name is the main one.
    #[must_use]
    pub fn cursor(&self, scope: &str) -> Option<&CursorState> {
        self.cursors.get(scope)
    }

    /// Conflicts that wait for the app.
    #[must_use]
    pub const fn conflicts(&self) -> &VecMap<Parked> {
        &self.conflicts
    }

    /// Operations that the server will never accept.
    #[must_use]
    pub const fn dead_letters(&self) -> &VecMap<DeadLetter> {
        &self.dead_letters
    }

    /// How the latest conflicts were decided.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The segments' bodies.
    #[must_use]
    pub const fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The segments' bodies, to put in what was fetched.
    pub const fn segments_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// The digest over the synced rows of one entity type.
    #[must_use]
    pub fn digest(&self, entity: &str) -> Digest {
        self.entities
            .get(entity)
            .map_or_else(Digest::default, |rows| rows.digest)
    }

    /// The names of the entity types that have rows, with their digests.
    pub fn digests(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.entities.iter().map(|(name, rows)| (name, rows.digest))
    }

    /// The bytes of every live row's body, and of the outbox.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let own =
            self.entities
                .values()
                .flat_map(Rows::iter)
                .fold(0_u64, |sum, (_, row)| match &row.body {
                    Body::Own(text) => sum.saturating_add(text.len() as u64),
                    _ => sum,
                });
        self.segments
            .live_bytes()
            .saturating_add(self.outbox.bytes())
            .saturating_add(own)
    }

    /// Whether a tombstone of the remote waits for a cycle that includes deletes.
    #[must_use]
    pub fn has_held_deletes(&self) -> bool {
        self.entities.values().any(|rows| rows.held > 0)
    }

    /// Whether there is, or was, a row of any type.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.has_lazy_rows() || !self.entities.is_empty()
    }

    pub(crate) fn row(&self, key: &Key) -> Option<&Row> {
        self.entities.get(key.entity)?.get(key.id)
    }

    /// The entity as a reader sees it; none where neither side knows it. Where rows are
    /// [late](Self::has_lazy_rows), only after [`Self::can_peek`].
    #[must_use]
    pub fn view(&self, key: &Key) -> Option<View<'_>> {
        let row = self.row(key);
        let version = row.map_or(0, |row| row.version);
        if let Some(op) = self.outbox.last(key) {
            let deleted = op.kind == crate::model::operation::OperationKind::Delete;
            let body = match &op.body {
                Some(body) => Some(ViewBody::Text(body)),
                None if deleted && op.soft => row.and_then(|row| self.body_of(row)),
                None => None,
            };
            return Some(View {
                body,
                version,
                deleted,
                over: None,
            });
        }
        if let Some(kept) = self.kept(key) {
            return self.view_kept(kept, row);
        }
        self.view_lazy(key).or_else(|| self.view_row(row?))
    }

    /// The same without what refused operations still show.
    #[must_use]
    pub fn synced_view(&self, key: &Key) -> Option<View<'_>> {
        if self.outbox.last(key).is_some() {
            self.view(key)
        } else {
            self.view_row(self.row(key)?)
        }
    }

    #[allow(clippy::unnecessary_wraps)] // As both of its callers answer.
    fn view_row<'a>(&'a self, row: &'a Row) -> Option<View<'a>> {
        Some(View {
            body: self.body_of(row),
            version: row.version,
            deleted: row.is_deleted(),
            over: None,
        })
    }

    pub(crate) fn body_of<'a>(&'a self, row: &'a Row) -> Option<ViewBody<'a>> {
        match &row.body {
            Body::None => None,
            Body::Own(text) => Some(ViewBody::Text(text)),
            Body::At {
                segment,
                offset,
                len,
            } => Some(self.segments.text(*segment, *offset, *len)),
        }
    }

    /// The version of the synced row; none where there is none.
    #[must_use]
    pub fn row_version(&self, key: &Key) -> Option<u64> {
        self.row(key).map(|row| row.version)
    }

    /// The bases of what waits, with their versions, as far as they are in memory.
    #[must_use]
    pub fn bases(&self) -> Vec<(OwnedKey, u64, Rc<str>)> {
        let keys = self
            .outbox
            .iter()
            .map(|queued| Key::new(&queued.op.entity, &queued.op.id));
        keys.filter_map(|key| {
            let (version, body) = (self.row_version(&key)?, self.base_of(&key).ok()??.into());
            Some((key.to_owned(), version, body))
        })
        .collect()
    }

    /// The body of the synced row: the base of a pending write.
    ///
    /// # Errors
    /// The segment to fetch first.
    pub(crate) fn base_of(&self, key: &Key) -> Result<Option<&str>, BodyId> {
        match self
            .row(key)
            .filter(|row| !row.is_deleted())
            .and_then(|row| self.body_of(row))
        {
            None => Ok(None),
            Some(ViewBody::Text(text)) => Ok(Some(text)),
            Some(ViewBody::Absent { segment, .. }) => Err(segment),
        }
    }

    /// Ids of one entity type in order, from `after` on: synced rows, and what lies over them.
    pub fn ids<'a>(
        &'a self,
        entity: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        let rows = self
            .entities
            .get(entity)
            .map(|rows| rows.after(after))
            .into_iter()
            .flatten();
        merged(rows, self.ids_over(entity, after))
    }

    /// Ids of entities of which a reader sees something else than the synced row.
    pub(crate) fn ids_over<'a>(
        &'a self,
        entity: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        merged(self.outbox.ids(entity, after), self.kept_ids(entity, after))
    }

    /// Counts the live entities of a type, pending writes included, without touching a body.
    #[must_use]
    pub fn count(&self, entity: &str) -> u64 {
        let live = self.entities.get(entity).map_or(0, |rows| rows.live());
        let mut count = live;
        for id in self.ids_over(entity, None) {
            let key = Key::new(entity, id);
            let was = self.row(&key).is_some_and(|row| !row.is_deleted());
            let is = self.view(&key).is_some_and(|view| !view.deleted);
            count = match (was, is) {
                (false, true) => count.saturating_add(1),
                (true, false) => count.saturating_sub(1),
                _ => count,
            };
        }
        count
    }

    /// Records that could not be read since the last checkpoint, or are missing: what they held is
    /// gone.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Applies one record of the log.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where the record comes before one that was applied;
    /// [`Code::ClientOutdated`] where a later version of the engine wrote it. One whose bytes are
    /// damaged, or that is missing, is set aside instead: what else there is is kept, and the next
    /// cycle pulls everything afresh.
    pub fn apply_record(&mut self, seq: Seq, record: &Rc<[u8]>) -> Result<()> {
        self.materialize();
        self.take_record(seq, record, Commit::skim(record, &|_| false))
    }

    /// The same, but rows may stay in the record until [`Self::materialize`].
    ///
    /// # Errors
    /// As [`Self::apply_record`].
    pub fn load_record(&mut self, seq: Seq, record: &Rc<[u8]>) -> Result<()> {
        let waits = |entity: &str| !entity.starts_with(local_only::MARK) && self.may_defer(entity);
        let read = Commit::skim(record, &waits);
        self.take_record(seq, record, read)
    }

    fn take_record(
        &mut self,
        seq: Seq,
        record: &Rc<[u8]>,
        read: Result<(Commit, SeqMap<Directory>)>,
    ) -> Result<()> {
        if seq <= self.head {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "The log is out of order: record {seq} follows {}.",
                    self.head
                ),
            ));
        }
        let read = match read {
            Err(error) if error.code() == Code::ClientOutdated => return Err(error),
            read => read.ok(),
        };
        let starts = read.as_ref().is_some_and(|(commit, _)| {
            matches!(commit.events.first(), Some(Event::Checkpoint { .. }))
        });
        let is_next = seq == self.head.saturating_add(1);
        if self.head == 0 && !is_next {
            // Nothing before it is left, whatever it is.
            self.growth.checkpointed(seq);
        }
        self.growth.record(record.len());
        // A checkpoint says all that came before it, whether that was there or not.
        if read.is_none() || (!is_next && !starts) {
            self.damage.quarantine();
            self.unreadable = self.unreadable.saturating_add(1);
        }
        match read {
            Some((commit, late)) => self.apply(seq, commit, late),
            None => self.head = seq,
        }
        Ok(())
    }
}

/// What is in two sequences, each in order, in order and once.
fn merged<'a>(
    a: impl Iterator<Item = &'a str>,
    b: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(first), Some(second)) if second < first => b.next(),
        (Some(first), Some(second)) if second == first => {
            b.next();
            a.next()
        }
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
