//! Cursors of pages: where the last page ended, as a text that apps pass on.
//!
//! A cursor is the sort key of the last entity, so the next page begins behind it whatever has been
//! inserted, moved or deleted meanwhile. It is bound to the query: another order has other keys.

use crate::util::hash::hash;

/// The format. Another one is another letter.
const FORMAT: u8 = b'a';

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns the cursor behind a sort key of a query.
pub(super) fn write(fingerprint: u32, key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len().saturating_mul(2).saturating_add(17));
    text.push(char::from(FORMAT));
    let check = hash(key) as u32;
    for byte in [fingerprint, check]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .chain(key.iter().copied())
    {
        for digit in [byte >> 4, byte & 15] {
            text.extend(
                DIGITS
                    .get(usize::from(digit))
                    .map(|digit| char::from(*digit)),
            );
        }
    }
    text
}

/// Returns the sort key of a cursor.
///
/// # Errors
/// Fails with what is wrong with the cursor.
pub(super) fn read(text: &[u8], fingerprint: u32) -> Result<Box<[u8]>, &'static str> {
    const FOREIGN: &str =
        "must be the `after` that a page of this query returned; leave it out for the first page.";
    let (format, digits) = text.split_first().ok_or(FOREIGN)?;
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        let digit = |at: usize| {
            let digit = pair.get(at)?;
            DIGITS.iter().position(|have| have == digit)
        };
        let (high, low) = digit(0).zip(digit(1)).ok_or(FOREIGN)?;
        bytes.push((high << 4 | low) as u8);
    }
    let (print, rest) = bytes.split_first_chunk().ok_or(FOREIGN)?;
    let (check, key) = rest.split_first_chunk().ok_or(FOREIGN)?;
    if u32::from_be_bytes(*check) != hash(key) as u32 {
        return Err(FOREIGN);
    }
    if *format != FORMAT {
        return Err(
            "is the cursor of another version of datum-sync; begin at the first page again.",
        );
    }
    if u32::from_be_bytes(*print) != fingerprint {
        return Err(
            "is the cursor of another query. Pages of one list have the same `where`, `orderBy` and `includeDeleted`; begin at the first page again.",
        );
    }
    Ok(key.into())
}
