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
                                          say that a backup was restored: every device pulls afresh, and
                                          offers again what it had sent since the backup was taken
       datum-server backup FILE [--database PATH]
                                          copy the database into a new file, also while it is served
       datum-server restore FILE [--database PATH]
                                          put a copy back, with a new epoch; stop the server first

  --listen ADDR          address and port [127.0.0.1:8787]; port 0 takes a free one and prints it
  --database PATH        the SQLite file, made if missing [datum.sqlite]
  --jwt-secret-file PATH the HS256 secret that tokens are signed with; else the environment
                         variable DATUM_JWT_SECRET (32 bytes or more)
  --allow-origin ORIGIN  a page that may ask, such as https://app.example; again for more; * for any
  --dev                  mint tokens for any user name at POST /dev/token; loopback only, NEVER in production
  --static DIR           serve a folder of files on /
  --entity NAME          an entity type that may be written; again for more [any]
  --min-schema N         the oldest schema version of the app that may sync [0]
  --rate N               requests a second for each user, 0 for no limit [50]
  --burst N              requests at once after a rest [200]
  --max-body BYTES       the largest request, after decompression [16777216]
  --max-page BYTES       where a page of changes ends [4194304]
  --tombstone-days N     how long deletions are known [90]
  --operation-days N     how long applied operations are known [30]
  --no-compression       send answers uncompressed
  --quiet                log warnings only
  --help, --version
";

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print this and end.
    Print(String),
    /// Give the database another epoch.
    NewEpoch(PathBuf),
    /// Copy the database into a new file.
    Backup {
        /// The database.
        database: PathBuf,
        /// The new file.
        copy: PathBuf,
    },
    /// Put a copy in the place of the database.
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
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database file.
    pub database: PathBuf,
    /// A file with the secret, instead of the environment.
    pub secret_file: Option<PathBuf>,
    /// HTTP's part; its secret is filled in later.
    pub options: Options,
    /// The rules' part.
    pub config: Config,
    /// Warnings only.
    pub quiet: bool,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// A sentence that names the argument.
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Command, String> {
    use lexopt::prelude::{Long, Short, Value};
    let mut listen = "127.0.0.1:8787".to_owned();
    let mut serve = Serve {
        listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
        database: PathBuf::from("datum.sqlite"),
        secret_file: None,
        options: Options::default(),
        config: Config::default(),
        quiet: false,
    };
    let mut entities = Vec::new();
    let mut rate = Rate::default();
    let mut new_epoch = false;
    let (mut backup, mut restore) = (None, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(say)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Command::Print(
                    concat!("datum-server ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                ));
            }
            Long("listen") => listen = text(&mut parser)?,
            Long("database") => serve.database = parser.value().map_err(say)?.into(),
            Long("jwt-secret-file") => {
                serve.secret_file = Some(parser.value().map_err(say)?.into())
            }
            Long("allow-origin") => serve
                .options
                .allow_origins
                .push(origin(text(&mut parser)?)?),
            Long("dev") => serve.options.dev = true,
            Long("static") => {
                serve.options.static_dir = Some(folder(parser.value().map_err(say)?.into())?)
            }
            Long("entity") => entities.push(text(&mut parser)?),
            Long("min-schema") => {
                serve.config.min_schema = number(&mut parser, "min-schema", 0, u32::MAX)?
            }
            Long("rate") => rate.per_second = f64::from(number(&mut parser, "rate", 0, u32::MAX)?),
            Long("burst") => rate.burst = f64::from(number(&mut parser, "burst", 1, u32::MAX)?),
            Long("max-body") => {
                serve.config.max_body_bytes =
                    number(&mut parser, "max-body", 1 << 10, 1_usize << 30)?
            }
            Long("max-page") => {
                serve.config.max_page_bytes =
                    number(&mut parser, "max-page", 1 << 10, 1_usize << 30)?
            }
            Long("tombstone-days") => {
                serve.config.tombstone_retention_ms =
                    number(&mut parser, "tombstone-days", 1, 36_500_u64)?.saturating_mul(DAY_MS);
            }
            Long("operation-days") => {
                serve.config.operation_memory_ms =
                    number(&mut parser, "operation-days", 1, 36_500_u64)?.saturating_mul(DAY_MS);
            }
            Long("no-compression") => serve.options.no_compression = true,
            Long("quiet") => serve.quiet = true,
            Value(word) if word == "new-epoch" => new_epoch = true,
            Value(word) if word == "backup" => backup = Some(parser.value().map_err(say)?.into()),
            Value(word) if word == "restore" => restore = Some(parser.value().map_err(say)?.into()),
            other => return Err(format!("{}; see --help.", other.unexpected())),
        }
    }
    if new_epoch {
        return Ok(Command::NewEpoch(serve.database));
    }
    if let Some(copy) = backup {
        return Ok(Command::Backup {
            database: serve.database,
            copy,
        });
    }
    if let Some(copy) = restore {
        return Ok(Command::Restore {
            database: serve.database,
            copy,
        });
    }
    serve.config.entities = (!entities.is_empty()).then_some(entities);
    serve.options.rate = rate;
    serve.listen = listen.parse().map_err(|_| {
        format!("--listen {listen}: give an address and a port, such as 127.0.0.1:8787.")
    })?;
    if serve.options.dev && !serve.listen.ip().is_loopback() {
        return Err(format!(
            "--dev gives anyone a token for any user, so it refuses to listen on {}. Use 127.0.0.1, or leave --dev out.",
            serve.listen
        ));
    }
    Ok(Command::Serve(Box::new(serve)))
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
