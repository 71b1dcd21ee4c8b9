//! Checks of every push: an operation has one id and one content, it is applied once, and a
//! replaced value never returns.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use datum_server::MemoryServer;
use datum_server::rules::store::{Row, Space};
use datum_sync::model::space::is_reserved;
use serde_json::Value;

use super::pull_checks::PullChecker;
use super::roaming::Roaming;
use super::server_checks::ServerChecker;
use super::space_checks::live_rows;
use super::spaces::is_roaming;
use super::updates::{FORM, PASSED};

/// Fields that are not the app's, or that no single write owns.
const SHARED_FIELDS: [&str; 8] = [
    "id",
    "owner",
    "pad",
    "createdAt",
    "modifiedAt",
    "userId",
    FORM,
    PASSED,
];

#[derive(Default)]
struct Seen {
    kind: Value,
    data: Value,
    applied: bool,
    /// The server has answered with a conflict.
    decided: bool,
    /// The server has refused it. A duplicate that comes when the role has been raised is applied:
    /// that is no secret of the first answer.
    refused: bool,
}

type Place = (String, String, String);
type Past = (Value, BTreeSet<String>);

fn results(reply: &Value) -> impl Iterator<Item = &Value> {
    reply["results"].as_array().unwrap().iter()
}

/// The pushes and pages seen so far.
#[derive(Default)]
pub struct PushChecker {
    /// What became of values in spaces.
    pub roaming: Roaming,
    /// What the server answers.
    pub answers: ServerChecker,
    /// What came by pulls.
    pub pulls: PullChecker,
    /// The ids of roaming rows that lived once where the user could read them, at the moment of the
    /// page with this cursor.
    alive: RefCell<BTreeMap<String, BTreeSet<String>>>,
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

    /// Keeps the first violation.
    pub fn check(&self, checked: Result<(), String>) {
        if let Err(words) = checked {
            self.object(words);
        }
    }

    /// Whether anything was lost so far.
    pub fn has_losses(&self) -> bool {
        self.lossy.get()
    }

    /// From now on replaced values may return.
    pub fn lost_storage(&self) {
        self.lossy.set(true);
    }

    /// The server has lost everything after its backup.
    pub fn restored(&self) {
        self.answers.restore();
        self.operations.borrow_mut().clear();
        self.values.borrow_mut().clear();
        self.lossy.set(true);
    }

    /// Records a pull and its page.
    pub fn gives_page(
        &self,
        server: &MemoryServer,
        user: &str,
        request: &[u8],
        status: u16,
        reply: &[u8],
    ) {
        let request: Value = serde_json::from_slice(request).unwrap();
        if status == 200 && request["scope"].is_null() {
            let reply: Value = serde_json::from_slice(reply).unwrap();
            let cursor = reply["cursor"].as_str().unwrap().to_owned();
            if reply["spaces"].is_array()
                || reply["changes"]
                    .as_array()
                    .is_some_and(|changes| has_spaces(changes))
            {
                let now = live_rows(server, user);
                let mut alive = self.alive.borrow_mut();
                let known = alive.entry(cursor.clone()).or_insert_with(|| now.clone());
                known.retain(|id| now.contains(id));
            }
            self.cursors.borrow_mut().insert(cursor);
        }
    }

    /// Whether a row lived where the user could read it when the page with this cursor was given.
    pub fn was_alive(&self, cursor: &str, id: &str) -> bool {
        let alive = self.alive.borrow();
        alive.get(cursor).is_some_and(|alive| alive.contains(id))
    }

