//! The command line: which commands and options there are, and what they mean. Reads no file and
//! starts nothing; the texts of the help are in `help.rs`.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{
    Arg::{self, Long, Value},
    Parser, ValueExt,
};

use crate::{
    backends::Backends,
    bench::Bench,
    demo::Page,
    engines::Engine,
    failure::{Failure, Result},
    fuzz::Runs,
    help,
    mutants::Selection,
    pack::Kind,
    simulate::Histories,
};

const PORT: u16 = 24180;

/// What to do, and how much to print.
#[derive(Debug)]
pub struct Args {
    /// The command with its options.
    pub command: Command,
    /// Whether every line of every child process is printed.
    pub verbose: bool,
}

/// One command with its options.
#[derive(Debug)]
pub enum Command {
    /// Print the help, of one command if it is named.
    Help(Option<String>),
    /// Install what is missing.
    Setup { engines: Vec<Engine> },
    /// Make the npm tarball.
    Pack { kind: Kind, json: Option<PathBuf> },
    /// Run tests.
    Test(Plan),
    /// Run everything.
    Ci,
    /// Serve the page and keep the data.
    Serve {
        page: Page,
        server_args: Vec<OsString>,
    },
    /// Serve the page and throw the data away.
    Demo(Page),
    /// Drive the page in Chromium.
    HeadlessDemo {
        kind: Kind,
        screenshot: Option<PathBuf>,
    },
    /// Run seeded histories.
    Simulate(Histories),
    /// Replay traces.
    Replay(Vec<OsString>),
    /// Put known bugs into the sources and look for them.
    Mutants(Selection),
    /// Fuzz the parsers.
    Fuzz(Runs),
    /// Measure.
    Bench(Bench),
    /// Start, end or test the backends.
    Backends(Backends),
}

/// Which tests to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Format, lints and types.
    pub checks: bool,
    /// The native tests of the workspace.
    pub native: bool,
    /// The engines that the browser suites run in.
    pub engines: Vec<Engine>,
    /// The end-to-end tests.
    pub end_to_end: bool,
    /// Runs only tests whose names contain this.
    pub filter: Option<String>,
}

impl Args {
    /// Parses the words after `cargo xtask`.
    pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut words: Vec<OsString> = words.collect();
        let server_args: Option<Vec<_>> = words
            .iter()
            .position(|word| word == "--")
            .map(|at| words.split_off(at).into_iter().skip(1).collect());
        let count = words.len();
        words.retain(|word| word != "--verbose");
        let verbose = words.len() < count;
        let help = words.iter().any(|word| word == "--help" || word == "-h");
        words.retain(|word| word != "--help" && word != "-h");
        let mut parser = Parser::from_args(words);
        let name = parser.next()?.map(text).transpose()?;
        let command = match name {
            None => Command::Help(None),
            Some(name) if !help::knows(&name) => return Err(unknown_command(&name)),
            Some(name) if help => Command::Help(Some(name)),
            Some(name) => command(&name, parser, server_args).map_err(|failure| {
                let hint = format!("`cargo xtask help {name}` lists the options");
                Failure::new(format!("{failure}\n{hint}"))
            })?,
        };
        Ok(Self { command, verbose })
    }
}

/// Parses the options of a command. What follows `--` is for the server.
fn command(name: &str, mut words: Parser, server_args: Option<Vec<OsString>>) -> Result<Command> {
    match name {
        "serve" => serve(words, server_args.unwrap_or_default()),
        _ if server_args.is_some() => Err(Failure::new("only `serve` passes on what follows `--`")),
        "help" => Ok(Command::Help(words.next()?.map(text).transpose()?)),
        "setup" => setup(words),
        "pack" => pack(words),
        "test" => test(words).map(Command::Test),
        "ci" => ci(words),
        "demo" => demo(words),
        "simulate" => simulate(words),
        "replay" => replay(words),
        "mutants" => mutants(words),
        "fuzz" => fuzz(words),
        "bench" => bench(words),
        "backends" => backends(words),
        _ => Err(unknown_command(name)),
    }
}

