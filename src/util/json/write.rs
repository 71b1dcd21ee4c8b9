//! Builds JSON objects and arrays in a `String`. An object under construction starts with `{`; each
//! function appends one member, and the caller appends the `}`.

pub use crate::util::json::escape::push_string;
pub use crate::util::json::escape::{push_escaped, push_number};
use crate::util::json::scan;
use crate::util::json::serialize::to_string;

/// Appends `"key":value`, where the value is JSON text, and a comma before it if one is needed.
pub fn push_field(out: &mut String, key: &str, raw: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    push_name(out, key);
    out.push(':');
    out.push_str(raw);
}

/// Appends a name that the scanner has read, as it was.
pub fn push_name(out: &mut String, name: &str) {
    if !scan::has_lone_surrogate_name(name) {
        return push_string(out, name);
    }
    out.push('"');
    let mut parts = name.split(scan::HALF);
    push_escaped(out, parts.next().unwrap_or_default());
    for part in parts {
        let mut rest = part.chars();
        match rest.next().and_then(scan::half) {
            Some(unit) => {
                out.push_str(&format!("\\u{unit:x}"));
                push_escaped(out, rest.as_str());
            }
            None => {
                out.push(scan::HALF);
                push_escaped(out, part);
            }
        }
    }
    out.push('"');
}

/// Appends a member whose value is a string.
pub fn put_text(out: &mut String, key: &str, value: &str) {
    push_field(out, key, "");
    push_string(out, value);
}

/// Appends a member whose value is an array of strings.
pub fn put_texts(out: &mut String, key: &str, values: &mut dyn Iterator<Item = &str>) {
    push_field(out, key, "[");
    for value in values {
        if !out.ends_with('[') {
            out.push(',');
        }
        push_string(out, value);
    }
    out.push(']');
}

/// Appends a member whose value derives `Serialize`.
pub fn put<T: serde::Serialize + ?Sized>(out: &mut String, key: &str, value: &T) {
    push_field(out, key, &to_string(value));
}

/// A JSON array under construction.
#[derive(Debug)]
pub struct Items(String);

impl Items {
    /// Starts an array with room for `bytes` bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('[');
        Self(text)
    }

    /// Returns the buffer to append the next item to.
    pub fn open(&mut self) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        &mut self.0
    }

    /// Returns the array.
    #[must_use]
    pub fn close(mut self) -> String {
        self.0.push(']');
        self.0
    }
}
