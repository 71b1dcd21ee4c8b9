//! Checkpoints: a record that holds the whole state, so that opening reads from there; and
//! compaction, which moves what still lives out of segments that are mostly dead.
//!
//! Record keys are not freed here: they are the fence against a tab that slept meanwhile.

use crate::log::address::Superseded;
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::segment::slice;
use crate::log::segment_writer::Packing;
use crate::plan::{Need, Plan};
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody};
use crate::util::collections::seq_map::SeqMap;

/// External segments smaller than this are merged.
const SMALL_BYTES: u32 = 32 * 1024;

/// A planned checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    /// The commit.
    pub commit: Commit,
    /// What it supersedes.
    pub superseded: Superseded,
}

impl Replica {
    /// Plans a checkpoint against this head. `None` while a full pull is under way.
    #[must_use]
    pub fn plan_checkpoint(&self) -> Plan<Option<Checkpoint>> {
        if self
            .cursors
            .values()
            .any(|state| state.full_since.is_some())
        {
            return Plan::Ready(None);
        }
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        let mut missing = Vec::new();
        for (id, len, live) in self.segments.external() {
            let mostly_dead = live.saturating_mul(2) < u64::from(len);
            if live > 0 && !mostly_dead && len >= SMALL_BYTES {
                if let Some((len, hash, _)) = self.segments.describe(id) {
                    kept.push(KeptSegment { id, len, hash });
                }
                continue;
            }
            if live > 0 && self.segments.resident(id).is_none() {
                missing.push(id);
            }
            dropped.push(id);
        }
        if !missing.is_empty() {
            return Plan::Needs(Need::Bodies(missing));
        }
        let mut commit = Commit::default();
        commit.events.push(Event::Checkpoint {
            kept: kept.clone(),
            damage: self.damage,
        });
        for (entity, rows) in self.entities.iter() {
            self.write_directory(&mut commit, entity, rows.iter(), &kept);
        }
        for (entity, rows) in self.local_only.iter() {
            self.write_directory(
                &mut commit,
                &format!("{PREFIX}{entity}"),
                rows.iter(),
                &kept,
            );
        }
        self.write_rest(&mut commit);
        let first = self.checkpointed_at().max(1);
        let records = (first..=self.head).collect();
        Plan::Ready(Some(Checkpoint {
            commit,
            superseded: Superseded {
                records,
                bodies: dropped,
            },
        }))
    }

    fn write_directory<'a>(
        &'a self,
        commit: &mut Commit,
        entity: &str,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
        kept: &[KeptSegment],
    ) {
        let mut by_kept: SeqMap<Vec<Entry>> = SeqMap::default();
        let mut packing = Packing::default();
        for (id, row) in rows {
            let mut entry = Entry {
                id: id.to_owned(),
                version: row.version,
                deleted: row.deleted,
                held: row.held,
                ..Entry::default()
            };
            let text = match &row.body {
                RowBody::None => None,
                RowBody::Own(text) => Some(&**text),
                RowBody::At {
                    segment,
                    offset,
                    len,
                } => {
                    if kept.iter().any(|kept| kept.id == *segment) {
                        (entry.offset, entry.len) = (*offset, *len);
                        match by_kept.get_mut(*segment) {
                            Some(entries) => entries.push(entry),
                            None => by_kept.insert(*segment, vec![entry]),
                        }
                        continue;
                    }
                    self.segments
                        .resident(*segment)
                        .and_then(|bytes| slice(bytes, *offset, *len))
                }
            };
            packing.push(entity, entry, text, commit);
        }
        packing.close(entity, commit);
        for (id, entries) in by_kept {
            commit.segments.push(SegmentWrite {
                entity: entity.to_owned(),
                entries,
                body: SegmentBody::Kept(id),
            });
        }
    }

    fn write_rest(&self, commit: &mut Commit) {
        for queued in self.outbox.iter() {
            commit.queue(queued.op.clone(), Vec::new());
        }
        self.receipts.write(&self.facts, commit);
        for (scope, state) in self.cursors.iter() {
            commit.events.push(Event::Cursor {
                scope: scope.to_owned(),
                state: state.clone(),
            });
        }
        commit.events.push(Event::Facts {
            facts: Box::new(self.facts.clone()),
        });
        for conflict in self.conflicts.values() {
            commit.events.push(Event::Park {
                conflict: conflict.clone(),
            });
        }
        if !self.dead_letters.is_empty() {
            commit.events.push(Event::DeadLetters {
                letters: self.dead_letters.values().cloned().collect(),
            });
        }
        commit.events.extend(
            self.history
                .iter()
                .map(|what| Event::Explained { what: what.clone() }),
        );
        if self.damage.needs_full_pull {
            // The main cursor's own event may have cleared it above.
            commit.events.push(Event::NeedFullPull);
        }
    }
}
