//! Passes over the rows of a user: some at a time, so that a page stays usable, and each segment
//! that is not in memory once.

use crate::engine::breaks::Breaks;
use crate::engine::database::Database;
use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::journal::{ChangedRow, Journal};
use crate::engine::queries::bodies::{Looker, RowLook, StoredEntity};
use crate::log::address::BodyId;
use crate::model::entity::{Key, OwnedKey};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::query::fields::EntityRef;
use crate::query::live::EntityChange;
use crate::query::sort_key::SortKey;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::collections::seq_map::SeqMap;

/// How many rows are looked at between two looks at the clock.
const ROWS_AT_ONCE: usize = 256;

/// How many segments are fetched at once, each of at most 240 KiB.
const SEGMENTS_AT_ONCE: usize = 16;

/// Takes the entities that a pass comes by.
pub(super) trait RowSink {
    fn take(&mut self, entity: &EntityRef<'_>);

    /// Returns true if no entity that follows in order is needed.
    fn has_enough(&self) -> bool {
        false
    }
}

/// The rows of a pass, as far as it has not come by them.
#[derive(Debug)]
pub(super) enum RowSource {
    /// The rows of these tables in order of id, the last table first.
    Tables {
        tables: Vec<String>,
        /// The id at which the rows begin.
        first: Option<String>,
        /// The id behind which they go on.
        after: Option<String>,
    },
    /// The rows that an index has found.
    Keys {
        selection: String,
        keys: std::vec::IntoIter<SortKey>,
    },
}

impl RowSource {
    /// Returns the rows of a selection, from an id on.
    pub(super) fn of(replica: &Replica, selection: &str, first: Option<String>) -> Self {
        let mut tables: Vec<String> = tables::selected(replica, selection)
            .into_iter()
            .map(str::to_owned)
            .collect();
        tables.reverse();
        Self::Tables {
            tables,
            first,
            after: None,
        }
    }

