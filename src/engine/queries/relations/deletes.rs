//! Deletes that concern other entities: everything in one commit, planned on the head that it is
//! made on.

use std::rc::Rc;

use crate::engine::auto_sync::Signal;
use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::database::overtaken;
use crate::engine::queries::bodies::Looker;
use crate::engine::queries::change::{Told, are_told, query_of, untold};
use crate::engine::queries::relations::foreign_keys::{ForeignKeys, Freshness};
use crate::engine::queries::relations::graph::keys_of;
use crate::engine::queries::relations::{MOST_COLLECTIONS, collect, follow};
use crate::engine::queries::result::{QueryResult, Wanted};
use crate::engine::queries::rows::pass_changes;
use crate::engine::user::User;
use crate::engine::watch::listen;
use crate::engine::{Backing, Relations};
use crate::model::config::{Config, DeleteBehavior};
use crate::model::entity::{Key, OwnedKey, check_entity_id};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::plan::cascade::{CascadePlanner, DeletePlan};
use crate::plan::context::PlanContext;
use crate::plan::trace::Described;
use crate::plan::write::Write;
use crate::plan::{Plan, Planned, Planner};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::query::read::Query;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::util::collections::ordered_map::OrderedMap;

/// How a delete is made.
#[derive(Clone, Debug, Default)]
pub struct DeleteHow {
    /// Of the entities that the call names; the others go as their types say.
    pub behavior: Option<DeleteBehavior>,
    /// Entities whose operations are sent first.
    pub after: Rc<[OwnedKey]>,
}

/// The entities that a delete names.
enum Named<S, H> {
    Ids(Vec<String>),
    Query(Box<QueryResult<S, H>>),
}

impl<B: Backing, R: Remote, H: Host + 'static> Relations<'_, B, R, H> {
    /// Deletes entities and what goes with them, all or none. Returns the ids of those that were
    /// named and there.
    ///
    /// # Errors
    /// Fails with `restricted` if a relation keeps one of them, and as a write of each.
    pub async fn delete(
        self,
        user_id: &str,
        selection: &str,
        ids: Vec<String>,
        how: DeleteHow,
    ) -> Result<Vec<String>> {
        self.check_ids(selection, &ids)?;
        let user = self.engine.user_for_writes(user_id, selection, &how.after);
        let user = user.await?;
        let named = Named::Ids(ids);
        self.carry_out(&user, selection, named, how, None).await
    }

    /// Does the same with each entity that satisfies a condition. `tell` hears of the delete of each
    /// once, before the commit.
    ///
    /// # Errors
    /// As for [`Self::delete`], and for a bad condition.
    pub async fn delete_where(
        self,
        user_id: &str,
        selection: &str,
        filter: &str,
        how: DeleteHow,
        tell: Told<'_>,
    ) -> Result<Vec<String>> {
        self.engine.check_entity(selection)?;
        let query = Query::read(&query_of(filter)?, Table(selection).entity())?;
        let user = self.engine.user_for_writes(user_id, selection, &how.after);
        let user = user.await?;
        let queries = self.engine.queries();
        let result = queries.begin(Rc::clone(&user), selection, query, Wanted::default());
        let named = Named::Query(Box::new(result));
        self.carry_out(&user, selection, named, how, tell).await
    }

    /// Returns what the delete of an entity would do, as JSON, and does nothing.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad id; also with errors of the storage.
    pub async fn delete_plan(self, user_id: &str, selection: &str, id: &str) -> Result<String> {
        let ids = vec![id.to_owned()];
        self.check_ids(selection, &ids)?;
        let user = self.engine.user_for_question(user_id).await?;
        listen(&user, &self.engine.events, &self.engine.host);
        let (engine, mut named) = (self.engine, Named::Ids(ids));
        let mut bodies = FetchedBodies::default();
        let types = concerned(&engine.config, selection);
        for _ in 0..MOST_COLLECTIONS {
            collect(&user, &engine.host, &engine.config, &types).await?;
            loop {
                let planned = user.db.read(|replica| {
                    let looker = Looker::new(replica, &bodies, false);
                    plan(
                        &user,
                        &looker,
                        &engine.config,
                        selection,
                        &mut named,
                        &types,
                    )
                });
                match planned {
                    Some(Plan::Ready(plan)) => return Ok(plan.to_json()),
                    Some(Plan::Needs(missing)) => bodies.fetch(&user.db, &missing).await?,
                    None => break,
                }
            }
        }
        Err(overtaken())
    }

    fn check_ids(self, selection: &str, ids: &[String]) -> Result<()> {
        self.engine.check_entity(selection)?;
        let entity = Table(selection).entity();
        ids.iter().try_for_each(|id| check_entity_id(entity, id))
    }

