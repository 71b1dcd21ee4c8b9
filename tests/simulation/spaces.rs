//! What users do with shared spaces: make and end them, invite, remove and leave, and write and
//! move rows in any of them, also where they must not.
//!
//! Rows named `team-` are never deleted, so nothing that was written into one may be lost; those
//! named `item-` are.

use std::rc::Rc;

use datum_sync::model::entity::Key;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::space::{MEMBER, SPACE};
use datum_sync::model::table::Table;
use datum_sync::plan::write::{Write, Written};
use datum_sync::state::tables;
use serde_json::json;

use super::actions::is_expected;
use super::dice::Dice;
use super::tasks::Owner;
use super::world::{App, USERS, World};

/// The ids of spaces. None is used twice, so a second creation is refused.
pub const SPACES: [&str; 4] = [
    "aaaaaaaa-0000-4000-8000-000000000001",
    "bbbbbbbb-0000-4000-8000-000000000002",
    "cccccccc-0000-4000-8000-000000000003",
    "dddddddd-0000-4000-8000-000000000004",
];

const ROLES: [&str; 4] = ["reader", "writer", "writer", "owner"];

/// Returns true for rows that live in spaces, and that no user owns.
pub fn is_roaming(id: &str) -> bool {
    id.starts_with("team-") || id.starts_with("item-")
}

/// What a user wants, as far as it is known before the device is asked what is there.
struct Wish {
    space: &'static str,
    /// The space that a row is made in or moved to.
    to: Option<&'static str>,
    /// Which user a membership is about.
    about: &'static str,
    role: &'static str,
    id: String,
    field: String,
    value: u64,
    /// Decides between what is possible.
    way: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Space,
    Member,
    Move,
    Row,
}

/// What a device shows its user.
#[derive(Default)]
struct Known {
    spaces: Vec<&'static str>,
    /// Rows that roam.
    rows: Vec<String>,
}

impl Known {
    fn of(engine: &App, user: &str) -> Self {
        let Some(opened) = engine.opened(user) else {
            return Self::default();
        };
        opened.db.read(|replica| {
            let is_shown = |space: &&&str| {
                let table = Table::name(SPACE, Some(space));
                replica.is_visible(&Key::new(&table, space))
            };
            let ids = tables::ids(replica, "tasks", None);
            let shown = |id: &&str| is_roaming(id) && tables::is_visible(replica, "tasks", id);
            let rows = ids.iter().map(|(id, _)| id).filter(shown);
            Self {
                spaces: SPACES.iter().filter(is_shown).copied().collect(),
                rows: rows.map(str::to_owned).collect(),
            }
        })
    }

    /// Returns a space: mostly one that is here.
    fn space(&self, dice: &Dice) -> &'static str {
        if self.spaces.is_empty() || dice.chance(150) {
            return dice.pick::<&str>(&SPACES);
        }
        dice.pick::<&str>(&self.spaces)
    }
}

impl Wish {
    fn new(dice: &Dice, user: &'static str, field: String, value: u64, known: &Known) -> Self {
        let makes = known.spaces.is_empty() && dice.chance(600);
        let kind = match dice.below(20) {
            _ if makes => Kind::Space,
            0 => Kind::Space,
            1..=4 => Kind::Member,
            5..=9 => Kind::Move,
            _ => Kind::Row,
        };
        let family = if dice.chance(600) { "team" } else { "item" };
        let mut id = format!("{family}-{}", dice.below(3));
        if !known.rows.is_empty() && dice.chance(700) {
            id.clone_from(dice.pick(&known.rows));
        }
        let other = if user == USERS[0] { USERS[1] } else { USERS[0] };
        Self {
            space: known.space(dice),
            to: (!dice.chance(250)).then(|| known.space(dice)),
            about: if dice.chance(700) { other } else { user },
            role: dice.pick::<&str>(&ROLES),
            id,
            field,
            value,
            way: dice.below(100),
            kind,
        }
    }

    /// The selection that the write names, and the entity's id.
    fn target(&self) -> (String, String) {
        let in_space = |entity: &str| Table::name(entity, Some(self.space)).into_owned();
        match self.kind {
            Kind::Space => (in_space(SPACE), self.space.to_owned()),
            Kind::Member => (in_space(MEMBER), format!("{}/{}", self.space, self.about)),
            // Now and then one of several rows with this id is named by its space.
            Kind::Move | Kind::Row if self.way.is_multiple_of(7) => {
                (in_space("tasks"), self.id.clone())
            }
            Kind::Move | Kind::Row => ("tasks".to_owned(), self.id.clone()),
        }
    }

