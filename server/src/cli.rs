//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::http::Options;
use crate::http::rate::Rate;
use crate::rules::{Config, DAY_MS};

/// What `--help` prints.
pub const HELP: &str = "\
datum-server: the reference remote of datum-sync (sync protocol 1).

Usage: datum-server [OPTIONS]             serve
       datum-server new-epoch [--database PATH]
                                          tell devices that a backup was restored: each pulls again from
                                          the start, and sends again what it pushed since the backup
       datum-server new-server-id [--database PATH]
                                          make a copy of a database another server's, such as one for
                                          staging: devices of the first send it nothing
       datum-server backup FILE [--database PATH]
                                          copy the database into a new file, even while a server runs
       datum-server restore FILE [--database PATH]
                                          replace the database with a copy, with a new epoch; stop the
                                          server first

  --listen ADDR          address and port [127.0.0.1:8787]; port 0 picks a free one and prints it
  --database PATH        the SQLite file, created if missing [datum.sqlite]
  --jwt-secret-file PATH the HS256 secret that tokens are signed with; else the environment
                         variable DATUM_JWT_SECRET (32 bytes or more)
  --allow-origin ORIGIN  an origin that may send requests, such as https://app.example; repeat for
                         more; * for any
  --dev                  issue tokens for any user name at POST /dev/token; loopback only, NEVER in
                         production
  --static DIR           serve a folder on /
  --entity NAME          an entity type that may be written; repeat for more [any]
  --min-schema N         the oldest schema version of the app that may sync [0]
  --rate N               requests per second for each user, 0 for no limit [50]
  --burst N              requests at once after a pause [200]
  --max-connections N    connections at once [as many as there are descriptors for, 4096 at most]
  --max-connections-per-address N
                         connections of one address; behind a proxy all have the same [any number]
  --max-body BYTES       the largest request, after decompression [16777216]
  --max-page BYTES       the size after which a page of changes ends [4194304]
  --tombstone-days N     how long tombstones are kept [90]
  --operation-days N     how long applied operations are recorded [30]
  --no-compression       send answers uncompressed
  --quiet                log warnings only
  --help, --version
";

/// A command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print a text and exit.
    Print(String),
    /// Give the database a new epoch.
    NewEpoch(PathBuf),
    /// Give the database another server's id.
    NewServerId(PathBuf),
    /// Copy the database into a new file.
    Backup {
        /// The database.
        database: PathBuf,
        /// The new file.
        copy: PathBuf,
    },
    /// Replace the database with a copy.
    Restore {
        /// The database.
        database: PathBuf,
        /// The copy.
        copy: PathBuf,
    },
    /// Serve.
    Serve(Box<Serve>),
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The database file.
    pub database: PathBuf,
    /// A file with the secret; else the environment has it.
    pub secret_file: Option<PathBuf>,
    /// The settings for HTTP; the secret is filled in later.
    pub options: Options,
    /// The settings for the rules.
    pub config: Config,
    /// Whether to log warnings only.
    pub quiet: bool,
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// Fails with a sentence that names the argument.
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Command, String> {
    use lexopt::prelude::{Long, Short, Value};
    let mut given = Arguments::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(say)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Command::Print(
                    concat!("datum-server ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                ));
            }
            Long(name) => {
                let name = name.to_owned();
                given.read_option(&name, &mut parser)?;
            }
            Value(word) if word == "new-epoch" => given.task = Task::NewEpoch,
            Value(word) if word == "new-server-id" => given.task = Task::NewServerId,
            Value(word) if word == "backup" => given.task = Task::Backup(path(&mut parser)?),
            Value(word) if word == "restore" => given.task = Task::Restore(path(&mut parser)?),
            other => return Err(say(other.unexpected())),
        }
    }
    given.into_command()
}

#[derive(Debug, Default)]
enum Task {
    #[default]
    Serve,
    NewEpoch,
    NewServerId,
    Backup(PathBuf),
    Restore(PathBuf),
}

/// The arguments read so far.
#[derive(Debug)]
struct Arguments {
    task: Task,
    listen: String,
    database: PathBuf,
    secret_file: Option<PathBuf>,
    entities: Vec<String>,
    options: Options,
    config: Config,
    quiet: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            task: Task::default(),
            listen: "127.0.0.1:8787".to_owned(),
            database: PathBuf::from("datum.sqlite"),
            secret_file: None,
            entities: Vec::new(),
            options: Options::default(),
            config: Config::default(),
            quiet: false,
        }
    }
}

