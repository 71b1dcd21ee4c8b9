//! The benchmark beside the peers: builds the package and the server in release mode, installs the peers, and
//! hands over to `benches/bench.mjs`, which measures and prints.

use std::{ffi::OsString, path::Path};

use crate::{
    context::Context,
    demo::{self, Profile},
    engines::Engine,
    failure::{Because, Result},
    node, pack, process, tools,
};

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
        tools::browsers(context, &[Engine::Chromium])?;
        let tarball = pack::build(context)?.tarball;
        let server = demo::build_server(context, Profile::Release)?;
        demo::node_script(context, &server, &tarball)?
    };
    command.arg(folder.join("bench.mjs")).args(arguments(bench, &folder)?);
    process::watch(&mut command)
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
            add(option, std::path::absolute(file).because(format!("the place of {file}"))?.into());
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
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_asked_is_everything_measured() {
        assert_eq!(words(&Bench::default()), Vec::<String>::new());
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
        let here = std::path::absolute("figures.json").unwrap().into_os_string().into_string().unwrap();
        let expected = format!("--only B1,B3 --who datum --rounds 3 --json {here} --charts /benches/charts --quick");
        assert_eq!(words(&bench).join(" "), expected);
        let again = Bench { from: Some("figures.json".into()), ..Bench::default() };
        assert_eq!(words(&again).join(" "), format!("--from {here} --charts /benches/charts"));
    }
}
