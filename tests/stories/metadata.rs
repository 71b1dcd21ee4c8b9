//! Sync metadata of this device and of the remote.

use crate::support::world::{Fault, FnResolver, ONE_TRY, Tab, World};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::metadata::SyncMetadata;
use datum_sync::model::protocol::MetadataSyncStatus;
use datum_sync::plan::write::Write;

fn local(a: &Tab) -> SyncMetadata {
    a.run(a.engine.metadata().local(&a.user)).unwrap().unwrap()
}

fn remote(a: &Tab) -> SyncMetadata {
    a.run(a.engine.metadata().remote(&a.user)).unwrap().unwrap()
}

#[test]
fn a_first_attempt_that_fails_is_an_attempt_and_no_success() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    assert!(a.run(a.engine.metadata().local("ann")).unwrap().is_none());
    for attempt in 1..=3 {
        phone.fault("/pull", Fault::Status(503, None));
        let began = world.clock.now();
        a.sync_with("{}").unwrap_err();

        let failed = local(&a);
        assert_eq!(
            failed.last_sync_time.as_deref(),
            Some(datum_sync::util::time::format(began).as_str()),
            "the attempt's beginning"
        );
        assert_eq!(
            (
                failed.last_successful_sync_time,
                failed.is_never_synced,
                failed.retry_count
            ),
            (None, true, attempt)
        );
        assert!(failed.error_message.is_some() && failed.data_hash.is_none());
        assert_eq!(
            (
                failed.sync_status,
                failed.device_count,
                failed.devices.len()
            ),
            (MetadataSyncStatus::Failed, 1, 0)
        );
        world.clock.advance(1_000);
    }
    assert!(
        a.run(a.engine.metadata().remote("ann")).unwrap().is_none(),
        "the remote was told nothing"
    );

    a.sync();

    let mended = local(&a);
    assert_eq!(
        (mended.retry_count, mended.error_message, mended.sync_status),
        (0, None, MetadataSyncStatus::Synced)
    );
    assert!(!mended.is_never_synced && mended.data_hash.is_some());
    assert_eq!(mended.devices.keys().collect::<Vec<_>>(), ["phone"]);
}

#[test]
fn a_later_failure_keeps_the_last_success_and_a_stopped_cycle_is_no_failure() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.sync();
    let success = local(&a).last_successful_sync_time;
    world.clock.advance(60_000);
    phone.fault("/pull", Fault::Lost);
    a.sync_with("{}").unwrap_err();

    let failed = local(&a);
    assert_eq!(
        (&failed.last_successful_sync_time, failed.is_never_synced),
        (&success, false)
    );
    assert!(failed.last_sync_time > success);
    assert_eq!(remote(&a).last_successful_sync_time, success);
    let cancel = std::rc::Rc::new(datum_sync::engine::cycle::cancel::Cancel::default());
    cancel.stop(datum_sync::engine::cycle::cancel::Stop::Abort);
    assert!(
        a.run(
            a.engine
                .synchronize("ann", Default::default(), None, cancel)
        )
        .unwrap()
        .was_cancelled
    );
    assert_eq!(local(&a).retry_count, 1);
}

#[test]
fn durations_are_real_on_both_sides() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    phone.fault("/pull", Fault::Slow(1_234));

    let result = a.sync();

    assert_eq!(
        (
            result.duration,
            local(&a).sync_duration,
            remote(&a).sync_duration
        ),
        (1_234, Some(1_234), Some(1_234))
    );
}

