//! Plans a pulled page: its rows and its cursor, in one commit.

use std::rc::Rc;

use crate::log::address::Seq;
use crate::log::commit::{Entry, Event};
use crate::log::facts::CursorState;
use crate::log::known_server::ServerNews;
use crate::log::spaces::SpaceEvent;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Key;
use crate::model::error::Result;
use crate::model::protocol::{PullPage, WireRow};
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::page::moved::{Changes, plan_moves};
use crate::plan::restore::missing::offer_the_missing;
use crate::plan::row_planner::{
    ConflictPlanner, Decisions, Incoming, RemoteRow, RowPlanner, Tombstones, name,
};
use crate::plan::trace::{Described, describe};
use crate::plan::{Decided, Plan, Planned, Planner};
use crate::state::replica::{LogPlace, Replica};
use crate::state::view::ViewBody;
use crate::util::collections::sort::sort;
use crate::util::hash::hash;
use crate::util::json::write::{put, put_text};

mod forgotten;
pub mod listing;
mod moved;

/// The rules for applying a page.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct PageRules<'a> {
    /// What is new about the server, to record with the page.
    pub server: Option<ServerNews>,
    /// The cursor that the page was pulled from; `None` for the first page of a full pull.
    pub from: Option<&'a str>,
    /// The cursor that was known when the first page of a full pull was requested.
    pub before: Option<&'a str>,
    /// The log's head when this page was requested.
    pub asked: Seq,
    /// The log's head when the first page was requested. The pages may lack anything written since.
    pub since: LogPlace,
    /// The scope; empty for the main one.
    pub scope: &'a str,
    /// The pages contain every row of these entity types, so a row that a full pull does not
    /// contain is gone. False if the remote filters rows.
    pub whole: bool,
    /// The entity types of the scope.
    pub entities: Option<&'a [String]>,
    /// Tombstones become visible now; otherwise they are held.
    pub include_deletes: bool,
    /// Returns true for the entity types of the config; rows of other types are dropped.
    pub known: &'a dyn Fn(&str) -> bool,
    /// The types whose tombstones keep their body.
    pub soft: &'a dyn Fn(&str) -> bool,
    /// The merge policies of a type.
    pub policies: &'a dyn Fn(&str) -> Rc<Policies>,
}

/// Plans one page.
#[allow(missing_debug_implementations)]
pub struct PagePlanner<'a> {
    pub page: &'a PullPage<'a>,
    /// The rules for applying it.
    pub rules: PageRules<'a>,
    /// The answers of resolvers and of the remote so far.
    pub decisions: Decisions,
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for PagePlanner<'_> {
    /// `None` if the cursor has moved since the page was pulled, if the log was compacted since the
    /// first page was, or if the page belongs to another epoch or server, or to a log that has been
    /// lost: what the new one has may be newer.
    type Output = Decided<Option<Incoming>>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Self::Output>>> {
        let cursor = replica.cursor(self.rules.scope);
        let cursor = cursor.and_then(|state| state.cursor.as_deref());
        let moved = match self.rules.from {
            Some(_) => cursor != self.rules.from,
            // A compaction has written every row anew: none looks older than this pull any more.
            None => {
                (cursor.is_some() && cursor != self.rules.before)
                    || replica.checkpointed_at() > self.rules.since.head
            }
        };
        let server = self.rules.server.as_ref();
        let strange = server.is_some_and(|news| !news.holds(replica.server()));
        if moved
            || strange
            || replica.place().lost != self.rules.since.lost
            || !replica.is_of(self.page.epoch.as_deref())
            || listing::is_outdated(self.page, &self.rules, replica)
        {
            return Ok(Plan::Ready(Planned::nothing(Decided::Done(None))));
        }
        Ok(self.plan_rows(replica))
    }

    fn describe(&self) -> Option<Described> {
        let rules = &self.rules;
        Some(describe::described("page", |out| {
            describe::put_context(out, &self.context);
            put_text(out, "scope", rules.scope);
            put(out, "from", &rules.from);
            put(out, "before", &rules.before);
            put(out, "asked", &rules.asked);
            put(out, "sinceLost", &rules.since.lost);
            put(out, "sinceHead", &rules.since.head);
            put(out, "whole", &rules.whole);
            put(out, "entities", &rules.entities);
            put(out, "includeDeletes", &rules.include_deletes);
            describe::put_server(out, rules.server.as_ref());
            describe::put_decisions(out, &self.decisions);
            describe::put_page(out, self.page);
        }))
    }
}

