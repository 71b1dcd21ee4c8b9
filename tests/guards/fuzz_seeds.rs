//! The fuzzers' properties on every test run, with their seeds, earlier findings, and logs of a
//! real history. If `FUZZ_SEEDS` names a folder, the seeds made here are written into it, one
//! folder per target.

#[path = "../../fuzz/src/lib.rs"]
mod properties;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::support::world::{Device, Fault, Tab, World};
use datum_sync::conflict;
use datum_sync::log::commit::{Commit, Entry, Event, SegmentWrite};
use datum_sync::log::facts::Parked;
use datum_sync::model::entity::Key;
use datum_sync::model::operation::{Operation, OperationKind};
use datum_sync::ports::store::Store;
use datum_sync::state::replica::Replica;
use properties::TARGETS;

const HEADER: usize = 12;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Returns the payloads of all records of two devices, and an export of each.
fn made_by_devices() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let world = World::new();
    let [phone, laptop] = devices(&world);
    let tab = phone.open();
    let records = [&phone, &laptop]
        .iter()
        .flat_map(|device| tab.run(device.store().inner.load()).unwrap())
        .map(|(_, record)| record[HEADER..].to_vec())
        .collect();
    let exports = [&phone, &laptop].map(|device| export(&device.open()));
    (records, exports.to_vec())
}

/// Returns an export of a tab's user, behind a byte that says how it is read.
fn export(tab: &Tab) -> Vec<u8> {
    let export = tab.run(tab.engine.transfer().export(&tab.user, true));
    let (export, mut file) = (export.unwrap(), vec![61]);
    while let Some(lines) = tab.run(export.next()).unwrap() {
        file.extend_from_slice(lines.as_bytes());
    }
    file
}

