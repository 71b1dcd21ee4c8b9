//! Records of the log: written records can be read, damaged ones are refused.

use datum_sync::log::commit::{Commit, SegmentBody};
use datum_sync::log::segment::{INLINE_BYTES, checksum};
use datum_sync::model::error::Code;

const HEADER: usize = 12;

/// Takes a record's payload. The checksum is added, because it does not protect against crafted
/// payloads.
pub fn holds(payload: &[u8]) {
    check_decodes_consistently(payload);
    let record = sealed(payload);
    check_decodes_consistently(&record);
    let Ok(commit) = Commit::decode(&record) else {
        return;
    };
    let encoded = commit.encode(7);
    let again = Commit::decode(&encoded.record).expect("a written record can be read");
    assert_eq!(again.events, commit.events);
    assert_eq!(again.segments.len(), commit.segments.len());
    let mut bodies = encoded.bodies.iter();
    for (now, was) in again.segments.iter().zip(&commit.segments) {
        assert_eq!((&now.entity, &now.entries), (&was.entity, &was.entries));
        match (&was.body, &now.body) {
            (SegmentBody::New(bytes), SegmentBody::Stored { len, hash }) => {
                let (_, beside) = bodies
                    .next()
                    .expect("a long body is stored beside its record");
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
        "encoding is deterministic"
    );
    check_damage_is_refused(&encoded.record, payload);
}

fn check_decodes_consistently(record: &[u8]) {
    match Commit::decode(record) {
        Ok(commit) => assert_eq!(Commit::decode(record).ok(), Some(commit)),
        Err(error) => assert_eq!(error.code(), Code::Corrupt),
    }
}

/// A record is refused if a byte is changed, missing or added.
fn check_damage_is_refused(record: &[u8], dice: &[u8]) {
    let sum = usize::try_from(checksum(dice) >> 33).unwrap_or(0);
    let at = sum % record.len();
    let mut changed = record.to_vec();
    changed[at] ^= 1 << (sum % 8);
    assert!(Commit::decode(&changed).is_err(), "byte {at} changed");
    assert!(Commit::decode(&record[..at]).is_err(), "cut after {at}");
    assert!(
        Commit::decode(&[record, &[0]].concat()).is_err(),
        "an extra byte"
    );
}

/// Builds a record with a valid checksum over any payload.
pub fn sealed(payload: &[u8]) -> Vec<u8> {
    let empty = Commit::default().encode(1).record;
    let mut record = Vec::with_capacity(payload.len() + HEADER);
    record.extend_from_slice(&empty[..4]);
    record.extend_from_slice(&checksum(payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}