impl ConflictPlanner for PagePlanner<'_> {
    fn decisions(&mut self) -> &mut Decisions {
        &mut self.decisions
    }
}

impl PagePlanner<'_> {
    fn plan_rows(&self, replica: &Replica) -> Plan<Planned<Decided<Option<Incoming>>>> {
        let (page, rules) = (self.page, &self.rules);
        let mut planner = RowPlanner::new(replica, rules.policies, &self.decisions, &self.context);
        let state = replica.cursor(rules.scope);
        // A pull without a cursor returns everything; rows that it does not return are gone.
        let full_since = match rules.from {
            Some(_) => state.and_then(|state| state.full_since),
            None => rules.whole.then_some(rules.since.head),
        };
        let list = listing::plan_list(&mut planner, page, rules);
        let begun = listing::plan_starts(&mut planner, page, rules, &list);
        let mut changes = Changes {
            page,
            done: outdated(&page.changes),
        };
        plan_moves(&mut planner, &mut changes, rules, &list);
        let full = (rules.from.is_none() || full_since.is_some())
            .then(|| full_since.unwrap_or(rules.since.head));
        for (at, change) in page.changes.iter().enumerate() {
            let space = change.space.as_deref();
            if (rules.known)(&change.entity)
                && !changes.done.contains(&at)
                && space.is_none_or(|space| listing::is_in(&list, space))
            {
                let name = space.unwrap_or_default();
                let starts =
                    begun.contains(name) || replica.spaces().is_starting(rules.scope, name);
                plan_change(&mut planner, change, rules, full, starts);
            }
        }
        listing::plan_passed(&mut planner, page, rules, &list, &begun);
        let ended = !page.more;
        let swept = full_since.filter(|_| ended);
        if let Some(before) = swept {
            offer_the_missing(&mut planner, page, rules.entities, before, &list);
        }
        if ended {
            listing::end_starts(&mut planner, page, rules, &list, &begun);
        }
        let (mut commit, mut incoming) = match planner.finish() {
            Plan::Ready(Decided::Done(done)) => done,
            Plan::Ready(Decided::Undecided(conflicts)) => {
                return Plan::Ready(Planned::nothing(Decided::Undecided(conflicts)));
            }
            Plan::Needs(bodies) => return Plan::Needs(bodies),
        };
        if let Some(before) = swept {
            commit.events.push(Event::Sweep {
                before,
                entities: rules.entities.map(<[String]>::to_vec),
            });
        }
        let done = ended && rules.scope.is_empty();
        if replica.receipts().restored().is_some() && (done || incoming.offered > 0) {
            commit.events.push(Event::Offered {
                count: incoming.offered,
                done,
            });
            let before = replica.receipts().offered();
            incoming.restored = done.then(|| before.saturating_add(incoming.offered));
        }
        let moved = CursorState {
            cursor: Some(page.cursor.to_string()),
            full_since: full_since.filter(|_| !ended),
            reached_end: ended || state.is_some_and(|state| state.reached_end),
            entities: rules.entities.map(<[String]>::to_vec),
        };
        if state != Some(&moved) || !commit.is_empty() {
            commit.events.push(Event::Cursor {
                scope: rules.scope.to_owned(),
                state: moved,
            });
        }
        replica.note_first_epoch(page.epoch.as_deref(), &mut commit);
        let news = rules.server.as_ref();
        if let Some(server) = news.and_then(|news| news.to_record(replica.server())) {
            commit.events.push(Event::Server {
                server: server.clone(),
            });
        }
        Plan::Ready(Planned::new(commit, Decided::Done(Some(incoming))))
    }
}

