//! The replica: the state folded from one user's log. It has no storage, clock or dice; time and
//! chance are arguments.
//!
//! A planned commit changes nothing until it has been appended and is folded like every other
//! record of the log, whether read on open or written by another tab.

use crate::conflict::explain::History;
use crate::log::address::Seq;
use crate::log::commit::{Commit, Damage, Event};
use crate::log::facts::{CursorState, DeadLetter, Facts, Parked};
use crate::log::known_server::KnownServer;
use crate::log::salvaged::Salvaged;
use crate::model::digest::Digest;
use crate::model::entity::Key;
use crate::model::operation::Operation;
use crate::model::table::tables;
use crate::state::growth::Growth;
use crate::state::kept_rejections::KeptRejections;
use crate::state::lazy_rows::LazyRows;
use crate::state::local_only::LocalOnly;
use crate::state::outbox::Outbox;
use crate::state::receipts::Receipts;
use crate::state::rows::{Row, Rows};
use crate::state::segment_cache::Segments;
use crate::state::spaces::Spaces;
use crate::state::touched::Touched;
use crate::util::collections::vec_map::VecMap;

/// Estimated bytes of one row in a checkpoint's directory.
const DIRECTORY_BYTES_PER_ROW: u64 = 24;

/// A place in one of the logs that an instance has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPlace {
    /// How many logs the instance had lost before this one.
    pub lost: u64,
    /// The position of the last record.
    pub head: Seq,
}

/// One user's entities, outbox, cursors and metadata, as of the log's head.
#[derive(Debug, Default)]
pub struct Replica {
    pub(super) user_id: String,
    pub(super) head: Seq,
    pub(super) entities: VecMap<Rows>,
    pub(super) lazy_rows: LazyRows,
    pub(super) local_only: LocalOnly,
    pub(super) segments: Segments,
    pub(super) outbox: Outbox,
    pub(super) cursors: VecMap<CursorState>,
    pub(super) conflicts: VecMap<Parked>,
    pub(super) dead_letters: VecMap<DeadLetter>,
    pub(super) kept_rejections: KeptRejections,
    pub(super) receipts: Receipts,
    pub(super) spaces: Spaces,
    pub(super) history: History,
    pub(super) facts: Facts,
    pub(super) server: KnownServer,
    /// What was saved into this log, and the record that says so.
    pub(super) salvaged: Option<(Seq, Salvaged)>,
    /// How many logs this instance has lost before this one.
    pub(super) lost: u64,
    /// The log is about to be removed.
    pub(super) ended: bool,
    /// How many records only say that it ends, or does not.
    pub(super) end_marks: u64,
    /// The version of the app's schema that everything in the log has.
    pub(super) schema: u32,
    /// The app's own version: records of a later one are refused.
    pub(super) app_schema: u32,
    pub(super) damage: Damage,
    pub(super) unreadable: u64,
    pub(super) growth: Growth,
    pub(super) touched: Touched,
}

impl Replica {
    /// Returns an empty replica, as of an empty log.
    #[must_use]
    pub fn new(user_id: &str, memory_budget: u64) -> Self {
        Self {
            user_id: user_id.to_owned(),
            segments: Segments::new(memory_budget),
            ..Self::default()
        }
    }

    /// Returns the replica for an app of this schema version, which refuses what a later one has
    /// written.
    #[must_use]
    pub const fn for_app(mut self, schema: u32) -> Self {
        self.app_schema = schema;
        self
    }

    /// The version of the app's schema that everything in the log has; 0 if it was never stated.
    #[must_use]
    pub const fn schema(&self) -> u32 {
        self.schema
    }

    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The server that the database belongs to.
    #[must_use]
    pub const fn server(&self) -> &KnownServer {
        &self.server
    }

    /// The position of the last record that was applied.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// Returns true if the log takes no more records, because it is about to be removed.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The position of the last record, not counting those that only say that the log ends.
    #[must_use]
    pub const fn content_head(&self) -> Seq {
        self.head.saturating_sub(self.end_marks)
    }

