//! Properties of the merge of any three bodies.

use super::merge_support::{conflict, merged, policies};
use datum_sync::model::config::merge_fields::Policies;
use serde_json::{Map, Value, json};

const FIELDS: [&str; 8] = [
    "sum", "money", "min", "max", "union", "items", "text", "plain",
];

/// Pseudo-random numbers of a seed.
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
fn the_merge_of_any_three_bodies_keeps_its_properties() {
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
