//! Plans local writes: the writes of many callers in one commit. Each group is written as a whole
//! or not at all, and each write becomes an operation, coalesced with a pending one if possible.

use std::borrow::Cow;
use std::rc::Rc;

use crate::log::commit::Commit;
use crate::model::draft::{Draft, parse_draft, parse_patch};
use crate::model::entity::{Fields, Key, Owner, not_found, push_entity};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::OperationKind;
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::local_only::Layer;
use crate::plan::trace::{Described, describe};
pub use crate::plan::write::groups::{Group, Outcomes, Write, Written};
use crate::plan::write::moves::move_to;
use crate::plan::write::place::Places;
use crate::plan::write::set_aside::SetAside;
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan;

pub mod all_or_none;
pub mod enqueue;
mod fields;
pub mod groups;
mod loaded;
mod moves;
mod place;
pub mod set_aside;

/// The changes of this commit so far to entities of one table.
#[derive(Default)]
pub(super) struct Overlay {
    /// Pending operations, as indexes into the commit's events; `None` if they cancelled each other
    /// out.
    ops: Layer<usize>,
    /// Fields that never leave the device.
    device: Layer<Rc<str>>,
}

/// The state of an entity before a write.
struct Current {
    exists: bool,
    version: u64,
    body: Option<Rc<str>>,
    /// The local-only fields, including those that a deleted entity has left behind.
    device: Option<Rc<str>>,
}

impl Current {
    /// Returns the body with the local-only fields, as the app has read them.
    fn whole(&self) -> Option<Cow<'_, str>> {
        let body = self.body.as_deref()?;
        Some(match &self.device {
            Some(device) => Cow::Owned(local_only::joined(body, device)),
            None => Cow::Borrowed(body),
        })
    }
}

/// Plans groups of local writes, in order.
#[derive(Debug)]
pub struct WritePlanner<'a> {
    pub groups: &'a [Group],
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for WritePlanner<'_> {
    type Output = Outcomes;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Outcomes>>> {
        Ok(plan_writes(replica, self.groups, &self.context))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::writes("write", self.groups, &self.context))
    }
}

pub(super) fn plan_writes(
    replica: &Replica,
    groups: &[Group],
    context: &PlanContext,
) -> Plan<Planned<Outcomes>> {
    let (mut commit, mut outcomes) = (Commit::default(), Outcomes::new());
    let mut overlays: VecMap<Overlay> = VecMap::default();
    let mut missing = SeqMap::default();
    let mut made = 0;
    let owner = Owner::new(replica.user_id());
    let offset = replica.facts().clock_offset;
    let now = crate::util::time::format(context.now.saturating_add_signed(offset));
    for group in groups {
        let before = commit.events.len();
        let mut attempt = Attempt {
            replica,
            owner: &owner,
            context,
            overlays: &mut overlays,
            group,
            events: &mut commit,
            missing: &mut missing,
            made: &mut made,
        };
        match group
            .writes
            .iter()
            .map(|write| attempt.write(write, &now))
            .collect()
        {
            Ok(written) => {
                for (_, overlay) in overlays.iter_mut() {
                    overlay.ops.keep();
                    overlay.device.keep();
                }
                outcomes.push(Ok(written));
            }
            Err(error) => {
                for (_, overlay) in overlays.iter_mut() {
                    overlay.ops.revert();
                    overlay.device.revert();
                }
                commit.events.truncate(before);
                outcomes.push(Err(error));
            }
        }
    }
    for (entity, overlay) in overlays
        .iter()
        .filter(|(_, overlay)| !overlay.device.now.is_empty())
    {
        let fields = overlay
            .device
            .now
            .iter()
            .map(|(id, text)| (id, text.as_deref()));
        commit.segments.push(local_only::written(entity, fields));
    }
    if missing.is_empty() {
        Plan::Ready(Planned::new(commit, outcomes))
    } else {
        Plan::Needs(missing.keys())
    }
}

struct Attempt<'a, 'm> {
    replica: &'a Replica,
    owner: &'a Owner,
    context: &'a PlanContext,
    overlays: &'m mut VecMap<Overlay>,
    group: &'a Group,
    events: &'m mut Commit,
    missing: &'m mut SeqMap<()>,
    made: &'m mut usize,
}

