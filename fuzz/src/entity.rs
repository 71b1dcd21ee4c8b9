//! Drafts and envelopes: the app's fields are kept, a body cannot override the engine's fields, and
//! a stored body is read back unchanged.

use datum_sync::conflict::{clashing_fields, field_hashes, is_own, same_content};
use datum_sync::model::draft::parse_draft;
use datum_sync::model::entity::{
    Fields, MAX_ID_BYTES, OWN_FIELDS, Owner, is_time, push_entity, times,
};
use datum_sync::model::error::Code;
use serde_json::Value;
use serde_json::value::RawValue;

const NOW: &str = "2026-01-31T12:00:00.000Z";
const BEFORE: &str = "2025-06-30T00:00:00.000Z";

/// How many fields are checked one by one. Each check is linear; on large inputs only the engine's
/// own loops should take time.
const MAX_CHECKED: usize = 64;

/// Takes the text of an object, or any bytes.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(fields) = Fields::parse(text) else {
        assert_eq!(times(text), times("{}"));
        assert_eq!(
            parse_draft(text, NOW, &[], true).map_err(|error| error.code()),
            Err(Code::InvalidEntity)
        );
        return;
    };
    let written = fields.to_json();
    let again = Fields::parse(&written).expect("written fields can be read");
    assert_eq!(again.0, fields.0);
    assert_eq!(again.to_json(), written);
    for (key, _) in fields.0.iter().take(MAX_CHECKED) {
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
    check_draft(text, &fields);
    check_envelope(text);
    check_comparisons(text);
}

/// Every draft keeps the app's fields, and has a stable body.
fn check_draft(text: &str, fields: &Fields<'_>) {
    match parse_draft(text, NOW, &[], true) {
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
            assert_eq!(draft.fields, own, "the app's fields are kept in order");
            let stored = Fields::parse(&draft.body).expect("a body is an object");
            for name in own.iter().take(MAX_CHECKED) {
                assert_eq!(stored.get(name), fields.get(name), "{name}");
            }
            assert_eq!(
                stored.get("modifiedAt"),
                Some(["\"", NOW, "\""].concat().as_str())
            );
            check_body_is_stable(&draft.body);
            check_envelope(&draft.body);
        }
        Err(error) => assert_eq!(error.code(), Code::InvalidEntity),
    }
}

/// A body that is written again keeps its fields and its creation time.
fn check_body_is_stable(body: &str) {
    let made = times(body)
        .created_at
        .expect("a body has its creation time");
    let again = parse_draft(body, NOW, &[], true).expect("a body is a draft");
    assert_eq!(again.body, body);
    let stored = ["{\"createdAt\":\"", BEFORE, "\"}"].concat();
    let kept = parse_draft(body, NOW, &[&stored], true).expect("a body is a draft");
    assert_eq!(times(&kept.body).created_at.as_deref(), Some(BEFORE));
    assert!(datum_sync::util::time::parse(&made).is_some());
}

/// An app reads valid JSON with its own fields unchanged, and the engine's fields whatever the body
/// says.
fn check_envelope(body: &str) {
    let mut entity = String::new();
    push_entity(&mut entity, body, "i\"d", &Owner::new("ü\n"), 7, true);
    assert!(
        serde_json::from_str::<&RawValue>(&entity).is_ok(),
        "{entity}"
    );
    let (read, was) = (
        Fields::parse(&entity).expect("an entity is an object"),
        Fields::parse(body).expect("its body is an object"),
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
        .take(MAX_CHECKED)
    {
        assert_eq!(read.get(key), was.get(key), "{key}");
    }
}

/// A body does not conflict with itself, and is recognised as the device's own write.
fn check_comparisons(body: &str) {
    let Ok(Value::Object(_)) = datum_sync::util::json::scan::tree(body) else {
        return;
    };
    assert!(same_content(body, body));
    assert!(
        same_content(body, &datum_sync::util::json::equal::canonical(body)),
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
        "a body is recognised by its field hashes"
    );
}
