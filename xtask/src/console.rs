//! Progress on the console.
//!
//! On a terminal, a running step is one line that is updated. Elsewhere it is a line at its start,
//! one every half minute, and one at its end.

use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const HEARTBEAT: Duration = Duration::from_secs(30);
const LINE_WIDTH: usize = 110;

/// Where steps report.
pub struct Console {
    live: AtomicBool,
    /// Whether every line of every child process is printed.
    pub verbose: bool,
}

impl Console {
    /// Updates lines on a terminal; prints plain lines if output is a file or `CI` is set.
    pub fn new(verbose: bool) -> Self {
        let live = !verbose && std::io::stdout().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            live: AtomicBool::new(live),
            verbose,
        }
    }

    /// Prints plain lines until `work` ends: it has several steps at once, and a terminal's line
    /// shows one.
    pub fn plainly<T>(&self, work: impl FnOnce() -> T) -> T {
        let live = self.live.swap(false, Ordering::Relaxed);
        let result = work();
        self.live.store(live, Ordering::Relaxed);
        result
    }

    fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    /// Prints a line.
    pub fn say(&self, line: &str) {
        println!("{line}");
    }

    /// Starts a step and shows it.
    pub fn step(&self, label: &str) -> Step<'_> {
        if !self.is_live() {
            println!("… {label}");
        }
        self.step_since(label, Instant::now())
    }

    /// Shows a step that started earlier.
    pub fn step_since(&self, label: &str, started: Instant) -> Step<'_> {
        Step {
            console: self,
            label: label.to_owned(),
            started,
            next_beat: started.elapsed() + HEARTBEAT,
            frame: 0,
        }
    }
}

/// A running step.
pub struct Step<'a> {
    console: &'a Console,
    label: String,
    started: Instant,
    next_beat: Duration,
    frame: usize,
}

impl Step<'_> {
    /// The time since the step started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Updates the step's line. `latest` is the last line that the child printed.
    pub fn tick(&mut self, latest: &str) {
        let elapsed = self.elapsed();
        if self.console.is_live() {
            self.frame = (self.frame + 1) % FRAMES.len();
            let frame = FRAMES.get(self.frame).copied().unwrap_or("·");
            let line: String = format!(
                "{frame} {}  {}  {}",
                self.label,
                time(elapsed),
                latest.trim()
            )
            .chars()
            .take(LINE_WIDTH)
            .collect();
            print!("\r\x1b[2K{line}");
            flush();
        } else if elapsed >= self.next_beat && !self.console.verbose {
            self.next_beat += HEARTBEAT;
            println!("  {} is still running after {}", self.label, time(elapsed));
        }
    }

    /// Prints a line of the child, if every line is wanted.
    pub fn line(&self, line: &str) {
        if self.console.verbose {
            println!("  {line}");
        }
    }

    /// Prints the step's mark, its result and its time.
    pub fn end(self, good: bool, note: &str) {
        if self.console.is_live() {
            print!("\r\x1b[2K");
        }
        let mark = if good { "✓" } else { "✗" };
        let gap = if note.is_empty() { "" } else { "  " };
        println!("{mark} {}{gap}{note}  {}", self.label, time(self.elapsed()));
        flush();
    }
}

/// Formats as seconds with one digit, or as minutes and seconds.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// Ignores errors: a closed stdout must not stop a build.
fn flush() {
    std::io::stdout().flush().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_minutes() {
        assert_eq!(time(Duration::from_millis(1_340)), "1.3 s");
        assert_eq!(time(Duration::from_secs(125)), "2 min 05 s");
    }
}
