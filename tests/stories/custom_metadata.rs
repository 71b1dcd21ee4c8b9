//! The app's own fields in the sync metadata.

use crate::support::world::{Fault, ONE_TRY, Tab, World};
use datum_sync::engine::metadata::MAX_CUSTOM_BYTES;
use datum_sync::model::error::Code;
use datum_sync::model::metadata::SyncMetadata;

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
