//! Verdicts that come late: for what lies as a letter, and for rows of spaces that are left.

use std::rc::Rc;

use datum_sync::log::commit::{Commit, Event};
use datum_sync::log::facts::DeadLetter;
use datum_sync::log::spaces::SpaceEvent;
use datum_sync::model::entity::Key;
use datum_sync::model::operation::{Operation, OperationKind};
use datum_sync::model::protocol::parse_push_reply;
use datum_sync::model::space::{Joined, Role};
use datum_sync::plan::context::PlanContext;
use datum_sync::plan::rejection::Rules;
use datum_sync::plan::row_planner::Decisions;
use datum_sync::plan::verdicts::VerdictPlanner;
use datum_sync::plan::{Decided, Plan, Planner};
use datum_sync::state::replica::Replica;

use super::space_tables::{TEAM, edit, shared};

/// What a reply to one operation changes.
fn answered(replica: &mut Replica, op: &Operation, verdict: &str) {
    let text = format!(r#"{{"results":[{{"opId":"{}",{verdict}}}]}}"#, op.op_id);
    let reply = parse_push_reply(text.as_bytes(), &[&op.op_id]).unwrap();
    let mut planner = VerdictPlanner {
        sent: std::slice::from_ref(op),
        reply: &reply,
        rules: &Rules {
            soft: &|_| false,
            keeps: &|_| false,
            policies: &|_| Rc::default(),
        },
        decisions: Decisions::default(),
        context: PlanContext {
            now: 9,
            seed: [7; 10],
        },
    };
    let Plan::Ready(planned) = planner.plan(replica).unwrap() else {
        panic!("it needs no bodies");
    };
    assert!(matches!(planned.output, Decided::Done(_)));
    if !planned.commit.is_empty() {
        put(replica, planned.commit);
    }
}

fn put(replica: &mut Replica, commit: Commit) {
    let seq = replica.head() + 1;
    replica
        .apply_record(seq, &commit.encode(seq).record)
        .unwrap();
}

fn say(replica: &mut Replica, events: Vec<Event>) {
    let segments = Vec::new();
    put(replica, Commit { segments, events });
}

fn member(replica: &mut Replica) {
    listed(
        replica,
        vec![Joined {
            space: TEAM.to_owned(),
            role: Role::Writer,
        }],
    );
}

fn listed(replica: &mut Replica, list: Vec<Joined>) {
    let what = SpaceEvent::List { list, asked: 1 };
    say(replica, vec![Event::Space { what }]);
}

fn letter(op: &Operation) -> Event {
    let letter = DeadLetter {
        op: op.clone(),
        code: "notMember".to_owned(),
        message: String::new(),
        died_at: 1,
        base: None,
        kept: false,
        blocked_by: None,
        maybe: true,
    };
    Event::DeadLetters {
        dead_letters: vec![letter],
    }
}

#[test]
fn an_operation_that_was_applied_after_all_takes_its_letter_back() {
    for is_member in [false, true] {
        let mut replica = Replica::new("ann", u64::MAX);
        let op = edit("op", &shared("tasks"), "a");
        if is_member {
            member(&mut replica);
        } else {
            listed(&mut replica, Vec::new());
        }
        say(&mut replica, vec![letter(&op)]);
        let later = Operation {
            body: Some(Rc::from(r#"{"title":"later"}"#)),
            ..op.clone()
        };
        answered(&mut replica, &later, r#""status":"applied","version":5"#);
        assert!(replica.dead_letters().contains("op"), "it holds more");
        answered(&mut replica, &op, r#""status":"applied","version":5"#);
        assert!(!replica.dead_letters().contains("op"));
        let team = shared("tasks");
        let key = Key::new(&team, "a");
        assert_eq!(replica.receipts().get(&key).is_some(), is_member);
        assert_eq!(replica.row_version(&key), None, "the pages bring the row");
    }
}

#[test]
fn a_verdict_files_no_row_that_the_pages_have_passed() {
    for (passed, filed) in [(4, true), (5, false)] {
        let mut replica = Replica::new("ann", u64::MAX);
        member(&mut replica);
        let team = shared("tasks");
        let op = Operation {
            kind: OperationKind::Create,
            base_version: None,
            ..edit("op", &team, "a")
        };
        let what = SpaceEvent::Passed {
            space: TEAM.to_owned(),
            version: passed,
        };
        let queue = Event::Queue {
            op: op.clone(),
            replaces: Vec::new(),
        };
        say(&mut replica, vec![Event::Space { what }, queue]);
        answered(
            &mut replica,
            &op,
            r#""status":"applied","version":5,"replayed":true"#,
        );
        assert!(replica.outbox().is_empty());
        assert_eq!(replica.row_version(&Key::new(&team, "a")).is_some(), filed);
    }
}

#[test]
fn a_conflict_with_a_space_that_is_not_in_the_list_waits_for_the_pull() {
    let mut replica = Replica::new("ann", u64::MAX);
    member(&mut replica);
    let team = shared("tasks");
    let op = edit("op", &team, "a");
    let queue = Event::Queue {
        op: op.clone(),
        replaces: Vec::new(),
    };
    say(&mut replica, vec![queue]);
    let other = "bbbbbbbb-0000-4000-8000-000000000002";
    let verdict = format!(
        r#""status":"conflict","version":9,"row":{{"n":1}},"space":"{other}","leftVersion":4"#
    );
    answered(&mut replica, &op, &verdict);
    assert!(replica.outbox().get("op").is_some());
    assert!(replica.entities().is_empty());
}
