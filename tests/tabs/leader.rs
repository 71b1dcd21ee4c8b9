//! Which tab runs the automatic cycles: hidden tabs, leaders, reloads and closing.

use std::pin::pin;

use crate::support::auto_sync::{
    AUTO, DAY, HOUR, MINUTE, create, leader_tab, pulls, wait, with_auto_sync,
};
use crate::support::world::{Fault, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::events::Filter;
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use futures_util::FutureExt;
use futures_util::future::{Either, join, select};

#[test]
fn a_hidden_tab_and_one_that_does_not_lead_cost_nothing() {
    for leads in [false, true] {
        let world = World::new();
        let phone = world.device("phone").with_config(AUTO);
        let a = leader_tab(&phone);
        a.engine.auto_sync().signal(if leads {
            Signal::Hidden
        } else {
            Signal::Leader(false)
        });
        with_auto_sync(&a, async {
            create(&a.engine, "ann", "milk").await;
            a.engine.auto_sync().signal(Signal::Hint("ann"));
            a.engine.auto_sync().signal(Signal::Online);
            wait(&a, 1).await;
            assert_eq!(world.clock.timers(), 0, "no timer runs");
            wait(&a, DAY).await;
            assert!(phone.requests().is_empty());
            assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
            let status = a.engine.status_hub("ann").unwrap().current();
            assert_eq!(
                (status.next_sync_at.clone(), status.is_leader),
                (None, leads)
            );
            a.engine.auto_sync().signal(if leads {
                Signal::Visible
            } else {
                Signal::Leader(true)
            });
            wait(&a, 1).await;
            assert_eq!(
                a.engine.pending().count("ann").await.unwrap(),
                0,
                "what waited is done at once"
            );
        });
    }
}

#[test]
fn the_leader_pushes_what_another_tab_wrote() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (leader_tab(&phone), phone.open());
    with_auto_sync(&a, async {
        let story = async {
            wait(&a, 10 * MINUTE).await;
            create(&b.engine, "ann", "milk").await;
            a.engine.on_head("ann", u64::MAX).await.unwrap();
            wait(&a, 2_000).await;
            assert_eq!(world.server.rows("ann").len(), 1);
            b.engine.on_head("ann", u64::MAX).await.unwrap();
            assert_eq!(b.engine.pending().count("ann").await.unwrap(), 0);
            // Nothing is pushed twice, whichever tab leads next.
            phone.requests();
            a.engine.auto_sync().signal(Signal::Leader(false));
            b.engine.auto_sync().signal(Signal::Leader(true));
            wait(&a, 10 * MINUTE).await;
            assert!(phone.requests().is_empty());
            assert!(
                b.engine.auto_sync().next_sync_time("ann").is_some(),
                "an interval after the other tab's cycle"
            );
        };
        match select(pin!(story), pin!(b.engine.auto_sync().run())).await {
            Either::Left(_) => {}
            Either::Right(_) => panic!("the loop ended"),
        }
    });
}

