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

/// Empties the folder of the traces of the end-to-end tests.
pub fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).because(format!("emptying {}", folder.display()))?;
    }
    Ok(())
}

/// Replays all traces of a folder. False if one differs, if a file of tests with pages has left none, or if
/// an instance has refused to give its own.
pub fn all(context: &Context, folder: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(folder).because(format!("reading {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let (traces, noted): (Vec<PathBuf>, Vec<PathBuf>) = files
        .into_iter()
        .partition(|path| path.extension().is_some_and(|it| it == "ndjson"));
    let mut tests = Vec::new();
    for path in noted {
        let text = std::fs::read_to_string(&path).because(format!("reading {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default();
        tests.push((name.to_string_lossy().into_owned(), text));
    }
    let names = traces.iter().filter_map(|path| path.file_stem()?.to_str());
    let missing = missing(&tests, &names.collect::<Vec<_>>());
    if !missing.is_empty() {
        context.console.say(&missing.join("\n"));
        return Ok(false);
    }
    let mut command = program(context);
    command.arg("--brief").args(&traces);
    let label = format!("{} traces of {} files", traces.len(), tests.len());
    process::attempt_shown(&context.console, &label, &mut command, LIMIT)
        .map(|finished| finished.success)
}

/// Codes with which an instance rightly has no trace: nobody is signed in, or it was closed before.
const ALLOWED: [&str; 2] = ["noUser", "closed"];

/// Says which files of tests with pages have left no trace, and which instances have refused one. `tests` are
/// the files with what they have noted.
fn missing(tests: &[(String, String)], traces: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    if tests.is_empty() {
        found.push("no file of end-to-end tests has left a trace".to_owned());
    }
    for (name, noted) in tests {
        let is_own = |trace: &&&str| {
            let count = trace
                .strip_prefix(&**name)
                .and_then(|rest| rest.strip_prefix('-'));
            count.is_some_and(|count| count.parse::<u32>().is_ok())
        };
        if traces.iter().filter(is_own).count() == 0 {
            found.push(format!("{name}.test.mjs has pages and has left no trace"));
        }
        let refused = noted
            .lines()
            .filter_map(|line| line.strip_prefix("no trace: "));
        for code in refused.filter(|code| !ALLOWED.contains(code)) {
            found.push(format!(
                "{name}.test.mjs: an instance gives no trace: {code}"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_trace_and_an_instance_that_refuses_one_are_said() {
        let test = |name: &str, noted: &str| (name.to_owned(), noted.to_owned());
        let both = [test("sync", "no trace: noUser\n"), test("sync-more", "")];
        assert!(missing(&both, &["sync-1", "sync-more-1"]).is_empty());
        assert_eq!(missing(&both, &["sync-more-1"]).len(), 1);
        assert_eq!(missing(&[], &[]).len(), 1);
        let refused = [test("tabs", "no trace: unsupported\nno trace: closed\n")];
        let said = missing(&refused, &["tabs-1"]);
        assert!(
            said.len() == 1 && said[0].contains("unsupported"),
            "{said:?}"
        );
    }
}
