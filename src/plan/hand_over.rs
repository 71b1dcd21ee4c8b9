//! Takes what waits over a moved row to where the row lives now.

use crate::conflict::same_content;
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind};
use crate::plan::row_planner::{RemoteRow, RowPlanner};
use crate::state::outbox::Queued;

/// What is known of the operations over a moved row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// One may have been sent. Then all stay: sent again, it is answered as applied before, or as
    /// a conflict with the row where it lives.
    Maybe,
    /// The first was sent and not applied. All get new ids: the server may remember the old ones.
    Refused,
}

/// What became of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HandedOver {
    /// They stay where they are, or there are none.
    Not,
    /// They go on at the row where it lives.
    Yes,
    /// So do they, and the row there is planned.
    WithRow,
}

/// Plans operations over `key` as such of the row `there`. A body that must be fetched first is
/// noted.
pub(super) fn hand_over(
    planner: &mut RowPlanner<'_>,
    key: &Key<'_>,
    there: &RemoteRow<'_>,
    sent: Delivery,
) -> HandedOver {
    let outbox = planner.replica.outbox();
    let queued: Vec<&Queued> = outbox.chain(key).collect();
    let is_sent = |one: &&Queued| one.maybe_sent || one.in_flight;
    if queued.is_empty()
        || queued.iter().any(|one| one.blocked_by.is_some())
        || (sent == Delivery::Maybe && queued.iter().any(is_sent))
        || outbox.last(&there.key()).is_some()
    {
        return HandedOver::Not;
    }
    let Some(base) = planner.held(key) else {
        return HandedOver::Not;
    };
    let chain: Vec<Operation> = (queued.iter())
        .map(|queued| Operation {
            op_id: match sent {
                Delivery::Maybe => queued.op.op_id.clone(),
                Delivery::Refused => planner.op_id(),
            },
            entity: there.entity.to_owned(),
            base_version: Some(there.version),
            kind: match queued.op.kind {
                OperationKind::Create => OperationKind::Update,
                kind => kind,
            },
            ..queued.op.clone()
        })
        .collect();
    for (op, queued) in chain.iter().zip(&queued) {
        let old = vec![queued.op.op_id.clone()];
        planner.commit.queue(op.clone(), old);
    }
    let same = |base: &str| there.body.is_some_and(|body| same_content(base, body));
    if base.as_deref().is_some_and(same) {
        return HandedOver::Yes;
    }
    let chain: Vec<&Operation> = chain.iter().collect();
    planner.meet_elsewhere(there, &chain, base.as_deref());
    HandedOver::WithRow
}
