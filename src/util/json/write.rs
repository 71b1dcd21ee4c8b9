//! TODO

use crate::util::json::plain;

/// Appends `"key":value` to an object under construction, with a comma where one is needed.
pub fn push_field(out: &mut String, key: &str, raw: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    push_string(out, key);
    out.push(':');
    out.push_str(raw);
}

/// Appends a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends what stands between the quotes of a JSON string.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    if plain::is_plain(text) {
        // Nearly all: copied as a whole.
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                const HEX: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
                ];
                let code = c as usize;
                out.push_str("\\u00");
                out.extend(HEX.get(code >> 4));
                out.extend(HEX.get(code & 15));
            }
            c => out.push(c),
        }
    }
}

/// Appends a member whose value is text.
pub fn put_text(out: &mut String, key: &str, value: &str) {
    push_field(out, key, "");
    push_string(out, value);
}

/// Appends a member whose value is a list of texts.
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

/// Appends a member that has a form of its own.
pub fn put<T: serde::Serialize + ?Sized>(out: &mut String, key: &str, value: &T) {
    push_field(out, key, &crate::util::json::serialize::to_string(value));
}

/// Appends a number, without a string in between: that would be one allocation for each entity that
/// is read.
pub(crate) fn push_number(out: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (number % 10) as u8;
        number /= 10;
        from = from.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    out.push_str(
        digits
            .get(from..)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .unwrap_or_default(),
    );
}

/// A JSON array under construction.
#[derive(Debug)]
pub struct Items(String);

impl Items {
    /// An empty one, with room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('[');
        Self(text)
    }

    /// Where the next item is to be appended.
    pub fn open(&mut self) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        &mut self.0
    }

    /// The text.
    #[must_use]
    pub fn close(mut self) -> String {
        self.0.push(']');
        self.0
    }
}
