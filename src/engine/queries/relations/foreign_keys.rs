//! Which entities have the id of another in a field: one index for each field that a relation goes
//! by, in memory, built when it is first needed and then kept up to date from the journal.

use std::rc::Rc;

use crate::engine::database::overtaken;
use crate::engine::journal::{Journal, Noting};
use crate::engine::queries::bodies::Looker;
use crate::engine::queries::rows::{RowReader, RowSource, pass_changes};
use crate::log::address::BodyId;
use crate::model::config::Config;
use crate::model::error::Result;
use crate::plan::cascade::EntityPlace;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::query::index::Indexes;
use crate::query::live::EntityChange;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::Mutex;

/// The keys of one entity type.
#[derive(Debug)]
struct TypeKeys {
    indexes: Indexes,
    /// The fields, in the order of their indexes.
    fields: Vec<String>,
    /// The item of the journal up to which they are built.
    seen: u64,
    _noting: Noting,
}

/// The keys of one user's entities, by entity type.
#[derive(Debug, Default)]
pub struct ForeignKeys {
    built: RefCell<VecMap<TypeKeys>>,
    /// Held while keys are collected.
    turn: Mutex,
}

/// Whether keys are those of the present state.
#[derive(Debug)]
pub(super) enum Freshness {
    Fresh,
    /// These segments have to be fetched first.
    Missing(Vec<BodyId>),
    /// They have to be collected again.
    Outdated,
}

/// Returns the fields of a type by which relations of others find it, in order of name.
fn fields_of(config: &Config, entity: &str) -> Vec<String> {
    let mut fields: VecMap<()> = VecMap::default();
    for name in config.entities.keys() {
        for relation in config.relations(name).iter() {
            if let Some((of, field)) = relation.referring()
                && of == entity
            {
                fields.insert(field, ());
            }
        }
    }
    fields.keys().map(str::to_owned).collect()
}

/// Writes a name as the path of a field.
fn path_of(field: &str) -> String {
    field.replace('\\', "\\\\").replace('.', "\\.")
}

impl ForeignKeys {
    /// Collects the keys of a type, unless they are here.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn collect<S: Store, H: Host>(
        &self,
        reader: &RowReader<'_, S, H>,
        journal: &Rc<Journal>,
        config: &Config,
        entity: &str,
    ) -> Result<()> {
        let turn = self.turn.lock().await;
        if self.built.borrow().contains(entity) {
            return Ok(());
        }
        let fields = fields_of(config, entity);
        let mut indexes = Indexes::default();
        for field in &fields {
            // Every name is a path once it is written as one.
            indexes
                .declare(&[&path_of(field)])
                .map_err(|_| overtaken())?;
        }
        let noting = Noting::new(journal);
        let seen = journal.next.get();
        let mut rows = reader
            .db
            .read(|replica| RowSource::of(replica, entity, None));
        reader.pass(&mut rows, usize::MAX, &mut indexes).await?;
        let keys = TypeKeys {
            indexes,
            fields,
            seen,
            _noting: noting,
        };
        self.built.borrow_mut().insert(entity, keys);
        drop(turn);
        Ok(())
    }

    /// Brings the keys of a type up to the state that is looked at.
    pub(super) fn follow(&self, looker: &Looker<'_>, journal: &Journal, entity: &str) -> Freshness {
        let mut built = self.built.borrow_mut();
        let Some(keys) = built.get_mut(entity) else {
            return Freshness::Outdated;
        };
        let Some(rows) = journal.rows_since(keys.seen, entity, false) else {
            built.remove(entity);
            return Freshness::Outdated;
        };
        let indexes = &mut keys.indexes;
        let missing = pass_changes(looker, &rows, &mut |changes| {
            for change in changes {
                match change {
                    EntityChange::Put(entity) => indexes.put(entity),
                    EntityChange::Gone { id, space } => indexes.remove(id, *space),
                }
            }
        });
        if !missing.is_empty() {
            return Freshness::Missing(missing);
        }
        keys.seen = journal.next.get();
        Freshness::Fresh
    }

    /// Returns the entities of a type whose field has this id, in order of id, as of the state that
    /// was followed.
    pub(super) fn referring(&self, entity: &str, field: &str, id: &str) -> Vec<EntityPlace> {
        let built = self.built.borrow();
        let keys = built.get(entity);
        let index = keys.and_then(|keys| keys.fields.iter().position(|it| it == field));
        let (Some(keys), Some(index)) = (keys, index) else {
            return Vec::new();
        };
        keys.indexes
            .of_text(index, id)
            .map(|key| key.entity())
            .collect()
    }
}
