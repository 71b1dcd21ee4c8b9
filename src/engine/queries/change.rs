//! One change of all entities that satisfy a condition, in one commit, decided against the state
//! that it is written on.

use std::rc::Rc;

use crate::engine::auto_sync::Signal;
use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::database::overtaken;
use crate::engine::queries::bodies::Looker;
use crate::engine::queries::result::{QueryResult, Wanted};
use crate::engine::queries::rows::pass_changes;
use crate::engine::{Backing, Queries};
use crate::model::entity::OwnedKey;
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::trace::Described;
use crate::plan::write::all_or_none::AllOrNone;
use crate::plan::write::{Group, Write, Written};
use crate::plan::{Plan, Planned, Planner};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::query::sort_key::SortKey;
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// How often the condition is evaluated from the beginning, because too much has changed meanwhile.
const MOST_ATTEMPTS: u32 = 5;

/// Returns the write of an entity, given its id.
type WriteOf<'a> = &'a dyn Fn(String) -> Write;

/// Hears of writes before they are made, if somebody does.
pub type Told<'a> = Option<&'a dyn Fn(&[Write])>;

/// Returns the group for writes of a table.
type GroupOf<'a> = &'a dyn Fn(&str, Vec<Write>) -> Group;

impl<B: Backing, R: Remote, H: Host + 'static> Queries<'_, B, R, H> {
    /// Writes each entity that satisfies a condition, all or none. The condition holds for the
    /// state that the commit is made on, whichever tab was first. `tell` hears of each write once,
    /// before the commit.
    ///
    /// # Errors
    /// As for [`Self::query`], and as a write of one entity.
    pub async fn change(
        self,
        user_id: &str,
        selection: &str,
        filter: &str,
        after: Rc<[OwnedKey]>,
        write: WriteOf<'_>,
        tell: Told<'_>,
    ) -> Result<Vec<Written>> {
        let query = self.read(selection, &query_of(filter)?)?;
        let user = self.engine.user_for_writes(user_id, selection, &after);
        let user = user.await?;
        let mut result = self.begin(Rc::clone(&user), selection, query, Wanted::default());
        let group = |table: &str, writes: Vec<Write>| Group {
            after: Rc::clone(&after),
            ..self.engine.entities().write_group(table, writes)
        };
        let mut told = tell.map(|_| OrderedMap::default());
        for _ in 0..MOST_ATTEMPTS {
            result.bring_up().await?;
            if let (Some(tell), Some(told)) = (tell, &mut told) {
                tell(&untold(&result, told, write));
            }
            let mut planner = ChangePlanner {
                result: &mut result,
                context: user.db.plan_context(),
                write,
                group: &group,
                told: told.as_ref(),
                groups: None,
                again: None,
            };
            let durability = self.engine.config.local;
            let written = user.db.commit_write(durability, &mut planner).await;
            match planner.again {
                Some(Again::Missed) => result.forget(),
                Some(Again::Untold) => {}
                None => {
                    let written = written?;
                    if user.announces_commit() {
                        self.engine.after_commit(&user, NoteReason::Wrote);
                        self.engine.auto_sync().signal(Signal::Wrote(user_id));
                    }
                    return Ok(written);
                }
            }
        }
        Err(overtaken())
    }
}

struct ChangePlanner<'a, S, H> {
    result: &'a mut QueryResult<S, H>,
    context: PlanContext,
    write: WriteOf<'a>,
    group: GroupOf<'a>,
    /// The entities whose writes were told, if somebody hears of them.
    told: Option<&'a OrderedMap<()>>,
    /// What the last plan writes.
    groups: Option<Vec<Group>>,
    /// Why this is no plan, if it has to be made again.
    again: Option<Again>,
}

enum Again {
    /// The journal does not go back to what was evaluated.
    Missed,
    /// An entity matches that was not told.
    Untold,
}

/// Names an entity among those of one type.
fn name_of(key: &SortKey) -> String {
    let (id, space) = key.entity();
    [&id, "\0", space.as_deref().unwrap_or_default()].concat()
}

/// Returns the writes that are still to be told, and notes that they are.
pub(super) fn untold<S: Store, H: Host>(
    result: &QueryResult<S, H>,
    told: &mut OrderedMap<()>,
    write: WriteOf<'_>,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for key in result.live.rows() {
        let name = name_of(key);
        if told.get(&name).is_none() {
            told.insert(&name, ());
            writes.push(write(key.entity().0));
        }
    }
    writes
}

/// Returns true if the writes of all that match were told.
pub(super) fn are_told<S: Store, H: Host>(
    result: &QueryResult<S, H>,
    told: &OrderedMap<()>,
) -> bool {
    let mut rows = result.live.rows();
    rows.all(|key| told.get(&name_of(key)).is_some())
}

/// Returns the query that finds what satisfies a condition.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`] without one: a query then asks for everything.
pub(super) fn query_of(filter: &str) -> Result<String> {
    if filter.trim() == "null" {
        let fix = "The condition must be one, such as { field: \"done\", equals: true }; for all entities, it is { and: [] }.";
        return Err(Error::new(Code::InvalidArgument, fix));
    }
    Ok(["{\"where\":", filter, "}"].concat())
}

impl<S: Store, H: Host> Planner for ChangePlanner<'_, S, H> {
    type Output = Vec<Written>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Vec<Written>>>> {
        self.groups = None;
        let Some(rows) = self.result.changed_rows() else {
            self.again = Some(Again::Missed);
            return Err(overtaken());
        };
        let live = &mut self.result.live;
        let bodies = FetchedBodies::default();
        let looker = Looker::new(replica, &bodies, self.result.states);
        let missing = pass_changes(&looker, &rows, &mut |changes| {
            // Without a limit, no key is given up.
            live.apply(changes);
        });
        if !missing.is_empty() {
            return Ok(Plan::Needs(missing));
        }
        self.result.has_followed();
        if self.told.is_some_and(|told| !are_told(self.result, told)) {
            self.again = Some(Again::Untold);
            return Err(overtaken());
        }
        let entity = Table(&self.result.selection).entity();
        let mut by_table: VecMap<Vec<Write>> = VecMap::default();
        for key in self.result.live.rows() {
            let (id, space) = key.entity();
            // The empty space is the user's own.
            let table = Table::name(entity, Some(space.as_deref().unwrap_or_default()));
            by_table.entry(&table).push((self.write)(id));
        }
        let groups = by_table.iter();
        let groups = groups.map(|(table, writes)| (self.group)(table, writes.clone()));
        let groups = self.groups.insert(groups.collect());
        let context = self.context.clone();
        AllOrNone { groups, context }.plan(replica)
    }

    fn describe(&self) -> Option<Described> {
        let groups = self.groups.as_deref()?;
        let context = self.context.clone();
        AllOrNone { groups, context }.describe()
    }
}
