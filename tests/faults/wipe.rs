//! A log that is wiped in one tab while others have it open: nothing of it returns.

use crate::support::world::World;
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use futures_util::FutureExt;

fn create(title: &str) -> Write {
    Write::Create {
        draft: format!(r#"{{"title":"{title}"}}"#),
    }
}

#[test]
fn an_open_tab_does_not_save_its_operations_into_a_log_that_begins_after_a_wipe() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.create(r#"{"title":"of b"}"#);
    a.run(a.engine.users().clear_data("ann")).unwrap();

    assert_eq!(
        b.write("tasks", create("more")).unwrap_err().code(),
        Code::Closed
    );

    assert_eq!(
        b.engine.current_user(),
        None,
        "the user is signed out here too"
    );
    assert!(phone.open().titles().is_empty());
    assert_eq!(world.server.rows("ann").len(), 0);
}

#[test]
fn a_tab_that_hears_of_a_wipe_ends_its_watches_and_says_why() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.create(r#"{"title":"of b"}"#);
    let watch = b
        .run(b.engine.entities().watch("ann", "tasks", None, false))
        .unwrap();
    assert!(b.run(watch.next()).unwrap().is_some());
    let logout = LogoutOptions {
        flush: 0,
        wipe: true,
        force: true,
    };
    a.run(a.engine.users().logout("ann", logout)).unwrap();

    assert_eq!(
        b.run(b.engine.on_head("ann", u64::MAX)).unwrap_err().code(),
        Code::Closed
    );

    assert!(b.run(watch.next()).unwrap().is_none());
    let status = b.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.pending_operations, status.errors[0].code),
        (0, Code::Closed)
    );
    assert_eq!(
        b.engine.user_or_current(None).unwrap_err().code(),
        Code::NoUser
    );
    assert!(b.run(b.engine.users().ids()).unwrap().is_empty());
}

#[test]
fn a_cycle_of_a_tab_that_has_not_heard_fetches_nothing_back() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    b.sync();
    a.run(a.engine.users().clear_data("ann")).unwrap();

    assert_eq!(b.sync_with("{}").unwrap_err().code(), Code::Closed);

    assert!(!phone.disk.stores.borrow().contains_key("ann"));
}

#[test]
fn a_user_who_signs_in_again_after_the_wipe_begins_anew() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    a.create(r#"{"title":"wiped"}"#);
    a.run(a.engine.users().clear_data("ann")).unwrap();
    assert_eq!(
        b.write("tasks", create("more")).unwrap_err().code(),
        Code::Closed
    );

    assert!(
        b.run(b.engine.users().switch(None, "ann", None))
            .unwrap()
            .success
    );

    assert!(b.titles().is_empty());
    b.sync();
    assert_eq!(b.titles(), ["synced"]);
}

#[test]
fn who_waits_for_a_receipt_hears_of_the_wipe() {
    for told in [false, true] {
        let world = World::new();
        let phone = world.device("phone");
        let (a, b) = (phone.open(), phone.open());
        let id = b.create(r#"{"title":"of b"}"#)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut waiting = Box::pin(b.engine.entities().when_synced("ann", "tasks", &id));
        assert!(waiting.as_mut().now_or_never().is_none());
        a.run(a.engine.users().clear_data("ann")).unwrap();

        if told {
            b.run(
                b.engine
                    .tabs()
                    .on_message("ann", r#"{"tab":1,"word":1,"wiped":true}"#),
            );
        } else {
            assert_eq!(
                b.run(b.engine.on_head("ann", u64::MAX)).unwrap_err().code(),
                Code::Closed
            );
        }

        assert_eq!(
            waiting.now_or_never().unwrap().unwrap_err().code(),
            Code::Closed,
            "told by a word: {told}"
        );
    }
}

#[test]
fn a_question_about_a_user_without_a_database_is_answered_and_creates_none() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"wiped"}"#);
    let logout = LogoutOptions {
        flush: 0,
        wipe: true,
        force: true,
    };
    a.run(a.engine.users().logout("ann", logout)).unwrap();

    for tab in [&a, &b] {
        // A tab that has not received it gets it once.
        let _ = tab.run(tab.engine.pending().count("ann"));
        for user in ["ann", "nobody"] {
            assert!(tab.titles_of(user).is_empty());
            assert_eq!(tab.run(tab.engine.pending().count(user)), Ok(0));
            assert_eq!(tab.run(tab.engine.metadata().last_result(user)), Ok(None));
            assert_eq!(
                tab.run(tab.engine.conflicts().list(user)).as_deref(),
                Ok("[]")
            );
        }
        let stray = tab.sync_with("{}").unwrap_err();
        assert_eq!(stray.code(), Code::Closed, "{stray}");
        assert!(!phone.disk.stores.borrow().contains_key("ann"));
        assert!(!phone.disk.stores.borrow().contains_key("nobody"));
    }
    a.create_for("ann", "a write begins anew");
    assert_eq!(a.titles(), ["a write begins anew"]);
    assert!(a.run(a.engine.users().ids()).unwrap() == ["ann"]);
}

#[test]
fn who_has_cleared_the_data_and_stays_signed_in_fetches_it_again() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    a.run(a.engine.users().clear_data("ann")).unwrap();
    assert!(a.titles().is_empty());
    assert!(
        !phone.disk.stores.borrow().contains_key("ann"),
        "a question"
    );
    a.run(a.engine.users().clear_data("ann")).unwrap();
    a.sync();
    assert_eq!(a.titles(), ["synced"]);
}
