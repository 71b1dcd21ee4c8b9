//! A tab removes a user's database while another tab has it open.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::world::{Device, Tab, World};
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::config::UserSwitch::Adopt;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;

const WIPE: LogoutOptions = LogoutOptions {
    flush: 0,
    wipe: true,
    force: false,
};

const VISITORS: &str =
    r#"{"entities":{"tasks":{}},"excludedSyncUserIds":["ann"],"retry":{"maxAttempts":1}}"#;

fn late() -> Write {
    Write::Create {
        draft: r#"{"title":"late"}"#.to_owned(),
    }
}

/// Has a tab write at the last moment. Returns the place of its outcome.
fn writes_before_the_wipe(phone: &Device, tab: Tab) -> Rc<RefCell<Option<Code>>> {
    let outcome = Rc::new(RefCell::new(None));
    let told = Rc::clone(&outcome);
    phone.store_of("ann").before_wipe(move || {
        let written = tab.write("tasks", late());
        *told.borrow_mut() = Some(written.unwrap_err().code());
    });
    outcome
}

#[test]
fn what_another_tab_writes_as_its_user_is_wiped_is_refused_and_not_lost() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let outcome = writes_before_the_wipe(&phone, b);

    a.run(a.engine.users().logout("ann", WIPE)).unwrap();

    assert_eq!(*outcome.borrow(), Some(Code::Closed));
}

#[test]
fn what_another_tab_writes_as_its_visitor_is_adopted_is_refused_and_not_lost() {
    let world = World::new();
    let phone = world.device("phone").with_config(VISITORS);
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"milk"}"#);
    let outcome = writes_before_the_wipe(&phone, b);

    let switched = a.engine.users().switch(None, "bob", Some(Adopt));
    assert!(a.run(switched).unwrap().success);

    assert_eq!(*outcome.borrow(), Some(Code::Closed));
    assert_eq!(a.titles_of("bob"), ["milk"]);
}

#[test]
fn a_database_that_could_not_be_removed_takes_writes_again_in_every_tab() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    let failing = phone.store();
    failing
        .failing_wipes
        .borrow_mut()
        .push_back(Code::StorageUnavailable);

    let refused = a.run(a.engine.users().logout("ann", WIPE)).unwrap_err();

    assert_eq!(refused.code(), Code::StorageUnavailable);
    drop((a, b));
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"tea"}"#);
    b.create(r#"{"title":"bread"}"#);
    assert_eq!(phone.open().titles(), ["bread", "milk", "tea"]);
}

#[test]
fn a_database_whose_removal_was_cut_off_goes_on() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    let user = a.run(a.engine.user("ann")).unwrap();
    let head = user.db.peek(|replica| replica.head());
    assert!(a.run(user.db.end_log(head)));
    assert_eq!(a.write("tasks", late()).unwrap_err().code(), Code::Closed);
    drop((user, a));

    let again = phone.open();
    again.create(r#"{"title":"tea"}"#);

    assert_eq!(phone.open().titles(), ["milk", "tea"]);
}
