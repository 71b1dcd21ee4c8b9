//! Sync metadata, field by field: what each says after attempts, failures, successes and conflicts,
//! here and on the remote, and the app's own fields in it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use datum_sync::engine::cycle::resolve::Resolvers;
use datum_sync::engine::metadata::MAX_CUSTOM_BYTES;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::metadata::SyncMetadata;
use datum_sync::model::protocol::SyncState;
use support::world::{Asked, Fault, Tab, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

fn local(a: &Tab) -> SyncMetadata {
    a.run(a.engine.metadata().local(&a.user)).unwrap().unwrap()
}

fn remote(a: &Tab) -> SyncMetadata {
    a.run(a.engine.metadata().remote(&a.user)).unwrap().unwrap()
}

fn custom(of: &SyncMetadata) -> serde_json::Value {
    serde_json::to_value(of).unwrap()["customMetadata"].clone()
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
            (SyncState::Failed, 1, 0)
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
        (0, None, SyncState::Synced)
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
    let cancel = std::rc::Rc::new(datum_sync::engine::cycle::Cancel::default());
    cancel.stop(datum_sync::engine::cycle::Stop::Abort);
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
        (SyncState::Pending, 1)
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
        fallback: Some(std::rc::Rc::new(Asked(|_: &_| {
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
            (1, true, SyncState::Conflict)
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
fn the_remote_is_reminded_though_the_clock_was_set_back() {
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
fn the_apps_own_fields_are_news_and_reach_the_remote_with_the_next_cycle() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(ONE_TRY),
        world.device("laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    a.sync();
    phone.requests();
    let set = |tab: &Tab, json: &str| tab.run(tab.engine.metadata().set_custom("ann", json));

    set(&a, r#"{"name":"Ann's phone","panes":[1,{"wide":null}]}"#).unwrap();

    assert_eq!(custom(&local(&a))["name"], "Ann's phone", "here at once");
    assert!(custom(&remote(&a)).is_null());
    phone.requests();
    phone.fault("/metadata", Fault::Status(500, None));
    a.sync();
    assert!(custom(&remote(&a)).is_null());
    a.sync();
    assert_eq!(
        custom(&remote(&a))["panes"][1]["wide"],
        serde_json::Value::Null
    );
    assert_eq!(custom(&remote(&a))["name"], "Ann's phone", "made up for");
    phone.requests();
    a.sync();
    assert_eq!(phone.requests(), ["POST /pull"], "and told once");

    world.clock.advance(1_000);
    set(&b, r#"{"name":"laptop","theme":"dark"}"#).unwrap();
    b.sync();
    let both = custom(&remote(&a));
    assert_eq!(
        (&both["name"], &both["theme"], both["panes"].is_array()),
        (&"laptop".into(), &"dark".into(), true),
        "the later device's"
    );
}

#[test]
fn the_apps_own_fields_outlive_a_clear_and_a_reload_and_go_when_they_are_emptied() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.run(a.engine.metadata().set_custom("ann", r#"{"n":1}"#))
        .unwrap();
    let before = local(&a);
    assert!(
        before.is_never_synced && before.last_sync_time.is_none(),
        "set before the first cycle"
    );
    a.sync();
    a.run(a.engine.metadata().clear("ann", true, true)).unwrap();
    assert_eq!(custom(&local(&a)), serde_json::json!({ "n": 1 }));
    let b = phone.open();
    assert_eq!(custom(&local(&b)), serde_json::json!({ "n": 1 }));
    b.sync();
    assert_eq!(custom(&remote(&b)), serde_json::json!({ "n": 1 }));

    b.run(b.engine.metadata().set_custom("ann", "{}")).unwrap();
    b.sync();

    assert!(custom(&local(&b)).is_null() && custom(&remote(&b)).is_null());
}

#[test]
fn what_is_no_object_or_too_large_is_refused_and_changes_nothing() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.run(a.engine.metadata().set_custom("ann", r#"{"n":1}"#))
        .unwrap();
    let sized = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "é".repeat((bytes - 8) / 2));
    for bad in [
        "",
        "null",
        "[]",
        "1",
        r#""text""#,
        "{",
        r#"{"a":1}x"#,
        sized(MAX_CUSTOM_BYTES + 2).as_str(),
    ] {
        let error = a
            .run(a.engine.metadata().set_custom("ann", bad))
            .unwrap_err();
        assert_eq!(
            (error.code(), error.user_id()),
            (Code::InvalidArgument, Some("ann")),
            "{bad:.20}"
        );
    }
    assert_eq!(
        a.run(a.engine.metadata().set_custom("", "{}"))
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
    assert_eq!(custom(&local(&a)), serde_json::json!({ "n": 1 }));
    let most = sized(MAX_CUSTOM_BYTES);
    assert_eq!(most.len(), MAX_CUSTOM_BYTES);
    a.run(a.engine.metadata().set_custom("ann", &most)).unwrap();
    assert!(a.sync().is_success);
    assert!(!custom(&remote(&a)).is_null(), "and the server keeps it");
}

#[test]
fn a_full_custom_record_and_a_running_cycle_do_not_overwrite_each_other() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    phone.fault("/pull", Fault::Slow(100));
    let set = async {
        a.engine.host().clock.sleep(10).await;
        a.engine.metadata().set_custom("ann", r#"{"n":2}"#).await
    };

    let (cycle, set) = a.run(futures_util::future::join(
        a.engine
            .synchronize("ann", Default::default(), None, Default::default()),
        set,
    ));

    assert!(cycle.unwrap().is_success && set.is_ok());
    let after = local(&a);
    assert_eq!(
        (custom(&after), after.is_never_synced),
        (serde_json::json!({ "n": 2 }), false)
    );
}
