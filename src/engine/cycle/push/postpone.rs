//! Operations that are not sent: for now, at the remote's request, or never, because it cannot take
//! them or has no shared spaces.

use std::rc::Rc;

use crate::engine::cycle::push::Push;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::retry_after::LONGEST_WAIT_MS;
use crate::model::space::NO_SPACES;
use crate::plan::rejection::{RejectionPlanner, Rejects, Rules};
use crate::plan::verdicts::{Postponed, Settled};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::time;

/// The shortest backoff of a postponed operation, in milliseconds.
const DEFAULT_REST_MS: u64 = 1000;

impl<S: Store, R: Remote, H: Host> Push<'_, S, R, H> {
    /// Postpones the operations that the remote did not decide, of those that were sent.
    pub(super) fn postpone(&mut self, settled: &Settled, sent: usize) {
        // It had no time for the rest: they are sent again in this very cycle, as long as each
        // request decides something.
        let goes_on = settled.retry.len() < sent;
        for Postponed {
            op_id,
            after_ms,
            code,
            held,
        } in &settled.retry
        {
            let reason = code.as_deref().unwrap_or("retry");
            let error = Error::new(
                Code::ServerError,
                if *held {
                    format!("It waits for an operation that the remote has not applied ({reason}).")
                } else {
                    format!("The remote wants this operation later ({reason}).")
                },
            );
            self.cycle
                .db
                .update(|replica| replica.outbox_mut().mark_unsent(op_id));
            // It is sent in this very cycle, as soon as its dependency is.
            let after_ms = if *held { Some(0) } else { *after_ms };
            self.rest(op_id, after_ms, &error.with_retry_after(after_ms));
            let at_once = goes_on && after_ms == Some(0);
            if !held && !at_once {
                self.resting.insert(op_id, ());
            }
        }
    }

    /// Turns operations that can never be sent into dead letters.
    pub(super) async fn reject(&self, what: Rejects<'_>, code: &str, message: &str) -> Result<()> {
        let mut planner = RejectionPlanner {
            what,
            code,
            message,
            rules: &Rules {
                soft: &|entity| self.cycle.config.is_soft(entity),
                keeps: &|entity| self.cycle.config.keeps(entity),
                policies: &|entity| self.cycle.config.policies(entity),
            },
            now: self.cycle.host.now_ms(),
        };
        let dead_letters = self
            .cycle
            .db
            .commit(Durability::Strict, &mut planner)
            .await?;
        self.cycle.count_buried(dead_letters);
        Ok(())
    }

    /// Makes dead letters of what was written into shared spaces before it was known that the remote
    /// has none.
    pub(super) async fn reject_shared(&self) -> Result<()> {
        let waits = self.cycle.db.read(|replica| {
            replica.spaces().support() == Some(false)
                && replica.outbox().iter().any(|queued| queued.op.is_shared())
        });
        match waits {
            true => {
                let code = Code::Unsupported.as_str();
                self.reject(Rejects::Shared, code, NO_SPACES).await
            }
            false => Ok(()),
        }
    }

    /// Starts an operation's backoff: as long as the remote asked, else longer with each attempt.
    pub(super) fn rest(&self, op_id: &str, after_ms: Option<u64>, error: &Error) {
        let (now, mut roll) = (self.cycle.host.now_ms(), [0; 4]);
        self.cycle.host.random(&mut roll);
        let error_json = Rc::new(self.cycle.db.read(|replica| {
            let key = replica
                .outbox()
                .get(op_id)
                .map(|queued| (queued.op.entity.clone(), queued.op.id.clone()));
            let error = key.map_or_else(
                || error.clone(),
                |(entity, id)| error.clone().on(&entity, Some(&id)),
            );
            error.to_json(time::format(now))
        }));
        self.cycle.db.update(|replica| {
            let attempts = replica
                .outbox()
                .get(op_id)
                .map_or(0, |queued| queued.op.attempts);
            let patience = || {
                self.cycle
                    .config
                    .retry
                    .delay(attempts, u32::from_le_bytes(roll), None)
                    .max(DEFAULT_REST_MS)
            };
            let until = now.saturating_add(after_ms.unwrap_or_else(patience).min(LONGEST_WAIT_MS));
            replica.outbox_mut().rest(op_id, (now, until), error_json);
        });
    }
}
