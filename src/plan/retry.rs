//! Plans the retry of dead letters on top of the current state.

use std::borrow::Cow;
use std::rc::Rc;

use crate::conflict::field_hashes;
use crate::log::commit::Event;
use crate::log::facts::DeadLetter;
use crate::model::entity::{Fields, Key};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::trace::{Described, describe};
use crate::plan::write::{Group, Write, plan_writes};
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only::joined;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::state::view::ViewBody;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::sort::sort;
use crate::util::json::keep::keep;
use crate::util::json::write::put_text;

/// Queues a dead letter's write again, followed by the dead letters that were rejected because they
/// depend on it. The dead letters are removed in the same commit. A dependent that cannot be
/// written now stays a dead letter.
#[allow(missing_debug_implementations)]
pub struct RetryPlanner<'a> {
    /// The dead letter.
    pub id: &'a str,
    /// A body that replaces the rejected one.
    pub edited: Option<&'a str>,
    /// Returns the group for a write of an entity type.
    pub group: &'a dyn Fn(&str, Write) -> Group,
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for RetryPlanner<'_> {
    /// The reason why the dead letter itself cannot be written; then nothing is written.
    type Output = Option<Error>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Self::Output>>> {
        let ids = with_dependents(replica, self.id);
        let mut groups = Vec::new();
        let letters = ids.iter().filter_map(|id| replica.dead_letters().get(id));
        let moves: Vec<&DeadLetter> = letters.filter(|letter| letter.op.to.is_some()).collect();
        for id in &ids {
            let edited = self.edited.filter(|_| id == self.id);
            let (op, table, write) = match retried(replica, &moves, id, edited)? {
                Plan::Ready(retried) => retried,
                Plan::Needs(bodies) => return Ok(Plan::Needs(bodies)),
            };
            let asked = op.links.iter().filter(|link| link.asked);
            let mut group = Group {
                after: asked.map(|link| link.key.clone()).collect(),
                ignore_kept_rejection: true,
                ..(self.group)(&selection(table), write)
            };
            if edited.is_none() {
                // It was checked when it was written.
                group.relations = Rc::default();
            }
            groups.push(group);
        }
        Ok(plan_writes(replica, &groups, &self.context).map(|planned| {
            let mut commit = planned.commit;
            let mut outcomes = ids.iter().zip(planned.output);
            if let Some((_, Err(error))) = outcomes.next() {
                return Planned::nothing(Some(error));
            }
            let back = outcomes
                .filter(|(_, outcome)| outcome.is_ok())
                .map(|(id, _)| id.clone());
            let repeated = Repeated::of(&commit.events);
            for id in std::iter::once(self.id.to_owned()).chain(back) {
                if let Some(letter) = replica.dead_letters().get(&id) {
                    repeated.stand_for(letter, &mut commit.events);
                }
                commit.events.push(Event::Revive { id });
            }
            Planned::new(commit, None)
        }))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("retry", |out| {
            describe::put_context(out, &self.context);
            put_text(out, "id", self.id);
            describe::put_body(out, "data", self.edited);
        }))
    }
}

/// The operations of a commit that repeat letters, by what they write and by what they replace.
struct Repeated {
    /// The first one of an entity.
    first: OrderedMap<usize>,
    /// What has become of an operation: the place of the one that it is part of.
    parts: OrderedMap<usize>,
}

impl Repeated {
    fn of(events: &[Event]) -> Self {
        let (mut first, mut parts) = (OrderedMap::default(), OrderedMap::default());
        for (at, event) in events.iter().enumerate() {
            let Event::Queue { op, replaces, .. } = event else {
                continue;
            };
            let name = subject(op);
            if first.get(&name).is_none() {
                first.insert(&name, at);
            }
            for replaced in replaces {
                parts.insert(replaced, at);
            }
        }
        Self { first, parts }
    }

    /// Returns the place of the operation that repeats one: it may have become part of the one that
    /// repeats another letter.
    fn place(&self, was: &Operation, events: &[Event]) -> Option<usize> {
        let mut at = *self.first.get(&subject(was))?;
        while let Some(Event::Queue { op, .. }) = events.get(at) {
            match self.parts.get(&op.op_id).filter(|later| **later > at) {
                Some(later) => at = *later,
                None => break,
            }
        }
        Some(at)
    }

    /// Makes the operation that repeats a dead letter's safe from a duplicate of that one, which may
    /// come late and be applied: the remote remembers no refusal. It is the same operation, with the
    /// same id, if it says the same. Else it supersedes that one.
    fn stand_for(&self, letter: &DeadLetter, events: &mut [Event]) {
        let was = &letter.op;
        let Some(at) = self.place(was, events) else {
            return;
        };
        let Some(Event::Queue { op, .. }) = events.get_mut(at) else {
            return;
        };
        op.supersedes.extend_from_slice(&was.supersedes);
        op.earlier.extend_from_slice(&was.earlier);
        // Several writes that became one letter were not sent as one.
        let is_one = !was.supersedes.contains(&was.op_id) && letter.code != "opIdReused";
        if is_one && op.kind == was.kind && op.to == was.to && said(op) == said(was) {
            op.op_id.clone_from(&was.op_id);
        } else {
            op.supersedes.push(was.op_id.clone());
            op.earlier.extend(said(was));
        }
    }
}

