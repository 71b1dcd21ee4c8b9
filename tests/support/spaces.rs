//! Shared spaces: another user who writes straight to the server, and what a tab shows of spaces.

use std::cell::Cell;

use datum_server::MemoryServer;
use datum_sync::model::error::Result;
use datum_sync::plan::write::{Write, Written};
use serde_json::{Value, json};

use super::world::{Tab, World};

pub const TEAM: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub const CLUB: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// A user without a device: every write is a push of its own.
pub struct Peer {
    server: MemoryServer,
    user: &'static str,
    next: Cell<u32>,
}

impl Peer {
    pub fn new(world: &World, user: &'static str) -> Self {
        Self {
            server: world.server.clone(),
            user,
            next: Cell::default(),
        }
    }

    /// Pushes one operation and returns its verdict.
    pub fn push(&self, mut op: Value) -> Value {
        self.next.set(self.next.get() + 1);
        if op["opId"].is_null() {
            op["opId"] = json!(format!("{}-{}", self.user, self.next.get()));
        }
        if op["baseVersion"].is_null() && op["kind"] != "create" {
            op["baseVersion"] = json!(self.version(&op));
        }
        let request =
            json!({ "clientId": self.user, "userId": self.user, "schema": 0, "operations": [op] });
        let body = serde_json::to_vec(&request).unwrap();
        let (status, reply) =
            self.server
                .handle(self.user, "POST", "/sync/v1/push", &body, 1_700_000_000_000);
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(status, 200, "{reply}");
        reply["results"][0].clone()
    }

    fn version(&self, op: &Value) -> u64 {
        let space = match op["space"].as_str() {
            Some(space) => datum_server::rules::store::Space::shared(space),
            None => datum_server::rules::store::Space::personal(self.user),
        };
        let rows = self.server.rows_in(&space);
        let is = |row: &&datum_server::rules::store::Row| {
            row.entity == op["entity"].as_str().unwrap() && row.id == op["id"].as_str().unwrap()
        };
        rows.iter().find(is).map_or(0, |row| row.version)
    }

    /// As [`Self::push`], which must be applied.
    pub fn does(&self, op: Value) -> Value {
        let verdict = self.push(op);
        assert_eq!(verdict["status"], "applied", "{verdict}");
        verdict
    }

    pub fn makes(&self, space: &str) {
        self.does(json!({ "entity": "$space", "id": space, "space": space, "kind": "create", "data": { "name": "team" } }));
    }

    pub fn ends(&self, space: &str) {
        self.does(json!({ "entity": "$space", "id": space, "space": space, "kind": "delete" }));
    }

    pub fn invites(&self, space: &str, user: &str, role: &str) {
        self.does(json!({ "entity": "$member", "id": format!("{space}/{user}"), "space": space, "kind": "create", "data": { "role": role } }));
    }

    pub fn sets_role(&self, space: &str, user: &str, role: &str) {
        self.does(json!({ "entity": "$member", "id": format!("{space}/{user}"), "space": space, "kind": "update", "data": { "role": role } }));
    }

    pub fn removes(&self, space: &str, user: &str) {
        self.does(json!({ "entity": "$member", "id": format!("{space}/{user}"), "space": space, "kind": "delete" }));
    }

    pub fn writes(&self, space: Option<&str>, id: &str, title: &str) {
        self.does(json!({ "entity": "tasks", "id": id, "space": space, "kind": "create", "data": { "title": title } }));
    }

    pub fn edits(&self, space: Option<&str>, id: &str, title: &str) {
        self.does(json!({ "entity": "tasks", "id": id, "space": space, "kind": "patch", "data": { "title": title } }));
    }

    pub fn deletes(&self, space: Option<&str>, id: &str) {
        self.does(json!({ "entity": "tasks", "id": id, "space": space, "kind": "delete" }));
    }

    pub fn moves(&self, from: Option<&str>, id: &str, to: Option<&str>) {
        self.does(json!({ "entity": "tasks", "id": id, "space": from, "kind": "move", "to": to }));
    }
}

impl Tab {
    /// The titles of all tasks with their spaces.
    pub fn places(&self) -> Vec<(String, Option<String>)> {
        let text = self
            .run(self.engine.entities().read_all(&self.user, "tasks", false))
            .unwrap();
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut places: Vec<_> = all
            .iter()
            .map(|task| {
                (
                    text(&task["title"]).unwrap_or_default(),
                    text(&task["spaceId"]),
                )
            })
            .collect();
        places.sort();
        places
    }

    /// Creates a task in a space.
    pub fn creates(&self, space: Option<&str>, id: &str, title: &str) {
        self.try_create(space, id, title).unwrap();
    }

    pub fn try_create(&self, space: Option<&str>, id: &str, title: &str) -> Result<Written> {
        let draft = json!({ "id": id, "title": title, "spaceId": space }).to_string();
        self.write("tasks", Write::Create { draft })
    }

    /// Creates a space.
    pub fn makes(&self, space: &str) {
        let draft = json!({ "id": space, "spaceId": space, "name": "mine" }).to_string();
        self.write("$space", Write::Create { draft }).unwrap();
    }

    pub fn moves(&self, id: &str, to: Option<&str>) {
        self.try_move(id, to).unwrap();
    }

    pub fn try_move(&self, id: &str, to: Option<&str>) -> Result<Written> {
        let (id, to) = (id.to_owned(), to.map(str::to_owned));
        self.write("tasks", Write::Move { id, to })
    }

    /// Both sides have the same rows: one pull brings nothing, and no digest differs.
    pub fn at_rest(&self) {
        let requests = || {
            let seen = self.engine.remote().seen.take();
            seen.iter().filter(|one| one.path == "/pull").count()
        };
        requests();
        let result = self.sync();
        assert_eq!(requests(), 1, "no digest differs");
        assert_eq!(
            (result.is_success, result.pulled_count, self.pending()),
            (true, 0, 0),
            "{result:?}"
        );
    }

    /// The dead letters, each with its code and whether it may have been applied.
    pub fn buried(&self) -> Vec<(String, bool)> {
        self.dead_letters()
            .iter()
            .map(|letter| {
                (
                    letter["code"].as_str().unwrap().to_owned(),
                    letter["maybe"] == true,
                )
            })
            .collect()
    }
}

/// Returns a place as [`Tab::places`] tells it.
pub fn place(title: &str, space: Option<&str>) -> (String, Option<String>) {
    (title.to_owned(), space.map(str::to_owned))
}

/// Bob's team, which ann may write in, with one row.
pub fn team(world: &World) -> Peer {
    let bob = Peer::new(world, "bob");
    bob.makes(TEAM);
    bob.invites(TEAM, "ann", "writer");
    bob.writes(Some(TEAM), "x", "plan");
    bob
}
