//! Records of the log: what was written is read, and what is damaged is refused.

use datum_sync::log::commit::{Commit, SegmentBody};
use datum_sync::log::segment::{INLINE_BYTES, checksum};
use datum_sync::model::error::Code;

const HEADER: usize = 12;

/// A record's payload. The checksum is put before it: it tells only that somebody wrote the bytes,
/// not who.
pub fn holds(payload: &[u8]) {
    refused_or_the_same(payload);
    let record = sealed(payload);
    refused_or_the_same(&record);
    let Ok(commit) = Commit::decode(&record) else {
        return;
    };
    let encoded = commit.encode(7);
    let again = Commit::decode(&encoded.record).expect("what was written is read");
    assert_eq!(again.events, commit.events);
    assert_eq!(again.segments.len(), commit.segments.len());
    let mut bodies = encoded.bodies.iter();
    for (now, was) in again.segments.iter().zip(&commit.segments) {
        assert_eq!((&now.entity, &now.entries), (&was.entity, &was.entries));
        match (&was.body, &now.body) {
            (SegmentBody::New(bytes), SegmentBody::Stored { len, hash }) => {
                let (_, beside) = bodies.next().expect("a long body lies beside its record");
                assert!(bytes.len() > INLINE_BYTES);
                assert_eq!(
                    (beside, *len as usize, *hash),
                    (bytes, bytes.len(), checksum(bytes))
                );
            }
            (was, now) => assert_eq!(was, now),
        }
    }
    assert!(bodies.next().is_none());
    assert_eq!(
        again.encode(7).record,
        encoded.record,
        "a second writing is the same"
    );
    damaged(&encoded.record, payload);
}

fn refused_or_the_same(record: &[u8]) {
    match Commit::decode(record) {
        Ok(commit) => assert_eq!(Commit::decode(record).ok(), Some(commit)),
        Err(error) => assert_eq!(error.code(), Code::Corrupt),
    }
}

/// A record with one byte changed, some cut off, or some too many is no record.
fn damaged(record: &[u8], dice: &[u8]) {
    let sum = usize::try_from(checksum(dice) >> 33).unwrap_or(0);
    let at = sum % record.len();
    let mut changed = record.to_vec();
    changed[at] ^= 1 << (sum % 8);
    assert!(Commit::decode(&changed).is_err(), "byte {at} changed");
    assert!(Commit::decode(&record[..at]).is_err(), "cut after {at}");
    assert!(
        Commit::decode(&[record, &[0]].concat()).is_err(),
        "a byte too many"
    );
}

/// A record over any payload, with the checksum that it should have.
pub fn sealed(payload: &[u8]) -> Vec<u8> {
    let empty = Commit::default().encode(1).record;
    let mut record = Vec::with_capacity(payload.len() + HEADER);
    record.extend_from_slice(&empty[..4]);
    record.extend_from_slice(&checksum(payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}
