//! Offers writes again to a server that was restored from an older state: writes of this device
//! that the server acknowledged and then lost.
//!
//! The offer is planned in the commit that applies the row which shows the loss, because that
//! commit overwrites the data to offer. A crash between two commits therefore loses nothing and
//! offers nothing twice: an entity that was compared is no longer suspect, and an offer is an
//! ordinary operation. It gets a new id, because a late reply to the old operation must not settle
//! it, and because its body may differ.

use std::rc::Rc;

use crate::conflict::{self, Conflict, Resolution, same_content};
use crate::log::commit::{Commit, Event};
use crate::log::receipt::{Receipt, Restored};
use crate::log::spaces::SpaceEvent;
use crate::model::entity::{Key, times};
use crate::model::error::Result;
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::Table;
use crate::plan::remote_row::earlier_field_hashes;
use crate::plan::row_planner::{RemoteRow, RowPlanner, Tombstones, conflict_kind};
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::receipts::KEEP_MS;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::json::write::{put, put_text};
use crate::util::time;

pub(super) mod missing;

/// Plans the start of a new epoch. Plans nothing if another tab has already started it.
#[derive(Debug)]
pub struct EpochPlanner<'a> {
    /// The previous epoch.
    pub left: &'a str,
    /// The new one.
    pub epoch: &'a str,
    /// The last version that both histories share, if the server knows it.
    pub kept: Option<u64>,
    /// That of each shared space.
    pub kept_in: Vec<(&'a str, u64)>,
    /// This device's clock, in milliseconds since 1970.
    pub now: u64,
}

impl Planner for EpochPlanner<'_> {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        let mut commit = Commit::default();
        if replica.facts().epoch.as_deref() == Some(self.left) {
            let kept = self.kept_in.iter().map(|(space, version)| Event::Space {
                what: SpaceEvent::Kept {
                    space: (*space).to_owned(),
                    version: *version,
                },
            });
            commit.events.extend(kept);
            commit.events.push(Event::Epoch {
                epoch: self.epoch.to_owned(),
                restored: Some(Restored {
                    kept: self.kept,
                    since: self.now.saturating_sub(KEEP_MS),
                }),
            });
        }
        Ok(Plan::Ready(Planned::new(commit, ())))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("epoch", |out| {
            put(out, "now", &self.now);
            put_text(out, "left", self.left);
            put_text(out, "epoch", self.epoch);
            put(out, "kept", &self.kept);
            describe::put_kept(out, &self.kept_in);
        }))
    }
}

