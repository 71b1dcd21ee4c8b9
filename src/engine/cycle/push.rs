//! Push: batches in outbox order, with at most one operation per entity. A conflict goes to its
//! resolver, and the winner is pushed in the same cycle. An operation that the remote rejects,
//! postpones or fails on does not hold up the others.

use std::rc::Rc;

use crate::engine::cycle::batch::{AROUND, after, on_the_wire, ready, request, wire_data};
use crate::engine::cycle::call::Call;
use crate::engine::cycle::cancel::Stop;
use crate::engine::cycle::progress::ProgressRange;
use crate::engine::cycle::push::search::Search;
use crate::engine::cycle::resolve::Resolving;
use crate::engine::cycle::retry::{is_slow, worth_another_try};
use crate::engine::cycle::server::{
    BeforePush, confirm_refusal, known_server, meet_pushed, tell_unnamed,
};
use crate::engine::cycle::{Cycle, arrival};
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind};
use crate::model::protocol::{PushReply, parse_push_reply, says_applied};
use crate::model::status::Phase;
use crate::plan::local_only::LocalOnlyPlanner;
use crate::plan::rejection::{Rejects, Rules};
use crate::plan::row_planner::{Decisions, name};
use crate::plan::verdicts::{Settled, VerdictPlanner};
use crate::ports::host::Host;
use crate::ports::remote::{Pushed, Remote};
use crate::ports::store::Store;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;

pub(super) mod confirm;
mod postpone;
pub(super) mod search;

/// How often one entity may conflict in one cycle before its winner waits for the next.
const MAX_CLASHES: u64 = 5;

/// The most bytes of bodies in one push: many proxies accept this by default. A single operation
/// may be larger.
const MOST_BYTES: u64 = 900 << 10;

/// One push. A conflict's winner is pushed in the same cycle and may conflict again.
pub(crate) struct Push<'c, S, R, H> {
    cycle: &'c Cycle<'c, S, R, H>,
    /// Only these entities, by [`name`], and those of them too that rest; `None` for all entities.
    only: Option<Rc<VecMap<()>>>,
    progress: ProgressRange,
    search: Rc<RefCell<Search>>,
    /// Operations that this cycle does not send again.
    resting: VecMap<()>,
    /// How often each entity has conflicted in this push.
    clashes: VecMap<u64>,
}

/// The outcome of a request.
enum BatchAnswer {
    Reply(Vec<u8>),
    /// The batch changed: build the next one.
    Again,
}

/// How sending a batch ended.
enum SendEnd {
    Reply(Vec<u8>),
    /// The remote does not accept a request of this size.
    TooLarge,
    /// Before it was sent again, another tab settled some of it.
    Outdated,
}

impl<'c, S: Store, R: Remote, H: Host> Push<'c, S, R, H> {
    pub(crate) fn new(cycle: &'c Cycle<'c, S, R, H>, progress: ProgressRange) -> Self {
        Self {
            cycle,
            only: None,
            progress,
            search: Rc::clone(&cycle.notes.search),
            resting: VecMap::default(),
            clashes: VecMap::default(),
        }
    }

