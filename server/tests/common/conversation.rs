//! One conversation of `vectors/conversations.json`: its variables, and how replies are compared. `PROTOCOL.md`
//! explains the format.

use std::collections::BTreeMap;

use serde_json::Value;

pub struct Conversation {
    pub name: String,
    variables: BTreeMap<String, Value>,
    /// Fields of replies that the server under test leaves out.
    left_out: &'static [&'static str],
}

impl Conversation {
    pub fn new(conversation: &Value, left_out: &'static [&'static str]) -> Self {
        Self {
            name: conversation["name"].as_str().unwrap().to_owned(),
            variables: BTreeMap::new(),
            left_out,
        }
    }

    pub fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Replaces `$name` by the variable's value, `$name/$other` by two with a slash, and `$$` by `$`.
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                None => value.clone(),
                Some(rest) if rest.starts_with('$') => rest.into(),
                Some(names) => match names.split_once("/$") {
                    None => self.variables[names].clone(),
                    Some((first, second)) => {
                        let text = |name: &str| self.variables[name].as_str().unwrap();
                        format!("{}/{}", text(first), text(second)).into()
                    }
                },
            },
            Value::Array(all) => all.iter().map(|one| self.fill(one)).collect(),
            Value::Object(all) => all
                .iter()
                .map(|(key, one)| (key.clone(), self.fill(one)))
                .collect(),
            other => other.clone(),
        }
    }

    pub fn check(&mut self, at: &str, step: &Value, reply: &Value) {
        for (name, pointer) in step["keep"].as_object().into_iter().flatten() {
            let value = reply
                .pointer(pointer.as_str().unwrap())
                .unwrap_or_else(|| panic!("{at}: no {pointer} in {reply}"));
            self.variables.insert(name.clone(), value.clone());
        }
        self.contains(at, &self.fill(&step["reply"]), reply);
        for pointer in step["exactly"].as_array().into_iter().flatten() {
            let pointer = pointer.as_str().unwrap();
            assert_eq!(
                reply.pointer(pointer),
                self.fill(&step["reply"]).pointer(pointer),
                "{at}: {pointer}"
            );
        }
        let side = |side: &Value| {
            let text = side.as_str().unwrap();
            if text.starts_with('$') {
                self.fill(side)
            } else {
                reply.pointer(text).unwrap().clone()
            }
        };
        for pair in step["greater"].as_array().into_iter().flatten() {
            assert!(
                side(&pair[0]).as_u64().unwrap() > side(&pair[1]).as_u64().unwrap(),
                "{at}: {pair} in {reply}"
            );
        }
        for pair in step["differs"].as_array().into_iter().flatten() {
            assert_ne!(side(&pair[0]), side(&pair[1]), "{at}: {pair}");
        }
    }

    /// Checks that every expected field is there, and that lists have equal lengths. An expected null may
    /// be absent.
    fn contains(&self, at: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(expected), Value::Object(_)) => {
                for (key, value) in expected {
                    if !self.left_out.contains(&key.as_str()) {
                        self.contains(&format!("{at}.{key}"), value, &got[key]);
                    }
                }
            }
            (Value::Array(expected), Value::Array(list)) => {
                assert_eq!(expected.len(), list.len(), "{at}: {got}");
                for (place, (value, got)) in expected.iter().zip(list).enumerate() {
                    self.contains(&format!("{at}[{place}]"), value, got);
                }
            }
            _ => assert_eq!(expected, got, "{at}"),
        }
    }
}
