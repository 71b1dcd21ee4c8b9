//! The rules of the merge: what becomes of a field that both sides changed, why, and what holds for
//! any three bodies.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::rc::Rc;

use datum_sync::conflict::explain::{Explained, History};
use datum_sync::conflict::text;
use datum_sync::conflict::{Conflict, ConflictKind, Resolution, decide};
use datum_sync::model::config::merge_fields::{Policies, Policy};
use datum_sync::model::config::resolver::Builtin;
use serde_json::{Map, Value, json};

const EARLY: &str = "2026-01-01T10:00:00.000Z";
const LATE: &str = "2026-01-01T11:00:00.000Z";

/// A conflict of these bodies; the write here is the later one, unless `remote_later`.
fn conflict(base: &Value, local: &Value, remote: &Value, remote_later: bool) -> Conflict {
    let body = |value: &Value, time: &str| {
        let mut map = value.as_object()?.clone();
        map.insert("modifiedAt".to_owned(), time.into());
        Some(Rc::from(Value::Object(map).to_string()))
    };
    let (here, there) = if remote_later {
        (EARLY, LATE)
    } else {
        (LATE, EARLY)
    };
    let (local, remote) = (body(local, here), body(remote, there));
    let kind = match (&local, &remote) {
        (None, _) => ConflictKind::DeletedLocally,
        (_, None) => ConflictKind::DeletedRemotely,
        _ => ConflictKind::BothModified,
    };
    Conflict {
        id: "c".to_owned(),
        entity: "tasks".to_owned(),
        entity_id: "t".to_owned(),
        user_id: "ann".to_owned(),
        kind,
        base: body(base, EARLY),
        base_version: 1,
        assumed: false,
        local,
        remote,
        remote_version: 2,
        local_time: datum_sync::util::time::parse(here).unwrap(),
        fields: Vec::new(),
        earlier: Vec::new(),
        unsettled: false,
        detected_at: 0,
    }
}

fn policies(given: &[(&str, &str)]) -> Policies {
    let named = |name: &str| {
        Policy::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    };
    given
        .iter()
        .map(|(field, policy)| (*field, named(policy)))
        .collect()
}

/// What the merge makes of a conflict, without its times, and how it explains that.
fn merged(conflict: &Conflict, policies: &Policies) -> (Value, Vec<Value>) {
    let decision = decide(Builtin::Merge, conflict, policies, 0).unwrap();
    let Resolution::Merged(body) = decision.resolution else {
        panic!("not merged")
    };
    let mut body: Map<String, Value> = serde_json::from_str(&body).unwrap();
    assert!(body.remove("modifiedAt").is_some());
    let explanation: Value = serde_json::from_str(&decision.explanation).unwrap();
    assert_eq!(
        (&explanation["resolver"], &explanation["entityId"]),
        (&"merge".into(), &"t".into())
    );
    (
        Value::Object(body),
        explanation["fields"].as_array().unwrap().clone(),
    )
}

/// The field `f` by a policy, with the remote's write the earlier one; its value, whose it is, and
/// why.
fn field(policy: &str, base: Value, local: Value, remote: Value) -> (Value, String, String) {
    let side = |value: Value| {
        if value == "-" {
            json!({})
        } else {
            json!({ "f": value })
        }
    };
    let (body, fields) = merged(
        &conflict(&side(base), &side(local), &side(remote), false),
        &policies(&[("f", policy)]),
    );
    let told = |name: &str| {
        fields
            .first()
            .map_or("", |field| field[name].as_str().unwrap())
            .to_owned()
    };
    (
        body.get("f").cloned().unwrap_or_else(|| "-".into()),
        told("taken"),
        told("because"),
    )
}

