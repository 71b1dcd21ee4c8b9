//! A stream of hints: the events do not depend on where chunks end, and their size is limited.

use datum_sync::util::sse::{EventParser, MAX_BYTES};

/// Takes a stream after two bytes that say how to split it into chunks.
pub fn holds(bytes: &[u8]) {
    let Some(([first, second], stream)) = bytes.split_first_chunk() else {
        return;
    };
    let whole = parse(&mut std::iter::once(stream));
    assert_eq!(parse(&mut stream.chunks(1)), whole, "byte by byte");
    assert_eq!(
        parse(&mut stream.chunks(usize::from(*first).max(1))),
        whole,
        "in chunks of {first}"
    );
    let (head, tail) = stream.split_at(usize::from(*second).min(stream.len()));
    assert_eq!(
        parse(&mut [head, &[], tail].into_iter()),
        whole,
        "cut at {second}"
    );
}

/// Returns the events, and whether the stream was ended because of its length.
fn parse(chunks: &mut dyn Iterator<Item = &[u8]>) -> (Vec<(String, String)>, bool) {
    let mut events = EventParser::default();
    let mut all = Vec::new();
    for chunk in chunks {
        let fed = events.feed(chunk, &mut |name, data| {
            assert!(data.len() <= MAX_BYTES && name.len() <= MAX_BYTES);
            assert!(
                !data.contains('\r') && !name.contains(['\r', '\n']),
                "a line has no line break"
            );
            all.push((name.to_owned(), data.to_owned()));
        });
        if fed.is_err() {
            return (all, true);
        }
    }
    (all, false)
}
