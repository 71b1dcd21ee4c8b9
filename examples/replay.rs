//! `cargo xtask replay`: replays traces that `exportTrace` has written. Exits with 0 if all is the same,
//! 1 at the first difference, 2 for a file that cannot be read.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a program for developers"
)]

#[path = "../tests/support/trace_report.rs"]
mod trace_report;

use std::path::Path;
use std::process::ExitCode;

use datum_sync::plan::trace::read::{TraceFile, read};
use datum_sync::plan::trace::replay::Replay;
use datum_sync::plan::trace::{Happened, summary};
use trace_report::{Report, name, replay};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut files, mut step, mut json, mut save) = (Vec::new(), None, false, None);
    let mut brief = false;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match &*word {
            "--step" => match words.next().and_then(|line| line.parse().ok()) {
                Some(line) => step = Some(line),
                None => {
                    eprintln!("`--step` takes the number of a line of the file");
                    return ExitCode::from(2);
                }
            },
            "--json" => json = true,
            "--brief" => brief = true,
            "--save" => save = words.next(),
            _ => files.push(word),
        }
    }
    let mut worst = 0;
    for path in &files {
        let code = match one(path, step, (json, brief), save.as_deref()) {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(problem) => {
                eprintln!("{path}: {problem}");
                2
            }
        };
        worst = worst.max(code);
    }
    ExitCode::from(worst)
}

fn one(
    path: &str,
    step: Option<u64>,
    (json, brief): (bool, bool),
    save: Option<&str>,
) -> Result<bool, String> {
    let bytes = std::fs::read(path).map_err(|fault| fault.to_string())?;
    let file = read(&bytes).map_err(|error| error.message().to_owned())?;
    if let Some(line) = step {
        return shown(&file, line);
    }
    let report = replay(&file).map_err(|error| error.message().to_owned())?;
    if json {
        println!("{}", as_json(path, &file, &report));
    } else {
        print(path, &file, &report, brief);
    }
    if let Some(name) = save {
        saved(&bytes, name, &report).map_err(|fault| fault.to_string())?;
    }
    Ok(report.difference.is_empty())
}

fn print(path: &str, file: &TraceFile, report: &Report, brief: bool) {
    let steps: &[String] = if brief { &[] } else { &report.lines };
    for line in steps.iter().chain(&report.difference) {
        println!("{line}");
    }
    let cut = match file.is_whole {
        true => "",
        false => "; the file was cut, and this is what is there: its end is not compared",
    };
    let result = match report.difference.is_empty() {
        true => "the same state",
        false => "another one than the trace has",
    };
    println!(
        "{path}: {} steps of engine {}, {} planned again, to {result}{cut}",
        report.steps, file.engine, report.planned
    );
}

fn as_json(path: &str, file: &TraceFile, report: &Report) -> String {
    serde_json::json!({
        "file": path,
        "engine": file.engine,
        "isWhole": file.is_whole,
        "steps": report.steps,
        "planned": report.planned,
        "isSame": report.difference.is_empty(),
        "difference": report.difference,
    })
    .to_string()
}

/// Prints what is known of one step.
fn shown(file: &TraceFile, line: u64) -> Result<bool, String> {
    let at = file.lines.iter().position(|other| *other == line);
    let Some(at) = at else {
        return Err(format!("line {line} is no step; give the line of one"));
    };
    let mut replay = Replay::new(file);
    for _ in 0..at {
        replay.step().map_err(|error| error.message().to_owned())?;
    }
    let step = &file.steps[at];
    let before = file.steps[..at]
        .iter()
        .rev()
        .zip(file.lines[..at].iter().rev());
    let told = before.map_while(|(step, line)| match &step.what {
        Happened::Activity { text } => Some(format!("line {line}: {}", summary::activity(text))),
        _ => None,
    });
    // What was done since the decision before.
    let told: Vec<String> = told.collect();
    told.iter().rev().for_each(|line| println!("{line}"));
    println!("at {}, on head {}", step.at, step.head);
    println!("{:#?}", step.deliveries);
    if let Happened::Committed {
        planner: Some(given),
        ..
    }
    | Happened::Nothing { planner: given, .. } = &step.what
    {
        println!("{}", given.input);
        println!("{:#?}", given.ops);
    } else if let Happened::Activity { text } = &step.what {
        println!("{text}");
    }
    let done = replay.step().map_err(|error| error.message().to_owned())?;
    if let Some(done) = done {
        println!("{}", name(&done));
        done.says.iter().for_each(|line| println!("{line}"));
        println!("{:#?}", done.result);
    }
    Ok(true)
}

/// Puts a trace among the tests, with what its replay says now.
fn saved(bytes: &[u8], name: &str, report: &Report) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{name}.ndjson")), bytes)?;
    let text = report.difference.join("\n");
    std::fs::write(folder.join(format!("{name}.difference")), text)
}
