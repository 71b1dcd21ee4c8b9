//! The commit loop: plan against the head, append, apply, and plan again if another tab was first.

use crate::engine::database::any_planner::{AnyPlanner, Planning};
use crate::engine::database::commit_activity::{began, tell_append, tell_read};
use crate::engine::database::group_commit::{Leader, QueuedWrite, WriteAnswer};
use crate::engine::database::{
    Database, MAX_STALE, Source, closed, load, migration, overtaken, salvage, steps, trace,
};
use crate::log::address::{BodyId, Seq, Superseded};
use crate::log::commit::{Commit, Event};
use crate::log::record::{Encoded, Encoder};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Result};
use crate::plan::checkpoint::CheckpointPlanner;
use crate::plan::write::{Group, WritePlanner, Written};
use crate::plan::{Plan, Planned, Planner};
use crate::ports::host::Host;
use crate::ports::store::{Append, AppendError, Store, Tail};
use crate::state::replica::Replica;
use crate::util::local_sync::yield_now;

impl<S: Store, H: Host> Database<S, H> {
    /// Plans, appends and applies; plans again while other tabs append first. An empty plan appends
    /// nothing. Returns the output of the plan that was appended.
    ///
    /// # Errors
    /// Errors of the planner or the store; then nothing has been written.
    pub async fn commit<P: Planner>(
        &self,
        durability: Durability,
        planner: &mut P,
    ) -> Result<P::Output> {
        let mut planning = Planning::new(planner);
        self.commit_any(durability, &mut planning, Source::Remote)
            .await?;
        planning.output.ok_or_else(closed)
    }

