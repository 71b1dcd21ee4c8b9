//! When two JSON values are the same: what the protocol's vectors say.

use datum_sync::util::json::equal::{canonical, has_lone_surrogate, same_parsed, same_value};
use datum_sync::util::json::members::Members;
use serde_json::Value;

fn pairs(kind: &str) -> Vec<(String, String)> {
    let file: Value =
        serde_json::from_str(include_str!("../../server/vectors/values.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    file[kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect()
}

#[test]
fn values_are_equal_as_the_vectors_say_and_so_are_their_canonical_texts() {
    for (a, b) in pairs("equal") {
        assert!(same_value(&a, &b) && same_value(&b, &a), "{a} {b}");
        assert_eq!(canonical(&a), canonical(&b));
        assert!(same_parsed(&a, &b), "{a} {b}");
    }
    for (a, b) in pairs("different") {
        assert!(!same_value(&a, &b) && !same_value(&b, &a), "{a} {b}");
        assert_ne!(canonical(&a), canonical(&b));
    }
}

#[test]
fn what_json_parse_makes_one_value_of_is_the_same_to_a_caller() {
    for (a, b) in [
        ("9007199254740993", "9007199254740992"),
        ("[0.1]", "[0.10000000000000001]"),
        ("{\"a\":1e400}", "{\"a\":1e500}"),
        ("-0", "0"),
        ("1e-400", "0"),
    ] {
        assert!(same_parsed(a, b), "{a} {b}");
    }
    for (a, b) in [("1", "2"), ("1e400", "-1e400"), ("\"1\"", "1")] {
        assert!(!same_parsed(a, b), "{a} {b}");
    }
}

#[test]
fn a_lone_surrogate_is_found_wherever_it_stands() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#"["ü\ud83d x"]"#,
        r#"{"\udbff":1}"#,
        r#""\ud83d\ud83d\ude00""#,
        r#""\\\ud800""#,
    ] {
        assert!(has_lone_surrogate(text), "{text}");
    }
    for text in [
        r#""\ud83d\ude00""#,
        r#""\\ud800""#,
        r#""ü😀""#,
        "1",
        r#""\u0041\n\"""#,
    ] {
        assert!(!has_lone_surrogate(text), "{text}");
    }
}

#[test]
fn members_are_found_by_name_and_the_last_of_equal_names_counts() {
    let members = Members::parse(r#"{"b":1,"a":2,"b":{"c":3},"":4}"#).unwrap();
    assert_eq!(members.get("b"), Some(r#"{"c":3}"#));
    assert_eq!(
        (members.get("a"), members.get(""), members.get("c")),
        (Some("2"), Some("4"), None)
    );
    let names = |all: &mut dyn Iterator<Item = (&str, &str)>| -> Vec<String> {
        all.map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(names(&mut members.iter()), ["a", "b", ""]);
    assert_eq!(names(&mut members.sorted()), ["", "a", "b"]);
    assert_eq!(members.len(), 3);
}

#[test]
fn values_deeper_than_a_stack_are_compared_without_one() {
    let deep = |end: &str| ["[".repeat(20_000), end.to_owned(), "]".repeat(20_000)].concat();
    assert!(same_value(&deep("1"), &deep("1")));
    assert!(!same_value(&deep("1"), &deep("2")));
    assert_eq!(canonical(&deep("1")), deep("1"));
}