/// Returns the indexes of rows that the page repeats with a greater version, or with the same
/// version further down: only the last one counts.
/// A row is compared with those that are stored, not with those before it in the page.
fn outdated(changes: &[WireRow<'_>]) -> Vec<usize> {
    let mut name = String::new();
    let mut order: Vec<(u64, u64, usize)> = changes
        .iter()
        .enumerate()
        .map(|(at, row)| {
            name.clear();
            for part in [
                row.space.as_deref().unwrap_or_default(),
                "\n",
                &*row.entity,
                "\n",
                &*row.id,
            ] {
                name.push_str(part);
            }
            (hash(name.as_bytes()), row.version, at)
        })
        .collect();
    sort(&mut order);
    let key = |at: usize| (changes.get(at)).map(|row| (&row.space, &row.entity, &row.id));
    order
        .windows(2)
        .filter_map(|pair| match pair {
            [(one, _, at), (other, _, newer)] if one == other && key(*at) == key(*newer) => {
                Some(*at)
            }
            _ => None,
        })
        .collect()
}

/// Plans one row of a page. `full_since` is the record at which a running full pull began; `starts`
/// is true if the row's space comes from its beginning.
fn plan_change(
    planner: &mut RowPlanner<'_>,
    change: &WireRow<'_>,
    rules: &PageRules<'_>,
    full_since: Option<Seq>,
    starts: bool,
) {
    let confirmed = &planner.decisions.confirmed_absent;
    let table = Table::name(&change.entity, change.space.as_deref());
    let row = RemoteRow {
        entity: &table,
        id: &change.id,
        version: change.version,
        body: change.data.filter(|_| !change.deleted),
        soft: (rules.soft)(&change.entity),
        confirmed_absent: !confirmed.is_empty() && confirmed.contains(&name(&table, &change.id)),
    };
    let replica = planner.replica;
    let have = replica.row(&row.key());
    let known_version = have.map_or(0, |have| have.version);
    // The row still exists and only left this scope. The main pull keeps it up to date, if there is
    // a main pull; a pending operation learns of it by its verdict.
    if change.reason.as_deref() == Some("scope")
        && (known_version >= change.version
            || replica.cursor("").is_some()
            || replica.outbox().last(&row.key()).is_some())
    {
        return;
    }
    let suspect = replica.receipts().suspect(&row.key()).is_some();
    if !suspect
        && known_version == change.version
        && have.is_some_and(|have| have.deleted == change.deleted)
    {
        if full_since.is_some() || starts {
            confirm_or_rewrite(planner, &row);
        }
        return;
    }
    // An older version never overwrites a newer one, except during a full pull: after a server
    // restore all rows come again. Rows written since the full pull began keep their version.
    if !suspect
        && known_version > change.version
        && full_since.is_none_or(|since| have.is_some_and(|have| have.stamp > since))
    {
        return;
    }
    planner.incoming.pulled.count(&change.entity);
    if replica.spaces().limbo_of(&row.key()).is_some() {
        listing::say(
            planner,
            SpaceEvent::Moving {
                table: table.to_string(),
                id: change.id.to_string(),
                limbo: None,
            },
        );
    }
    let tombstones = if rules.include_deletes {
        Tombstones::Apply
    } else {
        Tombstones::Hold
    };
    planner.apply_remote_row(&row, tombstones);
}

/// Confirms a row that was sent again at the same version; rewrites it only if the bytes differ.
fn confirm_or_rewrite(planner: &mut RowPlanner<'_>, row: &RemoteRow<'_>) {
    let replica = planner.replica;
    let have = replica.row(&Key::new(row.entity, row.id));
    let same = match (have.and_then(|have| replica.body_of(have)), row.body) {
        (Some(ViewBody::Text(have)), Some(got)) => have == got,
        _ => false,
    };
    if same {
        let entry = Entry {
            id: row.id.to_owned(),
            version: row.version,
            retain: true,
            ..Entry::default()
        };
        planner.put_row(row.entity, entry, None);
    } else {
        planner.write_row(row, Tombstones::Apply);
    }
}
