//! A user's indexes: built at the first query that can use one, then kept up to date from the
//! journal, when the next query asks.

use std::rc::Rc;

use crate::engine::database::overtaken;
use crate::engine::journal::{Journal, Noting};
use crate::engine::queries::rows::{RowReader, RowSink, RowSource};
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::query::fields::EntityRef;
use crate::query::index::Indexes;
use crate::query::live::EntityChange;
use crate::query::planner::AccessPath;
use crate::query::read::Query;
use crate::query::sort_key::SortKey;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::Mutex;

/// How often indexes are built again because the journal has run over.
const MOST_BUILDS: u32 = 5;

/// The fields of each index of an entity type, as its config declares them.
pub(super) type Declared = [Vec<String>];

/// The indexes of one entity type that are in memory.
#[derive(Debug)]
struct BuiltIndexes {
    indexes: Indexes,
    /// The item of the journal up to which they are built.
    seen: u64,
    _noting: Noting,
}

/// The indexes of one user, by entity type.
#[derive(Debug, Default)]
pub struct IndexCache {
    built: RefCell<VecMap<BuiltIndexes>>,
    /// Held while indexes are brought up to date.
    turn: Mutex,
}

/// How a query is read, and the rows to look at; `None` for all.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) path: AccessPath,
    pub(super) keys: Option<Vec<SortKey>>,
    /// The fields of the index.
    pub(super) fields: Option<Vec<String>>,
    /// How much memory the indexes of the type take.
    pub(super) memory: usize,
}

impl Access {
    fn of(indexes: &Indexes, query: &Query) -> Self {
        let path = indexes.plan(query);
        Self {
            keys: path
                .index
                .map(|_| indexes.candidates(&path).cloned().collect()),
            fields: path.index.map(|index| indexes.fields(index)),
            memory: indexes.memory(),
            path,
        }
    }
}

impl RowSink for Indexes {
    fn take(&mut self, entity: &EntityRef<'_>) {
        self.put(entity);
    }
}

fn declare(declared: &Declared) -> Result<Indexes> {
    let mut indexes = Indexes::default();
    for fields in declared {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        indexes.declare(&fields).map_err(|problem| {
            let names = fields.join("`, `");
            Error::new(
                Code::InvalidConfig,
                ["The index on `", &names, "` ", problem].concat(),
            )
        })?;
    }
    Ok(indexes)
}

impl IndexCache {
    /// Returns how a query is best read, as of now: nothing has been awaited since.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn access<S: Store, H: Host>(
        &self,
        reader: &RowReader<'_, S, H>,
        journal: &Rc<Journal>,
        selection: &str,
        declared: &Declared,
        query: &Query,
    ) -> Result<Access> {
        let none = Access::of(&declare(declared)?, query);
        if none.path.index.is_none() {
            // An index without entities costs nothing, so none can be used.
            return Ok(none);
        }
        let entity = Table(selection).entity();
        let turn = self.turn.lock().await;
        let known = self.built.borrow_mut().remove(entity);
        let built = match known {
            Some(built) => built,
            None => BuiltIndexes {
                indexes: Indexes::default(),
                // Before the first item, so they are built.
                seen: u64::MAX,
                _noting: Noting::new(journal),
            },
        };
        let built = bring_up(built, reader, entity, declared).await?;
        let access = Access::of(&built.indexes, query);
        self.built.borrow_mut().insert(entity, built);
        drop(turn);
        Ok(access)
    }
}

/// Brings indexes up to date.
async fn bring_up<S: Store, H: Host>(
    mut built: BuiltIndexes,
    reader: &RowReader<'_, S, H>,
    entity: &str,
    declared: &Declared,
) -> Result<BuiltIndexes> {
    for _ in 0..MOST_BUILDS {
        let indexes = &mut built.indexes;
        let mut apply = |changes: &[EntityChange<'_>]| {
            for change in changes {
                match change {
                    EntityChange::Put(entity) => indexes.put(entity),
                    EntityChange::Gone { id, space } => indexes.remove(id, *space),
                }
            }
        };
        let is_built = built.seen != u64::MAX;
        if is_built && reader.follow(&mut built.seen, entity, &mut apply).await? {
            return Ok(built);
        }
        built.indexes = declare(declared)?;
        built.seen = reader.journal.next.get();
        let mut rows = reader
            .db
            .read(|replica| RowSource::of(replica, entity, None));
        reader
            .pass(&mut rows, usize::MAX, &mut built.indexes)
            .await?;
    }
    Err(overtaken())
}
