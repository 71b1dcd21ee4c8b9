//! The file of an import and the data of an adopted user, as a commit of rows, operations, conflicts and
//! dead letters, which is masked and written as any other; and back.

use std::rc::Rc;

use crate::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use crate::log::facts::DeadLetter;
use crate::log::segment::slice;
use crate::log::segment_writer::Packing;
use crate::model::operation::Operation;
use crate::plan::context::PlanContext;
use crate::plan::trace::masked::whole;
use crate::plan::trace::{Described, TracedRecord, describe};
use crate::state::local_only::PREFIX;
use crate::transfer::file::{FileRow, UserFile};
use crate::util::json::write::{put, put_text};

/// Describes an import: what becomes of entities that are here, whether they come as new, and whether
/// anything is written.
pub(in crate::plan) fn import(
    file: &UserFile,
    (existing, as_new, dry_run): (&str, bool, bool),
    context: &PlanContext,
) -> Described {
    let described = describe::described("import", |out| {
        describe::put_context(out, context);
        put_text(out, "existing", existing);
        put(out, "asNew", &as_new);
        put(out, "dryRun", &dry_run);
        describe::put_header(out, &file.header);
    });
    Described {
        data: Some(encoded(&of_file(file))),
        ..described
    }
}

/// Encodes data that a planner was given.
pub(in crate::plan) fn encoded(data: &Commit) -> TracedRecord {
    let encoded = data.encode(0);
    TracedRecord {
        seq: 0,
        record: encoded.record,
        bodies: encoded.bodies,
    }
}

/// Decodes it; `None` if it is damaged.
pub(super) fn decoded(data: &TracedRecord) -> Option<Commit> {
    let commit = Commit::decode(&data.record).ok()?;
    Some(whole(0, commit, &data.bodies))
}

/// Returns operations and dead letters as events.
pub(in crate::plan) fn events(operations: &[Operation], letters: &[DeadLetter]) -> Vec<Event> {
    let queued = operations.iter().map(|op| Event::Queue {
        op: op.clone(),
        replaces: Vec::new(),
    });
    let mut events: Vec<Event> = queued.collect();
    if !letters.is_empty() {
        events.push(Event::DeadLetters {
            dead_letters: letters.to_vec(),
        });
    }
    events
}

/// Returns what a file has, but for its header.
fn of_file(file: &UserFile) -> Commit {
    let mut data = Commit::default();
    put_rows(&file.rows.iter().collect::<Vec<_>>(), None, &mut data);
    put_rows(
        &file.local_only.iter().collect::<Vec<_>>(),
        Some(PREFIX),
        &mut data,
    );
    data.events = events(&file.operations, &file.dead_letters);
    let parked = file.conflicts.iter();
    data.events.extend(parked.map(|conflict| Event::Park {
        conflict: conflict.clone(),
    }));
    data
}

/// Adds rows as segments; those of local-only fields have a prefix before the names of their tables.
pub(in crate::plan) fn put_rows(rows: &[&FileRow], prefix: Option<char>, data: &mut Commit) {
    for rows in rows.chunk_by(|a, b| a.entity == b.entity) {
        let mut packing = Packing::default();
        let entity = rows.first().map_or("", |row| &row.entity);
        let table: String = prefix.into_iter().chain(entity.chars()).collect();
        for row in rows {
            let entry = Entry {
                id: row.id.clone(),
                version: row.version,
                deleted: row.deleted,
                held: row.held,
                ..Entry::default()
            };
            packing.push(&table, entry, row.body.as_deref(), data);
        }
        packing.close(&table, data);
    }
}

/// Returns the file that has this data.
pub(super) fn file_of(data: Commit) -> UserFile {
    let mut file = UserFile::default();
    for segment in &data.segments {
        match segment.entity.strip_prefix(PREFIX) {
            Some(table) => take_rows(segment, table, &mut file.local_only),
            None => take_rows(segment, &segment.entity, &mut file.rows),
        }
    }
    for event in data.events {
        match event {
            Event::Queue { op, .. } => file.operations.push(op),
            Event::Park { conflict } => file.conflicts.push(conflict),
            Event::DeadLetters { dead_letters } => file.dead_letters.extend(dead_letters),
            _ => {}
        }
    }
    file
}

fn take_rows(segment: &SegmentWrite, table: &str, rows: &mut Vec<FileRow>) {
    for entry in &segment.entries {
        let text = match &segment.body {
            SegmentBody::New(bytes) if entry.len > 0 => slice(bytes, entry.offset, entry.len),
            _ => None,
        };
        rows.push(FileRow {
            entity: table.to_owned(),
            id: entry.id.clone(),
            version: entry.version,
            deleted: entry.deleted,
            held: entry.held,
            body: text.map(Rc::from),
        });
    }
}
