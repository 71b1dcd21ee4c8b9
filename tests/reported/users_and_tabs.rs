//! Reported: what goes wrong when users sign in and out, and between tabs.
//! The table in `tests/README.md` lists every report with its tests.

use std::rc::Rc;

use crate::support::auto_sync::{create, wait};
use crate::support::calls::{shared, synchronize};
use crate::support::world::{Fault, World};
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::config::UserSwitch;
use futures_util::future::join;

const ONE_TRY: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"excludedSyncUserIds":["guest"]}"#;

/// Users of Dexie reported: what was made before the login had disappeared after it.
/// dexie/Dexie.js#2140
#[test]
fn what_a_guest_has_made_is_there_after_somebody_signed_in_and_is_nobody_elses() {
    let world = World::new();
    let phone = world.device_of("guest", "phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    let switch = |from: &str, to: &str| {
        a.run(
            a.engine
                .users()
                .switch(Some(from), to, Some(UserSwitch::SyncThenSwitch)),
        )
        .unwrap()
    };

    assert!(switch("guest", "ann").success);
    a.run(
        a.engine
            .synchronize("ann", Default::default(), None, Rc::default()),
    )
    .unwrap();
    assert!(a.titles_of("ann").is_empty() && world.server.rows("ann").is_empty());

    assert!(switch("ann", "guest").success);
    assert_eq!((a.titles(), a.pending()), (vec!["milk".to_owned()], 1));
}

/// Users of LiveStore reported: after another tab had taken the lead, the count of what waits never
/// came to zero. livestorejs/livestore#954
#[test]
fn what_a_closed_tab_was_sending_is_settled_by_the_next_and_waits_nowhere() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Slow(1_000));
    a.run(join(synchronize(&a), async {
        wait(&a, 500).await;
        a.engine.close().await;
    }));

    let result = b.sync();

    assert!(
        result.is_success && result.conflicts_detected == 0,
        "{result:?}"
    );
    assert_eq!(
        (
            b.pending(),
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .pending_operations
        ),
        (0, 0)
    );
    assert_eq!(
        (phone.open().pending(), shared(&world)),
        (0, vec!["milk".to_owned()])
    );
}

/// Users of LiveStore and TanStack DB reported: two tabs that started together stalled, and a tab
/// that did not lead had no queue. livestorejs/livestore#763, TanStack/db#1486, TanStack/db#865
#[test]
fn two_tabs_that_start_together_both_write_and_both_sync() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.run(join(
        create(&a.engine, "ann", "left"),
        create(&b.engine, "ann", "right"),
    ));
    a.run(join(synchronize(&a), synchronize(&b)));
    a.run(join(synchronize(&a), synchronize(&b)));

    assert_eq!(
        (a.titles(), a.pending()),
        (vec!["left".to_owned(), "right".to_owned()], 0)
    );
    assert_eq!((b.titles(), b.pending()), (a.titles(), 0));
    assert_eq!(shared(&world), a.titles());
}

/// Users of RxDB reported: removing a database left its checkpoints behind; those of Dexie, that a
/// logout did not push first. pubkey/rxdb#3319, dexie/Dexie.js#2019
#[test]
fn a_user_who_was_wiped_has_pushed_before_and_pulls_everything_at_the_next_sign_in() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    a.create(r#"{"title":"tea"}"#);
    let left = a
        .run(a.engine.users().logout(
            "ann",
            LogoutOptions {
                wipe: true,
                ..LogoutOptions::default()
            },
        ))
        .unwrap();
    assert_eq!((left.flushed, phone.disk.stores.borrow().len()), (1, 0));

    let again = phone.open();

    assert_eq!(
        (again.sync().pulled_count, again.titles()),
        (2, vec!["milk".to_owned(), "tea".to_owned()])
    );
}
