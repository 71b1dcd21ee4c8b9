//! Times as the surface has them: ISO 8601 UTC with milliseconds, from and to milliseconds since
//! 1970. Nothing here reads a clock: `now` is always an argument.

use std::time::{Duration, UNIX_EPOCH};

/// The last moment that has a four-digit year.
const LATEST_MS: u64 = 253_402_300_799_999;

/// Milliseconds since 1970 as text, such as `2026-01-31T12:00:00.000Z`.
#[must_use]
pub fn format(ms: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms.min(LATEST_MS))).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_millis(time).to_string()
}

/// Text as milliseconds since 1970; none where it is no such time, or before 1970.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// A UUID version 7 from a time and ten random bytes: sorts by the time it was made.
#[must_use]
pub fn uuid_v7(now_ms: u64, random: [u8; 10]) -> String {
    let [_, _, t0, t1, t2, t3, t4, t5] = now_ms.to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
    let bytes = [t0, t1, t2, t3, t4, t5, (r0 & 0x0f) | 0x70, r1, (r2 & 0x3f) | 0x80, r3, r4, r5, r6, r7, r8, r9];
    let mut out = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(u32::from(half), 16));
        }
    }
    out
}
