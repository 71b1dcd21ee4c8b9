//! Appends strings and whole numbers as JSON.

use crate::util::json::plain;

/// Appends a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends the contents of a JSON string, without its quotes.
pub fn push_escaped(out: &mut String, text: &str) {
    if plain::is_plain(text) {
        // Most strings: copied as a whole.
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

/// Appends a whole number without an intermediate string, which would cost one allocation for each
/// entity read.
pub fn push_number(out: &mut String, mut number: u64) {
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
