//! What the app decides: conflicts that were parked for it, and operations that the remote refused.

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::conflict::{Conflict, Decision, Resolution, same_content};
use crate::log::commit::{Commit, Event};
use crate::log::facts::{DeadLetter, Parked};
use crate::model::entity::{Key, parse_draft};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Kind, Operation};
use crate::plan::context::PlanContext;
use crate::plan::page::all_links;
use crate::plan::write::Write;
use crate::plan::{Need, Plan};
use crate::state::local_only::{joined, split};
use crate::state::replica::Replica;
use crate::state::view::ViewBody;

impl Replica {
    /// A parked conflict with all three sides as they are now: the remote's is the synced row,
    /// which moves on while the conflict waits.
    ///
    /// # Errors
    /// [`Code::NotFound`] where no such conflict waits.
    pub fn parked(&self, id: &str) -> Result<Plan<Conflict>> {
        let Some(parked) = self.conflicts.get(id) else {
            return Err(no_conflict());
        };
        let key = Key::new(&parked.entity, &parked.entity_id);
        let remote = match self.base_of(&key) {
            Ok(body) => body.map(Rc::from),
            Err(segment) => return Ok(Plan::Needs(Need::Bodies(vec![segment]))),
        };
        let Parked {
            id,
            entity,
            entity_id,
            kind,
            base,
            base_version,
            assumed,
            fields,
            detected_at,
            failed: _,
        } = parked.clone();
        let last = self.outbox.last(&key);
        Ok(Plan::Ready(Conflict {
            id,
            entity,
            entity_id,
            user_id: self.user_id.clone(),
            kind,
            base,
            base_version,
            assumed,
            local: last
                .filter(|op| op.kind != Kind::Delete)
                .and_then(|op| op.body.clone()),
            remote,
            remote_version: self.row(&key).map_or(0, |row| row.version),
            local_time: last
                .map_or(0, |op| op.queued_at)
                .saturating_add_signed(self.facts.clock_offset),
            fields,
            earlier: Vec::new(),
            unsettled: false,
            detected_at,
        }))
    }

    /// Plans what is decided of a parked conflict as it stands; nothing, where that is none.
    /// Answers the conflict too, for those who are told.
    ///
    /// # Errors
    /// [`Code::NotFound`] where no such conflict waits.
    pub fn plan_decision(
        &self,
        id: &str,
        decide: &mut dyn FnMut(&Conflict) -> Option<Decision>,
        context: &PlanContext,
    ) -> Result<Plan<(Conflict, Commit)>> {
        let conflict = match self.parked(id)? {
            Plan::Ready(conflict) => conflict,
            Plan::Needs(need) => return Ok(Plan::Needs(need)),
        };
        let key = Key::new(&conflict.entity, &conflict.entity_id);
        let ops: Vec<&Operation> = self.outbox.chain(&key).map(|queued| &queued.op).collect();
        let chain: Vec<String> = ops.iter().map(|op| op.op_id.clone()).collect();
        let mut commit = Commit::default();
        let Some(decision) = decide(&conflict) else {
            return Ok(Plan::Ready((conflict, commit)));
        };
        let body = match &decision.resolution {
            Resolution::Later => {
                let parked = self.conflicts.get(id).filter(|_| decision.failed).cloned();
                commit.events.extend(parked.map(|parked| Event::Park {
                    conflict: Parked {
                        failed: parked.failed.saturating_add(1),
                        ..parked
                    },
                }));
                return Ok(Plan::Ready((conflict, commit)));
            }
            Resolution::Remote => None,
            Resolution::Local => Some(conflict.local.clone()),
            Resolution::Merged(body)
                if conflict
                    .remote
                    .as_deref()
                    .is_some_and(|remote| same_content(remote, body)) =>
            {
                None
            }
            Resolution::Merged(body) => Some(Some(Rc::clone(body))),
        };
        commit.events.push(Event::Unpark { id: id.to_owned() });
        commit.explain(&conflict, &decision);
        // Something else stands than what was written here.
        let ours = conflict.local.as_deref();
        let merging =
            matches!(&body, Some(Some(body)) if !ours.is_some_and(|ours| same_content(ours, body)));
        if body.is_none() || merging {
            let receipt = self.receipts.get(&key).cloned().unwrap_or_default();
            let receipt = receipt.after_conflict(context.now, merging, conflict.remote_version);
            commit.events.push(Event::Receipt {
                entity: key.entity.to_owned(),
                id: key.id.to_owned(),
                receipt,
            });
        }
        match (body, self.outbox.last(&key)) {
            (Some(body), Some(last)) => {
                let kind = match (&body, &conflict.remote) {
                    (None, _) => Kind::Delete,
                    (Some(_), None) => Kind::Create,
                    (Some(_), Some(_)) => Kind::Update,
                };
                let op = Operation {
                    op_id: context.op_id(0),
                    entity: conflict.entity.clone(),
                    id: conflict.entity_id.clone(),
                    kind,
                    base_version: conflict.remote.as_ref().map(|_| conflict.remote_version),
                    body,
                    fields: Vec::new(),
                    queued_at: last.queued_at,
                    attempts: 0,
                    soft: last.soft,
                    supersedes: Vec::new(),
                    earlier: Vec::new(),
                    links: all_links(&ops),
                };
                commit.queue(op, chain);
            }
            _ => commit.events.push(Event::Dequeue { ops: chain }),
        }
        Ok(Plan::Ready((conflict, commit)))
    }

