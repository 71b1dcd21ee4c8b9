//! Builds a push: selects the operations to send, and writes the request. Shared by the cycle and
//! by a page that unloads.

use std::borrow::Cow;

use crate::model::config::Config;
use crate::model::entity::{Fields, Key};
use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_VERSION;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::model::protocol::{PushRequest, PushedOperation, Raw};
use crate::model::schema_field::SchemaField;
use crate::model::table::Table;
use crate::state::outbox::{Outbox, Queued};
use crate::state::replica::Replica;

/// Estimated bytes that an operation adds to a request besides its own texts: member names, quotes,
/// a version.
pub const AROUND: usize = 128;

/// Returns the operations to send now, at most `limit` of them, in outbox order. Leaves out
/// operations that are blocked, are backing off or `waits` excludes, and operations that depend on
/// those. Empty while a restored server must be pulled from first.
pub fn ready<'a>(
    replica: &'a Replica,
    now: u64,
    limit: usize,
    waits: &dyn Fn(&Queued) -> bool,
) -> Vec<&'a Queued> {
    if replica.awaits_pull() {
        return Vec::new();
    }
    let spaces = replica.spaces();
    // A remote that does not know them would take their rows for the user's own.
    let sends = spaces.support().unwrap_or_else(|| !replica.is_new());
    let ready = |queued: &Queued| {
        (sends || !queued.op.is_shared())
            && queued.blocked_by.is_none()
            && queued.rests_until(now).is_none()
            && !waits(queued)
            && spaces
                .limbo_of(&Key::new(&queued.op.entity, &queued.op.id))
                .is_none()
            && replica.blocking_rejection(&queued.op).is_none()
    };
    replica.outbox().batch(limit, &ready)
}

/// Returns those of `among`, all in the same push, that must be applied before this operation.
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

/// Returns a push request for these operations.
#[must_use]
pub fn request<'a>(
    device_id: &'a str,
    user_id: &'a str,
    schema: u32,
    epoch: Option<&'a str>,
    server_id: Option<&'a str>,
    operations: Vec<PushedOperation<'a>>,
) -> PushRequest<'a> {
    PushRequest {
        client_id: Cow::Borrowed(device_id),
        user_id: Some(Cow::Borrowed(user_id)),
        schema,
        epoch: epoch.map(Cow::Borrowed),
        server_id: server_id.map(Cow::Borrowed),
        operations,
    }
}

/// Returns an operation as it is sent, with its [`wire_data`].
#[must_use]
pub fn on_the_wire<'a>(
    op: &'a Operation,
    data: &'a Option<Cow<'a, str>>,
    after: &'a [String],
    schema: Option<&SchemaField>,
) -> PushedOperation<'a> {
    // A base of another epoch matches nothing: the remote answers with the row, if there is one. A
    // move has to have a base, so it gets a version that no row has.
    let is_move = op.kind == OperationKind::Move;
    let base_version = (op.base_version.filter(|base| *base != UNKNOWN))
        .or_else(|| is_move.then_some(MAX_VERSION));
    let table = Table(&op.entity);
    PushedOperation {
        op_id: Cow::Borrowed(&op.op_id),
        entity: Cow::Borrowed(table.entity()),
        id: Cow::Borrowed(&op.id),
        kind: kind_of(op, schema).into(),
        space: table.space().map(Cow::Borrowed),
        to: (op.to.as_deref())
            .and_then(|to| Table(to).space())
            .map(Cow::Borrowed),
        base_version,
        // An operation with a base cannot be applied after this one. A create could be, on a row
        // that was deleted in the meantime.
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

/// Returns the kind of an operation as it is sent. A patch of an entity that the server has in the
/// form of another version is sent as a whole: its fields would not fit to the rest.
fn kind_of(op: &Operation, schema: Option<&SchemaField>) -> OperationKind {
    let fits = |schema: &SchemaField| {
        let body = op.body.as_deref().unwrap_or_default();
        schema.of(body) >= Some(schema.version)
    };
    match op.kind {
        OperationKind::Patch if !schema.is_none_or(fits) => OperationKind::Update,
        kind => kind,
    }
}

/// Returns the data to send: the whole body, or the changed fields of a patch, without the fields
/// that the config keeps on the device.
///
/// # Errors
/// Fails with [`Code::Corrupt`] for a body that is not JSON.
pub fn wire_data<'a>(
    op: &'a Operation,
    local_only: &[String],
    schema: Option<&SchemaField>,
) -> Result<Option<Cow<'a, str>>> {
    let Some(body) = op
        .body
        .as_deref()
        .filter(|_| !matches!(op.kind, OperationKind::Delete | OperationKind::Move))
    else {
        return Ok(None);
    };
    // The server reads each operation separately, but invalid JSON would break the whole request.
    let mut fields = Fields::parse(body).map_err(|cause| {
        Error::new(
            Code::Corrupt,
            "A queued operation's body is not JSON any more.",
        )
        .on(&op.entity, Some(&op.id))
        .caused_by(cause)
    })?;
    let all = fields.0.len();
    // Also removes fields of older writes, which may have been queued before the config changed.
    fields
        .0
        .retain(|(name, _)| !local_only.iter().any(|only| *only == **name));
    if kind_of(op, schema) != OperationKind::Patch {
        let whole = if fields.0.len() == all {
            Cow::Borrowed(body)
        } else {
            Cow::Owned(fields.to_json())
        };
        return Ok(Some(match schema {
            Some(schema) => Cow::Owned(schema.stated(&whole).into_owned()),
            None => whole,
        }));
    }
    fields
        .0
        .retain(|(name, _)| name == "modifiedAt" || op.fields.iter().any(|field| *field == **name));
    Ok(Some(Cow::Owned(fields.to_json())))
}

/// An operation, its data, and the operations that must be applied before it.
type Taken<'a> = (&'a Operation, Option<Cow<'a, str>>, Vec<String>);

/// Returns the body of a push of as many operations as fit into `most` bytes, and their ids; `None`
/// if not even the first fits. Stops before an operation that cannot be sent, which the cycle
/// reports.
#[must_use]
pub fn bounded(
    device_id: &str,
    user_id: &str,
    config: &Config,
    replica: &Replica,
    server_id: Option<&str>,
    ready: &[&Queued],
    most: usize,
) -> Option<(String, Vec<String>)> {
    let mut taken: Vec<Taken<'_>> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut bytes = 0_usize;
    for queued in ready {
        let op = &queued.op;
        let schema = config.schema_field.as_deref();
        let Ok(data) = wire_data(op, &config.local_only(&op.entity), schema) else {
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
        // Never skips an operation that does not fit: the remote gets them in order.
        if bytes > most {
            break;
        }
        ids.push(&op.op_id);
        taken.push((op, data, after));
    }
    while !taken.is_empty() {
        let operations = taken
            .iter()
            .map(|(op, data, after)| on_the_wire(op, data, after, config.schema_field.as_deref()))
            .collect();
        let body = request(
            device_id,
            user_id,
            config.schema,
            replica.facts().epoch.as_deref(),
            server_id,
            operations,
        )
        .to_json();
        // Ids may be longer in JSON than they are in memory.
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