    fn write(&self, exists: bool) -> Write {
        let (_, id) = self.target();
        let create = |draft: serde_json::Value| Write::Create {
            draft: draft.to_string(),
        };
        let patch = |changes: serde_json::Value| Write::Patch {
            id: id.clone(),
            changes: changes.to_string(),
        };
        let delete = || Write::Delete {
            id: id.clone(),
            soft: false,
        };
        match (self.kind, exists) {
            (Kind::Space, false) => {
                create(json!({ "id": id, "spaceId": self.space, "name": "made" }))
            }
            (Kind::Space, true) if self.way < 40 => delete(),
            (Kind::Space, true) => patch(json!({ "name": format!("name {}", self.value) })),
            (Kind::Member, false) => {
                create(json!({ "id": id, "spaceId": self.space, "role": self.role }))
            }
            (Kind::Member, true) if self.way < 40 => delete(),
            (Kind::Member, true) => patch(json!({ "role": self.role })),
            (Kind::Move, true) => Write::Move {
                id,
                to: self.to.map(str::to_owned),
            },
            (Kind::Row, true) if self.id.starts_with("item-") && self.way < 20 => delete(),
            (Kind::Row, true) if self.way < 90 => patch(json!({ &self.field: self.value })),
            // Also where it exists elsewhere.
            (Kind::Row | Kind::Move, _) => {
                let space = match Table(&self.target().0).space() {
                    Some(space) => Some(space.to_owned()),
                    None => self.to.map(str::to_owned),
                };
                create(json!({ "id": id, "spaceId": space, &self.field: self.value }))
            }
        }
    }
}

/// Returns true if a device has a row of this id, or something waits for one, in any space.
fn is_known(engine: &App, user: &str, id: &str) -> bool {
    engine.opened(user).is_some_and(|opened| {
        opened.db.read(|replica| {
            let tables = tables::of(replica, "tasks");
            let mut keys = tables.into_iter().map(|table| Key::new(table, id));
            keys.any(|key| replica.view(&key).is_some())
        })
    })
}

fn may_be_refused(error: &Error) -> bool {
    is_expected(error)
        || matches!(
            error.code(),
            Code::NotMember | Code::ReadOnly | Code::NotOwner
        )
}

impl World {
    /// Does something in a space, or with one.
    pub(super) fn act_in_space(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let user = self.devices[device].pick(&self.dice);
        let value = self.counter.get() + 1;
        self.counter.set(value);
        let field = format!("{user}-{}-{slot}", self.devices[device].shared.device_id);
        let known = Known::of(&engine, user);
        let wish = Wish::new(&self.dice, user, field, value, &known);
        self.carry_out(device, slot, owner, engine, user, wish);
    }

    /// Begins a history with a space or two that both users may be in.
    pub(super) fn found_spaces(&self) {
        for (at, space) in SPACES[..2].iter().enumerate() {
            let device = at
                * self
                    .devices
                    .iter()
                    .position(|of| of.users[0] == USERS[1])
                    .unwrap();
            let Some((owner, engine)) = self.tab(device, 0).filter(|_| self.dice.chance(700))
            else {
                continue;
            };
            let user = self.devices[device].users[0];
            let field = format!("{user}-{}-0", self.devices[device].shared.device_id);
            for (kind, about) in [(Kind::Space, user), (Kind::Member, USERS[1 - at])] {
                let known = Known::default();
                let wish = Wish {
                    space,
                    kind,
                    about,
                    ..Wish::new(&self.dice, user, field.clone(), 0, &known)
                };
                self.carry_out(device, 0, owner, Rc::clone(&engine), user, wish);
                self.tasks.run_for(500);
            }
            if self.dice.chance(700) {
                self.sync(device, 0);
                self.tasks.run_for(500);
            }
        }
    }

    fn carry_out(
        &self,
        device: usize,
        slot: usize,
        owner: Owner,
        engine: Rc<App>,
        user: &'static str,
        wish: Wish,
    ) {
        let (table, id) = wish.target();
        let place = (device, user.to_owned(), id.clone(), wish.field.clone());
        if self.busy.borrow().contains_key(&place) {
            return;
        }
        self.busy.borrow_mut().insert(place.clone(), owner);
        let losses = self.push_checker.roaming.losses();
        let name = self.name(device, slot);
        let (push_checker, busy, broken) = (
            Rc::clone(&self.push_checker),
            Rc::clone(&self.busy),
            Rc::clone(&self.broken),
        );
        let shared = Rc::clone(&self.devices[device].shared);
        self.tasks.spawn(owner, async move {
            let entities = engine.entities();
            let exists = entities.exists(user, &table, &id).await.unwrap_or(false);
            let write = wish.write(exists);
            let told = format!("{table:?} {write:?}");
            let deletes = matches!(write, Write::Delete { .. });
            let holds_value = matches!(wish.kind, Kind::Row | Kind::Move)
                && matches!(write, Write::Create { .. } | Write::Patch { .. });
            let roaming = &push_checker.roaming;
            if matches!(write, Write::Create { .. }) && is_known(&engine, user, &id) {
                roaming.doubt(user, device, &id);
            }
            if deletes {
                // A write whose promise never resolves may have been stored.
                roaming.delete(user, device, &id);
            }
            if holds_value {
                roaming.ask(user, device, &id, &wish.field, wish.value);
            }
            let written = entities.write(user, &table, vec![write]).await;
            if shared.traced {
                let ended = written.as_ref().map_err(Error::code);
                shared.say(&format!("{name} wrote {told} for {user}: {ended:?}"));
            }
            if deletes {
                roaming.delete(user, device, &id);
            }
            match written {
                Ok(written) if written.contains(&Written::Absent) => {}
                Ok(_) => {
                    if holds_value && losses == roaming.losses() {
                        roaming.acknowledge(user, device, &id, &wish.field, wish.value);
                    }
                }
                Err(error) if may_be_refused(&error) => {}
                Err(error) => broken
                    .borrow_mut()
                    .push(format!("a write of {id} failed: {error:?}")),
            }
            busy.borrow_mut()
                .retain(|at, who| *at != place || *who != owner);
        });
    }
}
