//! Replays a trace: folds its steps in order, has each planner plan again, and compares.

use std::rc::Rc;

use crate::log::commit::{Commit, Event, SegmentBody};
use crate::log::segment::slice;
use crate::model::config::Config;
use crate::model::error::{Code, Error, Result};
use crate::plan::trace::masked::whole;
use crate::plan::trace::read::{MOST_RECORDS, TraceFile};
use crate::plan::trace::replan::{Replanned, replan};
use crate::plan::trace::{Happened, TraceStep, TracedRecord, end_state, summary};
use crate::state::replica::Replica;
use crate::transfer::fields::wrong;
use crate::util::collections::sort::sort;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// It was planned again, to the same commit.
    Same,
    /// It was taken as it is.
    Taken,
    /// This engine plans something else.
    Differs {
        /// Lines of what the trace has and of what this engine plans, which differ in some.
        recorded: Vec<String>,
        planned: Vec<String>,
    },
}

/// A step that was replayed, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedStep {
    pub line: u64,
    /// `load`, `follow`, `commit`, `nothing` or `activity`.
    pub kind: &'static str,
    /// The planner, if it has one.
    pub planner: Option<String>,
    /// What is in its commit.
    pub says: Vec<String>,
    pub result: StepResult,
}

/// A replay.
#[derive(Debug)]
pub struct Replay<'a> {
    file: &'a TraceFile,
    next: usize,
    replica: Replica,
    is_loaded: bool,
}

impl<'a> Replay<'a> {
    /// Starts before the first step.
    #[must_use]
    pub fn new(file: &'a TraceFile) -> Self {
        Self {
            file,
            next: 0,
            replica: empty(file),
            is_loaded: false,
        }
    }

    /// The state that the steps so far come to.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Replays the next step; `None` behind the last one. What the trace has is folded, also if this
    /// engine plans something else.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`], naming the line, for a step that cannot follow on those before.
    pub fn step(&mut self) -> Result<Option<ReplayedStep>> {
        let file = self.file;
        let (Some(step), Some(line)) = (file.steps.get(self.next), file.lines.get(self.next))
        else {
            return Ok(None);
        };
        self.next = self.next.saturating_add(1);
        if let Happened::Activity { text } = &step.what {
            return Ok(Some(ReplayedStep {
                line: *line,
                kind: "activity",
                planner: None,
                says: vec![summary::activity(text)],
                result: StepResult::Taken,
            }));
        }
        self.begin(step, *line)?;
        let mut done = ReplayedStep {
            line: *line,
            kind: "load",
            planner: None,
            says: Vec::new(),
            result: StepResult::Taken,
        };
        match &step.what {
            Happened::Loaded { lost, records } => {
                self.load(*lost, records, *line)?;
                done.says.push(format!("{} records", records.len()));
            }
            Happened::Followed { records } => {
                done.kind = "follow";
                for record in records {
                    done.says.extend(self.follow(record, *line)?);
                }
            }
            Happened::Committed { planner, record } => {
                done.kind = "commit";
                let commit = decoded(record, *line)?;
                done.says = summary::lines(&commit);
                if let Some(given) = planner {
                    done.planner = Some(given.name.clone());
                    let planned = replan(given, (&file.config, *line), &self.replica)?;
                    let migrated = (given.name == "migration").then_some(&self.replica);
                    let here = Here {
                        config: &file.config,
                        seq: record.seq,
                        migrated,
                    };
                    done.result = here.compare(&commit, planned);
                }
                self.append(record, commit, *line)?;
            }
            Happened::Nothing { planner, error } => {
                done.kind = "nothing";
                done.planner = Some(planner.name.clone());
                let planned = replan(planner, (&file.config, *line), &self.replica)?;
                done.result = compare_nothing(*error, planned);
            }
            Happened::Activity { .. } => {}
        }
        Ok(Some(done))
    }

