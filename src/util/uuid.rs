//! Ids that sort by time.

/// Makes a UUID version 7 from a time and ten random bytes. Such ids sort by the time they were
/// made.
#[must_use]
pub fn uuid_v7(now_ms: u64, random: [u8; 10]) -> String {
    let [r0, r1, rest @ ..] = random;
    let mut out = *b"00000000-0000-0000-0000-000000000000";
    let (first, second) = out.split_at_mut(18);
    put_hex(
        first,
        (now_ms << 16) | 0x7000 | u64::from(u16::from_be_bytes([r0 & 0x0f, r1])),
    );
    put_hex(
        second,
        (u64::from_be_bytes(rest) & (u64::MAX >> 2)) | (1 << 63),
    );
    std::str::from_utf8(&out).unwrap_or_default().to_owned()
}

/// Overwrites the zeros with the number's hexadecimal digits.
fn put_hex(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev().filter(|place| **place == b'0') {
        let half = (number & 15) as u8;
        *place = half.wrapping_add(if half < 10 {
            b'0'
        } else {
            b'a'.wrapping_sub(10)
        });
        number >>= 4;
    }
}
