//! Checkpoints: a record that holds the whole state, so that opening starts reading there; and
//! compaction, which moves live bodies out of segments that are mostly dead.
//!
//! Record keys are not freed here: they fence off a tab that was asleep.

use crate::log::address::Seq;
use crate::log::commit::{Commit, Event};
use crate::log::known_server::KnownServer;
use crate::log::salvaged::Salvaged;
use crate::log::spaces::SpaceEvent;
use crate::model::error::Result;
use crate::plan::migration::pending::Migrated;
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::replica::Replica;
use crate::state::spaces::Spaces;

mod draft;

pub use draft::{CheckpointDraft, CheckpointStep};

/// Plans a checkpoint. Plans nothing while a full pull is under way.
#[derive(Debug, Default)]
pub struct CheckpointPlanner {
    /// What was planned in steps before, if it was on the same head.
    pub draft: CheckpointDraft,
}

impl Planner for CheckpointPlanner {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        if replica.is_pulling_all() {
            return Ok(Plan::Ready(Planned::nothing(())));
        }
        loop {
            match self.draft.step(replica, usize::MAX) {
                CheckpointStep::More => {}
                CheckpointStep::Needs(bodies) => return Ok(Plan::Needs(bodies)),
                CheckpointStep::Done => break,
            }
        }
        let (commit, superseded) = std::mem::take(&mut self.draft).finish(replica);
        Ok(Plan::Ready(Planned {
            commit,
            superseded: Some(superseded),
            output: (),
        }))
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
    /// Writes at most so many operations, those from a place in the outbox on. Returns the place of the
    /// next one; `None` if there is none.
    pub(super) fn write_operations(
        &self,
        commit: &mut Commit,
        from: usize,
        most: usize,
    ) -> Option<usize> {
        let outbox = self.replica.outbox();
        for queued in outbox.iter().skip(from).take(most) {
            let op = match self.migrated {
                Some(migrated) => migrated.operation(&queued.op),
                None => queued.op.clone(),
            };
            commit.queue(op, Vec::new());
        }
        let next = from.saturating_add(most);
        (next < outbox.len()).then_some(next)
    }

    /// Writes everything but rows and operations.
    pub(super) fn write_rest(&self, commit: &mut Commit) {
        let (replica, migrated) = (self.replica, self.migrated);
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
