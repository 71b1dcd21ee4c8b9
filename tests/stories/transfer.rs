//! A user's data is exported, and comes back: after a wipe, on another device, for another user.

use super::transfer_support::{as_new, existing, export, import, import_with, seen};
use crate::support::conflicts::clash;
use crate::support::world::{Tab, World};
use datum_server::MemoryServer;
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::engine::transfer::ImportOptions;
use datum_sync::model::error::Code;
use datum_sync::plan::import::Existing;
use datum_sync::plan::write::Write;

const ASK: &str = r#"{"entities":{"tasks":{"conflictResolver":"ask"},"notes":{"deleteBehavior":"softDelete","localOnly":["draft"]}},"retry":{"maxAttempts":1}}"#;

/// A tab with synced and pending entities, local-only fields, a conflict and a dead letter.
fn full(world: &World) -> (crate::support::world::Device, Tab) {
    world
        .server
        .configure(|config| config.max_entity_bytes = 200);
    let phone = world.device("phone").with_config(ASK);
    let (a, b) = (phone.open(), world.device("laptop").with_config(ASK).open());
    a.create(r#"{"id":"synced","title":"synced"}"#);
    a.create(r#"{"id":"edited","title":"edited"}"#);
    a.create(r#"{"id":"gone","title":"gone"}"#);
    a.create_in(
        "notes",
        r#"{"id":"note","title":"note","draft":"only here"}"#,
    );
    a.create(&format!(r#"{{"id":"long","title":"{}"}}"#, "x".repeat(300)));
    a.sync();
    clash(&b, &a);
    a.sync();
    a.patch("edited", r#"{"title":"edited twice"}"#);
    a.delete("gone");
    a.create(r#"{"id":"new","title":"new"}"#);
    assert_eq!((a.conflicts().len(), a.dead_letters().len()), (1, 1));
    (phone, a)
}

#[test]
fn what_was_exported_is_there_again_on_a_device_that_had_nothing() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);

    let fresh = world.device("tablet").with_config(ASK);
    let b = fresh.open();
    let done = import(&b, &file).unwrap();

    assert_eq!(seen(&b), seen(&a));
    assert_eq!((done.conflicts, done.dead_letters, done.kept), (1, 1, 0));
    assert_eq!(done.pending_operations, a.pending());
    assert_eq!(fresh.counts().records, 1, "one commit, or nothing");
    assert_eq!(seen(&fresh.open()), seen(&a), "and after a reload");
    // The server has what both have, once.
    b.sync();
    a.sync();
    a.sync();
    assert_eq!(b.titles(), a.titles());
    assert_eq!((a.pending(), b.pending()), (1, 1), "but for the conflict");
}

#[test]
fn what_was_pending_is_sent_once_though_two_devices_have_it() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"n","title":"one"}"#);
    a.sync();
    a.patch("n", r#"{"title":"two"}"#);
    let file = export(&a);
    let b = world.device("tablet").open();
    import(&b, &file).unwrap();
    a.sync();
    let version = world.server.rows("ann")[0].version;

    assert!(b.sync().is_success);

    assert_eq!(world.server.rows("ann")[0].version, version);
    assert_eq!((b.titles(), b.pending()), (vec!["two".to_owned()], 0));
    assert_eq!(b.conflicts().len(), 0);
}

#[test]
fn a_backup_after_a_wipe_brings_back_what_was_never_sent() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"sent","title":"sent"}"#);
    a.sync();
    a.create(r#"{"id":"waits","title":"waits"}"#);
    let file = export(&a);
    a.run(a.engine.close());
    phone.evict();

    let b = phone.open();
    import(&b, &file).unwrap();
    assert!(b.sync().is_success);

    assert_eq!(b.titles(), ["sent", "waits"]);
    assert_eq!(world.server.rows("ann").len(), 2);
}

#[test]
fn rows_that_the_server_has_deleted_since_go_with_the_next_sync() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"stays","title":"stays"}"#);
    a.create(r#"{"id":"goes","title":"goes"}"#);
    a.sync();
    let file = export(&a);
    a.delete("goes");
    a.sync();

    let b = world.device("tablet").open();
    import(&b, &file).unwrap();
    assert_eq!(b.titles(), ["goes", "stays"]);
    b.sync();

    assert_eq!(b.titles(), ["stays"]);
    assert_eq!(
        world
            .server
            .rows("ann")
            .iter()
            .filter(|row| row.data.is_some())
            .count(),
        1
    );
}

#[test]
fn a_backup_brings_back_what_was_deleted_where_the_rest_is_known() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"goes","title":"goes"}"#);
    a.create(r#"{"id":"same","title":"same"}"#);
    a.create(r#"{"id":"other","title":"before"}"#);
    a.sync();
    let file = export(&a);
    a.delete("goes");
    a.patch("other", r#"{"title":"after"}"#);
    a.sync();

    let done = import(&a, &file).unwrap();

    assert_eq!((done.added, done.kept, done.unchanged), (1, 1, 1));
    assert_eq!(done.pending_operations, 1, "it is created again");
    assert_eq!(a.titles(), ["after", "goes", "same"]);
    assert!(a.sync().is_success);
    let reader = world.device("reader").open();
    reader.sync();
    assert_eq!(reader.titles(), ["after", "goes", "same"]);
}

#[test]
fn what_was_deleted_before_this_device_knew_it_comes_back_as_a_new_write() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"goes","title":"goes"}"#);
    a.sync();
    let file = export(&a);
    a.delete("goes");
    a.sync();
    let b = world.device("tablet").open();
    b.sync();

    let done = import(&b, &file).unwrap();

    assert_eq!((done.added, done.pending_operations), (1, 1));
    assert!(b.sync().is_success);
    a.sync();
    assert_eq!(a.titles(), ["goes"]);
}

#[test]
fn what_is_here_is_kept_overwritten_or_a_reason_to_fail() {
    for (how, title, pending) in [
        (Existing::Keep, "after", 0),
        (Existing::Overwrite, "before", 1),
        (Existing::Fail, "after", 0),
    ] {
        let world = World::new();
        let a = world.device("phone").open();
        a.create(r#"{"id":"n","title":"before"}"#);
        a.create(r#"{"id":"m","title":"same"}"#);
        a.sync();
        let file = export(&a);
        a.patch("n", r#"{"title":"after"}"#);
        a.sync();

        let done = import_with(&a, file.as_bytes(), &existing(how));

        if how == Existing::Fail {
            let error = done.unwrap_err();
            assert_eq!(error.code(), Code::AlreadyExists);
            assert_eq!(error.entity_id(), Some("n"));
        } else {
            assert_eq!(done.unwrap().unchanged, 1);
        }
        assert_eq!((a.titles()[0].as_str(), a.pending()), (title, pending));
        assert!(a.sync().is_success);
        let reader = world.device("reader").open();
        reader.sync();
        assert_eq!(reader.titles(), [title, "same"]);
    }
}

#[test]
fn a_second_import_of_the_same_file_changes_nothing() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);
    let fresh = world.device("tablet").with_config(ASK);
    let b = fresh.open();
    import(&b, &file).unwrap();
    let before = seen(&b);

    let again = import(&b, &file).unwrap();

    assert_eq!(seen(&b), before);
    assert_eq!(
        (
            again.added,
            again.kept,
            again.pending_operations,
            again.dead_letters
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(import(&a, &file).unwrap().pending_operations, 0);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);
    let fresh = world.device("tablet").with_config(ASK);
    let b = fresh.open();
    let dry = ImportOptions {
        dry_run: true,
        ..ImportOptions::default()
    };

    let would = import_with(&b, file.as_bytes(), &dry).unwrap();

    assert_eq!(
        (b.titles().len(), b.pending(), fresh.counts().records),
        (0, 0, 0)
    );
    let did = import(&b, &file).unwrap();
    assert!(would.dry_run && !did.dry_run);
    assert_eq!(
        (would.added, would.pending_operations, would.dead_letters),
        (did.added, did.pending_operations, did.dead_letters)
    );
}

#[test]
fn another_users_file_is_refused_unless_it_comes_as_new() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"n","title":"of ann"}"#);
    a.sync();
    a.create(r#"{"id":"m","title":"not sent"}"#);
    let file = export(&a);
    let b = world.device_of("bob", "tablet").open();

    let error = import(&b, &file).unwrap_err();
    assert_eq!(error.code(), Code::UserMismatch);
    assert!(error.message().contains("`ann`") && error.message().contains("asNew"));
    assert_eq!((b.titles().len(), b.pending()), (0, 0));

    let done = import_with(&b, file.as_bytes(), &as_new()).unwrap();
    assert_eq!((done.added, done.pending_operations), (2, 2));
    assert!(b.sync().is_success);
    assert_eq!(b.titles(), ["not sent", "of ann"]);
    assert_eq!(world.server.rows("bob").len(), 2);
    assert_eq!(
        world.server.rows("ann").len(),
        1,
        "ann's own still waits there"
    );
}

#[test]
fn the_file_of_another_server_is_refused_unless_it_comes_as_new() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"n","title":"moves"}"#);
    a.sync();
    let file = export(&a);
    let elsewhere = World {
        server: MemoryServer::new("epoch-9"),
        ..World::new()
    };
    let b = elsewhere.device("phone").open();
    b.create(r#"{"title":"was there"}"#);
    b.sync();

    assert_eq!(import(&b, &file).unwrap_err().code(), Code::OtherServer);
    assert_eq!((b.titles().len(), b.pending()), (1, 0));

    import_with(&b, file.as_bytes(), &as_new()).unwrap();
    assert!(b.sync().is_success);
    assert_eq!(b.titles(), ["moves", "was there"]);
    assert_eq!(elsewhere.server.rows("ann").len(), 2);
}

#[test]
fn a_refused_commit_has_imported_nothing_and_a_second_try_does() {
    let world = World::new();
    let (_, a) = full(&world);
    let file = export(&a);
    let fresh = world.device("tablet").with_config(ASK);
    let b = fresh.open();
    fresh
        .store()
        .failing
        .borrow_mut()
        .push_back(Code::StorageUnavailable);

    let error = import(&b, &file).unwrap_err();

    assert_eq!(error.code(), Code::StorageUnavailable);
    assert_eq!((b.titles().len(), b.pending()), (0, 0));
    import(&b, &file).unwrap();
    assert_eq!(seen(&b), seen(&a));
}

#[test]
fn an_import_that_is_stopped_has_written_nothing() {
    let world = World::new();
    let (_, a) = full(&world);
    let mut reader = datum_sync::transfer::read::FileReader::default();
    reader.push(export(&a).as_bytes()).unwrap();
    let b = world.device("tablet").with_config(ASK).open();

    let options = ImportOptions::default();
    let file = reader.finish().unwrap();
    let cancel = Cancel::default();
    cancel.stop(Stop::Abort);
    let error = b.run(b.engine.transfer().import(&file, &options, &cancel));

    assert_eq!(error.unwrap_err().code(), Code::Cancelled);
    assert_eq!((b.titles().len(), b.pending()), (0, 0));
}

#[test]
fn an_export_is_of_one_state_whatever_is_written_meanwhile() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let long = "x".repeat(2000);
    for index in 0..200 {
        a.create(&format!(r#"{{"id":"n{index:03}","title":"{long}"}}"#));
    }
    a.sync();
    a.run(a.engine.opened("ann").unwrap().db.checkpoint())
        .unwrap();
    let b = phone.open();
    let export = b.run(b.engine.transfer().export("ann", true)).unwrap();
    let first = b.run(export.next()).unwrap().unwrap();
    a.create(r#"{"id":"later","title":"later"}"#);
    // Every row moves into other segments, which are removed.
    for index in 0..120 {
        a.delete(&format!("n{index:03}"));
    }
    a.sync();
    a.run(a.engine.opened("ann").unwrap().db.checkpoint())
        .unwrap();

    let mut rest = Vec::new();
    let end = loop {
        match b.run(export.next()) {
            Ok(Some(lines)) => rest.push(lines),
            end => break end.map(drop),
        }
    };

    // What is gone cannot be exported, and the export says so instead of leaving it out.
    match end {
        Err(error) => assert_eq!(error.code(), Code::StorageBlocked),
        Ok(()) => {
            let file = [first, rest.concat()].concat();
            assert_eq!(file.lines().count(), 202);
            assert!(!file.contains("later"));
        }
    }
}

#[test]
fn soft_deletes_and_local_only_fields_come_back() {
    let world = World::new();
    let (_, a) = full(&world);
    let soft = Write::Delete {
        id: "note".to_owned(),
        soft: true,
    };
    let file = export(&a);
    a.write("notes", soft).unwrap();
    let deleted = export(&a);

    let b = world.device("tablet").with_config(ASK).open();
    import(&b, &file).unwrap();
    assert_eq!(
        b.read_in("notes", "note", false).unwrap()["draft"],
        "only here"
    );
    let c = world.device("third").with_config(ASK).open();
    import(&c, &deleted).unwrap();
    assert_eq!(c.read_in("notes", "note", false), None);
    assert_eq!(
        c.read_in("notes", "note", true),
        a.read_in("notes", "note", true)
    );
}
