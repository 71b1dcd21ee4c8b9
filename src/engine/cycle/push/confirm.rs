//! Confirms what the remote has: pushes the operations of a few entities, also those that rest, so
//! that a verdict shows which of them were applied by a push whose reply was lost.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::engine::cycle::Cycle;
use crate::engine::cycle::progress::ProgressRange;
use crate::engine::cycle::push::Push;
use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::plan::row_planner::name;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;

/// Pushes the pending operations of these entities, by [`name`], and what they depend on.
/// Returns the entities of which it is still unknown what the remote has, because it fails on
/// them again and again. Boxed, because a push resolves conflicts, and resolving may push.
pub(crate) fn confirm<'c, S: Store, R: Remote, H: Host>(
    cycle: &'c Cycle<'c, S, R, H>,
    entities: Rc<VecMap<()>>,
) -> LocalBoxFuture<'c, Result<VecMap<()>>> {
    Box::pin(async move {
        let (asked, only) = cycle.db.read(|replica| {
            (
                questions(replica, &entities),
                with_dependencies(replica, &entities),
            )
        });
        let push = Push {
            only: Some(Rc::new(only)),
            search: Rc::default(),
            ..Push::new(cycle, ProgressRange::new(0.0, 0.0))
        };
        let pushed = push.run().await;
        let (mut unknown, mut all_fail) = (VecMap::default(), true);
        cycle.db.read(|replica| {
            for op_id in &asked {
                let open = |queued: &&Queued| queued.may_be_sent() && can_go(replica, queued);
                let Some(queued) = replica.outbox().get(op_id).filter(open) else {
                    continue;
                };
                let failed = pushed.as_ref().err();
                all_fail &= queued.fails_alone
                    || failed.is_none_or(|error| is_refused(cycle, error, queued));
                unknown.insert(&name(&queued.op.entity, &queued.op.id), ());
            }
        });
        match pushed {
            // Another try may tell more.
            Err(error) if unknown.is_empty() || !all_fail || !cycle.is_own(&error) => Err(error),
            _ => Ok(unknown),
        }
    })
}

/// Returns true if the remote itself failed on the operation, and has done so before.
fn is_refused<S, R, H>(cycle: &Cycle<'_, S, R, H>, error: &Error, queued: &Queued) -> bool {
    !matches!(error.code(), Code::Network | Code::Timeout)
        && queued.op.attempts >= cycle.config.retry.max_attempts
}

/// The operations of which a push may have been answered without this tab's knowledge.
fn questions(replica: &Replica, entities: &VecMap<()>) -> Vec<String> {
    let outbox = replica.outbox().iter();
    outbox
        .filter(|queued| {
            queued.may_be_sent() && entities.contains(&name(&queued.op.entity, &queued.op.id))
        })
        .map(|queued| queued.op.op_id.clone())
        .collect()
}

/// Returns false for an operation that waits for a decision of the app, or behind one that does.
/// The remote holds such an operation back, so it has not been applied.
fn can_go(replica: &Replica, queued: &Queued) -> bool {
    let goes = |queued: &Queued| {
        queued.blocked_by.is_none() && replica.blocking_rejection(&queued.op).is_none()
    };
    let waits = |other: &Queued| (!goes(other)).then(String::new);
    goes(queued) && replica.outbox().blocked_reason(queued, &waits).is_none()
}

/// Adds the entities whose operations go before those of `entities`.
fn with_dependencies(replica: &Replica, entities: &VecMap<()>) -> VecMap<()> {
    let outbox = replica.outbox();
    let mut all: VecMap<()> = VecMap::default();
    let mut open: Vec<&Queued> = outbox
        .iter()
        .filter(|queued| entities.contains(&name(&queued.op.entity, &queued.op.id)))
        .collect();
    while let Some(queued) = open.pop() {
        let op = &queued.op;
        if all.insert(&name(&op.entity, &op.id), ()).is_none() {
            let key = Key::new(&op.entity, &op.id);
            open.extend(
                outbox
                    .chain(&key)
                    .flat_map(|queued| outbox.dependencies(queued).map(|(_, other)| other)),
            );
        }
    }
    all
}
