//! Verdicts about rows of shared spaces: which may be filed, and what was moved or taken back.

use crate::conflict::changed_field_hashes;
use crate::log::commit::{Entry, Event};
use crate::log::receipt::Receipt;
use crate::log::spaces::{Limbo, SpaceEvent};
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::Table;
use crate::plan::hand_over::{Delivery, HandedOver, hand_over};
use crate::plan::membership::{NOT_MEMBER, awaits_creation, is_end};
use crate::plan::rejection::DISCARDED;
use crate::plan::row_planner::{RemoteRow, RowWritten, Tombstones};
use crate::plan::verdicts::Settling;
use crate::state::rows::Row;

impl Settling<'_> {
    /// Returns true if the user may read the space of a table, as far as is known here. Before the
    /// first list, nothing contradicts the verdict; the list drops what it does not name.
    fn is_readable(&self, table: &str) -> bool {
        let spaces = self.replica.spaces();
        Table(table).space().is_none_or(|space| {
            spaces.listed_at() == 0
                || spaces.role(space).is_some()
                || self.made.iter().any(|made| made == space)
                || awaits_creation(self.replica, space)
        })
    }

    /// Returns true if the last list has an operation's space.
    pub(super) fn is_listed(&self, op: &Operation) -> bool {
        let space = Table(&op.entity).space();
        space.is_some_and(|space| self.replica.spaces().role(space).is_some())
    }

    /// Notes that the user owns the space that an operation creates: until a list has it.
    pub(super) fn say_made(&mut self, op: &Operation) {
        let space = op.id.clone();
        self.rows.push_event(Event::Space {
            what: SpaceEvent::Made { space },
        });
    }

    /// Returns true for what ends a space, or the user's own membership. Its author is no member:
    /// that is as it should be, unless they become one again before they hear of it. So the next
    /// list settles it, or what it ends is sent again.
    pub(super) fn ends(&mut self, op: &Operation) -> bool {
        let ends = is_end(self.replica, &Key::new(&op.entity, &op.id));
        if ends && self.is_listed(op) {
            self.put_off(op, None, Some(NOT_MEMBER), false);
        } else if ends {
            self.dead.gone.add(&op.op_id);
        }
        ends
    }

    /// Returns true if a verdict's row may be filed: not in a space that the user may not read, and
    /// not where the pages have told everything up to its version without it. That it is gone may
    /// always be said.
    pub(super) fn may_file(&self, row: &RemoteRow<'_>) -> bool {
        let space = Table(row.entity).space().unwrap_or_default();
        let is_told = |passed: u64| row.version <= passed;
        self.is_readable(row.entity)
            && (row.body.is_none()
                || self.replica.row(&row.key()).is_some()
                || !self.replica.spaces().passed(space).is_some_and(is_told))
    }

    /// Takes an operation, and those behind it, to where its row was moved before it came. Returns
    /// false if the next pull has to tell more first.
    pub(super) fn moved(&mut self, op: &Operation, left: u64, there: &RemoteRow<'_>) -> bool {
        let key = Key::new(&op.entity, &op.id);
        let known = self.replica.row(&there.key()).map_or(0, |row| row.version);
        let first = self.replica.outbox().chain(&key).next();
        if there.body.is_none()
            || !self.may_file(there)
            || known > there.version
            || self.replica.spaces().limbo_of(&key).is_some()
            || first.is_none_or(|first| first.op.op_id != op.op_id)
        {
            return false;
        }
        match hand_over(&mut self.rows, &key, there, Delivery::Refused) {
            HandedOver::Not => return false,
            HandedOver::Yes => self.rows.write_row(there, Tombstones::Apply),
            HandedOver::WithRow => {}
        }
        let here = self.replica.row(&key);
        if here.is_none_or(|here| here.version <= left || here.deleted) {
            // One that kept a base does so no more.
            let version = here.map_or(left, |here| here.version.max(left));
            let tombstone = RemoteRow::of(op, version, None, there.soft);
            self.rows.write_row(&tombstone, Tombstones::Apply);
        }
        true
    }

    /// Settles an applied move. The row lives on in the space that it went to; where that is not
    /// told yet, it is shown where it was until the pull brings it.
    pub(super) fn move_applied(
        &mut self,
        op: &Operation,
        version: u64,
        left: u64,
        row: Option<&str>,
    ) {
        let Some(to) = op.to.as_deref() else { return };
        let (key, target) = (Key::new(&op.entity, &op.id), Key::new(to, &op.id));
        let there = RemoteRow {
            entity: to,
            ..RemoteRow::of(op, version, row.or(op.body.as_deref()), false)
        };
        let known = self.replica.row(&target).map_or(0, |row| row.version);
        let is_new = (self.replica.row(&target))
            .is_none_or(|row| row.version < version || (row.version == version && row.deleted));
        let files = is_new && self.may_file(&there);
        let waits = is_new && !files;
        let here = self.replica.row(&key);
        let is_older = |here: &Row| here.version < left || (here.version == left && !here.deleted);
        let in_limbo = self.replica.spaces().limbo_of(&key).is_some();
        if here.is_none_or(is_older) && !in_limbo {
            if waits && here.is_some_and(|here| !here.deleted) && self.is_readable(to) {
                let entry = Entry {
                    id: op.id.clone(),
                    version: left,
                    retain: true,
                    ..Entry::default()
                };
                self.rows.put_row(&op.entity, entry, None);
                self.rows.push_event(Event::Space {
                    what: SpaceEvent::Moving {
                        table: op.entity.clone(),
                        id: op.id.clone(),
                        limbo: Some(Limbo {
                            to: to.to_owned(),
                            version,
                        }),
                    },
                });
            } else {
                let tombstone = RemoteRow::of(op, left, None, false);
                self.rows.write_row(&tombstone, Tombstones::Apply);
            }
        }
        if files {
            self.rows.write_row(&there, Tombstones::Apply);
        }
        self.rows.applied(op, version.max(known), RowWritten::Yes);
    }

    /// Takes back the letter of an operation that was applied after all, before the user left its
    /// space or while the app discarded it, or what it depends on. One that holds later edits too stays.
    pub(super) fn take_back(&mut self, op: &Operation, version: u64) {
        let letter = self.replica.dead_letters().get(&op.op_id);
        let Some(letter) = letter.filter(|letter| {
            let is_behind = letter.blocked_by.is_some();
            let is_open = letter.maybe || letter.code == DISCARDED || is_behind;
            is_open && letter.op.kind == op.kind && letter.op.body == op.body
        }) else {
            return;
        };
        self.rows.push_event(Event::Revive {
            id: letter.op.op_id.clone(),
        });
        if self.is_readable(&op.entity) {
            let hashes = match op.body.as_deref() {
                Some(body) if !op.creates_all() => {
                    changed_field_hashes(letter.base.as_deref(), body, &op.fields)
                }
                _ => Vec::new(),
            };
            self.rows.push_event(Event::Receipt {
                entity: op.entity.clone(),
                id: op.id.clone(),
                receipt: Receipt {
                    at: self.rows.context.now,
                    version,
                    deleted: op.kind == OperationKind::Delete,
                    whole: op.creates_all(),
                    field_hashes: hashes.into(),
                    ..Receipt::default()
                },
            });
        }
    }
}
