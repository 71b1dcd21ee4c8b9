//! The parser of event streams, with chunks that break anywhere.

use datum_sync::util::sse::{EventParser, MAX_BYTES, TooLong};

fn heard(chunks: &[&[u8]]) -> Vec<(String, String)> {
    let (mut events, mut heard) = (EventParser::default(), Vec::new());
    for chunk in chunks {
        events
            .feed(chunk, &mut |name, data| {
                heard.push((name.to_owned(), data.to_owned()))
            })
            .unwrap();
    }
    heard
}

fn is(text: &str, expected: &[(&str, &str)]) {
    let got = heard(&[text.as_bytes()]);
    let got: Vec<(&str, &str)> = got
        .iter()
        .map(|(name, data)| (name.as_str(), data.as_str()))
        .collect();
    assert_eq!(got, expected, "{text:?}");
}

#[test]
fn events_comments_and_fields_are_told_apart() {
    is(": open\n\nevent: change\ndata: {}\n\n", &[("change", "{}")]);
    is(
        "event:bye\r\ndata:{\"reason\":\"shutdown\"}\r\n\r\n",
        &[("bye", r#"{"reason":"shutdown"}"#)],
    );
    is(
        "data: a\rdata: b\r\rdata:  c\r\r",
        &[("message", "a\nb"), ("message", " c")],
    );
    is("data\n\n", &[("message", "")]);
    is("data\ndata\n\n", &[("message", "\n")]);
    is("\u{feff}data: x\n\n", &[("message", "x")]);
    is("data: x\n\n\u{feff}data: y\n\n", &[("message", "x")]);
    is(
        "id: 7\nretry: 5\nunknown: z\n:data: no\nEVENT: no\ndata: x\n\n",
        &[("message", "x")],
    );
    is("data: żółw 🐢:ok\n\n", &[("message", "żółw 🐢:ok")]);
}

#[test]
fn an_event_without_data_and_one_that_is_cut_off_are_none() {
    is("event: change\n\ndata: x\n\n", &[("message", "x")]);
    is("event: change\ndata: {}\n", &[]);
    is("event: change\ndata: {}", &[]);
    is("", &[]);
}

#[test]
fn a_line_feed_belongs_to_the_carriage_return_before_it_over_chunks_too() {
    assert_eq!(
        heard(&[b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"]),
        [("message".to_owned(), "a\nb".to_owned())]
    );
    assert_eq!(heard(&[b"data: a\r", b"\r", b"\ndata: b\n\n"]).len(), 2);
}

#[test]
fn what_is_no_text_is_read_as_far_as_it_goes() {
    assert_eq!(
        heard(&[b"event: change\ndata: \xff\xfe\x00\n\n"])[0].0,
        "change"
    );
    assert_eq!(
        heard(&[b"\xef\xbb", b"\xbfdata: x\n\n"]),
        [("message".to_owned(), "x".to_owned())]
    );
}

#[test]
fn a_stream_that_is_no_stream_does_not_fill_the_memory() {
    let mut events = EventParser::default();
    let fed = events.feed(&vec![b'a'; MAX_BYTES + 1], &mut |_, _| {});
    assert_eq!(fed, Err(TooLong));
    let mut events = EventParser::default();
    let line = [b"data: ".as_slice(), &vec![b'a'; MAX_BYTES / 2], b"\n"].concat();
    let fed: Result<Vec<()>, _> = (0..3).map(|_| events.feed(&line, &mut |_, _| {})).collect();
    assert_eq!(fed, Err(TooLong));
    // A comment of any number of short lines is no burden.
    let mut events = EventParser::default();
    for _ in 0..100_000 {
        events.feed(b": still here\n", &mut |_, _| {}).unwrap();
    }
}

#[test]
fn wherever_the_chunks_break_the_events_are_the_same() {
    let text = "\u{feff}: open\r\n\r\nevent: change\rdata: {\"ü\":\"🐢\"}\n\n\r\nevent: bye\ndata: a\r\ndata\ndata: b\r\n\r\n: end\n\ndata: c\r\r";
    let bytes = text.as_bytes();
    let whole = heard(&[bytes]);
    assert_eq!(whole.len(), 3);
    for at in 0..=bytes.len() {
        assert_eq!(heard(&[&bytes[..at], &bytes[at..]]), whole, "cut at {at}");
    }
    let mut state = 1_u64;
    for round in 0..2000 {
        let (mut rest, mut chunks) = (bytes, Vec::new());
        while !rest.is_empty() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (chunk, after) = rest.split_at(((state >> 33) % 9).min(rest.len() as u64) as usize);
            chunks.push(chunk);
            rest = after;
        }
        assert_eq!(heard(&chunks), whole, "round {round}");
    }
}
