//! JSON text: the scanner accepts what serde_json accepts, with the same values.

use datum_sync::util::json::scan;
use datum_sync::util::json::scan::parse;
use serde_json::Value;
use serde_json::value::RawValue;

/// Takes any bytes.
pub fn holds(bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => agrees(text),
        Err(_) => assert!(scan::utf8(bytes).is_err() && parse(bytes).is_err()),
    }
}

/// Takes any text.
pub fn agrees(text: &str) {
    let theirs: Result<Value, _> = serde_json::from_str(text);
    let skipped: Result<&RawValue, _> = serde_json::from_str(text);
    // Skipped values are checked but not decoded: an escaped lone surrogate is valid for
    // `JSON.parse`, and a number may be out of range.
    assert_eq!(
        scan::array(&["[", text, "]"].concat()).map_or(0, |items| items.len()),
        elements(text),
        "{text:?}"
    );
    if theirs.is_err() && skipped.is_ok() {
        assert!(scan::tree(text).is_err(), "{text:?}");
        return;
    }
    let ours = scan::tree(text);
    assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{text:?}: {ours:?} {theirs:?}"
    );
    if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
        assert_eq!(ours, theirs, "{text:?}");
        check_round_trip(ours, text);
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(items) => assert_eq!(
            scan::array(text).ok(),
            Some(items.iter().map(|raw| raw.get()).collect()),
            "{text:?}"
        ),
        Err(_) => assert!(scan::array(text).is_err(), "{text:?}"),
    }
    assert_eq!(
        scan::object(text).is_ok(),
        matches!(theirs, Ok(Value::Object(_))),
        "{text:?}"
    );
    let string = theirs
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned));
    assert_eq!(
        scan::text(text).map(|text| text.into_owned()),
        string,
        "{text:?}"
    );
}

/// Counts the values of a text that is a comma-separated list of values; 0 for any other text.
fn elements(text: &str) -> usize {
    serde_json::from_str::<Vec<&RawValue>>(&["[", text, "]"].concat())
        .map_or(0, |items| items.len())
}

/// Both parsers read the engine's own output as the same tree.
fn check_round_trip(tree: &Value, text: &str) {
    let written = datum_sync::util::json::serialize::to_string(tree);
    assert_eq!(
        serde_json::from_str::<Value>(&written).ok().as_ref(),
        Some(tree),
        "{text:?}"
    );
    let again =
        scan::tree(&written).unwrap_or_else(|wrong| panic!("{text:?} became {written:?}: {wrong}"));
    assert_eq!(&again, tree, "{text:?}");
}