    /// A place in this log. Only one of the same log says what was written since.
    #[must_use]
    pub const fn place(&self) -> LogPlace {
        LogPlace {
            lost: self.lost,
            head: self.head,
        }
    }

    /// Takes over the count of lost logs: this is the same log, read again.
    pub const fn continues(&mut self, before: &Self) {
        self.lost = before.lost;
    }

    /// Notes that this is another log than before, which was lost.
    pub const fn count_loss(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }

    /// What was saved into this log from a lost one, and the record that says so.
    #[must_use]
    pub const fn salvaged(&self) -> Option<&(Seq, Salvaged)> {
        self.salvaged.as_ref()
    }

    /// The synced rows by table. Incomplete while rows are [lazy](Self::has_lazy_rows).
    #[must_use]
    pub const fn entities(&self) -> &VecMap<Rows> {
        &self.entities
    }

    /// Returns the synced row of an entity.
    pub(crate) fn row(&self, key: &Key) -> Option<&Row> {
        self.entities.get(key.entity)?.get(key.id)
    }

    /// Returns the version of the synced row.
    #[must_use]
    pub fn row_version(&self, key: &Key) -> Option<u64> {
        self.row(key).map(|row| row.version)
    }

    /// Returns true if rows are still encoded in their records.
    #[must_use]
    pub const fn has_lazy_rows(&self) -> bool {
        !self.lazy_rows.is_empty()
    }

