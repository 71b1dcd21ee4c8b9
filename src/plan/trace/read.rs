//! Reads the file of a trace. What was cut is read up to there.

use std::rc::Rc;

use serde_json::Value;

use crate::log::address::BodyId;
use crate::log::commit::{Commit, Event};
use crate::model::checked_object::CheckedObject;
use crate::model::config::Config;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::Operation;
use crate::plan::trace::{Described, FORMAT, Happened, NAME, TraceStep, TracedRecord};
use crate::state::outbox::SentState;
use crate::state::outbox::deliveries::DeliveryNote;
use crate::transfer::fields::{LineFields, wrong};
use crate::util::hash::LineDigest;
use crate::util::json::scan;

/// The longest line, in bytes: a record of the largest database that a trace may have has room.
const MAX_LINE_BYTES: usize = 256 << 20;

/// The most records that a log may have since its last checkpoint: a checkpoint names each.
pub(crate) const MOST_RECORDS: u64 = 1 << 20;

/// A trace that was read.
#[derive(Clone, Debug)]
pub struct TraceFile {
    /// The version of the engine that wrote it.
    pub engine: String,
    pub user_id: String,
    pub config: Config,
    pub steps: Vec<TraceStep>,
    /// Each step's line.
    pub lines: Vec<u64>,
    /// What the steps come to; `None` if the file was cut.
    pub state: Option<Vec<(String, String)>>,
    /// The file was read to its last line, which fits.
    pub is_whole: bool,
}

/// Reads a file.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the line, for a file that is no trace or a line that no
/// export writes; [`Code::ClientOutdated`] for a newer format; [`Code::Corrupt`] for one that was
/// changed.
pub fn read(bytes: &[u8]) -> Result<TraceFile> {
    let ends_whole = bytes.ends_with(b"\n");
    let all = || bytes.split(|byte| *byte == b'\n').enumerate();
    let mut lines = all().filter(|(_, line)| !line.is_empty());
    let Some((_, first)) = lines.next() else {
        return Err(Error::new(
            Code::InvalidArgument,
            "The file is empty; give one that `exportTrace` has written.",
        ));
    };
    let mut file = header(first)?;
    let mut digest = LineDigest::default();
    digest.add(first);
    let mut count = 1_u64;
    let last = all().count().saturating_sub(1);
    for (index, bytes) in lines {
        let at = (index as u64).saturating_add(1);
        if file.is_whole {
            return Err(wrong(
                at,
                "follows the end of the trace; give one trace at a time.",
            ));
        }
        match take(&mut file, bytes, at, (count, &digest)) {
            Ok(()) => {}
            // The rest of a line.
            Err(error) if index == last && !ends_whole && error.code() == Code::InvalidArgument => {
                break;
            }
            Err(error) => return Err(error),
        }
        digest.add(bytes);
        count = count.saturating_add(1);
    }
    if !file.is_whole {
        file.state = None;
        drop_incomplete(&mut file);
    }
    Ok(file)
}

fn foreign() -> Error {
    Error::new(
        Code::InvalidArgument,
        "Line 1 of the file: this is no trace; give a file that `exportTrace` has written.",
    )
}

fn line_of(bytes: &[u8], at: u64) -> Result<&str> {
    if bytes.len() > MAX_LINE_BYTES {
        return Err(wrong(at, "is longer than 256 MiB, which no trace is."));
    }
    scan::utf8(bytes).map_err(|cause| wrong(at, "is not UTF-8.").caused_by(cause))
}

fn header(bytes: &[u8]) -> Result<TraceFile> {
    let text = line_of(bytes, 1).map_err(|error| foreign().caused_by(error))?;
    let line = LineFields::parse(text, 1).map_err(|error| foreign().caused_by(error))?;
    if line.text("format").ok().flatten().as_deref() != Some(NAME) {
        return Err(foreign());
    }
    let format = line.number("formatVersion")?.unwrap_or_default();
    if format > FORMAT {
        let fix = format!(
            "Line 1 of the file: the trace has format {format}, and this version reads up to {FORMAT}; replay it with the version of `datum-sync` that wrote it, or a later one."
        );
        return Err(Error::new(Code::ClientOutdated, fix));
    }
    let config = line.raw("config").unwrap_or("{}");
    let config: Value = scan::tree(config)
        .map_err(|cause| line.wrong("config", "cannot be read.").caused_by(cause))?;
    Ok(TraceFile {
        engine: line.text("engine")?.unwrap_or_default(),
        user_id: line.needed("userId")?,
        config: Config::read(CheckedObject(&config)),
        steps: Vec::new(),
        lines: Vec::new(),
        state: None,
        is_whole: false,
    })
}

/// A cut may have left fewer records than a step says that it has.
fn drop_incomplete(file: &mut TraceFile) {
    let is_cut = |step: &TraceStep| match &step.what {
        Happened::Loaded { records, .. } | Happened::Followed { records } => {
            records.iter().any(|one| one.record.is_empty())
        }
        _ => false,
    };
    if file.steps.last().is_some_and(is_cut) {
        file.steps.pop();
        file.lines.pop();
    }
}