#[test]
fn each_policy_makes_of_two_changes_what_its_name_says() {
    let cases = [
        ("local", json!(1), json!(2), json!(3), json!(2), "local"),
        ("remote", json!(1), json!(2), json!(3), json!(3), "remote"),
        (
            "remote",
            json!(1),
            json!(2),
            json!("-"),
            json!("-"),
            "remote",
        ),
        ("lastWrite", json!(1), json!(2), json!(3), json!(2), "local"),
        (
            "lastWrite",
            json!({}),
            json!({"a": 1}),
            json!({"b": 1}),
            json!({"a": 1}),
            "local",
        ),
        ("min", json!(5), json!(7), json!(6.5), json!(6.5), "remote"),
        ("max", json!(5), json!(7), json!(6.5), json!(7), "local"),
        ("max", json!(5), json!(-1), json!(1), json!(1), "remote"),
        (
            "min",
            json!("b"),
            json!("c"),
            json!("a"),
            json!("a"),
            "remote",
        ),
        (
            "max",
            json!("-"),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-01T00:00:00.500Z"),
            json!("2026-01-01T00:00:00.500Z"),
            "remote",
        ),
        (
            "min",
            json!("-"),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-01T00:00:00.500Z"),
            json!("2026-01-01T00:00:00Z"),
            "local",
        ),
        ("sum", json!(10), json!(12), json!(7), json!(9), "merged"),
        ("sum", json!(10), json!(11), json!(11), json!(12), "merged"),
        ("sum", json!("-"), json!(2), json!(3), json!(5), "merged"),
        ("sum", json!(null), json!(2), json!(3), json!(5), "merged"),
        (
            "sum",
            json!(0.1),
            json!(0.2),
            json!(0.3),
            json!(0.4),
            "merged",
        ),
        (
            "sum",
            json!(10.1),
            json!(10.3),
            json!(10.2),
            json!(10.4),
            "merged",
        ),
        ("sum", json!(0.5), json!(1), json!(1.5), json!(2), "merged"),
        (
            "sum",
            json!(9_007_199_254_740_990_i64),
            json!(9_007_199_254_740_991_i64),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            "merged",
        ),
        (
            "sum",
            json!(1e300),
            json!(2e300),
            json!(3e300),
            json!(4e300),
            "merged",
        ),
        (
            "union",
            json!(["a", "b"]),
            json!(["a", "b", "c"]),
            json!(["b", "d"]),
            json!(["b", "d", "c"]),
            "merged",
        ),
        (
            "union",
            json!([1]),
            json!([]),
            json!([1, 2]),
            json!([2]),
            "merged",
        ),
        (
            "union",
            json!("-"),
            json!([{"a": 1, "b": 2}]),
            json!([{"b": 2, "a": 1}, [1]]),
            json!([{"a": 1, "b": 2}, [1]]),
            "merged",
        ),
        (
            "text",
            json!("one two three"),
            json!("one 2 three"),
            json!("one two three four"),
            json!("one 2 three four"),
            "merged",
        ),
    ];
    for (policy, base, local, remote, expected, taken) in cases {
        let got = field(policy, base.clone(), local.clone(), remote.clone());
        assert_eq!(
            (&got.0, got.1.as_str()),
            (&expected, taken),
            "{policy} of {base}, {local}, {remote}: {}",
            got.2
        );
        assert!(got.2.starts_with(&format!("`{policy}`")), "{}", got.2);
    }
}

#[test]
fn values_that_do_not_fit_their_policy_go_to_the_later_write_and_the_explanation_says_why() {
    let cases = [
        (
            "sum",
            json!(1),
            json!("2"),
            json!(3),
            "`sum` needs numbers: the later write, here, was taken.",
        ),
        (
            "sum",
            json!("x"),
            json!(2),
            json!(3),
            "`sum` needs numbers: the later write, here, was taken.",
        ),
        (
            "sum",
            json!(1),
            json!(2),
            json!("-"),
            "`sum` needs numbers: the later write, here, was taken.",
        ),
        (
            "sum",
            json!(-1e308),
            json!(1e308),
            json!(1.5e308),
            "`sum` needs numbers: the later write, here, was taken.",
        ),
        (
            "min",
            json!(1),
            json!(2),
            json!("3"),
            "`min` needs two numbers or two strings: the later write, here, was taken.",
        ),
        (
            "max",
            json!(1),
            json!([2]),
            json!([3]),
            "`max` needs two numbers or two strings: the later write, here, was taken.",
        ),
        (
            "union",
            json!([]),
            json!([2]),
            json!({"a": 3}),
            "`union` needs two arrays: the later write, here, was taken.",
        ),
        (
            "text",
            json!("a"),
            json!("b"),
            json!(3),
            "`text` needs two strings: the later write, here, was taken.",
        ),
        (
            "text",
            json!(["a"]),
            json!("b"),
            json!("c"),
            "`text` needs two strings: the later write, here, was taken.",
        ),
    ];
    for (policy, base, local, remote, because) in cases {
        assert_eq!(
            field(policy, base, local.clone(), remote),
            (local, "local".to_owned(), because.to_owned())
        );
    }
}

