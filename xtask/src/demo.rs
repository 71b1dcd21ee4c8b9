//! The server with the demo page: for a person, for Chromium driving itself, and for measuring.
//!
//! The server listens on loopback only. A demo's database lies in a temporary folder and goes with
//! it.

use std::{
    ffi::OsStr,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Failure, Result},
    node, pack, process,
    server::Server,
    tools,
};

/// How the server is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build: for tests and demos.
    Debug,
    /// For measuring.
    Release,
}

/// Builds all, serves the page, and stays until Ctrl-C. What was written is gone afterwards.
pub fn demo(context: &Context, port: u16) -> Result<bool> {
    let (program, page) = build(context, &pack::build(context)?.tarball)?;
    let folder = TempFolder::new()?;
    let server = Server::start(
        context,
        &program,
        &arguments(port, &page, &folder.0.join("demo.db")),
        true,
    )?;
    context.console.say(&format!(
        "\n    The demo is at {0}\n    The guide is at {0}/guide/\n    Ctrl-C ends it.\n",
        server.url
    ));
    stay(server)
}

/// As the demo, but the database stays in the build folder, and more arguments may be given.
pub fn serve(context: &Context, port: u16, more: &[String]) -> Result<bool> {
    let (program, page) = build(context, &pack::build(context)?.tarball)?;
    let folder = context.target.join("serve");
    std::fs::create_dir_all(&folder).because(format!("making {}", folder.display()))?;
    let mut args = arguments(port, &page, &folder.join("datum.db"));
    args.extend(more.iter().cloned().map(Into::into));
    let server = Server::start(context, &program, &args, true)?;
    context.console.say(&format!(
        "\n    Server and page are at {}\n    The data is kept in {}\n    Ctrl-C ends it.\n",
        server.url,
        folder.display()
    ));
    stay(server)
}

/// Drives the page in Chromium: two devices, offline and online again. False if it did not do what
/// it must.
pub fn headless(context: &Context, tarball: &Path, screenshot: Option<&Path>) -> Result<bool> {
    tools::browsers(context, &[Engine::Chromium])?;
    let (program, page) = build(context, tarball)?;
    let folder = TempFolder::new()?;
    let mut server = Server::start(
        context,
        &program,
        &arguments(free_port()?, &page, &folder.0.join("demo.db")),
        false,
    )?;
    let mut command = context.command("node");
    command
        .arg(context.e2e().join("demo.mjs"))
        .args(["--url", &server.url])
        .env("CHROMIUM", chromium(context)?);
    if let Some(file) = screenshot {
        command
            .arg("--screenshot")
            .arg(std::path::absolute(file).because("the screenshot's place")?);
    }
    let good = process::watch(&mut command)?;
    server.stop();
    if !good {
        context
            .console
            .say(&format!("The server said:\n{}", server.said()));
    }
    Ok(good)
}

/// Measures in headless Chromium against a server in release mode.
pub fn figures(context: &Context, rounds: u32) -> Result<bool> {
    tools::browsers(context, &[Engine::Chromium])?;
    let tarball = pack::build(context)?.tarball;
    let server = build_server(context, Profile::Release)?;
    let mut command = node_script(context, &server, &tarball, &[Engine::Chromium])?;
    command
        .arg(context.e2e().join("figures").join("figures.mjs"))
        .arg("--rounds")
        .arg(rounds.to_string());
    process::watch(&mut command)
}

/// Compiles the server and says where it is.
pub fn build_server(context: &Context, profile: Profile) -> Result<PathBuf> {
    let mut command = context.cargo(&[
        "build",
        "--package",
        "datum-server",
        "--bin",
        "datum-server",
    ]);
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            command.args(["--profile", "server"]);
            "server"
        }
    };
    process::run(
        &context.console,
        "compiling the server",
        &mut command,
        LIMIT,
    )?;
    Ok(context
        .target
        .join(folder)
        .join(format!("datum-server{}", std::env::consts::EXE_SUFFIX)))
}

/// Node, told where the server, the tarball and Chromium are, and which engines it may drive by
/// their own drivers.
pub fn node_script(
    context: &Context,
    server: &Path,
    tarball: &Path,
    engines: &[Engine],
) -> Result<Command> {
    let mut command = context.command("node");
    command
        .env("DATUM_SERVER", server)
        .env("DATUM_TARBALL", tarball)
        .env("CHROMIUM", chromium(context)?);
    command.env(
        "DATUM_ENGINES",
        engines
            .iter()
            .map(|engine| engine.name())
            .collect::<Vec<_>>()
            .join(","),
    );
    for engine in engines {
        command.env(
            engine.variable(),
            engine
                .browser(context)
                .because(format!("no browser for {}", engine.name()))?,
        );
    }
    Ok(command)
}

/// The server, and the page made with the packed package.
fn build(context: &Context, tarball: &Path) -> Result<(PathBuf, PathBuf)> {
    let page = context.root.join("www");
    node::install(context, &page)?;
    node::add_tarball(context, &page, tarball)?;
    let mut command = node::npm(context, &page);
    command.args(["run", "build", "--silent"]);
    process::run(
        &context.console,
        "building the demo page",
        &mut command,
        LIMIT,
    )?;
    Ok((build_server(context, Profile::Debug)?, page.join("dist")))
}

fn arguments(port: u16, page: &Path, database: &Path) -> Vec<std::ffi::OsString> {
    let listen = format!("127.0.0.1:{port}");
    [
        OsStr::new("--dev"),
        "--listen".as_ref(),
        listen.as_ref(),
        "--static".as_ref(),
        page.as_ref(),
        "--database".as_ref(),
        database.as_ref(),
    ]
    .map(OsStr::to_owned)
    .to_vec()
}

fn chromium(context: &Context) -> Result<PathBuf> {
    Engine::Chromium
        .browser(context)
        .because("chromium is not on the path")
}

/// Waits for Ctrl-C, or for the server to end by itself, which is a failure.
fn stay(mut server: Server) -> Result<bool> {
    let asked = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&asked);
    ctrlc::set_handler(move || heard.store(true, Ordering::Relaxed))
        .because("listening for Ctrl-C")?;
    loop {
        if asked.load(Ordering::Relaxed) {
            server.stop();
            return Ok(true);
        }
        if server.has_ended()? {
            return Err(Failure::new("the server ended by itself"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Below the ports that the system hands out for connections, so that none of those is in the way.
fn free_port() -> Result<u16> {
    let first = 21_000 + u16::try_from(std::process::id() % 5_000).unwrap_or(0);
    (first..32_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .because("no free port between 21000 and 32000")
}

/// A folder that goes when it is dropped.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("datum-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).because(format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
