//! `cargo xtask replay`: replays traces natively, by the program `examples/replay.rs`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{
    context::{Context, LIMIT},
    failure::{Because as _, Result},
    process,
};

/// Replays files. Returns the exit code: 0 if all is the same, 1 if this engine plans something else, 2
/// for a file that cannot be read.
pub fn run(context: &Context, words: &[OsString]) -> Result<u8> {
    let mut command = program(context);
    let mut is_value = false;
    for word in words {
        // The program runs in the folder of the sources.
        command.arg(
            std::path::absolute(word)
                .ok()
                .filter(|path| !is_value && path.is_file())
                .map_or_else(|| word.clone(), Into::into),
        );
        is_value = word == "--save" || word == "--step";
    }
    status(&mut command)
}

fn program(context: &Context) -> Command {
    context.cargo(&[
        "run",
        "--quiet",
        "--package",
        "datum-sync",
        "--example",
        "replay",
        "--",
    ])
}

fn status(command: &mut Command) -> Result<u8> {
    let status = command
        .status()
        .because(format!("starting {}", process::display(command)))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(2))
}

/// The fewest traces that the end-to-end tests leave.
const LEAST: usize = 10;

/// Empties the folder of the traces of the end-to-end tests.
pub fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).because(format!("emptying {}", folder.display()))?;
    }
    Ok(())
}

/// Replays all traces of a folder. False if one differs, or if there are too few.
pub fn all(context: &Context, folder: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(folder).because(format!("reading {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    if files.len() < LEAST {
        context.console.say(&format!(
            "only {} traces were left, not {LEAST}",
            files.len()
        ));
        return Ok(false);
    }
    let mut command = program(context);
    command.arg("--brief").args(&files);
    let label = format!("{} traces", files.len());
    process::attempt_shown(&context.console, &label, &mut command, LIMIT)
        .map(|finished| finished.success)
}
