//! Runs `vectors/conversations.json`, the protocol as other implementations test it, on every store.
//! `PROTOCOL.md` explains the format.

use datum_server::rules::store::{Store, Transaction};
use serde_json::Value;

use super::World;
use super::conversation::Conversation;

/// Runs all conversations on one store, each with its own users.
pub async fn every_conversation_of_the_protocol_holds<S: Store>(w: World<S>) {
    let file: Value =
        serde_json::from_str(include_str!("../../vectors/conversations.json")).unwrap();
    let conversations = file["conversations"].as_array().unwrap();
    assert!(conversations.len() > 40);
    for (number, conversation) in conversations.iter().enumerate() {
        let mut state = Conversation::new(conversation, &[]);
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