#[test]
fn counts_hashes_and_what_waits_are_those_of_the_moment() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"title":"milk"}"#);
    let id = a.create(r#"{"title":"tea"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    world.clock.advance(1_000);
    b.sync();
    a.patch(&id, r#"{"title":"coffee"}"#);
    let waiting = local(&a);
    assert_eq!(
        (
            waiting.sync_status,
            waiting.entity_counts.get("tasks").unwrap().pending
        ),
        (MetadataSyncStatus::Pending, 1)
    );
    assert_eq!(waiting.entity_counts.get("tasks").unwrap().count, 2);

    let (here, there) = (local(&b), remote(&a));

    assert_eq!(
        (
            &here.data_hash,
            here.entity_counts.get("tasks").unwrap().count
        ),
        (&there.data_hash, 2)
    );
    assert_eq!(
        (there.device_count, there.device_id.as_deref()),
        (2, Some("laptop")),
        "the latest"
    );
    assert_eq!(
        there.devices.keys().collect::<Vec<_>>(),
        ["laptop", "phone"]
    );
    assert!(there.devices.get("laptop") > there.devices.get("phone"));
    assert_eq!(
        there.last_successful_sync_time.as_ref(),
        there.devices.get("laptop")
    );
}

#[test]
fn an_undecided_conflict_is_counted_here_and_there_until_it_is_decided() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let failing = Resolvers {
        fallback: Some(std::rc::Rc::new(FnResolver(|_: &_| {
            Err(Error::new(Code::Conflict, "no idea"))
        }))),
        ..Resolvers::default()
    };
    let (a, b) = (phone.open(), laptop.open_with(failing));
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    b.sync();
    a.patch(&id, r#"{"title":"theirs"}"#);
    b.patch(&id, r#"{"title":"mine"}"#);
    a.sync();
    world.clock.advance(1_000);
    b.sync();

    for metadata in [local(&b), remote(&a)] {
        assert_eq!(
            (
                metadata.conflict_count,
                metadata.has_conflicts,
                metadata.sync_status
            ),
            (1, true, MetadataSyncStatus::Conflict)
        );
    }
    assert_eq!(
        (local(&a).conflict_count, local(&a).has_conflicts),
        (0, false)
    );
}

#[test]
fn a_remote_that_cannot_be_reached_rejects_and_one_that_knows_nothing_is_null() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    assert!(a.run(a.engine.metadata().remote("ann")).unwrap().is_none());
    phone.fault("/metadata", Fault::Lost);
    assert_eq!(
        a.run(a.engine.metadata().remote("ann")).unwrap_err().code(),
        Code::Network
    );
    phone.fault("/metadata", Fault::Status(401, None));
    assert_eq!(
        a.run(a.engine.metadata().remote("ann")).unwrap_err().code(),
        Code::Unauthorized
    );
}

#[test]
fn metadata_tells_of_failures_and_of_every_device() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone"),
        world.device("laptop").with_config(ONE_TRY),
    );
    let (a, b) = (phone.open(), laptop.open());
    assert!(b.run(b.engine.metadata().local("ann")).unwrap().is_none());
    assert!(b.run(b.engine.metadata().remote("ann")).unwrap().is_none());
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    laptop.fault("/pull", Fault::Status(503, None));
    b.sync_with("{}").unwrap_err();

    let failed = b.run(b.engine.metadata().local("ann")).unwrap().unwrap();
    assert_eq!((failed.retry_count, failed.is_never_synced), (1, true));
    assert!(failed.error_message.is_some() && failed.last_sync_time.is_some());
    b.sync();
    let mended = b.run(b.engine.metadata().local("ann")).unwrap().unwrap();
    assert_eq!(
        (
            mended.retry_count,
            mended.error_message,
            mended.is_never_synced
        ),
        (0, None, false)
    );
    assert_eq!(mended.entity_counts.get("tasks").unwrap().count, 1);

    let remote = a.run(a.engine.metadata().remote("ann")).unwrap().unwrap();
    assert_eq!(
        remote
            .devices
            .iter()
            .map(|(device, _)| device)
            .collect::<Vec<_>>(),
        ["laptop", "phone"]
    );
    assert_eq!(remote.data_hash, mended.data_hash);
    use datum_sync::model::metadata::MetadataComparison::{
        InSync, LocalNewer, NeverSynced, RemoteNewer,
    };
    assert_eq!(a.run(a.engine.metadata().compare("ann")).unwrap(), InSync);
    b.create(r#"{"title":"tea"}"#);
    assert_eq!(
        b.run(b.engine.metadata().compare("ann")).unwrap(),
        LocalNewer
    );
    b.sync();
    assert_eq!(
        a.run(a.engine.metadata().compare("ann")).unwrap(),
        RemoteNewer
    );
    a.run(a.engine.metadata().clear("ann", true, true)).unwrap();
    assert_eq!(
        a.run(a.engine.metadata().compare("ann")).unwrap(),
        NeverSynced
    );
    phone.requests();
    a.sync();
    assert_eq!(a.titles(), ["milk", "tea"]);
    assert_eq!(phone.requests(), ["POST /pull", "PUT /metadata"]);
}

#[test]
fn a_remote_that_cannot_keep_metadata_does_not_spoil_a_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/metadata", Fault::Status(500, None));

    let result = a.sync();

    assert!(result.is_success && result.error.is_none(), "{result:?}");
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().errors.len(),
        1,
        "it is shown all the same"
    );
    phone.requests();
    a.sync();
    assert!(
        phone.requests().contains(&"PUT /metadata".to_owned()),
        "and made up for"
    );
}

#[test]
fn where_the_remote_gives_nothing_to_compare_with_the_comparison_says_unknown_and_why() {
    use datum_sync::model::metadata::MetadataComparison::{InSync, Unknown};
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let record = serde_json::to_value(local(&a)).unwrap()["entityCounts"].clone();
    let own = format!(
        r#"{{"devices":[{{"deviceId":"phone","entityCounts":{record},"lastSyncTime":"2026-09-21T14:13:20.000Z"}}]}}"#
    );
    for (reply, word) in [
        (r#"{"devices":[]}"#.to_owned(), "digests"),
        (own, "digests"),
    ] {
        phone.fault("/metadata", Fault::Answered(reply));
        let (result, because) = a.run(a.engine.metadata().comparison("ann")).unwrap();
        assert_eq!(result, Unknown);
        assert!(because.contains(word), "{because}");
    }
    assert_eq!(a.run(a.engine.metadata().compare("ann")).unwrap(), InSync);
}

#[test]
fn deleted_entities_are_not_counted() {
    let world = World::new();
    let a = world.device("phone").open();
    for id in ["kept", "deleted"] {
        a.create_in("notes", &format!(r#"{{"id":"{id}"}}"#));
    }
    a.sync();
    let delete = Write::Delete {
        id: "deleted".to_owned(),
        soft: true,
    };
    a.write("notes", delete).unwrap();
    a.sync();

    for metadata in [local(&a), remote(&a)] {
        assert_eq!(metadata.entity_counts.get("notes").unwrap().count, 1);
    }
}
