//! Fuzzing: every parser against inputs that libFuzzer thinks up, guided by what they reach.
//!
//! It runs on the stable toolchain: the counters that guide libFuzzer are a pass of LLVM which `-C
//! passes` names, and libFuzzer is built from its sources by the C++ compiler. No sanitizer is
//! linked in: the engine has no unsafe code for one to watch, and its limits on time and memory are
//! libFuzzer's own. `cargo fuzz` would pass the same flags, and installing it takes longer than the
//! run.

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

/// Counters at every edge, a table of where they are, and what is compared with what.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The longest input, in bytes: what is quadratic takes seconds here, and what is not takes none.
const LONGEST: u32 = 16_384;
/// Seconds that one input may take.
const PATIENCE: u32 = 5;
/// Megabytes that one target may need.
const MEMORY: u32 = 1_024;

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Runs {
    /// Only this target.
    pub target: Option<String>,
    /// How long each target runs, in seconds.
    pub seconds: u64,
    /// Only this input, once.
    pub input: Option<PathBuf>,
}

/// Builds the targets and runs them. False where one of them found something.
pub fn run(context: &Context, runs: &Runs) -> Result<bool> {
    let known = targets(context)?;
    let targets = match &runs.target {
        Some(target) if !known.contains(target) => {
            return Err(Failure::new(format!(
                "there is no target `{target}`; there are {}",
                known.join(", ")
            )));
        }
        Some(target) => vec![target.clone()],
        None if runs.input.is_some() => {
            return Err(Failure::new(
                "--input needs --target: the one that found it",
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
            context.console.say(&told(&finished.text));
            context.console.say(&again(&finished.text, target));
        }
    }
    Ok(good)
}

/// The arguments by which a target looks for inputs of its own: the first folder gets what it finds
/// new.
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

/// The names of the targets: the files in `fuzz/targets`.
fn targets(context: &Context) -> Result<Vec<String>> {
    let folder = home(context).join("targets");
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

/// Where the built targets lie. `--target` keeps the flags away from build scripts, which link no
/// libFuzzer.
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

/// Seeds that a test makes: records of a real history and the protocol's vectors, as they are
/// today.
fn seeds(context: &Context, folder: &Path) -> Result<()> {
    let mut command = context.cargo(&[
        "test",
        "--workspace",
        "--test",
        "fuzzed",
        "every_seed_of_the_fuzzers",
    ]);
    command.env("FUZZ_SEEDS", folder);
    process::run(&context.console, "making the seeds", &mut command, LIMIT).map(|_| ())
}

/// What came of a run: how many inputs, and how many of them reached something new.
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

/// What is worth reading of a failed run: from the panic or libFuzzer's own words on.
fn told(text: &str) -> String {
    let from = text
        .lines()
        .position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
    text.lines()
        .skip(from.unwrap_or_default())
        .filter(|line| !line.starts_with("MS: "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How to run it again.
fn again(text: &str, target: &str) -> String {
    match text
        .lines()
        .find_map(|line| line.split("Test unit written to ").nth(1))
    {
        Some(file) => {
            format!("\nthe same again: cargo xtask fuzz --target {target} --input {file}")
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_in_the_words_that_matter() {
        let text = "INFO: Seed: 1\n#2 INITED\nthread '<unnamed>' panicked at src/scan.rs:5:1:\nleft: 1\nMS: 2 Chop-\nartifact_prefix='b/'; Test unit written to b/scan-crash-1\nstat::number_of_executed_units: 4711";
        let finished = Finished {
            success: false,
            text: text.to_owned(),
        };
        assert_eq!(words(&finished), "4711 inputs");
        assert!(told(text).starts_with("thread") && !told(text).contains("MS: "));
        assert!(
            again(text, "scan").ends_with("cargo xtask fuzz --target scan --input b/scan-crash-1")
        );
        assert_eq!(again("", "scan"), "");
    }
}
