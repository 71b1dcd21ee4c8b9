//! Verdicts, pages and requests that arrive late.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::running_tabs::{
    RunningTab, begins, let_all_run, run_together, wait_until, write,
};
use crate::support::world::{Fault, ONE_TRY, Tab, World, id_of};
use datum_sync::model::config::{Direction, Options};
use datum_sync::plan::write::Write;
use serde_json::Value;

#[test]
fn a_device_does_not_lose_its_later_write_to_its_own_earlier_one() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    // The clock is far ahead when the first write is stamped, and right when the second is.
    a.engine.host().skew.set(13_000_000);
    let id = id_of(&a.create(r#"{"title":"first","n":1}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    // The other tab sends it; the answer is lost for good.
    phone.fault("/push", Fault::ReplyLost);
    b.sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();
    a.engine.host().skew.set(0);

    a.patch(&id, r#"{"title":"second"}"#);
    let result = a.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!((a.titles(), a.pending()), (vec!["second".to_owned()], 0));
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.titles(), ["second"]);
}

#[test]
fn a_write_that_is_synced_while_a_first_pull_is_on_its_way_never_disappears() {
    let world = World::new();
    let phone = world.device("phone");
    // A browser without locks: both tabs sync at once.
    let mut beside = world.device("phone");
    (beside.disk, beside.remote) = (phone.disk.clone(), phone.remote.clone());
    let (a, b) = (phone.open(), beside.open());
    // Requested before the write, and answered after its push.
    phone.fault("/pull", Fault::Late(20_000));
    let store = phone.store().inner;
    let there = Rc::new(RefCell::new(Vec::new()));
    let (seen, key) = (
        Rc::clone(&there),
        datum_sync::model::entity::Key::new("tasks", "t"),
    );
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |_| {
        let mut replica = datum_sync::state::replica::Replica::new("ann", u64::MAX);
        for (seq, record) in
            &pollster::block_on(datum_sync::ports::store::Store::load(&store.reopen())).unwrap()
        {
            replica.apply_record(*seq, record).unwrap();
        }
        seen.borrow_mut().push(replica.view(&key).is_some());
    }));

    let meanwhile = async {
        datum_sync::ports::host::Host::sleep(b.engine.host(), 100).await;
        b.engine
            .entities()
            .write(
                "ann",
                "tasks",
                vec![Write::Create {
                    draft: r#"{"id":"t","title":"milk"}"#.to_owned(),
                }],
            )
            .await
            .unwrap();
        b.engine
            .synchronize(
                "ann",
                datum_sync::model::config::Options::default(),
                None,
                Rc::default(),
            )
            .await
    };
    let cycle = a.engine.synchronize(
        "ann",
        datum_sync::model::config::Options::default(),
        None,
        Rc::default(),
    );
    let (one, two) = a.run(futures_util::future::join(cycle, meanwhile));

    assert!(one.unwrap().is_success && two.unwrap().is_success);
    assert_eq!(
        there.borrow().iter().position(|there| *there),
        Some(1),
        "it is there from the push on"
    );
    assert!(
        there.borrow().iter().skip(1).all(|there| *there),
        "{there:?}"
    );
    assert_eq!(a.titles(), ["milk"]);
}

