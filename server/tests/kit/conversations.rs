//! The protocol's conversations, over documents: `server/vectors/conversations.json`.
//!
//! What cannot hold is left out by rule:
//! - Spaces and members are the app's own rows, so conversations that push `$space` or `$member` are not for
//!   the kit; `spaces.rs` has the same with an app's tables.
//! - PostgREST refuses a body that is no JSON object, or has half a surrogate pair, before any SQL runs:
//!   400, with a code of its own.
//! - Digests come on demand, so every pull demands them.
//! - There is no `kept`: the kit does not know how much of a history a restore has kept.
//! - Other paths and methods are PostgREST's.

use serde_json::{Value, json};

use super::conversation::Conversation;
use super::project::{Project, token};
use crate::project;

#[test]
fn every_conversation_of_the_protocol_holds() {
    let project = project!("select datum.documents(true)");
    let file: Value =
        serde_json::from_str(include_str!("../../vectors/conversations.json")).unwrap();
    let (mut held, mut left_out) = (0, 0);
    for (number, conversation) in file["conversations"].as_array().unwrap().iter().enumerate() {
        if conversation.to_string().contains("\"$$space\"")
            || conversation.to_string().contains("\"$$member\"")
        {
            left_out += 1;
            continue;
        }
        held += 1;
        let mut state = Conversation::new(conversation, &["kept"]);
        for user in ["ann", "bob"] {
            state.set(user, format!("{user}{number}"));
        }
        for (place, step) in conversation["steps"].as_array().unwrap().iter().enumerate() {
            take(&mut state, &project, number, place, step);
        }
    }
    assert!(
        held > 50 && left_out < 15,
        "{held} held, {left_out} left out"
    );
}

fn take(state: &mut Conversation, project: &Project, number: usize, place: usize, step: &Value) {
    let at = format!("{} [{place}]", state.name);
    match step["operator"].as_str() {
        Some("newEpoch") => return project.sql("select datum.new_epoch()"),
        Some("forgetTombstones") => {
            return project.sql("select datum.sweep(tombstones => '0 s')");
        }
        Some("forgetOperations") => {
            return project.sql("select datum.sweep(operations => '0 s')");
        }
        Some(other) => panic!("unknown order {other}"),
        None => {}
    }
    let user = format!("{}{number}", step["user"].as_str().unwrap());
    state.set("user", user.clone());
    let body = step["text"]
        .as_str()
        .map_or_else(|| state.fill(&step["body"]).to_string(), str::to_owned);
    let asked: Option<Value> = serde_json::from_str(&body).ok();
    let Some((path, body)) = request(step["request"].as_str().unwrap(), asked.as_ref(), body)
    else {
        return;
    };
    let (status, reply) = project.with_token(&token(&user, "authenticated", 600), path, &body);
    if !is_object(&body) {
        assert_eq!(status, 400, "{at}: {reply}");
        return;
    }
    assert_eq!(status, step["status"], "{at}: {reply}");
    if status == 200 && path == "pull" {
        datum_sync::model::protocol::parse_page(reply.to_string().as_bytes()).unwrap();
    }
    state.check(&at, step, &reply);
}

/// Returns whether a text is a JSON object, with whatever numbers.
fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Returns the function and its body; none if the request is not for the kit.
fn request<'a>(line: &str, asked: Option<&Value>, body: String) -> Option<(&'a str, String)> {
    let (method, path) = line.split_once(" /sync/v1/").unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let user = query.strip_prefix("userId=");
    let metadata = |what: &str| {
        Some((
            "metadata",
            json!({ "do": what, "userId": user, "record": asked }).to_string(),
        ))
    };
    match (method, path) {
        ("POST", "pull") => {
            let mut asked = asked.cloned()?;
            if let Some(asked) = asked.as_object_mut() {
                asked.insert("digests".to_owned(), true.into());
            }
            // As it was written, if that matters.
            Some((
                "pull",
                body.strip_prefix('{').map_or_else(
                    || asked.to_string(),
                    |rest| format!("{{\"digests\":true,{rest}"),
                ),
            ))
        }
        ("POST", "push") if body.contains("\\ud800") || body.contains("{\"\\udc00") => None,
        ("POST", "push") => Some(("push", body)),
        ("GET", "metadata") => metadata("get"),
        ("PUT", "metadata") => metadata("put"),
        ("DELETE", "metadata") => metadata("clear"),
        _ => None,
    }
}
