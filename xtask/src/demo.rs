//! `cargo xtask demo` and `serve`: the server with the demo page, for a person or for Chromium
//! driving itself.
//!
//! The server listens on loopback only. A demo's database lies in a temporary folder and is removed
//! at the end.

use std::{
    ffi::{OsStr, OsString},
    net::TcpListener,
    path::{Path, PathBuf},
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
    node,
    pack::{self, Kind},
    process,
    server::{self, Server},
    stamp::{Checksums, Stamp, State},
    tools,
};

/// The package to serve, and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How the package in the page is made.
    pub kind: Kind,
    /// The port on loopback.
    pub port: u16,
}

/// Builds everything, serves the page and runs until Ctrl-C. The data is thrown away.
pub fn demo(context: &Context, page: Page) -> Result<bool> {
    let (program, files) = build(context, page.kind)?;
    let folder = TempFolder::new()?;
    let args = arguments(page.port, &files, &folder.0.join("demo.db"));
    let server = Server::start(context, &program, &args, true)?;
    context.console.say(&format!(
        "\n    The demo is at {0}\n    The guide is at {0}/guide/\n    Ctrl-C ends it.\n",
        server.url
    ));
    stay(server)
}

/// Like [`demo`], but keeps the database in the build folder and passes on more arguments.
pub fn serve(context: &Context, page: Page, more: &[OsString]) -> Result<bool> {
    let (program, files) = build(context, page.kind)?;
    let folder = context.target.join("serve");
    std::fs::create_dir_all(&folder).because(format!("making {}", folder.display()))?;
    let mut args = arguments(page.port, &files, &folder.join("datum.db"));
    args.extend(more.iter().cloned());
    let server = Server::start(context, &program, &args, true)?;
    context.console.say(&format!(
        "\n    Server and page are at {}\n    The data is kept in {}\n    Ctrl-C ends it.\n",
        server.url,
        folder.display()
    ));
    stay(server)
}

/// Drives the page in Chromium: two devices, offline and online again. False if one of them did
/// not show what it should.
pub fn headless(context: &Context, kind: Kind, screenshot: Option<&Path>) -> Result<bool> {
    tools::browsers(context, &[Engine::Chromium])?;
    node::install(context, &context.e2e())?;
    let (program, page) = build(context, kind)?;
    let folder = TempFolder::new()?;
    let args = arguments(free_port()?, &page, &folder.0.join("demo.db"));
    let mut server = Server::start(context, &program, &args, false)?;
    let mut command = context.command("node");
    command
        .arg(context.e2e().join("demo.mjs"))
        .args(["--url", &server.url])
        .env("CHROMIUM", node::chromium(context)?);
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
            .say(&format!("The server printed:\n{}", server.output()));
    }
    Ok(good)
}

/// Builds the server and the page, and returns the program and the page's folder.
fn build(context: &Context, kind: Kind) -> Result<(PathBuf, PathBuf)> {
    // wasm-opt uses one core and takes longest, so the server is compiled beside it.
    let server = server::Build::start(context, server::Profile::Dev)?;
    let page = build_page(context, &pack::build(context, kind)?.tarball)?;
    Ok((server.join(context)?, page))
}

/// Builds the page with the packed package, unless nothing changed since the last time.
fn build_page(context: &Context, tarball: &Path) -> Result<PathBuf> {
    let page = context.root.join("www");
    let name = tarball.file_name().unwrap_or_default().to_string_lossy();
    let inputs = Checksums::default()
        .files(tarball.parent().unwrap_or(tarball), &name)?
        .files(&context.root, "www")?
        .files(&context.root, "docs")?;
    let file = context.target.join("package").join("page.stamp");
    let stamp = Stamp::new(file, &context.root, &["www/dist"]);
    match stamp.check(&inputs)? {
        State::Fresh(_) => context.console.say("✓ the demo page is up to date"),
        State::Stale(reason) => {
            node::install(context, &page)?;
            node::add_tarball(context, &page, tarball)?;
            let mut command = node::npm(context, &page);
            command.args(["run", "build", "--silent"]);
            let label = format!("building the demo page: {reason}");
            process::run(&context.console, &label, &mut command, LIMIT)?;
            stamp.write(&inputs, "")?;
        }
    }
    Ok(page.join("dist"))
}

fn arguments(port: u16, page: &Path, database: &Path) -> Vec<OsString> {
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

/// Waits for Ctrl-C, or for the server to end by itself, which is a failure.
fn stay(mut server: Server) -> Result<bool> {
    let asked = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&asked);
    ctrlc::set_handler(move || heard.store(true, Ordering::Relaxed))
        .because("waiting for Ctrl-C")?;
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

/// Finds a port below those that the system hands out for connections, so that none of them is in
/// the way.
fn free_port() -> Result<u16> {
    let first = 21_000 + u16::try_from(std::process::id() % 5_000).unwrap_or(0);
    (first..32_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .because("no free port between 21000 and 32000")
}

/// A folder that is removed when it is dropped.
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
