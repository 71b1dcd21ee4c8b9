//! What a replay says, for people.

use datum_sync::model::error::Result;
use datum_sync::plan::trace::read::TraceFile;
use datum_sync::plan::trace::replay::{Replay, ReplayedStep, StepResult};

/// How many lines around a difference are shown.
const AROUND: usize = 3;

/// A replay in words.
pub struct Report {
    /// The steps, a line each; runs of steps that are alike are one line.
    pub lines: Vec<String>,
    /// The first difference; empty if there is none.
    pub difference: Vec<String>,
    pub steps: usize,
    /// How many of them were planned again.
    pub planned: usize,
}

/// Replays a trace up to the first difference.
pub fn replay(file: &TraceFile) -> Result<Report> {
    let mut replay = Replay::new(file);
    let mut steps: Vec<ReplayedStep> = Vec::new();
    let mut difference = Vec::new();
    while let Some(step) = replay.step()? {
        if let StepResult::Differs { recorded, planned } = &step.result {
            difference.push(format!("line {}: {} differs", step.line, name(&step)));
            difference.extend(compared(recorded, planned));
        }
        steps.push(step);
        if !difference.is_empty() {
            break;
        }
    }
    if difference.is_empty()
        && let Some((recorded, here)) = replay.end()
    {
        difference.push("the end: the state differs".to_owned());
        difference.extend(compared(&recorded, &here));
    }
    let is_planned = |step: &&ReplayedStep| step.result != StepResult::Taken;
    Ok(Report {
        lines: runs(&steps),
        difference,
        steps: steps.len(),
        planned: steps.iter().filter(is_planned).count(),
    })
}

/// Names a step.
pub fn name(step: &ReplayedStep) -> String {
    match &step.planner {
        Some(planner) => format!("{} by {planner}", step.kind),
        None => step.kind.to_owned(),
    }
}

fn word(step: &ReplayedStep) -> &'static str {
    match step.result {
        StepResult::Same => "same",
        StepResult::Taken => "taken as it is",
        StepResult::Differs { .. } => "DIFFERS",
    }
}

fn runs(steps: &[ReplayedStep]) -> Vec<String> {
    let alike = |a: &ReplayedStep, b: &ReplayedStep| {
        (name(a), word(a)) == (name(b), word(b)) && a.kind != "activity"
    };
    let runs = steps.chunk_by(alike);
    runs.map(|run| {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let what = format!("{}: {}", name(first), word(first));
        match run.len() {
            1 if first.kind == "activity" => {
                format!("line {}: {}", first.line, first.says.join(", "))
            }
            1 => format!("line {}: {what}; {}", first.line, first.says.join(", ")),
            count => format!("lines {}-{}: {count} × {what}", first.line, last.line),
        }
    })
    .collect()
}

/// Both sides where they differ: `-` is recorded, `+` is planned here.
fn compared(recorded: &[String], planned: &[String]) -> Vec<String> {
    let pairs = || recorded.iter().zip(planned);
    let before = pairs().take_while(|(a, b)| a == b).count();
    let rest = recorded.len().min(planned.len()) - before;
    let back = recorded.iter().rev().zip(planned.iter().rev()).take(rest);
    let behind = back.take_while(|(a, b)| a == b).count();
    let mut lines = Vec::new();
    let around = recorded[before.saturating_sub(AROUND)..before].iter();
    lines.extend(around.map(|line| format!("  {line}")));
    let (ours, theirs) = (recorded.len() - behind, planned.len() - behind);
    lines.extend(
        recorded[before..ours]
            .iter()
            .map(|line| format!("- {line}")),
    );
    lines.extend(
        planned[before..theirs]
            .iter()
            .map(|line| format!("+ {line}")),
    );
    let until = (ours + AROUND).min(recorded.len());
    lines.extend(recorded[ours..until].iter().map(|line| format!("  {line}")));
    lines
}
