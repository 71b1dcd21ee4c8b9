//! Comparisons within strings. All are of decoded characters.

/// Code points that have a counterpart in lower case: from, to, every how many, and how far it is.
/// One to one, and the same in every language: Latin, Greek, Cyrillic, Armenian, Georgian and
/// full-width letters. The standard library's table for all scripts is 11 KiB of the module.
const FOLDED: [(u32, u32, u32, i32); 43] = [
    (0x41, 0x5a, 1, 32),
    (0xc0, 0xd6, 1, 32),
    (0xd8, 0xde, 1, 32),
    (0x100, 0x12e, 2, 1),
    (0x130, 0x130, 1, -199),
    (0x132, 0x136, 2, 1),
    (0x139, 0x147, 2, 1),
    (0x14a, 0x176, 2, 1),
    (0x178, 0x178, 1, -121),
    (0x179, 0x17d, 2, 1),
    (0x17f, 0x17f, 1, -268),
    (0x1a0, 0x1a4, 2, 1),
    (0x1af, 0x1af, 1, 1),
    (0x1cd, 0x1db, 2, 1),
    (0x1de, 0x1ee, 2, 1),
    (0x1f8, 0x21e, 2, 1),
    (0x222, 0x232, 2, 1),
    (0x386, 0x386, 1, 38),
    (0x388, 0x38a, 1, 37),
    (0x38c, 0x38c, 1, 64),
    (0x38e, 0x38f, 1, 63),
    (0x391, 0x3a1, 1, 32),
    (0x3a3, 0x3ab, 1, 32),
    (0x3c2, 0x3c2, 1, 1),
    (0x400, 0x40f, 1, 80),
    (0x410, 0x42f, 1, 32),
    (0x460, 0x480, 2, 1),
    (0x48a, 0x4be, 2, 1),
    (0x4c0, 0x4c0, 1, 15),
    (0x4c1, 0x4cd, 2, 1),
    (0x4d0, 0x52e, 2, 1),
    (0x531, 0x556, 1, 48),
    (0x1c90, 0x1cba, 1, -3008),
    (0x1cbd, 0x1cbf, 1, -3008),
    (0x1e00, 0x1e94, 2, 1),
    (0x1e9e, 0x1e9e, 1, -7615),
    (0x1ea0, 0x1efe, 2, 1),
    (0x2126, 0x2126, 1, -7517),
    (0x212a, 0x212a, 1, -8383),
    (0x212b, 0x212b, 1, -8262),
    (0x2160, 0x216f, 1, 16),
    (0x24b6, 0x24cf, 1, 26),
    (0xff21, 0xff3a, 1, 32),
];

fn within(code: u32, from: u32, to: u32, every: u32) -> bool {
    (from..=to).contains(&code) && code.wrapping_sub(from).checked_rem(every) == Some(0)
}

/// Returns the code point that stands for a letter in both cases.
pub(super) fn fold(code: u32) -> u32 {
    if code < 0x80 {
        let upper = within(code, 0x41, 0x5a, 1);
        return if upper { code | 0x20 } else { code };
    }
    FOLDED
        .iter()
        .find(|(from, to, every, _)| within(code, *from, *to, *every))
        .and_then(|(_, _, _, far)| code.checked_add_signed(*far))
        .unwrap_or(code)
}

/// Iterates over the other code points that a folded one stands for.
pub(super) fn unfold(folded: u32) -> impl Iterator<Item = u32> {
    FOLDED.iter().filter_map(move |(from, to, every, far)| {
        let code = folded.checked_add_signed(far.wrapping_neg())?;
        within(code, *from, *to, *every).then_some(code)
    })
}

/// Appends a text with both cases made one.
pub(super) fn push_folded(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_ascii() {
        return out.extend(text.iter().map(u8::to_ascii_lowercase));
    }
    for code in super::walk::codes(text) {
        super::walk::push_code(out, fold(code));
    }
}

/// Returns true if a text has another one in it.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else {
        return true;
    };
    text.windows(part.len())
        .any(|window| window.first() == Some(first) && window == part)
}
