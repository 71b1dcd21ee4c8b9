//! Drafts and envelopes: what an app writes is kept, what the engine owns cannot be contradicted,
//! and what is stored is read again as it was.

use datum_sync::conflict::{clashing_fields, field_hashes, is_own, same_content};
use datum_sync::model::entity::{
    Fields, MAX_ID_BYTES, OWN_FIELDS, Owner, is_time, parse_draft, push_entity, times,
};
use datum_sync::model::error::Code;
use serde_json::Value;
use serde_json::value::RawValue;

const NOW: &str = "2026-01-31T12:00:00.000Z";
const BEFORE: &str = "2025-06-30T00:00:00.000Z";

/// How many fields are looked at one by one: looking is a walk, and what is large shall show the
/// engine's walks, not these.
const FEW: usize = 64;

/// The text of an object, or any bytes.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(fields) = Fields::parse(text) else {
        assert_eq!(times(text), times("{}"));
        assert_eq!(
            parse_draft(text, NOW, None, true).map_err(|error| error.code()),
            Err(Code::InvalidEntity)
        );
        return;
    };
    let written = fields.to_json();
    let again = Fields::parse(&written).expect("what was written is read");
    assert_eq!(again.0, fields.0);
    assert_eq!(again.to_json(), written);
    for (key, _) in fields.0.iter().take(FEW) {
        assert_eq!(
            fields.get(key),
            fields
                .0
                .iter()
                .rev()
                .find(|(other, _)| other == key)
                .map(|(_, raw)| *raw)
        );
    }
    match parse_draft(text, NOW, None, true) {
        Ok(draft) => {
            assert!(
                draft
                    .id
                    .as_ref()
                    .is_none_or(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
            );
            let own: Vec<&str> = fields
                .0
                .iter()
                .map(|(key, _)| &**key)
                .filter(|key| !OWN_FIELDS.contains(key))
                .collect();
            assert_eq!(
                draft.fields, own,
                "every field of the app's is kept, in order"
            );
            let stored = Fields::parse(&draft.body).expect("a body is an object");
            for name in own.iter().take(FEW) {
                assert_eq!(stored.get(name), fields.get(name), "{name}");
            }
            assert_eq!(
                stored.get("modifiedAt"),
                Some(["\"", NOW, "\""].concat().as_str())
            );
            stored_is_stable(&draft.body);
            envelope_wins(&draft.body);
        }
        Err(error) => assert_eq!(error.code(), Code::InvalidEntity),
    }
    envelope_wins(text);
    comparisons_hold(text);
}

/// A body that is written again as it was read keeps its fields, and the time at which it was made.
fn stored_is_stable(body: &str) {
    let made = times(body)
        .created_at
        .expect("a body says when it was made");
    let again = parse_draft(body, NOW, None, true).expect("a body is a draft");
    assert_eq!(again.body, body);
    let kept = parse_draft(body, NOW, Some(BEFORE), true).expect("a body is a draft");
    assert_eq!(times(&kept.body).created_at.as_deref(), Some(BEFORE));
    assert!(datum_sync::util::time::parse(&made).is_some());
}

/// What an app reads: JSON, the app's own fields as they were, and the engine's whatever the body
/// says.
fn envelope_wins(body: &str) {
    let mut entity = String::new();
    push_entity(&mut entity, body, "i\"d", &Owner::new("ü\n"), 7, true);
    assert!(
        serde_json::from_str::<&RawValue>(&entity).is_ok(),
        "{entity}"
    );
    let (read, was) = (
        Fields::parse(&entity).expect("an entity is an object"),
        Fields::parse(body).expect("as was its body"),
    );
    for (key, expected) in [
        ("id", "\"i\\\"d\""),
        ("userId", "\"ü\\n\""),
        ("version", "7"),
        ("isDeleted", "true"),
    ] {
        assert_eq!(read.get(key), Some(expected));
    }
    for (key, _) in was
        .0
        .iter()
        .filter(|(key, _)| !OWN_FIELDS.contains(&&**key) || is_time(key))
        .take(FEW)
    {
        assert_eq!(read.get(key), was.get(key), "{key}");
    }
}

/// Nothing clashes with itself, and everything is its own doing.
fn comparisons_hold(body: &str) {
    let Ok(Value::Object(tree)) = datum_sync::util::json::scan::tree(body) else {
        return;
    };
    assert!(same_content(body, body));
    assert!(
        same_content(body, &datum_sync::util::json::serialize::to_string(&tree)),
        "whatever its white space"
    );
    assert!(is_own(None, Some(body), body, &[]) && is_own(Some(body), None, body, &[]));
    assert!(clashing_fields(None, Some(body), Some(body), &[]).is_empty());
    assert!(
        clashing_fields(Some(body), Some(body), Some("{}"), &[]).is_empty(),
        "only one side changed"
    );
    assert!(
        is_own(None, None, body, &field_hashes(body, &[])),
        "a mark is known again"
    );
}
