//! What most strings are: text that stands in JSON as it is, looked at eight bytes at once.

/// Whether a text stands in JSON as it is: no quote, no backslash, no control character.
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

/// How many bytes of a string can be passed over, eight at once, for as long as none of them is a
/// quote, a backslash or a control character. In the sums below a byte's high bit is set where it
/// is one, or where it follows one.
pub(super) fn plain(mut bytes: &[u8]) -> usize {
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
