//! Relations: entities with those that they lead to, and deletes that concern others.

use std::rc::Rc;

use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::database::overtaken;
use crate::engine::queries::bodies::Looker;
use crate::engine::queries::relations::foreign_keys::{ForeignKeys, Freshness};
use crate::engine::queries::relations::graph::{GraphMaker, RelatedGraph, keys_of};
pub use crate::engine::queries::relations::selected::SelectedEntities;
use crate::engine::queries::relations::tree::RelationTree;
use crate::engine::queries::relations::watch::RelatedWatch;
use crate::engine::queries::result::{QueryResult, Wanted};
use crate::engine::queries::rows::RowReader;
use crate::engine::user::User;
use crate::engine::watch::listen;
use crate::engine::{Backing, Relations};
use crate::log::address::BodyId;
use crate::model::config::Config;
use crate::model::entity::check_entity_id;
use crate::model::error::Result;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::query::read::Query;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::collections::seq_map::SeqMap;

pub mod deletes;
pub mod foreign_keys;
pub mod graph;
pub mod selected;
pub(super) mod tree;
pub mod watch;

/// How often keys are collected again because the journal has run over.
const MOST_COLLECTIONS: u32 = 5;

/// A page, with what its entities lead to.
#[derive(Debug)]
pub struct RelatedPage {
    pub graph: RelatedGraph,
    /// The cursor of the next page; `None` on the last.
    pub after: Option<String>,
}

/// The entities that a read begins with.
pub(super) enum Roots<S, H> {
    Query(Box<QueryResult<S, H>>),
    Selected(SelectedEntities),
}

/// A read of entities with those that they lead to, once or again and again.
pub(super) struct RelatedRead<S, H> {
    pub(super) user: Rc<User<S, H>>,
    host: Rc<H>,
    config: Rc<Config>,
    pub(super) roots: Roots<S, H>,
    tree: RelationTree,
}

impl<B: Backing, R: Remote, H: Host + 'static> Relations<'_, B, R, H> {
    /// Returns the entities that a query asks for, with the relations of its `with`.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad query and for a relation that is not there; also with
    /// errors of the storage.
    pub async fn query(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        states: bool,
    ) -> Result<RelatedGraph> {
        let query = self.read_query(selection, query)?;
        let mut read = self.begin(user_id, selection, query, states).await?;
        read.load().await
    }

    /// Returns one page of a query.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn page(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        (size, after): (usize, Option<&str>),
        states: bool,
    ) -> Result<RelatedPage> {
        let query = self.read_query(selection, query)?.page(size, after)?;
        let mut read = self.begin(user_id, selection, query, states).await?;
        loop {
            let graph = read.load().await?;
            let Roots::Query(result) = &mut read.roots else {
                return Ok(RelatedPage { graph, after: None });
            };
            // Keys behind the page may have been given up.
            let Some(more) = result.live.has_more() else {
                result.forget();
                continue;
            };
            let after = result.live.cursor().filter(|_| more);
            return Ok(RelatedPage { graph, after });
        }
    }

    /// Returns selected entities, in order of id, with their relations.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn read(
        self,
        user_id: &str,
        selected: SelectedEntities,
        with: &[String],
    ) -> Result<RelatedGraph> {
        let entity = self.check(&selected)?;
        let tree = RelationTree::read(&self.engine.config, entity, with)?;
        self.read_tree(user_id, selected, tree).await
    }

    /// Returns one page of selected entities, in order of id, with their relations, and how many there
    /// are in all.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn selected_page(
        self,
        user_id: &str,
        selected: SelectedEntities,
        with: &[String],
    ) -> Result<(RelatedPage, u64)> {
        let entity = self.check(&selected)?;
        let tree = RelationTree::read(&self.engine.config, entity, with)?;
        let user = self.engine.user_for_question(user_id).await?;
        user.db.materialize().await;
        let roots = Roots::Selected(selected.clone());
        let graph = self.start(Rc::clone(&user), roots, tree).load().await?;
        let (after, total) = user.db.read(|replica| {
            let total = tables::count(replica, &selected.selection);
            (selected.next_page(replica), total)
        });
        Ok((RelatedPage { graph, after }, total))
    }

    /// Returns selected entities with one relation.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn related(
        self,
        user_id: &str,
        selected: SelectedEntities,
        relation: &str,
    ) -> Result<RelatedGraph> {
        let entity = self.check(&selected)?;
        let tree = RelationTree::one(&self.engine.config, entity, relation)?;
        self.read_tree(user_id, selected, tree).await
    }

    async fn read_tree(
        self,
        user_id: &str,
        selected: SelectedEntities,
        tree: RelationTree,
    ) -> Result<RelatedGraph> {
        let user = self.engine.user_for_question(user_id).await?;
        user.db.materialize().await;
        self.start(user, Roots::Selected(selected), tree)
            .load()
            .await
    }

    /// Watches the entities that a query asks for.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn watch_query(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        states: bool,
    ) -> Result<RelatedWatch<B::Store, H>> {
        let query = self.read_query(selection, query)?;
        let read = self.begin(user_id, selection, query, states).await?;
        Ok(RelatedWatch::new(read))
    }

    /// Watches selected entities.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn watch(
        self,
        user_id: &str,
        selected: SelectedEntities,
        with: &[String],
    ) -> Result<RelatedWatch<B::Store, H>> {
        let entity = self.check(&selected)?;
        let tree = RelationTree::read(&self.engine.config, entity, with)?;
        let user = self.engine.user(user_id).await?;
        user.db.materialize().await;
        Ok(RelatedWatch::new(self.start(
            user,
            Roots::Selected(selected),
            tree,
        )))
    }

    /// Checks what is selected, and returns the entity type.
    fn check(self, selected: &SelectedEntities) -> Result<&str> {
        self.engine.check_entity(&selected.selection)?;
        let entity = Table(&selected.selection).entity();
        if let Some(id) = &selected.only {
            check_entity_id(entity, id)?;
        }
        Ok(entity)
    }

    fn read_query(self, selection: &str, query: &str) -> Result<Query> {
        self.engine.queries().read(selection, query)
    }

    async fn begin(
        self,
        user_id: &str,
        selection: &str,
        query: Query,
        states: bool,
    ) -> Result<RelatedRead<B::Store, H>> {
        let entity = Table(selection).entity();
        let tree = RelationTree::read(&self.engine.config, entity, query.with())?;
        let user = self.engine.user(user_id).await?;
        user.db.materialize().await;
        let wanted = Wanted {
            stays: false,
            states,
        };
        let queries = self.engine.queries();
        let result = queries.begin(Rc::clone(&user), selection, query, wanted);
        Ok(self.start(user, Roots::Query(Box::new(result)), tree))
    }

    fn start(
        self,
        user: Rc<User<B::Store, H>>,
        roots: Roots<B::Store, H>,
        tree: RelationTree,
    ) -> RelatedRead<B::Store, H> {
        listen(&user, &self.engine.events, &self.engine.host);
        RelatedRead {
            user,
            host: Rc::clone(&self.engine.host),
            config: Rc::clone(&self.engine.config),
            roots,
            tree,
        }
    }
}

