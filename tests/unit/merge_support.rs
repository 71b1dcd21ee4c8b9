//! Helpers: conflicts, policies and merges in short form.

use std::rc::Rc;

use datum_sync::conflict::{Conflict, ConflictKind, Resolution, decide};
use datum_sync::model::config::merge_fields::{Policies, Policy};
use datum_sync::model::config::resolver::Builtin;
use serde_json::{Map, Value, json};

pub const EARLY: &str = "2026-01-01T10:00:00.000Z";

pub const LATE: &str = "2026-01-01T11:00:00.000Z";

/// Returns a conflict of these bodies. The local write is the later one, unless `remote_later`.
pub fn conflict(base: &Value, local: &Value, remote: &Value, remote_later: bool) -> Conflict {
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

pub fn policies(given: &[(&str, &str)]) -> Policies {
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

/// Returns the merged body without its times, and its explanation.
pub fn merged(conflict: &Conflict, policies: &Policies) -> (Value, Vec<Value>) {
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

/// Merges the field `f` by a policy, with the remote's write the earlier one. Returns its value,
/// its side and the reason.
pub fn field(policy: &str, base: Value, local: Value, remote: Value) -> (Value, String, String) {
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
