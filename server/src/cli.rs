//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::http::Options;
use crate::http::rate::Rate;
use crate::postgres::PostgresOptions;
use crate::rules::{Config, DAY_MS};

/// What `--help` prints.
pub const HELP: &str = "\
datum-server: the reference remote of datum-sync (sync protocol 1).

Usage: datum-server [OPTIONS]             serve
       datum-server new-epoch [--database PATH|URL]
                                          tell devices that a backup was restored: each pulls again from
                                          the start, and sends again what it pushed since the backup
       datum-server new-server-id [--database PATH|URL]
                                          make a copy of a database another server's, such as one for
                                          staging: devices of the first send it nothing
       datum-server backup FILE [--database PATH]
                                          copy the database into a new file, even while a server runs
       datum-server restore FILE [--database PATH]
                                          replace the database with a copy, with a new epoch; stop the
                                          server first

  --listen ADDR          address and port [127.0.0.1:8787]; port 0 picks a free one and prints it
  --database PATH|URL    the SQLite file, created if missing [datum.sqlite]; or a database of PostgreSQL, as
                         postgres://user@host:5432/name, for one process or several. The password
                         may be in the environment variable PGPASSWORD, and all of the URL in
                         DATUM_DATABASE_URL
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
  For PostgreSQL:
  --listen-database URL  a direct connection for notifications, if the database's is through a pooler
                         in transaction mode; without one, streams are up to 2 seconds late
  --database-connections N
                         connections at once [10]
  --database-wait MS     how long a request waits for one [5000]
  --statement-timeout MS how long a statement may run [30000]
  --lock-timeout MS      how long a push waits for others in its space [10000]
  --prepared-statements  prepare statements once for each connection, for fewer round trips; not through
                         a pooler in transaction mode
  --partitions N         divide a new database's tables by space [0, not]
  --no-compression       send answers uncompressed
  --quiet                log warnings only
  --help, --version
";

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// In a file of SQLite.
    File(PathBuf),
    /// In PostgreSQL.
    Postgres {
        /// The URL. It may hold a password.
        url: String,
        /// How the database is used.
        options: PostgresOptions,
        /// The URL to listen for notifications on, if it is another.
        listen: Option<String>,
    },
}

/// A command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print a text and exit.
    Print(String),
    /// Give the database a new epoch.
    NewEpoch(Database),
    /// Give the database another server's id.
    NewServerId(Database),
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
    /// The database.
    pub database: Database,
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
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
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
    /// A path or a URL.
    database: OsString,
    postgres: PostgresOptions,
    /// An option that only PostgreSQL has.
    postgres_option: Option<String>,
    listen_database: Option<String>,
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
            database: std::env::var_os("DATUM_DATABASE_URL")
                .unwrap_or_else(|| "datum.sqlite".into()),
            postgres: PostgresOptions::default(),
            postgres_option: None,
            listen_database: None,
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
            "database" => self.database = parser.value().map_err(say)?,
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
            _ => return self.read_postgres_option(name, parser),
        }
        Ok(())
    }

    fn read_postgres_option(
        &mut self,
        name: &str,
        parser: &mut lexopt::Parser,
    ) -> Result<(), String> {
        let Self { postgres, .. } = self;
        match name {
            "listen-database" => self.listen_database = Some(text(parser)?),
            "database-connections" => postgres.connections = number(parser, name, 2, 10_000)?,
            "database-wait" => postgres.acquire = milliseconds(parser, name)?,
            "statement-timeout" => postgres.statement_timeout = milliseconds(parser, name)?,
            "lock-timeout" => postgres.lock_timeout = milliseconds(parser, name)?,
            "prepared-statements" => postgres.prepared_statements = true,
            "partitions" => postgres.partitions = number(parser, name, 0, 1_024)?,
            _ => return Err(say(lexopt::Arg::Long(name).unexpected())),
        }
        self.postgres_option = Some(name.to_owned());
        Ok(())
    }

    /// Returns the database that was named.
    fn named_database(&mut self) -> Result<Database, String> {
        let named = std::mem::take(&mut self.database);
        match named.to_str() {
            Some(url) if is_postgres(url) => Ok(Database::Postgres {
                url: url.to_owned(),
                options: self.postgres.clone(),
                listen: self.listen_database.take(),
            }),
            Some(url) if url.contains("://") => {
                Err("--database: give a path, or a URL that begins with postgres://.".to_owned())
            }
            _ => match &self.postgres_option {
                Some(option) => Err(format!(
                    "--{option} is for PostgreSQL; --database names a file."
                )),
                None => Ok(Database::File(named.into())),
            },
        }
    }

    /// Returns the file that was named, for what only files have.
    fn named_file(&mut self, instead: &str) -> Result<PathBuf, String> {
        match self.named_database()? {
            Database::File(path) => Ok(path),
            Database::Postgres { .. } => Err(format!(
                "--database names a database of PostgreSQL: {instead}."
            )),
        }
    }

    fn into_command(mut self) -> Result<Command, String> {
        match std::mem::take(&mut self.task) {
            Task::NewEpoch => return Ok(Command::NewEpoch(self.named_database()?)),
            Task::NewServerId => return Ok(Command::NewServerId(self.named_database()?)),
            Task::Backup(copy) => {
                let database =
                    self.named_file("make the copy with pg_dump --schema=datum_server")?;
                return Ok(Command::Backup { database, copy });
            }
            Task::Restore(copy) => {
                let database = self.named_file(
                    "restore the copy with pg_restore, and then run datum-server new-epoch",
                )?;
                return Ok(Command::Restore { database, copy });
            }
            Task::Serve => {}
        }
        let database = self.named_database()?;
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

/// Returns whether a text is a URL of PostgreSQL.
fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn milliseconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, String> {
    Ok(Duration::from_millis(number(parser, name, 1, 100_000)?))
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
