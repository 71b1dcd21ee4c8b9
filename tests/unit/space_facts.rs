//! What the log knows of spaces: the list, spaces that start, rows that are moving, and spaces that were left.

use datum_sync::log::commit::{Commit, Event, SegmentWrite};
use datum_sync::log::facts::DeadLetter;
use datum_sync::log::receipt::{Receipt, Restored};
use datum_sync::log::spaces::{Limbo, SpaceEvent};
use datum_sync::model::entity::Key;
use datum_sync::model::operation::{Operation, OperationKind};
use datum_sync::model::space::{Joined, Role, SPACE};
use datum_sync::plan::checkpoint::CheckpointPlanner;
use datum_sync::plan::{Plan, Planner};
use datum_sync::state::local_only;
use datum_sync::state::replica::Replica;

use super::space_tables::{TEAM, edit, rows, shared};

/// A log that is read as it is written.
struct Log(Replica);

impl Log {
    fn new() -> Self {
        Self(Replica::new("ann", u64::MAX))
    }

    fn put(&mut self, segments: Vec<SegmentWrite>, events: Vec<Event>) {
        let seq = self.0.head() + 1;
        let record = Commit { segments, events }.encode(seq).record;
        self.0.load_record(seq, &record).unwrap();
    }

    fn say(&mut self, what: SpaceEvent) {
        self.put(Vec::new(), vec![Event::Space { what }]);
    }

    fn versions(&self, table: &str) -> Vec<(String, u64)> {
        let rows = self.0.entities().get(table);
        let rows = rows.into_iter().flat_map(|rows| rows.iter());
        rows.map(|(id, row)| (id.to_owned(), row.version)).collect()
    }
}

fn joined(space: &str, role: Role) -> Joined {
    Joined {
        space: space.to_owned(),
        role,
    }
}

fn list(list: Vec<Joined>, asked: u64) -> SpaceEvent {
    SpaceEvent::List { list, asked }
}

fn start(space: &str, at: u64) -> Event {
    let what = SpaceEvent::Start {
        scope: String::new(),
        space: space.to_owned(),
        at,
    };
    Event::Space { what }
}

fn end() -> SpaceEvent {
    SpaceEvent::EndStarts {
        scope: String::new(),
        entities: None,
    }
}

fn passed(space: &str, version: u64) -> SpaceEvent {
    SpaceEvent::Passed {
        space: space.to_owned(),
        version,
    }
}

fn creation(space: &str) -> Operation {
    let op = edit("make", &shared(SPACE), space);
    Operation {
        kind: OperationKind::Create,
        ..op
    }
}

#[test]
fn a_space_that_begins_anew_loses_what_did_not_come_and_keeps_what_is_newer() {
    let mut log = Log::new();
    let team = shared("tasks");
    let before = [
        ("came", 3, "{}"),
        ("gone", 5, "{}"),
        ("late", 8, "{}"),
        ("unknown", 0, "{}"),
    ];
    log.put(
        vec![rows(&team, &before), rows("tasks", &[("own", 1, "{}")])],
        Vec::new(),
    );
    log.put(
        vec![rows(&team, &[("came", 3, "{}")])],
        vec![start(TEAM, 7)],
    );
    assert!(log.0.is_pulling_all(), "no checkpoint replaces the stamps");
    log.say(end());
    let left = [("came".to_owned(), 3), ("late".to_owned(), 8)];
    assert_eq!(log.versions(&team), left);
    assert_eq!(log.versions("tasks").len(), 1, "another space goes on");
    assert!(!log.0.is_pulling_all());
}

#[test]
fn the_personal_space_begins_anew_like_any_other() {
    let mut log = Log::new();
    log.put(
        vec![
            rows("tasks", &[("gone", 1, "{}"), ("late", 9, "{}")]),
            rows(&shared("tasks"), &[("a", 1, "{}")]),
        ],
        Vec::new(),
    );
    log.put(Vec::new(), vec![start("", 7)]);
    log.say(end());
    assert_eq!(log.versions("tasks"), [("late".to_owned(), 9)]);
    assert_eq!(log.versions(&shared("tasks")).len(), 1);
}

#[test]
fn how_far_everything_is_told_only_grows_until_a_space_begins_anew() {
    let mut log = Log::new();
    assert_eq!(log.0.spaces().passed(TEAM), None);
    log.say(passed(TEAM, 5));
    log.say(passed(TEAM, 4));
    assert_eq!(log.0.spaces().passed(TEAM), Some(5));
    log.put(Vec::new(), vec![start(TEAM, 2)]);
    assert_eq!(log.0.spaces().passed(TEAM), Some(2));
    let scope = SpaceEvent::Start {
        scope: "some".to_owned(),
        space: TEAM.to_owned(),
        at: 9,
    };
    log.say(scope);
    let told = log.0.spaces().passed(TEAM);
    assert_eq!(told, Some(2), "the pages of a scope do not tell everything");
}