#[test]
fn a_field_that_one_side_changed_is_that_sides_whatever_the_policy() {
    for (policy, _) in Policy::NAMES {
        for (base, changed) in [
            (json!(5), json!(3)),
            (json!("a"), json!("b")),
            (json!([1]), json!([2, 3])),
            (json!(5), json!("-")),
        ] {
            assert_eq!(
                field(policy, base.clone(), changed.clone(), base.clone()),
                (
                    changed.clone(),
                    "local".to_owned(),
                    "Only this device changed it.".to_owned()
                )
            );
            assert_eq!(
                field(policy, base.clone(), base, changed.clone()),
                (
                    changed,
                    "remote".to_owned(),
                    "Only the other side changed it.".to_owned()
                )
            );
        }
    }
}

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
fn what_cannot_be_added_up_without_its_base_is_not() {
    for policy in ["sum", "text"] {
        let (one, two) = if policy == "sum" {
            (json!(2), json!(3))
        } else {
            (json!("a b"), json!("a c"))
        };
        let mut conflict = conflict(
            &Value::Null,
            &json!({"f": one}),
            &json!({"f": two.clone()}),
            true,
        );
        conflict.assumed = true;
        let (body, fields) = merged(&conflict, &policies(&[("f", policy)]));
        assert_eq!(body["f"], two);
        assert!(
            fields[0]["because"]
                .as_str()
                .unwrap()
                .contains("needs the base, which is not known any more"),
            "{fields:?}"
        );
    }
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

/// Numbers that look like chance: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn text(&mut self) -> String {
        (0..self.throw(12))
            .map(|_| ["a", "b", " ", "\n", "cd", ",", "ü"][self.throw(7) as usize])
            .collect()
    }

    fn value(&mut self, field: &str) -> Value {
        match field {
            "sum" => json!(self.throw(20) as i64 - 10),
            "money" => json!((self.throw(2_000) as f64 - 1_000.0) / 100.0),
            "min" | "max" => json!(self.throw(9)),
            "union" => (0..self.throw(5)).map(|_| json!(self.throw(6))).collect(),
            "items" => (0..self.throw(4))
                .map(|n| json!({"id": n, "v": self.throw(3)}))
                .collect(),
            "text" => json!(self.text()),
            _ => json!({"a": self.throw(3), "b": self.throw(3)}),
        }
    }
}

const FIELDS: [&str; 8] = [
    "sum", "money", "min", "max", "union", "items", "text", "plain",
];

fn all_policies() -> Policies {
    policies(&[
        ("sum", "sum"),
        ("money", "sum"),
        ("min", "min"),
        ("max", "max"),
        ("union", "union"),
        ("items", "union"),
        ("text", "text"),
    ])
}

fn triple(dice: &mut Dice) -> [Value; 3] {
    let mut base = Map::new();
    for field in FIELDS {
        if dice.throw(8) > 0 {
            base.insert(field.to_owned(), dice.value(field));
        }
    }
    let mut side = || {
        let mut side = base.clone();
        for field in &FIELDS {
            match dice.throw(6) {
                0 => drop(side.remove(*field)),
                1 | 2 => {}
                _ => drop(side.insert((*field).to_owned(), dice.value(field))),
            }
        }
        Value::Object(side)
    };
    let (local, remote) = (side(), side());
    [Value::Object(base), local, remote]
}

#[test]
fn what_holds_for_any_three_bodies() {
    let mut dice = Dice(0x5eed);
    let all = all_policies();
    for round in 0..600 {
        let [base, local, remote] = triple(&mut dice);
        let remote_later = dice.throw(2) == 0;
        let told = format!("round {round}: {base} {local} {remote}");
        let (one, fields) = merged(&conflict(&base, &local, &remote, remote_later), &all);
        assert_eq!(
            merged(&conflict(&base, &local, &remote, remote_later), &all),
            (one.clone(), fields.clone()),
            "{told}"
        );
        let (other, _) = merged(&conflict(&base, &remote, &local, !remote_later), &all);
        assert_eq!(
            one, other,
            "the other device merges the same to the same: {told}"
        );
        // Once the winner is pushed its base is what it was merged with.
        assert_eq!(
            merged(&conflict(&remote, &one, &remote, remote_later), &all).0,
            one,
            "merging again changes nothing: {told}"
        );
        assert_eq!(
            merged(&conflict(&base, &local, &base, remote_later), &all).0,
            local,
            "an unchanged side says nothing: {told}"
        );
        assert_eq!(
            merged(&conflict(&base, &base, &remote, remote_later), &all).0,
            remote,
            "{told}"
        );
        assert_eq!(
            merged(
                &conflict(&base, &local, &local, remote_later),
                &Policies::default()
            )
            .0,
            local,
            "{told}"
        );
        for field in FIELDS {
            let (was, ours, theirs) = (base.get(field), local.get(field), remote.get(field));
            if ours == was && theirs != was {
                assert_eq!(one.get(field), theirs, "{field}: {told}");
            }
            if theirs == was && ours != was {
                assert_eq!(one.get(field), ours, "{field}: {told}");
            }
            let explained = fields
                .iter()
                .any(|told| told["field"].as_str().unwrap().split('.').next() == Some(field));
            let sums = matches!(field, "sum" | "money") && ours != was;
            assert_eq!(
                explained,
                ours != theirs || sums && ours.is_some(),
                "{field}: {fields:?}: {told}"
            );
        }
        if let (Some(was), Some(ours), Some(theirs)) = (
            base["sum"].as_i64(),
            local["sum"].as_i64(),
            remote["sum"].as_i64(),
        ) {
            assert_eq!(one["sum"], was + (ours - was) + (theirs - was), "{told}");
        }
    }
}