/// The text of a word that is no option.
fn text(arg: Arg<'_>) -> Result<String> {
    match arg {
        Value(word) => Ok(word.string()?),
        other => Err(other.unexpected().into()),
    }
}

fn unknown_command(name: &str) -> Failure {
    Failure::new(match help::nearest(name) {
        Some(nearest) => format!("there is no command `{name}`: did you mean `{nearest}`?"),
        None => format!("there is no command `{name}`\n\n{}", help::overview()),
    })
}

fn setup(mut words: Parser) -> Result<Command> {
    let mut engines = vec![Engine::Chromium];
    while let Some(word) = words.next()? {
        match word {
            Long("all-browsers") => engines = Engine::ALL.to_vec(),
            _ => return Err(word.unexpected().into()),
        }
    }
    Ok(Command::Setup { engines })
}

fn pack(mut words: Parser) -> Result<Command> {
    let (mut kind, mut json) = (Kind::Release, None);
    while let Some(word) = words.next()? {
        match word {
            Long("dev") => kind = Kind::Dev,
            Long("json") => json = Some(words.value()?.into()),
            _ => return Err(word.unexpected().into()),
        }
    }
    if kind == Kind::Dev && json.is_some() {
        return Err(Failure::new(
            "a dev package is not measured: leave out --dev or --json",
        ));
    }
    Ok(Command::Pack { kind, json })
}

