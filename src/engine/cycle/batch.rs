//! What a push is made of: the operations whose turn it is, and the request that carries them.
//! Shared by the cycle and by a page that goes away.

use std::borrow::Cow;

use crate::model::config::Config;
use crate::model::entity::Fields;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::model::protocol::{PushRequest, PushedOperation, Raw};
use crate::state::outbox::{Outbox, Queued};
use crate::state::replica::Replica;

/// What an operation adds to a request also_allow its own texts: names of members, quotes, a
/// version.
pub const AROUND: usize = 128;

/// The operations that may be sent now, at most so many, in outbox order: unless one is blocked,
/// rests, or has another reason to wait, and unless what it depends on does. None while a restored
/// server has to be pulled from first.
pub fn ready<'a>(
    replica: &'a Replica,
    now: u64,
    limit: usize,
    waits: &dyn Fn(&Queued) -> bool,
) -> Vec<&'a Queued> {
    if replica.awaits_pull() {
        return Vec::new();
    }
    let ready = |queued: &Queued| {
        queued.blocked_by.is_none()
            && queued.rests_until(now).is_none()
            && !waits(queued)
            && replica.blocking_rejection(&queued.op).is_none()
    };
    replica.outbox().batch(limit, &ready)
}

/// Which of these operations, all of one push, must have been applied before one of them is.
#[must_use]
pub fn after(outbox: &Outbox, op_id: &str, among: &[&str]) -> Vec<String> {
    let Some(queued) = outbox.get(op_id) else {
        return Vec::new();
    };
    let ahead = outbox
        .dependencies(queued)
        .map(|(_, other)| &other.op.op_id);
    ahead
        .filter(|op_id| among.contains(&op_id.as_str()))
        .cloned()
        .collect()
}

/// A push of these operations.
#[must_use]
pub fn request<'a>(
    device_id: &'a str,
    user_id: &'a str,
    schema: u32,
    epoch: Option<&'a str>,
    operations: Vec<PushedOperation<'a>>,
) -> PushRequest<'a> {
    let epoch = epoch.map(Cow::Borrowed);
    PushRequest {
        client_id: Cow::Borrowed(device_id),
        user_id: Some(Cow::Borrowed(user_id)),
        schema,
        epoch,
        operations,
    }
}

/// An operation as it travels, with its [`wire_data`].
#[must_use]
pub fn on_the_wire<'a>(
    op: &'a Operation,
    data: &'a Option<Cow<'a, str>>,
    after: &'a [String],
) -> PushedOperation<'a> {
    // A base of another history fits nothing: the remote answers with the row, if there is one.
    let base_version = op.base_version.filter(|base| *base != UNKNOWN);
    PushedOperation {
        op_id: Cow::Borrowed(&op.op_id),
        entity: Cow::Borrowed(&op.entity),
        id: Cow::Borrowed(&op.id),
        kind: op.kind,
        base_version,
        // One with a base cannot be applied behind this one. A create could: on a row that is
        // deleted meanwhile.
        supersedes: op
            .supersedes
            .iter()
            .filter(|_| base_version.is_none())
            .map(|id| Cow::Borrowed(id.as_str()))
            .collect(),
        data: data.as_deref().map(Raw),
        after: after
            .iter()
            .map(|op_id| Cow::Borrowed(op_id.as_str()))
            .collect(),
    }
}

/// What travels: the whole body, or a patch's changed fields, and nothing that the config keeps
/// here.
///
/// # Errors
/// [`Code::Corrupt`] for a body that is not JSON.
pub fn wire_data<'a>(op: &'a Operation, local_only: &[String]) -> Result<Option<Cow<'a, str>>> {
    let Some(body) = op
        .body
        .as_deref()
        .filter(|_| op.kind != OperationKind::Delete)
    else {
        return Ok(None);
    };
    // The server reads every operation by itself, but one that is not JSON would spoil the others'
    // request.
    let mut fields = Fields::parse(body).map_err(|cause| {
        Error::new(
            Code::Corrupt,
            "A queued operation's body is not JSON any more.",
        )
        .on(&op.entity, Some(&op.id))
        .caused_by(cause)
    })?;
    let all = fields.0.len();
    // Not only fields of today's writes: an operation may have been queued before the config
    // changed.
    fields
        .0
        .retain(|(name, _)| !local_only.iter().any(|only| *only == **name));
    if op.kind != OperationKind::Patch {
        return Ok(Some(if fields.0.len() == all {
            Cow::Borrowed(body)
        } else {
            Cow::Owned(fields.to_json())
        }));
    }
    fields
        .0
        .retain(|(name, _)| name == "modifiedAt" || op.fields.iter().any(|field| *field == **name));
    Ok(Some(Cow::Owned(fields.to_json())))
}

/// An operation with its data, and what goes before it.
type Taken<'a> = (&'a Operation, Option<Cow<'a, str>>, Vec<String>);

/// The body of a push of as many operations as fit into so many bytes, and their ids; none where
/// not even the first fits. One that cannot travel, and what comes after it, is left to the cycle,
/// which reports it.
#[must_use]
pub fn bounded(
    device_id: &str,
    user_id: &str,
    config: &Config,
    replica: &Replica,
    ready: &[&Queued],
    most: usize,
) -> Option<(String, Vec<String>)> {
    let mut taken: Vec<Taken<'_>> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut bytes = 0_usize;
    for queued in ready {
        let op = &queued.op;
        let Ok(data) = wire_data(op, &config.local_only(&op.entity)) else {
            break;
        };
        let after = after(replica.outbox(), &op.op_id, &ids);
        let texts = [
            op.op_id.len(),
            op.entity.len(),
            op.id.len(),
            data.as_deref().map_or(0, str::len),
            AROUND,
        ];
        bytes = texts
            .iter()
            .fold(bytes, |sum, more| sum.saturating_add(*more));
        // Not past one that does not fit: the remote gets them in their order.
        if bytes > most {
            break;
        }
        ids.push(&op.op_id);
        taken.push((op, data, after));
    }
    while !taken.is_empty() {
        let operations = taken
            .iter()
            .map(|(op, data, after)| on_the_wire(op, data, after))
            .collect();
        let body = request(
            device_id,
            user_id,
            config.schema,
            replica.facts().epoch.as_deref(),
            operations,
        )
        .to_json();
        // Ids may take more room in JSON than they have bytes.
        if body.len() <= most {
            return Some((
                body,
                taken.iter().map(|(op, ..)| op.op_id.clone()).collect(),
            ));
        }
        taken.pop();
    }
    None
}
