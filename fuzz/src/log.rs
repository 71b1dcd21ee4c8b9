//! Whole logs: whatever records with a valid checksum say, folding them ends, the state is
//! consistent, and a checkpoint of it folds to the same state.

use std::rc::Rc;

use datum_sync::log::commit::Commit;
use datum_sync::model::entity::Key;
use datum_sync::model::table::Table;
use datum_sync::plan::checkpoint::CheckpointPlanner;
use datum_sync::plan::{Plan, Planned, Planner};
use datum_sync::state::replica::Replica;
use datum_sync::state::view::ViewBody;

use super::record::sealed;

const MISSING: &str = "in a missing body";

/// Takes payloads of records, each after its length in two bytes.
pub fn holds(bytes: &[u8]) {
    let mut rest = bytes;
    let mut replica = Replica::new("ann", 1 << 16);
    let (mut seq, mut records) = (0, Vec::new());
    while let Some(([low, high], tail)) = rest.split_first_chunk() {
        let (payload, after) =
            tail.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(tail.len()));
        rest = after;
        seq += 1;
        let record: Rc<[u8]> = Rc::from(sealed(payload));
        records.push(Rc::clone(&record));
        replica.apply_record(seq, &record).expect("the next record");
        assert_eq!(replica.head(), seq);
        assert!(
            replica.apply_record(seq, &record).is_err(),
            "no record is applied twice"
        );
        if Commit::decode(&record).is_err() {
            assert!(
                replica.damage().quarantined > 0 && replica.damage().needs_full_pull,
                "damage is noticed"
            );
        }
    }
    check_consistent(&replica);
    let before = describe(&replica);
    let mut opened = opened(&records);
    opened.materialize();
    check_consistent(&opened);
    if replica.damage().quarantined == 0 {
        assert_eq!(
            describe(&opened),
            before,
            "lazily folded rows are the same rows"
        );
    }
    check_checkpoint(&mut replica, seq, &before);
}

fn check_checkpoint(replica: &mut Replica, seq: u64, before: &[String]) {
    let _ = replica.wants_checkpoint();
    match CheckpointPlanner::default()
        .plan(replica)
        .expect("a checkpoint can always be planned")
    {
        // A full pull is under way.
        Plan::Ready(planned) if planned.superseded.is_none() => {}
        // Our writer makes no reference outside its bodies: reading detects such a row.
        Plan::Ready(_) if before.iter().any(|words| words.ends_with(MISSING)) => {}
        Plan::Ready(Planned { commit, .. }) => {
            let encoded = commit.encode(seq + 1);
            let mut fresh = Replica::new("ann", 1 << 16);
            fresh
                .apply_record(seq + 1, &encoded.record)
                .expect("a log may begin with a checkpoint");
            for (id, body) in encoded.bodies {
                assert!(
                    fresh.segments_mut().supply(id, Some(body)),
                    "a checkpoint accepts its own body"
                );
            }
            assert_eq!(describe(&fresh), before, "a checkpoint is the whole state");
            check_consistent(&fresh);
        }
        Plan::Needs(missing) => {
            for id in missing {
                assert!(
                    !replica.segments_mut().supply(id, None),
                    "a lost body is corrupt"
                );
            }
        }
    }
}

/// Returns the state after opening the log, with rows still in their records.
fn opened(records: &[Rc<[u8]>]) -> Replica {
    let mut replica = Replica::new("ann", 1 << 16);
    for (seq, record) in (1..).zip(records) {
        replica.load_record(seq, record).expect("the next record");
    }
    replica
}

fn check_consistent(replica: &Replica) {
    let names: Vec<String> = replica
        .digests()
        .map(|(name, _)| name.to_owned())
        .chain(replica.outbox().entities().map(str::to_owned))
        .collect();
    for name in &names {
        let ids: Vec<&str> = replica.ids(name, None).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "each id once, sorted");
        let live = ids
            .iter()
            .filter(|id| {
                replica
                    .view(&Key::new(name, id))
                    .is_some_and(|view| !view.deleted)
            })
            .count();
        assert_eq!(replica.count(name), live as u64, "{name}");
        // A type is counted in all its spaces, and an operation that moves a row once.
        let entity = Table(name).entity();
        let operations = replica.outbox().iter().map(|queued| &*queued.op.entity);
        let pending = operations.filter(|table| Table(table).entity() == entity);
        let pending = pending.count() as u64;
        assert_eq!(replica.outbox().count_of(entity), pending, "{entity}");
    }
    assert_eq!(replica.outbox().iter().count(), replica.outbox().len());
    assert_eq!(
        replica.outbox().bytes(),
        replica
            .outbox()
            .iter()
            .map(|queued| queued.op.bytes())
            .sum::<u64>()
    );
}

/// Describes a state completely, as lines of text.
fn describe(replica: &Replica) -> Vec<String> {
    let mut words = Vec::new();
    let mut names: Vec<&str> = replica
        .digests()
        .map(|(name, _)| name)
        .chain(replica.outbox().entities())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let digest = replica.digest(name);
        for id in replica.ids(name, None) {
            let view = replica.view(&Key::new(name, id)).expect("an id has a view");
            let body = match view.body {
                Some(ViewBody::Text(text)) => text.to_owned(),
                Some(ViewBody::Absent { .. }) => MISSING.to_owned(),
                None => "none".to_owned(),
            };
            words.push(format!(
                "{name} {id} {} {} {body}",
                view.version, view.deleted
            ));
        }
        if digest.count > 0 {
            words.push(format!("{name} {digest:?}"));
        }
    }
    words.extend(
        replica
            .outbox()
            .iter()
            .map(|queued| format!("{:?} {:?}", queued.op, queued.blocked_by)),
    );
    words.extend(
        replica
            .conflicts()
            .values()
            .map(|conflict| format!("{conflict:?}")),
    );
    words.extend(
        replica
            .dead_letters()
            .values()
            .map(|letter| format!("{letter:?}")),
    );
    words.push(format!("{:?} {:?}", replica.facts(), replica.cursor("")));
    words
}
