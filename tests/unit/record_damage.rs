//! Damaged records are refused, byte by byte.

use super::record_samples::{HEADER, events, sealed, segments};
use datum_sync::log::commit::Commit;
use datum_sync::model::error::Code;

fn is_corrupt(record: &[u8]) -> bool {
    Commit::decode(record).is_err_and(|error| error.code() == Code::Corrupt)
}

#[test]
fn a_record_cut_short_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    for len in 0..record.len() {
        assert!(is_corrupt(&record[..len]), "cut after {len} bytes");
        if len >= HEADER {
            assert!(
                is_corrupt(&sealed(&record[HEADER..len])),
                "cut after {len} bytes, and sealed again"
            );
        }
    }
}

#[test]
fn a_record_with_bytes_behind_it_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    assert!(is_corrupt(&[&record, &[0][..]].concat()));
    assert!(is_corrupt(&sealed(&[&record[HEADER..], &[0]].concat())));
}

#[test]
fn one_wrong_byte_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    let mut damaged = record.to_vec();
    for at in 0..damaged.len() {
        for bits in [1, 0x80, 0xff] {
            damaged[at] ^= bits;
            assert!(is_corrupt(&damaged), "byte {at} changed by {bits:#x}");
            damaged[at] ^= bits;
        }
    }
}

#[test]
fn what_no_version_writes_is_corrupt() {
    let cases: [(&str, &[u8], &[u8]); 17] = [
        ("nothing", b"\x00\x00", b""),
        ("an unknown event", b"\x01\x08\x00", b"\x01\x11\x00"),
        (
            "more events than there are",
            b"\x01\x07\x00",
            b"\x02\x07\x00",
        ),
        (
            "as many events as can be counted",
            b"\x80\x00\x00",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
        ),
        (
            "a number without an end",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00",
        ),
        (
            "a text that is not UTF-8",
            b"\x01\x0a\x01a\x00",
            b"\x01\x0a\x01\xff\x00",
        ),
        (
            "a text of more bytes than there are",
            b"\x01\x0a\x01a\x00",
            b"\x01\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00",
        ),
        (
            "a flag of two",
            b"\x01\x02\x01o\x01\x01\x00\x00\x00",
            b"\x01\x02\x01o\x01\x02\x00\x00\x00",
        ),
        (
            "an unknown kind of operation",
            b"\x01\x00\x01o\x01t\x01i\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\x01\x00\x01o\x01t\x01i\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            "an unknown kind of body",
            b"\x00\x01\x01t\x02\x00\x00",
            b"\x00\x01\x01t\x03\x00\x00",
        ),
        (
            "an unknown flag of a row",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x07\x00",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x08\x00",
        ),
        (
            "a row of more than four gigabytes",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x0a\x01i\x01\x00\xff\xff\xff\xff\x0f\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x0a\x01i\x01\x00\xff\xff\xff\xff\x1f\x00",
        ),
        (
            "rows that are plain, it is said, and a tombstone",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x01\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x01\x00",
        ),
        (
            "another last id than the last row's",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01j\x05\x01i\x01\x00\x00",
        ),
        (
            "ids that ascend, and are not said to",
            b"\x00\x01\x01t\x00\x00\x02\x01\x01\x01j\x0a\x01i\x01\x00\x00\x01j\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x02\x01\x00\x0a\x01i\x01\x00\x00\x01j\x01\x00\x00",
        ),
        (
            "ids that do not ascend, and are said to",
            b"\x00\x01\x01t\x00\x00\x02\x01\x00\x0a\x01j\x01\x00\x00\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x02\x01\x01\x01i\x0a\x01j\x01\x00\x00\x01i\x01\x00\x00",
        ),
        (
            "more bytes than the rows have",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x06\x01i\x01\x00\x00\x00",
        ),
    ];
    for (what, right, wrong) in cases {
        assert!(
            Commit::decode(&sealed(right)).is_ok(),
            "what stands beside it is right: {what}"
        );
        assert!(is_corrupt(&sealed(wrong)), "{what}");
    }
}

/// A checksum only proves that the bytes are as written. Reading ends whatever they are, and what
/// it finds is written in a form that reads the same.
#[test]
fn any_bytes_under_a_right_checksum_are_read_or_refused() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut read = 0;
    for round in 0..10_000 {
        let payload: Vec<u8> = if round % 2 == 0 {
            // VecMap bytes: tags, flags and short lengths.
            (0..random() % 40)
                .map(|_| {
                    if random() % 4 == 0 {
                        random() as u8
                    } else {
                        (random() % 18) as u8
                    }
                })
                .collect()
        } else {
            let mut payload = record[HEADER..].to_vec();
            for _ in 0..=random() % 3 {
                let at = random() as usize % payload.len();
                payload[at] = random() as u8;
            }
            payload
        };
        if let Ok(commit) = Commit::decode(&sealed(&payload)) {
            read += 1;
            // A body may have grown too long to lie in the record: only the second writing is the
            // same.
            let again = commit.encode(7).record;
            assert!(
                Commit::decode(&again).unwrap().encode(7).record == again,
                "round {round}"
            );
        }
    }
    assert!(
        read > 100,
        "{read} of the payloads could be read: too few to say anything"
    );
}
