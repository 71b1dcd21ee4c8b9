//! Writes made while an earlier operation of the same entity is in flight.

use std::rc::Rc;

use crate::support::auto_sync::wait;
use crate::support::world::{Device, Fault, ONE_TRY, Tab, World};
use datum_sync::plan::write::Write;
use serde_json::{Value, json};

/// Does `work` while a push is in flight, and returns the result of the cycle.
fn meanwhile(a: &Tab, phone: &Device, work: impl AsyncFnOnce()) -> bool {
    phone.fault("/push", Fault::Slow(1_000));
    a.run(async {
        let cycle = a
            .engine
            .synchronize("ann", Default::default(), None, Rc::default());
        let work = async {
            wait(a, 500).await;
            work().await;
        };
        futures_util::future::join(cycle, work)
            .await
            .0
            .unwrap()
            .is_success
    })
}

async fn write(a: &Tab, write: Write) {
    a.engine
        .entities()
        .write("ann", "tasks", vec![write])
        .await
        .unwrap();
}

#[test]
fn an_edit_while_the_create_is_on_its_way_waits_for_the_verdict_and_keeps_its_fields() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    let ok = meanwhile(&a, &phone, async || {
        write(
            &a,
            Write::Patch {
                id: "t".to_owned(),
                changes: r#"{"n":2}"#.to_owned(),
            },
        )
        .await;
        let waiting = a.engine.pending().list("ann").await.unwrap();
        let states: Vec<Value> = waiting
            .iter()
            .map(|op| serde_json::to_value(op.state).unwrap())
            .collect();
        assert_eq!(states, ["inFlight", "blocked"]);
        assert_eq!(waiting[1].blocked_by.as_deref(), Some(&*waiting[0].op_id));
    });
    assert!(ok && a.pending() == 0, "the edit went in the same cycle");
    let row = &world.server.rows("ann")[0];
    let data: Value = serde_json::from_str(row.data.as_deref().unwrap()).unwrap();
    assert_eq!(
        (&data["title"], &data["n"], row.version),
        (&"milk".into(), &2.into(), 2)
    );
    assert_eq!(phone.pushed(), [["t"], ["t"]]);
}

#[test]
fn a_delete_while_the_create_is_on_its_way_is_not_undone_by_the_answer() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let ok = meanwhile(&a, &phone, async || {
        write(
            &a,
            Write::Delete {
                id: "t".to_owned(),
                soft: false,
            },
        )
        .await
    });
    assert!(ok && a.titles().is_empty() && a.pending() == 0);
    assert!(world.server.rows("ann")[0].data.is_none());
    let laptop = world.device("laptop").open();
    laptop.sync();
    a.sync();
    assert!(
        laptop.titles().is_empty() && a.titles().is_empty(),
        "it does not come back"
    );
}

#[test]
fn what_was_on_its_way_at_a_reload_is_sent_again_and_applied_once() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    phone.fault("/push", Fault::ReplyLost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    drop(a);
    let again = phone.open();
    again.patch("t", r#"{"title":"oat milk"}"#);
    again.delete("t");
    again.create(r#"{"id":"u","title":"tea"}"#);
    let result = again.sync();
    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!(
        (again.titles(), again.pending()),
        (vec!["tea".to_owned()], 0)
    );
    assert_eq!(phone.pushed()[0], ["t"], "as it was");
}

#[test]
fn a_verdict_that_arrives_in_another_tab_settles_here_too() {
    let world = World::new();
    world
        .server
        .configure(|config| config.max_entity_bytes = 150);
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"good","title":"milk"}"#);
    a.create(&json!({ "id": "bad", "title": "x".repeat(200) }).to_string());
    b.sync();
    a.run(a.engine.on_head("ann", u64::MAX)).unwrap();
    assert_eq!(
        (a.pending(), a.dead_letters().len(), a.titles()),
        (0, 1, vec!["milk".to_owned()])
    );
    a.patch("good", r#"{"title":"tea"}"#);
    assert!(a.sync().is_success, "made on what the other tab was told");
}
