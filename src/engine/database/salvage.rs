//! A log that was lost under an open instance: its outbox is saved into the new one, and kept in
//! memory until that is done.

use std::fmt;
use std::rc::Rc;

use crate::conflict::field_hashes;
use crate::engine::database::{Database, Gone, MAX_STALE, Source, load, overtaken};
use crate::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use crate::log::facts::DeadLetter;
use crate::model::config::storage::Durability;
use crate::model::entity::{Fields, Key, OwnedKey};
use crate::model::error::{Code, Result};
use crate::model::operation::{Kind, Operation, UNKNOWN};
use crate::ports::host::Host;
use crate::ports::store::Store;

/// What a lost log had and nobody else has.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    /// Which history the bases are of.
    epoch: Option<String>,
    ops: Vec<Operation>,
    /// The rows that those were made against: without them a merge could only guess.
    bases: Vec<(OwnedKey, u64, Rc<str>)>,
    /// Fields that never leave the device.
    fields: Vec<SegmentWrite>,
    letters: Vec<DeadLetter>,
}

impl Unsaved {
    /// Where they are of another history than this, they have no versions that mean anything in it.
    fn enter(&mut self, epoch: Option<&str>) {
        let Some(epoch) = epoch.filter(|epoch| self.epoch.as_deref() != Some(*epoch)) else {
            return;
        };
        if self.epoch.replace(epoch.to_owned()).is_some() {
            self.ops.iter_mut().for_each(|op| op.forget_base(UNKNOWN));
            self.bases
                .iter_mut()
                .for_each(|(_, version, _)| *version = UNKNOWN);
        }
    }

    /// Whether there is nothing to save.
    pub(super) const fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.fields.is_empty() && self.letters.is_empty()
    }
}

/// Hears that the log is gone.
#[derive(Clone, Default)]
pub(super) struct OnGone(Option<Rc<dyn Fn(Gone)>>);

impl fmt::Debug for OnGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnGone")
    }
}

impl<S: Store, H: Host> Database<S, H> {
    /// Has it told when the log is gone.
    pub fn on_gone(&self, heard: Rc<dyn Fn(Gone)>) {
        *self.gone.borrow_mut() = OnGone(Some(heard));
    }

    pub(super) fn tell_gone(&self, gone: Gone) {
        let heard = self.gone.borrow().clone();
        if let OnGone(Some(heard)) = heard {
            heard(gone);
        }
    }

    /// The log was lost under this instance: begins a new one, and saves into it the operations
    /// that this instance still knows, and the fields that no server has. Rows come again with the
    /// next pull.
    pub(super) async fn salvage_in_turn(&self) -> Result<()> {
        let known: Vec<Operation> = self.read(|replica| {
            replica
                .outbox()
                .iter()
                .map(|queued| queued.op.clone())
                .collect()
        });
        // Kept here until they are durable again: the state that held them is about to go. Where
        // saving was tried before and failed, what is kept already is still known as well: once is
        // enough.
        self.read(|replica| {
            let mut unsaved = self.unsaved.borrow_mut();
            unsaved.enter(replica.facts().epoch.as_deref());
            let Unsaved {
                epoch: _,
                ops,
                bases,
                fields,
                letters,
            } = &mut *unsaved;
            add(
                letters,
                replica.dead_letters().values().cloned(),
                |letter| &letter.op.op_id,
            );
            add(ops, known.into_iter(), |op| &op.op_id);
            add(bases, replica.bases().into_iter(), |(key, ..)| key);
            add(
                fields,
                replica.local_only_segments().into_iter(),
                |segment| segment,
            );
        });
        self.save_in_turn().await
    }

