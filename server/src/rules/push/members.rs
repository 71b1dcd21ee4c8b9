//! Who may do what, and the writes that change that: creating and ending a space, and its members.
//!
//! A membership is decided in the transaction of the write that it allows. What is answered to a
//! stranger is the same whether there is such a space, was one, or never was.

use std::sync::Arc;

use datum_sync::model::protocol::PushedKind;
use datum_sync::model::space::Role;

use super::Decision;
use super::operation::Operation;
use super::unit_of_work::UnitOfWork;
use crate::rules::ServerError;
use crate::rules::data::Rejection;
use crate::rules::spaces::{self, MEMBER, SPACE};
use crate::rules::store::{Space, Transaction};

/// Returns why the user may not do this, if so.
pub(super) fn refusal<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
) -> Result<Option<Rejection>, ServerError> {
    let role = work.space(&operation.space)?.access.role;
    let Some(role) = role else {
        return Ok(Some(not_member(
            operation.to.as_ref().map(|_| &operation.space),
        )));
    };
    if spaces::is_reserved(&operation.sent.entity) {
        let leaves = operation.sent.kind == PushedKind::Delete && is_own(work.user, operation);
        return Ok((role < Role::Owner && !leaves)
            .then(|| Rejection::new("notOwner", "Only owners change a space and its members.")));
    }
    if role < Role::Writer {
        return Ok(Some(read_only(
            operation.to.as_ref().map(|_| &operation.space),
        )));
    }
    let Some(to) = &operation.to else {
        return Ok(None);
    };
    Ok(match work.space(to)?.access.role {
        None => Some(not_member(Some(to))),
        Some(Role::Reader) => Some(read_only(Some(to))),
        Some(_) => None,
    })
}

pub(super) fn not_member(space: Option<&Space>) -> Rejection {
    Rejection {
        space: space.and_then(Space::id).cloned(),
        ..Rejection::new("notMember", "The user is not a member of such a space.")
    }
}

fn read_only(space: Option<&Space>) -> Rejection {
    Rejection {
        space: space.and_then(Space::id).cloned(),
        ..Rejection::new("readOnly", "The user may only read this space.")
    }
}

/// Returns whether an operation is about the user's own membership.
fn is_own(user: &str, operation: &Operation<'_>) -> bool {
    operation.sent.entity == MEMBER && subject(operation) == Some(user)
}

/// Returns the user whose membership an operation is about.
fn subject<'a>(operation: &'a Operation<'_>) -> Option<&'a str> {
    spaces::member(operation.space.id()?, &operation.key.1)
}

/// Creates a space with its author as the owner.
pub(super) async fn create_space<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    id: &Arc<str>,
    data: Arc<str>,
) -> Result<Decision, ServerError> {
    if work.tx.spaces_of(work.user).await? >= work.config.max_spaces {
        return Ok(Decision::Rejected(too_many_spaces(work.config.max_spaces)));
    }
    let decision = work.write(operation, Some(data)).await?;
    let key = (MEMBER.to_owned(), spaces::member_id(id, work.user));
    let owner = format!("{{\"role\":\"{}\"}}", Role::Owner.name());
    work.put(&operation.space, &key, Some(owner.into()), None)
        .await?;
    work.tx.set_member(id, work.user, Some(Role::Owner)).await?;
    let access = &mut work.space(&operation.space)?.access;
    (access.used, access.role, access.members) = (true, Some(Role::Owner), 1);
    Ok(decision)
}

fn too_many_spaces(most: u64) -> Rejection {
    Rejection::new(
        "tooManySpaces",
        format!("A user can be in {most} shared spaces; this one is."),
    )
}

/// Does what a write of this data, or a deletion without it, means beside the row. Returns why it
/// must not be written, if so; nothing has happened then.
pub(super) async fn apply<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    data: Option<&str>,
) -> Result<Option<Rejection>, ServerError> {
    let Some(id) = operation.space.id() else {
        return Ok(None);
    };
    match (operation.sent.entity.as_ref(), subject(operation)) {
        (MEMBER, Some(user)) => {
            let role = data.and_then(spaces::role);
            set_member(work, operation, (id, user), role).await
        }
        _ => Ok(None),
    }
}

async fn set_member<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    operation: &Operation<'_>,
    (id, user): (&str, &str),
    role: Option<Role>,
) -> Result<Option<Rejection>, ServerError> {
    let stamps = &work.space(&operation.space)?.stamps;
    let live = stamps
        .get(&operation.key)
        .is_some_and(|stamp| !stamp.deleted);
    let stored = if live {
        work.data(&operation.space, &operation.key).await?
    } else {
        None
    };
    let before = stored.as_deref().and_then(spaces::role);
    if before == role {
        return Ok(None);
    }
    if before == Some(Role::Owner) && work.tx.owners(id).await? < 2 {
        return Ok(Some(Rejection::new(
            "lastOwner",
            "A space needs an owner: make another member one first, or delete the space.",
        )));
    }
    if before.is_none() {
        let most = work.config.max_members;
        if work.space(&operation.space)?.access.members >= most {
            return Ok(Some(Rejection::new(
                "tooManyMembers",
                format!("A space can have {most} members; this one has."),
            )));
        }
        if work.tx.spaces_of(user).await? >= work.config.max_spaces {
            return Ok(Some(too_many_spaces(work.config.max_spaces)));
        }
    }
    work.tx.set_member(id, user, role).await?;
    work.affected.insert(user.to_owned());
    let own = user == work.user;
    let access = &mut work.space(&operation.space)?.access;
    access.members = match (before, role) {
        (None, Some(_)) => access.members.saturating_add(1),
        (Some(_), None) => access.members.saturating_sub(1),
        _ => access.members,
    };
    if own {
        access.role = role;
    }
    Ok(None)
}

/// Ends the space of a `$space` that was just deleted: nobody is a member any more, and its id is
/// never used again.
pub(super) async fn end_space<T: Transaction>(
    work: &mut UnitOfWork<'_, T>,
    space: &Space,
) -> Result<(), ServerError> {
    let Some(id) = space.id() else {
        return Ok(());
    };
    // What waits for the space would be written after its end otherwise.
    work.flush().await?;
    let members = work.tx.members(id).await?;
    work.affected.extend(members);
    work.tx.end_space(id).await?;
    work.space(space)?.end();
    Ok(())
}

/// Returns whether an operation is a `$space`'s creation.
pub(super) fn creates_space(operation: &Operation<'_>) -> bool {
    operation.sent.entity == SPACE && operation.sent.kind == PushedKind::Create
}

/// Returns whether an operation is a `$space`'s deletion.
pub(super) fn ends_space(operation: &Operation<'_>) -> bool {
    operation.sent.entity == SPACE && operation.sent.kind == PushedKind::Delete
}
