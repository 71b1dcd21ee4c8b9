//! The benchmark beside the peers: builds the package and the server in release mode, installs the
//! peers, and hands over to `benches/bench.mjs`, which measures and prints.

use std::{ffi::OsString, path::Path};

use crate::{
    context::{Context, LIMIT},
    demo::{self, Profile},
    engines::Engine,
    failure::{Because, Result},
    node, pack, process, tools,
};

/// One row of each kind: a pull, a push, cycles, reading, writing, sizes.
const SMOKE_ROWS: &str = "B1,B4,B5,B6,B9,B10";
const SMOKE_CONTESTANTS: &str = "datum,bare,raw";

/// What to measure, and where to put it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bench {
    /// The rows, such as `B1,B3`; none for all.
    pub only: Option<String>,
    /// The contestants, such as `datum,dexie`; none for all.
    pub who: Option<String>,
    /// How often each is measured.
    pub rounds: Option<u32>,
    /// Few rows and one round, to see that everything works.
    pub quick: bool,
    /// Where the figures go, for a machine.
    pub json: Option<String>,
    /// Whether charts are written to `benches/charts`.
    pub charts: bool,
    /// An earlier run's figures: only charts are made of them, and nothing is measured.
    pub from: Option<String>,
}

/// Measures. False where a result was wrong; a bar that is missed is only printed.
pub fn run(context: &Context, bench: &Bench) -> Result<bool> {
    let folder = context.root.join("benches");
    node::install(context, &folder)?;
    let mut command = if bench.from.is_some() {
        context.command("node")
    } else {
        let engines = bench.engines();
        tools::browsers(context, engines)?;
        let tarball = pack::build(context)?.tarball;
        let server = demo::build_server(context, Profile::Release)?;
        demo::node_script(context, &server, &tarball, engines)?
    };
    command
        .arg(folder.join("bench.mjs"))
        .args(arguments(bench, &folder)?);
    process::watch(&mut command)
}

/// A run of few rows with the server and the package of the tests: that everything still works, and
/// every result is right. Its times mean nothing, and its bars are not asked about.
pub fn smoke(context: &Context, server: &Path, tarball: &Path) -> Result<bool> {
    let folder = context.root.join("benches");
    node::install(context, &folder)?;
    let asked = Bench {
        only: Some(SMOKE_ROWS.into()),
        who: Some(SMOKE_CONTESTANTS.into()),
        quick: true,
        ..Bench::default()
    };
    let mut command = demo::node_script(context, server, tarball, &[Engine::Chromium])?;
    command
        .arg(folder.join("bench.mjs"))
        .args(arguments(&asked, &folder)?);
    Ok(process::attempt_shown(&context.console, "benchmark, quick", &mut command, LIMIT)?.success)
}

impl Bench {
    /// The first pull is measured in all engines; all else, and what is only tried out, in
    /// Chromium.
    fn engines(&self) -> &'static [Engine] {
        let pulls = self
            .only
            .as_deref()
            .is_none_or(|rows| rows.split(',').any(|row| row.trim() == "B1"));
        if pulls && !self.quick {
            &Engine::ALL
        } else {
            &[Engine::Chromium]
        }
    }
}

/// The words for the script. Files are meant from where the command was given.
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
                    .because(format!("the place of {file}"))?
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
    fn nothing_asked_is_everything_measured() {
        assert_eq!(words(&Bench::default()), Vec::<String>::new());
    }

    #[test]
    fn the_first_pull_is_measured_in_every_engine_unless_it_is_only_tried_out() {
        let asked = |only: Option<&str>, quick| {
            Bench {
                only: only.map(str::to_owned),
                quick,
                ..Bench::default()
            }
            .engines()
        };
        assert_eq!(asked(None, false), Engine::ALL);
        assert_eq!(asked(Some("B10, B1"), false), Engine::ALL);
        assert_eq!(asked(Some("B10,B11"), false), [Engine::Chromium]);
        assert_eq!(asked(None, true), [Engine::Chromium]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_asked_reaches_the_script() {
        let bench = Bench {
            only: Some("B1,B3".into()),
            who: Some("datum".into()),
            rounds: Some(3),
            quick: true,
            json: Some("figures.json".into()),
            charts: true,
            from: None,
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
