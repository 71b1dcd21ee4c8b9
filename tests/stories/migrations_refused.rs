//! Migrations that fail, and data of other versions: nothing has changed afterwards.

use std::rc::Rc;

use crate::support::migrations::{Chain, at_version, renamed, updated, version, with_chain};
use crate::support::world::{Device, Tab, World};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::error::{Code, Error};
use datum_sync::ports::store::Store;

fn failure(opened: Result<Tab, Error>) -> Error {
    match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// A device at version 1 that has one task, and no tab open.
fn with_milk(world: &World) -> Device {
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    a.create(r#"{"id":"t","text":"milk"}"#);
    a.run(a.engine.close());
    phone
}

#[test]
fn a_migration_that_fails_on_one_row_has_changed_nothing() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    let a = phone.open();
    for number in 0..300 {
        a.create(&format!(r#"{{"id":"t{number:03}","text":"{number}"}}"#));
    }
    a.sync();
    a.patch("t007", r#"{"text":"pending"}"#);
    let before = a.titles();
    a.run(a.engine.close());
    let records = a.run(phone.store().inner.reopen().load()).unwrap();

    let fails = Chain::default().step(|fields| {
        let number: u32 = fields["id"].as_str().unwrap()[1..].parse().unwrap();
        renamed("text", "title")(fields)?;
        if number == 271 {
            Err("threw: boom".into())
        } else {
            Ok(())
        }
    });
    let (phone, chain) = with_chain(phone, fails);
    let error = failure(phone.try_open(Resolvers::default()));
    assert_eq!(error.code(), Code::Migration);
    assert_eq!(
        (error.entity(), error.entity_id(), error.user_id()),
        (Some("tasks"), Some("t271"), Some("ann"))
    );
    assert_eq!(*chain.failures.borrow(), [error]);
    assert_eq!(a.run(phone.store().inner.reopen().load()).unwrap(), records);

    let phone = at_version(phone, 1);
    let again = phone.open();
    assert_eq!(again.titles(), before);
    assert_eq!(again.read("t007").unwrap()["text"], "pending");
    again.run(again.engine.close());
    let (phone, _) = updated(phone);
    assert_eq!(
        phone.open().read("t271").unwrap()["title"],
        "271",
        "once it is corrected"
    );
}

#[test]
fn a_missing_step_is_named_and_nothing_has_changed() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 0);
    phone.open().create(r#"{"title":"milk"}"#);
    let (phone, _) = updated(phone);
    let error = failure(phone.try_open(Resolvers::default()));
    assert_eq!(error.code(), Code::Migration);
    assert!(error.message().contains("begins at 0"), "{error}");
    assert_eq!(at_version(phone, 0).open().titles(), ["milk"]);
}

#[test]
fn an_older_app_does_not_open_newer_data() {
    let world = World::new();
    let phone = at_version(world.device("phone"), 1);
    phone.open().create(r#"{"id":"t","text":"milk"}"#);
    let (phone, _) = updated(phone);
    phone.open();
    let phone = at_version(phone, 1);
    let error = failure(phone.try_open(Resolvers::default()));
    assert_eq!(error.code(), Code::ClientOutdated);
    assert!(error.message().contains("reload the page"), "{error}");
    let (phone, _) = updated(phone);
    assert_eq!(version(&phone.open()), 2);
}

#[test]
fn storage_that_fails_in_the_middle_leaves_the_data_as_it_was() {
    let world = World::new();
    let (phone, chain) = updated(with_milk(&world));
    phone
        .store()
        .failing
        .borrow_mut()
        .push_back(Code::StorageFull);
    let error = failure(phone.try_open(Resolvers::default()));
    assert_eq!(error.code(), Code::StorageFull);
    assert!(
        chain.failures.borrow().is_empty(),
        "the app's migrations are not to blame"
    );
    assert_eq!(
        at_version(phone, 1).open().read("t").unwrap()["text"],
        "milk"
    );
}

#[test]
fn without_the_part_that_migrates_the_user_stays_closed_until_it_is_there() {
    let world = World::new();
    let (phone, chain) = updated(with_milk(&world));
    let b = phone.unopened(Resolvers::default());
    b.engine.host().lacks_part.set(true);
    let error = b.run(b.engine.sign_in(&b.user)).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (Code::Network, true));
    assert!(chain.ids.borrow().is_empty() && chain.failures.borrow().is_empty());
    b.engine.host().lacks_part.set(false);
    b.run(b.engine.sign_in(&b.user)).unwrap();
    assert_eq!((version(&b), b.titles()), (2, vec!["milk".to_owned()]));
}

#[test]
fn a_result_that_is_no_entity_is_refused() {
    struct Odd(&'static str);
    impl datum_sync::engine::migrations::Migrations for Odd {
        fn first(&self) -> u32 {
            1
        }
        fn check(&self, _: u32) -> Result<(), Error> {
            Ok(())
        }
        fn changes(&self, _: &str, _: u32) -> bool {
            true
        }
        fn migrate(&self, _: &str, _: u32, _: &str) -> Result<Vec<String>, Error> {
            Ok(self.0.lines().map(str::to_owned).collect())
        }
        fn failed(&self, _: &Error) {}
    }
    let world = World::new();
    for odd in ["", "null", "[1]", "{\"a\":", "7"] {
        let phone = at_version(world.device("phone"), 1);
        phone.open().create(r#"{"id":"t","text":"milk"}"#);
        let phone = at_version(phone, 2);
        phone.migrations.replace(Some(Rc::new(Odd(odd))));
        let error = failure(phone.try_open(Resolvers::default()));
        assert_eq!(
            (error.code(), error.entity()),
            (Code::Migration, Some("tasks")),
            "{odd}"
        );
    }
}
