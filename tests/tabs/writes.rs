//! Several tabs that write to one log.

use crate::support::running_tabs::{
    RunningTab, begins, let_all_run, run_together, wait_until, write,
};
use crate::support::world::{Fault, ONE_TRY, World, id_of};
use datum_sync::plan::write::Write;

#[test]
fn two_tabs_write_to_one_log() {
    let world = World::new();
    let phone = world.device("phone");
    let (one, two) = (phone.open(), phone.open());
    let id = id_of(&one.create(r#"{"title":"milk","done":false}"#));

    two.create(r#"{"title":"tea"}"#);
    two.patch(&id, r#"{"title":"oat milk"}"#);
    one.patch(&id, r#"{"done":true}"#);

    let head = two
        .run(two.engine.user("ann"))
        .unwrap()
        .db
        .read(|replica| replica.head());
    two.run(two.engine.on_head("ann", head + 1)).unwrap();
    for tab in [&one, &two] {
        assert_eq!(tab.titles(), ["oat milk", "tea"]);
        assert_eq!(tab.read(&id).unwrap()["done"], true);
    }
    assert!(
        one.run(one.engine.user("ann")).unwrap().db.counts().stale > 0,
        "they did meet"
    );
    assert!(one.sync().is_success);
    two.sync();
    assert_eq!(
        (one.pending(), two.pending(), world.server.rows("ann").len()),
        (0, 0, 2)
    );
}

#[test]
fn a_delete_is_not_cancelled_with_a_create_that_another_tab_has_sent() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    phone.fault("/push", Fault::ReplyLost);
    b.sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();

    assert!(a.delete(&id));
    let result = a.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert!(laptop.titles().is_empty());
}

#[test]
fn what_is_deleted_while_another_tab_sends_it_does_not_come_back() {
    for made_here in [true, false] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
        let (sends, deletes) = if made_here { (&b, &a) } else { (&a, &b) };
        run_together(&[&a, &b], async {
            write(
                &a,
                Write::Create {
                    draft: r#"{"id":"t","title":"milk"}"#.to_owned(),
                },
            )
            .await;
            let_all_run().await;
            phone.fault("/push", Fault::Slow(2_000));
            begins(&phone, sends, r#"{"direction":"pushOnly"}"#).await;
            write(
                deletes,
                Write::Delete {
                    id: "t".to_owned(),
                    soft: false,
                },
            )
            .await;
            deletes.sync("{}");
            wait_until(&a, || !deletes.ended.borrow().is_empty()).await;
            assert!(
                sends.ended.borrow().is_empty(),
                "the create arrives after the delete"
            );
            wait_until(&a, || !sends.ended.borrow().is_empty()).await;
            for life in [&a, &b] {
                let before = life.ended.borrow().len();
                life.sync("{}");
                wait_until(&a, || life.ended.borrow().len() > before).await;
            }
        });
        assert!(
            world
                .server
                .rows("ann")
                .iter()
                .all(|row| row.data.is_none()),
            "made here: {made_here}"
        );
        assert_eq!(
            (a.tab.titles(), b.tab.titles(), a.tab.pending()),
            (vec![], vec![], 0)
        );
    }
}

#[test]
fn what_another_tab_has_settled_is_not_sent_again() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
    run_together(&[&a, &b], async {
        for title in ["milk", "bread"] {
            let draft = format!(r#"{{"title":"{title}"}}"#);
            write(&a, Write::Create { draft }).await;
        }
        let_all_run().await;
        phone.fault("/push", Fault::Status(503, Some(5_000)));
        begins(&phone, &a, r#"{"direction":"pushOnly"}"#).await;
        let_all_run().await;
        // No lock holds.
        phone.locks.borrow_mut().clear();
        b.sync(r#"{"direction":"pushOnly","overrideBatchSize":1}"#);
        wait_until(&a, || !b.ended.borrow().is_empty()).await;
        let_all_run().await;
        assert!(a.ended.borrow().is_empty(), "it waits to send again");
        phone.remote.seen.take();
        wait_until(&a, || !a.ended.borrow().is_empty()).await;
    });
    let again = phone.remote.seen.take();
    assert!(again.iter().all(|one| one.path != "/push"), "{again:?}");
    assert_eq!(a.tab.pending(), 0);
}
