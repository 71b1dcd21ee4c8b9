//! A database knows its server: to another one nothing is pushed or offered until the app decides.

use crate::support::world::{Device, Tab, World};
use datum_server::MemoryServer;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::operation::PendingState;

pub const OLD: &str = "https://staging.example/api";
pub const NEW: &str = "https://example.com/api";

/// A device that has synced one row with a server, and has one write pending.
fn synced(world: &World) -> (Device, Tab) {
    let mut phone = world.device("phone");
    phone.remote.address = Some(OLD.to_owned());
    let a = phone.open();
    a.create(r#"{"id":"acked","title":"acked"}"#);
    a.sync();
    a.create(r#"{"id":"waits","title":"waits"}"#);
    (phone, a)
}

/// The same device, with the app pointed at another server or address.
pub fn moved(phone: &mut Device, before: &Tab, server: &MemoryServer, address: &str) -> Tab {
    before.run(before.engine.close());
    phone.remote.server = server.clone();
    phone.remote.address = Some(address.to_owned());
    phone.remote.seen.borrow_mut().clear();
    phone.open()
}

/// The same device, moved to another server, which the app accepts with `offer`.
fn offered(device: &mut Device, before: &Tab, server: &MemoryServer) -> Tab {
    let tab = moved(device, before, server, NEW);
    failed(&tab, "{}");
    tab.run(tab.engine.users().accept_server("ann", true))
        .unwrap();
    tab
}

fn failed(tab: &Tab, options: &str) -> Error {
    tab.sync_with(options).unwrap_err()
}

#[test]
fn another_server_gets_nothing_and_the_error_names_both() {
    for direction in ["pushThenPull", "pullThenPush", "pushOnly", "pullOnly"] {
        for (address, same_url) in [(NEW, false), (OLD, true)] {
            let world = World::new();
            let (mut phone, a) = synced(&world);
            let known = a
                .engine
                .opened("ann")
                .unwrap()
                .db
                .read(|replica| replica.server().clone());
            let other = MemoryServer::new("epoch-9");
            let b = moved(&mut phone, &a, &other, address);
            let options = format!(r#"{{"direction":"{direction}"}}"#);

            // A push to the same address cannot know before; a server of another epoch does nothing.
            let error = match b.sync_with(&options) {
                Err(error) => error,
                Ok(result) => panic!("{direction} {address}: {result:?}"),
            };

            assert_eq!(error.code(), Code::OtherServer, "{direction} {address}");
            assert!(!error.is_retryable() && error.message().contains("acceptServer"));
            assert!(
                error.message().contains(known.id.as_deref().unwrap()),
                "{error}"
            );
            assert_eq!(other.rows("ann"), [], "nothing was taken");
            assert_eq!(b.titles(), ["acked", "waits"]);
            assert_eq!(b.pending(), 1, "and nothing is offered");
            if !same_url {
                assert_eq!(
                    phone
                        .remote
                        .seen
                        .borrow()
                        .iter()
                        .map(|r| r.path.clone())
                        .collect::<Vec<_>>(),
                    ["/metadata"],
                    "it is only asked who it is"
                );
            }
            // Back at its own server it goes on as if nothing had been.
            let c = moved(&mut phone, &b, &world.server, OLD);
            assert!(c.sync().is_success);
            assert_eq!((world.server.rows("ann").len(), c.pending()), (2, 0));
        }
    }
}

#[test]
fn the_same_server_at_a_new_address_goes_on() {
    let world = World::new();
    let (mut phone, a) = synced(&world);
    let b = moved(&mut phone, &a, &world.server, NEW);
    assert!(b.sync().is_success);
    assert_eq!((world.server.rows("ann").len(), b.pending()), (2, 0));
    phone.remote.seen.borrow_mut().clear();
    assert!(b.sync().is_success);
    assert_eq!(phone.requests().len(), 1, "it is asked who it is once");
    // A restored server is the same one, in another epoch.
    world.server.set_epoch("epoch-2").unwrap();
    assert!(b.sync().is_success);
}

#[test]
fn what_is_kept_is_offered_to_the_new_server_once() {
    let world = World::new();
    let tablet = world.device("tablet").open();
    tablet.create(r#"{"id":"others","title":"others"}"#);
    tablet.sync();
    let (mut phone, a) = synced(&world);
    let other = MemoryServer::new("epoch-9");
    let b = moved(&mut phone, &a, &other, NEW);
    assert_eq!(failed(&b, "{}").code(), Code::OtherServer);

    let offered = b.run(b.engine.users().accept_server("ann", true)).unwrap();

    assert_eq!(offered, 2, "`waits` was pending anyway");
    for _ in 0..3 {
        assert!(b.sync().is_success);
    }
    assert_eq!(b.titles(), ["acked", "others", "waits"]);
    let rows = other.rows("ann");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(b.pending(), 0);
    assert_eq!(b.run(b.engine.conflicts().list("ann")).unwrap(), "[]");
    // From now on the old one is another server.
    let c = moved(&mut phone, &b, &world.server, OLD);
    assert_eq!(failed(&c, "{}").code(), Code::OtherServer);
}

#[test]
fn what_is_wiped_is_replaced_by_what_the_new_server_has() {
    let world = World::new();
    let (mut phone, a) = synced(&world);
    let other = World {
        server: MemoryServer::new("epoch-9"),
        ..World::new()
    };
    let theirs = other.device("other").open();
    theirs.create(r#"{"id":"theirs","title":"theirs"}"#);
    theirs.sync();
    let b = moved(&mut phone, &a, &other.server, NEW);
    assert_eq!(failed(&b, "{}").code(), Code::OtherServer);
    b.run(b.engine.users().accept_server("ann", false)).unwrap();
    assert_eq!(b.engine.current_user().as_deref(), Some("ann"));
    assert!(b.sync().is_success);
    assert_eq!((b.titles(), b.pending()), (vec!["theirs".to_owned()], 0));
    assert_eq!(other.server.rows("ann").len(), 1);
}

#[test]
fn an_adapter_can_name_its_server() {
    let world = World::new();
    let mut phone = world.device("phone");
    phone.remote.server_id = Some("one".to_owned());
    let a = phone.open();
    a.create(r#"{"title":"waits"}"#);
    assert!(a.sync().is_success);
    a.create(r#"{"title":"later"}"#);
    a.run(a.engine.close());
    phone.remote.server_id = Some("two".to_owned());
    phone.remote.seen.borrow_mut().clear();
    let b = phone.open();
    let error = failed(&b, "{}");
    assert_eq!(error.code(), Code::OtherServer);
    assert!(error.message().contains("`one`") && error.message().contains("`two`"));
    assert_eq!(phone.requests(), [] as [String; 0]);
}

#[test]
fn operations_of_types_that_the_config_does_not_name_stay_and_are_told() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let write = |draft: &str| datum_sync::plan::write::Write::Create {
        draft: draft.to_owned(),
    };
    a.write("notes", write(r#"{"id":"n","text":"kept"}"#))
        .unwrap();
    a.create(r#"{"id":"t","title":"sent"}"#);
    a.run(a.engine.close());
    let older = phone.with_config(r#"{"entities":{"tasks":{}}}"#);
    let b = older.open();

    let result = b.sync();

    assert!(result.is_success, "{result:?}");
    let rows = world.server.rows("ann");
    assert_eq!(
        rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        ["t"]
    );
    assert_eq!((result.pending_operations, b.pending()), (1, 1), "counted");
    let status = b.engine.status_hub("ann").unwrap().current();
    let told = &status.errors[0];
    assert_eq!(
        (told.code, told.entity.as_deref()),
        (Code::InvalidConfig, Some("notes"))
    );
    let pending = b.run(b.engine.pending().list("ann")).unwrap();
    assert_eq!(pending[0].state, PendingState::Blocked);
    assert!(pending[0].last_error.is_some());
    b.run(b.engine.close());
    let newer = older.with_config(r#"{"entities":{"tasks":{},"notes":{}}}"#);
    let c = newer.open();
    assert!(c.sync().is_success);
    assert_eq!((world.server.rows("ann").len(), c.pending()), (2, 0));
}

/// Its rows have their own age. What others have written there since is newer.
#[test]
fn a_device_that_comes_late_to_a_new_server_takes_nothing_back() {
    let world = World::new();
    let mut tablet = world.device("tablet");
    tablet.remote.address = Some(OLD.to_owned());
    let (mut phone, a) = synced(&world);
    a.sync();
    let b = tablet.open();
    b.sync();
    let other = MemoryServer::new("epoch-9");
    let a = offered(&mut phone, &a, &other);
    a.sync();
    world.clock.advance(60_000);
    a.patch("acked", r#"{"title":"newer"}"#);
    a.sync();
    world.clock.advance(60_000);

    let b = offered(&mut tablet, &b, &other);
    assert!(b.sync().is_success);

    assert_eq!(b.titles(), ["newer", "waits"]);
    a.sync();
    assert_eq!(a.titles(), ["newer", "waits"]);
}

/// What is offered has its row's age also under an edit: only what was edited is newer.
#[test]
fn an_edit_over_an_offered_row_takes_back_nothing_else() {
    for is_author in [false, true] {
        let world = World::new();
        let (mut phone, a) = synced(&world);
        let mut tablet = world.device("tablet");
        tablet.remote.address = Some(OLD.to_owned());
        let b = tablet.open();
        b.sync();
        let row = r#"{"id":"row","title":"old","note":"old","extra":1}"#;
        let author = if is_author { &b } else { &a };
        author.create(row);
        for tab in [&a, &b, &a, &b] {
            tab.sync();
        }
        let other = MemoryServer::new("epoch-9");
        let a = offered(&mut phone, &a, &other);
        a.sync();
        world.clock.advance(60_000);
        a.patch("row", r#"{"title":"newer"}"#);
        a.sync();
        world.clock.advance(60_000);

        let b = offered(&mut tablet, &b, &other);
        b.patch("row", r#"{"note":"edited"}"#);
        for tab in [&b, &b, &a] {
            assert!(tab.sync().is_success);
        }

        for tab in [&a, &b] {
            let row = tab.read("row").unwrap();
            assert_eq!(row["title"], "newer", "made by the tablet: {is_author}");
            assert_eq!((&row["note"], &row["extra"]), (&"edited".into(), &1.into()));
        }
    }
}
