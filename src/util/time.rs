//! Times in ISO 8601 UTC with milliseconds, to and from milliseconds since 1970. Nothing here reads
//! a clock: the current time is always an argument.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "every day until 9999 is tested, and larger or smaller numbers are refused before"
)]

/// The last millisecond of the year 9999.
const LATEST_MS: u64 = 253_402_300_799_999;

const DAY_MS: u64 = 86_400_000;

/// Days from 0000-03-01 to 1970-01-01. The calendar below starts its years in March, so that a leap
/// day is the last day of its year.
const TO_1970: u64 = 719_468;

/// Formats milliseconds since 1970, such as `2026-01-31T12:00:00.000Z`.
#[must_use]
pub fn format(ms: u64) -> String {
    let ms = ms.min(LATEST_MS);
    let (year, month, day) = date(ms / DAY_MS);
    let mut out = String::with_capacity(24);
    let mut put = |number: u64, digits: u32, after: char| {
        push_digits(&mut out, number, digits);
        out.push(after);
    };
    put(year, 4, '-');
    put(month, 2, '-');
    put(day, 2, 'T');
    put(ms / 3_600_000 % 24, 2, ':');
    put(ms / 60_000 % 60, 2, ':');
    put(ms / 1000 % 60, 2, '.');
    put(ms % 1000, 3, 'Z');
    out
}

fn push_digits(out: &mut String, number: u64, digits: u32) {
    if digits > 0 {
        push_digits(out, number / 10, digits - 1);
        out.extend(char::from_digit((number % 10) as u32, 10));
    }
}

/// Parses a time in UTC as milliseconds since 1970; `None` if it is anything else, or before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    // `fraction` is what follows the seconds: nothing, or a dot and any number of digits.
    let (head, fraction) = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?
        .split_at_checked(19)?;
    let mut number = 0_u64;
    let mut parts = [0_u64; 6];
    let mut part = parts.iter_mut();
    for (byte, pattern) in head.bytes().chain([b'#']).zip(*b"0000-00-00T00:00:00#") {
        if pattern == b'0' && byte.is_ascii_digit() {
            number = number * 10 + u64::from(byte - b'0');
        } else if byte == pattern {
            *part.next()? = std::mem::take(&mut number);
        } else {
            return None;
        }
    }
    let [year, month, day, hour, minute, second] = parts;
    if year < 1970 || month == 0 || day == 0 {
        return None;
    }
    let days = days(year, month, day);
    if date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut ms = 0_u64;
    let mut place_value = 100;
    if !fraction.is_empty() {
        for digit in fraction.strip_prefix('.')?.bytes() {
            if !digit.is_ascii_digit() {
                return None;
            }
            ms += u64::from(digit - b'0') * place_value;
            place_value /= 10;
        }
    }
    // A leap second reads as the second before it.
    let seconds = hour * 3600 + minute * 60 + second.min(59);
    Some(days * DAY_MS + seconds * 1000 + ms)
}

/// Returns the year, month and day of a day since 1970, by the calendar's cycle (era) of 400 years.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let leap_days = day / 1460 - day / 36_524 + day / 146_096;
    let year = (day - leap_days) / 365;
    let day = day - days_before(year);
    // Counted from March, the first days of the months lie on a line.
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// The inverse of [`date`]. Any number for a month or a day that does not exist.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year / 400, year % 400);
    let in_year = (month * 153 + 2) / 5 + day - 1;
    era * 146_097 + days_before(year) + in_year - TO_1970
}

/// Returns the number of days in the first `years` years of an era.
const fn days_before(years: u64) -> u64 {
    years * 365 + years / 4 - years / 100
}

#[cfg(test)]
mod tests {
    use super::DAY_MS;
    use super::LATEST_MS;
    use super::date;
    use super::days;
    use super::format;
    use super::parse;
    use crate::util::uuid::uuid_v7;

    #[test]
    fn every_day_is_the_one_after_the_day_before() {
        let mut last = (1969, 12, 31);
        for day in 0..=LATEST_MS / DAY_MS {
            let (year, month, of_month) = date(day);
            let follows = match last {
                (_, m, d) if (m, d + 1) == (month, of_month) => last.0 == year,
                (y, 12, 31) => (y + 1, 1, 1) == (year, month, of_month),
                (y, 2, 28) => {
                    (y, 3, 1) == (year, month, of_month)
                        && !(y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
                }
                (y, 2, 29) => {
                    (y, 3, 1) == (year, month, of_month)
                        && y % 4 == 0
                        && (y % 100 != 0 || y % 400 == 0)
                }
                (y, m, d) => {
                    of_month == 1
                        && (y, m + 1) == (year, month)
                        && d == if [4, 6, 9, 11].contains(&m) { 30 } else { 31 }
                }
            };
            assert!(follows, "{last:?}, then {year}-{month}-{of_month}");
            assert_eq!(days(year, month, of_month), day);
            last = (year, month, of_month);
        }
        assert_eq!(last, (9999, 12, 31));
    }

    #[test]
    fn an_id_has_its_time_and_its_dice_in_the_places_of_the_standard() {
        // The example of RFC 9562, appendix A.6; the bits that version and variant overwrite are
        // lost.
        let random = [0xfc, 0xc3, 0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        assert_eq!(
            uuid_v7(0x017f_22e2_79b0, random),
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        );
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [
            0,
            1,
            951_782_399_999,
            951_782_400_000,
            1_769_860_800_123,
            LATEST_MS,
        ] {
            assert_eq!(parse(&format(ms)), Some(ms));
        }
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(951_825_296_007), "2000-02-29T11:54:56.007Z");
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn times_of_others_are_read_in_utc_only() {
        let noon = Some(1_769_860_800_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.0Z",
            "2026-01-31T12:00:00.0009999999999Z",
            "2026-01-31T12:00:00+00:00",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(
            parse("2026-01-31T12:00:00.25+00:00"),
            noon.map(|ms| ms + 250)
        );
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2016-12-31T23:59:59Z"));
        for text in [
            "",
            "Z",
            "2026-01-31",
            "2026-01-31T12:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-01-31t12:00:00z",
            "2026-02-29T12:00:00Z",
            "2026-00-10T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-04-31T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:61Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-01-31T12:00:00,5Z",
            "2026-01-31T12:00:00.5xZ",
            "2026-01-31T12:00:00+01:00",
            "+026-01-31T12:00:00Z",
            "2026-01-31T12:00:0ÄZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
