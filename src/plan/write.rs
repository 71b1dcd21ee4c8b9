//! Plans local writes: the writes of many callers in one commit. Each group is written as a whole
//! or not at all, and each write becomes an operation, coalesced with a pending one if possible.

use std::borrow::Cow;
use std::rc::Rc;

use crate::log::commit::Commit;
use crate::model::draft::{Draft, parse_draft, parse_patch};
use crate::model::entity::{Fields, Key, OwnedKey, Owner, not_found, push_entity};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{OperationKind, Parent};
use crate::plan::context::PlanContext;
use crate::plan::local_only::Layer;
use crate::plan::write::set_aside::SetAside;
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan;

pub mod enqueue;
mod fields;
pub mod set_aside;

/// One write of the app. Bodies are the app's JSON text.
#[derive(Debug, Clone)]
pub enum Write {
    /// Creates an entity.
    Create { draft: String },
    /// Replaces an entity.
    Update {
        /// The entity, with its id.
        entity: String,
    },
    /// Changes some fields.
    Patch {
        id: String,
        /// The changed fields.
        changes: String,
    },
    /// Changes some fields and removes others. On the wire it is an update, since a patch there
    /// removes nothing.
    PatchAndRemove {
        id: String,
        /// The changed fields.
        changes: String,
        /// The names of the removed fields.
        removed: Vec<String>,
    },
    /// Deletes an entity.
    Delete {
        id: String,
        /// The body stays readable under `includeDeleted`.
        soft: bool,
    },
}

/// The writes of one call: all of them succeed, or none.
#[derive(Debug, Clone)]
pub struct Group {
    /// The entity type.
    pub entity: String,
    /// The writes, in order.
    pub writes: Vec<Write>,
    /// The fields of this type that never leave the device.
    pub local_only: Rc<[String]>,
    /// A field of this type is summed: nothing is coalesced into an operation that any tab may have
    /// sent.
    pub sums: bool,
    /// The parent types that its foreign keys refer to.
    pub parents: Rc<[Parent]>,
    /// Entities whose operations are sent first.
    pub after: Rc<[OwnedKey]>,
    /// The write replaces a kept rejection instead of building on it.
    pub ignore_kept_rejection: bool,
}

/// The result of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The entity as the app now sees it.
    Entity(String),
    /// The id of the deleted entity.
    Deleted(String),
    /// There was no entity to delete.
    Absent,
}

/// One outcome for each group, in order. The commit contains the successful ones.
pub type Outcomes = Vec<Result<Vec<Written>>>;

