//! A visitor becomes an account, which takes over what the visitor made.

use std::rc::Rc;

use super::user_support::{server_titles, switch};
use crate::support::world::{Tab, World, id_of};
use datum_sync::engine::users::{Adopted, UserSwitchResult};
use datum_sync::model::config::UserSwitch::Adopt;
use datum_sync::model::error::Code;

const VISITORS: &str = r#"{"entities":{"tasks":{},"notes":{"localOnly":["draft"]}},"excludedSyncUserIds":["ann"],"retry":{"maxAttempts":1},"defaultConflictResolver":"remotePriority"}"#;

fn adopt(tab: &Tab) -> UserSwitchResult {
    switch(tab, "bob", Adopt)
}

fn users(tab: &Tab) -> Vec<String> {
    tab.run(tab.engine.users().ids()).unwrap()
}

fn sync_bob(tab: &Tab) {
    let options = datum_sync::model::config::Options::default();
    let synced = tab.engine.synchronize("bob", options, None, Rc::default());
    assert!(tab.run(synced).unwrap().is_success);
}

#[test]
fn an_account_takes_over_what_a_visitor_has_made() {
    let world = World::new();
    let phone = world.device("phone").with_config(VISITORS);
    let a = phone.open();
    let milk = id_of(&a.create(r#"{"title":"milk"}"#));
    a.patch(&milk, r#"{"title":"oat milk"}"#);
    a.create(r#"{"title":"bread"}"#);
    let tea = id_of(&a.create(r#"{"title":"tea"}"#));
    a.delete(&tea);
    a.create_in("notes", r#"{"title":"note","draft":"only here"}"#);

    let result = adopt(&a);

    assert!(result.success && result.error.is_none(), "{result:?}");
    assert_eq!(
        result.adopted,
        Some(Adopted {
            added: 3,
            merged: 0
        })
    );
    assert_eq!(result.unsynced_operations, 3);
    assert_eq!(a.engine.current_user().as_deref(), Some("bob"));
    assert_eq!(users(&a), ["bob"], "nothing of the visitor is left");
    assert_eq!(a.titles_of("bob"), ["bread", "oat milk"]);
    let notes = a.run(a.engine.entities().read_all("bob", "notes", false));
    assert!(notes.unwrap().contains(r#""draft":"only here""#));
    sync_bob(&a);
    assert_eq!(server_titles(&world, "bob"), ["bread", "note", "oat milk"]);
    assert_eq!(server_titles(&world, "ann"), [] as [&str; 0]);
}

#[test]
fn where_both_have_an_entity_the_resolvers_decide() {
    let world = World::new();
    let laptop = world.device_of("bob", "laptop").open();
    let theirs = laptop.create(r#"{"title":"of the account"}"#);
    laptop.sync();
    let phone = world.device("phone").with_config(VISITORS);
    let a = phone.open();
    a.create(&format!(
        r#"{{"id":"{}","title":"of the visitor"}}"#,
        id_of(&theirs)
    ));
    // The account has pulled its row on this device before.
    sync_bob(&a);

    let result = adopt(&a);

    assert_eq!(
        result.adopted,
        Some(Adopted {
            added: 0,
            merged: 1
        })
    );
    assert_eq!(
        a.titles_of("bob"),
        ["of the visitor"],
        "until the remote is asked"
    );
    sync_bob(&a);
    assert_eq!(
        a.titles_of("bob"),
        ["of the account"],
        "as the resolver says"
    );
    assert_eq!(server_titles(&world, "bob"), ["of the account"]);
}

#[test]
fn a_crash_in_the_middle_adopts_everything_once() {
    for writes_on in [false, true] {
        let world = World::new();
        let phone = world.device("phone").with_config(VISITORS);
        let a = phone.open();
        a.create(r#"{"title":"milk"}"#);
        // The account has everything when the visitor's log cannot be wiped.
        let visitor = phone.store_of("ann");
        visitor
            .failing_wipes
            .borrow_mut()
            .push_back(Code::StorageUnavailable);
        let switched = a.engine.users().switch(None, "bob", Some(Adopt));
        assert_eq!(
            a.run(switched).unwrap_err().code(),
            Code::StorageUnavailable
        );
        drop(a);

        let again = phone.open();
        assert_eq!(again.titles(), ["milk"], "the visitor is still there");
        let mut expected = vec!["milk"];
        if writes_on {
            again.create(r#"{"title":"later"}"#);
            expected.insert(0, "later");
        }
        again.run(again.engine.sign_in("bob")).unwrap();

        assert_eq!(users(&again), ["bob"]);
        assert_eq!(again.titles_of("bob"), expected);
        sync_bob(&again);
        assert_eq!(server_titles(&world, "bob"), expected, "each once");
    }
}

/// The last look at the visitor's log, and the wipe, are not one step: what another tab writes in
/// front of either is adopted too.
#[test]
fn what_another_tab_writes_during_an_adoption_is_adopted_too() {
    let mut written = 0;
    for look in 1..=6 {
        let world = World::new();
        let phone = world.device("phone").with_config(VISITORS);
        let (a, b) = (phone.open(), phone.open());
        a.create(r#"{"title":"milk"}"#);
        let late = Rc::new(std::cell::Cell::new(false));
        let wrote = Rc::clone(&late);
        phone.store_of("ann").before_tail(look, move || {
            b.create(r#"{"title":"late"}"#);
            wrote.set(true);
        });

        assert!(adopt(&a).success);

        let mut expected = vec!["milk"];
        if late.get() {
            expected.insert(0, "late");
            written += 1;
        }
        assert_eq!(users(&a), ["bob"]);
        assert_eq!(a.titles_of("bob"), expected, "look {look}");
    }
    assert!(written >= 3, "{written}");
}