fn test(mut words: Parser) -> Result<Plan> {
    let (mut all, mut native, mut only, mut filter) = (false, false, Vec::new(), None);
    while let Some(word) = words.next()? {
        match word {
            Long("all-browsers") => all = true,
            Long("native") => native = true,
            Long("browser") => only.push(Engine::named(&words.value()?.string()?)?),
            Value(name) if filter.is_none() => filter = Some(name.string()?),
            _ => return Err(word.unexpected().into()),
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

fn ci(mut words: Parser) -> Result<Command> {
    match words.next()? {
        None => Ok(Command::Ci),
        Some(word) => Err(word.unexpected().into()),
    }
}

fn serve(mut words: Parser, server_args: Vec<OsString>) -> Result<Command> {
    let (mut port, mut kind) = (PORT, Kind::Release);
    while let Some(word) = words.next()? {
        match word {
            Long("port") => port = words.value()?.parse()?,
            Long("dev") => kind = Kind::Dev,
            _ => return Err(word.unexpected().into()),
        }
    }
    let page = Page { kind, port };
    Ok(Command::Serve { page, server_args })
}

fn demo(mut words: Parser) -> Result<Command> {
    let (mut port, mut kind) = (PORT, Kind::Release);
    let (mut headless, mut screenshot) = (false, None);
    while let Some(word) = words.next()? {
        match word {
            Long("port") => port = words.value()?.parse()?,
            Long("dev") => kind = Kind::Dev,
            Long("headless") => headless = true,
            Long("screenshot") => screenshot = Some(words.value()?.into()),
            _ => return Err(word.unexpected().into()),
        }
    }
    match (headless, screenshot) {
        (true, screenshot) => Ok(Command::HeadlessDemo { kind, screenshot }),
        (false, None) => Ok(Command::Demo(Page { kind, port })),
        (false, Some(_)) => Err(Failure::new("--screenshot needs --headless")),
    }
}

fn simulate(mut words: Parser) -> Result<Command> {
    let mut histories = Histories {
        seeds: 10_000,
        from: 0,
        steps: None,
    };
    while let Some(word) = words.next()? {
        match word {
            Long("seeds") => histories.seeds = words.value()?.parse()?,
            Long("from") => histories.from = words.value()?.parse()?,
            Long("seed") => (histories.seeds, histories.from) = (1, words.value()?.parse()?),
            Long("steps") => histories.steps = Some(words.value()?.parse()?),
            _ => return Err(word.unexpected().into()),
        }
    }
    Ok(Command::Simulate(histories))
}

fn replay(mut words: Parser) -> Result<Command> {
    let (mut files, mut passed) = (0, Vec::new());
    while let Some(word) = words.next()? {
        match word {
            Long(name @ ("step" | "save")) => {
                passed.push(format!("--{name}").into());
                passed.push(words.value()?);
            }
            Long("json") => passed.push("--json".into()),
            Value(file) => {
                files += 1;
                passed.push(file);
            }
            _ => return Err(word.unexpected().into()),
        }
    }
    match files {
        0 => Err(Failure::new("name the file of a trace")),
        _ => Ok(Command::Replay(passed)),
    }
}

fn mutants(mut words: Parser) -> Result<Command> {
    let mut selection = Selection {
        names: Vec::new(),
        seeds: 2_000,
    };
    while let Some(word) = words.next()? {
        match word {
            Long("seeds") => selection.seeds = words.value()?.parse()?,
            Value(name) => selection.names.push(name.string()?),
            _ => return Err(word.unexpected().into()),
        }
    }
    Ok(Command::Mutants(selection))
}

fn fuzz(mut words: Parser) -> Result<Command> {
    let mut runs = Runs {
        target: None,
        seconds: 10,
        input: None,
    };
    while let Some(word) = words.next()? {
        match word {
            Long("seconds") => runs.seconds = words.value()?.parse()?,
            Long("target") => runs.target = Some(words.value()?.string()?),
            Long("input") => runs.input = Some(words.value()?.into()),
            _ => return Err(word.unexpected().into()),
        }
    }
    Ok(Command::Fuzz(runs))
}

fn bench(mut words: Parser) -> Result<Command> {
    let mut bench = Bench::default();
    while let Some(word) = words.next()? {
        match word {
            Long("alone") => bench.alone = true,
            Long("only") => bench.only = Some(words.value()?.string()?),
            Long("who") => bench.who = Some(words.value()?.string()?),
            Long("browser") => bench
                .browsers
                .push(Engine::named(&words.value()?.string()?)?),
            Long("rounds") => bench.rounds = Some(words.value()?.parse()?),
            Long("json") => bench.json = Some(words.value()?.into()),
            Long("from") => bench.from = Some(words.value()?.into()),
            Long("quick") => bench.quick = true,
            Long("charts") => bench.charts = true,
            _ => return Err(word.unexpected().into()),
        }
    }
    if bench.alone && (bench.only.is_some() || bench.who.is_some() || !bench.browsers.is_empty()) {
        return Err(Failure::new(
            "--alone measures datum in Chromium: leave out --only, --who and --browser",
        ));
    }
    if bench.alone && (bench.quick || bench.charts || bench.from.is_some()) {
        return Err(Failure::new(
            "--alone takes only --rounds and --json: leave out --quick, --charts and --from",
        ));
    }
    Ok(Command::Bench(bench))
}

fn backends(mut words: Parser) -> Result<Command> {
    let which = words.next()?.map(text).transpose()?.unwrap_or_default();
    let mut names = Vec::new();
    while let Some(word) = words.next()? {
        match word {
            Value(name) => names.push(name),
            _ => return Err(word.unexpected().into()),
        }
    }
    let command = match (which.as_str(), names.len()) {
        ("up", _) => Backends::Up {
            migrations: names.into_iter().map(PathBuf::from).collect(),
        },
        ("down", 0) => Backends::Down,
        ("test", 0 | 1) => Backends::Test {
            filter: names.pop().map(|name| name.string()).transpose()?,
        },
        _ => return Err(Failure::new("say `up`, `down` or `test`")),
    };
    Ok(Command::Backends(command))
}

#[cfg(test)]
mod tests;
