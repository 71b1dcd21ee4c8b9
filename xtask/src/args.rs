//! The command line: what may be said, and what it means. Reads no file and starts nothing.

use std::path::PathBuf;

use crate::{
    bench::Bench,
    engines::Engine,
    failure::{Because, Failure, Result},
    fuzz::Runs,
    planted::Bugs,
    simulate::Histories,
};

/// What `cargo xtask` prints without a command.
pub const HELP: &str = "\
cargo xtask COMMAND [OPTIONS]

  test [FILTER]          format, lints, native tests, type tests, browser suites in Chromium, end to end
      --all-browsers     the browser suites in Chromium, Firefox and WebKit
      --browser ENGINE   only the browser suites, in chromium, firefox or webkit (may be given again)
      --native           only what needs no browser
      FILTER             only native and browser tests whose names contain it
  pack                   the npm tarball in pkg/, with its sizes
      --json FILE        the sizes for a machine
  demo                   build everything, start the server and the demo page, print the URL
      --port PORT        default 24180
      --headless         drive the page in Chromium instead, print its feed, exit 0 or 1
      --screenshot FILE  with --headless: a picture of the page at the end
  serve                  the server in development mode with the demo page; its data stays in the build folder
      --port PORT        default 24180
      -- ARGS            more arguments for datum-server
  ci                     everything, in three engines
  simulate               seeded histories of users, devices and tabs with everything going wrong
      --seeds N          how many, default 10000
      --seed S           only that one, with all that happened in it if it goes wrong
      --from S           the first seed, default 0
      --steps N          how often the dice act in each
  planted                classic bugs, planted into a copy of the sources one by one: each must be found
      --only NAME        only tests/planted/NAME.plant
      --seeds N          within how many histories, default 2000
  fuzz                   the parsers against inputs that libFuzzer thinks up
      --seconds N        how long each target runs, default 10
      --target T         only that one, of those in fuzz/targets
      --input FILE       only that input, once: what a run has found
  figures                first pull against bare fetch, requests of an idle cycle, transactions of a create
      --rounds N         default 7
  bench                  everything that is compared with peers, in one headless Chromium; best on a quiet machine
      --only B1,B3       only these rows: B1 B2 first pull, B3 B4 writes, B5 push, B6 cold open, B9 idle, B10 size, B11 server
      --who datum,dexie  only these contestants
      --rounds N         default 7
      --quick            few rows and one round: shows that it works, its times mean nothing
      --json FILE        the figures for a machine
      --charts           bar charts of them in benches/charts
      --from FILE        charts of an earlier run's figures; measures nothing
  setup                  install what is missing, and nothing else
      --all-browsers     for three engines

  --verbose              every line that every step prints

Missing tools are installed: cargo tools into a cache folder of their own, npm packages, and on
Debian (as root or with sudo) the browsers. Elsewhere the command says what to install.";

const PORT: u16 = 24180;

/// What to do, and how much to say meanwhile.
#[derive(Debug)]
pub struct Args {
    /// The command with its options.
    pub command: Command,
    /// Whether each line of each child is printed.
    pub verbose: bool,
}

/// One command with its options.
#[derive(Debug)]
pub enum Command {
    /// Print the help.
    Help,
    /// Install what is missing.
    Setup { engines: Vec<Engine> },
    /// Build the npm tarball.
    Pack { json: Option<PathBuf> },
    /// Run tests.
    Test(Plan),
    /// Run everything.
    Ci,
    /// Server and page, data kept.
    Serve { port: u16, server_args: Vec<String> },
    /// Server and page, data thrown away; or the page driven by itself.
    Demo {
        port: u16,
        headless: bool,
        screenshot: Option<PathBuf>,
    },
    /// Run seeded histories.
    Simulate(Histories),
    /// Plant bugs and look for them.
    Planted(Bugs),
    /// Fuzz the parsers.
    Fuzz(Runs),
    /// Measure.
    Figures { rounds: u32 },
    /// Measure beside the peers.
    Bench(Bench),
}

/// Which tests to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Format, lints and type tests.
    pub checks: bool,
    /// The tests of the workspace on this machine.
    pub native: bool,
    /// The engines that the browser suites run in.
    pub engines: Vec<Engine>,
    /// The end-to-end tests.
    pub end_to_end: bool,
    /// Part of the names of the tests that shall run.
    pub filter: Option<String>,
}

