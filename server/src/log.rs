//! The log: lines on standard error, written by a thread of their own. A request never waits for the
//! log and never fails with it: lines that it cannot take are dropped, and counted in a later one.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// The most lines that wait to be written.
const LINES: usize = 10_000;
/// How long the last lines may take when the server ends.
const LAST: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    /// Everything before this is written once the sender is dropped.
    Mark(SyncSender<()>),
}

/// Takes lines for the log. Clones share it.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct Log {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails if there can be no more threads.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(LINES);
        let dropped = Arc::<AtomicU64>::default();
        let lost = dropped.clone();
        let write = move || {
            for entry in waiting {
                let line = match entry {
                    Entry::Line(line) => line,
                    Entry::Mark(mark) => {
                        drop(mark);
                        continue;
                    }
                };
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 && writeln!(out, "{count} lines of the log were lost").is_err() {
                    lost.fetch_add(count, Ordering::Relaxed);
                }
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(write)?;
        Ok(Self { entries, dropped })
    }

    /// Writes a line, soon.
    pub fn write(&self, line: Vec<u8>) {
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns once everything so far is written, or after a second.
    pub fn wait(&self) {
        let (mark, written) = sync_channel(0);
        if self.entries.try_send(Entry::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

impl Write for Log {
    /// Takes a line; never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        Self::write(self, line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]

    use std::sync::{Arc, Mutex};

    use super::Log;

    #[derive(Clone, Default)]
    struct Paper {
        text: Arc<Mutex<String>>,
        jammed: Arc<Mutex<bool>>,
    }

    impl std::io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if *self.jammed.lock().unwrap() {
                return Err(std::io::Error::other("jammed"));
            }
            self.text
                .lock()
                .unwrap()
                .push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_the_last_line_is_waited_for() {
        let paper = Paper::default();
        *paper.jammed.lock().unwrap() = true;
        let log = Log::start(paper.clone()).unwrap();
        for _ in 0..3 {
            log.write(b"lost\n".to_vec());
        }
        while log.dropped.load(std::sync::atomic::Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        *paper.jammed.lock().unwrap() = false;
        log.write(b"kept\n".to_vec());
        log.wait();
        assert_eq!(
            *paper.text.lock().unwrap(),
            "3 lines of the log were lost\nkept\n"
        );
    }
}