/// Collects the keys of these types, unless they are here.
async fn collect<S: Store, H: Host>(
    user: &User<S, H>,
    host: &H,
    config: &Config,
    types: &[String],
) -> Result<()> {
    let reader = RowReader {
        db: &user.db,
        journal: &user.journal,
        host,
        states: false,
    };
    for entity in types {
        let keys = &user.foreign_keys;
        keys.collect(&reader, &user.journal, config, entity).await?;
    }
    Ok(())
}

/// Brings the keys of these types up to the state that is looked at.
fn follow(
    keys: &ForeignKeys,
    looker: &Looker<'_>,
    journal: &Rc<crate::engine::journal::Journal>,
    types: &[String],
) -> Freshness {
    let mut missing: SeqMap<()> = SeqMap::default();
    for entity in types {
        match keys.follow(looker, journal, entity) {
            Freshness::Fresh => {}
            Freshness::Missing(segments) => {
                for segment in segments {
                    missing.insert(segment, ());
                }
            }
            Freshness::Outdated => return Freshness::Outdated,
        }
    }
    match missing.is_empty() {
        true => Freshness::Fresh,
        false => Freshness::Missing(missing.keys()),
    }
}

/// What comes of one try to make a graph.
enum MadeGraph {
    Graph(RelatedGraph),
    Missing(Vec<BodyId>),
    Outdated,
}

impl<S: Store, H: Host> RelatedRead<S, H> {
    /// Reads everything as of one state. Nothing has been awaited since when this returns.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn load(&mut self) -> Result<RelatedGraph> {
        let referring = self.tree.referring();
        let mut bodies = FetchedBodies::default();
        let mut collections = 0_u32;
        loop {
            collect(&self.user, &self.host, &self.config, &referring).await?;
            if let Roots::Query(result) = &mut self.roots {
                result.bring_up().await?;
            }
            let made = self
                .user
                .db
                .read(|replica| self.make(replica, &bodies, &referring));
            match made {
                MadeGraph::Graph(graph) => return Ok(graph),
                MadeGraph::Missing(missing) => bodies.fetch(&self.user.db, &missing).await?,
                MadeGraph::Outdated if collections < MOST_COLLECTIONS => {
                    collections = collections.saturating_add(1);
                }
                MadeGraph::Outdated => return Err(overtaken()),
            }
        }
    }

    fn make(&self, replica: &Replica, bodies: &FetchedBodies, referring: &[String]) -> MadeGraph {
        let states = self.shows_states();
        let looker = Looker::new(replica, bodies, states);
        let keys = &self.user.foreign_keys;
        match follow(keys, &looker, &self.user.journal, referring) {
            Freshness::Fresh => {}
            Freshness::Missing(missing) => return MadeGraph::Missing(missing),
            Freshness::Outdated => return MadeGraph::Outdated,
        }
        let roots = match &self.roots {
            Roots::Query(result) => keys_of(Table(&result.selection).entity(), result.live.rows()),
            Roots::Selected(selected) => selected.keys(replica),
        };
        let mut maker = GraphMaker::new(&looker, keys, states);
        let graph = maker.make(&roots, &self.tree);
        match maker.missing.is_empty() {
            true => MadeGraph::Graph(graph),
            false => MadeGraph::Missing(maker.missing.keys()),
        }
    }

    fn shows_states(&self) -> bool {
        match &self.roots {
            Roots::Query(result) => result.shows_states,
            Roots::Selected(selected) => selected.include.states,
        }
    }

    /// Returns true if anything that is read may have changed since an item of the journal.
    pub(super) fn has_changed(&self, seen: u64) -> bool {
        let journal = &self.user.journal;
        let changed = |selection: &str, states: bool| {
            let rows = journal.rows_since(seen, selection, states);
            rows.is_none_or(|rows| !rows.is_empty())
        };
        let is_root_changed = match &self.roots {
            Roots::Query(result) => changed(&result.selection, result.states),
            Roots::Selected(selected) => changed(&selected.selection, selected.include.states),
        };
        let types = self.tree.types();
        is_root_changed || types.iter().any(|entity| changed(entity, false))
    }
}