impl Arguments {
    fn read_option(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
        let Self {
            options, config, ..
        } = self;
        let Rate { per_second, burst } = &mut options.rate;
        match name {
            "listen" => self.listen = text(parser)?,
            "database" => self.database = path(parser)?,
            "jwt-secret-file" => self.secret_file = Some(path(parser)?),
            "allow-origin" => options.allow_origins.push(origin(text(parser)?)?),
            "dev" => options.dev = true,
            "static" => options.static_dir = Some(folder(path(parser)?)?),
            "entity" => self.entities.push(text(parser)?),
            "min-schema" => config.min_schema = number(parser, name, 0, u32::MAX)?,
            "rate" => *per_second = f64::from(number(parser, name, 0, u32::MAX)?),
            "burst" => *burst = f64::from(number(parser, name, 1, u32::MAX)?),
            "max-connections" => options.connections.total = number(parser, name, 8, 1_000_000)?,
            "max-connections-per-address" => {
                options.connections.per_address = number(parser, name, 1, 1_000_000)?;
            }
            "max-body" => config.max_body_bytes = number(parser, name, 1 << 10, 1_usize << 30)?,
            "max-page" => config.max_page_bytes = number(parser, name, 1 << 10, 1_usize << 30)?,
            "tombstone-days" => config.tombstone_retention_ms = days(parser, name)?,
            "operation-days" => config.operation_memory_ms = days(parser, name)?,
            "no-compression" => options.no_compression = true,
            "quiet" => self.quiet = true,
            _ => return Err(say(lexopt::Arg::Long(name).unexpected())),
        }
        Ok(())
    }

    fn into_command(self) -> Result<Command, String> {
        let database = self.database;
        match self.task {
            Task::NewEpoch => return Ok(Command::NewEpoch(database)),
            Task::NewServerId => return Ok(Command::NewServerId(database)),
            Task::Backup(copy) => return Ok(Command::Backup { database, copy }),
            Task::Restore(copy) => return Ok(Command::Restore { database, copy }),
            Task::Serve => {}
        }
        let listen: SocketAddr = self.listen.parse().map_err(|_| {
            format!(
                "--listen {}: give an address and a port, such as 127.0.0.1:8787.",
                self.listen
            )
        })?;
        if self.options.dev && !listen.ip().is_loopback() {
            return Err(format!(
                "--dev gives anyone a token for any user, so it refuses to listen on {listen}. \
                 Use 127.0.0.1, or leave --dev out."
            ));
        }
        let mut config = self.config;
        config.entities = (!self.entities.is_empty()).then_some(self.entities);
        Ok(Command::Serve(Box::new(Serve {
            listen,
            database,
            secret_file: self.secret_file,
            options: self.options,
            config,
            quiet: self.quiet,
        })))
    }
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    Ok(parser.value().map_err(say)?.into())
}

/// Reads a number of days. Returns milliseconds.
fn days(parser: &mut lexopt::Parser, name: &str) -> Result<u64, String> {
    Ok(number(parser, name, 1, 36_500_u64)?.saturating_mul(DAY_MS))
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser
        .value()
        .map_err(say)?
        .into_string()
        .map_err(|value| format!("{} is not text.", value.display()))
}

fn number<N: std::str::FromStr + PartialOrd + std::fmt::Display>(
    parser: &mut lexopt::Parser,
    name: &str,
    least: N,
    most: N,
) -> Result<N, String> {
    let value = text(parser)?;
    let number = value
        .parse()
        .ok()
        .filter(|number| *number >= least && *number <= most);
    number.ok_or_else(|| format!("--{name} {value}: give a whole number from {least} to {most}."))
}

fn origin(value: String) -> Result<String, String> {
    let bare = value
        .strip_prefix("https://")
        .or_else(|| value.strip_prefix("http://"));
    let fits = value == "*"
        || bare.is_some_and(|host| !host.is_empty() && !host.trim_end_matches('/').contains('/'));
    if fits {
        Ok(value)
    } else {
        Err(format!(
            "--allow-origin {value}: give scheme, host and port only, such as https://app.example."
        ))
    }
}

fn folder(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_dir() {
        Ok(path)
    } else {
        Err(format!(
            "--static {}: there is no such folder.",
            path.display()
        ))
    }
}

fn say(error: lexopt::Error) -> String {
    format!("{error}; see --help.")
}
