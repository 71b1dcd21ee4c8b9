//! The order of the functions in a part: similar ones side by side, which compresses better.

use std::collections::{HashMap, HashSet};

/// Functions are similar by the pieces of this many bytes that they share.
const WIDTH: usize = 4;

/// A piece that is in more functions does not count: it says nothing about any of them.
const COMMON: usize = 200;

/// How much the likeness to an earlier function counts, beside that to the one after it.
const FADING: f64 = 0.6;

/// Added to the number of a function's pieces, so that short functions are not like everything.
const SHORT: f64 = 20.0;

/// Returns the places of the functions with this code in their new order: the longest one first, and then
/// always the one that is most like the last few.
pub fn by_likeness(codes: &[&[u8]]) -> Vec<usize> {
    let (pieces, places) = shared_pieces(codes);
    let mut left: Vec<usize> = (0..codes.len()).collect();
    let mut likeness = vec![0.0; codes.len()];
    let mut ordered = Vec::with_capacity(codes.len());
    let longest = |at: &usize| (codes.get(*at).map_or(0, |code| code.len()), usize::MAX - at);
    let mut next = left.iter().copied().max_by_key(longest);
    while let Some(last) = next {
        ordered.push(last);
        left.retain(|at| *at != last);
        for at in &left {
            if let Some(likeness) = likeness.get_mut(*at) {
                *likeness *= FADING;
            }
        }
        for piece in pieces.get(last).into_iter().flatten() {
            for at in places.get(piece).into_iter().flatten() {
                if let Some(likeness) = likeness.get_mut(*at) {
                    *likeness += 1.0;
                }
            }
        }
        let relative = |at: usize| {
            let count = pieces.get(at).map_or(0, Vec::len) as f64;
            likeness.get(at).copied().unwrap_or_default() / (count + SHORT)
        };
        // The first of equals.
        let better = |best: usize, at: usize| {
            if relative(at) > relative(best) {
                at
            } else {
                best
            }
        };
        next = left.iter().copied().reduce(better);
    }
    ordered
}

/// Returns the pieces of each code that others have too, and the codes that have each piece.
fn shared_pieces(codes: &[&[u8]]) -> (Vec<Vec<u32>>, HashMap<u32, Vec<usize>>) {
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, code) in codes.iter().enumerate() {
        let windows = code.windows(WIDTH);
        let pieces: HashSet<u32> = windows.filter_map(piece).collect();
        for piece in pieces {
            places.entry(piece).or_default().push(at);
        }
    }
    places.retain(|_, places| (2..=COMMON).contains(&places.len()));
    let mut pieces = vec![Vec::new(); codes.len()];
    for (piece, places) in &places {
        for at in places {
            if let Some(own) = pieces.get_mut(*at) {
                own.push(*piece);
            }
        }
    }
    (pieces, places)
}

fn piece(window: &[u8]) -> Option<u32> {
    window.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::by_likeness;

    #[test]
    fn similar_code_is_side_by_side_after_the_longest() {
        let codes: [&[u8]; 5] = [
            b"first, of one kind",
            b"second, and quite another matter",
            b"first, of one kind too",
            b"1234",
            b"second, and quite another matter!!",
        ];
        assert_eq!(by_likeness(&codes), [4, 1, 0, 2, 3]);
    }

    #[test]
    fn every_function_has_one_place() {
        let codes: Vec<Vec<u8>> = (0_u8..50).map(|n| vec![n / 7; usize::from(n)]).collect();
        let codes: Vec<&[u8]> = codes.iter().map(Vec::as_slice).collect();
        let mut ordered = by_likeness(&codes);
        ordered.sort_unstable();
        assert_eq!(ordered, (0..50).collect::<Vec<_>>());
        assert!(by_likeness(&[]).is_empty());
    }
}
