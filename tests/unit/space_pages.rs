//! Pages and pushes name the space of a row, and the row is kept in the table of its space.

use std::rc::Rc;

use datum_sync::engine::cycle::batch::{on_the_wire, wire_data};
use datum_sync::log::address::Seq;
use datum_sync::model::entity::Key;
use datum_sync::model::protocol::parse_page;
use datum_sync::plan::context::PlanContext;
use datum_sync::plan::page::{PagePlanner, PageRules};
use datum_sync::plan::row_planner::Decisions;
use datum_sync::plan::{Decided, Plan, Planner};
use datum_sync::state::replica::Replica;

use super::space_tables::{TEAM, edit, shared};

/// Pulls a page from the beginning.
fn pulled(replica: &mut Replica, page: &str) {
    let page = parse_page(page.as_bytes()).unwrap();
    let mut planner = PagePlanner {
        page: &page,
        rules: PageRules {
            server: None,
            from: None,
            before: None,
            asked: replica.head(),
            since: replica.place(),
            scope: "",
            whole: true,
            entities: None,
            include_deletes: true,
            known: &|entity| entity == "tasks",
            soft: &|_| false,
            policies: &|_| Rc::default(),
        },
        decisions: Decisions::default(),
        context: PlanContext {
            now: 1,
            seed: [7; 10],
        },
    };
    let Plan::Ready(planned) = planner.plan(replica).unwrap() else {
        panic!("it needs no bodies");
    };
    assert!(matches!(planned.output, Decided::Done(Some(_))));
    let seq: Seq = replica.head() + 1;
    let record = planned.commit.encode(seq).record;
    replica.apply_record(seq, &record).unwrap();
}

#[test]
fn one_id_in_two_spaces_of_a_page_is_two_rows() {
    let mut replica = Replica::new("ann", u64::MAX);
    let row = |space: &str, version: u64| {
        format!(
            r#"{{"entity":"tasks","id":"a",{space}"version":{version},"deleted":false,"data":{{}}}}"#
        )
    };
    let team = format!(r#""space":"{TEAM}","#);
    let page = format!(
        r#"{{"changes":[{},{},{}],"cursor":"c","more":false,"spaces":[{{"id":"{TEAM}","role":"reader"}}]}}"#,
        row("", 9),
        row(&team, 4),
        row(&team, 5)
    );
    pulled(&mut replica, &page);
    assert_eq!(replica.row_version(&Key::new("tasks", "a")), Some(9));
    let team = shared("tasks");
    assert_eq!(replica.row_version(&Key::new(&team, "a")), Some(5));
    assert_eq!(replica.digest("tasks").count, 2);
}

#[test]
fn an_operation_names_type_and_space_apart() {
    let op = edit("op", &shared("tasks"), "a");
    let data = wire_data(&op, &[], None).unwrap();
    let sent = on_the_wire(&op, &data, &[], None);
    assert_eq!(
        (&*sent.entity, sent.space.as_deref()),
        ("tasks", Some(TEAM))
    );
    let own = edit("op", "tasks", "a");
    let sent = on_the_wire(&own, &data, &[], None);
    assert_eq!((&*sent.entity, sent.space.as_deref()), ("tasks", None));
}