    /// Whether the server has applied an operation that it had not refused, and has lost nothing
    /// since.
    pub fn was_applied(&self, op_id: &str) -> bool {
        let operations = self.operations.borrow();
        operations
            .get(op_id)
            .is_some_and(|seen| seen.applied && !seen.refused)
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
        // A migration changes pending operations.
        let same_form = seen.data[FORM] == op["data"][FORM];
        if seen.kind == op["kind"] && seen.data != op["data"] && same_form {
            self.object(format!(
                "operation {id} says two things: {} and {}",
                seen.data, op["data"]
            ));
        }
        (seen.kind, seen.data) = (op["kind"].clone(), op["data"].clone());
        let applied = verdict["status"] == "applied";
        if seen.applied && !applied {
            self.object(format!(
                "operation {id} was applied, and is judged again: {verdict}"
            ));
        }
        seen.applied |= applied;
        if applied {
            self.roaming.land(&op["data"]);
        }
        if verdict["status"] == "conflict" && op["kind"] == "patch" {
            self.roaming.meet(&op["data"], &verdict["row"]);
        }
        seen.decided |= verdict["status"] == "conflict";
        seen.refused |= verdict["status"] == "rejected";
        if !op["data"].is_null() && !self.lossy.get() {
            let mut content = op.clone();
            content["opId"] = Value::Null;
            let mut contents = self.contents.borrow_mut();
            let known = contents
                .entry(format!("{device} {user} {content}"))
                .or_insert_with(|| id.to_owned());
            // A resolved conflict is another operation, even if its content equals the first one's.
            // So is a row that was moved out of sight and is made again.
            let again = op["id"].as_str().is_some_and(is_roaming);
            let is_over = operations
                .get(known)
                .is_some_and(|first| first.decided && !first.applied || first.applied && again);
            if known != id && !is_over {
                self.object(format!(
                    "{device} sends one operation under two ids: {known} and {id}"
                ));
            }
            id.clone_into(known);
        }
    }

    /// Each value is written once, so a replaced value must not return. Nothing takes a field away.
    fn compare(&self, server: &MemoryServer, user: &str, operations: &[Value]) {
        let mut rows: BTreeMap<Space, Vec<Row>> = BTreeMap::new();
        // Names of spaces and roles are nobody's alone.
        let rows_only = |op: &&Value| !op["entity"].as_str().is_some_and(is_reserved);
        for op in operations.iter().filter(rows_only) {
            for space in spaces_of(user, op) {
                let rows = rows
                    .entry(space.clone())
                    .or_insert_with(|| server.rows_in(&space));
                let is = |row: &&Row| row.entity == op["entity"] && row.id == op["id"];
                let Some(row) = rows.iter().find(is) else {
                    continue;
                };
                self.compare_row(&space, user, row, operations);
            }
        }
    }

    fn compare_row(&self, space: &Space, user: &str, row: &Row, operations: &[Value]) {
        let place = space.id().map_or(user, |id| id);
        let mut values = self.values.borrow_mut();
        let Some(data) = &row.data else {
            // An edit that survives a deletion restores every field of its base.
            values.retain(|(whose, id, _), _| whose != place || *id != row.id);
            return;
        };
        let data: Value = serde_json::from_str(data).unwrap();
        if is_roaming(&row.id) {
            let about = |op: &&Value| op["id"] == *row.id;
            if row.id.starts_with("team-") && operations.iter().filter(about).count() == 1 {
                let mut lost = values
                    .keys()
                    .filter(|(whose, id, field)| {
                        whose == place && *id == row.id && data[field].is_null()
                    })
                    .map(|(.., field)| field);
                if let Some(field) = lost.next().filter(|_| !self.lossy.get()) {
                    self.object(format!("{place}: {}.{field} is lost", row.id));
                }
            } else {
                // Between the operations it may have been another row.
                values.retain(|(whose, id, _), _| whose != place || *id != row.id);
            }
        }
        for (field, value) in data
            .as_object()
            .unwrap()
            .iter()
            .filter(|(field, _)| !SHARED_FIELDS.contains(&field.as_str()))
        {
            let (last, before) = values
                .entry((place.to_owned(), row.id.clone(), field.clone()))
                .or_default();
            if last == value {
                continue;
            }
            if before.contains(&value.to_string()) && !self.lossy.get() {
                self.object(format!(
                    "{place}: {}.{field} goes back from {last} to {value}",
                    row.id
                ));
            }
            before.insert(std::mem::replace(last, value.clone()).to_string());
        }
    }
}

/// The spaces that an operation names.
fn spaces_of(user: &str, op: &Value) -> Vec<Space> {
    let space = |named: &Value| match named.as_str() {
        Some(id) => Space::shared(id),
        None => Space::personal(user),
    };
    let mut spaces = vec![space(&op["space"])];
    if op["kind"] == "move" {
        spaces.push(space(&op["to"]));
    }
    spaces
}

fn has_spaces(changes: &[Value]) -> bool {
    let roams = |change: &Value| change["id"].as_str().is_some_and(is_roaming);
    changes.iter().any(roams)
}
