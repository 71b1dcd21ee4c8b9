//! Writes down what a planner is given. `replan` reads it.

use crate::conflict::{Decision, Resolution};
use crate::log::known_server::{KnownServer, ServerNews};
use crate::model::entity::OwnedKey;
use crate::model::operation::Operation;
use crate::model::protocol::{PullPage, PushReply, WireRow};
use crate::plan::context::PlanContext;
use crate::plan::row_planner::Decisions;
use crate::plan::trace::Described;
use crate::plan::write::groups::{Group, Write};
use crate::transfer::file::FileHeader;
use crate::util::json::scan;
use crate::util::json::write::{Items, push_field, put, put_text, put_texts};

/// Describes a planner.
#[must_use]
pub(in crate::plan) fn described(name: &str, fill: impl FnOnce(&mut String)) -> Described {
    let mut input = String::from("{");
    fill(&mut input);
    input.push('}');
    Described {
        name: name.to_owned(),
        input,
        ..Described::default()
    }
}

pub(in crate::plan) fn put_context(out: &mut String, context: &PlanContext) {
    put(out, "now", &context.now);
    let seed: Vec<u64> = context.seed.iter().map(|byte| u64::from(*byte)).collect();
    put(out, "seed", &seed);
}

/// Writes the text of an object; nothing if it is none.
pub(in crate::plan) fn put_body(out: &mut String, name: &str, body: Option<&str>) {
    if let Some(body) = body.filter(|body| scan::object(body).is_ok()) {
        push_field(out, name, &body.replace(['\n', '\r'], " "));
    }
}

/// Describes writes of the app.
pub(in crate::plan) fn writes(name: &str, groups: &[Group], context: &PlanContext) -> Described {
    described(name, |out| {
        put_context(out, context);
        put_groups(out, groups);
    })
}

fn put_groups(out: &mut String, groups: &[Group]) {
    let mut items = Items::new(0);
    for group in groups {
        let item = items.open();
        item.push('{');
        put_text(item, "table", &group.entity);
        put(item, "ignoresKept", &group.ignore_kept_rejection);
        put_keys(item, "after", group.after.iter());
        let mut writes = Items::new(0);
        for write in &group.writes {
            let item = writes.open();
            item.push('{');
            put_write(item, write);
            item.push('}');
        }
        push_field(item, "writes", &writes.close());
        item.push('}');
    }
    push_field(out, "groups", &items.close());
}

pub(in crate::plan) fn put_keys<'k>(
    out: &mut String,
    name: &str,
    keys: impl Iterator<Item = &'k OwnedKey>,
) {
    let mut items = Items::new(0);
    for key in keys {
        let item = items.open();
        item.push('{');
        put_text(item, "table", &key.entity);
        put_text(item, "id", &key.id);
        item.push('}');
    }
    push_field(out, name, &items.close());
}

fn put_write(out: &mut String, write: &Write) {
    match write {
        Write::Create { draft } => {
            put_text(out, "kind", "create");
            put_body(out, "data", Some(draft));
        }
        Write::Update { entity } => {
            put_text(out, "kind", "update");
            put_body(out, "data", Some(entity));
        }
        Write::Patch { id, changes } => {
            put_text(out, "kind", "patch");
            put_text(out, "id", id);
            put_body(out, "data", Some(changes));
        }
        Write::PatchAndRemove {
            id,
            changes,
            removed,
        } => {
            put_text(out, "kind", "patchAndRemove");
            put_text(out, "id", id);
            put_body(out, "data", Some(changes));
            put_texts(out, "removed", &mut removed.iter().map(String::as_str));
        }
        Write::Move { id, to } => {
            put_text(out, "kind", "move");
            put_text(out, "id", id);
            put(out, "to", to);
        }
        Write::Delete { id, soft } => {
            put_text(out, "kind", "delete");
            put_text(out, "id", id);
            put(out, "soft", soft);
        }
    }
}

pub(in crate::plan) fn put_decision(out: &mut String, decision: &Decision) {
    let taken = decision.resolution.taken().unwrap_or("later");
    put_text(out, "take", taken);
    if let Resolution::Merged(body) = &decision.resolution {
        put_body(out, "data", Some(body));
    }
    put(out, "failed", &decision.failed);
    put(out, "explained", &!decision.explanation.is_empty());
}

pub(in crate::plan) fn put_decisions(out: &mut String, decisions: &Decisions) {
    let mut items = Items::new(0);
    for (id, decision) in decisions.made.iter() {
        let item = items.open();
        item.push('{');
        put_text(item, "conflict", id);
        put_decision(item, decision);
        item.push('}');
    }
    push_field(out, "decisions", &items.close());
    put_texts(out, "absent", &mut decisions.confirmed_absent.keys());
}

pub(in crate::plan) fn put_server(out: &mut String, news: Option<&ServerNews>) {
    let Some(news) = news else { return };
    put_known(out, "serverBefore", &news.before);
    put_known(out, "serverNow", &news.now);
}

