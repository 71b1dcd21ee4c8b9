//! Writes the file of a trace: a line for each step, readable from top to bottom.

use std::rc::Rc;

use crate::log::commit::{Commit, Event};
use crate::model::config::Config;
use crate::model::config::entity::{DeleteBehavior, EntityConfig};
use crate::plan::trace::masked::{self, put_bytes};
use crate::plan::trace::masks::Masks;
use crate::plan::trace::{
    Described, FORMAT, Happened, NAME, TraceStep, TracedRecord, end_state, summary,
};
use crate::state::replica::Replica;
use crate::util::hash::LineDigest;
use crate::util::json::write::{Items, push_field, put, put_text, put_texts};
use crate::util::time::format;

/// Returns the file of a trace: its steps, and the state that they come to. `key` is random.
#[must_use]
pub fn file(
    config: &Config,
    steps: &[TraceStep],
    replica: &Replica,
    (now, key): (u64, [u8; 16]),
) -> String {
    let mut masks = Masks::new(config, key);
    for step in steps {
        if let Happened::Committed { record, .. } = &step.what {
            masked::note_places(&mut masks, record);
        }
    }
    for step in steps {
        // Finds every value first: a hash may come before its value.
        masked_step(&mut masks, step);
    }
    masks.close();
    let mut lines = TraceLines::default();
    lines.add("header", |line| {
        put_text(line, "format", NAME);
        put(line, "formatVersion", &FORMAT);
        put_text(line, "engine", env!("CARGO_PKG_VERSION"));
        put_text(line, "createdAt", &format(now));
        put_text(line, "userId", &masks.text(replica.user_id()));
        put(line, "steps", &steps.len());
        push_field(line, "config", &config_of(config));
    });
    for step in steps {
        lines.step(&masked_step(&mut masks, step));
    }
    lines.add("state", |line| {
        let mut items = String::from("{");
        for (name, value) in end_state::of(replica, Some(&mut masks)) {
            put_text(&mut items, &name, &value);
        }
        items.push('}');
        push_field(line, "items", &items);
    });
    let (count, digest) = (lines.count, lines.digest.to_hex());
    lines.add("end", |line| {
        put(line, "lines", &count);
        put_text(line, "digest", &digest);
    });
    lines.text
}

fn masked_step(masks: &mut Masks, step: &TraceStep) -> TraceStep {
    let what = match &step.what {
        Happened::Loaded { lost, records } => Happened::Loaded {
            lost: *lost,
            records: masked::records(masks, records),
        },
        Happened::Followed { records } => Happened::Followed {
            records: masked::records(masks, records),
        },
        Happened::Committed { planner, record } => Happened::Committed {
            planner: (planner.as_ref()).map(|given| masked::described(masks, given)),
            record: masked::committed(masks, record),
        },
        Happened::Nothing { planner, error } => Happened::Nothing {
            planner: masked::described(masks, planner),
            error: *error,
        },
        Happened::Activity { text } => Happened::Activity {
            text: Rc::from(masked::input(masks, text)),
        },
    };
    TraceStep {
        what,
        ..step.clone()
    }
}

/// Returns the parts of a config that planners read.
fn config_of(config: &Config) -> String {
    let mut types = String::from("{");
    for (name, entity) in config.entities.iter() {
        push_field(&mut types, name, &entity_of(entity));
    }
    types.push('}');
    let mut out = String::from("{");
    push_field(&mut out, "entities", &types);
    put(&mut out, "schemaVersion", &config.schema);
    if let Some(field) = &config.schema_field {
        put_text(&mut out, "schemaField", &field.name);
    }
    out.push('}');
    out
}

fn entity_of(entity: &EntityConfig) -> String {
    let mut out = String::from("{");
    let behavior = DeleteBehavior::NAMES;
    let behavior = behavior
        .iter()
        .find(|(_, it)| Some(*it) == entity.delete_behavior);
    if let Some((name, _)) = behavior {
        put_text(&mut out, "deleteBehavior", name);
    }
    if entity.keeps_rejected {
        put_text(&mut out, "onRejected", "keepLocal");
    }
    let local_only = &mut entity.local_only.iter().map(String::as_str);
    put_texts(&mut out, "localOnly", local_only);
    let mut policies = String::from("{");
    for (path, policy) in entity.merge_fields.iter() {
        put_text(&mut policies, path, policy.name());
    }
    policies.push('}');
    push_field(&mut out, "mergeFields", &policies);
    put(&mut out, "relations", &*entity.relations);
    out.push('}');
    out
}

