//! Histories by chance: whatever a device has, an export and an import into an empty database give
//! the same reads, and a sync ends with one state on the server and both devices.

use super::transfer_support::{export, import, seen};
use crate::support::world::{Tab, World};
use datum_sync::plan::write::Write;
use serde_json::Value;

struct Chance(u64);

impl Chance {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

const CONFIG: &str = r#"{"entities":{"tasks":{"conflictResolver":"ask","onRejected":"keepLocal"},"notes":{"deleteBehavior":"softDelete","localOnly":["draft"]}},"retry":{"maxAttempts":1}}"#;
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn act(chance: &mut Chance, tab: &Tab, step: usize) {
    let id = IDS[chance.roll(IDS.len())].to_owned();
    let (entity, soft) = [("tasks", false), ("notes", true)][chance.roll(2)];
    let long = "x".repeat([0, 0, 0, 300][chance.roll(4)]);
    let title = format!("{step}{long}");
    // What is refused, because it exists or does not, is refused.
    let _ = match chance.roll(8) {
        0..=2 => {
            let draft = format!(r#"{{"id":"{id}","title":"{title}","draft":"{step}"}}"#);
            tab.write(entity, Write::Create { draft })
        }
        3..=5 => {
            let changes = [
                format!(r#"{{"title":"{title}"}}"#),
                format!(r#"{{"n":{step}}}"#),
            ][chance.roll(2)]
            .clone();
            tab.write(entity, Write::Patch { id, changes })
        }
        6 => tab.write(entity, Write::Delete { id, soft }),
        _ => {
            tab.sync_with(r#"{}"#).unwrap();
            return;
        }
    };
}

/// What is shown. A refused write over a tombstone has its version, and a full pull brings none.
fn live(tab: &Tab) -> Vec<Value> {
    let mut all = Vec::new();
    let letters = tab.dead_letters();
    for entity in ["tasks", "notes"] {
        let read = tab.engine.entities().read_all(&tab.user, entity, false);
        let mut entities: Vec<Value> = serde_json::from_str(&tab.run(read).unwrap()).unwrap();
        for one in &mut entities {
            if letters.iter().any(|letter| letter["entityId"] == one["id"]) {
                one["version"] = Value::Null;
            }
        }
        all.push(Value::Array(entities));
    }
    all
}

#[test]
fn any_history_comes_back_from_its_file_and_syncs_to_the_same_state() {
    for seed in 1..150_u64 {
        let world = World::new();
        world
            .server
            .configure(|config| config.max_entity_bytes = 250);
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (phone, laptop) = (phone.with_config(CONFIG), laptop.with_config(CONFIG));
        let (mut a, b) = (phone.open(), laptop.open());
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for step in 0..40 {
            let tab = [&a, &b][chance.roll(2)];
            act(&mut chance, tab, step);
            if chance.roll(12) == 0 {
                a = phone.open();
            }
        }
        let file = export(&a);
        let fresh = world.device("tablet").with_config(CONFIG);
        let c = fresh.open();
        import(&c, &file).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(seen(&c), seen(&a), "seed {seed}");
        let again = export(&fresh.open());
        let body = |file: &str| {
            let mut lines: Vec<String> = file.lines().skip(1).map(str::to_owned).collect();
            lines.pop();
            lines.sort();
            lines
        };
        assert_eq!(body(&again), body(&file), "seed {seed}");
        for _ in 0..3 {
            for tab in [&c, &a] {
                tab.sync();
            }
        }
        assert_eq!(live(&c), live(&a), "seed {seed}, after the sync");
    }
}
