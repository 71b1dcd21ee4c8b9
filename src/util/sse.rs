//! An incremental parser of server-sent events. Chunks may end anywhere, even within a character.
//!
//! It reads the name and the data of each event and ignores comments, ids and `retry`. Silence is
//! measured by the caller.

use std::fmt;

/// The longest line, and the most data of one event, in bytes. Hints are short, and a response that
/// is not an event stream must not fill the memory.
pub const MAX_BYTES: usize = 64 << 10;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// Parses one stream.
#[derive(Debug, Default)]
pub struct EventParser {
    /// The current line so far.
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// The last byte was a carriage return, so a line feed that follows ends the same line.
    returned: bool,
    /// The first line, which may start with a byte order mark, has been read.
    begun: bool,
}

impl EventParser {
    /// Parses the next bytes and calls `on_event` with the name and the data of each event that
    /// they complete.
    ///
    /// # Errors
    /// Fails if a line or an event exceeds [`MAX_BYTES`].
    pub fn feed(
        &mut self,
        bytes: &[u8],
        on_event: &mut dyn FnMut(&str, &str),
    ) -> Result<(), TooLong> {
        for byte in bytes {
            match byte {
                b'\n' if self.returned => self.returned = false,
                b'\n' | b'\r' => {
                    self.returned = *byte == b'\r';
                    self.end_of_line(on_event)?;
                }
                _ => {
                    self.returned = false;
                    if self.line.len() >= MAX_BYTES {
                        return Err(TooLong);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self, on_event: &mut dyn FnMut(&str, &str)) -> Result<(), TooLong> {
        let taken = std::mem::take(&mut self.line);
        let mut line = taken.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                on_event(if name.is_empty() { "message" } else { &name }, &data);
            }
            return Ok(());
        }
        let text = String::from_utf8_lossy(line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                let data = match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data
                    }
                    None => self.data.insert(String::new()),
                };
                if data.len().saturating_add(value.len()) > MAX_BYTES {
                    return Err(TooLong);
                }
                data.push_str(value);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A line or an event exceeds [`MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line or an event of the stream is too long")
    }
}

impl std::error::Error for TooLong {}
