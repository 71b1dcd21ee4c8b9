//! The header `Retry-After`, in all its forms.

use crate::util::time;

/// The longest wait that a remote can ask for, in milliseconds: a day.
pub const LONGEST_WAIT_MS: u64 = 86_400_000;

/// The longest wait that whatever answers in the remote's place can ask for, in milliseconds: an
/// hour. So too what one operation can suffer, since the answer was about its request.
pub const LONGEST_FOREIGN_WAIT_MS: u64 = 3_600_000;

/// Returns the wait in milliseconds: from seconds, which some servers send with a fraction, or from
/// a date by the server's own clock. A date is no wait if that clock is not known: this device's
/// may be wrong by years.
#[must_use]
pub fn retry_after(header: &str, server_now: Option<u64>) -> Option<u64> {
    let ms = if header.contains(':') {
        let until = http_date(header).or_else(|| time::parse(header.trim()))?;
        until.saturating_sub(server_now?)
    } else {
        seconds(header.trim())?
    };
    Some(ms.min(LONGEST_WAIT_MS))
}

/// Reads seconds as milliseconds. What follows a number, such as a second header, does not count.
fn seconds(text: &str) -> Option<u64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (whole, rest) = text.split_at_checked(end)?;
    let mut ms = match (whole, rest.starts_with('.')) {
        ("", false) => return None,
        ("", true) => 0,
        // Too many digits for a number are a long wait too.
        _ => whole
            .parse()
            .unwrap_or(LONGEST_WAIT_MS)
            .saturating_mul(1000),
    };
    let mut place = 100_u64;
    let digits = rest.strip_prefix('.').unwrap_or_default().chars();
    for digit in digits.map_while(|letter| letter.to_digit(10)) {
        ms = ms.saturating_add(u64::from(digit).saturating_mul(place));
        place /= 10;
    }
    Some(ms)
}

/// Reads a date of HTTP, in any of its three forms, as milliseconds since 1970.
#[must_use]
pub fn http_date(text: &str) -> Option<u64> {
    const MONTHS: &[u8] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let (mut day, mut month, mut year, mut clock) = (None, None, None, None);
    for part in text.split([' ', ',', '-']) {
        let start = part.get(..3).unwrap_or(part).to_ascii_lowercase();
        if part.contains(':') {
            clock = Some(part);
        } else if let Ok(number) = part.parse::<u64>() {
            match (day, part.len()) {
                (None, ..=2) => day = Some(number),
                (_, 2) => year = Some(number.saturating_add(if number < 70 { 2000 } else { 1900 })),
                _ => year = Some(number),
            }
        } else {
            let at = MONTHS
                .chunks_exact(3)
                .position(|name| name == start.as_bytes());
            month = at.map(|at| at as u64).or(month);
        }
    }
    time::parse(&format!(
        "{:04}-{:02}-{:02}T{}Z",
        year?,
        month?.saturating_add(1),
        day?,
        clock?
    ))
}

#[cfg(test)]
mod tests {
    use super::{http_date, retry_after};

    const NOW: u64 = 1_445_412_480_000;

    #[test]
    fn every_form_is_read_by_the_servers_clock() {
        for (header, wanted) in [
            ("120", Some(120_000)),
            (" 120 ", Some(120_000)),
            ("0", Some(0)),
            ("0.5", Some(500)),
            ("1.5", Some(1_500)),
            ("2.0", Some(2_000)),
            (".5", Some(500)),
            ("1.", Some(1_000)),
            ("1.23456789", Some(1_234)),
            ("120, 120", Some(120_000)),
            ("30s", Some(30_000)),
            ("99999999999999999999999", Some(86_400_000)),
            ("-1", None),
            ("", None),
            ("soon", None),
            ("NaN", None),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30_000)),
            ("Wednesday, 21-Oct-15 07:28:30 GMT", Some(30_000)),
            ("Wed Oct 21 07:28:30 2015", Some(30_000)),
            ("2015-10-21T07:28:30Z", Some(30_000)),
            ("Wed, 21 Oct 2015 07:27:30 GMT", Some(0)),
            ("Wed, 21 Oct 2035 07:28:30 GMT", Some(86_400_000)),
            ("Wed, 21 Foo 2015 07:28:30 GMT", None),
            ("Wed, 41 Oct 2015 07:28:30 GMT", None),
            ("Wed, 21 Oct 2015 7:28 GMT", None),
        ] {
            assert_eq!(retry_after(header, Some(NOW)), wanted, "{header}");
            let by_no_clock = wanted.filter(|_| !header.contains(':'));
            assert_eq!(retry_after(header, None), by_no_clock, "{header}");
        }
    }

    #[test]
    fn dates_with_one_digit_and_of_the_last_century_are_read() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        assert_eq!(
            http_date("Sunday, 06-Nov-94 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        assert_eq!(http_date("Sun Nov  6 08:49:37 1994"), Some(784_111_777_000));
    }
}