    /// Compares the state that the steps come to with that of the trace. Returns `None` if it is the
    /// same, or if the trace was cut.
    #[must_use]
    pub fn end(&self) -> Option<(Vec<String>, Vec<String>)> {
        let recorded = self.file.state.as_ref()?;
        let here = end_state::of(&self.replica, None);
        let lines = |items: &[(String, String)]| -> Vec<String> {
            let items = items.iter();
            items
                .map(|(name, value)| format!("{name}: {value}"))
                .collect()
        };
        (*recorded != here).then(|| (lines(recorded), lines(&here)))
    }

    fn begin(&mut self, step: &TraceStep, line: u64) -> Result<()> {
        let is_load = matches!(step.what, Happened::Loaded { .. });
        if !self.is_loaded && !is_load {
            return Err(wrong(
                line,
                "is a step before the log was loaded; the trace lacks its beginning.",
            ));
        }
        if !is_load && step.head != self.replica.head() {
            let problem = format!(
                "is a step on head {}, and the steps before it come to {}.",
                step.head,
                self.replica.head()
            );
            return Err(wrong(line, &problem));
        }
        if !is_load {
            let since = self.replica.checkpointed_at().max(1);
            if self.replica.head().saturating_sub(since) > MOST_RECORDS {
                return Err(wrong(line, "is on a log of more records than any has."));
            }
            self.replica
                .outbox_mut()
                .restore(step.alone, &step.deliveries);
        }
        Ok(())
    }

    fn load(&mut self, lost: u64, records: &[TracedRecord], line: u64) -> Result<()> {
        let mut fresh = empty(self.file);
        (0..lost.min(1_000)).for_each(|_| fresh.count_loss());
        self.replica = fresh;
        for record in records {
            let refused =
                |error: Error| wrong(line, "has a record that cannot be loaded.").caused_by(error);
            self.replica
                .load_record(record.seq, &record.record)
                .map_err(refused)?;
        }
        for record in records {
            self.supply(record);
        }
        self.replica.materialize();
        self.is_loaded = true;
        Ok(())
    }

    fn supply(&mut self, record: &TracedRecord) {
        for (id, bytes) in &record.bodies {
            self.replica
                .segments_mut()
                .supply(*id, Some(Rc::clone(bytes)));
        }
    }

    fn follow(&mut self, record: &TracedRecord, line: u64) -> Result<Vec<String>> {
        let says = Commit::decode(&record.record).map(|commit| summary::lines(&commit));
        let refused =
            |error: Error| wrong(line, "has a record that does not follow.").caused_by(error);
        self.replica
            .apply_record(record.seq, &record.record)
            .map_err(refused)?;
        self.supply(record);
        Ok(says.unwrap_or_default())
    }

    fn append(&mut self, record: &TracedRecord, commit: Commit, line: u64) -> Result<()> {
        if record.seq != self.replica.head().saturating_add(1) {
            return Err(wrong(
                line,
                "has a record that does not follow on the head.",
            ));
        }
        let bytes = record.record.len();
        self.replica.apply_own(record.seq, commit, bytes, &[]);
        Ok(())
    }
}

fn empty(file: &TraceFile) -> Replica {
    Replica::new(&file.user_id, u64::MAX).for_app(file.config.schema)
}

fn decoded(record: &TracedRecord, line: u64) -> Result<Commit> {
    let commit = Commit::decode(&record.record);
    let commit = commit
        .map_err(|error| wrong(line, "has a commit that cannot be read.").caused_by(error))?;
    Ok(whole(record.seq, commit, &record.bodies))
}

/// Where a commit is compared.
struct Here<'a> {
    config: &'a Config,
    seq: u64,
    /// The state before a migration, which may have written bodies ahead: it is compared by texts, wherever
    /// these are.
    migrated: Option<&'a Replica>,
}