impl Args {
    /// Reads the words after `cargo xtask`.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut words = Words {
            rest: words.collect::<Vec<_>>().into_iter(),
            verbose: false,
        };
        let command = match words.next() {
            None => Command::Help,
            Some(word) => match word.as_str() {
                "help" | "--help" | "-h" => Command::Help,
                "setup" => setup(&mut words)?,
                "pack" => pack(&mut words)?,
                "test" => Command::Test(test(&mut words)?),
                "ci" => words.end().map(|()| Command::Ci)?,
                "serve" => serve(&mut words)?,
                "demo" => demo(&mut words)?,
                "simulate" => simulate(&mut words)?,
                "planted" => planted(&mut words)?,
                "fuzz" => fuzz(&mut words)?,
                "figures" => figures(&mut words)?,
                "bench" => bench(&mut words)?,
                other => {
                    return Err(Failure::new(format!(
                        "there is no command `{other}`\n\n{HELP}"
                    )));
                }
            },
        };
        Ok(Self {
            command,
            verbose: words.verbose,
        })
    }
}

struct Words {
    rest: std::vec::IntoIter<String>,
    verbose: bool,
}

impl Words {
    fn next(&mut self) -> Option<String> {
        for word in self.rest.by_ref() {
            if word == "--verbose" {
                self.verbose = true;
            } else {
                return Some(word);
            }
        }
        None
    }

    fn value(&mut self, option: &str) -> Result<String> {
        self.next().because(format!("{option} needs a value"))
    }

    fn end(&mut self) -> Result<()> {
        self.next().map_or(Ok(()), |word| Err(unknown(&word)))
    }
}

fn unknown(word: &str) -> Failure {
    Failure::new(format!(
        "`{word}` is not known here; `cargo xtask help` lists what is"
    ))
}

fn setup(words: &mut Words) -> Result<Command> {
    let mut engines = vec![Engine::Chromium];
    while let Some(word) = words.next() {
        match word.as_str() {
            "--all-browsers" => engines = Engine::ALL.to_vec(),
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Setup { engines })
}

fn pack(words: &mut Words) -> Result<Command> {
    let mut json = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => json = Some(PathBuf::from(words.value("--json")?)),
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Pack { json })
}

fn test(words: &mut Words) -> Result<Plan> {
    let (mut all, mut native, mut only, mut filter) = (false, false, Vec::new(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--all-browsers" => all = true,
            "--native" => native = true,
            "--browser" => only.push(Engine::named(&words.value("--browser")?)?),
            _ if word.starts_with('-') || filter.is_some() => return Err(unknown(&word)),
            _ => filter = Some(word),
        }
    }
    if native && (all || !only.is_empty()) {
        return Err(Failure::new(
            "--native runs no browser: leave out --all-browsers and --browser",
        ));
    }
    let whole = filter.is_none();
    let browsers_only = !only.is_empty();
    let engines = match (all, native) {
        (true, _) => Engine::ALL.to_vec(),
        (_, true) => Vec::new(),
        _ if browsers_only => only,
        _ => vec![Engine::Chromium],
    };
    Ok(Plan {
        checks: whole && !browsers_only,
        native: !browsers_only,
        engines,
        end_to_end: whole && !native && !browsers_only,
        filter,
    })
}

fn serve(words: &mut Words) -> Result<Command> {
    let mut port = PORT;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => port = number(&words.value("--port")?, "--port")?,
            "--" => {
                return Ok(Command::Serve {
                    port,
                    server_args: words.rest.by_ref().collect(),
                });
            }
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Serve {
        port,
        server_args: Vec::new(),
    })
}

fn demo(words: &mut Words) -> Result<Command> {
    let (mut port, mut headless, mut screenshot) = (PORT, false, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => port = number(&words.value("--port")?, "--port")?,
            "--headless" => headless = true,
            "--screenshot" => screenshot = Some(PathBuf::from(words.value("--screenshot")?)),
            _ => return Err(unknown(&word)),
        }
    }
    if screenshot.is_some() && !headless {
        return Err(Failure::new(
            "--screenshot needs --headless: on a screen, the page is yours to see",
        ));
    }
    Ok(Command::Demo {
        port,
        headless,
        screenshot,
    })
}

fn simulate(words: &mut Words) -> Result<Command> {
    let mut histories = Histories {
        seeds: 10_000,
        from: 0,
        steps: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => histories.seeds = number(&words.value("--seeds")?, "--seeds")?,
            "--from" => histories.from = number(&words.value("--from")?, "--from")?,
            "--seed" => {
                (histories.seeds, histories.from) = (1, number(&words.value("--seed")?, "--seed")?)
            }
            "--steps" => histories.steps = Some(number(&words.value("--steps")?, "--steps")?),
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Simulate(histories))
}

fn planted(words: &mut Words) -> Result<Command> {
    let mut bugs = Bugs {
        only: None,
        seeds: 2_000,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => bugs.only = Some(words.value("--only")?),
            "--seeds" => bugs.seeds = number(&words.value("--seeds")?, "--seeds")?,
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Planted(bugs))
}

