//! Pending operations that make, end or leave a shared space.

use crate::model::entity::Key;
use crate::model::operation::OperationKind;
use crate::model::space::{MEMBER, SPACE};
use crate::model::table::Table;
use crate::state::replica::Replica;

/// The code of one who may not read a space: a stranger, or who has left it.
pub(crate) const NOT_MEMBER: &str = "notMember";

/// Why what is pending in a space becomes letters without a verdict.
pub(crate) const IS_LEFT: &str = "The user may not read this space any more, or it has ended.";

/// Why an acknowledged write becomes a letter if a restored server has forgotten its space.
pub(crate) const IS_FORGOTTEN: &str =
    "The restored server has forgotten this space, and this write in it.";

/// Returns true if the creation of a space is pending.
pub(crate) fn awaits_creation(replica: &Replica, space: &str) -> bool {
    let table = Table::name(SPACE, Some(space));
    let key = Key::new(&table, space);
    let mut chain = replica.outbox().chain(&key);
    chain.any(|queued| queued.op.kind == OperationKind::Create)
}

/// Returns true if the user ends or leaves a space, as far as this device knows.
pub(crate) fn is_given_up(replica: &Replica, space: &str) -> bool {
    let is_going = |entity: &str, id: &str| {
        let table = Table::name(entity, Some(space));
        let view = replica.view(&Key::new(&table, id));
        view.is_some_and(|view| view.deleted)
    };
    is_going(SPACE, space) || is_going(MEMBER, &[space, "/", replica.user_id()].concat())
}

/// Returns true if the last pending operation of an entity ends its space, or the user's own
/// membership: that is done once the user may not read the space. Not if they never could, as far
/// as is known here: such an operation is that of another user, who was adopted.
pub(crate) fn is_end(replica: &Replica, key: &Key<'_>) -> bool {
    let (table, last) = (Table(key.entity), replica.outbox().last(key));
    let role = table.space().and_then(|space| replica.spaces().role(space));
    let was_member = role.is_some() || replica.row(key).is_some();
    last.is_some_and(|op| op.kind == OperationKind::Delete)
        && was_member
        && (table.entity() == SPACE
            || table.entity() == MEMBER
                && (key.id.strip_suffix(replica.user_id()))
                    .is_some_and(|space| space.strip_suffix('/') == table.space()))
}