fn put_known(out: &mut String, name: &str, server: &KnownServer) {
    let mut text = String::from("{");
    put(&mut text, "id", &server.id);
    put(&mut text, "address", &server.address);
    text.push('}');
    push_field(out, name, &text);
}

/// Writes what an import reads of a file's first line.
pub(in crate::plan) fn put_header(out: &mut String, header: &FileHeader) {
    let mut text = String::from("{");
    put_text(&mut text, "userId", &header.user_id);
    put_known(&mut text, "server", &header.server);
    put(&mut text, "epoch", &header.epoch);
    let mut spaces = Items::new(0);
    for joined in &header.spaces {
        let item = spaces.open();
        item.push('{');
        put_text(item, "space", &joined.space);
        put_text(item, "role", joined.role.name());
        item.push('}');
    }
    push_field(&mut text, "spaces", &spaces.close());
    text.push('}');
    push_field(out, "header", &text);
}

/// Writes a page as the protocol has it.
pub(in crate::plan) fn put_page(out: &mut String, page: &PullPage<'_>) {
    let mut text = String::from("{");
    let mut rows = Items::new(0);
    for row in &page.changes {
        let item = rows.open();
        item.push('{');
        put_row(item, row);
        item.push('}');
    }
    push_field(&mut text, "changes", &rows.close());
    put_text(&mut text, "cursor", &page.cursor);
    put(&mut text, "more", &page.more);
    put(&mut text, "remaining", &page.remaining);
    put(&mut text, "epoch", &page.epoch);
    put(&mut text, "serverId", &page.server_id);
    put(&mut text, "kept", &page.kept);
    put(&mut text, "digests", &page.digests);
    if let Some(spaces) = &page.spaces {
        let mut items = Items::new(0);
        for space in spaces {
            let item = items.open();
            item.push('{');
            put_text(item, "id", &space.id);
            put_text(item, "role", &space.role);
            item.push('}');
        }
        push_field(&mut text, "spaces", &items.close());
    }
    let mut starts = Items::new(0);
    for start in &page.starts {
        let item = starts.open();
        item.push('{');
        put(item, "space", &start.space);
        put(item, "at", &start.at);
        put(item, "kept", &start.kept);
        item.push('}');
    }
    push_field(&mut text, "starts", &starts.close());
    text.push('}');
    push_field(out, "page", &text);
}

fn put_row(out: &mut String, row: &WireRow<'_>) {
    put_text(out, "entity", &row.entity);
    put_text(out, "id", &row.id);
    put(out, "version", &row.version);
    if row.deleted {
        put(out, "deleted", &true);
    }
    put_body(out, "data", row.data);
    put(out, "reason", &row.reason);
    put(out, "space", &row.space);
    if let Some(place) = &row.moved_to {
        let mut text = String::from("{");
        put(&mut text, "space", &place.space);
        put(&mut text, "version", &place.version);
        text.push('}');
        push_field(out, "movedTo", &text);
    }
}

pub(in crate::plan) fn put_kept(out: &mut String, kept: &[(&str, u64)]) {
    let mut items = Items::new(0);
    for (space, version) in kept {
        let item = items.open();
        item.push('{');
        put_text(item, "space", space);
        put(item, "kept", version);
        item.push('}');
    }
    push_field(out, "keptIn", &items.close());
}

/// Describes the verdicts on a batch.
pub(in crate::plan) fn verdicts(
    sent: &[Operation],
    reply: &PushReply<'_>,
    decisions: &Decisions,
    context: &PlanContext,
) -> Described {
    let described = described("verdicts", |out| {
        put_context(out, context);
        put_decisions(out, decisions);
        put_reply(out, reply);
    });
    Described {
        ops: sent.to_vec(),
        ..described
    }
}

/// Writes the answer to a push as the protocol has it.
fn put_reply(out: &mut String, reply: &PushReply<'_>) {
    let mut text = String::from("{");
    let mut results = Items::new(0);
    for verdict in &reply.results {
        let item = results.open();
        item.push('{');
        put_text(item, "opId", &verdict.op_id);
        put_text(item, "status", &verdict.status);
        put(item, "version", &verdict.version);
        put(item, "replayed", &verdict.replayed);
        put(item, "deleted", &verdict.deleted);
        put_body(item, "row", verdict.row);
        put(item, "code", &verdict.code);
        put(item, "message", &verdict.message);
        put(item, "retryAfterMs", &verdict.retry_after_ms);
        put(item, "space", &verdict.space);
        put(item, "leftVersion", &verdict.left_version);
        item.push('}');
    }
    push_field(&mut text, "results", &results.close());
    put(&mut text, "epoch", &reply.epoch);
    put(&mut text, "serverId", &reply.server_id);
    text.push('}');
    push_field(out, "reply", &text);
}
