//! Push: batches in outbox order, never two operations of one entity at once. A conflict goes to
//! its resolver, and the winner is pushed again in the same cycle. An operation that the remote
//! refuses, puts off or fails over leaves the others their way.

use std::rc::Rc;

use crate::engine::cycle::batch::{AROUND, after, on_the_wire, ready, request, wire_data};
use crate::engine::cycle::retry::{is_slow, worth_another_try};
use crate::engine::cycle::{Cycle, Stop};
use crate::engine::database::Draft;
use crate::engine::events::Topic;
use crate::log::commit::Commit;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind};
use crate::model::protocol::{PushReply, parse_push_reply};
use crate::model::status::Phase;
use crate::plan::Plan;
use crate::plan::planner::{Decisions, name};
use crate::plan::rejection::Rules;
use crate::plan::verdicts::{PutOff, Settled};
use crate::ports::host::Host;
use crate::ports::remote::{Pushed, Remote};
use crate::ports::store::Store;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::push_field;

/// How often one entity may clash in one cycle before its winner waits for the next.
const MAX_CLASHES: u64 = 5;

/// How long an operation rests at least that the remote wants again "later", in milliseconds.
const DEFAULT_REST_MS: u64 = 1000;

/// And at most, whatever the remote asks for: a day.
const LONGEST_REST_MS: u64 = 86_400_000;