#[test]
fn a_change_of_the_leader_is_an_event() {
    let world = World::new();
    let a = world.device("phone").open();
    let reader = a.engine.events(Filter::default());
    for leads in [true, true, false] {
        a.engine.auto_sync().signal(Signal::Leader(leads));
    }
    let told: Vec<serde_json::Value> =
        std::iter::from_fn(|| reader.next().now_or_never().flatten())
            .map(|event| serde_json::from_str(&event.text).unwrap())
            .collect();
    let told: Vec<_> = told
        .iter()
        .map(|event| {
            (
                event["type"].as_str().unwrap(),
                event["isLeader"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("leaderChanged", true), ("leaderChanged", false)]);
}

#[test]
fn an_operation_that_is_offered_again_is_pushed_by_itself() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    world
        .server
        .configure(|config| config.max_entity_bytes = 300);
    with_auto_sync(&a, async {
        create(&a.engine, "ann", &"x".repeat(400)).await;
        wait(&a, 2_000).await;
        let letters: Vec<serde_json::Value> =
            serde_json::from_str(&a.engine.dead_letters().list("ann").await.unwrap()).unwrap();
        a.engine
            .dead_letters()
            .retry(
                letters[0]["id"].as_str().unwrap(),
                Some(r#"{"title":"short"}"#.to_owned()),
            )
            .await
            .unwrap();
        wait(&a, 2_000).await;
        assert_eq!(
            (
                world.server.rows("ann").len(),
                a.engine.pending().count("ann").await.unwrap()
            ),
            (1, 0)
        );
    });
}

#[test]
fn tabs_that_all_lead_give_each_other_nothing_to_do() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(&AUTO.replace(r#""tasks":{}"#, r#""tasks":{"conflictResolver":"ask"}"#));
    let (a, b) = (leader_tab(&phone), leader_tab(&phone));
    // An operation that stays: its conflict waits for the app.
    let other = world.device("laptop").open();
    other.create(r#"{"id":"x","title":"theirs"}"#);
    other.sync();
    a.create(r#"{"id":"x","title":"ours"}"#);
    with_auto_sync(&a, async {
        let story = async {
            for _ in 0..60 {
                wait(&a, 1_000).await;
                a.engine.on_head("ann", u64::MAX).await.unwrap();
                b.engine.on_head("ann", u64::MAX).await.unwrap();
            }
        };
        select(pin!(story), pin!(b.engine.auto_sync().run())).await;
    });
    assert_eq!(a.pending(), 1);
    let (requests, transactions) = (phone.requests(), phone.counts().transactions);
    assert!(
        requests.len() <= 8 && transactions <= 12,
        "{transactions} transactions, {requests:?}"
    );
}

#[test]
fn a_close_ends_the_loop_and_the_cycle_in_flight() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    phone.fault("/push", Fault::Slow(DAY));
    let story = async {
        create(&a.engine, "ann", "milk").await;
        wait(&a, 2_000).await;
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().status,
            SyncState::Syncing
        );
        a.engine.close().await;
    };
    a.run(join(a.engine.auto_sync().run(), story));
    assert!(world.clock.now.get() < MINUTE);
    let told = phone.open();
    let result: serde_json::Value = serde_json::from_str(
        &told
            .run(told.engine.metadata().last_result("ann"))
            .unwrap()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        result["error"]["code"], "closed",
        "the cycle has written down how it ended"
    );
    assert_eq!(
        a.engine.auto_sync().start("ann", None).unwrap_err().code(),
        Code::Closed
    );
    // A tab that is closed before its loop begins runs none.
    a.run(a.engine.auto_sync().run());
}

#[test]
fn a_cold_start_runs_once_a_sign_in_by_its_strategy_over_reloads() {
    let with = |strategy: &str| {
        format!(r#"{{"entities":{{"tasks":{{}}}},"coldStart":{{"strategy":"{strategy}"}}}}"#)
    };
    for (strategy, first, reload, later) in [
        ("disabled", 0, 0, 0),
        ("adaptive", 1, 0, 1),
        ("incremental", 1, 1, 1),
        ("fullSync", 1, 1, 1),
    ] {
        let world = World::new();
        let laptop = world.device("laptop").open();
        laptop.create(r#"{"title":"milk"}"#);
        laptop.sync();
        let phone = world.device("phone").with_config(&with(strategy));
        let mut visits = vec![];
        for (wait_before, name) in [(0, "first"), (10 * MINUTE, "reload"), (2 * HOUR, "later")] {
            world.clock.advance(wait_before);
            let tab = leader_tab(&phone);
            assert!(
                tab.titles().is_empty() || name != "first",
                "a read waits for no cycle"
            );
            with_auto_sync(&tab, async {
                wait(&tab, 499).await;
                assert!(phone.requests().is_empty());
                wait(&tab, 60_000).await;
            });
            visits.push(pulls(&phone));
            tab.run(tab.engine.close());
        }
        assert_eq!(visits, [first, reload, later], "{strategy}");
    }
}

#[test]
fn a_cold_start_that_fails_is_tried_again_and_one_that_has_no_leader_waits() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"coldStart":{},"retry":{"maxAttempts":1,"jitter":"none","initial":2000}}"#);
    let a = phone.open();
    with_auto_sync(&a, async {
        wait(&a, HOUR).await;
        assert!(phone.requests().is_empty());
        phone.fault("/pull", Fault::Status(503, None));
        phone.fault("/pull", Fault::Lost);
        a.engine.auto_sync().signal(Signal::Leader(true));
        wait(&a, 1_999).await;
        assert_eq!(pulls(&phone), 1);
        wait(&a, 10_000).await;
        assert_eq!(pulls(&phone), 2);
        wait(&a, DAY).await;
        assert!(
            phone.requests().is_empty(),
            "and no more, as nothing was started"
        );
    });
}
