//! The numbers of JSON as decimals, without a float in between.

use std::cmp::Ordering;

/// A number: its digits times a power of ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Never true for zero.
    negative: bool,
    /// ASCII digits without leading and trailing zeros; none for zero.
    digits: Vec<u8>,
    /// The power of ten of the last digit; 0 for zero.
    exponent: i64,
}

impl Decimal {
    /// Reads a number that follows JSON's grammar; `None` if its exponent needs more than 64 bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .skip_while(|digit| *digit == b'0')
            .collect();
        let places = digits.len();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        let dropped = places.saturating_sub(digits.len());
        let exponent = exponent
            .parse::<i64>()
            .ok()?
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(i64::try_from(dropped).ok()?)?;
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    /// Returns the number times ten to the power of `-exponent`, if that is a whole number of 128
    /// bits.
    #[must_use]
    pub fn scaled(&self, exponent: i64) -> Option<i128> {
        let zeros = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        let mut number = 0_i128;
        for digit in &self.digits {
            number = number
                .checked_mul(10)?
                .checked_add(i128::from(digit.checked_sub(b'0')?))?;
        }
        if number != 0 {
            number = number.checked_mul(10_i128.checked_pow(zeros)?)?;
        }
        Some(if self.negative {
            number.checked_neg()?
        } else {
            number
        })
    }

    /// Returns the power of ten of the last digit.
    #[must_use]
    pub const fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Compares two numbers; `None` if their exponents do not fit into 64 bits together.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        // Where the first digit stands; zero has none.
        let top = |number: &Self| {
            let digits = i64::try_from(number.digits.len()).ok()?;
            number.exponent.checked_add(digits)
        };
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let signs = sign(self).cmp(&sign(other));
        if signs != Ordering::Equal || self.digits.is_empty() {
            return Some(signs);
        }
        let size = top(self)?
            .cmp(&top(other)?)
            .then_with(|| self.digits.cmp(&other.digits));
        Some(if self.negative { size.reverse() } else { size })
    }

    /// Appends the number in a form that is the same for equal numbers.
    pub fn push(&self, out: &mut String) {
        const MOST: i64 = 21;
        if self.negative {
            out.push('-');
        }
        let digits = std::str::from_utf8(&self.digits).unwrap_or_default();
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let point = count.saturating_add(self.exponent);
        if digits.is_empty() {
            out.push('0');
        } else if self.exponent >= 0 && point <= MOST {
            out.push_str(digits);
            (0..self.exponent).for_each(|_| out.push('0'));
        } else if self.exponent < 0 && point > 0 {
            let (whole, fraction) = digits
                .split_at_checked(usize::try_from(point).unwrap_or_default())
                .unwrap_or((digits, ""));
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        } else if self.exponent < 0 && point > -6 {
            out.push_str("0.");
            (point..0).for_each(|_| out.push('0'));
            out.push_str(digits);
        } else {
            out.push_str(digits);
            out.push('e');
            out.push_str(&self.exponent.to_string());
        }
    }
}

impl From<(i128, i64)> for Decimal {
    /// Returns a whole number times a power of ten.
    fn from((number, exponent): (i128, i64)) -> Self {
        let text = [&number.to_string(), "e", &exponent.to_string()].concat();
        Self::parse(&text).unwrap_or(Self {
            negative: false,
            digits: Vec::new(),
            exponent: 0,
        })
    }
}