/// The changes of this commit so far to entities of one type.
#[derive(Default)]
struct Overlay {
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
    let now = crate::util::time::format(
        context
            .now
            .saturating_add_signed(replica.facts().clock_offset),
    );
    for group in groups {
        let before = commit.events.len();
        let mut attempt = Attempt {
            replica,
            owner: &owner,
            context,
            overlay: overlays.entry(&group.entity),
            group,
            events: &mut commit,
            missing: &mut missing,
            made: &mut made,
        };
        match group
            .writes
            .iter()
            .map(|write| attempt.write(&group.entity, write, &now))
            .collect()
        {
            Ok(written) => {
                attempt.overlay.ops.keep();
                attempt.overlay.device.keep();
                outcomes.push(Ok(written));
            }
            Err(error) => {
                attempt.overlay.ops.revert();
                attempt.overlay.device.revert();
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
    overlay: &'m mut Overlay,
    group: &'a Group,
    events: &'m mut Commit,
    missing: &'m mut SeqMap<()>,
    made: &'m mut usize,
}

impl Attempt<'_, '_> {
    fn write(&mut self, entity: &str, write: &Write, now: &str) -> Result<Written> {
        match write {
            Write::Create { draft } => self.create(entity, draft, now),
            Write::Update { entity: body } => self.update(entity, body, now),
            Write::Patch { id, changes } => self.patch(entity, id, changes, now),
            Write::PatchAndRemove {
                id,
                changes,
                removed,
            } => {
                let patched = self.patch(entity, id, changes, now)?;
                self.remove_fields(&Key::new(entity, id), removed, patched, now)
            }
            Write::Delete { id, soft } => Ok(self.delete(entity, id, *soft)),
        }
    }

    fn create(&mut self, entity: &str, json: &str, now: &str) -> Result<Written> {
        let mut draft =
            parse_draft(json, now, &[], self.named()).map_err(|e| e.on(entity, None))?;
        self.check_user(entity, &draft)?;
        let id = draft.id.take().unwrap_or_else(|| {
            let id = self.context.op_id(*self.made);
            *self.made = self.made.saturating_add(1);
            id
        });
        let key = Key::new(entity, &id);
        let current = self.current(&key);
        if current.exists {
            return Err(Error::new(
                Code::AlreadyExists,
                "An entity with this id exists already; call `update` or leave the id out.",
            )
            .on(entity, Some(&id)));
        }
        self.put(&key, OperationKind::Create, draft, &current)
    }

    fn update(&mut self, entity: &str, json: &str, now: &str) -> Result<Written> {
        let id = Fields::parse(json)?
            .get("id")
            .and_then(scan::text)
            .map(Cow::into_owned);
        let id = id.ok_or_else(|| {
            Error::new(
                Code::InvalidEntity,
                "`id` must be the string that `create` or `read` gave the entity.",
            )
            .on(entity, None)
        })?;
        let key = Key::new(entity, &id);
        let current = self.current(&key);
        let stored = current.whole();
        let draft = parse_draft(json, now, stored.as_deref().as_slice(), self.named())
            .map_err(|e| e.on(entity, Some(&id)))?;
        self.check_user(entity, &draft)?;
        if !current.exists {
            return Err(not_found(&key));
        }
        self.put(&key, OperationKind::Update, draft, &current)
    }

    fn patch(&mut self, entity: &str, id: &str, changes: &str, now: &str) -> Result<Written> {
        let key = Key::new(entity, id);
        let current = self.current(&key);
        let stored = current.whole();
        let draft = parse_patch(changes, now, stored.as_deref().unwrap_or("{}"))
            .map_err(|e| e.on(entity, Some(id)))?;
        self.check_user(entity, &draft)?;
        if draft.id.as_deref().is_some_and(|other| other != id) {
            return Err(Error::new(
                Code::InvalidEntity,
                "`id` cannot be changed by a patch; leave it out.",
            )
            .on(entity, Some(id)));
        }
        if !current.exists {
            return Err(not_found(&key));
        }
        if current.body.is_none() {
            return Ok(Written::Absent);
        }
        self.put(&key, OperationKind::Patch, draft, &current)
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
        rest.map_or(Ok(patched), |rest| self.update(key.entity, &rest, now))
    }

    fn delete(&mut self, entity: &str, id: &str, soft: bool) -> Written {
        let key = Key::new(entity, id);
        let current = self.current(&key);
        if !current.exists {
            return Written::Absent;
        }
        self.enqueue(
            &key,
            OperationKind::Delete,
            None,
            Vec::new(),
            soft,
            &current,
        );
        Written::Deleted(id.to_owned())
    }

    fn put(
        &mut self,
        key: &Key,
        mut kind: OperationKind,
        mut draft: Draft,
        current: &Current,
    ) -> Result<Written> {
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
        let body: Rc<str> = Rc::from(draft.body);
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
        push_entity(&mut entity, body, key.id, self.owner, version, false);
        entity
    }

    /// Returns the local-only fields of an entity, as of this commit.
    fn device_of(&mut self, key: &Key) -> Option<Rc<str>> {
        match self.overlay.device.now.get(key.id) {
            Some(fields) => fields.clone(),
            None => self
                .replica
                .local_only_fields(key)
                .and_then(|fields| self.text_of(&fields)),
        }
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
