//! The result of a query, as of the present state: loaded once, then followed change by change.

use std::rc::Rc;

use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::database::overtaken;
use crate::engine::journal::{ChangedRow, Noting};
use crate::engine::queries::bodies::{Looker, RowLook};
use crate::engine::queries::indexes::Access;
use crate::engine::queries::rows::{RowReader, RowSink, RowSource};
use crate::engine::user::User;
use crate::log::address::BodyId;
use crate::model::entity::{Key, Owner, push_entity, push_sync_state};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::query::fields::EntityRef;
use crate::query::live::{ListEdit, LiveQuery};
use crate::query::read::Query;
use crate::query::sort_key::{SortKey, first_id};
use crate::state::tables;
use crate::util::collections::sort::sort;

/// How often a result is loaded again because the journal has run over meanwhile.
const MOST_LOADS: u32 = 5;

/// The most memory for the keys of a limited query, beyond its window.
const BUDGET: usize = 256 * 1024;

/// What is asked of a result.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// It keeps more than its window, so that it is rarely loaded again.
    pub(super) stays: bool,
    /// Its entities have the member `$syncState`.
    pub(super) states: bool,
}

/// A query that is being answered.
pub(super) struct QueryResult<S, H> {
    pub(super) user: Rc<User<S, H>>,
    host: Rc<H>,
    /// The entity type, or one of its tables: see [`crate::state::tables`].
    pub(super) selection: String,
    declared: Rc<[Vec<String>]>,
    pub(super) query: Rc<Query>,
    pub(super) live: LiveQuery,
    /// How far writes have come counts.
    pub(super) states: bool,
    /// Entities have the member `$syncState`.
    pub(super) shows_states: bool,
    /// The item of the journal up to which it is loaded; `None` before that.
    seen: Option<u64>,
    /// How many entities it keeps at least, if it is limited and they come in order.
    enough: usize,
    _noting: Noting,
}

/// What has become of a result.
#[derive(Debug)]
pub(super) enum Followed {
    /// It was loaded: no list that was shown before leads here.
    Loaded,
    /// It followed the changes.
    Edited(Vec<ListEdit>),
}

/// Loads entities in order until there are enough.
struct Loading<'a> {
    live: &'a mut LiveQuery,
    enough: usize,
}

impl RowSink for Loading<'_> {
    fn take(&mut self, entity: &EntityRef<'_>) {
        self.live.load(entity);
    }

    fn has_enough(&self) -> bool {
        self.live.loaded() >= self.enough
    }
}

impl<S: Store, H: Host> QueryResult<S, H> {
    /// Begins a query.
    pub(super) fn new(
        user: Rc<User<S, H>>,
        host: Rc<H>,
        selection: &str,
        declared: Rc<[Vec<String>]>,
        query: Query,
        wanted: Wanted,
    ) -> Self {
        let window = query.window().unwrap_or(usize::MAX);
        let states = wanted.states || query.names_sync_state();
        let behind = if wanted.stays { window.max(50) } else { 1 };
        let query = Rc::new(query);
        Self {
            _noting: Noting::new(&user.journal),
            user,
            host,
            selection: selection.to_owned(),
            declared,
            live: LiveQuery::new(Rc::clone(&query), BUDGET),
            query,
            states,
            shows_states: wanted.states,
            seen: None,
            enough: window.saturating_add(behind),
        }
    }

