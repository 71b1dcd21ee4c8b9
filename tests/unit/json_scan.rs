//! The JSON scanner beside serde_json: what it accepts, refuses and returns.

use datum_sync::util::json::scan::{array, object, text, tree};
use serde_json::Value;

const GOOD: &[&str] = &[
    "null",
    " true ",
    "false",
    "0",
    "-0",
    "12",
    "-7.25",
    "1e3",
    "2E-2",
    "1.5e+10",
    "9007199254740993",
    "18446744073709551615",
    "\"\"",
    "\"a\"",
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u00e4\u20ac""#,
    r#""\ud83d\ude00 ü 😀""#,
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[1, [2, {\"a\": []}], \"x\"]",
    "{\"a\":1,\"b\":{\"c\":[true,null]},\"a\":2}",
    "\n{\t\"k\" : \r\"v\" }\n",
    r#"{"a\nb":"\\"}"#,
];

const BAD: &[&str] = &[
    "",
    " ",
    "nul",
    "truely",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "\"",
    "\"a",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"a\nb\"",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[1 2]",
    "]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\" 1}",
    "{1:2}",
    "[1}",
    "{\"a\":1]",
    "1 2",
    "{} {}",
    r#""\ud83d""#,
    r#""\ude00""#,
    r#""\ud83d\u0041""#,
    r#""\ud83dx""#,
    "1e999",
];

#[test]
fn a_tree_is_what_another_parser_makes_of_the_text() {
    for json in GOOD {
        assert_eq!(
            tree(json).unwrap(),
            serde_json::from_str::<Value>(json).unwrap(),
            "{json}"
        );
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for json in BAD {
        assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        assert!(tree(json).is_err(), "{json}");
    }
}

#[test]
fn parts_are_checked_and_keep_their_text() {
    for json in GOOD {
        let (list, map) = (format!("[1, {json} ,2]"), format!("{{\"k\" : {json} }}"));
        assert_eq!(array(&list).unwrap(), ["1", json.trim(), "2"], "{list}");
        assert_eq!(object(&map).unwrap(), [("k".into(), json.trim())], "{map}");
    }
    // A number that is too large and a lone surrogate are only refused where they are read.
    for json in BAD
        .iter()
        .filter(|json| !json.contains("\\ud83d") && !json.contains("\\ude00") && **json != "1e999")
    {
        let (list, map) = (format!("[{json} ,2]"), format!("{{\"k\":{json}}}"));
        assert!(array(&list).is_err() && object(&map).is_err(), "{json}");
    }
}

#[test]
fn a_string_is_read_and_nothing_else_is() {
    assert_eq!(text(r#""\ud83d\ude00\u00e4\/""#).unwrap(), "😀ä/");
    assert_eq!(text(" \"plain\" ").unwrap(), "plain");
    for json in ["1", "null", "{}", "\"a\" 1", r#""\ud83d""#, "\"open"] {
        assert!(text(json).is_none(), "{json}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(array(&format!("[{deep}]")).unwrap(), [deep.as_str()]);
    assert!(tree(&deep).is_err());
    let bearable = format!("{}{}", "[".repeat(120), "]".repeat(120));
    assert!(tree(&bearable).is_ok());
}

#[test]
fn a_whole_number_is_read_however_it_is_written() {
    use datum_sync::util::json::number::whole;
    for (text, number) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-0.0", Some(0)),
        ("0e999999999999999999999", Some(0)),
        ("0.00e-5", Some(0)),
        ("3", Some(3)),
        ("3.0", Some(3)),
        ("0.3e1", Some(3)),
        ("30E-1", Some(3)),
        ("0.00030e4", Some(3)),
        ("1e2", Some(100)),
        ("1.50e+1", Some(15)),
        ("9007199254740993.0", Some(9_007_199_254_740_993)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("1e19", Some(10_000_000_000_000_000_000)),
        ("1e20", None),
        ("1e999999999", None),
        ("1e9999999999999999999999", None),
        ("1e-1", None),
        ("1.5", None),
        ("-1", None),
        ("-1.0", None),
        ("true", None),
        ("null", None),
        ("\"3\"", None),
        ("[3]", None),
        ("", None),
    ] {
        assert_eq!(whole(text), number, "{text}");
    }
}