#[test]
fn a_late_verdict_takes_nothing_back_of_what_another_tab_knows_by_now() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{"conflictResolver":"ask"}}}"#);
    let (a, b, laptop) = (phone.open(), phone.open(), world.device("laptop").open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    laptop.sync();
    laptop.patch("t", r#"{"title":"oat milk"}"#);
    laptop.sync();
    a.patch("t", r#"{"title":"soy milk"}"#);
    phone.fault("/push", Fault::Late(1_000));

    a.run(async {
        let sync = |tab: &Tab, direction| {
            let (engine, options) = (
                Rc::clone(&tab.engine),
                Options {
                    direction: Some(direction),
                    ..Options::default()
                },
            );
            async move {
                engine
                    .synchronize("ann", options, None, Rc::default())
                    .await
                    .unwrap()
            }
        };
        let meanwhile = async {
            datum_sync::ports::host::Host::sleep(b.engine.host(), 500).await;
            // The tab that sends was frozen, and its lock is taken from it.
            phone.locks.borrow_mut().clear();
            sync(&b, Direction::PullOnly).await;
            let title = |title: &str| {
                vec![Write::Patch {
                    id: "t".to_owned(),
                    changes: format!(r#"{{"title":"{title}"}}"#),
                }]
            };
            laptop
                .engine
                .entities()
                .write("ann", "tasks", title("rice milk"))
                .await
                .unwrap();
            sync(&laptop, Direction::PushOnly).await;
            sync(&b, Direction::PullOnly).await;
        };
        futures_util::future::join(sync(&a, Direction::PushOnly), meanwhile).await
    });

    let waiting: Value =
        serde_json::from_str(&a.run(a.engine.conflicts().list("ann")).unwrap()).unwrap();
    assert_eq!(
        (
            waiting.as_array().unwrap().len(),
            &waiting[0]["remote"]["title"]
        ),
        (1, &"rice milk".into())
    );
}

#[test]
fn a_page_that_comes_late_undoes_nothing_that_was_pushed_since() {
    for options in [
        r#"{"direction":"pullOnly"}"#,
        r#"{"direction":"pullOnly","forceFullSync":true}"#,
    ] {
        let world = World::new();
        let (phone, laptop) = (
            world.device("phone").with_config(ONE_TRY),
            world.device("laptop").open(),
        );
        let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
        a.tab.create(r#"{"id":"t","title":"milk"}"#);
        a.tab.sync();
        laptop.sync();
        laptop.patch("t", r#"{"n":1}"#);
        laptop.sync();
        run_together(&[&a, &b], async {
            let_all_run().await;
            phone.fault("/pull", Fault::Late(2_000));
            begins(&phone, &a, options).await;
            write(
                &b,
                Write::Patch {
                    id: "t".to_owned(),
                    changes: r#"{"title":"oat milk"}"#.to_owned(),
                },
            )
            .await;
            b.sync(r#"{"direction":"pushOnly"}"#);
            wait_until(&b, || !b.ended.borrow().is_empty()).await;
            assert!(a.ended.borrow().is_empty(), "the page comes after the push");
            wait_until(&b, || !a.ended.borrow().is_empty()).await;
            let_all_run().await;
        });
        for tab in [&a.tab, &b.tab] {
            let task = tab.read("t").unwrap();
            assert_eq!(
                (&task["title"], &task["n"]),
                (&"oat milk".into(), &1.into()),
                "{options}"
            );
        }
    }
}

#[test]
fn a_row_that_another_device_deleted_before_its_creator_heard_of_it_does_not_stay() {
    let world = World::new();
    let device = world.device("phone");
    let phone = device.open();
    phone.create(r#"{"id":"t","title":"milk"}"#);
    device.fault("/push", Fault::ReplyLost);
    phone
        .sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();
    let laptop = world.device("laptop").open();
    laptop.sync();
    laptop.delete("t");
    laptop.sync();

    // The first pull is a snapshot, which has no tombstone; then the create is sent again.
    let result = phone.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();

    assert!(result.is_success, "{result:?}");
    assert_eq!((phone.titles(), phone.pending()), (Vec::<String>::new(), 0));
}

#[test]
fn an_edit_behind_a_create_whose_row_was_deleted_meanwhile_is_a_conflict() {
    let world = World::new();
    let device = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{"conflictResolver":"localPriority"}}}"#);
    let phone = device.open();
    phone.create(r#"{"id":"t","title":"milk"}"#);
    device.fault("/push", Fault::ReplyLost);
    phone
        .sync_with(r#"{"direction":"pushOnly","timeout":1}"#)
        .unwrap_err();
    phone.patch("t", r#"{"title":"oat milk"}"#);
    let laptop = world.device("laptop").open();
    laptop.sync();
    laptop.delete("t");
    laptop.sync();

    let result = phone.sync_with(r#"{"direction":"pullThenPush"}"#).unwrap();

    assert_eq!(result.conflicts_detected, 1, "{result:?}");
    phone.sync();
    laptop.sync();
    assert_eq!(
        (phone.titles(), laptop.titles()),
        (vec!["oat milk".to_owned()], vec!["oat milk".to_owned()])
    );
}