    fn reader(&self) -> RowReader<'_, S, H> {
        RowReader {
            db: &self.user.db,
            journal: &self.user.journal,
            host: &self.host,
            states: self.states,
        }
    }

    /// Returns how the query is best read, as of now.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn access(&self) -> Result<Access> {
        let (reader, user) = (self.reader(), &self.user);
        user.indexes
            .access(
                &reader,
                &user.journal,
                &self.selection,
                &self.declared,
                &self.query,
            )
            .await
    }

    /// Makes the result that of the present state. Nothing has been awaited since when this
    /// returns.
    ///
    /// # Errors
    /// Errors of the store; the next call loads the result again.
    pub(super) async fn bring_up(&mut self) -> Result<Followed> {
        for _ in 0..MOST_LOADS {
            let was_loaded = self.seen.is_some();
            if !was_loaded {
                self.load().await?;
            }
            if let Some(edits) = self.follow().await? {
                return Ok(if was_loaded {
                    Followed::Edited(edits)
                } else {
                    Followed::Loaded
                });
            }
        }
        Err(overtaken())
    }

    /// Has the result loaded again.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Returns the rows that have changed since it was brought up; `None` if that is not known.
    pub(super) fn changed_rows(&self) -> Option<Vec<ChangedRow>> {
        self.user
            .journal
            .rows_since(self.seen?, &self.selection, self.states)
    }

    /// Notes that it has followed those.
    pub(super) fn has_followed(&mut self) {
        self.seen = Some(self.user.journal.next.get());
    }

    async fn load(&mut self) -> Result<()> {
        let access = self.access().await?;
        let began = self.user.journal.next.get();
        let db = &self.user.db;
        let (mut rows, in_order) = db.read(|replica| match access.keys {
            Some(keys) => {
                let selection = self.selection.clone();
                let keys = keys.into_iter();
                (RowSource::Keys { selection, keys }, access.path.in_order)
            }
            None => {
                // Of several tables, rows come in order of table.
                let one = tables::only(replica, &self.selection).is_some();
                let first = first_id(&self.query).filter(|_| one);
                let rows = RowSource::of(replica, &self.selection, first);
                (rows, access.path.in_order && one)
            }
        });
        let (journal, selection) = (Rc::clone(&self.user.journal), &self.selection);
        let chunk = if in_order { self.enough } else { usize::MAX };
        let reader = RowReader {
            db,
            journal: &journal,
            host: &*self.host,
            states: self.states,
        };
        self.live.clear();
        let mut loading = Loading {
            live: &mut self.live,
            enough: self.enough,
        };
        let mut has_enough = reader.pass(&mut rows, chunk, &mut loading).await?;
        if has_enough {
            let changed = journal.rows_since(began, selection, self.states);
            if changed.is_none_or(|changed| !changed.is_empty()) {
                // An entity may have moved behind others that are not loaded yet.
                has_enough = false;
                reader.pass(&mut rows, usize::MAX, &mut loading).await?;
            }
        }
        if has_enough {
            self.live.end_early();
        }
        self.live.start();
        self.seen = Some(began);
        Ok(())
    }

    /// Follows the changes. Returns `None` if it has to be loaded again.
    async fn follow(&mut self) -> Result<Option<Vec<ListEdit>>> {
        let Some(mut seen) = self.seen.take() else {
            return Ok(None);
        };
        let reader = RowReader {
            db: &self.user.db,
            journal: &self.user.journal,
            host: &*self.host,
            states: self.states,
        };
        let mut edits = Some(Vec::new());
        let live = &mut self.live;
        let is_known = reader
            .follow(&mut seen, &self.selection, &mut |changes| {
                edits = live.apply(changes);
            })
            .await?;
        let edits = edits.filter(|_| is_known);
        self.seen = edits.is_some().then_some(seen);
        Ok(edits)
    }

    /// Passes the entities of these keys to `each` as JSON text, `None` for one that is not there.
    /// Returns the segments that must be fetched first, if any must.
    pub(super) fn texts<'a>(
        &self,
        keys: impl Iterator<Item = &'a SortKey>,
        bodies: &FetchedBodies,
        each: &mut dyn FnMut(Option<&str>),
    ) -> Vec<BodyId> {
        let entity = Table(&self.selection).entity();
        self.user.db.read(|replica| {
            let looker = Looker::new(replica, bodies, self.states);
            let mut writer = EntityWriter::new(&looker, entity, self.shows_states);
            let mut missing = Vec::new();
            for key in keys {
                let (id, space) = key.entity();
                if let Err(segment) = writer.write(&id, space) {
                    if missing.last() != Some(&segment) {
                        missing.push(segment);
                    }
                } else if missing.is_empty() {
                    each(writer.written());
                }
            }
            sort(&mut missing);
            missing.dedup();
            missing
        })
    }
}

/// Writes entities as an app sees them.
struct EntityWriter<'a> {
    looker: &'a Looker<'a>,
    entity: &'a str,
    shows_states: bool,
    /// The space of the entity before, and the end of its text.
    owner: (Option<String>, Owner),
    text: String,
    is_there: bool,
}

impl<'a> EntityWriter<'a> {
    fn new(looker: &'a Looker<'a>, entity: &'a str, shows_states: bool) -> Self {
        Self {
            looker,
            entity,
            shows_states,
            owner: (None, Owner::new(looker.replica.user_id())),
            text: String::new(),
            is_there: false,
        }
    }

    /// Writes an entity.
    ///
    /// # Errors
    /// Returns the segment that must be fetched first.
    fn write(&mut self, id: &str, space: Option<String>) -> Result<(), BodyId> {
        if self.owner.0 != space {
            let owner = Owner::of(self.looker.replica.user_id(), space.as_deref());
            self.owner = (space, owner);
        }
        let (space, owner) = &self.owner;
        let table = Table::name(self.entity, space.as_deref());
        let look = self.looker.look(&Key::new(&table, id));
        self.text.clear();
        self.is_there = match look {
            RowLook::Nothing => false,
            RowLook::Missing(segment) => return Err(segment),
            RowLook::Entity(stored) => {
                let (body, version) = (&stored.body, stored.version);
                push_entity(&mut self.text, body, id, owner, version, stored.deleted);
                if self.shows_states {
                    push_sync_state(&mut self.text, stored.sync_state);
                }
                true
            }
        };
        Ok(())
    }

    fn written(&self) -> Option<&str> {
        self.is_there.then_some(&self.text)
    }
}
