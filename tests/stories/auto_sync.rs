//! Automatic cycles: the engine and its loop in virtual time.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::auto_sync::{
    AUTO, DAY, HOUR, MINUTE, create, leader_tab, pulls, wait, with_auto_sync,
};
use crate::support::world::{Fault, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::model::config::Options;
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use futures_util::future::join_all;

#[test]
fn cycles_run_at_each_interval_spread_by_a_tenth() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    let times = Rc::new(std::cell::RefCell::new(vec![world.clock.now()]));
    let (kept, clock) = (Rc::clone(&times), Rc::clone(&world.clock));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/pull" {
            kept.borrow_mut().push(clock.now());
        }
    }));
    with_auto_sync(&a, async {
        wait(&a, 1).await;
        let first = a.engine.auto_sync().next_sync_time("ann").unwrap();
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().next_sync_at,
            Some(datum_sync::util::time::format(first))
        );
        assert!(a.engine.status_hub("ann").unwrap().current().is_leader);
        wait(&a, DAY).await;
    });
    let gaps: Vec<u64> = times
        .borrow()
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!((85..=107).contains(&gaps.len()), "{}", gaps.len());
    assert!(
        gaps.iter().all(|gap| (810_000..=990_000).contains(gap)),
        "{gaps:?}"
    );
    assert!(
        gaps.iter().any(|gap| *gap < 880_000) && gaps.iter().any(|gap| *gap > 920_000),
        "{gaps:?}"
    );
}

#[test]
fn nothing_runs_unless_it_was_started() {
    let world = World::new();
    let phone = world.device("phone");
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        create(&a.engine, "ann", "milk").await;
        a.engine.auto_sync().signal(Signal::Online);
        wait(&a, DAY).await;
        assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
    });
    assert!(phone.requests().is_empty());
}

#[test]
fn started_by_a_call_with_its_own_interval_and_stopped_by_another() {
    let world = World::new();
    let phone = world.device("phone");
    let a = leader_tab(&phone);
    for wrong in [0, 999, 86_400_001] {
        let error = a.engine.auto_sync().start("ann", Some(wrong)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(
            error.message().contains("`interval`")
                && error.message().contains("from 1000 to 86400000"),
            "{error}"
        );
    }
    assert_eq!(
        a.engine.auto_sync().start("", None).unwrap_err().code(),
        Code::InvalidArgument
    );
    with_auto_sync(&a, async {
        a.engine.auto_sync().start("ann", Some(MINUTE)).unwrap();
        wait(&a, 10 * MINUTE).await;
        let ran = pulls(&phone);
        assert!((9..=11).contains(&ran), "{ran}");
        a.engine.auto_sync().stop(None).unwrap();
        wait(&a, DAY).await;
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().next_sync_at,
            None
        );
    });
    assert_eq!(pulls(&phone), 0);
}

#[test]
fn a_burst_of_a_thousand_writes_is_one_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        join_all(
            (0..1_000).map(|n| create(&a.engine, "ann", if n % 2 == 0 { "milk" } else { "tea" })),
        )
        .await;
        wait(&a, 5_000).await;
    });
    let requests = phone.requests();
    assert_eq!(
        requests
            .iter()
            .filter(|request| *request == "POST /pull")
            .count(),
        1,
        "{requests:?}"
    );
    assert_eq!(world.server.rows("ann").len(), 1_000);
    assert_eq!(a.pending(), 0);
}

#[test]
fn a_failure_is_tried_again_with_backoff_and_not_before_the_server_allows() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        create(&a.engine, "ann", "milk").await;
        for _ in 0..3 {
            phone.fault("/push", Fault::Status(503, None));
        }
        phone.fault("/push", Fault::Status(503, Some(10 * MINUTE)));
        wait(&a, 1_500).await;
        let status = a.engine.status_hub("ann").unwrap().current();
        assert_eq!(status.status, SyncState::Failed);
        assert!(status.next_retry_at.is_some() && status.next_retry_at == status.next_sync_at);
        // 1 s after the write, then 2, 4 and 8 s; the fourth answer asks for ten minutes.
        wait(&a, 20_000).await;
        assert_eq!(
            phone
                .requests()
                .iter()
                .filter(|request| *request == "POST /push")
                .count(),
            4
        );
        create(&a.engine, "ann", "tea").await;
        a.engine.auto_sync().signal(Signal::Hint("ann"));
        a.engine.auto_sync().signal(Signal::Online);
        wait(&a, 9 * MINUTE).await;
        assert!(phone.requests().is_empty());
        wait(&a, MINUTE).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().next_retry_at,
            None
        );
    });
}

#[test]
fn hints_during_a_cycle_cause_one_more() {
    let world = World::new();
    let phone = world.device("phone");
    let a = leader_tab(&phone);
    let engine = Rc::downgrade(&a.engine);
    let left = Cell::new(1);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/pull" && left.replace(0) > 0 {
            (0..5).for_each(|_| {
                engine
                    .upgrade()
                    .unwrap()
                    .auto_sync()
                    .signal(Signal::Hint("ann"))
            });
        }
    }));
    with_auto_sync(&a, async {
        a.engine.auto_sync().signal(Signal::Hint("ann"));
        wait(&a, HOUR).await;
    });
    assert_eq!(pulls(&phone), 2);
}

