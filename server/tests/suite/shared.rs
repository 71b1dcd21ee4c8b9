//! What the stories about shared spaces have in common.

use std::sync::atomic::{AtomicU64, Ordering};

use datum_server::rules::store::{Space, Store, Transaction};
use serde_json::{Value, json};

use super::{World, op, version};

pub const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
pub const C: &str = "cccccccc-0000-4000-8000-000000000003";

/// Returns an id that no operation had before.
pub fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("op{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Builds an operation in a space, or in the user's own without one.
pub fn write(space: Option<&str>, id: &str, kind: &str, base: Option<u64>, data: Value) -> Value {
    typed(space, "task", id, kind, base, data)
}

pub fn typed(
    space: Option<&str>,
    entity: &str,
    id: &str,
    kind: &str,
    base: Option<u64>,
    data: Value,
) -> Value {
    let mut op = op(&fresh(), entity, id, kind, base, data);
    if let Some(space) = space {
        op["space"] = json!(space);
    }
    op
}

pub fn create(space: Option<&str>, id: &str) -> Value {
    write(space, id, "create", None, json!({ "title": id }))
}

pub fn moving(from: Option<&str>, id: &str, base: u64, to: Option<&str>) -> Value {
    let mut op = write(from, id, "move", Some(base), Value::Null);
    op["to"] = json!(to);
    op
}

pub fn member(space: &str, user: &str, kind: &str, base: Option<u64>, role: &str) -> Value {
    let data = if kind == "delete" {
        Value::Null
    } else {
        json!({ "role": role })
    };
    typed(
        Some(space),
        "$member",
        &format!("{space}/{user}"),
        kind,
        base,
        data,
    )
}

pub fn new_space(id: &str) -> Value {
    typed(
        Some(id),
        "$space",
        id,
        "create",
        None,
        json!({ "name": "A space" }),
    )
}

/// Returns a verdict without the operation's id and the message.
pub fn bare(mut verdict: Value) -> Value {
    let members = verdict.as_object_mut().unwrap();
    members.remove("opId");
    members.remove("message");
    verdict
}

pub fn refused(code: &str) -> Value {
    json!({ "status": "rejected", "code": code })
}

/// Returns space, id and version of each change; a tombstone has a minus before its version.
pub fn told(changes: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    changes
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| !change["entity"].as_str().unwrap().starts_with('$'))
        .map(|change| {
            let version = change["version"].as_i64().unwrap();
            let sign = if change["deleted"] == true { -1 } else { 1 };
            (text(&change["space"]), text(&change["id"]), sign * version)
        })
        .collect()
}

pub fn row(space: &str, id: &str, version: i64) -> (String, String, i64) {
    (space.to_owned(), id.to_owned(), version)
}

pub fn listed(spaces: &[&str], role: &str) -> Value {
    spaces
        .iter()
        .map(|id| json!({ "id": id, "role": role }))
        .collect()
}

impl<S: Store> World<S> {
    /// Pushes one operation and returns its verdict without the id.
    pub async fn one(&self, user: &str, op: Value) -> Value {
        bare(self.push(user, json!([op])).await[0].clone())
    }

    /// Pushes one operation, which must be applied, and returns the version.
    pub async fn does(&self, user: &str, op: Value) -> u64 {
        let verdict = self.one(user, op).await;
        assert_eq!(verdict["status"], "applied", "{verdict}");
        version(&verdict)
    }

    /// Makes a space of which `ann` is the owner, and these users are members.
    pub async fn space(&self, id: &str, members: &[(&str, &str)]) {
        self.does("ann", new_space(id)).await;
        for (user, role) in members {
            self.invite(id, user, role).await;
        }
    }

    pub async fn invite(&self, space: &str, user: &str, role: &str) -> u64 {
        self.does("ann", member(space, user, "create", None, role))
            .await
    }

    pub async fn version_of(&self, space: &str, entity: &str, id: &str) -> u64 {
        let mut tx = self.service.store.read().await.unwrap();
        let found = tx
            .stamps(&Space::shared(space), &[(entity, id)])
            .await
            .unwrap();
        found[0].as_ref().unwrap().version
    }

    /// Removes a member.
    pub async fn kick(&self, space: &str, user: &str) {
        let base = self
            .version_of(space, "$member", &format!("{space}/{user}"))
            .await;
        self.does("ann", member(space, user, "delete", Some(base), ""))
            .await;
    }

    pub async fn set_role(&self, space: &str, user: &str, role: &str) {
        let base = self
            .version_of(space, "$member", &format!("{space}/{user}"))
            .await;
        self.does("ann", member(space, user, "patch", Some(base), role))
            .await;
    }

    pub async fn end(&self, space: &str) {
        let base = self.version_of(space, "$space", space).await;
        let op = typed(
            Some(space),
            "$space",
            space,
            "delete",
            Some(base),
            Value::Null,
        );
        self.does("ann", op).await;
    }

    /// Returns the ids of a user's list of spaces.
    pub async fn list(&self, user: &str) -> Value {
        self.pull(user, json!({ "spaces": true })).await["spaces"].clone()
    }
}
