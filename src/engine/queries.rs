//! Queries: which entities an app asks for, in which order, once or live. What a query means is
//! decided in the room `query`; here it meets the rows of a user.

use std::rc::Rc;

use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::queries::relations::tree::RelationTree;
use crate::engine::queries::result::{QueryResult, Wanted};
use crate::engine::queries::watch::QueryWatch;
use crate::engine::user::User;
use crate::engine::watch::listen;
use crate::engine::{Backing, Queries};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::query::read::Query;
use crate::util::json::write::{Items, put, put_texts};

mod bodies;
pub mod change;
pub mod indexes;
pub mod relations;
mod result;
mod rows;
pub mod watch;

/// One page of a query.
#[derive(Debug, Default)]
pub struct QueryPage {
    /// A JSON array.
    pub items: String,
    /// The cursor of the next page; `None` on the last.
    pub after: Option<String>,
}

impl<B: Backing, R: Remote, H: Host + 'static> Queries<'_, B, R, H> {
    /// Returns the entities that a query asks for, as a JSON array: those of one state, whatever
    /// is written meanwhile. With `states`, they have the member `$syncState`.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad query; also with errors of the storage.
    pub async fn query(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        states: bool,
    ) -> Result<String> {
        let query = self.read(selection, query)?;
        let mut result = self.result(user_id, selection, query, states).await?;
        items(&mut result).await
    }

    /// Returns one page of a query.
    ///
    /// # Errors
    /// As for [`Self::query`]; the query must not have bounds of its own.
    pub async fn page(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        (size, after): (usize, Option<&str>),
        states: bool,
    ) -> Result<QueryPage> {
        let query = self.read(selection, query)?.page(size, after)?;
        let mut result = self.result(user_id, selection, query, states).await?;
        loop {
            let items = items(&mut result).await?;
            // Keys behind the page may have been given up.
            let Some(more) = result.live.has_more() else {
                result.forget();
                continue;
            };
            let after = result.live.cursor().filter(|_| more);
            return Ok(QueryPage { items, after });
        }
    }

    /// Returns the number of entities that match, without reading more of them than the conditions
    /// name.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn count(self, user_id: &str, selection: &str, query: &str) -> Result<u64> {
        let query = self.read(selection, query)?.counted();
        let mut result = self.result(user_id, selection, query, false).await?;
        result.bring_up().await?;
        Ok(result.live.count().unwrap_or_default() as u64)
    }

    /// Returns how a query is read, as a JSON object.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn explain(self, user_id: &str, selection: &str, query: &str) -> Result<String> {
        let query = self.read(selection, query)?;
        let result = self.result(user_id, selection, query, false).await?;
        let access = result.access().await?;
        let mut text = String::from("{");
        match &access.fields {
            Some(fields) => put_texts(&mut text, "index", &mut fields.iter().map(String::as_str)),
            None => put(&mut text, "index", &None::<&str>),
        }
        put(&mut text, "reason", access.path.reason.as_str());
        put(&mut text, "inOrder", &access.path.in_order);
        if let Some(rows) = access.path.rows {
            put(&mut text, "rows", &(rows as u64));
        }
        put(&mut text, "indexMemory", &(access.memory as u64));
        text.push('}');
        Ok(text)
    }

    /// Watches the result of a query.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn watch(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
        states: bool,
    ) -> Result<QueryWatch<B::Store, H>> {
        let query = self.read(selection, query)?;
        self.watch_read(user_id, selection, query, states).await
    }

    /// Watches the number of entities that match a query.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn watch_count(
        self,
        user_id: &str,
        selection: &str,
        query: &str,
    ) -> Result<QueryWatch<B::Store, H>> {
        let query = self.read(selection, query)?.counted();
        self.watch_read(user_id, selection, query, false).await
    }

    async fn watch_read(
        self,
        user_id: &str,
        selection: &str,
        query: Query,
        states: bool,
    ) -> Result<QueryWatch<B::Store, H>> {
        let user = self.engine.user(user_id).await?;
        user.db.materialize().await;
        let result = self.begin(
            user,
            selection,
            query,
            Wanted {
                stays: true,
                states,
            },
        );
        Ok(QueryWatch::new(result))
    }

    /// Reads a query, and checks the type that it is about.
    fn read(self, selection: &str, query: &str) -> Result<Query> {
        self.engine.check_entity(selection)?;
        let entity = Table(selection).entity();
        let query = Query::read(query, entity)?;
        // What is read without relations has none to name either.
        RelationTree::read(&self.engine.config, entity, query.with())?;
        Ok(query)
    }

    async fn result(
        self,
        user_id: &str,
        selection: &str,
        query: Query,
        states: bool,
    ) -> Result<QueryResult<B::Store, H>> {
        let user = self.engine.user_for_question(user_id).await?;
        user.db.materialize().await;
        Ok(self.begin(
            user,
            selection,
            query,
            Wanted {
                stays: false,
                states,
            },
        ))
    }

    fn begin(
        self,
        user: Rc<User<B::Store, H>>,
        selection: &str,
        query: Query,
        wanted: Wanted,
    ) -> QueryResult<B::Store, H> {
        let declared = self.engine.config.indexes(selection);
        let host = Rc::clone(&self.engine.host);
        listen(&user, &self.engine.events, &host);
        QueryResult::new(user, host, selection, declared, query, wanted)
    }
}

/// Returns the entities of a result, as of one state.
async fn items<S: Store, H: Host>(result: &mut QueryResult<S, H>) -> Result<String> {
    let mut bodies = FetchedBodies::default();
    loop {
        result.bring_up().await?;
        let mut items = Items::new(0);
        let missing = result.texts(result.live.rows(), &bodies, &mut |text| {
            if let Some(text) = text {
                items.open().push_str(text);
            }
        });
        if missing.is_empty() {
            return Ok(items.close());
        }
        bodies.fetch(&result.user.db, &missing).await?;
    }
}
