//! What a database comes to: the outbox, conflicts, dead letters, cursors, spaces and digests, as
//! lines that can be compared.

use crate::model::space::MEMBER;
use crate::model::table::Table;
use crate::plan::trace::masks::Masks;
use crate::state::replica::Replica;

/// Returns what a state has, each with its name. `masks` are those of its file, if it is not masked.
#[must_use]
pub fn of(replica: &Replica, mut masks: Option<&mut Masks>) -> Vec<(String, String)> {
    let mut items = vec![("head".to_owned(), replica.head().to_string())];
    let mut add = |name: String, value: String| items.push((name, value));
    for queued in replica.outbox().iter() {
        let op = &queued.op;
        let (kind, entity, base) = (
            op.kind.as_str(),
            Table(&op.entity).entity(),
            op.base_version,
        );
        let blocked = queued.blocked_by.as_deref().unwrap_or("nothing");
        add(
            format!("pending {}", op.op_id),
            format!("{kind} {entity} on {base:?}, blocked by {blocked}"),
        );
    }
    for conflict in replica.conflicts().values() {
        let kind = format!(
            "{:?} of {}",
            conflict.kind,
            Table(&conflict.entity).entity()
        );
        add(format!("conflict {}", conflict.id), kind);
    }
    for letter in replica.dead_letters().values() {
        let what = format!("{} of {}", letter.code, Table(&letter.op.entity).entity());
        add(format!("dead letter {}", letter.op.op_id), what);
    }
    for (scope, state) in replica.cursors().iter() {
        let scope = match &mut masks {
            Some(masks) => masks.text(scope),
            None => scope.to_owned(),
        };
        let cursor = state.cursor.as_deref().unwrap_or("none");
        add(
            format!("cursor {scope}"),
            format!("{cursor}, whole: {}", state.reached_end),
        );
    }
    for joined in replica.spaces().list() {
        add(
            format!("space {}", joined.space),
            joined.role.name().to_owned(),
        );
    }
    if let Some(epoch) = &replica.facts().epoch {
        add("epoch".to_owned(), epoch.clone());
    }
    add("schema".to_owned(), replica.schema().to_string());
    // The ids of members have those of users, which the file masks.
    let tables = replica.digests();
    for (table, digest) in tables.filter(|(table, _)| Table(table).entity() != MEMBER) {
        add(
            format!("digest {}", table.replace('\0', " ")),
            format!("{} {}", digest.count, digest.hex()),
        );
    }
    let receipts = replica.receipts().len();
    add("receipts".to_owned(), receipts.to_string());
    items
}
