//! The three-way merge of nested objects, lists, texts and deletes.

use std::rc::Rc;

use super::merge_support::{conflict, field, merged, policies};
use datum_sync::conflict::explain::{Explained, History};
use datum_sync::conflict::{Resolution, decide, text};
use datum_sync::model::config::merge_fields::Policies;
use datum_sync::model::config::resolver::Builtin;
use serde_json::{Value, json};

#[test]
fn objects_are_merged_by_field_and_a_path_names_a_field_within() {
    let base = json!({"address": {"city": "Bonn", "zip": "1", "visits": 1}, "kept": 1});
    let local =
        json!({"address": {"city": "Kiel", "zip": "1", "visits": 3}, "kept": 1, "new": {"a": 1}});
    let remote =
        json!({"address": {"city": "Rom", "zip": "2", "visits": 4}, "kept": 1, "new": {"b": 2}});
    let (body, fields) = merged(
        &conflict(&base, &local, &remote, false),
        &policies(&[("address.city", "remote"), ("address.visits", "sum")]),
    );
    assert_eq!(
        body,
        json!({"address": {"city": "Rom", "zip": "2", "visits": 6}, "kept": 1, "new": {"a": 1, "b": 2}})
    );
    let names: Vec<&str> = fields
        .iter()
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "address.city",
            "address.visits",
            "address.zip",
            "new.b",
            "new.a"
        ]
    );
    assert_eq!(
        (
            &fields[0]["base"],
            &fields[0]["local"],
            &fields[0]["remote"]
        ),
        (&"Bonn".into(), &"Kiel".into(), &"Rom".into())
    );
    assert_eq!(
        (&fields[3]["base"], &fields[3]["local"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn items_with_an_id_are_known_again_by_it() {
    let base =
        json!({"f": [{"id": "a", "n": 1, "done": false}, {"id": "b"}, {"id": "c"}, {"id": 4}]});
    let local = json!({"f": [{"id": "b"}, {"id": "a", "n": 2, "done": false}, {"id": "x"}, {"id": "c", "late": true}, {"id": 4}]});
    let remote = json!({"f": [{"id": "a", "n": 3, "done": true}, {"id": "b"}, {"id": "y"}]});
    let (body, fields) = merged(
        &conflict(&base, &local, &remote, true),
        &policies(&[("f", "union"), ("f.n", "sum")]),
    );
    assert_eq!(
        body["f"],
        json!([{"id": "a", "n": 4, "done": true}, {"id": "b"}, {"id": "c", "late": true}, {"id": "x"}, {"id": "y"}])
    );
    assert_eq!(fields.len(), 1, "{fields:?}");
}

#[test]
fn texts_are_joined_by_line_and_by_word_and_overlaps_go_to_the_later_write() {
    let cases = [
        (
            "a\nb\nc\n",
            "a\nB\nc\n",
            "a\nb\nc\nd\n",
            "a\nB\nc\nd\n",
            false,
        ),
        ("a\nb\nc\n", "b\nc\n", "a\nb\n", "b\n", false),
        (
            "milk\n",
            "milk\neggs\n",
            "milk\nbread\n",
            "milk\nbread\neggs\n",
            false,
        ),
        (
            "milk",
            "milk\neggs",
            "milk\nbread",
            "milk\nbread\neggs",
            false,
        ),
        (
            "the cat sat",
            "the dog sat",
            "the cat ran",
            "the dog ran",
            false,
        ),
        (
            "the cat sat",
            "the dog sat",
            "the cow sat",
            "the dog sat",
            true,
        ),
        ("one two", "one 2", "one two three", "one 2 three", false),
        ("a\nb\n", "a\nB\n", "a\nx\nb\n", "a\nx\nB\n", false),
        ("a\nb\n", "a\n", "a\nb\nx\n", "a\nx\n", false),
        (
            "one two three four",
            "one four",
            "one two 3 four",
            "one four",
            true,
        ),
        (
            "call Ann at 5",
            "call Ann at 6",
            "please call Ann at 7",
            "please call Ann at 6",
            true,
        ),
        (
            "the end",
            "the very end",
            "the bitter end",
            "the very end",
            true,
        ),
        (
            "the end",
            "the end of it",
            "the end of it all",
            "the end of it all",
            false,
        ),
        ("", "hello", "world", "hello", true),
        ("one two three", "one two three", "", "", false),
        ("one two three", "one three", "one two 3", "one 3", false),
        ("今日は晴れ", "今日は雨", "明日は晴れ", "明日は雨", false),
        ("a b", "a c", "a c", "a c", false),
        (
            "x\r\ny\r\n",
            "x\r\nz\r\n",
            "w\r\ny\r\n",
            "w\r\nz\r\n",
            false,
        ),
    ];
    for (base, ours, theirs, expected, overlaps) in cases {
        assert_eq!(
            text::merge(base, ours, theirs, true),
            (expected.to_owned(), overlaps),
            "{base:?} {ours:?} {theirs:?}"
        );
        assert_eq!(
            text::merge(base, theirs, ours, false),
            (expected.to_owned(), overlaps),
            "the sides changed places"
        );
    }
    let because = field("text", json!("the cat"), json!("the dog"), json!("the cow")).2;
    assert_eq!(
        because,
        "`text`: the edits were joined; where they overlap, the later write, here, was taken."
    );
}

#[test]
fn texts_of_any_length_are_merged_in_bounded_time() {
    let lines = |mark: &str| {
        (0..40_000)
            .map(|n| format!("{mark}{n}\n"))
            .collect::<String>()
    };
    let (base, ours, theirs) = (lines("a"), lines("b"), lines("c"));
    assert_eq!(text::merge(&base, &ours, &theirs, true), (ours, true));
    let (head, tail) = (["x\n", &base].concat(), [&*base, "y\n"].concat());
    assert_eq!(
        text::merge(&base, &head, &tail, true),
        (["x\n", &base, "y\n"].concat(), false)
    );
}

#[test]
fn an_edit_survives_a_delete_and_either_side_can_be_taken() {
    let (body, none) = (json!({"f": 1}), Value::Null);
    for (local, remote, kind, edit) in [
        (&body, &none, "deletedRemotely", Resolution::Local),
        (&none, &body, "deletedLocally", Resolution::Remote),
    ] {
        let conflict = conflict(&body, local, remote, false);
        assert!(conflict.to_json().contains(&format!(r#""kind":"{kind}""#)));
        for (builtin, expected) in [
            (Builtin::Merge, &edit),
            (Builtin::LastWriteWins, &edit),
            (Builtin::LocalPriority, &Resolution::Local),
            (Builtin::RemotePriority, &Resolution::Remote),
            (Builtin::Ask, &Resolution::Later),
        ] {
            let decision = decide(builtin, &conflict, &Policies::default(), 0).unwrap();
            assert_eq!(decision.resolution, *expected, "{builtin:?} {kind}");
            if builtin == Builtin::Ask {
                assert!(decision.explanation.is_empty() && !decision.failed);
                continue;
            }
            let explanation: Value = serde_json::from_str(&decision.explanation).unwrap();
            assert_eq!(
                (
                    &explanation["fields"][0]["field"],
                    explanation["fields"].as_array().unwrap().len()
                ),
                (&"isDeleted".into(), 1)
            );
            assert_eq!(explanation["fields"][0]["local"], json!(local.is_null()));
            assert_eq!(
                explanation["fields"][0]["taken"],
                decision.resolution.taken().unwrap()
            );
        }
    }
}

#[test]
fn an_explanation_is_bounded_and_the_oldest_go_first() {
    let long = "ä".repeat(5_000);
    let side = |n: u64| {
        Value::Object(
            (0..200)
                .map(|field| (format!("f{field:03}"), json!([n, long])))
                .collect(),
        )
    };
    let decision = decide(
        Builtin::Merge,
        &conflict(&side(0), &side(1), &side(2), false),
        &Policies::default(),
        0,
    )
    .unwrap();
    assert!(
        (4_000..8_000).contains(&decision.explanation.len()),
        "{}",
        decision.explanation.len()
    );
    let explanation: Value = serde_json::from_str(&decision.explanation).unwrap();
    let shown = explanation["fields"][0]["local"].as_str().unwrap();
    assert!(
        shown.starts_with("[1,\"ää") && shown.ends_with("ä…") && shown.len() < 300,
        "{shown}"
    );

    let mut history = History::default();
    let explained = |id: &str, text: &str| Explained {
        entity: "tasks".to_owned(),
        id: id.to_owned(),
        text: Rc::from(text),
    };
    for n in 0..12 {
        history.add(explained("a", &n.to_string()));
        history.add(explained("b", "0"));
    }
    assert_eq!(
        (history.of("tasks", "a"), history.of("notes", "a")),
        ("[2,3,4,5,6,7,8,9,10,11]".to_owned(), "[]".to_owned())
    );
    for n in 0..100 {
        history.add(explained(&format!("x{n}"), &"x".repeat(4_000)));
    }
    assert!(history.iter().map(|one| one.text.len()).sum::<usize>() < 128 * 1024);
    assert_eq!(
        (history.of("tasks", "a"), history.of("tasks", "x99").len()),
        ("[]".to_owned(), 4_002)
    );
}
