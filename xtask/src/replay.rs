//! `cargo xtask replay`: replays traces natively, by the program `examples/replay.rs`.

use std::ffi::OsString;
use std::process::Command;

use crate::{
    context::Context,
    failure::{Because as _, Result},
    process,
};

/// Replays files. Returns the exit code: 0 if all is the same, 1 if this engine plans something else, 2
/// for a file that cannot be read.
pub fn run(context: &Context, words: &[OsString]) -> Result<u8> {
    let mut command = context.cargo(&[
        "run",
        "--quiet",
        "--package",
        "datum-sync",
        "--example",
        "replay",
        "--",
    ]);
    for word in words {
        // The program runs in the folder of the sources.
        command.arg(
            std::path::absolute(word)
                .ok()
                .filter(|path| path.is_file())
                .map_or_else(|| word.clone(), Into::into),
        );
    }
    status(&mut command)
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