impl Here<'_> {
    fn compare(&self, recorded: &Commit, planned: Replanned) -> StepResult {
        let version = self.config.schema;
        let planned = match planned {
            Replanned::Commit(mut commit) => {
                if self.seq == 1 && version > 0 {
                    // The commit loop adds it.
                    commit.events.push(Event::Schema { version });
                }
                self.lines(&commit)
            }
            other => vec![refusal(&other)],
        };
        same_or(self.lines(recorded), planned)
    }

    fn lines(&self, commit: &Commit) -> Vec<String> {
        let Some(before) = self.migrated else {
            return lines(commit);
        };
        let mut commit = commit.clone();
        for segment in &mut commit.segments {
            if let SegmentBody::Kept(id) = segment.body
                && let Some(bytes) = before.segments().resident(id)
            {
                segment.body = SegmentBody::New(Rc::clone(bytes));
            }
        }
        if let Some(Event::Checkpoint { kept, .. }) = commit.events.first_mut() {
            kept.clear();
        }
        lines(&commit)
    }
}

fn compare_nothing(error: Option<Code>, planned: Replanned) -> StepResult {
    let recorded = vec![match error {
        Some(code) => format!("fails with {}", code.as_str()),
        None => "nothing is written".to_owned(),
    }];
    let planned = match planned {
        Replanned::Commit(commit) if commit.is_empty() => vec!["nothing is written".to_owned()],
        Replanned::Commit(commit) => lines(&commit),
        other => vec![refusal(&other)],
    };
    same_or(recorded, planned)
}

fn refusal(planned: &Replanned) -> String {
    match planned {
        Replanned::Failed(error) => format!("fails with {}", error.code().as_str()),
        Replanned::Lacks(bodies) => format!("needs bodies that the trace lacks: {bodies:?}"),
        Replanned::Commit(_) => "nothing is written".to_owned(),
    }
}

fn same_or(recorded: Vec<String>, planned: Vec<String>) -> StepResult {
    if recorded == planned {
        StepResult::Same
    } else {
        StepResult::Differs { recorded, planned }
    }
}

/// Returns an event without what may differ where nothing differs: explanations, and the order of
/// hashes, which masked values have in another one.
fn comparable(mut event: Event) -> Event {
    match &mut event {
        Event::Explained { what } => what.text = Rc::from(""),
        Event::Queue { op, .. } => sort(&mut op.earlier),
        Event::Applied { field_hashes, .. } => sort(field_hashes),
        Event::DeadLetters { dead_letters } => {
            for letter in dead_letters {
                sort(&mut letter.op.earlier);
            }
        }
        Event::Receipt { receipt, .. } => {
            let mut hashes = receipt.field_hashes.to_vec();
            sort(&mut hashes);
            receipt.field_hashes = hashes.into();
        }
        _ => {}
    }
    event
}

/// Returns what is in a commit, field by field. Rows stand in order of their ids, wherever their bodies
/// lie; explanations, which repeat bodies, are left out.
fn lines(commit: &Commit) -> Vec<String> {
    let mut rows = Vec::new();
    for segment in &commit.segments {
        for entry in &segment.entries {
            let text = match &segment.body {
                SegmentBody::New(bytes) => slice(bytes, entry.offset, entry.len).unwrap_or("none"),
                SegmentBody::Kept(_) => "kept where it is",
                SegmentBody::Stored { .. } => "not in the trace",
            };
            let text = if entry.len == 0 { "none" } else { text };
            rows.push(format!(
                "row {} {}: version {}, deleted {}, held {}, retained {}, body {text}",
                segment.entity.replace('\0', " "),
                entry.id,
                entry.version,
                entry.deleted,
                entry.held,
                entry.retain,
            ));
        }
    }
    rows.sort();
    let mut events = Vec::new();
    for event in &commit.events {
        events.push(format!("{:#?}", comparable(event.clone())));
    }
    // They stand in order of ids, some of which are masked.
    if matches!(commit.events.first(), Some(Event::Checkpoint { .. })) {
        events.sort();
    }
    let is_receipt = |text: &String| text.starts_with("Receipt ");
    for run in events.chunk_by_mut(|a, b| is_receipt(a) && is_receipt(b)) {
        run.sort();
    }
    let lines = events.iter().flat_map(|event| event.lines());
    rows.extend(lines.map(str::to_owned));
    rows
}