    /// Pushes the pending operations.
    pub(crate) async fn run(mut self) -> Result<()> {
        let cycle = self.cycle;
        self.keep_local_only().await?;
        if self.only.is_none() {
            tell_unnamed(cycle);
            self.reject_shared().await?;
        }
        let mut pushed = 0_u64;
        loop {
            let batch = self.next_batch();
            if !batch.is_empty() && !cycle.db.read(|replica| replica.outbox().is_alone()) {
                // Tells other tabs that this one sends from now on.
                let same = |replica: &Replica| {
                    vec![Event::Facts {
                        facts: Box::new(replica.facts().clone()),
                    }]
                };
                cycle.db.record(Durability::Relaxed, &same).await?;
                continue;
            }
            if batch.is_empty() {
                if self.search.borrow_mut().give_up() {
                    continue;
                }
                return self.ended();
            }
            cycle.show(Phase::Pushing, self.progress.from);
            let ids: Vec<String> = batch.iter().map(|op| op.op_id.clone()).collect();
            let (asked_at, began) = (cycle.host.now_ms(), cycle.host.elapsed_ms());
            let before = BeforePush::of(cycle, &ids)?;
            cycle
                .db
                .update(|replica| replica.outbox_mut().mark_sending(&ids));
            let sent = self.send(&batch).await;
            cycle
                .db
                .update(|replica| replica.outbox_mut().mark_returned(&ids));
            let BatchAnswer::Reply(bytes) = self.sent(&batch, &ids, sent).await? else {
                continue;
            };
            let op_ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let reply = match parse_push_reply(&bytes, &op_ids) {
                Ok(reply) => reply,
                Err(error) => {
                    self.failed(&batch, &ids, error).await?;
                    continue;
                }
            };
            let took = cycle.host.elapsed_ms().saturating_sub(began);
            meet_pushed(cycle, &reply, &ids, before)?;
            cycle.learn(reply.server_time.as_deref(), asked_at);
            if !cycle
                .db
                .read(|replica| replica.is_of(reply.epoch.as_deref()))
            {
                // The server was restored, or another tab has detected that since the request was
                // sent: the verdicts belong to another epoch. The operations stay queued, and are
                // sent again after a full pull.
                return Ok(());
            }
            let settled = self.settle(&batch, &reply).await?;
            self.found(&ids);
            cycle.batch_size.succeeded(batch.len(), took);
            self.after_verdicts(&settled, batch.len());
            pushed = pushed.saturating_add(batch.len() as u64);
            let waiting = cycle.db.read(|replica| replica.outbox().len() as u64);
            let total = pushed.saturating_add(waiting);
            cycle.show(Phase::Pushing, self.progress.at(pushed, total));
        }
    }

    fn after_verdicts(&mut self, settled: &Settled, sent: usize) {
        for (conflict, _) in &settled.incoming.resolved {
            self.clashes
                .count(&name(&conflict.entity, &conflict.entity_id));
        }
        self.postpone(settled, sent);
        self.cycle.count_pushed(settled);
    }

    /// Acts on the reply to a batch, or on its failure.
    async fn sent(
        &mut self,
        batch: &[Operation],
        ids: &[String],
        sent: Result<SendEnd>,
    ) -> Result<BatchAnswer> {
        let error = match sent {
            Ok(SendEnd::Reply(bytes)) => return Ok(BatchAnswer::Reply(bytes)),
            Ok(SendEnd::Outdated) => return Ok(BatchAnswer::Again),
            Ok(SendEnd::TooLarge) if batch.len() > 1 => {
                self.cycle.batch_size.too_large(batch.len());
                return Ok(BatchAnswer::Again);
            }
            Ok(SendEnd::TooLarge) => {
                confirm_refusal(self.cycle).await?;
                for op in batch {
                    // It can never be sent, not even alone.
                    self.reject(Rejects::One(op), "tooLarge", "The remote does not accept a request of this size, even with one operation in it.")
                        .await?;
                }
                return Ok(BatchAnswer::Again);
            }
            Err(error) => error,
        };
        let unreadable =
            |op: &&Operation| error.code() == Code::Corrupt && error.entity_id() == Some(&op.id);
        if let Some(op) = batch.iter().find(unreadable) {
            // It would break every request that contains it.
            self.reject(Rejects::One(op), "corrupt", error.message())
                .await?;
            return Ok(BatchAnswer::Again);
        }
        self.failed(batch, ids, error).await?;
        Ok(BatchAnswer::Again)
    }

    /// Acts on a push that failed as a whole: `Ok` if another one may tell more.
    async fn failed(&self, batch: &[Operation], ids: &[String], error: Error) -> Result<()> {
        let stopped = self.cycle.cancel.reason();
        // The cycle's timeout ran out during the request.
        if stopped == Some(Stop::Timeout) && ids.len() > 1 {
            self.cycle.batch_size.too_slow(ids.len());
        }
        if stopped.is_none_or(|reason| reason == Stop::Timeout) {
            self.note_failure(ids, &error);
        }
        if stopped.is_some() {
            return Err(error);
        }
        if let ([op], Code::Rejected) = (batch, error.code()) {
            // A remote that refuses a user says so in the same way.
            if error.status() != Some(403) {
                let why = error.cause().unwrap_or(error.message());
                return self.reject(Rejects::One(op), "rejected", why).await;
            }
        }
        self.search(batch, ids, error)
    }

