//! Says in a line what an event of a commit is, for people who read a trace.

use crate::log::commit::{Commit, Event};
use crate::log::spaces::SpaceEvent;
use crate::model::table::Table;
use crate::util::json::scan;

/// Returns a line for each part of a commit.
#[must_use]
pub fn lines(commit: &Commit) -> Vec<String> {
    let rows = commit.segments.iter().map(|segment| {
        let table = segment.entity.replace('\0', " ");
        format!("{} rows of {}", segment.entries.len(), table.trim())
    });
    rows.chain(commit.events.iter().map(line)).collect()
}

/// Returns a line for an activity: what it is, how it ended, and what is known of it.
#[must_use]
pub fn activity(text: &str) -> String {
    let members = scan::object(text).unwrap_or_default();
    let value = |name: &str| {
        let mut all = members.iter();
        let raw = all.find(|(key, _)| key == name).map(|(_, raw)| *raw);
        raw.and_then(scan::text).unwrap_or_default()
    };
    let mut line = format!("{} {}: {}", value("kind"), value("name"), value("outcome"));
    const SAID: [&str; 8] = [
        "id",
        "parent",
        "kind",
        "userId",
        "name",
        "startedAt",
        "startMs",
        "outcome",
    ];
    for (name, raw) in members.iter().filter(|(name, _)| !SAID.contains(&&**name)) {
        line.push_str(&format!(", {name} {raw}"));
    }
    line
}

fn line(event: &Event) -> String {
    match event {
        Event::Queue { op, .. } => {
            let (kind, table) = (op.kind.as_str(), Table(&op.entity).entity());
            format!("queue {kind} {table} {} ({})", op.id, op.op_id)
        }
        Event::Dequeue { ops } => format!("dequeue {}", ops.join(" ")),
        Event::Applied { op_id, version, .. } => format!("applied {op_id} as version {version}"),
        Event::Rebase { op_id, version } => format!("rebase {op_id} on {version:?}"),
        Event::Cursor { state, .. } => {
            format!("cursor {}", state.cursor.as_deref().unwrap_or("none"))
        }
        Event::ResetCursor { .. } => "reset a cursor".to_owned(),
        Event::Sweep { before, .. } => format!("sweep what was not confirmed since {before}"),
        Event::NeedFullPull => "needs a full pull".to_owned(),
        Event::ReleaseDeletes => "held deletes take effect".to_owned(),
        Event::Park { conflict } => {
            format!(
                "park {} of {} {}",
                conflict.id,
                Table(&conflict.entity).entity(),
                conflict.entity_id
            )
        }
        Event::Unpark { id } => format!("conflict {id} ends"),
        Event::DeadLetters { dead_letters } => {
            let letters = dead_letters.iter();
            let named: Vec<String> = letters
                .map(|letter| format!("{} ({})", letter.op.op_id, letter.code))
                .collect();
            format!("dead letters {}", named.join(" "))
        }
        Event::Revive { id } => format!("dead letter {id} ends"),
        Event::Facts { facts } => format!("facts of a cycle: {:?}", facts.last_state),
        Event::Quarantine { body } => format!("quarantine of body {body}"),
        Event::Receipt { id, .. } => format!("receipt of {id}"),
        Event::Epoch { epoch, .. } => format!("epoch {epoch}"),
        Event::Server { .. } => "the server is known".to_owned(),
        Event::Offered { count, .. } => format!("{count} operations are offered again"),
        Event::Checkpoint { kept, .. } => format!("checkpoint, {} segments kept", kept.len()),
        Event::Explained { what } => format!("explains {}", what.id),
        Event::Space { what } => space(what),
        Event::Ended { ended } => format!("the log ends: {ended}"),
        Event::Salvaged { what } => format!("{} operations were salvaged", what.ops.len()),
        Event::Schema { version } => format!("schema {version}"),
    }
}

fn space(event: &SpaceEvent) -> String {
    match event {
        SpaceEvent::List { list, .. } => format!("{} spaces", list.len()),
        SpaceEvent::Made { space } => format!("space {space} is made"),
        SpaceEvent::Start { space, .. } => format!("space {space} starts"),
        SpaceEvent::EndStarts { .. } => "the spaces that started are whole".to_owned(),
        SpaceEvent::Passed { space, version } => {
            format!("space {space} is complete up to version {version}")
        }
        SpaceEvent::Moving { id, .. } => format!("{id} is on its way"),
        SpaceEvent::Leave { space } => format!("space {space} is left"),
        SpaceEvent::Kept { space, version } => format!("space {space} kept {version}"),
        SpaceEvent::Support { has } => format!("the remote has spaces: {has}"),
    }
}