fn take(
    file: &mut TraceFile,
    bytes: &[u8],
    at: u64,
    (count, digest): (u64, &LineDigest),
) -> Result<()> {
    let line = LineFields::parse(line_of(bytes, at)?, at)?;
    let what = line.needed("line")?;
    let what = match &*what {
        "record" => {
            let record = record(&line)?;
            return match next_place(file) {
                Some(place) => {
                    *place = record;
                    Ok(())
                }
                None => Err(wrong(at, "is a record that no step has.")),
            };
        }
        "state" => {
            let items = scan::object(line.raw("items").unwrap_or_default());
            let items = items.map_err(|_| line.wrong("items", "must be an object."))?;
            let value = |raw| scan::text(raw).unwrap_or_default().into_owned();
            let items = items.into_iter();
            file.state = Some(
                items
                    .map(|(name, raw)| (name.into_owned(), value(raw)))
                    .collect(),
            );
            return Ok(());
        }
        "end" => {
            file.is_whole =
                line.number("lines")? == Some(count) && line.needed("digest")? == digest.to_hex();
            return match file.is_whole {
                true => Ok(()),
                false => Err(Error::new(
                    Code::Corrupt,
                    format!(
                        "Line {at} of the file: its count and digest do not fit the lines before, so the trace was changed or damaged; give the file as it was exported."
                    ),
                )),
            };
        }
        "load" => Happened::Loaded {
            lost: line.number("lost")?.unwrap_or_default(),
            records: places(&line)?,
        },
        "follow" => Happened::Followed {
            records: places(&line)?,
        },
        "commit" => Happened::Committed {
            planner: described(&line)?,
            record: record(&line)?,
        },
        "nothing" => Happened::Nothing {
            planner: described(&line)?.ok_or_else(|| line.wrong("planner", "is missing."))?,
            error: match line.text("error")? {
                Some(name) => {
                    Some(Code::named(&name).ok_or_else(|| line.wrong("error", "is no code."))?)
                }
                None => None,
            },
        },
        "activity" => Happened::Activity {
            text: line
                .body("activity")?
                .ok_or_else(|| line.wrong("activity", "is missing."))?,
        },
        _ => return Err(line.wrong("line", &["is not known: `", &what, "`."].concat())),
    };
    if next_place(file).is_some() {
        return Err(wrong(at, "comes before all records of the step above it."));
    }
    file.steps.push(TraceStep {
        at: line.number("ms")?.unwrap_or_default(),
        head: line.number("head")?.unwrap_or_default(),
        alone: line.flag("alone")?,
        deliveries: deliveries(&line)?,
        what,
    });
    file.lines.push(at);
    Ok(())
}

/// Returns the place of the next record of the last step.
fn next_place(file: &mut TraceFile) -> Option<&mut TracedRecord> {
    match &mut file.steps.last_mut()?.what {
        Happened::Loaded { records, .. } | Happened::Followed { records } => {
            // Those that were read come first.
            let at = records.partition_point(|one| !one.record.is_empty());
            records.get_mut(at)
        }
        _ => None,
    }
}

/// Makes place for the records that follow.
fn places(line: &LineFields<'_>) -> Result<Vec<TracedRecord>> {
    match line.number("records")?.unwrap_or_default() {
        count if count <= MOST_RECORDS => Ok((0..count).map(|_| TracedRecord::default()).collect()),
        _ => Err(line.wrong("records", "is more than any log has.")),
    }
}

fn deliveries(line: &LineFields<'_>) -> Result<Vec<DeliveryNote>> {
    let mut all = Vec::new();
    for one in line.objects("deliveries")? {
        all.push(DeliveryNote {
            op_id: one.needed("opId")?,
            in_flight: one.flag("inFlight")?,
            sent: one.choice("sent", &SentState::NAMES)?,
            attempts: one.small("attempts")?,
        });
    }
    Ok(all)
}

fn described(line: &LineFields<'_>) -> Result<Option<Described>> {
    let Some(name) = line.text("planner")? else {
        return Ok(None);
    };
    let mut ops: Vec<Operation> = Vec::new();
    if line.raw("operations").is_some() {
        let commit = Commit::decode(&bytes(line, "operations")?)
            .map_err(|_| line.wrong("operations", "cannot be read."))?;
        for event in commit.events {
            if let Event::Queue { op, .. } = event {
                ops.push(op);
            }
        }
    }
    let input = line.raw("input").unwrap_or("{}").to_owned();
    let data = match line.raw("data") {
        Some(_) => Some(record(&line.within("data")?)?),
        None => None,
    };
    Ok(Some(Described {
        name,
        input,
        ops,
        data,
    }))
}

fn record(line: &LineFields<'_>) -> Result<TracedRecord> {
    let mut bodies: Vec<(BodyId, Rc<[u8]>)> = Vec::new();
    for one in line.objects("bodies")? {
        let id = one.number("id")?.unwrap_or_default();
        bodies.push((id, Rc::from(bytes(&one, "bytes")?)));
    }
    let record = bytes(line, "bytes")?;
    if record.is_empty() {
        return Err(line.wrong("bytes", "is missing."));
    }
    Ok(TracedRecord {
        seq: line.number("seq")?.unwrap_or_default(),
        record: Rc::from(record),
        bodies,
    })
}

fn bytes(line: &LineFields<'_>, name: &str) -> Result<Vec<u8>> {
    let hex = line.needed(name)?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes.ok_or_else(|| line.wrong(name, "has no even number of hexadecimal digits."))
}
