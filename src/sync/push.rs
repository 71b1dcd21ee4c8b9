//! Push: batches in outbox order, never two operations of one entity at once. A conflict goes to its
//! resolver, and the winner is pushed again in the same cycle.

use crate::entity::push_field;
use crate::error::{Code, Error, Result};
use crate::events::Topic;
use crate::host::Host;
use crate::operation::{Kind, Operation};
use crate::protocol::{PushReply, parse_push_reply};
use crate::remote::{Pushed, Remote};
use crate::replica::Replica;
use crate::replica::incoming::{Decisions, name};
use crate::replica::record::Event;
use crate::replica::settle::Settled;
use crate::replica::state::DeadLetter;
use crate::small::Small;
use crate::status::Phase;
use crate::store::{Durability, Store};
use crate::sync::Cycle;
use crate::sync::batch::{on_the_wire, ready, request, wire_data};

/// How often one entity may clash in one cycle before its winner waits for the next.
const MAX_CLASHES: u64 = 5;
/// How long an operation rests that the remote wants again "later", in milliseconds.
const DEFAULT_REST_MS: u64 = 1000;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Pushes what waits; progress moves from `from` to `to`.
    pub(crate) async fn push(&self, from: f64, to: f64) -> Result<()> {
        self.push_of(None, from, to).await
    }

    /// As [`Self::push`], of these entities only, by [`name`].
    pub(crate) async fn push_of(&self, only: Option<&Small<()>>, from: f64, to: f64) -> Result<()> {
        self.keep_local_only().await?;
        let mut limit = self.settings.batch_size;
        let mut resting: Small<()> = Small::default();
        let mut clashes: Small<u64> = Small::default();
        let mut pushed = 0_u64;
        loop {
            let batch = self.next_batch(limit, only, &resting, &clashes);
            if batch.is_empty() {
                return Ok(());
            }
            self.show(Phase::Pushing, from);
            let ids: Vec<String> = batch.iter().map(|op| op.op_id.clone()).collect();
            self.db.with_mut(|replica| replica.outbox_mut().mark_sending(&ids));
            let asked_at = self.host.now_ms();
            let sent = self.send(&batch).await;
            self.db.with_mut(|replica| replica.outbox_mut().mark_returned(&ids));
            let bytes = match sent? {
                Some(bytes) => bytes,
                None if batch.len() > 1 => {
                    limit = batch.len() / 2;
                    continue;
                }
                None => {
                    self.bury_too_large(&batch).await?;
                    continue;
                }
            };
            let op_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let reply = parse_push_reply(&bytes, &op_ids)?;
            self.learn(reply.server_time.as_deref(), reply.epoch.as_deref(), asked_at);
            let settled = self.settle(&batch, &reply).await?;
            for (conflict, _) in &settled.incoming.resolved {
                clashes.count(&name(&conflict.entity, &conflict.entity_id));
            }
            self.postpone(&settled, &mut resting);
            self.count_push(&settled);
            pushed = pushed.saturating_add(batch.len() as u64);
            let waiting = self.db.with(|replica| replica.outbox().len() as u64);
            let total = pushed.saturating_add(waiting).max(1);
            self.show(Phase::Pushing, from + (to - from) * (pushed as f64 / total as f64));
        }
    }

    /// Keeps here what the config has come to keep here since an operation was queued.
    async fn keep_local_only(&self) -> Result<()> {
        if self.config.entities.values().all(|entity| entity.local_only.is_empty()) {
            return Ok(());
        }
        let names = |entity: &str| self.config.local_only(entity);
        let mut plan = |replica: &Replica| Ok(replica.plan_aside(&names)?.into_draft(Into::into));
        self.db.commit(self.config.local, &mut plan).await?;
        Ok(())
    }

    /// The next operations in outbox order: the first of each entity, unless it has to wait.
    fn next_batch(&self, limit: usize, only: Option<&Small<()>>, resting: &Small<()>, clashes: &Small<u64>) -> Vec<Operation> {
        let waits = |op: &Operation| {
            resting.contains(&op.op_id)
                || (op.kind == Kind::Delete && !self.settings.include_deletes)
                || (!clashes.is_empty() && clashes.get(&name(&op.entity, &op.id)).is_some_and(|times| *times >= MAX_CLASHES))
                || only.is_some_and(|only| !only.contains(&name(&op.entity, &op.id)))
        };
        self.db.with(|replica| ready(replica, self.host.now_ms(), &waits).take(limit).map(|queued| queued.op.clone()).collect())
    }

    /// Sends a batch; none where it is too large for the remote.
    async fn send(&self, batch: &[Operation]) -> Result<Option<Vec<u8>>> {
        let bodies = batch.iter().map(|op| wire_data(op, &self.config.local_only(&op.entity))).collect::<Result<Vec<_>>>()?;
        let operations = batch.iter().zip(&bodies).map(|(op, data)| on_the_wire(op, data)).collect();
        let user_id = self.db.with(|replica| replica.user_id().to_owned());
        let request = request(self.device_id, &user_id, self.config.schema, operations);
        match self.attempt(|| self.remote.push(&user_id, &request)).await? {
            Pushed::Reply { bytes, sent } => {
                let mut tally = self.tally.borrow_mut();
                tally.bytes_pushed = tally.bytes_pushed.saturating_add(sent);
                Ok(Some(bytes))
            }
            Pushed::TooLarge => Ok(None),
        }
    }

    async fn settle(&self, batch: &[Operation], reply: &PushReply<'_>) -> Result<Settled> {
        let mut decisions = Decisions::default();
        let moment = self.db.moment();
        let (soft, policies) = (self.soft(), |entity: &str| self.config.policies(entity));
        loop {
            let mut done = Settled::default();
            let mut plan = |replica: &Replica| {
                Ok(replica.plan_settle(batch, reply, &soft, &policies, &decisions, &moment)?.into_draft(|mut settled| {
                    let commit = std::mem::take(&mut settled.incoming.commit);
                    done = settled;
                    commit.into()
                }))
            };
            let conflicts = self.db.commit(self.config.local, &mut plan).await?;
            if conflicts.is_empty() {
                return Ok(done);
            }
            self.ask(conflicts, &mut decisions).await?;
        }
    }

    fn postpone(&self, settled: &Settled, resting: &mut Small<()>) {
        let now = self.host.now_ms();
        self.db.with_mut(|replica| {
            for (op_id, after) in &settled.retry {
                replica.outbox_mut().postpone(op_id, now.saturating_add(after.unwrap_or(DEFAULT_REST_MS)));
            }
        });
        for (op_id, _) in &settled.retry {
            resting.insert(op_id, ());
        }
    }

    fn count_push(&self, settled: &Settled) {
        self.count_conflicts(&settled.incoming.resolved);
        let mut tally = self.tally.borrow_mut();
        for (entity, n) in settled.pushed.iter() {
            tally.pushed_count = tally.pushed_count.saturating_add(*n);
            let entity = tally.entities.entry(entity);
            entity.pushed = entity.pushed.saturating_add(*n);
        }
        for (entity, n) in settled.failed.iter() {
            tally.failed_count = tally.failed_count.saturating_add(*n);
            let entity = tally.entities.entry(entity);
            entity.failed = entity.failed.saturating_add(*n);
        }
        drop(tally);
        for letter in &settled.letters {
            self.tell(Topic::DeadLetter, Some(&letter.op.entity), &mut |out| push_field(out, "deadLetter", &letter.to_json()));
            self.warn(
                &Error::new(Code::Rejected, format!("The remote rejected an operation ({}): {}", letter.code, letter.message))
                    .on(&letter.op.entity, Some(&letter.op.id)),
            );
        }
    }

    /// One operation that the remote calls too large even alone will never go through.
    async fn bury_too_large(&self, batch: &[Operation]) -> Result<()> {
        let now = self.host.now_ms();
        let message = "The remote does not accept a request of this size, even with one operation in it.";
        let letters: Vec<DeadLetter> = batch
            .iter()
            .map(|op| DeadLetter { op: op.clone(), code: "tooLarge".to_owned(), message: message.to_owned(), died_at: now })
            .collect();
        let mut settled = Settled { letters: letters.clone(), ..Settled::default() };
        for op in batch {
            settled.failed.count(&op.entity);
        }
        self.db.record(Durability::Strict, &|_| vec![Event::Bury { letters: letters.clone() }]).await?;
        self.count_push(&settled);
        Ok(())
    }
}