    /// The local write that says again what a refused operation said, on top of what is there now.
    ///
    /// `edited` replaces its body. A patch says again only what it had changed.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such dead letter; [`Code::InvalidArgument`] for an edit
    /// of a delete.
    pub fn retried(&self, id: &str, edited: Option<&str>) -> Result<Plan<(&Operation, Write)>> {
        let DeadLetter { op, .. } = self.dead_letters.get(id).ok_or_else(no_letter)?;
        let key = Key::new(&op.entity, &op.id);
        let live = self.synced_view(&key).is_some_and(|view| !view.deleted);
        let write = match (op.kind, op.body.as_deref()) {
            (Kind::Delete, _) | (_, None) if edited.is_some() => {
                return Err(Error::new(
                    Code::InvalidArgument,
                    "`edited`: a refused delete has nothing to edit; leave it out.",
                )
                .on(&op.entity, Some(&op.id)));
            }
            (Kind::Delete, _) | (_, None) => Write::Delete {
                id: op.id.clone(),
                soft: op.soft,
            },
            (kind, Some(body)) => {
                let mut fields = crate::model::entity::Fields::parse(edited.unwrap_or(body))?;
                fields.0.retain(|(name, _)| {
                    !matches!(
                        name.as_ref(),
                        "id" | "userId" | "version" | "isDeleted" | "modifiedAt"
                    )
                });
                if live && kind == Kind::Patch && edited.is_none() {
                    fields
                        .0
                        .retain(|(name, _)| op.fields.iter().any(|field| *field == **name));
                }
                let text = fields.to_json();
                if live && kind == Kind::Patch {
                    Write::Patch {
                        id: op.id.clone(),
                        changes: text,
                    }
                } else {
                    let mut quoted = String::new();
                    crate::util::json::write::push_string(&mut quoted, &op.id);
                    // The fields that never leave the device were no part of the operation, and
                    // stay.
                    let text = match self.local_only_fields(&key) {
                        None => text,
                        Some(ViewBody::Text(beside)) => joined(beside, &text),
                        Some(ViewBody::Absent { segment, .. }) => {
                            return Ok(Plan::Needs(Need::Bodies(vec![segment])));
                        }
                    };
                    let mut whole = text.trim_end().strip_suffix('}').unwrap_or("{").to_owned();
                    crate::util::json::write::push_field(&mut whole, "id", &quoted);
                    whole.push('}');
                    if live {
                        Write::Update { entity: whole }
                    } else {
                        Write::Create { draft: whole }
                    }
                }
            }
        };
        Ok(Plan::Ready((op, write)))
    }

    /// A dead letter and those that were buried with it, in the order in which they were queued.
    #[must_use]
    pub fn with_dependents(&self, id: &str) -> Vec<String> {
        let mut all = vec![id.to_owned()];
        all.extend(
            self.dead_letters
                .iter()
                .filter(|(_, letter)| letter.blocked_by.as_deref() == Some(id))
                .map(|(id, _)| id.to_owned()),
        );
        all
    }
}

/// A merged entity that the app has given, as it is stored.
///
/// # Errors
/// What is wrong with it: [`Code::InvalidEntity`].
pub fn merged(
    conflict: (&str, &str),
    given: &str,
    now: u64,
    local_only: &[String],
) -> Result<Resolution> {
    let (entity, id) = conflict;
    let draft = parse_draft(given, &crate::util::time::format(now), None, false)
        .map_err(|error| error.on(entity, Some(id)))?;
    if draft.id.as_deref().is_some_and(|other| other != id) {
        return Err(Error::new(
            Code::InvalidEntity,
            "The merged entity has another `id` than those that clash; leave it as it is.",
        )
        .on(entity, Some(id)));
    }
    Ok(Resolution::Merged(Rc::from(
        split(&draft.body, local_only)?.0,
    )))
}

impl Commit {
    /// Says why a conflict ended as it did, where it has ended.
    pub(super) fn explain(&mut self, conflict: &Conflict, decision: &Decision) {
        if !decision.explanation.is_empty() {
            let text = Rc::clone(&decision.explanation);
            self.events.push(Event::Explained {
                what: Explained {
                    entity: conflict.entity.clone(),
                    id: conflict.entity_id.clone(),
                    text,
                },
            });
        }
    }
}

fn no_conflict() -> Error {
    Error::new(
        Code::NotFound,
        "No such conflict waits for a decision; it may have been decided in another tab.",
    )
}

fn no_letter() -> Error {
    Error::new(
        Code::NotFound,
        "There is no such dead letter; it may have been dealt with in another tab.",
    )
}
