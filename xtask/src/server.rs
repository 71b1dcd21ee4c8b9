//! The server: compiling it, starting it, waiting until it listens, and stopping it by its own
//! handle.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    process::{self, Running},
};

const READY: &str = "listening on ";
const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(5);

/// How the server is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to compile: for tests, demos and trying out the benchmark.
    Dev,
    /// Fast: for measuring.
    Measured,
}

/// The server being compiled while other steps run.
pub struct Build {
    cargo: Running,
    program: PathBuf,
}

impl Build {
    /// Starts cargo.
    pub fn start(context: &Context, profile: Profile) -> Result<Self> {
        // The features of a crate depend on what is built beside it. `--workspace --examples`
        // (there are none) makes cargo choose them as it does for all tests, so that whichever
        // comes second, tests or demo, finds the server and its crates compiled.
        let mut command = context.cargo(&[
            "build",
            "--workspace",
            "--examples",
            "--bin",
            "datum-server",
        ]);
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Measured => {
                command.args(["--profile", "server"]);
                "server"
            }
        };
        let program = format!("datum-server{}", std::env::consts::EXE_SUFFIX);
        Ok(Self {
            cargo: process::start(&context.console, "compiling the server", &mut command)?,
            program: context.target.join(folder).join(program),
        })
    }

    /// Waits for cargo and returns the program.
    pub fn join(self, context: &Context) -> Result<PathBuf> {
        self.cargo.join(&context.console, LIMIT)?;
        Ok(self.program)
    }
}

/// Compiles the server and returns the program.
pub fn build(context: &Context, profile: Profile) -> Result<PathBuf> {
    Build::start(context, profile)?.join(context)
}

/// A running datum-server. Dropping it stops it.
pub struct Server {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    child: Child,
    lines: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `program` and waits until it listens. With `loud`, its lines are printed as they
    /// come.
    pub fn start(context: &Context, program: &Path, args: &[OsString], loud: bool) -> Result<Self> {
        let mut command = context.command(&program.to_string_lossy());
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .because(format!("starting {}", program.display()))?;
        let (ready, url) = mpsc::channel();
        let lines = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take(), &lines, ready.clone(), loud);
        listen(child.stderr.take(), &lines, ready, loud);
        let mut server = Self {
            url: String::new(),
            child,
            lines,
        };
        match url.recv_timeout(START) {
            Ok(url) => {
                server.url = url;
                Ok(server)
            }
            Err(_) => {
                server.stop();
                Err(Failure::new(format!(
                    "the server did not start:\n{}",
                    server.output()
                )))
            }
        }
    }

    /// Everything that it printed.
    pub fn output(&self) -> String {
        self.lines
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default()
    }

    /// Returns true if it ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.child
            .try_wait()
            .map(|status| status.is_some())
            .because("asking whether the server runs")
    }

    /// Sends SIGTERM, and kills it if it does not exit within some seconds.
    pub fn stop(&mut self) {
        if cfg!(unix) && self.has_ended().is_ok_and(|ended| !ended) {
            Command::new("kill")
                .args(["-TERM", &self.child.id().to_string()])
                .status()
                .ok();
            let asked = Instant::now();
            while asked.elapsed() < END && self.has_ended().is_ok_and(|ended| !ended) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Keeps the lines of a stream, and sends the address from the line that names it.
fn listen(
    stream: Option<impl Read + Send + 'static>,
    lines: &Arc<Mutex<String>>,
    ready: mpsc::Sender<String>,
    loud: bool,
) {
    let Some(stream) = stream else { return };
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if loud {
                println!("{line}");
            }
            if let Some(url) = address(&line) {
                ready.send(url).ok();
            }
            if let Ok(mut lines) = lines.lock() {
                lines.push_str(&line);
                lines.push('\n');
            }
        }
    });
}

/// The address in `… listening on http://127.0.0.1:24180`.
fn address(line: &str) -> Option<String> {
    let url = line.split_once(READY)?.1.split_whitespace().next()?;
    url.starts_with("http://")
        .then(|| url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_names_it() {
        assert_eq!(
            address("listening on http://127.0.0.1:24180").as_deref(),
            Some("http://127.0.0.1:24180")
        );
        assert_eq!(
            address("2026-01-01 INFO datum_server: listening on http://127.0.0.1:1/ dev=true")
                .as_deref(),
            Some("http://127.0.0.1:1")
        );
        assert_eq!(address("opening the database"), None);
    }
}
