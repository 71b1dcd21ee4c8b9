//! Traces: what a database was given and what came of it, step by step, so that a bug of an app can
//! be seen again on another machine.
//!
//! A step is a commit. Everything that decides is a planner, which reads the replica, its input and
//! nothing else; so the same input on the same state makes the same commit, whatever ran beside it.
//! `describe` writes down what a planner was given, `masks` replaces what is personal, `write` and
//! `read` are the file, `replan` makes the planner again, and `replay` compares what it plans.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::error::Code;
use crate::model::operation::Operation;
use crate::state::outbox::deliveries::DeliveryNote;

pub mod describe;
pub mod end_state;
pub mod handed_over;
pub mod masked;
pub mod masks;
pub mod read;
pub mod replan;
pub mod replay;
pub mod summary;
pub mod write;

/// The name in the first line, by which a file is recognised.
pub const NAME: &str = "datum-sync-trace";

/// The format that this version writes, and the newest that it reads. Format 1 has no activities, and fewer
/// planners.
pub const FORMAT: u64 = 2;

/// What a planner was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Which planner.
    pub name: String,
    /// The rest, as the text of a JSON object.
    pub input: String,
    /// The operations that it was given.
    pub ops: Vec<Operation>,
    /// The rows, operations and dead letters of a file or of another user, as a commit of them.
    pub data: Option<TracedRecord>,
}

/// A record of a log, with the bodies that lie beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracedRecord {
    pub seq: Seq,
    pub record: Rc<[u8]>,
    pub bodies: Vec<(BodyId, Rc<[u8]>)>,
}

/// One thing that happened to a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceStep {
    /// By the device's clock, in milliseconds since 1970.
    pub at: u64,
    /// The head of the log before.
    pub head: Seq,
    /// This instance was the last to write facts of a cycle.
    pub alone: bool,
    /// What has changed in the knowledge of deliveries since the last step.
    pub deliveries: Vec<DeliveryNote>,
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The state was read from the log.
    Loaded {
        /// How many logs the instance had lost before.
        lost: u64,
        records: Vec<TracedRecord>,
    },
    /// Other tabs had appended.
    Followed { records: Vec<TracedRecord> },
    /// This instance appended.
    Committed {
        /// Who planned it; a commit without a planner is taken as it is.
        planner: Option<Described>,
        record: TracedRecord,
    },
    /// A planner wrote nothing.
    Nothing {
        planner: Described,
        /// Why it could not plan.
        error: Option<Code>,
    },
    /// The instance did something for the user: a cycle or a phase began or ended, a request was made or
    /// answered. It changes nothing.
    Activity {
        /// `Activity` of the public surface, as the text of a JSON object.
        text: Rc<str>,
    },
}

impl Default for Happened {
    fn default() -> Self {
        Self::Followed {
            records: Vec::new(),
        }
    }
}
