//! Keeps the trace of a database, if the config asks for one: what its planners were given and what
//! came of it. Nothing that goes wrong here fails a commit; the trace begins again instead.

use std::cell::OnceCell;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::engine::activity::ActivityReader;
use crate::engine::database::Database;
use crate::engine::database::any_planner::{AnyPlan, AnyPlanner};
use crate::log::address::{BodyId, Seq, body_id};
use crate::log::commit::{Commit, Event};
use crate::model::error::{Code, Error, Result};
use crate::plan::Plan;
use crate::plan::trace::{Described, Happened, TraceStep, TracedRecord, write};
use crate::ports::host::Host;
use crate::ports::store::{Records, Store};
use crate::state::outbox::deliveries::DeliveryNote;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::scan;

/// What a step costs beside its texts, in bytes.
const STEP_BYTES: u64 = 200;

/// The trace of a database.
#[derive(Debug)]
pub(super) struct Recorder {
    /// How many bytes it may have.
    max: u64,
    kept: RefCell<Kept>,
    /// What the instance does for this user, requests above all.
    activities: OnceCell<Rc<ActivityReader>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The records since the last checkpoint.
    log: Records,
    steps: Vec<TraceStep>,
    /// The bytes of the steps since the trace last began with the log.
    bytes: u64,
    /// Where those steps begin.
    part: usize,
    /// The log was read, or the steps have become too many: the next step begins with the log.
    is_due: bool,
    /// The data alone has more bytes than a trace may have.
    is_too_large: bool,
    /// The planner whose plan is about to be appended, and its step as of the plan.
    planned: Option<Box<(Described, TraceStep)>>,
    /// What was noted of deliveries.
    noted: OrderedMap<DeliveryNote>,
    /// What has changed in deliveries since the last step.
    deliveries: Vec<DeliveryNote>,
}

impl Recorder {
    /// Begins a trace of up to `max` bytes.
    pub(super) fn new(max: u64) -> Box<Self> {
        Box::new(Self {
            max,
            kept: RefCell::default(),
            activities: OnceCell::new(),
        })
    }

    /// Takes in what the instance does for the user, from a reader.
    pub(super) fn follow(&self, activities: Rc<ActivityReader>) {
        let _ = self.activities.set(activities);
    }

    /// Adds a step, behind the activities so far.
    fn add(&self, step: TraceStep) {
        let mut kept = self.kept.borrow_mut();
        self.add_activities(&mut kept, step.at);
        kept.add(self.max, step);
    }

    fn add_activities(&self, kept: &mut Kept, at: u64) {
        let Some(reader) = self.activities.get() else {
            return;
        };
        for text in reader.take_all() {
            if !is_commit(&text) {
                kept.add_activity(self.max, at, text);
            }
        }
    }

    /// Notes that the state was read from these records.
    pub(super) fn loaded(&self, records: &Records) {
        let mut kept = self.kept.borrow_mut();
        kept.log.clone_from(records);
        kept.is_due = true;
    }

    /// Begins a step: notes the memory of the instance before anything changes.
    fn begin(&self, replica: &Replica, at: u64) -> TraceStep {
        let mut kept = self.kept.borrow_mut();
        for queued in replica.outbox().iter() {
            let (id, now) = (&queued.op.op_id, queued.delivery());
            if kept.noted.get(id) != Some(&now) {
                kept.noted.insert(id, now.clone());
                kept.deliveries.push(now);
            }
        }
        TraceStep {
            at,
            head: replica.head(),
            alone: replica.outbox().is_alone(),
            ..TraceStep::default()
        }
    }
}

/// Returns true if the next step has to begin with the log.
pub(super) fn is_due<S, H>(db: &Database<S, H>) -> bool {
    let trace = db.trace.as_ref();
    trace.is_some_and(|trace| trace.kept.borrow().is_due)
}

/// Begins a step, before anything changes; `None` without a trace.
pub(super) fn step<S: Store, H: Host>(db: &Database<S, H>) -> Option<Box<TraceStep>> {
    let trace = db.trace.as_ref()?;
    let step = db.peek(|replica| trace.begin(replica, db.host.now_ms()));
    Some(Box::new(step))
}

/// Notes what a planner has planned.
pub(super) fn planned<S: Store, H: Host>(
    db: &Database<S, H>,
    planner: &dyn AnyPlanner,
    planned: &Result<AnyPlan>,
) {
    let Some(trace) = &db.trace else { return };
    let error = match planned {
        Ok(Plan::Needs(_)) => return,
        Ok(Plan::Ready((commit, _))) if !commit.is_empty() => {
            let begun = planner.describe().zip(step(db));
            trace.kept.borrow_mut().planned =
                begun.map(|(planner, begun)| Box::new((planner, *begun)));
            return;
        }
        Ok(Plan::Ready(_)) => None,
        Err(error) => Some(error.code()),
    };
    if let Some((step, planner)) = step(db).zip(planner.describe()) {
        let what = Happened::Nothing { planner, error };
        trace.add(TraceStep { what, ..*step });
    }
}