    /// Passes on at most so many rows. Returns true if those were the last.
    fn next(&mut self, replica: &Replica, most: usize, each: &mut dyn FnMut(&Key<'_>)) -> bool {
        match self {
            Self::Keys { selection, keys } => {
                let entity = Table(selection).entity();
                for key in keys.by_ref().take(most) {
                    let (id, space) = key.entity();
                    let table = Table::name(entity, space.as_deref());
                    if tables::selects(selection, &table) {
                        each(&Key::new(&table, &id));
                    }
                }
                keys.len() == 0
            }
            Self::Tables {
                tables,
                first,
                after,
            } => {
                let mut left = most;
                while let Some(table) = tables.last() {
                    if let Some(id) = first.take() {
                        each(&Key::new(table, &id));
                        *after = Some(id);
                    }
                    let from = after.take();
                    for id in replica.ids(table, from.as_deref()).take(left) {
                        each(&Key::new(table, id));
                        left = left.saturating_sub(1);
                        if left == 0 {
                            *after = Some(id.to_owned());
                        }
                    }
                    if left == 0 {
                        return false;
                    }
                    tables.pop();
                }
                true
            }
        }
    }
}

/// Rows whose segments have to be fetched, by segment.
type MissingRows = SeqMap<Vec<OwnedKey>>;

fn defer(deferred: &mut MissingRows, segment: BodyId, key: &Key<'_>) {
    match deferred.get_mut(segment) {
        Some(rows) => rows.push((*key).to_owned()),
        None => deferred.insert(segment, vec![(*key).to_owned()]),
    }
}

/// Reads the rows of one user.
pub(super) struct RowReader<'a, S, H> {
    pub(super) db: &'a Database<S, H>,
    pub(super) journal: &'a Journal,
    pub(super) host: &'a H,
    /// How far writes have come is asked for.
    pub(super) states: bool,
}

impl<S: Store, H: Host> RowReader<'_, S, H> {
    /// Passes rows to the sink, until it has enough: that is asked after the first `chunk` rows,
    /// and then each time that twice as many have followed. Commits may land meanwhile, so a row
    /// is as it is when its turn comes. Returns true if the sink had enough before the last row.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn pass(
        &self,
        rows: &mut RowSource,
        chunk: usize,
        sink: &mut dyn RowSink,
    ) -> Result<bool> {
        let mut breaks = Breaks::new(self.host);
        let (mut chunk, mut left) = (chunk, chunk);
        let mut deferred = MissingRows::default();
        loop {
            let most = left.min(ROWS_AT_ONCE);
            let bodies = FetchedBodies::default();
            let ended = self.db.read(|replica| {
                let looker = Looker::new(replica, &bodies, self.states);
                rows.next(replica, most, &mut |key| {
                    offer(&looker, key, sink, &mut deferred);
                })
            });
            left = left.saturating_sub(most);
            if ended || left == 0 {
                self.pass_deferred(&mut deferred, sink, &mut breaks).await?;
                if ended || sink.has_enough() {
                    return Ok(!ended);
                }
                chunk = chunk.saturating_mul(2);
                left = chunk;
            }
            breaks.take(self.host).await;
        }
    }

    /// Passes on the rows whose segments are fetched first.
    async fn pass_deferred(
        &self,
        deferred: &mut MissingRows,
        sink: &mut dyn RowSink,
        breaks: &mut Breaks,
    ) -> Result<()> {
        loop {
            let next = deferred.iter().take(SEGMENTS_AT_ONCE);
            let segments: Vec<BodyId> = next.map(|(segment, _)| *segment).collect();
            if segments.is_empty() {
                return Ok(());
            }
            let mut bodies = FetchedBodies::default();
            bodies.fetch(self.db, &segments).await?;
            for segment in segments {
                let rows = deferred.get_mut(segment).map(std::mem::take);
                deferred.remove(segment);
                self.db.read(|replica| {
                    let looker = Looker::new(replica, &bodies, self.states);
                    for row in rows.iter().flatten() {
                        offer(&looker, &row.as_key(), sink, deferred);
                    }
                });
                breaks.take(self.host).await;
            }
        }
    }

    /// Passes on the rows of a selection that have changed since an item of the journal, as they
    /// are now, at once. `seen` is then the present item, and nothing has been awaited since.
    /// Returns false if the journal does not go back so far.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn follow(
        &self,
        seen: &mut u64,
        selection: &str,
        apply: &mut dyn FnMut(&[EntityChange<'_>]),
    ) -> Result<bool> {
        let mut bodies = FetchedBodies::default();
        loop {
            let now = self.journal.next.get();
            let Some(rows) = self.journal.rows_since(*seen, selection, self.states) else {
                return Ok(false);
            };
            let missing = self.db.read(|replica| {
                let looker = Looker::new(replica, &bodies, self.states);
                pass_changes(&looker, &rows, apply)
            });
            if missing.is_empty() {
                *seen = now;
                return Ok(true);
            }
            bodies.fetch(self.db, &missing).await?;
        }
    }
}

fn offer(looker: &Looker<'_>, key: &Key<'_>, sink: &mut dyn RowSink, deferred: &mut MissingRows) {
    match looker.look(key) {
        RowLook::Entity(entity) => sink.take(&entity.parts(looker.replica.user_id(), key)),
        RowLook::Missing(segment) => defer(deferred, segment, key),
        RowLook::Nothing => {}
    }
}

/// Passes on changed rows, unless a segment is missing. Returns those that are.
pub(super) fn pass_changes(
    looker: &Looker<'_>,
    rows: &[ChangedRow],
    apply: &mut dyn FnMut(&[EntityChange<'_>]),
) -> Vec<BodyId> {
    let (mut found, mut missing) = (Vec::with_capacity(rows.len()), SeqMap::default());
    for (table, id) in rows {
        let key = Key::new(table, id);
        match looker.look(&key) {
            RowLook::Entity(entity) => found.push((key, Some(entity))),
            RowLook::Nothing => found.push((key, None)),
            RowLook::Missing(segment) => missing.insert(segment, ()),
        }
    }
    if missing.is_empty() && !found.is_empty() {
        let mut changes = Vec::with_capacity(found.len());
        for (key, entity) in &found {
            changes.push(change(looker.replica, key, entity.as_ref()));
        }
        apply(&changes);
    }
    missing.keys()
}

fn change<'a>(
    replica: &'a Replica,
    key: &Key<'a>,
    entity: Option<&'a StoredEntity<'_>>,
) -> EntityChange<'a> {
    match entity {
        Some(entity) => EntityChange::Put(entity.parts(replica.user_id(), key)),
        None => EntityChange::Gone {
            id: key.id,
            space: Table(key.entity).space(),
        },
    }
}