impl Attempt<'_, '_> {
    fn places(&self) -> Places<'_> {
        Places {
            replica: self.replica,
            overlays: self.overlays,
        }
    }

    /// Returns the table in which the group's writes find an entity.
    fn table(&self, id: &str) -> Cow<'_, str> {
        self.places().of(&self.group.entity, id)
    }

    fn write(&mut self, write: &Write, now: &str) -> Result<Written> {
        match write {
            Write::Create { draft } => self.create(draft, now),
            Write::Update { entity: body } => self.update(body, now),
            Write::Patch { id, changes } => {
                let table = self.table(id).into_owned();
                self.patch(&Key::new(&table, id), changes, now)
            }
            Write::PatchAndRemove {
                id,
                changes,
                removed,
            } => {
                let table = self.table(id).into_owned();
                let key = Key::new(&table, id);
                let patched = self.patch(&key, changes, now)?;
                self.remove_fields(&key, removed, patched, now)
            }
            Write::Move { id, to } => {
                let table = self.table(id).into_owned();
                move_to(self, &Key::new(&table, id), to.as_deref())
            }
            Write::Delete { id, soft } => {
                let table = self.table(id).into_owned();
                self.delete(&Key::new(&table, id), *soft)
            }
        }
    }

    fn create(&mut self, json: &str, now: &str) -> Result<Written> {
        let selected = Table(&self.group.entity);
        let given = self.group.without_loaded(json, None);
        let mut draft = given
            .and_then(|given| parse_draft(&given, now, &[], self.named()))
            .map_err(|e| e.on(selected.entity(), None))?;
        self.check_user(selected.entity(), &draft)?;
        let id = draft.id.take().unwrap_or_else(|| {
            let id = self.context.op_id(*self.made);
            *self.made = self.made.saturating_add(1);
            id
        });
        let space = match (selected.space(), draft.space_id.take()) {
            (Some(asked), Some(given)) if *asked != *given => {
                return Err(elsewhere().on(selected.entity(), Some(&id)));
            }
            (asked, given) => given.or(asked.map(str::to_owned)),
        };
        let space = space.filter(|space| !space.is_empty());
        let table = Table::name(selected.entity(), space.as_deref());
        let key = Key::new(&table, &id);
        let current = self.current(&key);
        if current.exists {
            return Err(Error::new(
                Code::AlreadyExists,
                "An entity with this id exists already; call `update` or leave the id out.",
            )
            .on(&table, Some(&id)));
        }
        self.put(&key, OperationKind::Create, draft, &current)
    }

    fn update(&mut self, json: &str, now: &str) -> Result<Written> {
        let fields = Fields::parse(json)?;
        let id = fields.get("id").and_then(scan::text).map(Cow::into_owned);
        let id = id.ok_or_else(|| {
            Error::new(
                Code::InvalidEntity,
                "`id` must be the string that `create` or `read` gave the entity.",
            )
            .on(&self.group.entity, None)
        })?;
        let mut table = self.table(&id).into_owned();
        // Of two entities with one id, the one that was read.
        let space = fields.get("spaceId").and_then(scan::text);
        if let (Some(space), None) = (space, Table(&self.group.entity).space()) {
            let other = Table::name(&self.group.entity, Some(&space)).into_owned();
            if self.current(&Key::new(&other, &id)).exists {
                table = other;
            }
        }
        self.replace(&Key::new(&table, &id), json, now)
    }

    /// Replaces an entity.
    fn replace(&mut self, key: &Key<'_>, json: &str, now: &str) -> Result<Written> {
        let current = self.current(key);
        let stored = current.whole();
        let given = self.group.with_kept(json, stored.as_deref());
        let draft = given
            .and_then(|given| parse_draft(&given, now, stored.as_deref().as_slice(), self.named()))
            .map_err(|e| e.on(key.entity, Some(key.id)))?;
        self.check_user(key.entity, &draft)?;
        if !current.exists {
            return Err(not_found(key));
        }
        check_space(key, &draft)?;
        self.put(key, OperationKind::Update, draft, &current)
    }

    fn patch(&mut self, key: &Key<'_>, changes: &str, now: &str) -> Result<Written> {
        let current = self.current(key);
        let stored = current.whole();
        let given = self.group.without_loaded(changes, stored.as_deref());
        let draft = given
            .and_then(|given| parse_patch(&given, now, stored.as_deref().unwrap_or("{}")))
            .map_err(|e| e.on(key.entity, Some(key.id)))?;
        self.check_user(key.entity, &draft)?;
        if draft.id.as_deref().is_some_and(|other| other != key.id) {
            return Err(Error::new(
                Code::InvalidEntity,
                "`id` cannot be changed by a patch; leave it out.",
            )
            .on(key.entity, Some(key.id)));
        }
        if !current.exists {
            return Err(not_found(key));
        }
        check_space(key, &draft)?;
        if current.body.is_none() {
            return Ok(Written::Absent);
        }
        self.put(key, OperationKind::Patch, draft, &current)
    }

    /// Removes fields of an entity that this group has just patched.
    fn remove_fields(
        &mut self,
        key: &Key,
        removed: &[String],
        patched: Written,
        now: &str,
    ) -> Result<Written> {
        let Current { body, device, .. } = self.current(key);
        let rest = match &body {
            Some(body) => fields::without(body, device.as_deref(), removed, key.id)?,
            None => None,
        };
        rest.map_or(Ok(patched), |rest| self.replace(key, &rest, now))
    }

    fn delete(&mut self, key: &Key<'_>, soft: bool) -> Result<Written> {
        let current = self.current(key);
        if !current.exists {
            return Ok(Written::Absent);
        }
        self.places().check(key, OperationKind::Delete)?;
        self.enqueue(key, OperationKind::Delete, None, Vec::new(), soft, &current);
        Ok(Written::Deleted(key.id.to_owned()))
    }

    fn put(
        &mut self,
        key: &Key,
        mut kind: OperationKind,
        mut draft: Draft,
        current: &Current,
    ) -> Result<Written> {
        self.places().check(key, kind)?;
        let mut beside = None;
        if !self.group.local_only.is_empty() || current.device.is_some() {
            beside = match self.set_aside(key, &mut kind, &mut draft, current)? {
                SetAside::Alone(entity) => return Ok(Written::Entity(entity)),
                SetAside::Beside(fields) => fields,
            };
        }
        if let Some(had) = self.unchanged(key, kind, &draft.body, current) {
            let entity = self.seen(key, had, beside.as_deref(), current.version);
            return Ok(Written::Entity(entity));
        }
        let body = match &self.group.schema {
            Some(field) => fields::in_form(field, draft.body, &mut kind, current.body.as_deref()),
            None => draft.body,
        };
        let body: Rc<str> = Rc::from(body);
        let entity = self.seen(key, &body, beside.as_deref(), current.version);
        self.enqueue(key, kind, Some(body), draft.fields, false, current);
        Ok(Written::Entity(entity))
    }

    /// Returns the stored body if a write changes nothing in it but its time: then nothing is
    /// queued. A write over a rejected one that is still shown is queued, because it replaces that
    /// one.
    fn unchanged<'c>(
        &self,
        key: &Key,
        kind: OperationKind,
        body: &str,
        current: &'c Current,
    ) -> Option<&'c str> {
        let had = current.body.as_deref().filter(|_| {
            current.exists
                && kind != OperationKind::Create
                && !self.group.ignore_kept_rejection
                && self.replica.kept_rejection(key).is_none()
        })?;
        fields::same_fields(had, body).then_some(had)
    }

    /// Returns true if the field names of a whole entity are needed, because some fields are
    /// local-only.
    fn named(&self) -> bool {
        !self.group.local_only.is_empty()
    }

    /// Returns the entity as the app sees it.
    fn seen(&self, key: &Key, body: &str, beside: Option<&str>, version: u64) -> String {
        let whole = beside.map(|beside| local_only::joined(body, beside));
        let body = whole.as_deref().unwrap_or(body);
        let mut entity = String::with_capacity(body.len().saturating_add(160));
        let space = Table(key.entity).space();
        let shared = space.map(|_| Owner::of(self.replica.user_id(), space));
        let owner = shared.as_ref().unwrap_or(self.owner);
        push_entity(&mut entity, body, key.id, owner, version, false);
        entity
    }

    /// Returns the local-only fields of an entity, as of this commit.
    fn device_of(&mut self, key: &Key) -> Option<Rc<str>> {
        match self
            .written(key)
            .and_then(|overlay| overlay.device.now.get(key.id))
        {
            Some(fields) => fields.clone(),
            None => self
                .replica
                .local_only_fields(key)
                .and_then(|fields| self.text_of(&fields)),
        }
    }

    /// Returns what this commit changes in a table.
    fn written(&self, key: &Key) -> Option<&Overlay> {
        self.overlays.get(key.entity)
    }

    /// Returns a body's text; `None` if it must be fetched first, which is noted.
    fn text_of(&mut self, body: &ViewBody<'_>) -> Option<Rc<str>> {
        match body {
            ViewBody::Text(text) => Some(Rc::from(*text)),
            ViewBody::Absent { segment, .. } => {
                self.missing.insert(*segment, ());
                None
            }
        }
    }

    fn check_user(&self, entity: &str, draft: &Draft) -> Result<()> {
        match &draft.user_id {
            Some(user) if user != self.replica.user_id() => Err(Error::new(
                Code::UserMismatch,
                "`userId` names another user than the one whose database this is; leave it out.",
            )
            .on(entity, draft.id.as_deref())),
            _ => Ok(()),
        }
    }
}

/// Checks that a write leaves an entity in its space.
fn check_space(key: &Key<'_>, draft: &Draft) -> Result<()> {
    let own = Table(key.entity).space().unwrap_or_default();
    match &draft.space_id {
        Some(space) if space != own => Err(elsewhere().on(key.entity, Some(key.id))),
        _ => Ok(()),
    }
}

fn elsewhere() -> Error {
    Error::new(
        Code::InvalidEntity,
        "The entity is in another space than `spaceId` says; read it again, or call `move`.",
    )
}
