//! What a person or a CI log sees while steps run.
//!
//! On a terminal a running step is one line that ticks; elsewhere it is a line at its start, one
//! every half minute, and one at its end. It decides nothing.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const HEARTBEAT: Duration = Duration::from_secs(30);
const LINE_WIDTH: usize = 110;

/// Where steps report.
pub struct Console {
    live: bool,
    /// Whether every line of every child is shown as it comes.
    pub verbose: bool,
}

impl Console {
    /// Ticks on a terminal, prints plain lines when output is a file or `CI` is set.
    pub fn new(verbose: bool) -> Self {
        let live = !verbose && std::io::stdout().is_terminal() && std::env::var_os("CI").is_none();
        Self { live, verbose }
    }

    /// A line for the reader.
    pub fn say(&self, line: &str) {
        println!("{line}");
    }

    /// Begins a step and shows it.
    pub fn step(&self, label: &str) -> Step<'_> {
        if !self.live {
            println!("… {label}");
        }
        Step {
            console: self,
            label: label.to_owned(),
            started: Instant::now(),
            next_beat: HEARTBEAT,
            frame: 0,
        }
    }
}

/// A step under way.
pub struct Step<'a> {
    console: &'a Console,
    label: String,
    started: Instant,
    next_beat: Duration,
    frame: usize,
}

impl Step<'_> {
    /// Time since the step began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Called often while a child runs; `latest` is the child's last line.
    pub fn tick(&mut self, latest: &str) {
        let elapsed = self.elapsed();
        if self.console.live {
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
            println!("  {} still runs after {}", self.label, time(elapsed));
        }
    }

    /// A line of the child, shown when every line was asked for.
    pub fn line(&self, line: &str) {
        if self.console.verbose {
            println!("  {line}");
        }
    }

    /// Ends the step with its mark, what came of it and its time.
    pub fn end(self, good: bool, note: &str) {
        if self.console.live {
            print!("\r\x1b[2K");
        }
        let mark = if good { "✓" } else { "✗" };
        let gap = if note.is_empty() { "" } else { "  " };
        println!("{mark} {}{gap}{note}  {}", self.label, time(self.elapsed()));
        flush();
    }
}

/// Seconds with one digit, or minutes and seconds.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// A stdout that is gone is no reason to stop a build.
fn flush() {
    std::io::stdout().flush().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_a_person_says_them() {
        assert_eq!(time(Duration::from_millis(1_340)), "1.3 s");
        assert_eq!(time(Duration::from_secs(125)), "2 min 05 s");
    }
}
