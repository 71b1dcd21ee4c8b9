//! Checks of the server's answers, by rules of their own: each operation is decided by the role that
//! its user has at that moment, no version goes back, and a device that took every page would have
//! what its user may read, each version once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_server::rules::store::Space;
use datum_sync::model::space::{MEMBER, SPACE, is_reserved};
use serde_json::Value;

use super::space_checks::{readable, role_of};
use super::spaces::SPACES;
use super::world::USERS;

/// The roles of each space's members.
type Roles = BTreeMap<&'static str, BTreeMap<String, String>>;

/// A space, an entity type and an id.
type Place = (String, String, String);

/// What a device has that has taken all pages up to one.
#[derive(Clone, Default)]
struct Told {
    /// The version of each row, and whether it lives.
    rows: BTreeMap<Place, (u64, bool)>,
    /// The user's roles by the last list.
    roles: BTreeMap<String, String>,
}

/// Checks a server's answers.
#[derive(Default)]
pub struct ServerChecker {
    /// By the user and the cursor of the last page.
    told: RefCell<BTreeMap<(String, String), Rc<Told>>>,
    /// The spaces that there are or were, and those of the backup.
    used: RefCell<BTreeSet<String>>,
    backup: RefCell<BTreeSet<String>>,
    versions: RefCell<BTreeMap<Place, u64>>,
    /// The last version of each space.
    heads: RefCell<BTreeMap<String, u64>>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn place_of(change: &Value) -> Place {
    let part = |name: &str| text(&change[name]).to_owned();
    (part("space"), part("entity"), part("id"))
}

/// Returns the members of all spaces.
pub fn roles(server: &MemoryServer) -> Roles {
    let of = |space: &'static str| {
        let rows = server.rows_in(&Space::shared(space));
        let role = |user: &&str| Some(((*user).to_owned(), role_of(&rows, space, user)?));
        (space, USERS.iter().filter_map(role).collect())
    };
    SPACES.into_iter().map(of).collect()
}

/// Returns why a user with these roles may not do this.
fn refusal(op: &Value, user: &str, roles: &Roles) -> Option<&'static str> {
    let role = |space: &Value| match space.as_str() {
        None => Some("owner"),
        Some(space) => Some(roles.get(space)?.get(user)?.as_str()),
    };
    let Some(own) = role(&op["space"]) else {
        return Some("notMember");
    };
    if is_reserved(text(&op["entity"])) {
        let leaves = op["kind"] == "delete" && is_membership(op, user);
        return (own != "owner" && !leaves).then_some("notOwner");
    }
    if own == "reader" {
        return Some("readOnly");
    }
    match role(&op["to"]) {
        _ if op["kind"] != "move" => None,
        None => Some("notMember"),
        Some("reader") => Some("readOnly"),
        Some(_) => None,
    }
}

fn is_membership(op: &Value, user: &str) -> bool {
    op["entity"] == MEMBER && op["id"] == format!("{}/{user}", text(&op["space"]))
}

impl ServerChecker {
    /// A backup is taken.
    pub fn back_up(&self) {
        self.backup.replace(self.used.borrow().clone());
    }

    /// The backup is restored: another history begins.
    pub fn restore(&self) {
        self.used.replace(self.backup.borrow().clone());
        self.told.take();
        self.versions.take();
        self.heads.take();
    }

    /// Checks a push, its answer, and what has become of the roles that were there before.
    pub fn pushes(
        &self,
        server: &MemoryServer,
        user: &str,
        mut roles: Roles,
        request: &[u8],
        reply: &[u8],
    ) -> Result<(), String> {
        let request: Value = serde_json::from_slice(request).unwrap();
        let reply: Value = serde_json::from_slice(reply).unwrap();
        let ops = request["operations"].as_array().unwrap();
        let mut touched = BTreeSet::new();
        for (op, verdict) in ops.iter().zip(reply["results"].as_array().unwrap()) {
            touched.extend([text(&op["space"]), text(&op["to"])]);
            self.decides(user, op, verdict, &mut roles)
                .map_err(|words| format!("{user} is told {words}: {verdict} to {op}"))?;
        }
        for (space, members) in &roles {
            if !members.is_empty() && !members.values().any(|role| role == "owner") {
                return Err(format!("{space} has no owner: {members:?}"));
            }
        }
        let now = self::roles(server);
        if now != roles {
            return Err(format!(
                "the members are {now:?} after a push of {user}, not {roles:?}: {reply} to {request}"
            ));
        }
        for space in touched {
            self.compare_versions(server, user, space)?;
        }
        Ok(())
    }

    /// Checks one verdict, and does to the roles what it says.
    fn decides(
        &self,
        user: &str,
        op: &Value,
        verdict: &Value,
        roles: &mut Roles,
    ) -> Result<(), String> {
        let (space, kind) = (text(&op["space"]), text(&op["kind"]));
        let makes = op["entity"] == SPACE && kind == "create";
        let mut used = self.used.borrow_mut();
        let is_new = makes && !used.contains(space);
        let refused = refusal(op, user, roles).filter(|_| !is_new);
        let code = text(&verdict["code"]);
        let right = match text(&verdict["status"]) {
            "applied" => verdict["replayed"] == true || refused.is_none(),
            "conflict" => refused.is_none(),
            "rejected" if ["notMember", "readOnly", "notOwner"].contains(&code) => {
                refused == Some(code)
            }
            "rejected" if ["lastOwner", "idTaken"].contains(&code) => refused.is_none(),
            _ => true,
        };
        if !right {
            return Err(format!("what is not so, by {roles:?} and {refused:?}"));
        }
        let elsewhere = text(&verdict["space"]);
        let is_member = |space: &str| roles.get(space).is_some_and(|all| all.contains_key(user));
        if verdict["status"] == "conflict" && !elsewhere.is_empty() && !is_member(elsewhere) {
            return Err("of a space that they are not in".to_owned());
        }
        if verdict["status"] != "applied" || verdict["replayed"] == true {
            return Ok(());
        }
        let Some(members) = roles.get_mut(space) else {
            return Ok(());
        };
        if is_new {
            used.insert(space.to_owned());
            members.insert(user.to_owned(), "owner".to_owned());
        } else if op["entity"] == SPACE && kind == "delete" {
            members.clear();
        } else if op["entity"] == MEMBER {
            let about = text(&op["id"]).rsplit('/').next().unwrap_or_default();
            match op["data"]["role"].as_str() {
                Some(role) => members.insert(about.to_owned(), role.to_owned()),
                None if kind == "delete" => members.remove(about),
                None => None,
            };
        }
        Ok(())
    }