/// Bodies of one push, in bytes: what many a proxy takes without being told to take more. One
/// operation may be larger.
const MOST_BYTES: u64 = 900 << 10;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Pushes what waits; progress moves from `from` to `to`.
    pub(crate) async fn push(&self, from: f64, to: f64) -> Result<()> {
        self.push_of(None, from, to).await
    }

    /// As [`Self::push`], of these entities only, by [`name`].
    pub(crate) async fn push_of(
        &self,
        only: Option<&VecMap<()>>,
        from: f64,
        to: f64,
    ) -> Result<()> {
        self.keep_local_only().await?;
        let mut resting: VecMap<()> = VecMap::default();
        let mut clashes: VecMap<u64> = VecMap::default();
        let mut suspect: Option<(String, Error)> = None;
        let mut pushed = 0_u64;
        loop {
            let batch = self.next_batch(only, &resting, &clashes);
            if batch.is_empty() {
                // Nothing went after it that would tell the operation's fault from the remote's.
                return suspect.map_or(Ok(()), |(_, error)| Err(error));
            }
            self.show(Phase::Pushing, from);
            let ids: Vec<String> = batch.iter().map(|op| op.op_id.clone()).collect();
            self.db
                .update(|replica| replica.outbox_mut().mark_sending(&ids));
            let (asked_at, began) = (self.host.now_ms(), self.host.elapsed_ms());
            let sent = self.send(&batch).await;
            self.db
                .update(|replica| replica.outbox_mut().mark_returned(&ids));
            let bytes = match sent {
                Ok(Some(bytes)) => bytes,
                Ok(None) if batch.len() > 1 => {
                    self.pace.too_large(batch.len());
                    continue;
                }
                Ok(None) => {
                    for op in &batch {
                        // Even alone it will never go through.
                        self.bury(op, "tooLarge", "The remote does not accept a request of this size, even with one operation in it.")
                            .await?;
                    }
                    continue;
                }
                Err(error) => {
                    let unreadable = |op: &&Operation| {
                        error.code() == Code::Corrupt && error.entity_id() == Some(&op.id)
                    };
                    if let Some(op) = batch.iter().find(unreadable) {
                        // It would spoil the others' request for ever.
                        self.bury(op, "corrupt", error.message()).await?;
                        continue;
                    }
                    match self.failed_push(&ids, &error) {
                        AfterFailure::Halve => continue,
                        AfterFailure::TryOthers if suspect.is_none() => {
                            for op_id in &ids {
                                resting.insert(op_id, ());
                                suspect = Some((op_id.clone(), error.clone()));
                            }
                            continue;
                        }
                        _ => return Err(suspect.map_or(error, |(_, first)| first)),
                    }
                }
            };
            let op_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let reply =
                parse_push_reply(&bytes, &op_ids).inspect_err(|error| self.say(&ids, error))?;
            self.pace
                .went(batch.len(), self.host.elapsed_ms().saturating_sub(began));
            self.learn(reply.server_time.as_deref(), asked_at);
            if !self
                .db
                .read(|replica| replica.is_of(reply.epoch.as_deref()))
            {
                // The server was restored, or another tab knows that it was since this was sent:
                // what the verdicts say is of another history. The operations stay, and are sent
                // again once all is pulled afresh.
                return Ok(());
            }
            let settled = self.settle(&batch, &reply).await?;
            for (conflict, _) in &settled.incoming.resolved {
                clashes.count(&name(&conflict.entity, &conflict.entity_id));
            }
            self.postpone(&settled, &mut resting);
            if let Some((op_id, error)) = suspect.take() {
                // The remote is well; it fails over this one, which waits so that the others flow.
                self.rest(&op_id, None, &error);
                self.warn(&error);
            }
            self.count_push(&settled);
            pushed = pushed.saturating_add(batch.len() as u64);
            let waiting = self.db.read(|replica| replica.outbox().len() as u64);
            let total = pushed.saturating_add(waiting).max(1);
            self.show(
                Phase::Pushing,
                from + (to - from) * (pushed as f64 / total as f64),
            );
        }
    }

    /// What follows from a push that failed as a whole.
    fn failed_push(&self, ids: &[String], error: &Error) -> AfterFailure {
        let several = ids.len() > 1;
        match self.cancel.reason() {
            // Its time was up while this was on its way.
            Some(Stop::Timeout) if several => self.pace.too_slow(ids.len()),
            Some(Stop::Timeout) | None => {}
            Some(_) => return AfterFailure::End,
        }
        self.say(ids, error);
        if self.cancel.reason().is_some() {
            AfterFailure::End
        } else if is_slow(error) && several {
            self.pace.too_slow(ids.len());
            AfterFailure::Halve
        } else if matches!(error.code(), Code::ServerError | Code::Protocol) {
            self.pace.failed(ids.len());
            if several {
                AfterFailure::End
            } else {
                AfterFailure::TryOthers
            }
        } else {
            AfterFailure::End
        }
    }

    /// Notes with operations what the attempt to send them came to.
    fn say(&self, ids: &[String], error: &Error) {
        let said = Rc::new(error.to_json(crate::util::time::format(self.host.now_ms())));
        self.db
            .update(|replica| replica.outbox_mut().mark_failed(ids, &said));
    }

    /// Keeps here what the config has come to keep here since an operation was queued.
    async fn keep_local_only(&self) -> Result<()> {
        if self
            .config
            .entities
            .values()
            .all(|entity| entity.local_only.is_empty())
        {
            return Ok(());
        }
        let names = |entity: &str| self.config.local_only(entity);
        let mut plan = |replica: &Replica| Ok(replica.plan_aside(&names)?.into_draft(Into::into));
        self.db.commit(self.config.local, &mut plan).await?;
        Ok(())
    }

    /// The next operations: as many as may go into one request.
    fn next_batch(
        &self,
        only: Option<&VecMap<()>>,
        resting: &VecMap<()>,
        clashes: &VecMap<u64>,
    ) -> Vec<Operation> {
        let waits = |queued: &Queued| {
            let op = &queued.op;
            resting.contains(&op.op_id)
                || (op.kind == OperationKind::Delete && !self.settings.include_deletes)
                || (!clashes.is_empty()
                    && clashes
                        .get(&name(&op.entity, &op.id))
                        .is_some_and(|times| *times >= MAX_CLASHES))
                || only.is_some_and(|only| !only.contains(&name(&op.entity, &op.id)))
        };
        let limit = self.pace.limit(self.settings.batch_size);
        self.db.read(|replica| {
            let mut bytes = 0;
            let fits = |op: &&Operation| {
                let before = bytes;
                bytes = op
                    .bytes()
                    .saturating_add(AROUND as u64)
                    .saturating_add(bytes);
                before == 0 || bytes <= MOST_BYTES
            };
            ready(replica, self.host.now_ms(), limit, &waits)
                .into_iter()
                .map(|queued| &queued.op)
                .take_while(fits)
                .cloned()
                .collect()
        })
    }

    /// Sends a batch; none where it is too large for the remote.
    async fn send(&self, batch: &[Operation]) -> Result<Option<Vec<u8>>> {
        let bodies = batch
            .iter()
            .map(|op| wire_data(op, &self.config.local_only(&op.entity)))
            .collect::<Result<Vec<_>>>()?;
        let ids: Vec<&str> = batch.iter().map(|op| op.op_id.as_str()).collect();
        let after: Vec<Vec<String>> = self.db.read(|replica| {
            ids.iter()
                .map(|op_id| after(replica.outbox(), op_id, &ids))
                .collect()
        });
        let operations = batch
            .iter()
            .zip(&bodies)
            .zip(&after)
            .map(|((op, data), after)| on_the_wire(op, data, after))
            .collect();
        let (user_id, epoch) = self
            .db
            .read(|replica| (replica.user_id().to_owned(), replica.facts().epoch.clone()));
        let request = request(
            self.device_id,
            &user_id,
            self.config.schema,
            epoch.as_deref(),
            operations,
        );
        let worth = if batch.len() > 1 {
            |error: &Error| worth_another_try(error) && !is_slow(error)
        } else {
            worth_another_try
        };
        match self
            .attempt(worth, || self.remote.push(&user_id, &request))
            .await?
        {
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
        let moment = self.db.plan_context();
        let soft = self.soft();
        let rules = Rules {
            soft: &soft,
            keeps: &|entity| self.config.keeps(entity),
            policies: &|entity| self.config.policies(entity),
        };
        loop {
            let mut done = Settled::default();
            let mut plan = |replica: &Replica| {
                if !replica.is_of(reply.epoch.as_deref()) {
                    return Ok(Plan::Ready(Draft::default()));
                }
                Ok(replica
                    .plan_settle(batch, reply, &rules, &decisions, &moment)?
                    .into_draft(|mut settled| {
                        let mut commit = std::mem::take(&mut settled.incoming.commit);
                        replica.note_first_epoch(reply.epoch.as_deref(), &mut commit);
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

    fn postpone(&self, settled: &Settled, resting: &mut VecMap<()>) {
        for PutOff {
            op_id,
            after_ms,
            code,
            held,
        } in &settled.retry
        {
            let word = code.as_deref().unwrap_or("retry");
            let error = Error::new(
                Code::ServerError,
                if *held {
                    format!("It waits for an operation that the remote has not applied ({word}).")
                } else {
                    format!("The remote wants this operation later ({word}).")
                },
            );
            self.db
                .update(|replica| replica.outbox_mut().mark_unsent(op_id));
            // It goes again as soon as what it waits for does, in this very cycle.
            let after_ms = if *held { Some(0) } else { *after_ms };
            self.rest(op_id, after_ms, &error.with_retry_after(after_ms));
            if !held {
                resting.insert(op_id, ());
            }
        }
    }

    /// Lets an operation rest: for as long as the remote asked, else the longer the oftener it was
    /// sent.
    fn rest(&self, op_id: &str, after_ms: Option<u64>, error: &Error) {
        let (now, mut roll) = (self.host.now_ms(), [0; 4]);
        self.host.random(&mut roll);
        let said = Rc::new(self.db.read(|replica| {
            let key = replica
                .outbox()
                .get(op_id)
                .map(|queued| (queued.op.entity.clone(), queued.op.id.clone()));
            let error = key.map_or_else(
                || error.clone(),
                |(entity, id)| error.clone().on(&entity, Some(&id)),
            );
            error.to_json(crate::util::time::format(now))
        }));
        self.db.update(|replica| {
            let attempts = replica
                .outbox()
                .get(op_id)
                .map_or(0, |queued| queued.op.attempts);
            let patience = || {
                self.config
                    .retry
                    .delay(attempts, u32::from_le_bytes(roll), None)
                    .max(DEFAULT_REST_MS)
            };
            let until = now.saturating_add(after_ms.unwrap_or_else(patience).min(LONGEST_REST_MS));
            replica.outbox_mut().rest(op_id, (now, until), said);
        });
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
            self.tell(Topic::DeadLetter, Some(&letter.op.entity), &mut |out| {
                push_field(out, "deadLetter", &letter.to_json())
            });
            self.warn(
                &Error::new(
                    Code::Rejected,
                    format!(
                        "The remote rejected an operation ({}): {}",
                        letter.code, letter.message
                    ),
                )
                .on(&letter.op.entity, Some(&letter.op.id)),
            );
        }
    }

    /// An operation that will never go through.
    async fn bury(&self, op: &Operation, code: &str, message: &str) -> Result<()> {
        let now = self.host.now_ms();
        let soft = self.soft();
        let rules = Rules {
            soft: &soft,
            keeps: &|entity| self.config.keeps(entity),
            policies: &|entity| self.config.policies(entity),
        };
        let mut settled = Settled::default();
        let mut plan = |replica: &Replica| {
            Ok(replica
                .plan_rejection(op, code, message, &rules, now)
                .into_draft(|(commit, letters): (Commit, _)| {
                    settled.letters = letters;
                    commit.into()
                }))
        };
        self.db.commit(Durability::Strict, &mut plan).await?;
        for letter in &settled.letters {
            settled.failed.count(&letter.op.entity);
        }
        self.count_push(&settled);
        Ok(())
    }
}

/// What a failure of a push as a whole leads to.
enum AfterFailure {
    /// The same with fewer operations.
    Halve,
    /// It was one operation: others may show whether that is to blame.
    TryOthers,
    /// The push ends.
    End,
}
