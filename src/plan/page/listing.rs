//! The part of a page about spaces: the whole list, and the spaces that start from their beginning.

use crate::log::address::Seq;
use crate::log::commit::Event;
use crate::log::spaces::SpaceEvent;
use crate::model::entity::Key;
use crate::model::error::Code;
use crate::model::protocol::{PullPage, WireRow};
use crate::model::space::{Joined, NO_SPACES, Role};
use crate::model::table::{Table, concerns, tables};
use crate::plan::membership::{IS_LEFT, NOT_MEMBER, awaits_creation};
use crate::plan::page::PageRules;
use crate::plan::page::forgotten::{is_own, letters, offer_space};
use crate::plan::rejection::{DeadLetterPlan, Rules};
use crate::plan::row_planner::{RemoteRow, RowPlanner, Tombstones};
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody};
use crate::util::collections::vec_map::VecMap;

/// Returns true if the page has an old list: it may lack a space that was made, or what another
/// tab has heard, since the page was asked for.
pub(super) fn is_outdated(page: &PullPage<'_>, rules: &PageRules<'_>, replica: &Replica) -> bool {
    let (spaces, asked) = (replica.spaces(), asked(rules, replica));
    page.spaces.as_ref().is_some_and(|list| {
        let lacks = |made: &str| !list.iter().any(|one| one.id == made);
        let since = |at: Seq| at > asked;
        since(spaces.listed_at())
            || (spaces.made().iter()).any(|(space, at)| since(*at) && lacks(space))
    })
}

/// The head when the page was asked for; 0 if that was one of another log, which is lost.
fn asked(rules: &PageRules<'_>, replica: &Replica) -> Seq {
    match rules.asked > replica.head() {
        true => 0,
        false => rules.asked,
    }
}

/// Plans the page's list: what it lacks is left. Returns the list that holds now.
pub(super) fn plan_list(
    planner: &mut RowPlanner<'_>,
    page: &PullPage<'_>,
    rules: &PageRules<'_>,
) -> Vec<Joined> {
    let replica = planner.replica;
    let spaces = replica.spaces();
    let support = page.support(rules.from);
    if let Some(has) = support.filter(|_| support != spaces.support()) {
        say(planner, SpaceEvent::Support { has });
    }
    let lacks = support.or(spaces.support()) == Some(false);
    let told = match &page.spaces {
        Some(told) => told.as_slice(),
        // Nothing of a space can be sent or come back.
        None if lacks => &[],
        None => return spaces.list().to_vec(),
    };
    let mut list: Vec<Joined> = Vec::new();
    for one in told {
        if !list.iter().any(|joined| joined.space == one.id) {
            list.push(Joined {
                space: one.id.to_string(),
                role: Role::read(&one.role),
            });
        }
    }
    let has = |space: &str| list.iter().any(|joined| joined.space == space);
    // A space waits to be made if the remote has not had it in this epoch, by its lists and its
    // verdicts. One that it has had has ended, and its id is never used again.
    let waits = |space: &str| {
        let is_told = spaces.listed_at() > 0 || spaces.made().contains(space);
        let was_there = is_told && spaces.role(space).is_some();
        !lacks && !was_there && awaits_creation(replica, space)
    };
    let left: Vec<String> = (here(replica).keys())
        .filter(|space| !has(space) && !waits(space))
        .map(str::to_owned)
        .collect();
    if !left.is_empty() {
        forget_places(planner, rules.scope);
    }
    let forgets = replica.receipts().restored().is_some();
    let (own, left): (Vec<String>, Vec<String>) = left
        .into_iter()
        .partition(|space| forgets && !lacks && is_own(replica, space));
    let why = match lacks {
        true => (Code::Unsupported.as_str(), NO_SPACES),
        false => (NOT_MEMBER, IS_LEFT),
    };
    bury(planner, rules, &left, why);
    for space in left.iter().filter(|_| forgets) {
        let letters = letters(planner, space);
        planner.bury(letters);
    }
    if list != spaces.list() || (spaces.listed_at() == 0 && !list.is_empty()) || settles(replica) {
        say(
            planner,
            SpaceEvent::List {
                list: list.clone(),
                asked: asked(rules, replica),
            },
        );
    }
    for space in &left {
        let space = space.clone();
        say(planner, SpaceEvent::Leave { space });
    }
    for space in own {
        say(
            planner,
            SpaceEvent::Leave {
                space: space.clone(),
            },
        );
        offer_space(planner, &space, &left);
    }
    list
}