/// Names what an operation is about: its entity, and where a move takes it.
fn subject(op: &Operation) -> String {
    [
        &op.entity,
        "\0",
        &op.id,
        "\0",
        op.to.as_deref().unwrap_or("\0"),
    ]
    .concat()
}

/// What an operation sends, as hashes.
fn said(op: &Operation) -> Vec<u64> {
    let only: &[String] = match op.kind {
        OperationKind::Patch => &op.fields,
        _ => &[],
    };
    let body = op.body.as_deref().filter(|_| op.to.is_none());
    let mut hashes = body.map_or_else(Vec::new, |body| field_hashes(body, only));
    sort(&mut hashes);
    hashes
}

/// Returns what selects a table alone: for that of the personal space, an empty space.
fn selection(table: &str) -> Cow<'_, str> {
    match Table(table).space() {
        None => Table::name(table, Some("")),
        Some(_) => Cow::Borrowed(table),
    }
}

/// Returns a dead letter and those that were rejected with it, in the order in which they were
/// queued.
fn with_dependents(replica: &Replica, id: &str) -> Vec<String> {
    let mut all = vec![id.to_owned()];
    all.extend(
        replica
            .dead_letters()
            .iter()
            .filter(|(_, letter)| letter.blocked_by.as_deref() == Some(id))
            .map(|(id, _)| id.to_owned()),
    );
    all
}

/// Returns the table in which a rejected operation is repeated, and whether its entity lives there:
/// now, or with one of the moves that are repeated too. An edit of an entity that was moved since goes to
/// where it is.
fn place<'a>(replica: &'a Replica, moves: &[&DeadLetter], op: &'a Operation) -> (&'a str, bool) {
    let lives = |table: &str| {
        let view = replica.synced_view(&Key::new(table, &op.id));
        view.is_some_and(|view| !view.deleted)
    };
    let comes = |letter: &&DeadLetter| {
        letter.op.id == op.id && letter.op.to.as_deref() == Some(op.entity.as_str())
    };
    if lives(&op.entity) || moves.iter().any(comes) {
        return (&op.entity, true);
    }
    let other = tables::find(replica, Table(&op.entity).entity(), &op.id);
    match other.filter(|table| op.base_version.is_some() && lives(table)) {
        Some(table) => (table, true),
        None => (&op.entity, false),
    }
}

/// Returns the local write that repeats a rejected operation, and the table that it is for. A patch
/// repeats only the fields that it had changed.
fn retried<'a>(
    replica: &'a Replica,
    moves: &[&DeadLetter],
    id: &str,
    edited: Option<&str>,
) -> Result<Plan<(&'a Operation, &'a str, Write)>> {
    let DeadLetter { op, .. } = replica.dead_letters().get(id).ok_or_else(no_letter)?;
    let (table, live) = place(replica, moves, op);
    let key = Key::new(table, &op.id);
    if let Some(to) = op.space_after_move() {
        let write = Write::Move {
            id: op.id.clone(),
            to: to.map(str::to_owned),
        };
        return Ok(Plan::Ready((op, table, write)));
    }
    let body = match (op.kind, op.body.as_deref()) {
        (OperationKind::Delete, _) | (_, None) if edited.is_some() => {
            return Err(Error::new(
                Code::InvalidArgument,
                "`edited`: a refused delete has nothing to edit; leave it out.",
            )
            .on(&op.entity, Some(&op.id)));
        }
        (OperationKind::Delete, _) | (_, None) => {
            let write = Write::Delete {
                id: op.id.clone(),
                soft: op.soft,
            };
            return Ok(Plan::Ready((op, table, write)));
        }
        // What the app did not edit keeps its text.
        (_, Some(body)) => edited.map_or(Cow::Borrowed(body), |edited| keep(body, edited)),
    };
    let mut fields = Fields::parse(&body)?;
    fields.0.retain(|(name, _)| {
        !matches!(
            name.as_ref(),
            "id" | "userId" | "version" | "isDeleted" | "modifiedAt"
        )
    });
    if live && op.kind == OperationKind::Patch {
        if edited.is_none() {
            fields
                .0
                .retain(|(name, _)| op.fields.iter().any(|field| *field == **name));
        }
        let write = Write::Patch {
            id: op.id.clone(),
            changes: fields.to_json(),
        };
        return Ok(Plan::Ready((op, table, write)));
    }
    // Local-only fields were not part of the operation, and are kept.
    let text = match replica.local_only_fields(&key) {
        None => fields.to_json(),
        Some(ViewBody::Text(beside)) => joined(beside, &fields.to_json()),
        Some(ViewBody::Absent { segment, .. }) => return Ok(Plan::Needs(vec![segment])),
    };
    let mut whole = text.trim_end().strip_suffix('}').unwrap_or("{").to_owned();
    put_text(&mut whole, "id", &op.id);
    whole.push('}');
    let write = if live {
        Write::Update { entity: whole }
    } else {
        Write::Create { draft: whole }
    };
    Ok(Plan::Ready((op, table, write)))
}

fn no_letter() -> Error {
    Error::new(
        Code::NotFound,
        "There is no such dead letter; it may have been dealt with in another tab.",
    )
}