fn fuzz(words: &mut Words) -> Result<Command> {
    let mut runs = Runs {
        target: None,
        seconds: 10,
        input: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => runs.seconds = number(&words.value("--seconds")?, "--seconds")?,
            "--target" => runs.target = Some(words.value("--target")?),
            "--input" => runs.input = Some(PathBuf::from(words.value("--input")?)),
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Fuzz(runs))
}

fn figures(words: &mut Words) -> Result<Command> {
    let mut rounds = 7;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = number(&words.value("--rounds")?, "--rounds")?,
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Figures { rounds })
}

fn bench(words: &mut Words) -> Result<Command> {
    let mut bench = Bench::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => bench.only = Some(words.value("--only")?),
            "--who" => bench.who = Some(words.value("--who")?),
            "--rounds" => bench.rounds = Some(number(&words.value("--rounds")?, "--rounds")?),
            "--json" => bench.json = Some(words.value("--json")?),
            "--from" => bench.from = Some(words.value("--from")?),
            "--quick" => bench.quick = true,
            "--charts" => bench.charts = true,
            _ => return Err(unknown(&word)),
        }
    }
    Ok(Command::Bench(bench))
}

fn number<N: std::str::FromStr<Err: std::fmt::Display>>(word: &str, option: &str) -> Result<N> {
    word.parse().because(format!("{option} {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn histories_are_counted_or_one_is_picked() {
        let histories = |line: &str| match parsed(line).unwrap().command {
            Command::Simulate(histories) => (histories.seeds, histories.from, histories.steps),
            other => panic!("{other:?}"),
        };
        assert_eq!(histories("simulate"), (10_000, 0, None));
        assert_eq!(
            histories("simulate --seeds 5 --from 7 --steps 90"),
            (5, 7, Some(90))
        );
        assert_eq!(histories("simulate --seed 42"), (1, 42, None));
        assert!(parsed("simulate --seeds many").is_err());
    }

    #[test]
    fn all_bugs_are_planted_or_one_is_picked() {
        let bugs = |line: &str| match parsed(line).unwrap().command {
            Command::Planted(bugs) => (bugs.only, bugs.seeds),
            other => panic!("{other:?}"),
        };
        assert_eq!(bugs("planted"), (None, 2_000));
        assert_eq!(
            bugs("planted --only stale-ignored --seeds 9"),
            (Some("stale-ignored".to_owned()), 9)
        );
        assert!(parsed("planted stale-ignored").is_err());
    }

    #[test]
    fn fuzzing_is_short_unless_it_is_told_otherwise() {
        let runs = |line: &str| match parsed(line).unwrap().command {
            Command::Fuzz(runs) => runs,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            runs("fuzz"),
            Runs {
                target: None,
                seconds: 10,
                input: None
            }
        );
        let one = Runs {
            target: Some("scan".into()),
            seconds: 600,
            input: Some("x".into()),
        };
        assert_eq!(runs("fuzz --target scan --seconds 600 --input x"), one);
        assert!(parsed("fuzz --seconds soon").is_err());
    }

    fn plan(line: &str) -> Plan {
        match parsed(line).unwrap().command {
            Command::Test(plan) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_test_runs_everything_in_chromium() {
        let expected = Plan {
            checks: true,
            native: true,
            engines: vec![Engine::Chromium],
            end_to_end: true,
            filter: None,
        };
        assert_eq!(plan("test"), expected);
    }

    #[test]
    fn all_browsers_are_three() {
        assert_eq!(plan("test --all-browsers").engines, Engine::ALL);
    }

    #[test]
    fn a_named_browser_runs_nothing_but_its_suites() {
        let expected = Plan {
            checks: false,
            native: false,
            engines: vec![Engine::Webkit],
            end_to_end: false,
            filter: Some("fence".into()),
        };
        assert_eq!(plan("test --browser webkit fence"), expected);
    }

    #[test]
    fn native_needs_no_browser() {
        let expected = Plan {
            checks: true,
            native: true,
            engines: vec![],
            end_to_end: false,
            filter: None,
        };
        assert_eq!(plan("test --native"), expected);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for line in [
            "fly",
            "test --fast",
            "pack --json",
            "demo --port many",
            "test a b",
            "ci now",
            "demo --screenshot x.png",
            "bench --rounds often",
            "bench B1",
            "test --native --all-browsers",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert!(
            parsed("test --browser opera")
                .unwrap_err()
                .to_string()
                .contains("opera")
        );
    }

    #[test]
    fn verbose_may_stand_anywhere_and_the_servers_words_are_its_own() {
        let args = parsed("--verbose serve --port 25000 -- --rate-limit 5").unwrap();
        assert!(args.verbose);
        match args.command {
            Command::Serve { port, server_args } => {
                assert_eq!(
                    (port, server_args),
                    (25000, vec!["--rate-limit".to_owned(), "5".to_owned()])
                )
            }
            other => panic!("{other:?}"),
        }
    }
}
