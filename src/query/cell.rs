//! The value of a field, as it stands in the text of an entity.

use crate::query::number;
use crate::query::walk::{Walk, decode};

/// A value that has not been parsed further than to its type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Null, or no such field.
    Null,
    Bool(bool),
    Number(f64),
    /// The characters of a string that has no escapes.
    Text(&'a [u8]),
    /// A string with escapes: the text between its quotes.
    Escaped(&'a [u8]),
    /// The text of an array.
    Array(&'a [u8]),
    /// The text of an object.
    Object(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Reads a value. Text without a value is null.
    pub(super) fn read(json: &'a [u8]) -> Self {
        match json.first() {
            Some(b'"') => {
                let mut text = json.get(1..).unwrap_or_default();
                text = text.strip_suffix(b"\"").unwrap_or(text);
                if text.contains(&b'\\') {
                    Self::Escaped(text)
                } else {
                    Self::Text(text)
                }
            }
            Some(b'{') => Self::Object(json),
            Some(b'[') => Self::Array(json),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(number::read(json)),
            _ => Self::Null,
        }
    }

    /// Returns the characters if this is a string, decoded into `room` if it has escapes.
    pub(super) fn text<'b>(self, room: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Text(text) => Some(text),
            Self::Escaped(text) => {
                room.clear();
                decode(text, room);
                Some(room)
            }
            _ => None,
        }
    }

    /// Iterates over the items if this is an array; over nothing otherwise.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut walk = Walk::new(match self {
            Self::Array(json) => json,
            _ => b"",
        });
        let mut more = walk.peek() == b'[' && walk.enter();
        std::iter::from_fn(move || {
            if !more {
                return None;
            }
            let item = Self::read(walk.value());
            more = walk.more();
            Some(item)
        })
    }

    /// Iterates over the members if this is an object, in the order of the text; over nothing
    /// otherwise. Names are the text between the quotes.
    pub(super) fn members(self) -> impl Iterator<Item = (&'a [u8], Self)> {
        let mut walk = Walk::new(match self {
            Self::Object(json) => json,
            _ => b"",
        });
        let mut more = walk.peek() == b'{' && walk.enter();
        std::iter::from_fn(move || {
            if !more {
                return None;
            }
            let name = walk.name();
            let value = Self::read(walk.value());
            more = walk.more();
            Some((name, value))
        })
    }
}
