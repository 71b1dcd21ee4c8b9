//! Checks of every push: an operation has one id and one content, it is applied once, and a
//! replaced value never returns.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use datum_server::MemoryServer;
use serde_json::Value;

/// Fields that are not the app's, or that no single write owns.
const SHARED_FIELDS: [&str; 6] = ["id", "owner", "pad", "createdAt", "modifiedAt", "userId"];

#[derive(Default)]
struct Seen {
    kind: Value,
    data: Value,
    applied: bool,
    /// The server has answered with a conflict.
    decided: bool,
}

type Place = (String, String, String);
type Past = (Value, BTreeSet<String>);

fn results(reply: &Value) -> impl Iterator<Item = &Value> {
    reply["results"].as_array().unwrap().iter()
}

/// The pushes and pages seen so far.
#[derive(Default)]
pub struct PushChecker {
    operations: RefCell<BTreeMap<String, Seen>>,
    /// The operation id of each content: device, user and the operation without its id.
    contents: RefCell<BTreeMap<String, String>>,
    /// The value of each (user, entity, field), and those that it had before.
    values: RefCell<BTreeMap<Place, Past>>,
    /// Every cursor that was given to a pull without a scope.
    cursors: RefCell<BTreeSet<String>>,
    /// Storage was lost somewhere, and with it the bases of pending operations, so that clocks
    /// decide.
    lossy: Cell<bool>,
    broken: RefCell<Option<String>>,
}

impl PushChecker {
    /// Returns the first violation.
    pub fn broken(&self) -> Option<String> {
        self.broken.borrow().clone()
    }

    pub fn object(&self, words: String) {
        self.broken.borrow_mut().get_or_insert(words);
    }

    /// From now on replaced values may return.
    pub fn lost_storage(&self) {
        self.lossy.set(true);
    }

    /// The server has lost everything after its backup.
    pub fn restored(&self) {
        self.operations.borrow_mut().clear();
        self.values.borrow_mut().clear();
        self.lossy.set(true);
    }

    /// Records a pull and its page.
    pub fn gives_page(&self, request: &[u8], status: u16, reply: &[u8]) {
        let request: Value = serde_json::from_slice(request).unwrap();
        if status == 200 && request["scope"].is_null() {
            let reply: Value = serde_json::from_slice(reply).unwrap();
            self.cursors
                .borrow_mut()
                .insert(reply["cursor"].as_str().unwrap().to_owned());
        }
    }

    /// Whether a cursor is that of a pull without a scope.
    pub fn knows_cursor(&self, cursor: &str) -> bool {
        self.cursors.borrow().contains(cursor)
    }

    /// Checks a push that went to another server: it must have done nothing with it.
    pub fn hears_astray(&self, server: &MemoryServer, user: &str, changed: bool, reply: &[u8]) {
        let reply: Value = serde_json::from_slice(reply).unwrap();
        let taken = |verdict: &Value| verdict["code"] != "otherServer";
        if changed || results(&reply).any(taken) {
            self.object(format!(
                "another server takes a push of {user}: {reply}; it has {:?}",
                server.rows(user)
            ));
        }
    }

    /// Checks a push and its reply.
    pub fn hears(
        &self,
        server: &MemoryServer,
        device: &str,
        user: &str,
        request: &[u8],
        status: u16,
        reply: &[u8],
    ) {
        if status != 200 {
            return;
        }
        let request: Value = serde_json::from_slice(request).unwrap();
        let reply: Value = serde_json::from_slice(reply).unwrap();
        if request["clientId"] != device {
            self.object(format!("{device} pushes as {}", request["clientId"]));
        }
        if results(&reply).any(|verdict| verdict["code"] == "otherServer") {
            self.object(format!("{device}'s own server is another one: {reply}"));
        }
        if request["epoch"].is_string() && request["epoch"] != reply["epoch"] {
            // From another epoch: the server judges nothing and must apply nothing.
            if results(&reply).any(|verdict| verdict["code"] != "epochChanged") {
                self.object(format!(
                    "a push of {} is judged in {}",
                    request["epoch"], reply["epoch"]
                ));
            }
            return;
        }
        let operations = request["operations"].as_array().unwrap();
        for (op, verdict) in operations.iter().zip(results(&reply)) {
            self.judge(device, user, op, verdict);
        }
        self.compare(server, user, operations);
    }

    fn judge(&self, device: &str, user: &str, op: &Value, verdict: &Value) {
        let id = op["opId"].as_str().unwrap();
        if op["data"]["owner"].is_string() && op["data"]["owner"] != user {
            self.object(format!("{user} is sent a row of {}", op["data"]["owner"]));
        }
        let mut operations = self.operations.borrow_mut();
        let seen = operations.entry(id.to_owned()).or_default();
        if seen.kind == op["kind"] && seen.data != op["data"] {
            self.object(format!(
                "operation {id} says two things: {} and {}",
                seen.data, op["data"]
            ));
        }
        (seen.kind, seen.data) = (op["kind"].clone(), op["data"].clone());
        let applied = verdict["status"] == "applied";
        if seen.applied && !applied {
            self.object(format!(
                "operation {id} was applied, and is judged anew: {verdict}"
            ));
        }
        seen.applied |= applied;
        seen.decided |= verdict["status"] == "conflict";
        if !op["data"].is_null() && !self.lossy.get() {
            let mut content = op.clone();
            content["opId"] = Value::Null;
            let mut contents = self.contents.borrow_mut();
            let known = contents
                .entry(format!("{device} {user} {content}"))
                .or_insert_with(|| id.to_owned());
            // A resolved conflict is another operation, even if its content equals the first one's.
            let is_over = operations
                .get(known)
                .is_some_and(|first| first.decided && !first.applied);
            if known != id && !is_over {
                self.object(format!(
                    "{device} sends one operation under two ids: {known} and {id}"
                ));
            }
            id.clone_into(known);
        }
    }

    /// Each value is written once, so a replaced value must not return.
    fn compare(&self, server: &MemoryServer, user: &str, operations: &[Value]) {
        let rows = server.rows(user);
        let mut values = self.values.borrow_mut();
        for op in operations {
            let Some(row) = rows
                .iter()
                .find(|row| row.entity == op["entity"] && row.id == op["id"])
            else {
                continue;
            };
            let Some(data) = &row.data else {
                // An edit that survives a deletion restores every field of its base.
                values.retain(|(whose, id, _), _| whose != user || *id != row.id);
                continue;
            };
            let data: Value = serde_json::from_str(data).unwrap();
            for (field, value) in data
                .as_object()
                .unwrap()
                .iter()
                .filter(|(field, _)| !SHARED_FIELDS.contains(&field.as_str()))
            {
                let (last, before) = values
                    .entry((user.to_owned(), row.id.clone(), field.clone()))
                    .or_default();
                if last == value {
                    continue;
                }
                if before.contains(&value.to_string()) && !self.lossy.get() {
                    self.object(format!(
                        "{user}: {}.{field} goes back from {last} to {value}",
                        row.id
                    ));
                }
                before.insert(std::mem::replace(last, value.clone()).to_string());
            }
        }
    }
}
