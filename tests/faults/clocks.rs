//! Clocks that are wrong or set.

use crate::support::auto_sync::{AUTO, DAY, HOUR, MINUTE, leader_tab, pulls, wait, with_auto_sync};
use crate::support::running_tabs::{RunningTab, let_all_run, run_together, wait_until};
use crate::support::world::{Fault, ONE_TRY, World, id_of};
use datum_sync::model::status::SyncState;
use serde_json::json;

#[test]
fn a_clock_that_is_wrong_by_a_day_decides_nothing() {
    for skew in [-86_400_000, 86_400_000] {
        let world = World::new();
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (a, b) = (phone.open(), laptop.open());
        a.engine.host().skew.set(skew);
        let id = id_of(&a.create(r#"{"title":"milk"}"#));
        a.sync();
        b.sync();
        b.patch(&id, r#"{"title":"first"}"#);
        world.clock.advance(60_000);
        a.patch(&id, r#"{"title":"second"}"#);
        b.sync();
        a.sync();
        assert_eq!(
            a.read(&id).unwrap()["title"],
            "second",
            "off by {skew}: the later write wins"
        );
        a.patch(&id, r#"{"title":"third"}"#);
        world.clock.advance(60_000);
        b.sync();
        b.patch(&id, r#"{"title":"fourth"}"#);
        b.sync();
        a.sync();
        assert_eq!(
            a.read(&id).unwrap()["title"],
            "fourth",
            "off by {skew}: the earlier write loses"
        );
    }
}

#[test]
fn what_the_remote_has_put_off_goes_though_the_clock_is_set_back_meanwhile() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    let id = a.create(r#"{"title":"milk"}"#)["id"].clone();
    let op_id = a.pending_operations()[0]["opId"].clone();
    let verdict =
        json!({ "results": [{ "opId": op_id, "status": "retry", "retryAfterMs": 3_600_000 }] });
    phone.fault("/push", Fault::Answered(verdict.to_string()));
    let _ = a.sync_with("{}");
    let _ = a.sync_with("{}");
    assert_eq!(
        a.pending_operations()[0]["entityId"],
        id,
        "not before its time"
    );

    a.engine.host().skew.set(-30_000);
    let _ = a.sync_with("{}");
    assert_eq!(a.pending(), 1, "a clock that is put right changes nothing");
    a.engine.host().skew.set(-10 * 3_600_000);
    let _ = a.sync_with("{}");

    assert_eq!(
        a.pending(),
        0,
        "by a clock that was set, nobody knows how long it was to wait"
    );
}

#[test]
fn metadata_is_sent_again_though_the_clock_was_set_back() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.sync();
    a.sync();
    phone.requests();
    a.engine.host().skew.set(-86_400_000);

    a.sync();
    a.sync();

    assert_eq!(
        phone.requests(),
        ["POST /pull", "PUT /metadata", "POST /pull"],
        "once, and not a day later"
    );
}

#[test]
fn a_machine_that_slept_syncs_within_a_minute_of_waking() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        wait(&a, MINUTE).await;
        // Timers and the monotonic clock stood still.
        a.engine.host().skew.set(8 * HOUR as i64);
        wait(&a, MINUTE).await;
        assert_eq!(pulls(&phone), 1);
        wait(&a, 13 * MINUTE).await;
        assert_eq!(pulls(&phone), 0, "and then at the usual pace");
    });
}

#[test]
fn a_clock_that_is_set_delays_nothing() {
    for skew in [-(DAY as i64), DAY as i64] {
        let world = World::new();
        let phone = world.device("phone").with_config(AUTO);
        let a = leader_tab(&phone);
        with_auto_sync(&a, async {
            wait(&a, MINUTE).await;
            a.engine.host().skew.set(skew);
            wait(&a, 16 * MINUTE).await;
            let ran = pulls(&phone);
            assert!(ran == 1 || ran == 2 && skew > 0, "{ran} with {skew}");
            wait(&a, HOUR).await;
            assert!((3..=5).contains(&pulls(&phone)));
        });
    }
}

#[test]
fn a_clock_that_is_set_back_hides_no_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        b.sync("{}");
        wait_until(&a, || a.status().status == SyncState::Completed).await;
        for life in [&a, &b] {
            life.tab.engine.host().skew.set(-3_600_000);
        }
        phone.fault("/pull", Fault::Status(503, None));
        a.sync("{}");
        wait_until(&a, || a.status().status == SyncState::Failed).await;
        let_all_run().await;
    });
    assert_eq!(b.common(), a.common());
}