#[test]
fn a_resume_restores_the_timers_of_the_users_that_it_concerns() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        a.engine.user("bob").await.unwrap();
        a.engine.auto_sync().start("bob", Some(MINUTE)).unwrap();
        a.engine.auto_sync().start("ann", Some(MINUTE)).unwrap();
        a.engine.pauses().pause(Some("ann")).await.unwrap();
        a.engine.pauses().pause(Some("bob")).await.unwrap();
        create(&a.engine, "ann", "milk").await;
        wait(&a, HOUR).await;
        assert!(phone.requests().is_empty());
        assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
        a.engine.pauses().resume(Some("bob")).await.unwrap();
        wait(&a, 10 * MINUTE).await;
        assert!((9..=12).contains(&pulls(&phone)));
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 1);
        a.engine.auto_sync().signed_out("bob");
        phone.requests();
        a.engine.pauses().resume(None).await.unwrap();
        wait(&a, 1).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
        wait(&a, 10 * MINUTE).await;
        assert_eq!(
            a.engine.auto_sync().next_sync_time("bob"),
            None,
            "a resume starts nobody who has left"
        );
        assert!((9..=12).contains(&pulls(&phone)), "ann's alone");
    });
}

#[test]
fn unauthorized_rests_until_a_resume_and_a_new_sign_in() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        for again in 0..2 {
            phone.fault("/push", Fault::Status(401, None));
            create(&a.engine, "ann", "milk").await;
            wait(&a, 2_000).await;
            phone.requests();
            a.engine.auto_sync().signal(Signal::Online);
            a.engine.auto_sync().signal(Signal::Hint("ann"));
            wait(&a, DAY).await;
            assert!(phone.requests().is_empty());
            assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
            assert_eq!(
                a.engine.status_hub("ann").unwrap().current().status,
                SyncState::Failed
            );
            if again == 0 {
                a.engine.pauses().resume(Some("ann")).await.unwrap();
            } else {
                a.engine.auto_sync().signed_in("ann");
            }
            wait(&a, 2_000).await;
            assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
        }
    });
}

#[test]
fn a_new_sign_in_syncs_at_once_what_was_refused_before_it_and_leaving_stops_everything() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        phone.fault("/pull", Fault::Status(401, None));
        wait(&a, HOUR).await;
        assert_eq!(pulls(&phone), 1);
        a.engine.auto_sync().signed_in("ann");
        wait(&a, 1).await;
        assert_eq!(pulls(&phone), 1);
        a.engine.users().clear_data("ann").await.unwrap();
        wait(&a, DAY).await;
        assert!(phone.requests().is_empty());
        assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
    });
}

#[test]
fn offline_costs_nothing_and_the_network_that_is_back_is_a_reason() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        a.engine.host().online.set(false);
        create(&a.engine, "ann", "milk").await;
        wait(&a, DAY).await;
        assert!(phone.requests().is_empty());
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().status,
            SyncState::Idle,
            "offline is no failure"
        );
        a.engine.host().online.set(true);
        a.engine.auto_sync().signal(Signal::Online);
        wait(&a, 1).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
        // A browser that forgets to say so.
        a.engine.host().online.set(false);
        wait(&a, HOUR).await;
        phone.requests();
        a.engine.host().online.set(true);
        wait(&a, MINUTE).await;
        assert_eq!(pulls(&phone), 1);
    });
}

#[test]
fn one_users_cycle_does_not_hold_up_another() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    phone.fault("/push", Fault::Slow(MINUTE));
    with_auto_sync(&a, async {
        a.engine.user("bob").await.unwrap();
        a.engine.auto_sync().start("bob", None).unwrap();
        create(&a.engine, "ann", "milk").await;
        wait(&a, 2_000).await;
        create(&a.engine, "bob", "tea").await;
        wait(&a, 2_000).await;
        assert_eq!(
            (
                world.server.rows("ann").len(),
                world.server.rows("bob").len()
            ),
            (0, 1)
        );
    });
}

#[test]
fn excluded_users_never_run() {
    let world = World::new();
    let phone = world.device("phone").with_config(&AUTO.replace(
        r#""autoStart"#,
        r#""excludedSyncUserIds":["ann"],"autoStart"#,
    ));
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        a.engine.auto_sync().start("ann", Some(1_000)).unwrap();
        create(&a.engine, "ann", "milk").await;
        a.engine.auto_sync().signal(Signal::Hint("ann"));
        wait(&a, HOUR).await;
        assert_eq!(a.engine.auto_sync().next_sync_time("ann"), None);
    });
    assert!(phone.requests().is_empty());
}

#[test]
fn an_explicit_cycle_puts_off_the_next_one() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        for _ in 0..6 {
            wait(&a, 10 * MINUTE).await;
            a.engine
                .synchronize("ann", Options::default(), None, Rc::default())
                .await
                .unwrap();
        }
    });
    assert_eq!(pulls(&phone), 6);
}

#[test]
fn a_write_into_a_log_begun_anew_is_sent_as_soon_as_any_other() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        // As many records as the new log will have after the next write.
        create(&a.engine, "ann", "milk").await;
        create(&a.engine, "ann", "tea").await;
        wait(&a, MINUTE).await;
        assert_eq!(world.server.rows("ann").len(), 2);
        phone.evict();
        create(&a.engine, "ann", "coffee").await;
        wait(&a, MINUTE).await;
    });
    assert_eq!(world.server.rows("ann").len(), 3);
}
