//! Histories by chance: users with several devices write, move, invite and leave, while replies are
//! lost. When all is quiet, each device has what the server has of the spaces that its user may read.

use datum_server::rules::store::Space;
use datum_sync::model::space::Role;
use datum_sync::plan::write::Write;
use serde_json::json;

use crate::support::spaces::{CLUB, TEAM};
use crate::support::world::{Device, Fault, Tab, World};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

const CONFIG: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const SPACES: [Option<&str>; 3] = [None, Some(TEAM), Some(CLUB)];
const USERS: [&str; 3] = ["ann", "bob", "carl"];

fn act(dice: &mut Dice, device: &Device, tab: &Tab, step: usize) -> String {
    let (id, space) = (IDS[dice.roll(IDS.len())], SPACES[dice.roll(SPACES.len())]);
    let title = format!("{}{step}", tab.user);
    match dice.roll(14) {
        0 | 1 => format!(
            "create {id} {space:?}: {:?}",
            tab.try_create(space, id, &title)
        ),
        2..=4 => {
            let changes = format!(r#"{{"title":"{title}"}}"#);
            let id = id.to_owned();
            format!(
                "patch {id}: {:?}",
                tab.write(
                    "tasks",
                    Write::Patch {
                        id: id.clone(),
                        changes
                    }
                )
            )
        }
        5 => {
            let id = id.to_owned();
            format!(
                "delete {id}: {:?}",
                tab.write(
                    "tasks",
                    Write::Delete {
                        id: id.clone(),
                        soft: false
                    }
                )
            )
        }
        6 | 7 => format!("move {id} {space:?}: {:?}", tab.try_move(id, space)),
        8 => {
            let Some(space) = space else {
                return String::new();
            };
            let spaces = tab.engine.spaces();
            let user = USERS[dice.roll(3)];
            let role = [Role::Reader, Role::Writer, Role::Owner][dice.roll(3)];
            format!(
                "role {user} {space} {role:?}: {:?}",
                tab.run(spaces.set_role(&tab.user, space, user, role))
            )
        }
        9 => {
            let Some(space) = space else {
                return String::new();
            };
            let spaces = tab.engine.spaces();
            let user = USERS[dice.roll(3)];
            format!(
                "remove {user} {space}: {:?}",
                tab.run(spaces.remove(&tab.user, space, user))
            )
        }
        10 if dice.roll(3) == 0 => {
            let Some(space) = space else {
                device.evict();
                return "evicted".to_owned();
            };
            let spaces = tab.engine.spaces();
            match dice.roll(4) {
                0 => format!(
                    "end {space}: {:?}",
                    tab.run(spaces.delete(&tab.user, space))
                ),
                1 => {
                    let draft = json!({ "id": space, "spaceId": space, "name": title });
                    let draft = draft.to_string();
                    format!(
                        "make {space}: {:?}",
                        tab.write("$space", Write::Create { draft })
                    )
                }
                2 => format!(
                    "leave {space}: {:?}",
                    tab.run(spaces.leave(&tab.user, space))
                ),
                _ => format!(
                    "rename {space}: {:?}",
                    tab.run(spaces.rename(&tab.user, space, &title))
                ),
            }
        }
        _ => {
            if dice.roll(4) == 0 {
                let path = ["/push", "/pull"][dice.roll(2)];
                let fault = [Fault::ReplyLost, Fault::Lost][dice.roll(2)].clone();
                device.fault(path, fault);
            }
            let order = ["pushThenPull", "pullThenPush", "pushOnly", "pullOnly"][dice.roll(4)];
            let limit = [1, 2, 5, 100][dice.roll(4)];
            let options = format!(r#"{{"direction":"{order}","overrideBatchSize":{limit}}}"#);
            let done = tab.sync_with(&options);
            format!(
                "sync {order} {limit}: {:?}",
                done.map(|done| done.is_success).map_err(|e| e.code())
            )
        }
    }
}

/// What the server has of the spaces that a user may read.
fn truth(world: &World, user: &str) -> Vec<(String, String, Option<String>)> {
    let mut spaces = vec![(None, Space::personal(user))];
    for id in [TEAM, CLUB] {
        let space = Space::shared(id);
        let member = format!("{id}/{user}");
        let rows = world.server.rows_in(&space);
        if rows
            .iter()
            .any(|row| row.id == member && row.data.is_some())
        {
            spaces.push((Some(id.to_owned()), space));
        }
    }
    let mut all = Vec::new();
    for (id, space) in spaces {
        for row in world.server.rows_in(&space) {
            if let (Some(data), "tasks") = (&row.data, &*row.entity) {
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                let title = data["title"].as_str().unwrap().to_owned();
                all.push((row.id.clone(), title, id.clone()));
            }
        }
    }
    all.sort();
    all
}

fn seen(tab: &Tab) -> Vec<(String, String, Option<String>)> {
    let mut all = Vec::new();
    for space in SPACES {
        let selection = format!("tasks\0{}", space.unwrap_or_default());
        let text = tab
            .run(tab.engine.entities().read_all(&tab.user, &selection, false))
            .unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        for row in rows {
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            all.push((text("id").unwrap(), text("title").unwrap(), text("spaceId")));
        }
    }
    all.sort();
    all
}

fn play(seed: u64, steps: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let world = World::new();
    let devices: Vec<Device> = [
        ("ann", "phone"),
        ("ann", "laptop"),
        ("bob", "desk"),
        ("carl", "pad"),
    ]
    .iter()
    .map(|(user, name)| world.device_of(user, name).with_config(CONFIG))
    .collect();
    let tabs: Vec<Tab> = devices.iter().map(Device::open).collect();
    tabs[0].makes(TEAM);
    tabs[2].makes(CLUB);
    for (tab, space) in [(&tabs[0], TEAM), (&tabs[2], CLUB)] {
        for (at, user) in USERS.iter().enumerate() {
            let role = [Role::Owner, Role::Owner, Role::Writer][at];
            if *user != tab.user {
                let spaces = tab.engine.spaces();
                tab.run(spaces.set_role(&tab.user, space, user, role))
                    .unwrap();
            }
        }
        tab.creates(Some(space), IDS[0], space);
        tab.creates(None, IDS[1], "own");
        tab.sync();
    }
    for tab in &tabs {
        tab.sync();
    }
    let mut told = Vec::new();
    for step in 0..steps {
        if dice.roll(25) == 0 {
            world.server.purge_tombstones().unwrap();
            told.push(format!("{step} purge"));
        }
        let at = dice.roll(tabs.len());
        let what = act(&mut dice, &devices[at], &tabs[at], step);
        if !what.contains("Err(Error") && !what.is_empty() {
            told.push(format!("{step} {at} {}: {what}", devices[at].user));
        }
    }
    for device in &devices {
        device.remote.faults.borrow_mut().clear();
    }
    for _ in 0..6 {
        for tab in &tabs {
            world.clock.advance(120_000);
            let _ = tab.sync_with("{}");
        }
    }
    for tab in &tabs {
        let told = || format!("seed {seed}, {}\n{}", tab.user, told.join("\n"));
        assert_eq!(
            tab.pending(),
            0,
            "{}\n{:?}",
            told(),
            tab.pending_operations()
        );
        assert_eq!(seen(tab), truth(&world, &tab.user), "{}", told());
        tab.engine.remote().seen.take();
        let quiet = tab.sync();
        assert!(quiet.is_success, "{}", told());
        let pulls = tab.engine.remote().seen.take();
        let pulls = pulls.iter().filter(|one| one.path == "/pull").count();
        assert_eq!(pulls, 1, "a digest differs: {}", told());
        let moving = tab.engine.opened(&tab.user).unwrap();
        assert!(
            !moving.db.read(|replica| replica.spaces().is_moving()),
            "{}",
            told()
        );
    }
}

#[test]
fn no_history_of_spaces_ends_with_a_difference() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let from = number("SPACES_FROM", 1);
    for seed in from..from + number("SPACES_SEEDS", 30) {
        play(seed, 60);
    }
}
