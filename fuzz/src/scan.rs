//! JSON text: what serde_json takes the scanner takes, and both make the same of it.

use datum_sync::util::json::scan;
use datum_sync::util::json::scan::parse;
use serde_json::Value;
use serde_json::value::RawValue;

/// Any bytes.
pub fn holds(bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => agrees(text),
        Err(_) => assert!(scan::utf8(bytes).is_err() && parse(bytes).is_err()),
    }
}

/// Any text.
pub fn agrees(text: &str) {
    let theirs: Result<Value, _> = serde_json::from_str(text);
    let passed_over: Result<&RawValue, _> = serde_json::from_str(text);
    // What is only passed over is checked, and not understood: the escape of a lone surrogate is
    // JSON to `JSON.parse`, and a number may be larger than any that can be kept.
    assert_eq!(
        scan::array(&["[", text, "]"].concat()).map_or(0, |items| items.len()),
        elements(text),
        "{text:?}"
    );
    if theirs.is_err() && passed_over.is_ok() {
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
        written_and_read_again(ours, text);
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

/// How many values a text has with commas between them, where it is nothing else.
fn elements(text: &str) -> usize {
    serde_json::from_str::<Vec<&RawValue>>(&["[", text, "]"].concat())
        .map_or(0, |items| items.len())
}

/// What the engine's own writer makes of a tree reads as that tree, for both readers.
fn written_and_read_again(tree: &Value, text: &str) {
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