/// Has the pulls of all other scopes begin anew: their cursors know places in the spaces that are
/// left here, and would go on from there if the user came back before they heard of it.
fn forget_places(planner: &mut RowPlanner<'_>, scope: &str) {
    let others = (planner.replica.cursors().iter()).filter(|(other, _)| *other != scope);
    let resets = others.map(|(other, _)| Event::ResetCursor {
        scope: other.to_owned(),
    });
    planner.commit.events.extend(resets);
}

/// Returns true if spaces were made since the last list: this one decides about them.
fn settles(replica: &Replica) -> bool {
    !replica.spaces().made().is_empty()
}

/// The shared spaces of which anything is here.
fn here(replica: &Replica) -> VecMap<()> {
    let spaces = replica.spaces();
    let tables = (replica.entities().keys())
        .chain(replica.outbox().entities())
        .chain(replica.receipts().tables())
        .chain(spaces.limbo().keys());
    let mut here = VecMap::default();
    for space in tables.filter_map(|table| Table(table).space()) {
        here.insert(space, ());
    }
    let listed = spaces.list().iter().map(|joined| &*joined.space);
    let named = listed
        .chain(spaces.made().keys())
        .chain(spaces.all_passed().keys());
    for space in named.filter(|space| !space.is_empty()) {
        here.insert(space, ());
    }
    here
}

/// Makes dead letters of the pending operations of spaces that are left, and of operations that
/// depend on them.
fn bury(
    planner: &mut RowPlanner<'_>,
    rules: &PageRules<'_>,
    left: &[String],
    (code, why): (&str, &str),
) {
    if left.is_empty() {
        return;
    }
    let of = |space: &str| left.iter().any(|gone| gone == space);
    let keeps = Rules {
        soft: rules.soft,
        keeps: &|_| false,
        policies: rules.policies,
    };
    let mut dead = DeadLetterPlan::new(planner.replica, planner.context.now, &keeps, &|_| false);
    dead.leave(&of, code, why);
    for segment in &dead.missing {
        planner.missing.insert(*segment, ());
    }
    for event in dead.events() {
        planner.push_event(event);
    }
    for op_id in dead.gone.iter() {
        planner.buried.insert(op_id, ());
    }
    planner.incoming.dead_letters.extend(dead.dead_letters);
}

/// The spaces that start from their beginning with a page, with their counters.
pub(super) type Begun = VecMap<u64>;

/// Plans the starts of a page. A scope that filters rows never has all of a space, so nothing that
/// it does not have is gone.
pub(super) fn plan_starts(
    planner: &mut RowPlanner<'_>,
    page: &PullPage<'_>,
    rules: &PageRules<'_>,
    list: &[Joined],
) -> Begun {
    let mut begun = Begun::default();
    let whole = if rules.whole { &*page.starts } else { &[] };
    for start in whole {
        let space = start.space.as_deref().unwrap_or_default();
        let counts = match space.is_empty() {
            // Where there are no spaces, the end of the full pull sweeps as well.
            true => rules.from.is_some() || !list.is_empty(),
            false => is_in(list, space),
        };
        if counts {
            begun.insert(space, start.at);
            say(
                planner,
                SpaceEvent::Start {
                    scope: rules.scope.to_owned(),
                    space: space.to_owned(),
                    at: start.at,
                },
            );
        }
    }
    begun
}

