//! Reads numbers as floats of 64 bits, as `JSON.parse` does.

use crate::util::json::number::float;

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Reads a number of JSON's grammar. What is too large is infinite, and what is no number is zero.
pub(super) fn read(json: &[u8]) -> f64 {
    let number = exact(json).unwrap_or_else(|| {
        let text = std::str::from_utf8(json).unwrap_or_default();
        let limit = if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
        float(text).unwrap_or(limit)
    });
    // Negative zero is zero.
    number + 0.0
}

/// Reads the numbers that need one rounding at most: a whole number of up to 19 digits, or up to
/// 53 bits of digits times or over a power of ten that a float holds. The others, which are rare,
/// take a call into JavaScript, where browsers have the tables.
fn exact(json: &[u8]) -> Option<f64> {
    let (negative, digits) = match json.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, json),
    };
    let mut mantissa = 0_u64;
    let mut count = 0_u32;
    let mut places = 0_u32;
    let mut fraction = false;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                count = count.saturating_add(1);
                let digit = u64::from(byte.wrapping_sub(b'0'));
                mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
                places = places.saturating_add(u32::from(fraction));
            }
            b'.' => fraction = true,
            _ => return None,
        }
    }
    if count > 19 || (fraction && mantissa > 1 << 53) {
        return None;
    }
    let number = mantissa as f64 / POWERS.get(places as usize)?;
    Some(if negative { -number } else { number })
}
