//! Checkpoints: a record that holds the whole state, so that opening starts reading there; and
//! compaction, which moves live bodies out of segments that are mostly dead.
//!
//! Record keys are not freed here: they fence off a tab that was asleep.

use crate::log::address::{Seq, Superseded};
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::known_server::KnownServer;
use crate::log::salvaged::Salvaged;
use crate::log::segment::slice;
use crate::log::segment_writer::Packing;
use crate::log::spaces::SpaceEvent;
use crate::model::error::Result;
use crate::plan::migration::pending::Migrated;
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody};
use crate::state::spaces::Spaces;
use crate::util::collections::seq_map::SeqMap;

/// External segments smaller than this are merged.
const SMALL_BYTES: u32 = 32 * 1024;

/// Plans a checkpoint. Plans nothing while a full pull is under way.
#[derive(Debug)]
pub struct CheckpointPlanner;

impl Planner for CheckpointPlanner {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        if replica.is_pulling_all() {
            return Ok(Plan::Ready(Planned::nothing(())));
        }
        let migrated = None;
        Ok(CheckpointWriter { replica, migrated }.checkpoint())
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("checkpoint", |_| {}))
    }
}

/// Writes the state into a commit.
pub(super) struct CheckpointWriter<'a> {
    pub(super) replica: &'a Replica,
    /// What is written instead of the pending bodies, if they were migrated.
    pub(super) migrated: Option<&'a Migrated>,
}

impl CheckpointWriter<'_> {
    fn checkpoint(&self) -> Plan<Planned<()>> {
        let replica = self.replica;
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        let mut missing = Vec::new();
        for (id, len, live) in replica.segments().external() {
            let mostly_dead = live.saturating_mul(2) < u64::from(len);
            if live > 0 && !mostly_dead && len >= SMALL_BYTES {
                if let Some((len, hash, _)) = replica.segments().describe(id) {
                    kept.push(KeptSegment { id, len, hash });
                }
                continue;
            }
            if live > 0 && replica.segments().resident(id).is_none() {
                missing.push(id);
            }
            dropped.push(id);
        }
        if !missing.is_empty() {
            return Plan::Needs(missing);
        }
        let mut commit = Commit::default();
        commit.events.push(Event::Checkpoint {
            kept: kept.clone(),
            damage: replica.damage(),
        });
        for (entity, rows) in replica.entities().iter() {
            self.write_directory(&mut commit, entity, rows.iter(), &kept);
        }
        for (entity, rows) in replica.local_only().iter() {
            self.write_directory(
                &mut commit,
                &format!("{PREFIX}{entity}"),
                rows.iter(),
                &kept,
            );
        }
        self.write_rest(&mut commit);
        let first = replica.checkpointed_at().max(1);
        let records = (first..=replica.head()).collect();
        Plan::Ready(Planned {
            commit,
            superseded: Some(Superseded {
                records,
                bodies: dropped,
            }),
            output: (),
        })
    }

    fn write_directory<'a>(
        &self,
        commit: &mut Commit,
        entity: &str,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
        kept: &[KeptSegment],
    ) {
        let segments = self.replica.segments();
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
                    segments
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

    /// Writes everything but rows.
    pub(super) fn write_rest(&self, commit: &mut Commit) {
        let (replica, migrated) = (self.replica, self.migrated);
        for queued in replica.outbox().iter() {
            let op = match migrated {
                Some(migrated) => migrated.operation(&queued.op),
                None => queued.op.clone(),
            };
            commit.queue(op, Vec::new());
        }
        replica.receipts().write(replica.facts(), commit);
        // Which rows a full pull has confirmed is lost with the records: it starts again.
        let starts_again = migrated.is_some() && replica.is_pulling_all();
        for (scope, state) in replica.cursors().iter().filter(|_| !starts_again) {
            commit.events.push(Event::Cursor {
                scope: scope.to_owned(),
                state: state.clone(),
            });
        }
        commit.events.push(Event::Facts {
            facts: Box::new(replica.facts().clone()),
        });
        commit.events.extend(
            spaces(replica.spaces())
                .into_iter()
                .map(|what| Event::Space { what }),
        );
        let schema = migrated.map_or(replica.schema(), |migrated| migrated.to);
        if schema > 0 {
            commit.events.push(Event::Schema { version: schema });
        }
        if *replica.server() != KnownServer::default() {
            commit.events.push(Event::Server {
                server: replica.server().clone(),
            });
        }
        for conflict in replica.conflicts().values() {
            let conflict = match migrated {
                Some(migrated) => migrated.parked(conflict),
                None => conflict.clone(),
            };
            commit.events.push(Event::Park { conflict });
        }
        if !replica.dead_letters().is_empty() {
            commit.events.push(Event::DeadLetters {
                dead_letters: (replica.dead_letters().values())
                    .map(|letter| match migrated {
                        Some(migrated) => migrated.letter(letter),
                        None => letter.clone(),
                    })
                    .collect(),
            });
        }
        commit.events.extend(
            replica
                .history()
                .iter()
                .map(|what| Event::Explained { what: what.clone() }),
        );
        if let Some((_, what)) = replica.salvaged() {
            // Which fields were written again since is not known any more: all count as such.
            commit.events.push(Event::Salvaged {
                what: Salvaged {
                    head: Seq::MAX,
                    ops: what.ops.clone(),
                },
            });
        }
        if replica.damage().needs_full_pull {
            // The main cursor's own event may have cleared it above.
            commit.events.push(Event::NeedFullPull);
        }
    }
}

/// Returns what is known of spaces, but not which come from their beginning. It stands behind the epoch
/// of a restore, which would forget it.
fn spaces(spaces: &Spaces) -> Vec<SpaceEvent> {
    let mut events = Vec::new();
    for (table, ids) in spaces.limbo().iter() {
        events.extend(ids.iter().map(|(id, limbo)| SpaceEvent::Moving {
            table: table.to_owned(),
            id: id.to_owned(),
            limbo: Some(limbo.clone()),
        }));
    }
    if !spaces.list().is_empty() {
        events.push(SpaceEvent::List {
            list: spaces.list().to_vec(),
            asked: 0,
        });
    }
    events.extend(spaces.support().map(|has| SpaceEvent::Support { has }));
    let made = spaces.made().keys().map(|space| SpaceEvent::Made {
        space: space.to_owned(),
    });
    events.extend(made);
    let kept = spaces.kept().iter();
    events.extend(kept.map(|(space, version)| SpaceEvent::Kept {
        space: space.to_owned(),
        version: *version,
    }));
    let passed = spaces.all_passed().iter();
    events.extend(passed.map(|(space, version)| SpaceEvent::Passed {
        space: space.to_owned(),
        version: *version,
    }));
    events
}
