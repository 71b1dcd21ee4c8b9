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
pub(crate) fn push_fraction(out: &mut String, number: f64) {
    if number.is_finite() {
        (fractions().push)(out, number);
    } else {
        out.push_str("null");
    }
}
