//! A checkpoint that is planned in steps is the one that is planned at once.

use datum_sync::log::address::{BodyId, body_id};
use datum_sync::log::commit::{Commit, Entry, SegmentBody, SegmentWrite};
use datum_sync::plan::checkpoint::{CheckpointDraft, CheckpointPlanner, CheckpointStep};
use datum_sync::plan::{Plan, Planned, Planner};
use datum_sync::state::replica::Replica;

/// How many segments there are, and how many rows each has.
const SEGMENTS: u64 = 3;
const ROWS: usize = 40;

/// One segment with rows of one table, among those of the others in order of id.
fn page(number: u64) -> (Commit, Vec<u8>) {
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    for row in 0..ROWS {
        let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(200));
        entries.push(Entry {
            id: format!("t{row:03}-{number}"),
            version: number,
            offset: bytes.len() as u32,
            len: text.len() as u32,
            ..Entry::default()
        });
        bytes.extend(text.bytes());
    }
    let segment = SegmentWrite {
        entity: "tasks".to_owned(),
        entries,
        body: SegmentBody::New(bytes.clone().into()),
    };
    let commit = Commit {
        segments: vec![segment],
        events: Vec::new(),
    };
    (commit, bytes)
}

/// A state without a body in memory, and its bodies.
fn stored() -> (Replica, Vec<(BodyId, Vec<u8>)>) {
    let (mut replica, mut bodies) = (Replica::new("ann", 0), Vec::new());
    for seq in 1..=SEGMENTS {
        let (commit, bytes) = page(seq);
        let encoded = commit.encode(seq);
        replica.apply_record(seq, &encoded.record).unwrap();
        bodies.push((body_id(seq, 0), bytes));
    }
    (replica, bodies)
}

fn fetch(replica: &mut Replica, bodies: &[(BodyId, Vec<u8>)], wanted: &[BodyId]) {
    replica.segments_mut().pin(wanted);
    for (id, bytes) in bodies.iter().filter(|(id, _)| wanted.contains(id)) {
        let bytes = Some(bytes.clone().into());
        assert!(replica.segments_mut().supply(*id, bytes));
    }
}

fn at_once(replica: &mut Replica, bodies: &[(BodyId, Vec<u8>)]) -> Planned<()> {
    let all: Vec<BodyId> = bodies.iter().map(|(id, _)| *id).collect();
    fetch(replica, bodies, &all);
    match CheckpointPlanner::default().plan(replica).unwrap() {
        Plan::Ready(planned) => planned,
        Plan::Needs(missing) => panic!("{missing:?} are missing"),
    }
}

/// Plans in steps; calls `between` after each. Returns the plan, and how many steps it took.
fn in_steps(
    replica: &mut Replica,
    bodies: &[(BodyId, Vec<u8>)],
    between: &mut dyn FnMut(usize, &mut Replica),
) -> (Planned<()>, usize) {
    let mut draft = CheckpointDraft::default();
    let mut steps = 0;
    loop {
        match draft.step(replica, 7) {
            CheckpointStep::Done => break,
            CheckpointStep::Needs(missing) => fetch(replica, bodies, &missing),
            CheckpointStep::More => {
                steps += 1;
                between(steps, replica);
            }
        }
    }
    match (CheckpointPlanner { draft }).plan(replica).unwrap() {
        Plan::Ready(planned) => (planned, steps),
        Plan::Needs(missing) => panic!("{missing:?} are missing"),
    }
}

#[test]
fn also_if_bodies_leave_memory_between_the_steps() {
    let (mut replica, bodies) = stored();
    let mut evict = |_, replica: &mut Replica| replica.segments_mut().unpin();
    let (planned, steps) = in_steps(&mut replica, &bodies, &mut evict);
    assert!(steps > 10, "{steps} steps");
    let wanted = at_once(&mut replica, &bodies);
    assert_eq!(planned.commit, wanted.commit);
    assert_eq!(planned.superseded, wanted.superseded);
    let rows: usize = (planned.commit.segments.iter())
        .map(|segment| segment.entries.iter().filter(|entry| entry.len > 0).count())
        .sum();
    assert_eq!(rows, ROWS * SEGMENTS as usize, "each has its body");
}

#[test]
fn also_if_the_log_grows_between_the_steps() {
    let (mut replica, mut bodies) = stored();
    let (commit, bytes) = page(SEGMENTS + 1);
    bodies.push((body_id(SEGMENTS + 1, 0), bytes));
    let mut grow = |step, replica: &mut Replica| {
        if step == 5 {
            let encoded = commit.encode(SEGMENTS + 1);
            replica.apply_record(SEGMENTS + 1, &encoded.record).unwrap();
        }
    };
    let (planned, _) = in_steps(&mut replica, &bodies, &mut grow);
    assert_eq!(planned.commit, at_once(&mut replica, &bodies).commit);
}
