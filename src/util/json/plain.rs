//! Finds the part of a string that needs no escapes, eight bytes at a time.

/// Returns true if a text needs no escapes: it has no quote, backslash or control character.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let rest = text
        .as_bytes()
        .get(plain(text.as_bytes())..)
        .unwrap_or_default();
    !rest
        .iter()
        .any(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))
}

/// Returns how many bytes can be skipped before the first quote, backslash or control character;
/// at most seven bytes at the end are left unchecked. In the sums below, a byte's high bit is set
/// if it is such a byte or follows one.
pub fn plain(mut bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let any = |word: u64, least: u64| word.wrapping_sub(ONES.wrapping_mul(least)) & !word;
    let mut passed = 0_usize;
    while let Some((eight, rest)) = bytes.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let quote = any(word ^ ONES.wrapping_mul(0x22), 1);
        let backslash = any(word ^ ONES.wrapping_mul(0x5c), 1);
        let found = (quote | backslash | any(word, 0x20)) & ONES.wrapping_mul(0x80);
        passed = passed.saturating_add((found.trailing_zeros() / 8) as usize);
        if found != 0 {
            break;
        }
        bytes = rest;
    }
    passed
}
