//! `cargo xtask fuzz`: runs every parser on inputs that libFuzzer generates, guided by coverage.
//!
//! It works on the stable toolchain: `-C passes` adds LLVM's coverage counters, and the C++
//! compiler builds libFuzzer from source. No sanitizer is linked, since the engine has no unsafe
//! code; libFuzzer limits time and memory itself. `cargo fuzz` would pass the same flags, and
//! installing it takes longer than the run.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    process::{self, Finished},
    tools,
};

/// Counters at every edge, a table of their places, and traces of comparisons.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The longest input, in bytes: enough for quadratic code to take seconds.
const LONGEST: u32 = 16_384;
/// The time limit of one input, in seconds.
const PATIENCE: u32 = 5;
/// The memory limit of a target, in megabytes.
const MEMORY: u32 = 1_024;

/// Which targets to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Runs {
    /// Only this target.
    pub target: Option<String>,
    /// How long each target runs, in seconds.
    pub seconds: u64,
    /// Only this input, once.
    pub input: Option<PathBuf>,
}

/// Builds the targets and runs them. False if one of them found a bug.
pub fn run(context: &Context, runs: &Runs) -> Result<bool> {
    let known = targets(context)?;
    let targets = match &runs.target {
        Some(target) if !known.contains(target) => {
            return Err(Failure::new(format!(
                "there is no target `{target}`: {} are known",
                known.join(", ")
            )));
        }
        Some(target) => vec![target.clone()],
        None if runs.input.is_some() => {
            return Err(Failure::new(
                "--input needs --target: the target that found it",
            ));
        }
        None => known,
    };
    tools::cpp_compiler(context)?;
    let folder = context.target.join("fuzz");
    let programs = build(context, &folder)?;
    if runs.input.is_none() {
        seeds(context, &folder.join("seeds"))?;
    }
    let mut good = true;
    for target in &targets {
        let mut command = context.command(&programs.join(target).to_string_lossy());
        command.args([
            format!("-timeout={PATIENCE}"),
            format!("-rss_limit_mb={MEMORY}"),
        ]);
        match &runs.input {
            Some(input) => {
                command.arg(std::path::absolute(input).because("finding the input")?);
            }
            None => explore(context, &mut command, &folder, target, runs.seconds)?,
        }
        let limit = LIMIT.saturating_add(Duration::from_secs(runs.seconds));
        let label = format!("fuzzing `{target}`");
        let finished =
            process::attempt(&context.console, &label, &mut command, limit, |finished| {
                (finished.success, words(finished))
            })?;
        if !finished.success {
            good = false;
            context.console.say(&failure_text(&finished.text));
            context.console.say(&rerun(&finished.text, target));
        }
    }
    Ok(good)
}

/// Adds the arguments with which a target generates inputs. It writes new ones into the first
/// folder.
fn explore(
    context: &Context,
    command: &mut Command,
    folder: &Path,
    target: &str,
    seconds: u64,
) -> Result<()> {
    let (found, broken) = (folder.join("corpus").join(target), folder.join("broken"));
    for made in [&found, &broken, &folder.join("seeds").join(target)] {
        std::fs::create_dir_all(made).because(format!("making {}", made.display()))?;
    }
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={LONGEST}"),
        "-print_final_stats=1".to_owned(),
    ]);
    command.arg(format!("-artifact_prefix={}/{target}-", broken.display()));
    command.arg(format!(
        "-dict={}",
        home(context).join("json.dict").display()
    ));
    command.args([
        found,
        folder.join("seeds").join(target),
        home(context).join("corpus").join(target),
    ]);
    Ok(())
}

fn home(context: &Context) -> PathBuf {
    context.root.join("fuzz")
}

/// The names of the targets: the files in `fuzz/fuzz_targets`.
fn targets(context: &Context) -> Result<Vec<String>> {
    let folder = home(context).join("fuzz_targets");
    let entries = std::fs::read_dir(&folder).because(format!("reading {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            entry
                .ok()?
                .path()
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Builds the targets and returns their folder. `--target` keeps the flags away from build scripts,
/// which do not link libFuzzer.
fn build(context: &Context, folder: &Path) -> Result<PathBuf> {
    let about = process::capture(context.command("rustc").arg("-vV"))?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .because("rustc -vV names no host")?;
    let manifest = home(context).join("Cargo.toml");
    let mut command = context.cargo(&["build", "--release", "--target", host, "--manifest-path"]);
    command
        .arg(manifest)
        .env("CARGO_TARGET_DIR", folder)
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(
        &context.console,
        "building the fuzz targets",
        &mut command,
        LIMIT,
    )?;
    Ok(folder.join(host).join("release"))
}

/// Runs the test that makes the seeds: records of a real history and the protocol's vectors.
fn seeds(context: &Context, folder: &Path) -> Result<()> {
    let mut command = context.cargo(&["test", "--workspace", "--test", "guards", "fuzz_seeds"]);
    command.env("FUZZ_SEEDS", folder);
    process::run(&context.console, "making the seeds", &mut command, LIMIT).map(|_| ())
}

/// The number of inputs that were run.
fn words(finished: &Finished) -> String {
    let number = |name: &str| {
        finished
            .text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    number("stat::number_of_executed_units:")
        .map_or_else(String::new, |inputs| format!("{inputs} inputs"))
}

/// The part of a failed run's output that matters: from the panic or libFuzzer's error on.
fn failure_text(text: &str) -> String {
    let from = text
        .lines()
        .position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
    text.lines()
        .skip(from.unwrap_or_default())
        .filter(|line| !line.starts_with("MS: "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How to run the failing input again.
fn rerun(text: &str, target: &str) -> String {
    match text
        .lines()
        .find_map(|line| line.split("Test unit written to ").nth(1))
    {
        Some(file) => {
            format!("\nto run this input again: cargo xtask fuzz --target {target} --input {file}")
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_prints_what_matters() {
        let text = "INFO: Seed: 1\n#2 INITED\nthread '<unnamed>' panicked at src/scan.rs:5:1:\nleft: 1\nMS: 2 Chop-\nartifact_prefix='b/'; Test unit written to b/scan-crash-1\nstat::number_of_executed_units: 4711";
        let finished = Finished {
            success: false,
            text: text.to_owned(),
        };
        assert_eq!(words(&finished), "4711 inputs");
        assert!(failure_text(text).starts_with("thread") && !failure_text(text).contains("MS: "));
        assert!(
            rerun(text, "scan").ends_with("cargo xtask fuzz --target scan --input b/scan-crash-1")
        );
        assert_eq!(rerun("", "scan"), "");
    }
}
