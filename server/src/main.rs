//! The binary: reads the command line, opens the database, and serves until it receives a signal.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use datum_server::cli::{self, Command, Database, Serve};
use datum_server::http::hub::{Hub, Outgoing};
use datum_server::http::relay::Relay;
use datum_server::http::{self, serve};
use datum_server::log::Log;
use datum_server::postgres::{PostgresOptions, PostgresStore};
use datum_server::rules::store::Store;
use datum_server::service::Service;
use datum_server::sqlite::{SqliteStore, backup};
use tokio::net::TcpListener;
use tokio::sync::watch;

fn main() -> ExitCode {
    let done = cli::parse(std::env::args_os().skip(1)).and_then(|command| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        runtime
            .map_err(|error| format!("The runtime does not start: {error}"))?
            .block_on(run(command))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Not with `eprintln`, which panics if it cannot.
            let _ = writeln!(std::io::stderr(), "datum-server: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Print(text) => say(text.trim_end()),
        Command::NewEpoch(database) => {
            let epoch = serve::random_hex::<16>()?;
            let done = match &database {
                Database::File(file) => {
                    let service = open_existing(file).await?;
                    let done = service.set_epoch(&epoch).await;
                    service.store.close().await;
                    done
                }
                Database::Postgres { url, options, .. } => {
                    let service = service(open_postgres(url, options).await?);
                    let done = service.set_epoch(&epoch).await;
                    service.store.close().await;
                    done
                }
            };
            done.map_err(|error| error.to_string())?;
            say(&format!("epoch {epoch}"))
        }
        Command::NewServerId(database) => {
            let id = serve::random_uuid()?;
            let done = match &database {
                Database::File(file) => {
                    let service = open_existing(file).await?;
                    let done = service.set_server_id(&id).await;
                    service.store.close().await;
                    done
                }
                Database::Postgres { url, options, .. } => {
                    let service = service(open_postgres(url, options).await?);
                    let done = service.set_server_id(&id).await;
                    service.store.close().await;
                    done
                }
            };
            done.map_err(|error| error.to_string())?;
            say(&format!("server id {id}"))
        }
        Command::Backup { database, copy } => {
            check_exists(&database)?;
            let done = backup::back_up(&database, &copy).await;
            done.map_err(|error| {
                format!(
                    "Cannot copy {} into {}: {error}",
                    database.display(),
                    copy.display()
                )
            })?;
            say(&format!("copied into {}", copy.display()))
        }
        Command::Restore { database, copy } => {
            check_exists(&copy)?;
            let epoch = serve::random_hex::<16>()?;
            let done = backup::restore(&copy, &database, &epoch).await;
            done.map_err(|error| {
                format!(
                    "Cannot restore {} into {}: {error}",
                    copy.display(),
                    database.display()
                )
            })?;
            say(&format!("epoch {epoch}"))
        }
        Command::Serve(serve) => run_server(*serve).await,
    }
}

async fn open_existing(database: &Path) -> Result<Service<SqliteStore>, String> {
    check_exists(database)?;
    Ok(service(open(database).await?))
}

fn service<S>(store: S) -> Service<S> {
    Service {
        store,
        config: datum_server::Config::default(),
    }
}

fn check_exists(database: &Path) -> Result<(), String> {
    if database.is_file() {
        Ok(())
    } else {
        Err(format!("There is no database at {}.", database.display()))
    }
}

async fn run_server(asked: Serve) -> Result<(), String> {
    let level = if asked.quiet {
        tracing::Level::WARN
    } else {
        tracing::Level::INFO
    };
    let log = Log::start(std::io::stderr())
        .map_err(|error| format!("The log does not start: {error}"))?;
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_target(false)
        .init();
    let served = serve_logging(asked, &log).await;
    log.wait();
    served
}

async fn serve_logging(mut asked: Serve, log: &Log) -> Result<(), String> {
    asked.options.secret = secret(&asked)?;
    let hub = http::hub(&asked.options);
    match asked.database.clone() {
        Database::File(file) => {
            let store = open(&file).await?;
            let served = serve_from(store.clone(), hub, asked, log).await;
            store.close().await;
            served
        }
        Database::Postgres {
            url,
            options,
            listen,
        } => {
            let store = open_postgres(&url, &options).await?;
            let outgoing = Outgoing::default();
            let hub = hub.telling(outgoing.clone());
            let relay = Relay {
                hub: hub.clone(),
                outgoing,
                store: store.clone(),
                listen,
                name: serve::random_hex::<8>()?,
            };
            let relaying = tokio::spawn(relay.run());
            let served = serve_from(store.clone(), hub, asked, log).await;
            relaying.abort();
            store.close().await;
            served
        }
    }
}

async fn serve_from<S: Store + Clone + 'static>(
    store: S,
    hub: Hub,
    asked: Serve,
    log: &Log,
) -> Result<(), String> {
    let service = Service {
        store,
        config: asked.config,
    };
    let (stopping, stopped) = watch::channel(false);
    let router = http::router_with(service.clone(), &asked.options, hub, stopped)?;
    let listener = TcpListener::bind(asked.listen)
        .await
        .map_err(|error| format!("Cannot listen on {}: {error}", asked.listen))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("Cannot listen on {}: {error}", asked.listen))?;
    let end = shutdown_signal()?;
    let sweeping = tokio::spawn(serve::sweep_periodically(service));
    if asked.options.dev {
        let warning = format!(
            "*** DEVELOPMENT MODE: http://{address}/dev/token gives anyone on this machine a token for any user. ***\n"
        );
        log.write(warning.into_bytes());
    }
    // The reader of this output may be gone; the server goes on.
    if let Err(error) = say(&format!("listening on http://{address}")) {
        tracing::warn!(error);
    }
    let limits = asked.options.connections;
    let served = serve::serve(listener, limits, router, stopping, end).await;
    sweeping.abort();
    served.map_err(|error| format!("The server failed: {error}"))
}

async fn open_postgres(url: &str, options: &PostgresOptions) -> Result<PostgresStore, String> {
    let opened = PostgresStore::open(url, options, &serve::random_hex::<16>()?).await;
    // Without the URL, which may hold a password.
    opened.map_err(|error| {
        let cause = error.cause.unwrap_or(error.message);
        format!("Cannot use the database of PostgreSQL: {cause}")
    })
}

async fn open(database: &Path) -> Result<SqliteStore, String> {
    let opened = SqliteStore::open(database, &serve::random_hex::<16>()?).await;
    opened.map_err(|error| format!("Cannot open {}: {error}", database.display()))
}

fn secret(asked: &Serve) -> Result<Vec<u8>, String> {
    if let Some(path) = &asked.secret_file {
        let text = std::fs::read(path)
            .map_err(|error| format!("Cannot read {}: {error}", path.display()))?;
        return Ok(text.trim_ascii_end().to_vec());
    }
    match std::env::var("DATUM_JWT_SECRET") {
        Ok(secret) if !secret.is_empty() => Ok(secret.into_bytes()),
        // No other program needs it: this server issues the tokens.
        _ if asked.options.dev => serve::random_hex::<32>().map(String::into_bytes),
        _ => Err(
            "No secret: set DATUM_JWT_SECRET or --jwt-secret-file, or try it out with --dev."
                .to_owned(),
        ),
    }
}

/// Prints one line and flushes it: the process that started the server waits for it.
fn say(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| format!("Cannot write to standard output: {error}"))
}

/// Returns a future that resolves at Ctrl-C or SIGTERM.
fn shutdown_signal() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| format!("Cannot listen for SIGTERM: {error}"))?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