/// Plans the end of spaces that have started from their beginning. A pending operation on a row that
/// has not come meets its deletion, unless the row may have been moved: a start does not say so, but
/// the remote does, when it gets the operation. Other such rows are dropped.
pub(super) fn end_starts(
    planner: &mut RowPlanner<'_>,
    page: &PullPage<'_>,
    rules: &PageRules<'_>,
    list: &[Joined],
    begun: &Begun,
) {
    let replica = planner.replica;
    let starts = replica.spaces().starts(rules.scope);
    if begun.is_empty() && starts.is_none() {
        return;
    }
    for queued in replica.outbox().iter() {
        let (op, key) = (&queued.op, Key::new(&queued.op.entity, &queued.op.id));
        let space = Table(key.entity).space().unwrap_or_default();
        let earlier = starts.and_then(|starts| starts.get(space));
        let (at, since) = match (begun.get(space), earlier) {
            (Some(at), _) => (*at, Seq::MAX),
            (None, Some(start)) => (start.at, start.since),
            (None, None) => continue,
        };
        let first = replica.outbox().chain(&key).next();
        let is_first = first.is_some_and(|first| first.op.op_id == op.op_id);
        // A tombstone with a body keeps it for an operation.
        let counts = |row: &Row| !row.deleted || row.body != RowBody::None;
        let lacks = |row: &Row| counts(row) && row.stamp < since && row.version <= at;
        let is_told = |change: &WireRow<'_>| change.id == key.id && change.is_of(key.entity);
        // The operations of a space that is left have become letters.
        if is_first
            && (space.is_empty() || is_in(list, space))
            && replica.row(&key).is_some_and(lacks)
            && replica.spaces().limbo_of(&key).is_none()
            && replica.receipts().restored().is_none()
            && concerns(rules.entities, key.entity)
            && !page.changes.iter().any(is_told)
        {
            let gone = RemoteRow::of(op, at, None, (rules.soft)(key.entity));
            if may_live_elsewhere(replica, page, list, &key) {
                planner.write_left(&gone);
            } else {
                planner.apply_remote_row(&gone, Tombstones::Apply);
            }
        }
    }
    say(
        planner,
        SpaceEvent::EndStarts {
            scope: rules.scope.to_owned(),
            entities: rules.entities.map(<[String]>::to_vec),
        },
    );
}

/// Returns true if a row may have been moved, as far as a pull that has ended tells: one of its id
/// lives in another table that the user may read.
fn may_live_elsewhere(
    replica: &Replica,
    page: &PullPage<'_>,
    list: &[Joined],
    key: &Key<'_>,
) -> bool {
    let entity = Table(key.entity).entity();
    let mut tables = tables(replica.entities(), entity).filter(|(table, _)| *table != key.entity);
    let mut changes = page.changes.iter().filter(|change| {
        let readable = (change.space.as_deref()).is_none_or(|space| is_in(list, space));
        change.entity == entity && change.id == key.id && readable && !change.is_of(key.entity)
    });
    changes.any(|change| !change.deleted)
        || tables.any(|(_, rows)| rows.get(key.id).is_some_and(|row| !row.deleted))
}

/// Notes how far the main pull has told everything. Without shared spaces, nothing asks for it.
pub(super) fn plan_passed(
    planner: &mut RowPlanner<'_>,
    page: &PullPage<'_>,
    rules: &PageRules<'_>,
    list: &[Joined],
    begun: &Begun,
) {
    if !rules.scope.is_empty() || list.is_empty() {
        return;
    }
    let mut passed: VecMap<u64> = VecMap::default();
    for change in &page.changes {
        let space = change.space.as_deref().unwrap_or_default();
        if space.is_empty() || is_in(list, space) {
            let most = passed.entry(space);
            *most = change.version.max(*most);
        }
    }
    for (space, version) in passed.iter() {
        let told = begun.get(space).copied();
        if told.or(planner.replica.spaces().passed(space)) < Some(*version) {
            say(
                planner,
                SpaceEvent::Passed {
                    space: space.to_owned(),
                    version: *version,
                },
            );
        }
    }
}

pub(super) fn is_in(list: &[Joined], space: &str) -> bool {
    list.iter().any(|joined| joined.space == space)
}

pub(super) fn say(planner: &mut RowPlanner<'_>, what: SpaceEvent) {
    planner.push_event(Event::Space { what });
}
