//! Runs `vectors/conversations.json`, the protocol as other implementations test it, on every store.
//! `PROTOCOL.md` explains the format.

use std::collections::BTreeMap;

use datum_server::rules::store::{Store, Transaction};
use serde_json::Value;

use super::World;

/// Runs all conversations on one store, each with its own users.
pub async fn every_conversation_of_the_protocol_holds<S: Store>(w: World<S>) {
    let file: Value =
        serde_json::from_str(include_str!("../../vectors/conversations.json")).unwrap();
    let conversations = file["conversations"].as_array().unwrap();
    assert!(conversations.len() > 40);
    for (number, conversation) in conversations.iter().enumerate() {
        let mut state = Conversation {
            name: conversation["name"].as_str().unwrap().to_owned(),
            variables: BTreeMap::new(),
        };
        for user in ["ann", "bob"] {
            state.set(user, format!("{user}{number}"));
        }
        for space in 1..=3 {
            let id = format!("0198b6a0-7c1e-7000-8000-{number:08x}000{space}");
            state.set(&format!("s{space}"), id);
        }
        for (place, step) in conversation["steps"].as_array().unwrap().iter().enumerate() {
            let at = format!("{} [{place}]", state.name);
            if let Some(order) = step["operator"].as_str() {
                operate(&w, order, &format!("epoch {number} {place}")).await;
                continue;
            }
            let user = format!("{}{number}", step["user"].as_str().unwrap());
            state.set("user", user.clone());
            let (method, path) = step["request"]
                .as_str()
                .unwrap()
                .split_once(" /sync/v1/")
                .unwrap();
            let body = step["text"]
                .as_str()
                .map_or_else(|| state.fill(&step["body"]).to_string(), str::to_owned);
            let (status, reply) = w.call(&user, method, path, &body).await;
            assert_eq!(status, step["status"], "{at}: {reply}");
            state.check(&at, step, &reply);
        }
    }
}

async fn operate<S: Store>(w: &World<S>, order: &str, epoch: &str) {
    let mut tx = w.service.store.write().await.unwrap();
    match order {
        "newEpoch" => tx.set_epoch(epoch).await.unwrap(),
        "forgetTombstones" => {
            assert!(tx.sweep(u64::MAX, 0, u64::MAX).await.unwrap().tombstones > 0)
        }
        "forgetOperations" => {
            assert!(tx.sweep(0, u64::MAX, u64::MAX).await.unwrap().operations > 0)
        }
        other => panic!("unknown order {other}"),
    }
    tx.commit().await.unwrap();
}

struct Conversation {
    name: String,
    variables: BTreeMap<String, Value>,
}

impl Conversation {
    fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Replaces `$name` by the variable's value, `$name/$other` by two with a slash, and `$$` by `$`.
    fn fill(&self, value: &Value) -> Value {
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

    fn check(&mut self, at: &str, step: &Value, reply: &Value) {
        for (name, pointer) in step["keep"].as_object().into_iter().flatten() {
            let value = reply
                .pointer(pointer.as_str().unwrap())
                .unwrap_or_else(|| panic!("{at}: no {pointer} in {reply}"));
            self.variables.insert(name.clone(), value.clone());
        }
        contains(at, &self.fill(&step["reply"]), reply);
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
}

/// Checks that every expected field is there, and that lists have equal lengths. An expected null may
/// be absent.
fn contains(at: &str, expected: &Value, got: &Value) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(_)) => {
            for (key, value) in expected {
                contains(&format!("{at}.{key}"), value, &got[key]);
            }
        }
        (Value::Array(expected), Value::Array(list)) => {
            assert_eq!(expected.len(), list.len(), "{at}: {got}");
            for (place, (value, got)) in expected.iter().zip(list).enumerate() {
                contains(&format!("{at}[{place}]"), value, got);
            }
        }
        _ => assert_eq!(expected, got, "{at}"),
    }
}
