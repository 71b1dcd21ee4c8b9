//! Reported: browsers that report something untrue, or whose storage comes late.
//! The table in `tests/README.md` lists every report with its tests.

use crate::support::auto_sync::{AUTO, DAY, HOUR, create, leader_tab, wait, with_auto_sync};
use crate::support::world::World;
use datum_sync::engine::auto_sync::Signal;
use datum_sync::model::status::SkipReason;

/// Users of redux-offline reported: with `navigator.onLine` false on a machine that has a network,
/// nothing was ever sent. redux-offline/redux-offline#377
#[test]
fn a_call_asks_the_network_and_not_only_the_browser() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.engine.host().online.set(false);
    a.create(r#"{"title":"milk"}"#);
    assert_eq!(a.sync().skip_reason, Some(SkipReason::Offline));
    assert_eq!(a.pending(), 1);

    phone.remote.works_offline.set(true);
    let result = a.sync();
    assert_eq!((result.skip_reason, result.pushed_count), (None, 1));
    let status = a.engine.status_hub("ann").unwrap().current();
    assert!(status.online, "the remote has answered");
    phone.requests();
    a.sync();
    assert_eq!(
        phone.requests(),
        ["POST /pull"],
        "the report is known to be wrong"
    );
}

#[test]
fn automatic_sync_tries_the_network_once_for_each_report_of_the_browser() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    with_auto_sync(&a, async {
        a.engine.host().online.set(false);
        a.engine.network_changed(false);
        create(&a.engine, "ann", "milk").await;
        wait(&a, DAY).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 1);

        // The network comes back, and the browser does not notice. Another report is another try.
        phone.remote.works_offline.set(true);
        wait(&a, HOUR).await;
        assert!(phone.requests().is_empty(), "nothing was reported");
        a.engine.network_changed(false);
        a.engine.auto_sync().signal(Signal::Wrote("ann"));
        wait(&a, HOUR).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
        create(&a.engine, "ann", "bread").await;
        wait(&a, HOUR).await;
        assert_eq!(a.engine.pending().count("ann").await.unwrap(), 0);
    });
}