/// Makes devices whose histories have something of everything.
fn devices(world: &World) -> [Device; 2] {
    let config = r#"{"entities":{"tasks":{"localOnly":["draft"]},"notes":{"deleteBehavior":"softDelete","conflictResolver":"ask"}}}"#;
    let (phone, laptop) = (
        world.device("phone").with_config(config),
        world.device("laptop").with_config(config),
    );
    let (a, b) = (phone.open(), laptop.open());
    let ids: Vec<String> = ["milk", "tea", "rice"]
        .map(|title| a.create(&format!(r#"{{"title":"{title}","draft":"ü"}}"#)))
        .iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect();
    a.create(&format!(
        r#"{{"id":"long","title":"{}"}}"#,
        "x".repeat(5_000)
    ));
    a.write(
        "notes",
        datum_sync::plan::write::Write::Create {
            draft: r#"{"id":"n","text":"a"}"#.to_owned(),
        },
    )
    .unwrap();
    a.patch(&ids[0], r#"{"done":true}"#);
    a.sync();
    b.sync();
    for (tab, text) in [(&a, "ours"), (&b, "theirs")] {
        let changes = format!(r#"{{"text":"{text}"}}"#);
        tab.write(
            "notes",
            datum_sync::plan::write::Write::Patch {
                id: "n".to_owned(),
                changes,
            },
        )
        .unwrap();
    }
    b.delete(&ids[1]);
    b.sync();
    a.sync();
    a.patch(&ids[2], r#"{"title":"bread"}"#);
    let refused = r#"{"results":[{"opId":"?","status":"rejected","code":"no"}]}"#;
    phone.fault("/push", Fault::Garbled(refused.into()));
    let _ = a.sync_with("{}");
    a.delete(&ids[2]);
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    [phone, laptop]
}

/// Seeds that are made: records and logs from a history, and the answers among the protocol's
/// vectors.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let (payloads, exports) = made_by_devices();
    assert!(
        payloads.len() > 10,
        "a history of {} records says little",
        payloads.len()
    );
    let mut seeds: Vec<_> = payloads
        .iter()
        .map(|payload| ("record", payload.clone()))
        .collect();
    let chunk = |payload: &Vec<u8>| {
        [
            &u16::try_from(payload.len()).unwrap().to_le_bytes()[..],
            payload,
        ]
        .concat()
    };
    seeds.extend(exports.into_iter().map(|file| ("transfer", file)));
    for length in [1, 4, payloads.len()] {
        seeds.push(("log", payloads[..length].iter().flat_map(chunk).collect()));
    }
    for name in ["pull-replies", "push-replies"] {
        let text = std::fs::read_to_string(
            root()
                .join("server/vectors")
                .join(name)
                .with_extension("json"),
        )
        .unwrap();
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        for vector in ["good", "bad"]
            .iter()
            .flat_map(|kind| vectors[kind].as_array().unwrap())
        {
            seeds.push((
                "replies",
                vector["text"].as_str().unwrap().as_bytes().to_vec(),
            ));
        }
    }
    seeds
}

fn in_the_repository() -> Vec<(&'static str, Vec<u8>)> {
    let files = |target: &str| {
        std::fs::read_dir(root().join("fuzz/corpus").join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    TARGETS
        .iter()
        .flat_map(|(target, _)| files(target).map(|file| (*target, std::fs::read(file).unwrap())))
        .collect()
}

#[test]
fn every_seed_of_the_fuzzers_keeps_what_they_ask_for() {
    let (made, written) = (made(), in_the_repository());
    for (target, property) in TARGETS {
        let mine: Vec<_> = made
            .iter()
            .chain(&written)
            .filter(|(name, _)| *name == target)
            .collect();
        assert!(mine.len() >= 3, "{target} has hardly a seed");
        mine.iter().for_each(|(_, bytes)| property(bytes));
    }
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        for (index, (target, bytes)) in made.iter().enumerate() {
            let folder = Path::new(&folder).join(target);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("made-{index}")), bytes).unwrap();
        }
    }
}

/// The properties hold for every seed with one byte changed or its end cut off.
#[test]
fn seeds_that_are_damaged_keep_it_too() {
    let mut dice = 1_u64;
    let mut roll = move |sides: usize| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    for (target, bytes) in made().into_iter().chain(in_the_repository()) {
        let (_, property) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
        for _ in 0..20 {
            let mut bytes = bytes.clone();
            let at = roll(bytes.len().max(1));
            match roll(3) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(at..),
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = byte.wrapping_add(1 + roll(255) as u8)),
            }
            property(&bytes);
        }
    }
}

/// Found by the fuzzer of logs: such a row was counted twice, and once only a tombstone is held.
#[test]
fn a_row_that_is_held_and_no_tombstone_is_corrupt() {
    let directory = |deleted| {
        let entry = Entry {
            id: "a".to_owned(),
            version: 1,
            deleted,
            held: true,
            ..Entry::default()
        };
        Commit {
            segments: vec![SegmentWrite {
                entity: "tasks".to_owned(),
                entries: vec![entry],
                ..SegmentWrite::default()
            }],
            events: vec![],
        }
    };
    assert!(Commit::decode(&directory(true).encode(1).record).is_ok());
    assert!(Commit::decode(&directory(false).encode(1).record).is_err());
}

/// An operation that creates an entity.
fn create(op_id: &str, id: &str) -> Operation {
    Operation {
        op_id: op_id.to_owned(),
        entity: "tasks".to_owned(),
        id: id.to_owned(),
        kind: OperationKind::Create,
        base_version: None,
        to: None,
        body: Some(Rc::from("{}")),
        fields: Vec::new(),
        queued_at: 0,
        attempts: 0,
        soft: false,
        supersedes: Vec::new(),
        earlier: Vec::new(),
        links: Vec::new(),
    }
}

/// Found by the fuzzer of logs: the first of the two could never be taken out again.
#[test]
fn an_operation_that_a_log_queues_twice_waits_once() {
    let op = create("o", "a");
    let queue = || Event::Queue {
        op: op.clone(),
        replaces: Vec::new(),
    };
    let mut replica = Replica::new("ann", 0);
    replica
        .apply_record(
            1,
            &Commit {
                events: vec![queue(), queue()],
                segments: vec![],
            }
            .encode(1)
            .record,
        )
        .unwrap();
    assert_eq!(
        (
            replica.outbox().len(),
            replica.outbox().iter().count(),
            replica.outbox().bytes()
        ),
        (1, 1, 2)
    );
    let gone = Commit {
        events: vec![Event::Dequeue {
            ops: vec!["o".to_owned()],
        }],
        segments: vec![],
    };
    replica.apply_record(2, &gone.encode(2).record).unwrap();
    assert_eq!(
        (
            replica.outbox().iter().count(),
            replica.view(&Key::new("tasks", "a")).is_none()
        ),
        (0, true)
    );
}

/// Found by the fuzzer of logs: an operation waited for the decision of a conflict that was not its
/// own, or was none any more.
#[test]
fn what_waits_for_a_decision_waits_for_one_of_its_own() {
    let queue = |op: Operation, replaces: &[&str]| Event::Queue {
        op,
        replaces: replaces.iter().map(|id| (*id).to_owned()).collect(),
    };
    let park = |id: &str, entity_id: &str| Event::Park {
        conflict: Parked {
            id: id.to_owned(),
            entity: "tasks".to_owned(),
            entity_id: entity_id.to_owned(),
            kind: conflict::ConflictKind::BothModified,
            base: None,
            base_version: 1,
            assumed: false,
            fields: Vec::new(),
            detected_at: 0,
            failed: 0,
        },
    };
    let blocked = |events: Vec<Event>| {
        let mut replica = Replica::new("ann", 0);
        let made = vec![queue(create("o", "a"), &[]), queue(create("p", "b"), &[])];
        replica
            .apply_record(
                1,
                &Commit {
                    events: made,
                    segments: vec![],
                }
                .encode(1)
                .record,
            )
            .unwrap();
        replica
            .apply_record(
                2,
                &Commit {
                    events,
                    segments: vec![],
                }
                .encode(2)
                .record,
            )
            .unwrap();
        let blocked = replica
            .outbox()
            .iter()
            .filter_map(|queued| Some((queued.op.id.clone(), queued.blocked_by.clone()?)));
        (blocked.collect::<Vec<_>>(), replica.conflicts().len())
    };
    let only = |id: &str, by: &str| (vec![(id.to_owned(), by.to_owned())], 1);
    assert_eq!(
        blocked(vec![park("c", "a"), park("c", "b")]),
        only("b", "c"),
        "one conflict, of another entity"
    );
    assert_eq!(
        blocked(vec![park("d", "a"), park("c", "a")]),
        only("a", "c"),
        "another conflict, of one entity"
    );
    assert_eq!(
        blocked(vec![park("c", "a"), queue(create("q", "z"), &["o"])]),
        (vec![], 1),
        "an entity in the place of another"
    );
}
