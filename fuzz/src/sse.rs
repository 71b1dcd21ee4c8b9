//! A stream of hints: wherever its chunks break, the events are the same, and none fills the
//! memory.

use datum_sync::util::sse::{EventParser, MAX_BYTES};

/// The first two bytes say where the rest breaks into chunks.
pub fn holds(bytes: &[u8]) {
    let Some(([first, second], stream)) = bytes.split_first_chunk() else {
        return;
    };
    let whole = heard(&mut std::iter::once(stream));
    assert_eq!(heard(&mut stream.chunks(1)), whole, "byte by byte");
    assert_eq!(
        heard(&mut stream.chunks(usize::from(*first).max(1))),
        whole,
        "in chunks of {first}"
    );
    let (head, tail) = stream.split_at(usize::from(*second).min(stream.len()));
    assert_eq!(
        heard(&mut [head, &[], tail].into_iter()),
        whole,
        "cut at {second}"
    );
}

/// The events, and whether the stream was broken off for its length.
fn heard(chunks: &mut dyn Iterator<Item = &[u8]>) -> (Vec<(String, String)>, bool) {
    let mut events = EventParser::default();
    let mut all = Vec::new();
    for chunk in chunks {
        let fed = events.feed(chunk, &mut |name, data| {
            assert!(data.len() <= MAX_BYTES && name.len() <= MAX_BYTES);
            assert!(
                !data.contains('\r') && !name.contains(['\r', '\n']),
                "a line holds no end of a line"
            );
            all.push((name.to_owned(), data.to_owned()));
        });
        if fed.is_err() {
            return (all, true);
        }
    }
    (all, false)
}
