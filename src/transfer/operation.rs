//! Operations, dead letters and conflicts as lines.

use crate::conflict::ConflictKind;
use crate::log::facts::{DeadLetter, Parked};
use crate::model::entity::{Key, OwnedKey};
use crate::model::error::Result;
use crate::model::operation::{Link, Operation, OperationKind};
use crate::model::table::Table;
use crate::transfer::fields::LineFields;
use crate::util::json::write::{push_field, put, put_text, put_texts};

const KINDS: [(&str, OperationKind); 5] = [
    ("create", OperationKind::Create),
    ("update", OperationKind::Update),
    ("patch", OperationKind::Patch),
    ("delete", OperationKind::Delete),
    ("move", OperationKind::Move),
];

const CLASHES: [(&str, ConflictKind); 3] = [
    ("bothModified", ConflictKind::BothModified),
    ("deletedRemotely", ConflictKind::DeletedRemotely),
    ("deletedLocally", ConflictKind::DeletedLocally),
];

/// Writes the members of an operation.
pub fn put_operation(out: &mut String, op: &Operation) {
    put_text(out, "opId", &op.op_id);
    Table(&op.entity).put(out);
    put_text(out, "id", &op.id);
    put(out, "kind", &op.kind);
    put(out, "baseVersion", &op.base_version);
    if let Some(space) = op.space_after_move() {
        put(out, "to", &space);
    }
    put(out, "queuedAt", &op.queued_at);
    put(out, "attempts", &op.attempts);
    if op.soft {
        put(out, "soft", &true);
    }
    put_list(out, "fields", &op.fields);
    put_list(out, "supersedes", &op.supersedes);
    put_hashes(out, &op.earlier);
    if !op.links.is_empty() {
        let mut text = String::from("[");
        for link in &op.links {
            text.push_str(if text.len() > 1 { ",{" } else { "{" });
            Table(&link.key.entity).put(&mut text);
            put_text(&mut text, "id", &link.key.id);
            put(&mut text, "asked", &link.asked);
            text.push('}');
        }
        text.push(']');
        push_data(out, "links", Some(&text));
    }
    push_data(out, "data", op.body.as_deref());
}

/// Reads an operation.
///
/// # Errors
/// Fails with [`crate::model::error::Code::InvalidArgument`], naming the line and the member.
pub fn get_operation(line: &LineFields<'_>) -> Result<Operation> {
    let (entity, kind) = (line.table()?, line.choice("kind", &KINDS)?);
    let to = match kind {
        OperationKind::Move => Some(line.table_of(Table(&entity).entity(), "to")?),
        _ => None,
    };
    let body = line.body("data")?;
    if body.is_none() && !matches!(kind, OperationKind::Delete | OperationKind::Move) {
        return Err(line.wrong("data", "is missing."));
    }
    let mut links = Vec::new();
    for link in line.objects("links")? {
        links.push(Link {
            key: OwnedKey {
                entity: link.table()?,
                id: link.id("id")?,
            },
            asked: link.flag("asked")?,
        });
    }
    let (op_id, id) = (line.id("opId")?, line.id("id")?);
    let key = Key::new(&entity, &id);
    let queued_at = line.number("queuedAt")?.unwrap_or_default();
    Ok(Operation {
        base_version: line.number("baseVersion")?,
        to,
        fields: line.texts("fields")?,
        attempts: line.small("attempts")?,
        soft: line.flag("soft")?,
        supersedes: line.texts("supersedes")?,
        earlier: line.hashes("earlier")?,
        links,
        ..Operation::new(op_id, key, kind, body, queued_at)
    })
}

/// Writes the members of a dead letter: those of its operation, and how it ended.
pub fn put_letter(out: &mut String, letter: &DeadLetter) {
    put_operation(out, &letter.op);
    put_text(out, "code", &letter.code);
    put_text(out, "message", &letter.message);
    put(out, "diedAt", &letter.died_at);
    push_data(out, "base", letter.base.as_deref());
    put(out, "kept", &letter.kept);
    put(out, "blockedBy", &letter.blocked_by);
    put(out, "maybe", &letter.maybe);
}

/// Reads a dead letter.
///
/// # Errors
/// As for [`get_operation`].
pub fn get_letter(line: &LineFields<'_>) -> Result<DeadLetter> {
    Ok(DeadLetter {
        op: get_operation(line)?,
        code: line.needed("code")?,
        message: line.text("message")?.unwrap_or_default(),
        died_at: line.number("diedAt")?.unwrap_or_default(),
        base: line.body("base")?,
        kept: line.flag("kept")?,
        blocked_by: line.text("blockedBy")?,
        maybe: line.flag("maybe")?,
    })
}

/// Writes the members of a parked conflict.
pub fn put_conflict(out: &mut String, conflict: &Parked) {
    put_text(out, "conflict", &conflict.id);
    Table(&conflict.entity).put(out);
    put_text(out, "id", &conflict.entity_id);
    put(out, "kind", &conflict.kind);
    put(out, "baseVersion", &conflict.base_version);
    put(out, "assumed", &conflict.assumed);
    put_list(out, "fields", &conflict.fields);
    put(out, "detectedAt", &conflict.detected_at);
    put(out, "failed", &conflict.failed);
    push_data(out, "base", conflict.base.as_deref());
}

/// Reads a parked conflict.
///
/// # Errors
/// As for [`get_operation`].
pub fn get_conflict(line: &LineFields<'_>) -> Result<Parked> {
    Ok(Parked {
        id: line.needed("conflict")?,
        entity: line.table()?,
        entity_id: line.id("id")?,
        kind: line.choice("kind", &CLASHES)?,
        base: line.body("base")?,
        base_version: line.number("baseVersion")?.unwrap_or_default(),
        assumed: line.flag("assumed")?,
        fields: line.texts("fields")?,
        detected_at: line.number("detectedAt")?.unwrap_or_default(),
        failed: line.small("failed")?,
    })
}

fn put_list(out: &mut String, name: &str, texts: &[String]) {
    if !texts.is_empty() {
        put_texts(out, name, &mut texts.iter().map(String::as_str));
    }
}

/// Writes hashes as strings: a number of JavaScript holds 53 bits.
fn put_hashes(out: &mut String, hashes: &[u64]) {
    let texts: Vec<String> = hashes.iter().map(u64::to_string).collect();
    put_list(out, "earlier", &texts);
}

/// Appends a member that is JSON text already, if there is any. Stored text may have line breaks
/// between its values, and none within.
pub(super) fn push_data(out: &mut String, name: &str, data: Option<&str>) {
    match data {
        None => {}
        Some(data) if data.contains(['\n', '\r']) => {
            push_field(out, name, &data.replace(['\n', '\r'], " "));
        }
        Some(data) => push_field(out, name, data),
    }
}