    /// Within one space versions only grow, and what is written is newer than all before it.
    fn compare_versions(
        &self,
        server: &MemoryServer,
        user: &str,
        space: &str,
    ) -> Result<(), String> {
        let (name, rows) = match space {
            "" => (user, server.rows(user)),
            _ => (space, server.rows_in(&Space::shared(space))),
        };
        let (mut versions, mut heads) = (self.versions.borrow_mut(), self.heads.borrow_mut());
        let head = heads.entry(name.to_owned()).or_default();
        let before = *head;
        for row in rows {
            let known = versions
                .entry((name.to_owned(), row.entity.clone(), row.id.clone()))
                .or_default();
            if row.version != *known && row.version <= before {
                return Err(format!(
                    "{} {} goes from version {known} to {}, but {name} was at {before}",
                    row.entity, row.id, row.version
                ));
            }
            (*known, *head) = (row.version, row.version.max(*head));
        }
        Ok(())
    }

    /// Checks a page.
    pub fn pages(
        &self,
        server: &MemoryServer,
        user: &str,
        request: &[u8],
        reply: &[u8],
    ) -> Result<(), String> {
        let request: Value = serde_json::from_slice(request).unwrap();
        let page: Value = serde_json::from_slice(reply).unwrap();
        let from = request["cursor"].as_str();
        let known = from.map(|from| (user.to_owned(), from.to_owned()));
        let known = known.map(|known| self.told.borrow().get(&known).cloned());
        let mut told = match known {
            None => Told::default(),
            Some(Some(told)) => (*told).clone(),
            Some(None) => return Err(format!("{user} has a cursor that nobody gave: {from:?}")),
        };
        let wrong = |words: String| format!("{user} gets a page {words}: {page} to {request}");
        let (shelves, roles) = readable(server, user);
        told.take(&page, &roles).map_err(wrong)?;
        if page["more"] == false && request["scope"].is_null() {
            let wanted = |entity: &str| {
                let all = request["entities"].as_array();
                is_reserved(entity) || all.is_none_or(|all| all.iter().any(|one| *one == *entity))
            };
            let truth = shelves.iter().flat_map(|(space, rows)| {
                let space = space.unwrap_or_default();
                let rows = rows.iter().filter(|row| wanted(&row.entity));
                rows.map(move |row| {
                    let place = (space.to_owned(), row.entity.clone(), row.id.clone());
                    (place, row.version)
                })
            });
            let truth: BTreeMap<Place, u64> = truth.collect();
            let lives = |(place, (version, lives)): (&Place, &(u64, bool))| {
                lives.then(|| (place.clone(), *version))
            };
            let has: BTreeMap<Place, u64> = told.rows.iter().filter_map(lives).collect();
            if has != truth {
                return Err(wrong(format!("that ends with {has:?}, not {truth:?}")));
            }
        }
        let cursor = (user.to_owned(), text(&page["cursor"]).to_owned());
        self.told.borrow_mut().insert(cursor, Rc::new(told));
        Ok(())
    }
}

impl Told {
    /// Takes a page of which the user has these roles.
    fn take(&mut self, page: &Value, roles: &BTreeMap<String, String>) -> Result<(), String> {
        let each = |name: &str| page[name].as_array().into_iter().flatten();
        if page["spaces"].is_array() {
            let role = |one: &Value| (text(&one["id"]).to_owned(), text(&one["role"]).to_owned());
            self.roles = each("spaces").map(role).collect();
            let listed = self.roles.clone();
            let is_in = |space: &str| space.is_empty() || listed.contains_key(space);
            self.rows.retain(|(space, ..), _| is_in(space));
        }
        if self.roles != *roles {
            return Err(format!(
                "after which the list is {:?}, not {roles:?}",
                self.roles
            ));
        }
        let is_in = |space: &str| space.is_empty() || roles.contains_key(space);
        for start in each("starts") {
            let space = text(&start["space"]);
            if !is_in(space) {
                return Err(format!("that starts {space}"));
            }
            // What it does not bring again is gone.
            self.rows.retain(|(of, ..), _| of != space);
        }
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for change in each("changes") {
            let (place, version) = (place_of(change), change["version"].as_u64().unwrap());
            if !is_in(&place.0) || !is_in(text(&change["movedTo"]["space"])) {
                return Err(format!(
                    "that tells of a space that they are not in: {change}"
                ));
            }
            let known = self.rows.get(&place);
            if let Some((known, _)) = known.filter(|(known, _)| *known >= version) {
                return Err(format!("that brings {place:?} {version} after {known}"));
            }
            let last = last.entry(place.0.clone()).or_default();
            if version <= std::mem::replace(last, version) {
                return Err(format!("that is out of order at {place:?}"));
            }
            self.rows
                .insert(place, (version, change["deleted"] != true));
        }
        Ok(())
    }
}