/// Returns true if the database keeps a trace.
pub(super) const fn is_kept<S, H>(db: &Database<S, H>) -> bool {
    db.trace.is_some()
}

/// Notes what was given to what plans the next commit without a planner.
pub(super) fn plans<S: Store, H: Host>(db: &Database<S, H>, given: Option<Described>) {
    if let Some(trace) = &db.trace {
        let begun = given.zip(step(db));
        trace.kept.borrow_mut().planned = begun.map(|(given, begun)| Box::new((given, *begun)));
    }
}

/// Takes the planner of what is about to be appended, if it has one.
pub(super) fn take_planned<S, H>(db: &Database<S, H>) -> Option<Box<(Described, TraceStep)>> {
    db.trace.as_ref()?.kept.borrow_mut().planned.take()
}

/// Begins the step of a commit.
pub(super) fn appending<S: Store, H: Host>(
    db: &Database<S, H>,
    planned: Option<Box<(Described, TraceStep)>>,
    seq: Seq,
    record: &Rc<[u8]>,
    bodies: &[(BodyId, Rc<[u8]>)],
) -> Option<Box<TraceStep>> {
    let (planner, mut step) = match planned {
        Some(planned) => {
            let (planner, begun) = *planned;
            (Some(planner), Box::new(begun))
        }
        None => (None, step(db)?),
    };
    step.what = Happened::Committed {
        planner,
        record: TracedRecord {
            seq,
            record: Rc::clone(record),
            bodies: bodies.to_vec(),
        },
    };
    Some(step)
}

/// Adds a commit that was appended.
pub(super) fn appended<S, H>(
    db: &Database<S, H>,
    step: Option<Box<TraceStep>>,
    is_checkpoint: bool,
) {
    let (Some(trace), Some(step)) = (&db.trace, step) else {
        return;
    };
    let mut kept = trace.kept.borrow_mut();
    if is_checkpoint {
        kept.log.clear();
        // It may fit now.
        kept.is_due |= kept.is_too_large;
    }
    if let Happened::Committed { record, .. } = &step.what {
        kept.log.push((record.seq, Rc::clone(&record.record)));
    }
    drop(kept);
    trace.add(*step);
}

/// Returns true for the activity of a commit, which is a step itself.
fn is_commit(activity: &str) -> bool {
    let kind = scan::object(activity).ok().and_then(|members| {
        let mut members = members.into_iter();
        let (_, kind) = members.find(|(name, _)| name == "kind")?;
        scan::text(kind)
    });
    kind.is_none_or(|kind| kind == "commit")
}

impl Kept {
    fn add_activity(&mut self, max: u64, at: u64, text: Rc<str>) {
        if self.is_due || self.is_too_large {
            return;
        }
        let step = TraceStep {
            at,
            what: Happened::Activity { text },
            ..TraceStep::default()
        };
        self.bytes = self.bytes.saturating_add(size(&step));
        self.steps.push(step);
        self.is_due = self.bytes > max / 2;
    }

    fn add(&mut self, max: u64, mut step: TraceStep) {
        if self.is_due || self.is_too_large {
            // The log, which comes next, has it.
            self.deliveries.clear();
            return;
        }
        step.deliveries = std::mem::take(&mut self.deliveries);
        self.bytes = self.bytes.saturating_add(size(&step));
        self.steps.push(step);
        // What was before stays until this part is full, too: a bug has a past.
        self.is_due = self.bytes > max / 2;
    }
}

fn size(step: &TraceStep) -> u64 {
    let of = |record: &TracedRecord| {
        let bodies = record.bodies.iter().map(|(_, bytes)| bytes.len());
        bodies.fold(record.record.len(), usize::saturating_add)
    };
    let given = |planner: &Described| {
        let ops = planner.ops.iter().map(|op| op.bytes() as usize);
        let data = planner.data.as_ref().map_or(0, of);
        ops.fold(planner.input.len(), usize::saturating_add)
            .saturating_add(data)
    };
    let bytes = match &step.what {
        Happened::Loaded { records, .. } | Happened::Followed { records } => {
            records.iter().map(of).fold(0, usize::saturating_add)
        }
        Happened::Committed { planner, record } => {
            of(record).saturating_add(planner.as_ref().map_or(0, given))
        }
        Happened::Nothing { planner, .. } => given(planner),
        Happened::Activity { text } => text.len(),
    };
    (bytes as u64).saturating_add(STEP_BYTES)
}

/// Begins the trace, or its next part, with the log. The caller has the turn.
pub(super) fn boxed<'a, S: Store, H: Host>(db: &'a Database<S, H>) -> LocalBoxFuture<'a, ()> {
    Box::pin(begin(db))
}