#[test]
fn a_space_that_the_remote_made_is_owned_until_a_list_that_was_asked_for_later_decides() {
    let mut log = Log::new();
    let queue = Event::Queue {
        op: creation(TEAM),
        replaces: Vec::new(),
    };
    log.put(Vec::new(), vec![queue]);
    assert_eq!(log.0.spaces().role(TEAM), None);
    let applied = Event::Applied {
        op_id: "make".to_owned(),
        version: 1,
        with_row: false,
        at: 1,
        field_hashes: Vec::new(),
    };
    log.put(Vec::new(), vec![applied]);
    assert_eq!(log.0.spaces().role(TEAM), Some(Role::Owner));
    assert_eq!(log.0.spaces().made().get(TEAM), Some(&2));
    log.say(list(vec![joined(TEAM, Role::Owner)], 1));
    assert!(
        log.0.spaces().made().contains(TEAM),
        "it was asked for before"
    );
    log.say(list(vec![joined(TEAM, Role::Reader)], 2));
    assert!(log.0.spaces().made().is_empty());
    assert_eq!(log.0.spaces().role(TEAM), Some(Role::Reader));
}

#[test]
fn nothing_is_left_of_a_space_that_the_user_has_left_but_its_dead_letters() {
    let mut log = Log::new();
    let team = shared("tasks");
    let receipt = |table: &str| Event::Receipt {
        entity: table.to_owned(),
        id: "a".to_owned(),
        receipt: Receipt::default(),
    };
    let letter = DeadLetter {
        op: edit("dead", &team, "a"),
        code: "readOnly".to_owned(),
        message: String::new(),
        died_at: 1,
        base: None,
        kept: true,
        blocked_by: None,
        maybe: false,
    };
    let local = [("a", Some(r#"{"draft":1}"#))];
    log.put(
        vec![
            rows(&team, &[("a", 1, "{}")]),
            rows("tasks", &[("a", 1, "{}")]),
            local_only::written(&team, local.into_iter()),
        ],
        vec![
            receipt(&team),
            receipt("tasks"),
            Event::DeadLetters {
                dead_letters: vec![letter],
            },
            start(TEAM, 1),
        ],
    );
    log.say(list(vec![joined(TEAM, Role::Writer)], 0));
    assert!(log.0.kept_rejection(&Key::new(&team, "a")).is_some());
    log.say(SpaceEvent::Leave {
        space: TEAM.to_owned(),
    });
    let replica = &log.0;
    assert!(log.versions(&team).is_empty());
    assert_eq!(log.versions("tasks").len(), 1);
    assert!(replica.view(&Key::new(&team, "a")).is_none());
    assert!(replica.receipts().get(&Key::new(&team, "a")).is_none());
    assert!(replica.receipts().get(&Key::new("tasks", "a")).is_some());
    assert_eq!(replica.spaces().role(TEAM), None);
    assert_eq!(replica.spaces().passed(TEAM), None);
    assert!(replica.dead_letters().contains("dead"), "it is the app's");
}

#[test]
fn a_row_on_its_way_holds_checkpoints_back_until_it_came() {
    let mut log = Log::new();
    let moving = |limbo| SpaceEvent::Moving {
        table: "tasks".to_owned(),
        id: "a".to_owned(),
        limbo,
    };
    let limbo = Limbo {
        to: shared("tasks"),
        version: 4,
    };
    log.say(moving(Some(limbo.clone())));
    let found = log.0.spaces().limbo().get("tasks");
    assert_eq!(found.and_then(|ids| ids.get("a")), Some(&limbo));
    assert!(log.0.is_pulling_all());
    log.say(moving(None));
    assert!(log.0.spaces().limbo().is_empty() && !log.0.is_pulling_all());
}

#[test]
fn a_checkpoint_keeps_what_is_known_of_spaces() {
    let mut log = Log::new();
    let epoch = |epoch: &str, restored| Event::Epoch {
        epoch: epoch.to_owned(),
        restored,
    };
    let restored = Some(Restored {
        kept: Some(1),
        since: 0,
    });
    log.put(Vec::new(), vec![epoch("one", None)]);
    log.put(Vec::new(), vec![epoch("two", restored)]);
    let both = vec![joined(TEAM, Role::Writer), joined("x", Role::Reader)];
    log.say(list(both.clone(), 1));
    log.say(passed(TEAM, 5));
    log.say(passed("", 6));
    log.say(SpaceEvent::Made {
        space: "new".to_owned(),
    });
    let Plan::Ready(planned) = CheckpointPlanner::default().plan(&log.0).unwrap() else {
        panic!("it needs no bodies");
    };
    let mut fresh = Replica::new("ann", u64::MAX);
    let record = planned.commit.encode(9).record;
    fresh.load_record(9, &record).unwrap();
    let spaces = fresh.spaces();
    assert_eq!(spaces.list()[..2], both);
    assert_eq!(spaces.role("new"), Some(Role::Owner));
    assert!(spaces.made().contains("new"));
    assert_eq!((spaces.passed(TEAM), spaces.passed("")), (Some(5), Some(6)));
}

#[test]
fn a_restored_remote_counts_anew_but_the_list_stands_until_it_sends_another() {
    let mut log = Log::new();
    let epoch = |epoch: &str, restored| Event::Epoch {
        epoch: epoch.to_owned(),
        restored,
    };
    log.put(Vec::new(), vec![epoch("one", None)]);
    log.say(list(vec![joined(TEAM, Role::Writer)], 1));
    log.say(passed(TEAM, 5));
    let restored = Some(Restored {
        kept: None,
        since: 0,
    });
    log.put(Vec::new(), vec![epoch("two", restored)]);
    assert_eq!(log.0.spaces().passed(TEAM), None);
    assert_eq!(log.0.spaces().role(TEAM), Some(Role::Writer));
}
