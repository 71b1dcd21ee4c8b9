//! A server under way: started, heard until it is ready, and ended by its own handle.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use crate::{
    context::Context,
    failure::{Because, Failure, Result},
};

const READY: &str = "listening on ";
const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(5);

/// A running datum-server. Dropping it ends it.
pub struct Server {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    child: Child,
    lines: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `program` and waits until it says that it listens. With `loud`, its lines are printed
    /// as they come.
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
        let (ready, came) = mpsc::channel();
        let lines = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take(), &lines, ready.clone(), loud);
        listen(child.stderr.take(), &lines, ready, loud);
        let mut server = Self {
            url: String::new(),
            child,
            lines,
        };
        match came.recv_timeout(START) {
            Ok(url) => {
                server.url = url;
                Ok(server)
            }
            Err(_) => {
                server.stop();
                Err(Failure::new(format!(
                    "the server did not start:\n{}",
                    server.said()
                )))
            }
        }
    }

    /// What it has printed.
    pub fn said(&self) -> String {
        self.lines
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.child
            .try_wait()
            .map(|status| status.is_some())
            .because("asking for the server")
    }

    /// Asks it to end, and ends it if it does not.
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

/// Keeps the lines of a stream, and sends the address when one names it.
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