    /// As [`Self::commit`], for a write of the app.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    pub async fn commit_write<P: Planner>(
        &self,
        durability: Durability,
        planner: &mut P,
    ) -> Result<P::Output> {
        let mut planning = Planning::new(planner);
        self.commit_any(durability, &mut planning, Source::Local)
            .await?;
        planning.output.ok_or_else(closed)
    }

    async fn commit_any(
        &self,
        durability: Durability,
        plan: &mut dyn AnyPlanner,
        source: Source,
    ) -> Result<()> {
        let turn = self.turn.lock().await;
        let result = self.commit_in_turn(durability, plan, source).await;
        drop(turn);
        result
    }

    async fn commit_in_turn(
        &self,
        durability: Durability,
        plan: &mut dyn AnyPlanner,
        source: Source,
    ) -> Result<()> {
        let mut stale = 0_u32;
        if !self.unsaved.borrow().is_empty() {
            self.check_open()?;
            salvage::save(self).await?;
        }
        loop {
            if migration::is_due(self) {
                let _ = self.host.load_all().await;
                migration::boxed(self).await?;
            }
            self.check_open()?;
            if trace::is_due(self) {
                trace::boxed(self).await;
            }
            self.materialize().await;
            let planned = plan.plan(&self.memory.whole());
            trace::planned(self, plan, &planned);
            let (mut commit, superseded) = match planned? {
                Plan::Ready(ready) => ready,
                Plan::Needs(bodies) => {
                    self.fetch_for_plan(&bodies).await?;
                    continue;
                }
            };
            if commit.is_empty() {
                self.update(|replica| replica.segments_mut().unpin());
                return Ok(());
            }
            let appended = self.append(&mut commit, superseded, durability, source);
            let appended = match appended.await {
                Err(error) if error.code() == Code::StorageFull && self.make_room().await => {
                    continue;
                }
                appended => appended,
            };
            match salvage::salvaged(self, appended).await? {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => continue,
            }
            stale = stale.saturating_add(1);
            if stale > MAX_STALE {
                return Err(overtaken());
            }
            self.catch_up_in_turn().await?;
        }
    }

    /// Fetches bodies and keeps them in memory until the plan that needs them is appended.
    pub(super) async fn fetch_for_plan(&self, bodies: &[BodyId]) -> Result<()> {
        self.update(|replica| replica.segments_mut().pin(bodies));
        let fetched = self.fetch(bodies).await;
        if let Some((_, damaged)) = salvage::salvaged(self, fetched).await? {
            self.quarantine_in_turn(damaged).await?;
        }
        Ok(())
    }

    /// Appends one commit at the head and applies it. Returns false if nothing was written and the
    /// caller must catch up and plan again: another instance was first, or may have compacted the
    /// log while this one rested. Takes the commit only if it was written.
    pub(super) async fn append(
        &self,
        commit: &mut Commit,
        superseded: Option<Superseded>,
        durability: Durability,
        source: Source,
    ) -> Result<bool> {
        let planned = trace::take_planned(self);
        if !self.instances.is_back(&*self.host, &self.name).await {
            return Ok(false);
        }
        if self.peek(Replica::has_ended) && !is_end_mark(commit) {
            return Err(closed());
        }
        let seq = self.peek(Replica::head).saturating_add(1);
        if seq == 1 && self.schema.version() > 0 {
            commit.events.push(Event::Schema {
                version: self.schema.version(),
            });
        }
        let mut encoder = Encoder::new(seq, commit);
        if encoder.step(commit) && self.host.has_all() {
            steps::encode(&*self.host, &mut encoder, commit).await;
        }
        // At once, if the code for steps is still to come.
        while encoder.step(commit) {}
        let Encoded {
            record,
            bodies,
            sums,
        } = encoder.finish();
        let bytes = record.len();
        let is_checkpoint = superseded.is_some();
        let traced = trace::appending(self, planned, seq, &record, &bodies);
        // Watches compare all that a migration has changed.
        let is_compared = is_checkpoint
            && self.memory.is_listening()
            && commit.schema() > Some(self.peek(Replica::schema));
        let append = Append {
            seq,
            record,
            bodies,
            checkpoint: superseded,
        };
        let mut counts = self.counts.get();
        let began = began(self);
        let appended = self.store.append(append, durability).await;
        if let Some(began) = began {
            tell_append(self, began, source, bytes, &appended);
        }
        match appended {
            Ok(()) => {
                counts.commits = counts.commits.saturating_add(1);
                self.counts.set(counts);
                trace::appended(self, traced, is_checkpoint);
                if is_compared {
                    migration::reload(self).await?;
                    self.host.announce(&self.name, seq);
                    return Ok(true);
                }
                if is_checkpoint {
                    steps::fold(self, seq, commit, (bytes, &sums)).await;
                } else {
                    let commit = std::mem::take(commit);
                    self.update(|replica| replica.apply_own(seq, commit, bytes, &sums));
                }
                self.update(|replica| replica.segments_mut().unpin());
                self.host.announce(&self.name, seq);
                self.memory.tell(source);
                Ok(true)
            }
            Err(AppendError::Stale) => {
                counts.stale = counts.stale.saturating_add(1);
                self.counts.set(counts);
                Ok(false)
            }
            Err(AppendError::Failed(error)) => Err(error),
        }
    }

    /// Ends the log, which is about to be removed, unless it has grown beyond `head`: what another
    /// tab writes from now on is refused, and not lost with the log. Returns false if it has grown.
    pub async fn end_log(&self, head: Seq) -> bool {
        let turn = self.turn.lock().await;
        let ended = if self.peek(Replica::head) == head {
            self.mark_end(true).await
        } else {
            Ok(false)
        };
        drop(turn);
        match ended {
            // Storage that takes no end takes no write of another tab either.
            Err(error) => error.code() != Code::StorageLost,
            Ok(ended) => ended,
        }
    }

    /// Takes the end back: the log could not be removed.
    pub async fn reopen_log(&self) {
        let turn = self.turn.lock().await;
        for _ in 0..MAX_STALE {
            if !self.peek(Replica::has_ended) || !matches!(self.mark_end(false).await, Ok(false)) {
                break;
            }
            if self.catch_up_in_turn().await.is_err() {
                break;
            }
        }
        drop(turn);
    }

    async fn mark_end(&self, ended: bool) -> Result<bool> {
        let mut commit = Commit {
            events: vec![Event::Ended { ended }],
            ..Commit::default()
        };
        self.append(&mut commit, None, Durability::Strict, Source::Local)
            .await
    }

    /// Applies what other instances have appended.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn catch_up(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        let result = self.catch_up_in_turn().await;
        drop(turn);
        result
    }

    pub(super) async fn catch_up_in_turn(&self) -> Result<()> {
        self.check_open()?;
        let (head, user_id) = self.peek(|replica| (replica.head(), replica.user_id().to_owned()));
        let began = began(self);
        let tail = self.store.tail(head).await;
        let Some(tail) = salvage::salvaged(self, tail).await? else {
            return Ok(());
        };
        match tail {
            Tail::Records(records) => {
                if let (Some(began), false) = (began, records.is_empty()) {
                    tell_read(self, began);
                }
                let traced = trace::step(self);
                self.update(|replica| {
                    let mut records = records.iter();
                    records.try_for_each(|(seq, record)| replica.apply_record(*seq, record))
                })?;
                if let Some(step) = traced.filter(|_| !records.is_empty()) {
                    trace::followed(self, step, &records).await;
                }
                self.memory.tell(Source::OtherTab);
            }
            Tail::Compacted => {
                let mut fresh = load(
                    (&self.store, self.trace.as_deref()),
                    &user_id,
                    self.budget,
                    self.schema.version(),
                )
                .await?;
                self.read(|replica| fresh.outbox_mut().inherit(replica.outbox()));
                self.memory.replace(fresh);
            }
        }
        Ok(())
    }

    /// Writes a group of local writes. Groups that are written at the same time, or while a commit
    /// is in flight, share one commit. Returns only when the write is durable.
    ///
    /// # Errors
    /// Fails with the error of an invalid write in the group, or with errors of the store; then
    /// none of it is written.
    pub async fn write(&self, group: Group, durability: Durability) -> Result<Vec<Written>> {
        self.check_open()?;
        let mut group = group;
        if self.waiting.borrow().led {
            group = match QueuedWrite::behind(&self.waiting, group).answer().await? {
                WriteAnswer::Outcome(outcome) => return outcome,
                WriteAnswer::Lead(group) => group,
            };
        }
        let lead = Leader::new(&self.waiting);
        let turn = self.turn.lock().await;
        yield_now().await;
        let (mut groups, mut senders) = (vec![group], Vec::new());
        for (group, sender) in lead.take() {
            groups.push(group);
            senders.push(sender);
        }
        let mut planner = WritePlanner {
            groups: &groups,
            context: self.plan_context(),
        };
        let mut planning = Planning::new(&mut planner);
        let failed = self
            .commit_in_turn(durability, &mut planning, Source::Local)
            .await
            .err();
        let mut outcomes = planning.output.unwrap_or_default().into_iter();
        drop(turn);
        let mut next = || {
            failed
                .clone()
                .map_or_else(|| outcomes.next().unwrap_or_else(|| Err(closed())), Err)
        };
        let own = next();
        for sender in senders {
            // The write is durable even if its caller no longer waits.
            let _ = sender.send(WriteAnswer::Outcome(next()));
        }
        own
    }

    /// Appends events that depend only on the head, if there are any.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn record(
        &self,
        durability: Durability,
        events: &dyn Fn(&Replica) -> Vec<Event>,
    ) -> Result<()> {
        self.commit(durability, &mut FromHead(events)).await
    }

    /// Writes a checkpoint and compacts if that is worthwhile.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn tidy(&self) -> Result<()> {
        let is_due = || !self.closed.get() && self.read(Replica::wants_checkpoint);
        // Without its code, a later cycle writes it. While it comes, another one may have.
        if is_due() && self.host.load_all().await.is_ok() && is_due() {
            self.checkpoint().await?;
            self.free().await;
        }
        Ok(())
    }

    /// Writes a checkpoint and compacts.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn checkpoint(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        let written = self.checkpoint_in_turn().await;
        drop(turn);
        written
    }

    async fn checkpoint_in_turn(&self) -> Result<()> {
        self.check_open()?;
        let mut planner = CheckpointPlanner::default();
        steps::plan(self, &mut planner.draft).await?;
        let mut planning = Planning::new(&mut planner);
        self.commit_in_turn(Durability::Strict, &mut planning, Source::Remote)
            .await
    }

    /// Compacts because the storage is full. Returns false if that cannot help. Tries only once for
    /// each head.
    async fn make_room(&self) -> bool {
        let (head, grown) = self.read(|replica| (replica.head(), replica.has_grown()));
        if self.compacted_when_full_at.replace(Some(head)) == Some(head)
            || !grown
            || self.host.load_all().await.is_err()
        {
            return false;
        }
        // Boxed, because a commit that finds the storage full calls this again, once.
        Box::pin(self.checkpoint_in_turn()).await.is_ok() && self.read(Replica::head) > head
    }

    /// Quarantines damaged bodies: removes their rows, which the next pull brings again. A stale
    /// append is not repeated, since the next reader that misses the body calls this again.
    pub(super) async fn quarantine_in_turn(&self, damaged: Vec<BodyId>) -> Result<()> {
        if damaged.is_empty() {
            return Ok(());
        }
        let mut commit = Commit {
            segments: Vec::new(),
            events: damaged
                .into_iter()
                .map(|body| Event::Quarantine { body })
                .collect(),
        };
        if !self
            .append(&mut commit, None, Durability::Relaxed, Source::Remote)
            .await?
        {
            self.catch_up_in_turn().await?;
        }
        Ok(())
    }
}

/// Plans events that depend only on the head.
struct FromHead<'a>(&'a dyn Fn(&Replica) -> Vec<Event>);

impl Planner for FromHead<'_> {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        let commit = Commit {
            segments: Vec::new(),
            events: (self.0)(replica),
        };
        Ok(Plan::Ready(Planned::new(commit, ())))
    }
}

/// Returns true for the commits that alone an ended log takes.
fn is_end_mark(commit: &Commit) -> bool {
    matches!(&*commit.events, [Event::Ended { .. }])
}