    /// Ends the push. No later one could show whether an operation that failed alone or the remote
    /// is the cause, unless that was seen before.
    fn ended(&self) -> Result<()> {
        let search = self.search.borrow();
        let first = self.cycle.db.read(|replica| {
            let outbox = replica.outbox();
            let is_new = |op_id: &str| {
                let queued = outbox.get(op_id);
                !search.any_went && queued.is_some_and(|queued| !queued.fails_alone)
            };
            let mut alone = search.alone.iter();
            alone
                .find(|(op_id, _)| is_new(op_id))
                .map(|(_, error)| error.clone())
        });
        drop(search);
        if let Some(error) = first {
            return Err(error);
        }
        self.rest_alone();
        Ok(())
    }

    /// Records the failed attempt in its operations.
    fn note_failure(&self, ids: &[String], error: &Error) {
        let error_json =
            Rc::new(error.to_json(crate::util::time::format(self.cycle.host.now_ms())));
        self.cycle
            .db
            .update(|replica| replica.outbox_mut().mark_failed(ids, &error_json));
    }

    /// Stores fields here that the config has made local-only since their operation was queued.
    async fn keep_local_only(&self) -> Result<()> {
        if self
            .cycle
            .config
            .entities
            .values()
            .all(|entity| entity.local_only.is_empty())
        {
            return Ok(());
        }
        let mut planner = LocalOnlyPlanner {
            local_only: &|entity| self.cycle.config.local_only(entity),
        };
        self.cycle
            .db
            .commit(self.cycle.config.local, &mut planner)
            .await
    }

    /// Returns the next operations: as many as one request may hold. Those that the remote has
    /// failed on go alone, after all others.
    fn next_batch(&self) -> Vec<Operation> {
        let mut roll = [0; 4];
        let candidate = {
            let search = self.search.borrow();
            if search.is_on() {
                self.cycle.host.random(&mut roll);
            }
            search.candidate(u32::from_le_bytes(roll))
        };
        let mut batch = self.batch_of(candidate.as_deref(), false);
        if batch.is_empty() && candidate.is_some() {
            // It waits for another one.
            batch = self.batch_of(None, false);
        }
        if batch.is_empty() && !self.search.borrow().narrows() {
            batch = self.batch_of(None, true);
        }
        batch
    }

    fn batch_of(&self, only: Option<&str>, failing: bool) -> Vec<Operation> {
        let search = self.search.borrow();
        let waits = |queued: &Queued| {
            let op = &queued.op;
            self.resting.contains(&op.op_id)
                || self.cycle.config.of(&op.entity).is_none()
                || (queued.fails_alone != failing && self.only.is_none())
                || search.excludes(&op.op_id, only)
                || (op.kind == OperationKind::Delete && !self.cycle.settings.include_deletes)
                || (!self.clashes.is_empty()
                    && self
                        .clashes
                        .get(&name(&op.entity, &op.id))
                        .is_some_and(|times| *times >= MAX_CLASHES))
                || self
                    .only
                    .as_ref()
                    .is_some_and(|only| !only.contains(&name(&op.entity, &op.id)))
        };
        let limit = match failing {
            true => 1,
            false => self
                .cycle
                .batch_size
                .limit(self.cycle.settings.batch_size)
                .min(search.limit()),
        };
        let now = match self.only {
            // No backoff lasts until then.
            Some(_) => u64::MAX,
            None => self.cycle.host.now_ms(),
        };
        self.cycle.db.read(|replica| {
            let mut bytes = 0;
            let fits = |op: &&Operation| {
                let before = bytes;
                bytes = op
                    .bytes()
                    .saturating_add(AROUND as u64)
                    .saturating_add(bytes);
                before == 0 || bytes <= MOST_BYTES
            };
            ready(replica, now, limit, &waits)
                .into_iter()
                .map(|queued| &queued.op)
                .take_while(fits)
                .cloned()
                .collect()
        })
    }