    /// Saves the operations of a lost log. Another tab may be doing the same: whoever is second
    /// loads what the first has saved, and adds what is missing.
    pub(super) async fn save_in_turn(&self) -> Result<()> {
        let (user_id, moment) = (
            self.read(|replica| replica.user_id().to_owned()),
            self.plan_context(),
        );
        for _ in 0..MAX_STALE {
            // Another tab may have wiped it on purpose, and said so.
            self.check_open()?;
            let fresh = load(&self.store, &user_id, self.budget)
                .await
                .map_err(|error| self.heed(error))?;
            self.replace(fresh);
            let epoch = self.read(|replica| replica.facts().epoch.clone());
            self.unsaved.borrow_mut().enter(epoch.as_deref());
            let mut commit = Commit {
                segments: self.unsaved.borrow().fields.clone(),
                events: Vec::new(),
            };
            for (key, version, body) in &self.unsaved.borrow().bases {
                // A row that another tab has pulled meanwhile is newer.
                if self.read(|replica| replica.row_version(&key.as_key()).is_none()) {
                    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
                    let entry = Entry {
                        id: key.id.clone(),
                        version: *version,
                        len,
                        ..Entry::default()
                    };
                    let body = SegmentBody::New(Rc::from(body.as_bytes()));
                    commit.segments.push(SegmentWrite {
                        entity: key.entity.clone(),
                        entries: vec![entry],
                        body,
                    });
                }
            }
            // What the new log has to say of an entity was not made on top of what this instance
            // knew.
            let mut late: Vec<Operation> = Vec::new();
            for (place, op) in self.unsaved.borrow().ops.iter().enumerate() {
                // One that a later edit in another tab carries along already would undo that edit.
                if self.read(|replica| replica.outbox().knows(&op.op_id)) {
                    continue;
                }
                let same = |other: &&Operation| other.entity == op.entity && other.id == op.id;
                let last = late.iter().rev().find(same).cloned();
                let last = last.or_else(|| {
                    self.read(|replica| {
                        replica
                            .outbox()
                            .last(&Key::new(&op.entity, &op.id))
                            .cloned()
                    })
                });
                match last {
                    None => commit.queue(op.clone(), Vec::new()),
                    Some(last) => {
                        if let Some(op) = behind(op, &last, moment.op_id(place)) {
                            commit.queue(op.clone(), Vec::new());
                            late.push(op);
                        }
                    }
                }
            }
            let mut letters = self.unsaved.borrow().letters.clone();
            letters.retain(|letter| {
                self.read(|replica| !replica.dead_letters().contains(&letter.op.op_id))
            });
            if !letters.is_empty() {
                commit.events.push(Event::DeadLetters { letters });
            }
            commit.events.push(Event::NeedFullPull);
            self.read(|replica| {
                replica.note_first_epoch(self.unsaved.borrow().epoch.as_deref(), &mut commit)
            });
            let saved = match self
                .append(commit.into(), Durability::Strict, Source::OtherTab)
                .await
            {
                // Lost once more, just now.
                Err(error) if error.code() == Code::StorageLost => continue,
                saved => saved.map_err(|error| self.heed(error))?,
            };
            if saved {
                let ops: Vec<String> = self
                    .unsaved
                    .take()
                    .ops
                    .iter()
                    .map(|op| op.op_id.clone())
                    .collect();
                // They may be on their way since before the log was lost: nothing is coalesced into
                // them.
                self.update(|replica| replica.outbox_mut().mark_left(&ops));
                let saved = ops.len();
                self.tell_gone(Gone::Lost(saved));
                return Ok(());
            }
        }
        Err(overtaken())
    }
}

/// Adds what is not kept already, by what names it.
fn add<T, K: PartialEq>(kept: &mut Vec<T>, more: impl Iterator<Item = T>, name: impl Fn(&T) -> &K) {
    let before = kept.len();
    for one in more {
        if !kept
            .iter()
            .take(before)
            .any(|kept| name(kept) == name(&one))
        {
            kept.push(one);
        }
    }
}

/// An operation of a lost log behind another that knows nothing of it: what it changed, where the
/// other has not changed the same later. None where nothing of it is left.
fn behind(op: &Operation, last: &Operation, op_id: String) -> Option<Operation> {
    let body = match (op.body.as_deref(), last.body.as_deref()) {
        // An edit says more than a delete.
        (None, Some(_)) => return None,
        (_, None) => return Some(op.clone()),
        (Some(body), Some(_)) => body,
    };
    // What cannot be read is saved as it is: the push says what is wrong with it.
    let (Ok(mut fields), Ok(written)) = (Fields::parse(last.body.as_deref()?), Fields::parse(body))
    else {
        return Some(op.clone());
    };
    let mut changed = Vec::new();
    for (name, value) in written.0 {
        let concerned = op.kind != Kind::Patch || op.fields.iter().any(|field| *field == *name);
        if !concerned || matches!(name.as_ref(), "createdAt" | "modifiedAt") {
            continue;
        }
        match fields.0.iter_mut().find(|(have, _)| *have == name) {
            Some((_, have)) if *have == value || op.queued_at <= last.queued_at => continue,
            Some(place) => place.1 = value,
            None => fields.0.push((name.clone(), value)),
        }
        changed.push(name.into_owned());
    }
    let mut earlier = op.earlier.clone();
    earlier.extend(field_hashes(body, &op.fields));
    let mut supersedes = op.supersedes.clone();
    supersedes.push(op.op_id.clone());
    (!changed.is_empty()).then(|| Operation {
        op_id,
        kind: Kind::Patch,
        base_version: last.base_version,
        body: Some(Rc::from(fields.to_json())),
        fields: changed,
        supersedes,
        earlier,
        attempts: 0,
        ..op.clone()
    })
}
