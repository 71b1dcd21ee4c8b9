//! Checks the client's wire types against the protocol's vectors. The suite runs the conversations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use datum_sync::model::digest::{Digest, row_hash_in};
use datum_sync::model::protocol::{Verdict, parse_page, parse_push_reply};
use serde_json::{Value, json};

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    let list = value[name].as_array().unwrap();
    assert!(!list.is_empty());
    list
}

#[test]
fn digests_match_the_vectors() {
    let file: Value = serde_json::from_str(include_str!("../vectors/digests.json")).unwrap();
    let rows = list(&file, "rows");
    let parts = |row: &Value| {
        (
            row["space"].as_str().map(str::to_owned),
            row["entity"].as_str().unwrap().to_owned(),
            row["id"].as_str().unwrap().to_owned(),
            row["version"].as_u64().unwrap(),
        )
    };
    for row in rows {
        let (space, entity, id, version) = parts(row);
        assert_eq!(
            format!(
                "{:016x}",
                row_hash_in(space.as_deref(), &entity, &id, version)
            ),
            row["hash"],
            "{row}"
        );
    }
    for set in list(&file, "sets") {
        let mut digest = Digest::default();
        for place in set["rows"].as_array().unwrap() {
            let (space, entity, id, version) = parts(&rows[place.as_u64().unwrap() as usize]);
            digest.add_in(space.as_deref(), &entity, &id, version);
        }
        assert_eq!(
            serde_json::to_value(digest.wire()).unwrap(),
            set["digest"],
            "{}",
            set["name"]
        );
    }
}

#[test]
fn pull_replies_are_accepted_and_refused_as_in_the_vectors() {
    let file: Value = serde_json::from_str(include_str!("../vectors/pull-replies.json")).unwrap();
    for case in list(&file, "good") {
        let page = parse_page(case["text"].as_str().unwrap().as_bytes())
            .unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
        let mut read = json!({
            "rows": page.changes.len(), "tombstones": page.changes.iter().filter(|change| change.deleted).count(),
            "cursor": page.cursor, "more": page.more, "remaining": page.remaining, "epoch": page.epoch, "serverId": page.server_id,
            "spaces": page.spaces.as_ref().map(|spaces| spaces.iter().map(|space| &*space.id).collect::<Vec<_>>()),
            "starts": Some(page.starts.len()).filter(|count| *count > 0),
            "moved": Some(page.changes.iter().filter(|change| change.moved_to.is_some()).count()).filter(|count| *count > 0),
        });
        read.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        assert_eq!(read, case["expect"], "{}", case["name"]);
    }
    for case in list(&file, "bad") {
        assert!(
            parse_page(case["text"].as_str().unwrap().as_bytes()).is_err(),
            "{}: {}",
            case["name"],
            case["why"]
        );
    }
}

#[test]
fn push_replies_are_accepted_and_refused_as_in_the_vectors() {
    let file: Value = serde_json::from_str(include_str!("../vectors/push-replies.json")).unwrap();
    let sent = |case: &Value| -> Vec<String> {
        case["sent"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    };
    for case in list(&file, "good") {
        let ids = sent(case);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let reply = parse_push_reply(case["text"].as_str().unwrap().as_bytes(), &ids)
            .unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
        let verdicts: Vec<Value> = reply
            .results
            .iter()
            .map(|verdict| {
                let mut read = read(&verdict.verdict().unwrap());
                if let Some(space) = &verdict.space {
                    read["space"] = json!(space);
                }
                if let Some(left) = verdict.left_version {
                    read["leftVersion"] = json!(left);
                }
                read
            })
            .collect();
        assert_eq!(json!(verdicts), case["verdicts"], "{}", case["name"]);
    }
    for case in list(&file, "bad") {
        let ids = sent(case);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert!(
            parse_push_reply(case["text"].as_str().unwrap().as_bytes(), &ids).is_err(),
            "{}: {}",
            case["name"],
            case["why"]
        );
    }
}

fn read(verdict: &Verdict<'_>) -> Value {
    let object = |row: &Option<&str>| row.map(|row| serde_json::from_str::<Value>(row).unwrap());
    let mut value = match verdict {
        Verdict::Applied {
            version,
            replayed,
            deleted,
            row,
            ..
        } => {
            json!({ "status": "applied", "version": version, "replayed": replayed, "deleted": deleted.then_some(true), "row": object(row) })
        }
        Verdict::Conflict { version, row, .. } => {
            json!({ "status": "conflict", "version": version, "row": object(row) })
        }
        Verdict::Rejected { code, .. } => json!({ "status": "rejected", "code": code }),
        Verdict::Retry { after_ms } => json!({ "status": "retry", "afterMs": after_ms }),
    };
    value
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    value
}
