//! Server-sent events, read as they arrive: chunks may break anywhere, also within a character.
//!
//! Only what the protocol's stream uses: the name and the data of an event. Comments, ids and the
//! server's wish for a delay are passed over; that a byte came at all is for the reader to notice.

use crate::model::error::{Code, Error, Result};

/// The longest line, and the most data of one event, in bytes: hints are short, and a stream that
/// is none must not fill the memory.
pub const MAX_BYTES: usize = 64 << 10;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// A reader of one stream.
#[derive(Debug, Default)]
pub struct Events {
    /// The line that has begun.
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed belongs to it.
    returned: bool,
    /// The first line, which may begin with a byte order mark, is behind.
    begun: bool,
}

impl Events {
    /// Takes the next bytes, and calls back with the name and the data of each event that they
    /// complete.
    ///
    /// # Errors
    /// [`Code::Protocol`] for a line or an event of more than [`MAX_BYTES`].
    pub fn feed(&mut self, bytes: &[u8], heard: &mut dyn FnMut(&str, &str)) -> Result<()> {
        for byte in bytes {
            match byte {
                b'\n' if self.returned => self.returned = false,
                b'\n' | b'\r' => {
                    self.returned = *byte == b'\r';
                    self.end_of_line(heard)?;
                }
                _ => {
                    self.returned = false;
                    if self.line.len() >= MAX_BYTES {
                        return Err(too_long());
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self, heard: &mut dyn FnMut(&str, &str)) -> Result<()> {
        let taken = std::mem::take(&mut self.line);
        let mut line = taken.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                heard(if name.is_empty() { "message" } else { &name }, &data);
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
                    return Err(too_long());
                }
                data.push_str(value);
            }
            _ => {}
        }
        Ok(())
    }
}

fn too_long() -> Error {
    Error::new(
        Code::Protocol,
        "The remote's stream has a line or an event that is far too long for a hint.",
    )
}
