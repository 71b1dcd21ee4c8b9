//! `cargo xtask bench`: builds the package and the server, installs the peers, and runs
//! `benches/bench.mjs`, which measures and prints. With `--alone`, `tests/e2e/figures/figures.mjs`
//! measures datum only.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    backends,
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Result},
    node,
    pack::{self, Kind},
    process,
    server::{self, Profile},
    tools,
};

/// One row of each kind: a pull, a push, cycles, reading, writing, sizes.
const SMOKE_ROWS: &str = "B1,B4,B5,B6,B9,B10";
const SMOKE_CONTESTANTS: &str = "datum,bare,raw";

/// What to measure, and where to put it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bench {
    /// Datum only, without its peers.
    pub alone: bool,
    /// The rows, such as `B1,B3`; all if none.
    pub only: Option<String>,
    /// The contestants, such as `datum,dexie`; all if none.
    pub who: Option<String>,
    /// The engines of the first pull; all if empty.
    pub browsers: Vec<Engine>,
    /// How many times each row is measured.
    pub rounds: Option<u32>,
    /// Few rows and one round, to see that everything works.
    pub quick: bool,
    /// The file for the figures as JSON.
    pub json: Option<PathBuf>,
    /// Whether charts are drawn in `benches/charts`.
    pub charts: bool,
    /// An earlier run's figures: their charts are drawn, and nothing is measured.
    pub from: Option<PathBuf>,
}

/// Measures. False if a result was wrong; a missed target is only printed.
pub fn run(context: &Context, bench: &Bench) -> Result<bool> {
    let folder = context.root.join("benches");
    if bench.from.is_some() {
        node::install(context, &folder)?;
        let mut command = context.command("node");
        command.arg(folder.join("bench.mjs"));
        return process::watch(command.args(arguments(bench, &folder)?));
    }
    let engines = bench.engines();
    tools::browsers(context, &engines)?;
    if bench.only.is_none() || bench.is_named("B11") || bench.is_named("B12") {
        backends::install(context)?;
    }
    // A quick run's times mean nothing: the server of the tests will do.
    let profile = if bench.quick {
        Profile::Dev
    } else {
        Profile::Measured
    };
    let building = server::Build::start(context, profile)?;
    let tarball = pack::build(context, Kind::Release)?.tarball;
    let script = if bench.alone {
        node::install(context, &context.e2e())?;
        context.e2e().join("figures").join("figures.mjs")
    } else {
        node::install(context, &folder)?;
        folder.join("bench.mjs")
    };
    let server = building.join(context)?;
    let mut command = node::script(context, &server, &tarball, &engines)?;
    process::watch(command.arg(script).args(arguments(bench, &folder)?))
}

/// Measures few rows with the server and the package of the tests, to see that everything works and
/// every result is right. Its times mean nothing.
pub fn smoke(context: &Context, server: &Path, tarball: &Path) -> Result<bool> {
    let folder = context.root.join("benches");
    node::install(context, &folder)?;
    let bench = Bench {
        only: Some(SMOKE_ROWS.into()),
        who: Some(SMOKE_CONTESTANTS.into()),
        quick: true,
        ..Bench::default()
    };
    let mut command = node::script(context, server, tarball, &bench.engines())?;
    command
        .arg(folder.join("bench.mjs"))
        .args(arguments(&bench, &folder)?);
    Ok(process::attempt_shown(&context.console, "benchmark, quick", &mut command, LIMIT)?.success)
}

impl Bench {
    /// Whether a row is one of those that are named.
    fn is_named(&self, id: &str) -> bool {
        let named = self.only.as_deref().unwrap_or_default();
        named.split(',').any(|row| row.trim() == id)
    }

    /// The engines that this run needs. The first pull is measured in all of them, unless some are
    /// named; everything else, and every quick run, needs only Chromium.
    fn engines(&self) -> Vec<Engine> {
        let pulls = self.only.is_none() || self.is_named("B1");
        let others = pulls && !self.quick && !self.alone;
        Engine::ALL
            .into_iter()
            .filter(|engine| {
                let named = self.browsers.is_empty() || self.browsers.contains(engine);
                *engine == Engine::Chromium || (others && named)
            })
            .collect()
    }
}

/// The arguments of the script. A relative file name counts from the current folder.
fn arguments(bench: &Bench, folder: &Path) -> Result<Vec<OsString>> {
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
    for (option, value) in [("--only", &bench.only), ("--who", &bench.who)] {
        if let Some(value) = value {
            add(option, value.into());
        }
    }
    if let Some(rounds) = bench.rounds {
        add("--rounds", rounds.to_string().into());
    }
    for (option, file) in [("--json", &bench.json), ("--from", &bench.from)] {
        if let Some(file) = file {
            add(
                option,
                std::path::absolute(file)
                    .because(format!("finding {}", file.display()))?
                    .into(),
            );
        }
    }
    if bench.charts || bench.from.is_some() {
        add("--charts", folder.join("charts").into());
    }
    if bench.quick {
        words.push("--quick".into());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bench: &Bench) -> Vec<String> {
        let words = arguments(bench, Path::new("/benches")).unwrap();
        words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn without_options_everything_is_measured() {
        assert_eq!(words(&Bench::default()), Vec::<String>::new());
    }

    #[test]
    fn only_the_first_pull_needs_other_engines() {
        let asked = |only: Option<&str>, quick| {
            let bench = Bench {
                only: only.map(str::to_owned),
                quick,
                ..Bench::default()
            };
            bench.engines()
        };
        assert_eq!(asked(None, false), Engine::ALL);
        assert_eq!(asked(Some("B10, B1"), false), Engine::ALL);
        assert_eq!(asked(Some("B10,B11"), false), [Engine::Chromium]);
        assert_eq!(asked(None, true), [Engine::Chromium]);
        let browsers = |browsers: &[Engine]| {
            let bench = Bench {
                browsers: browsers.to_vec(),
                ..Bench::default()
            };
            bench.engines()
        };
        assert_eq!(browsers(&[Engine::Chromium]), [Engine::Chromium]);
        let two = [Engine::Chromium, Engine::Firefox];
        assert_eq!(browsers(&[Engine::Firefox]), two);
    }

    #[test]
    fn datum_alone_is_measured_in_chromium() {
        let bench = Bench {
            alone: true,
            rounds: Some(3),
            ..Bench::default()
        };
        assert_eq!(bench.engines(), [Engine::Chromium]);
        assert_eq!(words(&bench), ["--rounds", "3"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_options_reach_the_script() {
        let bench = Bench {
            only: Some("B1,B3".into()),
            who: Some("datum".into()),
            rounds: Some(3),
            quick: true,
            json: Some("figures.json".into()),
            charts: true,
            ..Bench::default()
        };
        let here = std::path::absolute("figures.json")
            .unwrap()
            .into_os_string()
            .into_string()
            .unwrap();
        let expected = format!(
            "--only B1,B3 --who datum --rounds 3 --json {here} --charts /benches/charts --quick"
        );
        assert_eq!(words(&bench).join(" "), expected);
        let again = Bench {
            from: Some("figures.json".into()),
            ..Bench::default()
        };
        assert_eq!(
            words(&again).join(" "),
            format!("--from {here} --charts /benches/charts")
        );
    }
}
