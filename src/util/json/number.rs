//! Reads and prints the numbers of JSON.
//!
//! Fractions go through functions that the platform installs: every browser has them built in, and
//! the standard library's tables for them are 10 KB of the module. Natively, serde_json's are the
//! default.

use std::sync::OnceLock;

use serde_json::Number;

/// How fractions are read and printed.
#[derive(Clone, Copy, Debug)]
pub struct FractionFns {
    /// Reads a number that follows JSON's grammar; `None` if it is too large.
    pub read: fn(&str) -> Option<f64>,
    /// Appends a finite number in the form that [`Number`] displays: with `.0` if it is whole.
    pub push: fn(&mut String, f64),
}

static INSTALLED: OnceLock<FractionFns> = OnceLock::new();

/// Installs the platform's functions. Only the first call has an effect.
pub fn install(fractions: FractionFns) {
    let _ = INSTALLED.set(fractions);
}

#[cfg(not(target_arch = "wasm32"))]
const DEFAULT: FractionFns = FractionFns {
    read: |text| serde_json::from_str(text).ok(),
    push: |out, number| {
        if let Some(number) = Number::from_f64(number) {
            out.push_str(&number.to_string());
        }
    },
};

// Never used: the module installs the browser's functions as it starts.
#[cfg(target_arch = "wasm32")]
const DEFAULT: FractionFns = FractionFns {
    read: |_| None,
    push: |out, _| out.push_str("null"),
};

fn fractions() -> &'static FractionFns {
    INSTALLED.get().unwrap_or(&DEFAULT)
}

/// Reads a number that follows JSON's grammar; `None` if it is too large.
#[must_use]
pub fn number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(number) = text.parse::<u64>() {
            return Some(Number::from(number));
        }
        // Only a fraction has a negative zero.
        if text != "-0"
            && let Ok(number) = text.parse::<i64>()
        {
            return Some(Number::from(number));
        }
    }
    (fractions().read)(text).and_then(Number::from_f64)
}

/// Reads a number that follows JSON's grammar as `JSON.parse` does; `None` if it is too large.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    (fractions().read)(text)
}

/// Appends a number that may have a fraction; `null` if it is infinite or not a number.
pub fn push_fraction(out: &mut String, number: f64) {
    if number.is_finite() {
        (fractions().push)(out, number);
    } else {
        out.push_str("null");
    }
}

/// Reads a whole number from 0 on, however it is written: `3`, `3.0` and `0.3e1` are one number.
/// `None` if the text is anything else, or larger than a `u64`.
#[must_use]
pub fn whole(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (head, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || head.bytes().chain(fraction.bytes());
    let unsigned = head.strip_prefix('-').unwrap_or(head);
    let mut without_sign = unsigned.bytes().chain(fraction.bytes());
    if !unsigned.is_empty() && without_sign.all(|digit| digit == b'0') {
        return Some(0);
    }
    if head.is_empty() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let before_the_point = i64::try_from(head.len())
        .ok()?
        .checked_add(exponent.parse().ok()?)?;
    let mut digits = digits();
    let mut number = 0_u64;
    for _ in 0..before_the_point {
        // After the last digit this ends soon: the number is not zero, and outgrows its type.
        let digit = digits.next().unwrap_or(b'0').wrapping_sub(b'0');
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    digits.all(|digit| digit == b'0').then_some(number)
}
