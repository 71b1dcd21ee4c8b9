//! Whole logs: whatever their records say under a right checksum, folding them ends, the state
//! tells one story, and a checkpoint of it folds to the same state.

use std::rc::Rc;

use datum_sync::log::commit::Commit;
use datum_sync::model::entity::Key;
use datum_sync::plan::checkpoint::Checkpoint;
use datum_sync::plan::{Need, Plan};
use datum_sync::state::replica::Replica;
use datum_sync::state::view::ViewBody;

use super::record::sealed;

const ELSEWHERE: &str = "in a body that is not here";

/// Payloads of records, each behind the number of its bytes in two.
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
            "no record is folded twice"
        );
        if Commit::decode(&record).is_err() {
            assert!(
                replica.damage().quarantined > 0 && replica.damage().needs_full_pull,
                "what is damaged is noticed"
            );
        }
    }
    tells_one_story(&replica);
    let before = told(&replica);
    let mut opened = opened(&records);
    opened.materialize();
    tells_one_story(&opened);
    if replica.damage().quarantined == 0 {
        assert_eq!(
            told(&opened),
            before,
            "rows that are folded late are the same rows"
        );
    }
    let _ = replica.wants_checkpoint();
    match replica.plan_checkpoint() {
        // What points outside every body is none that a writer of ours made: it is noticed when it
        // is read.
        Plan::Ready(Some(_)) if before.iter().any(|words| words.ends_with(ELSEWHERE)) => {}
        Plan::Ready(Some(Checkpoint { commit, .. })) => {
            let encoded = commit.encode(seq + 1);
            let mut fresh = Replica::new("ann", 1 << 16);
            fresh
                .apply_record(seq + 1, &encoded.record)
                .expect("a log may begin with a checkpoint");
            for (id, body) in encoded.bodies {
                assert!(
                    fresh.segments_mut().supply(id, Some(body)),
                    "the body of a checkpoint fits"
                );
            }
            assert_eq!(told(&fresh), before, "a checkpoint is the state");
            tells_one_story(&fresh);
        }
        Plan::Ready(None) => {}
        Plan::Needs(Need::Bodies(missing)) => {
            for id in missing {
                assert!(
                    !replica.segments_mut().supply(id, None),
                    "a body that is lost is corrupt"
                );
            }
        }
        Plan::Needs(Need::Decisions(_)) => panic!("a checkpoint decides nothing"),
    }
}

/// The state of whoever opens the log: rows stay in their records for as long as nobody asks.
fn opened(records: &[Rc<[u8]>]) -> Replica {
    let mut replica = Replica::new("ann", 1 << 16);
    for (seq, record) in (1..).zip(records) {
        replica.load_record(seq, record).expect("the next record");
    }
    replica
}

fn tells_one_story(replica: &Replica) {
    let names: Vec<String> = replica
        .digests()
        .map(|(name, _)| name.to_owned())
        .chain(replica.outbox().entities().map(str::to_owned))
        .collect();
    for name in &names {
        let ids: Vec<&str> = replica.ids(name, None).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "each id once, in order");
        let live = ids
            .iter()
            .filter(|id| {
                replica
                    .view(&Key::new(name, id))
                    .is_some_and(|view| !view.deleted)
            })
            .count();
        assert_eq!(replica.count(name), live as u64, "{name}");
        let pending: u64 = ids
            .iter()
            .map(|id| replica.outbox().chain(&Key::new(name, id)).count() as u64)
            .sum();
        assert_eq!(replica.outbox().count_of(name), pending, "{name}");
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

/// All that can be asked of a state, in words.
fn told(replica: &Replica) -> Vec<String> {
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
                Some(ViewBody::Absent { .. }) => ELSEWHERE.to_owned(),
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