async fn begin<S: Store, H: Host>(db: &Database<S, H>) {
    let Some(trace) = &db.trace else { return };
    let (at, lost) = (db.host.now_ms(), db.peek(|replica| replica.place().lost));
    let external = |replica: &Replica| -> Vec<(BodyId, u32)> {
        let all = replica.segments().external();
        let live = all.filter(|(_, _, live)| *live > 0);
        live.map(|(id, len, _)| (id, len)).collect()
    };
    let external = db.read(external);
    let records: Vec<TracedRecord> = {
        let kept = trace.kept.borrow();
        let records = kept.log.iter().map(|(seq, record)| TracedRecord {
            seq: *seq,
            record: Rc::clone(record),
            bodies: Vec::new(),
        });
        records.collect()
    };
    let mut what = Happened::Loaded { lost, records };
    let mut bytes = size_of(&what);
    for (_, len) in &external {
        bytes = bytes.saturating_add(u64::from(*len));
    }
    let is_too_large = bytes > (trace.max / 8).saturating_mul(3);
    let mut ids: Vec<BodyId> = Vec::new();
    if !is_too_large {
        ids.extend(external.iter().map(|(id, _)| *id));
    }
    // What is missing or damaged is missing for the replay, too.
    let Ok((bodies, _)) = db.fetch(&ids).await else {
        return;
    };
    if let Happened::Loaded { records, .. } = &mut what
        && let Some(first) = records.first_mut()
    {
        first.bodies = bodies;
    }
    let step = TraceStep {
        at,
        what,
        ..TraceStep::default()
    };
    let mut kept = trace.kept.borrow_mut();
    (kept.is_due, kept.is_too_large) = (false, is_too_large);
    kept.noted = OrderedMap::default();
    kept.deliveries.clear();
    if is_too_large {
        kept.steps.clear();
        (kept.part, kept.bytes) = (0, 0);
    } else if kept.bytes.saturating_add(bytes) > trace.max / 2 {
        let part = kept.part.min(kept.steps.len());
        kept.steps.drain(..part);
        kept.part = kept.steps.len();
        kept.bytes = 0;
    }
    kept.add(trace.max, step);
}

fn size_of(what: &Happened) -> u64 {
    size(&TraceStep {
        what: what.clone(),
        ..TraceStep::default()
    })
}

/// Adds what other tabs have appended. The caller has the turn.
pub(super) fn followed<'a, S: Store, H: Host>(
    db: &'a Database<S, H>,
    step: Box<TraceStep>,
    records: &'a Records,
) -> LocalBoxFuture<'a, ()> {
    Box::pin(async move {
        let Some(trace) = &db.trace else { return };
        let mut all = Vec::new();
        for (seq, record) in records {
            let ids = bodies_of(db, *seq);
            let found = db.fetch(&ids).await;
            all.push(TracedRecord {
                seq: *seq,
                record: Rc::clone(record),
                bodies: found.map(|(bodies, _)| bodies).unwrap_or_default(),
            });
        }
        let mut kept = trace.kept.borrow_mut();
        for (seq, record) in records {
            if is_checkpoint(record) {
                kept.log.clear();
            }
            kept.log.push((*seq, Rc::clone(record)));
        }
        drop(kept);
        let what = Happened::Followed { records: all };
        trace.add(TraceStep { what, ..*step });
    })
}

fn is_checkpoint(record: &[u8]) -> bool {
    Commit::decode(record)
        .is_ok_and(|commit| matches!(commit.events.first(), Some(Event::Checkpoint { .. })))
}

/// Returns the ids of the bodies beside a record.
fn bodies_of<S: Store, H: Host>(db: &Database<S, H>, seq: Seq) -> Vec<BodyId> {
    let of_record = body_id(seq, 0)..body_id(seq.saturating_add(1), 0);
    db.peek(|replica| {
        let all = replica.segments().external().map(|(id, _, _)| id);
        all.filter(|id| of_record.contains(id)).collect()
    })
}

/// Returns the file of the trace. `key` is random.
///
/// # Errors
/// Fails with [`Code::Unsupported`] if the config asks for no trace, or for too small a one, or if none could be kept;
/// [`Code::Closed`].
pub(in crate::engine) async fn export<S: Store, H: Host>(
    db: &Database<S, H>,
    key: [u8; 16],
) -> Result<String> {
    let turn = db.turn.lock().await;
    db.check_open()?;
    let Some(trace) = &db.trace else {
        return Err(if db.schema.config.trace > 0 {
            Error::new(
                Code::Unsupported,
                "There is no trace, because the module's last file could not be had when this user's data was opened; reload the page.",
            )
        } else {
            Error::new(
                Code::Unsupported,
                "There is no trace; set `trace: true` in the config, and do again what you want to see.",
            )
        });
    };
    if is_due(db) {
        boxed(db).await;
    }
    if is_due(db) {
        return Err(Error::new(
            Code::StorageUnavailable,
            "The stored data could not be read for the trace; try again.",
        ));
    }
    let mut kept = trace.kept.borrow_mut();
    trace.add_activities(&mut kept, db.host.now_ms());
    if kept.is_too_large || kept.steps.is_empty() {
        return Err(Error::new(
            Code::Unsupported,
            "This user's data is larger than a trace may be; give more bytes: `trace: { maxBytes }` in the config.",
        ));
    }
    let config = &db.schema.config;
    let now = db.host.now_ms();
    let file = db.read(|replica| write::file(config, &kept.steps, replica, (now, key)));
    drop(turn);
    Ok(file)
}