impl RowPlanner<'_> {
    /// Applies a row in which the server may have lost this device's writes. `held` is the body
    /// stored here.
    pub(super) fn apply_restored_row(
        &mut self,
        receipt: &Receipt,
        held: Option<Rc<str>>,
        chain: &[&Operation],
        row: &RemoteRow<'_>,
        tombstones: Tombstones,
    ) {
        let offer;
        let last = match chain.last() {
            Some(last) => *last,
            // Only the device that deleted the row deletes it again.
            None if held.is_none() && !receipt.deleted => {
                return self.write_row(row, tombstones);
            }
            None => {
                offer = self.offer(row, receipt, held.clone());
                &offer
            }
        };
        let same = match (last.body.as_deref(), row.body) {
            (Some(ours), Some(theirs)) => same_content(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if same {
            return self.write_row(row, Tombstones::Apply);
        }
        if self.is_older(row, receipt, held.as_deref()) {
            // Our state was built on that row, so there is no conflict.
            self.write_row(row, Tombstones::Apply);
            return self.offer_again(last, chain, row, last.body.clone());
        }
        // Somebody has written since. Only this device's own values compete with that write.
        let own = (!receipt.whole).then_some(&*receipt.field_hashes);
        let base = held
            .as_deref()
            .and_then(|held| Self::acknowledged(held, own, row, chain, &receipt.field_hashes));
        if let (Some(ours), Some(theirs)) = (last.body.as_deref(), row.body)
            && chain.is_empty()
            && conflict::is_own(base.as_deref(), Some(theirs), ours, &[])
        {
            return self.write_row(row, tombstones);
        }
        let mut known = earlier_field_hashes(chain);
        known.extend_from_slice(&receipt.field_hashes);
        let conflict = self.conflict_after_restore(row, last, base, known);
        match self.decisions.made.get(&conflict.id).cloned() {
            None => self.undecided.push(conflict),
            Some(decision) if !chain.is_empty() => self.resolve(conflict, decision, chain, row),
            Some(decision) => {
                if decision.resolution == Resolution::Later {
                    // A conflict that waits for a decision keeps its operation in the outbox.
                    self.commit.queue(last.clone(), Vec::new());
                }
                let before = self.commit.events.len();
                self.resolve(conflict, decision, &[last], row);
                let mut made = self.commit.events.iter().skip(before);
                let offers =
                    made.any(|event| matches!(event, Event::Queue { .. } | Event::Park { .. }));
                self.count_offer(offers);
            }
        }
    }

    fn conflict_after_restore(
        &self,
        row: &RemoteRow<'_>,
        last: &Operation,
        base: Option<String>,
        earlier: Vec<u64>,
    ) -> Conflict {
        let local = last.body.clone();
        Conflict {
            id: format!("{}/{}:{}", row.entity, row.id, row.version),
            entity: row.entity.to_owned(),
            entity_id: row.id.to_owned(),
            user_id: self.replica.user_id().to_owned(),
            kind: conflict_kind(local.is_some(), row.body.is_some()),
            fields: conflict::clashing_fields(
                base.as_deref(),
                local.as_deref(),
                row.body,
                &earlier,
            ),
            base: base.map(Rc::from),
            base_version: 0,
            assumed: true,
            earlier,
            unsettled: false,
            local,
            remote: row.body.map(Rc::from),
            remote_version: row.version,
            local_time: last.queued_at.saturating_add_signed(self.offset()),
            detected_at: self.context.now,
        }
    }

    /// Queues our state for the server, in place of the pending operations.
    fn offer_again(
        &mut self,
        last: &Operation,
        chain: &[&Operation],
        row: &RemoteRow<'_>,
        body: Option<Rc<str>>,
    ) {
        let replaced = chain.iter().map(|op| op.op_id.clone()).collect();
        let op = self.winner(last, chain, row, body);
        self.count_offer(chain.is_empty());
        self.commit.queue(op, replaced);
    }

    pub(super) fn count_offer(&mut self, offers: bool) {
        let offered = &mut self.incoming.offered;
        *offered = offered.saturating_add(u64::from(offers));
    }

    /// Returns the body of the synced row: `Some(None)` if there is no live row, `None` if the body
    /// must be fetched first.
    pub(super) fn held(&mut self, key: &Key) -> Option<Option<Rc<str>>> {
        let row = self.replica.row(key).filter(|row| !row.deleted);
        match row.and_then(|row| self.replica.body_of(row)) {
            None => Some(None),
            Some(ViewBody::Text(text)) => Some(Some(Rc::from(text))),
            Some(ViewBody::Absent { segment, .. }) => {
                self.missing.insert(segment, ());
                None
            }
        }
    }

    /// Returns our state as an operation. It has the entity's age, so that later writes win over
    /// it.
    fn offer(
        &mut self,
        row: &RemoteRow<'_>,
        receipt: &Receipt,
        body: Option<Rc<str>>,
    ) -> Operation {
        let written = body
            .as_deref()
            .and_then(|body| written_at(body, self.offset()));
        let kind = if body.is_some() {
            OperationKind::Update
        } else {
            OperationKind::Delete
        };
        let queued_at = written.unwrap_or(receipt.at);
        Operation {
            base_version: Some(row.version),
            soft: row.soft,
            ..Operation::new(self.op_id(), row.key(), kind, body, queued_at)
        }
    }

    /// Returns true if the row is an earlier state of our entity.
    fn is_older(&self, row: &RemoteRow<'_>, receipt: &Receipt, held: Option<&str>) -> bool {
        let restored = self.replica.receipts().restored();
        let kept = match Table(row.entity).space() {
            None => restored.and_then(|restored| restored.kept),
            Some(space) => self.replica.spaces().kept().get(space).copied(),
        };
        if let Some(kept) = kept
            && row.version <= kept
        {
            return true;
        }
        let theirs = row.body.and_then(modified_at);
        match held {
            // Offered again by a device that had not seen the delete, or older than everything.
            None => theirs
                .is_some_and(|theirs| theirs < receipt.at.saturating_add_signed(self.offset())),
            // The server cannot tell, so the times decide, but only if the row has no foreign value
            // that is unknown here.
            Some(held) => {
                let unknown = restored.is_some() && kept.is_none();
                let known = || {
                    row.body.is_some_and(|theirs| {
                        conflict::is_own(None, Some(held), theirs, &receipt.field_hashes)
                    })
                };
                unknown && row.version < receipt.version && theirs < modified_at(held) && known()
            }
        }
    }

    /// Returns the base of pending edits over a row that the server may lack: the held row without
    /// the values that compete with the server's. Those that lie under an edit are as old as the
    /// held row, not as the edit: they compete with no value that others have written since. `own`
    /// and `older` are as in [`conflict::of_others`].
    pub(super) fn acknowledged(
        held: &str,
        own: Option<&[u64]>,
        row: &RemoteRow<'_>,
        chain: &[&Operation],
        older: &[u64],
    ) -> Option<String> {
        let is_older = !chain.is_empty() && modified_at(held) < row.body.and_then(modified_at);
        conflict::of_others(held, own, row.body, is_older.then_some(older))
    }

    fn offset(&self) -> i64 {
        self.replica.facts().clock_offset
    }
}

/// Returns when an entity was written, by this device's clock, which is off by `offset`.
pub(super) fn written_at(body: &str, offset: i64) -> Option<u64> {
    modified_at(body).map(|at| at.saturating_add_signed(offset.saturating_neg()))
}

fn modified_at(body: &str) -> Option<u64> {
    times(body)
        .modified_at
        .and_then(|written| time::parse(&written))
}
