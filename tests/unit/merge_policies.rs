//! Field policies of the three-way merge, and how each explains itself.

use super::merge_support::{conflict, field, merged, policies};
use datum_sync::model::config::merge_fields::Policy;
use serde_json::{Value, json};

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
