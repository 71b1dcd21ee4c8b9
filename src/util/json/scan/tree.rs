//! Builds a `serde_json::Value` from JSON text.

use serde_json::{Map, Value};

use crate::util::json::number::number;
use crate::util::json::scan::{Scan, ScanError, ScanResult, utf8};

/// The deepest tree that is built.
const MAX_DEPTH: u32 = 128;

/// Parses bytes.
///
/// # Errors
/// Fails if they are not UTF-8, not JSON, or deeper than 128 levels.
pub fn parse(json: &[u8]) -> Result<Value, ScanError> {
    tree(utf8(json)?)
}

/// Parses a text.
///
/// # Errors
/// Fails if it is not JSON, or deeper than 128 levels.
pub fn tree(json: &str) -> Result<Value, ScanError> {
    let mut scan = Scan::new(json);
    let value = scan.tree(MAX_DEPTH)?;
    scan.end()?;
    Ok(value)
}

impl Scan<'_> {
    fn tree(&mut self, depth: u32) -> ScanResult<Value> {
        let Some(deeper) = depth.checked_sub(1) else {
            return self.wrong("too many levels");
        };
        let first = self.peek().unwrap_or_default();
        Ok(match first {
            b'{' => {
                let mut map = Map::new();
                let mut more = self.open(b'{', b'}')?;
                while more {
                    let key = self.key()?.into_owned();
                    map.insert(key, self.tree(deeper)?);
                    more = self.more(b'}')?;
                }
                Value::Object(map)
            }
            b'[' => {
                let mut items = Vec::new();
                let mut more = self.open(b'[', b']')?;
                while more {
                    items.push(self.tree(deeper)?);
                    more = self.more(b']')?;
                }
                Value::Array(items)
            }
            b'"' => Value::String(self.string()?.into_owned()),
            b'-' | b'0'..=b'9' => match number(self.number()?) {
                Some(number) => Value::Number(number),
                None => return self.wrong("a number is too large"),
            },
            _ => {
                self.scalar(first)?;
                match first {
                    b't' => Value::Bool(true),
                    b'f' => Value::Bool(false),
                    _ => Value::Null,
                }
            }
        })
    }
}
