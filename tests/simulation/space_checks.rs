//! Checks of spaces: what a user may read at the server, and that a device has that and nothing
//! else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_server::rules::store::{Row, Space};
use datum_sync::model::entity::Key;
use datum_sync::model::space::{MEMBER, SPACE};
use datum_sync::model::table::Table;
use datum_sync::state::replica::Replica;
use datum_sync::state::tables;
use serde_json::Value;

use super::roaming::Letter;
use super::spaces::{SPACES, is_roaming};
use super::tasks::Owner;
use super::updates::{FORM, PASSED};
use super::world::{App, World};

/// The live rows of one space, with their space; `None` is the personal one.
pub type Shelf = (Option<&'static str>, Vec<Row>);

/// Why the server refuses what is written into spaces.
const REFUSALS: [&str; 6] = [
    "notMember",
    "readOnly",
    "notOwner",
    "lastOwner",
    "idTaken",
    "blocked",
];

fn is_live(row: &Row) -> bool {
    row.data.is_some()
}

/// Returns the user's role in a space, by its rows.
pub fn role_of(rows: &[Row], space: &str, user: &str) -> Option<String> {
    let member = rows
        .iter()
        .find(|row| row.entity == MEMBER && row.id == format!("{space}/{user}"))?;
    let data: Value = serde_json::from_str(member.data.as_deref()?).ok()?;
    data["role"].as_str().map(str::to_owned)
}

/// Returns the live rows of every space that a user may read, and the user's roles.
pub fn readable(server: &MemoryServer, user: &str) -> (Vec<Shelf>, BTreeMap<String, String>) {
    let mut roles = BTreeMap::new();
    let mut shelves = vec![(None, server.rows(user))];
    for space in SPACES {
        let rows = server.rows_in(&Space::shared(space));
        if let Some(role) = role_of(&rows, space, user) {
            roles.insert(space.to_owned(), role);
            shelves.push((Some(space), rows));
        }
    }
    for (_, rows) in &mut shelves {
        rows.retain(is_live);
    }
    (shelves, roles)
}

/// Returns the ids of roaming rows that live in exactly one place that the user may read.
pub fn live_rows(server: &MemoryServer, user: &str) -> BTreeSet<String> {
    let (shelves, _) = readable(server, user);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for row in shelves.into_iter().flat_map(|(_, rows)| rows) {
        if is_roaming(&row.id) {
            *counts.entry(row.id).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count == 1);
    counts.into_keys().collect()
}

/// Returns true if rows of a space may be here: the user is in it as far as is known, or it waits to
/// be made, or no list has come since storage was lost. A tab that saves what it had of a lost log
/// asks for everything again, and for the list with it.
fn may_hold(replica: &Replica, space: &str) -> bool {
    let table = Table::name(SPACE, Some(space));
    replica.spaces().role(space).is_some()
        || replica.damage().needs_full_pull
        || replica.spaces().listed_at() == 0
        || replica.outbox().last(&Key::new(&table, space)).is_some()
}

/// Returns true if something may wait for a space. Who creates one that they were invited to, or
/// have made on another device, gets its row before the list has it.
pub fn may_send(replica: &Replica, space: &str) -> bool {
    let table = Table::name(SPACE, Some(space));
    replica.is_visible(&Key::new(&table, space)) || may_hold(replica, space)
}

/// Fails if there is anything here of a space that the user is not in.
pub fn check_outside(replica: &Replica) -> Result<(), String> {
    let has_rows = |table: &&str| {
        let mut ids = replica.ids(table, None);
        ids.any(|id| replica.row_version(&Key::new(table, id)).is_some())
    };
    let outside = |table: &&str, may: &dyn Fn(&Replica, &str) -> bool| {
        let table = Table(table);
        let space = table.space().filter(|_| table.entity() != SPACE);
        space.is_some_and(|space| !may(replica, space))
    };
    let mut rows = replica.entities().keys().filter(has_rows);
    let mut waiting = replica
        .outbox()
        .iter()
        .flat_map(|queued| queued.op.tables());
    let row = rows.find(|table| outside(table, &may_hold));
    match row.or_else(|| waiting.find(|table| outside(table, &may_send))) {
        Some(table) => Err(format!(
            "there is something of {table:?}, but the list is {:?}",
            replica.spaces().list()
        )),
        None => Ok(()),
    }
}

/// What a reader sees between two records.
pub struct Sight {
    visible: BTreeSet<String>,
    cursor: Option<String>,
    settled: bool,
}

impl Sight {
    pub fn of(replica: &Replica) -> Self {
        let ids = tables::ids(replica, "tasks", None);
        let lasting = |id: &&str| id.starts_with("team-");
        let visible = ids.iter().map(|(id, _)| id).filter(lasting);
        let visible = visible.filter(|id| tables::is_visible(replica, "tasks", id));
        let cursor = replica.cursor("");
        Self {
            visible: visible.map(str::to_owned).collect(),
            cursor: cursor.and_then(|state| state.cursor.clone()),
            settled: cursor.is_some_and(|state| state.full_since.is_none())
                && replica.spaces().starts("").is_none(),
        }
    }

    /// What lives where the user reads it does not vanish between pages. `lived` knows what did
    /// when a page was given.
    pub fn compare(
        &self,
        replica: &Replica,
        same_list: bool,
        lived: &dyn Fn(&str, &str) -> bool,
    ) -> Result<(), String> {
        let now = Self::of(replica);
        let Some(cursor) = now
            .cursor
            .filter(|_| same_list && self.settled && now.settled)
        else {
            return Ok(());
        };
        if self.cursor.as_ref() == Some(&cursor) {
            return Ok(());
        }
        let mut gone = self.visible.difference(&now.visible);
        match gone.find(|id| lived(&cursor, id)) {
            Some(id) => Err(format!(
                "{id} vanishes, though it lives where the user reads it"
            )),
            None => Ok(()),
        }
    }
}

impl World {
    /// Checks that a tab has the spaces of its user and every row in them, by content.
    pub(super) fn judge_spaces(
        &self,
        user: &'static str,
        owner: Owner,
        engine: &Rc<App>,
    ) -> Result<(), String> {
        let (shelves, roles) = readable(&self.server, user);
        let opened = engine.opened(user).ok_or("is not open")?;
        let (list, is_moving) = opened.db.read(|replica| {
            let list = replica.spaces().list().iter();
            let list: BTreeMap<_, _> = list
                .map(|joined| (joined.space.clone(), joined.role.name().to_owned()))
                .collect();
            (list, !replica.spaces().limbo().is_empty())
        });
        if list != roles {
            return Err(format!("has the spaces {list:?}, the server {roles:?}"));
        }
        if is_moving {
            return Err("a row is on its way for ever".to_owned());
        }
        let truth = self
            .server
            .digests(user)
            .map_err(|error| format!("{error:?}"))?;
        for entity in [SPACE, MEMBER] {
            let digest = opened.db.read(|replica| replica.digest(entity).wire());
            if truth.get(entity).is_some_and(|truth| *truth != digest) {
                return Err(format!(
                    "digest of {entity}: {digest:?}, the server's is {truth:?}"
                ));
            }
        }
        for (space, rows) in shelves {
            for entity in ["tasks", SPACE, MEMBER] {
                let selection = Table::name(entity, Some(space.unwrap_or_default()));
                let seen = self.read(user, owner, engine, selection.into_owned())?;
                let rows = rows.iter().filter(|row| row.entity == entity);
                compare(&seen, &rows.collect::<Vec<_>>(), space)?;
            }
        }
        Ok(())
    }

    fn read(
        &self,
        user: &'static str,
        owner: Owner,
        engine: &Rc<App>,
        selection: String,
    ) -> Result<Vec<Value>, String> {
        let read = Rc::new(RefCell::new(String::new()));
        let (reading, into) = (Rc::clone(engine), Rc::clone(&read));
        self.tasks.spawn(owner, async move {
            let all = reading.entities().read_all(user, &selection, false).await;
            *into.borrow_mut() = all.unwrap_or_else(|error| format!("{error:?}"));
        });
        self.tasks.run_for(60_000);
        serde_json::from_str(&read.borrow())
            .map_err(|_| format!("cannot be read: {}", read.borrow()))
    }

    /// Returns the number of live rows that a user may read, in all spaces.
    pub(super) fn count_live(&self, user: &str) -> u64 {
        let (shelves, _) = readable(&self.server, user);
        let rows = shelves.iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| row.entity == "tasks").count() as u64
    }

    /// Checks the dead letters of a tab: only what may be refused, and none says that it was
    /// refused for certain if it was applied.
    pub(super) fn judge_letters(
        &self,
        device: usize,
        user: &'static str,
        replica: &Replica,
    ) -> Result<(), String> {
        let mut kept: Vec<Letter> = Vec::new();
        for letter in replica.dead_letters().values() {
            let (op, table) = (&letter.op, Table(&letter.op.entity));
            // What waits behind a refused move may be in the personal space.
            let in_space =
                is_roaming(&op.id) || op.tables().any(|table| Table(table).space().is_some());
            let may_die = in_space && REFUSALS.contains(&letter.code.as_str());
            if !may_die && !op.id.starts_with("big-") {
                return Err(format!(
                    "{table:?} {} is a dead letter: {} {}",
                    op.id, letter.code, letter.message
                ));
            }
            if !self.loses && !letter.maybe && self.push_checker.was_applied(&op.op_id) {
                return Err(format!(
                    "{table:?} {} was applied, but its dead letter says {}",
                    op.id, letter.code
                ));
            }
            let data = op
                .body
                .as_deref()
                .and_then(|body| serde_json::from_str(body).ok());
            kept.push((op.id.clone(), data));
        }
        self.push_checker.roaming.judge(user, device, &kept)
    }
}

fn compare(seen: &[Value], rows: &[&Row], space: Option<&str>) -> Result<(), String> {
    if seen.len() != rows.len() {
        let ids: Vec<&str> = rows.iter().map(|row| &*row.id).collect();
        return Err(format!(
            "reads {seen:?} in {space:?}, but the server has {ids:?}"
        ));
    }
    for seen in seen {
        let row = rows.iter().find(|row| seen["id"] == row.id);
        let row = row.and_then(|row| row.data.as_deref()).unwrap_or("null");
        let row: Value = serde_json::from_str(row).map_err(|error| error.to_string())?;
        let same = |(field, value): (&String, &Value)| {
            // What was pending in a migration may have been sent before in its older form, and an
            // older app that edits a row may bring its form back.
            let is_form = field == FORM || field == PASSED;
            seen.get(field) == Some(value) || field.ends_with("At") || is_form
        };
        if !row.as_object().is_some_and(|row| row.iter().all(same)) {
            return Err(format!(
                "reads {seen} in {space:?}, but the server has {row}"
            ));
        }
    }
    Ok(())
}