/// A file under construction.
#[derive(Default)]
struct TraceLines {
    text: String,
    count: u64,
    digest: LineDigest,
}

impl TraceLines {
    fn add(&mut self, name: &str, fill: impl FnOnce(&mut String)) {
        let mut line = String::from("{");
        put_text(&mut line, "line", name);
        fill(&mut line);
        line.push('}');
        self.digest.add(line.as_bytes());
        self.count = self.count.saturating_add(1);
        self.text.push_str(&line);
        self.text.push('\n');
    }

    fn activity(&mut self, at: u64, text: &str) {
        self.add("activity", |line| {
            put_text(line, "at", &format(at));
            put(line, "ms", &at);
            push_field(line, "activity", text);
        });
    }

    fn step(&mut self, step: &TraceStep) {
        let name = match &step.what {
            Happened::Loaded { .. } => "load",
            Happened::Followed { .. } => "follow",
            Happened::Committed { .. } => "commit",
            Happened::Nothing { .. } => "nothing",
            Happened::Activity { text } => return self.activity(step.at, text),
        };
        self.add(name, |line| {
            put_text(line, "at", &format(step.at));
            put(line, "ms", &step.at);
            put(line, "head", &step.head);
            put_memory(line, step);
            match &step.what {
                Happened::Loaded { lost, records } => {
                    put(line, "lost", lost);
                    put(line, "records", &records.len());
                }
                Happened::Followed { records } => put(line, "records", &records.len()),
                Happened::Committed { planner, record } => {
                    if let Some(planner) = planner {
                        put_described(line, planner);
                    }
                    put_record(line, record);
                }
                Happened::Nothing { planner, error } => {
                    put(line, "error", &error.map(|code| code.as_str()));
                    put_described(line, planner);
                }
                Happened::Activity { .. } => {}
            }
        });
        if let Happened::Loaded { records, .. } | Happened::Followed { records } = &step.what {
            for record in records {
                self.add("record", |line| put_record(line, record));
            }
        }
    }
}

fn put_memory(out: &mut String, step: &TraceStep) {
    put(out, "alone", &step.alone);
    if step.deliveries.is_empty() {
        return;
    }
    let mut items = Items::new(0);
    for delivery in &step.deliveries {
        let item = items.open();
        item.push('{');
        put_text(item, "opId", &delivery.op_id);
        put(item, "inFlight", &delivery.in_flight);
        put_text(item, "sent", delivery.sent.name());
        put(item, "attempts", &delivery.attempts);
        item.push('}');
    }
    push_field(out, "deliveries", &items.close());
}

fn put_described(out: &mut String, given: &Described) {
    put_text(out, "planner", &given.name);
    push_field(out, "input", &given.input);
    if let Some(data) = &given.data {
        let mut text = String::from("{");
        put_record(&mut text, data);
        text.push('}');
        push_field(out, "data", &text);
    }
    if given.ops.is_empty() {
        return;
    }
    let ops = given.ops.iter().map(|op| Event::Queue {
        op: op.clone(),
        replaces: Vec::new(),
    });
    let ops = Commit {
        segments: Vec::new(),
        events: ops.collect(),
    };
    put_bytes(out, "operations", &ops.encode(0).record);
}

fn put_record(out: &mut String, record: &TracedRecord) {
    put(out, "seq", &record.seq);
    if let Ok(commit) = Commit::decode(&record.record) {
        let lines = summary::lines(&commit);
        put_texts(out, "says", &mut lines.iter().map(String::as_str));
    }
    put_bytes(out, "bytes", &record.record);
    if record.bodies.is_empty() {
        return;
    }
    let mut items = Items::new(0);
    for (id, bytes) in &record.bodies {
        let item = items.open();
        item.push('{');
        put(item, "id", id);
        put_bytes(item, "bytes", bytes);
        item.push('}');
    }
    push_field(out, "bodies", &items.close());
}