    /// Sends a batch.
    async fn send(&self, batch: &[Operation]) -> Result<SendEnd> {
        let config = self.cycle.config;
        let schema = config.schema_field.as_deref();
        let bodies = batch
            .iter()
            .map(|op| wire_data(op, &config.local_only(&op.entity), schema))
            .collect::<Result<Vec<_>>>()?;
        let ids: Vec<&str> = batch.iter().map(|op| op.op_id.as_str()).collect();
        let after: Vec<Vec<String>> = self.cycle.db.read(|replica| {
            ids.iter()
                .map(|op_id| after(replica.outbox(), op_id, &ids))
                .collect()
        });
        let operations = batch
            .iter()
            .zip(&bodies)
            .zip(&after)
            .map(|((op, data), after)| on_the_wire(op, data, after, schema))
            .collect();
        let (user_id, epoch) = self
            .cycle
            .db
            .read(|replica| (replica.user_id().to_owned(), replica.facts().epoch.clone()));
        let server = known_server(self.cycle);
        let request = request(
            self.cycle.device_id,
            &user_id,
            config.schema,
            epoch.as_deref(),
            server.named(self.cycle.remote.server_id().as_deref()),
            operations,
        );
        // A search sends each push once.
        let once = self.search.borrow().is_on() || self.cycle.notes.pull_failed.get();
        let (size, several) = (|| batch.len(), batch.len() > 1);
        let worth = |error: &Error| {
            worth_another_try(error)
                && (!once || error.code() == Code::RateLimited)
                && !(several && is_slow(error))
        };
        let is_pending = |replica: &Replica| {
            let outbox = replica.outbox();
            ids.iter().all(|op_id| outbox.get(op_id).is_some())
        };
        let push = async || {
            if !self.cycle.db.read(is_pending) {
                return Ok(None);
            }
            let pushed = self.cycle.remote.push(&user_id, &request).await?;
            if let Pushed::Reply { bytes, .. } = &pushed
                && says_applied(bytes)
            {
                return Ok(Some(pushed));
            }
            self.cycle.host.load_all().await?;
            match &pushed {
                // One that ends too early is asked for again, as if the connection had broken.
                Pushed::Reply { bytes, .. } => match parse_push_reply(bytes, &ids) {
                    Err(error) if worth_another_try(&error) => Err(error),
                    _ => Ok(Some(pushed)),
                },
                Pushed::TooLarge => Ok(Some(pushed)),
            }
        };
        let call = Call::of("push", "operations", &size);
        Ok(match self.cycle.attempt(&call, &worth, push).await? {
            Some(Pushed::Reply { bytes, sent }) => {
                let mut tally = self.cycle.tally.borrow_mut();
                tally.bytes_pushed = tally.bytes_pushed.saturating_add(sent);
                SendEnd::Reply(arrival::verdicts(self.cycle, batch, bytes)?)
            }
            Some(Pushed::TooLarge) => SendEnd::TooLarge,
            None => SendEnd::Outdated,
        })
    }

    async fn settle(&self, batch: &[Operation], reply: &PushReply<'_>) -> Result<Settled> {
        let mut planner = VerdictPlanner {
            sent: batch,
            reply,
            rules: &Rules {
                soft: &|entity| self.cycle.config.is_soft(entity),
                keeps: &|entity| self.cycle.config.keeps(entity),
                policies: &|entity| self.cycle.config.policies(entity),
            },
            decisions: Decisions::default(),
            context: self.cycle.db.plan_context(),
        };
        Resolving(self.cycle)
            .commit_resolving(self.cycle.config.local, &mut planner, &|_| {
                // A verdict already shows what the remote has.
                Box::pin(std::future::ready(Ok(VecMap::default())))
            })
            .await
    }
}