    async fn carry_out(
        self,
        user: &Rc<User<B::Store, H>>,
        selection: &str,
        mut named: Named<B::Store, H>,
        how: DeleteHow,
        tell: Told<'_>,
    ) -> Result<Vec<String>> {
        let engine = self.engine;
        listen(user, &engine.events, &engine.host);
        let types = concerned(&engine.config, selection);
        let soft = how.behavior == Some(DeleteBehavior::SoftDelete);
        let mut told = tell.map(|_| OrderedMap::default());
        for _ in 0..MOST_COLLECTIONS {
            collect(user, &engine.host, &engine.config, &types).await?;
            if let Named::Query(result) = &mut named {
                result.bring_up().await?;
                if let (Some(tell), Some(told)) = (tell, &mut told) {
                    tell(&untold(result, told, &|id| Write::Delete { id, soft }));
                }
            }
            let mut planner = DeletePlanner {
                user,
                config: &engine.config,
                selection,
                named: &mut named,
                types: &types,
                how: &how,
                context: user.db.plan_context(),
                told: told.as_ref(),
                planned: None,
                has_missed: false,
            };
            let deleted = user
                .db
                .commit_write(engine.config.local, &mut planner)
                .await;
            if planner.has_missed {
                if let Named::Query(result) = &mut named {
                    result.forget();
                }
                continue;
            }
            let deleted = deleted?;
            if user.announces_commit() {
                engine.after_commit(user, NoteReason::Wrote);
                engine.auto_sync().signal(Signal::Wrote(&user.id));
            }
            return Ok(deleted);
        }
        Err(overtaken())
    }
}

/// Returns the types whose keys the rules of a type ask for, directly or by way of others.
fn concerned(config: &Config, selection: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![Table(selection).entity().to_owned()];
    while let Some(entity) = open.pop() {
        for relation in config.relations(&entity).iter() {
            let Some((child, _)) = relation.referring().filter(|_| relation.has_rule()) else {
                continue;
            };
            if !found.iter().any(|it| it == child) {
                found.push(child.to_owned());
                open.push(child.to_owned());
            }
        }
    }
    found
}

/// Plans a delete on one state; `None` if the journal does not go back to what was looked at.
fn plan<S: Store, H: Host>(
    user: &User<S, H>,
    looker: &Looker<'_>,
    config: &Config,
    selection: &str,
    named: &mut Named<S, H>,
    types: &[String],
) -> Option<Plan<DeletePlan>> {
    let replica = looker.replica;
    let keys: &ForeignKeys = &user.foreign_keys;
    match follow(keys, looker, &user.journal, types) {
        Freshness::Fresh => {}
        Freshness::Missing(missing) => return Some(Plan::Needs(missing)),
        Freshness::Outdated => return None,
    }
    let roots = match named {
        Named::Ids(ids) => {
            let found = ids.iter().filter_map(|id| {
                let table = tables::find(replica, selection, id)?;
                let key = Key::new(table, id);
                replica.is_visible(&key).then(|| key.to_owned())
            });
            found.collect()
        }
        Named::Query(result) => {
            let rows = result.changed_rows()?;
            let live = &mut result.live;
            let missing = pass_changes(looker, &rows, &mut |changes| {
                // Without a limit, no key is given up.
                live.apply(changes);
            });
            if !missing.is_empty() {
                return Some(Plan::Needs(missing));
            }
            result.has_followed();
            keys_of(Table(selection).entity(), result.live.rows())
        }
    };
    let find = |entity: &str, field: &str, id: &str| keys.referring(entity, field, id);
    Some(Plan::Ready(DeletePlan::of(replica, config, roots, &find)))
}

struct DeletePlanner<'a, S, H> {
    user: &'a User<S, H>,
    config: &'a Config,
    selection: &'a str,
    named: &'a mut Named<S, H>,
    types: &'a [String],
    how: &'a DeleteHow,
    context: PlanContext,
    /// The entities whose deletes were told, if somebody hears of them.
    told: Option<&'a OrderedMap<()>>,
    /// What the last plan deletes.
    planned: Option<CascadePlanner<'a>>,
    /// The journal does not go back to what was looked at, or a delete was not told.
    has_missed: bool,
}

impl<S: Store, H: Host> Planner for DeletePlanner<'_, S, H> {
    type Output = Vec<String>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Vec<String>>>> {
        self.planned = None;
        let bodies = FetchedBodies::default();
        let looker = Looker::new(replica, &bodies, false);
        let (config, selection) = (self.config, self.selection);
        let planned = plan(
            self.user, &looker, config, selection, self.named, self.types,
        );
        let plan = match planned {
            Some(Plan::Ready(plan)) => plan,
            Some(Plan::Needs(missing)) => return Ok(Plan::Needs(missing)),
            None => {
                self.has_missed = true;
                return Err(overtaken());
            }
        };
        if let (Named::Query(result), Some(told)) = (&*self.named, self.told)
            && !are_told(result, told)
        {
            self.has_missed = true;
            return Err(overtaken());
        }
        let planner = self.planned.insert(CascadePlanner {
            plan,
            config,
            behavior: self.how.behavior,
            after: Rc::clone(&self.how.after),
            context: self.context.clone(),
        });
        planner.plan(replica)
    }

    fn describe(&self) -> Option<Described> {
        self.planned.as_ref()?.describe()
    }
}
