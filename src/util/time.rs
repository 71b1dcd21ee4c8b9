//! Times as the surface has them: ISO 8601 UTC with milliseconds, from and to milliseconds since
//! 1970. Nothing here reads a clock: `now` is always an argument.

/// The last moment that has a four-digit year.
const LATEST_MS: u64 = 253_402_300_799_999;

const DAY_MS: u64 = 86_400_000;

/// Days from 0000-03-01, where years of the count below begin so that a leap day is the last of its
/// year, to 1970.
const TO_1970: u64 = 719_468;

/// Milliseconds since 1970 as text, such as `2026-01-31T12:00:00.000Z`.
#[must_use]
pub fn format(ms: u64) -> String {
    let ms = ms.min(LATEST_MS);
    let (year, month, day) = date(ms.wrapping_div(DAY_MS));
    let mut out = String::with_capacity(24);
    let mut put = |number: u64, digits: u32, after: char| {
        push_digits(&mut out, number, digits);
        out.push(after);
    };
    put(year, 4, '-');
    put(month, 2, '-');
    put(day, 2, 'T');
    put(ms.wrapping_div(3_600_000).wrapping_rem(24), 2, ':');
    put(ms.wrapping_div(60_000).wrapping_rem(60), 2, ':');
    put(ms.wrapping_div(1000).wrapping_rem(60), 2, '.');
    put(ms.wrapping_rem(1000), 3, 'Z');
    out
}

fn push_digits(out: &mut String, number: u64, digits: u32) {
    if let Some(before) = digits.checked_sub(1) {
        push_digits(out, number.wrapping_div(10), before);
        out.extend(char::from_digit(number.wrapping_rem(10) as u32, 10));
    }
}

/// Text as milliseconds since 1970; none where it is no such time, or before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    // What is after the second: nothing, or a fraction of any length.
    let (head, fraction) = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?
        .split_at_checked(19)?;
    let mut number = 0_u64;
    let mut parts = [0_u64; 6];
    let mut part = parts.iter_mut();
    for (byte, pattern) in head.bytes().chain([b'#']).zip(*b"0000-00-00T00:00:00#") {
        if pattern == b'0' && byte.is_ascii_digit() {
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(byte.wrapping_sub(b'0')));
        } else if byte == pattern {
            *part.next()? = std::mem::take(&mut number);
        } else {
            return None;
        }
    }
    let [year, month, day, hour, minute, second] = parts;
    let days = days(year, month, day);
    if year < 1970 || date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut ms = 0_u64;
    let mut worth = 100;
    if !fraction.is_empty() {
        for digit in fraction.strip_prefix('.')?.bytes() {
            if !digit.is_ascii_digit() {
                return None;
            }
            ms = ms.wrapping_add(u64::from(digit.wrapping_sub(b'0')).wrapping_mul(worth));
            worth = worth.wrapping_div(10);
        }
    }
    // A leap second is as long as the one before it.
    let seconds = hour
        .wrapping_mul(3600)
        .wrapping_add(minute.wrapping_mul(60))
        .wrapping_add(second.min(59));
    Some(
        days.wrapping_mul(DAY_MS)
            .wrapping_add(seconds.wrapping_mul(1000))
            .wrapping_add(ms),
    )
}

/// Year, month and day of a day since 1970, by the calendar's cycle of 400 years.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days.wrapping_add(TO_1970);
    let (era, day) = (days.wrapping_div(146_097), days.wrapping_rem(146_097));
    let leaps = day
        .wrapping_div(1460)
        .wrapping_sub(day.wrapping_div(36_524))
        .wrapping_add(day.wrapping_div(146_096));
    let year = day.wrapping_sub(leaps).wrapping_div(365);
    let day = day.wrapping_sub(before(year));
    // Months from March on: their first days lie on a line.
    let month = day.wrapping_mul(5).wrapping_add(2).wrapping_div(153);
    let day = day
        .wrapping_sub(month.wrapping_mul(153).wrapping_add(2).wrapping_div(5))
        .wrapping_add(1);
    let year = year.wrapping_add(era.wrapping_mul(400));
    if month < 10 {
        (year, month.wrapping_add(3), day)
    } else {
        (year.wrapping_add(1), month.wrapping_sub(9), day)
    }
}

/// The reverse; anything for a month or a day that there is not.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month.wrapping_sub(3))
    } else {
        (year.wrapping_sub(1), month.wrapping_add(9))
    };
    let (era, year) = (year.wrapping_div(400), year.wrapping_rem(400));
    let in_year = month
        .wrapping_mul(153)
        .wrapping_add(2)
        .wrapping_div(5)
        .wrapping_add(day)
        .wrapping_sub(1);
    era.wrapping_mul(146_097)
        .wrapping_add(before(year))
        .wrapping_add(in_year)
        .wrapping_sub(TO_1970)
}

/// The days of that many years of an era.
const fn before(years: u64) -> u64 {
    years
        .wrapping_mul(365)
        .wrapping_add(years.wrapping_div(4))
        .wrapping_sub(years.wrapping_div(100))
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
        // The example of RFC 9562, appendix A.6; what version and variant take the place of is
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
