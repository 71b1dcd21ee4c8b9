//! Child processes that run to their end: their output is kept, their progress shown, their time
//! limited. A child is killed by its own handle, never by name.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use crate::{
    console::{Console, Step},
    failure::{Because, Failure, Result},
};

const TICK: Duration = Duration::from_millis(100);
/// How long to read on after the child has exited: a grandchild may keep the pipe open.
const DRAIN: Duration = Duration::from_secs(2);

/// A program that runs beside other steps, such as cargo. Dropping it kills the program.
pub struct Running {
    label: String,
    command: String,
    started: Instant,
    child: Child,
    incoming: mpsc::Receiver<String>,
}

/// The result of a child.
pub struct Finished {
    /// Whether it exited with 0 within its limit.
    pub success: bool,
    /// Its standard output and error, in the order of their lines.
    pub text: String,
}

/// Runs `command` as the step `label`, and fails with its whole output when it fails.
pub fn run(
    console: &Console,
    label: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<Finished> {
    let finished = attempt(console, label, command, limit, by_exit_code)?;
    if finished.success {
        Ok(finished)
    } else {
        Err(Failure::new(format!(
            "{label} failed: {}\n{}",
            display(command),
            finished.text
        )))
    }
}

/// Runs `command` as the step `label`, and returns normally if the child fails. `judge` decides
/// from the output whether the step succeeded, and words its result for the step's last line.
pub fn attempt(
    console: &Console,
    label: &str,
    command: &mut Command,
    limit: Duration,
    judge: impl FnOnce(&Finished) -> (bool, String),
) -> Result<Finished> {
    let step = console.step(label);
    spawn(label, command)?.finish(step, limit, judge)
}

/// Starts a command as the step `label`, which runs beside the next ones.
pub fn start(console: &Console, label: &str, command: &mut Command) -> Result<Running> {
    console.say(&format!("… {label}, beside the next steps"));
    spawn(label, command)
}

fn spawn(label: &str, command: &mut Command) -> Result<Running> {
    let words = display(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().because(format!("starting {words}"))?;
    let (lines, incoming) = mpsc::channel();
    forward(child.stdout.take(), lines.clone());
    forward(child.stderr.take(), lines);
    Ok(Running {
        label: label.to_owned(),
        command: words,
        started: Instant::now(),
        child,
        incoming,
    })
}

impl Running {
    /// Waits for the program, and fails with its whole output when it fails.
    pub fn join(self, console: &Console, limit: Duration) -> Result<()> {
        let (label, command) = (self.label.clone(), self.command.clone());
        let step = console.step_since(&label, self.started);
        let finished = self.finish(step, limit, |finished| {
            // What cargo says at its end; other programs say nothing of it.
            let said = |text: &str| finished.text.contains(text);
            let is_fresh = said("Finished ") && !said("Compiling ");
            let note = if is_fresh { "nothing changed" } else { "" };
            (finished.success, note.to_owned())
        })?;
        if finished.success {
            Ok(())
        } else {
            let text = finished.text;
            Err(Failure::new(format!("{label} failed: {command}\n{text}")))
        }
    }

    fn finish(
        mut self,
        mut step: Step<'_>,
        limit: Duration,
        judge: impl FnOnce(&Finished) -> (bool, String),
    ) -> Result<Finished> {
        let (status, text) = follow(&mut self.child, &self.incoming, &mut step, limit)?;
        let finished = Finished {
            success: status.success(),
            text,
        };
        let (good, note) = judge(&finished);
        step.end(good, &note);
        Ok(finished)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Does nothing to a child that was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs `command` as the step `label`, and prints its whole output if it fails.
pub fn attempt_shown(
    console: &Console,
    label: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<Finished> {
    let finished = attempt(console, label, command, limit, by_exit_code)?;
    if !finished.success && !console.verbose {
        console.say(&finished.text);
    }
    Ok(finished)
}

/// Runs `command` with its output shown directly, for a child that prints its own progress. True if
/// it exits with 0.
pub fn watch(command: &mut Command) -> Result<bool> {
    command
        .stdin(Stdio::null())
        .status()
        .map(|status| status.success())
        .because(format!("starting {}", display(command)))
}

/// Runs a short command and returns its output. Fails if it exits with another code than 0.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .because(format!("starting {}", display(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::new(format!(
            "{} failed:\n{}",
            display(command),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

/// Formats the command as a person would type it.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Judges a child only by its exit code.
pub fn by_exit_code(finished: &Finished) -> (bool, String) {
    (finished.success, String::new())
}

fn follow(
    child: &mut Child,
    incoming: &mpsc::Receiver<String>,
    step: &mut Step<'_>,
    limit: Duration,
) -> Result<(ExitStatus, String)> {
    let mut text = String::new();
    let mut latest = String::new();
    let mut exited: Option<(ExitStatus, Instant)> = None;
    let mut killed = false;
    loop {
        match incoming.recv_timeout(TICK) {
            Ok(line) => {
                step.line(&line);
                text.push_str(&line);
                text.push('\n');
                latest = line;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().because("waiting for a child")?;
                return Ok((status, text));
            }
        }
        step.tick(&latest);
        if let Some((status, at)) = exited {
            if at.elapsed() >= DRAIN {
                return Ok((status, text));
            }
        } else if let Some(status) = child.try_wait().because("waiting for a child")? {
            exited = Some((status, Instant::now()));
        } else if step.elapsed() >= limit && !killed {
            killed = true;
            text.push_str(&format!("killed at its limit of {} s\n", limit.as_secs()));
            child.kill().because("killing a child at its limit")?;
        }
    }
}

/// Sends each line of `stream`, from its own thread. Invalid UTF-8 is replaced.
fn forward(stream: Option<impl Read + Send + 'static>, lines: Sender<String>) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            line.clear();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Console {
        Console::new(false)
    }

    #[test]
    fn both_streams_and_the_exit_code_are_kept() {
        let mut command = Command::new("rustc");
        command.arg("--no-such-flag");
        let finished = attempt(
            &quiet(),
            "bad flag",
            &mut command,
            Duration::from_secs(60),
            by_exit_code,
        )
        .unwrap();
        assert!(!finished.success);
        assert!(finished.text.contains("no-such-flag"));
    }

    #[cfg(unix)]
    #[test]
    fn a_child_is_stopped_at_its_limit() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let finished = attempt(
            &quiet(),
            "sleeper",
            &mut command,
            Duration::from_millis(200),
            by_exit_code,
        )
        .unwrap();
        assert!(!finished.success);
        assert!(finished.text.contains("limit"));
    }

    #[cfg(unix)]
    #[test]
    fn a_child_beside_other_steps_is_joined_or_killed() {
        let console = quiet();
        let limit = Duration::from_secs(60);
        let fails = start(&console, "fails", &mut Command::new("false")).unwrap();
        assert!(fails.join(&console, limit).is_err());
        let works = start(&console, "works", &mut Command::new("true")).unwrap();
        works.join(&console, limit).unwrap();
        let sleeper = start(&console, "sleeper", Command::new("sleep").arg("600")).unwrap();
        let process = format!("/proc/{}", sleeper.child.id());
        drop(sleeper);
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = capture(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(failure.to_string().contains("no-such-program-anywhere"));
    }
}