    /// Returns true if there is a row, or a tombstone, of any type.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.has_lazy_rows() || !self.entities.is_empty()
    }

    /// Returns true if a tombstone waits for a cycle that includes deletes.
    #[must_use]
    pub fn has_held_deletes(&self) -> bool {
        self.entities.values().any(|rows| rows.held > 0)
    }

    /// The digest of the synced rows of one entity type, in all spaces.
    #[must_use]
    pub fn digest(&self, entity: &str) -> Digest {
        let all = tables(&self.entities, entity);
        all.fold(Digest::default(), |all, (name, rows)| {
            all.and(rows.digest(name))
        })
    }

    /// The tables that have rows, with their digests.
    pub fn digests(&self) -> impl Iterator<Item = (&str, Digest)> {
        let all = self.entities.iter();
        all.map(|(name, rows)| (name, rows.digest(name)))
    }

    /// Hashes about so many more rows, which makes digests cheap. Returns true if there are more.
    pub fn hash_some(&mut self, rows: usize) -> bool {
        let mut left = rows;
        for (name, rows) in self.entities.iter_mut() {
            left = left.saturating_sub(rows.hash_some(name, left));
            if left == 0 {
                return true;
            }
        }
        false
    }

    /// The fields that never leave the device.
    #[must_use]
    pub const fn local_only(&self) -> &LocalOnly {
        &self.local_only
    }

    #[must_use]
    pub const fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The segments, to put in fetched bodies.
    pub const fn segments_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }

    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The outbox, to note deliveries, which are in memory only.
    pub const fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// The cursors by scope; the main scope is empty text.
    #[must_use]
    pub const fn cursors(&self) -> &VecMap<CursorState> {
        &self.cursors
    }

    /// Returns the cursor of a scope; the main scope is empty text.
    #[must_use]
    pub fn cursor(&self, scope: &str) -> Option<&CursorState> {
        self.cursors.get(scope)
    }

    /// Returns true while a full pull is under way, or one of a space.
    #[must_use]
    pub fn is_pulling_all(&self) -> bool {
        self.spaces.is_moving()
            || self
                .cursors
                .values()
                .any(|state| state.full_since.is_some())
    }

    /// Conflicts that wait for the app's decision.
    #[must_use]
    pub const fn conflicts(&self) -> &VecMap<Parked> {
        &self.conflicts
    }

    /// Rejected operations, by id.
    #[must_use]
    pub const fn dead_letters(&self) -> &VecMap<DeadLetter> {
        &self.dead_letters
    }

    /// Returns true if an operation of this entity is a dead letter.
    #[must_use]
    pub fn has_dead_letter(&self, key: &Key) -> bool {
        self.dead_letters
            .values()
            .any(|letter| letter.op.entity == key.entity && letter.op.id == key.id)
    }

    /// Returns the rejected operation that readers still see of an entity.
    #[must_use]
    pub fn kept_rejection(&self, key: &Key) -> Option<&DeadLetter> {
        self.dead_letters
            .get(&self.kept_rejections.get(key)?.letter)
    }

    /// Returns the kept rejected operation that this operation depends on.
    #[must_use]
    pub fn blocking_rejection(&self, op: &Operation) -> Option<&DeadLetter> {
        op.links.iter().find_map(|link| {
            self.kept_rejection(&link.key.as_key())
                .filter(|letter| op.needs(&letter.op))
        })
    }

    /// How this device's operations ended, by entity.
    #[must_use]
    pub const fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// The user's spaces.
    #[must_use]
    pub const fn spaces(&self) -> &Spaces {
        &self.spaces
    }

    /// How the latest conflicts were decided.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The log's facts about past cycles.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    #[must_use]
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// Counts the records since the last checkpoint that are missing or could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns true if a reply with this epoch belongs to the history known here. A reply without
    /// an epoch does.
    #[must_use]
    pub fn is_of(&self, epoch: Option<&str>) -> bool {
        let known = self.facts.epoch.as_deref();
        epoch.is_none() || known.is_none() || known == epoch
    }

    /// Returns true if no epoch is known, and may be once something was pulled.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.facts.epoch.is_none() && self.cursors.is_empty()
    }

    /// Returns the event that records the epoch of a reply if none is known yet.
    #[must_use]
    pub fn first_epoch(&self, epoch: Option<&str>) -> Option<Event> {
        let epoch = epoch.filter(|_| self.facts.epoch.is_none())?;
        Some(Event::Epoch {
            epoch: epoch.to_owned(),
            restored: None,
        })
    }

    /// Adds the epoch of a reply to its commit, if there is one, if none is known yet.
    pub fn note_first_epoch(&self, epoch: Option<&str>, commit: &mut Commit) {
        if !commit.is_empty() {
            commit.events.extend(self.first_epoch(epoch));
        }
    }

    /// Returns true if nothing may be pushed before the next pull: the server was restored, and the
    /// pending operations are based on versions of its former history.
    #[must_use]
    pub fn awaits_pull(&self) -> bool {
        self.receipts.restored().is_some() && !self.cursors.values().any(|state| state.reached_end)
    }

    /// The position of the checkpoint that the state was folded from; 0 if there is none.
    #[must_use]
    pub const fn checkpointed_at(&self) -> Seq {
        self.growth.since()
    }

    /// Returns true if anything was written since the last checkpoint.
    #[must_use]
    pub const fn has_grown(&self) -> bool {
        self.growth.has_grown()
    }

    /// Returns true if a checkpoint would pay for itself. Never during a full pull: its sweep
    /// compares the records in which rows were confirmed, and a checkpoint replaces them all.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        !self.is_pulling_all()
            && self
                .growth
                .wants_checkpoint(&|| self.directory_bytes(), &self.segments)
    }

    /// Estimates the bytes of all rows in a checkpoint's directory.
    pub(super) fn directory_bytes(&self) -> u64 {
        let rows = self.entities.values().fold(0_u64, |sum, rows| {
            sum.saturating_add(rows.iter().count() as u64)
        });
        rows.saturating_mul(DIRECTORY_BYTES_PER_ROW)
    }

    /// Starts or stops noting changes for `changes::take`.
    pub fn listen(&mut self, on: bool) {
        self.touched = Touched::new(on);
    }

    /// Returns true while changes are noted.
    #[must_use]
    pub const fn is_listening(&self) -> bool {
        self.touched.is_on()
    }
}
