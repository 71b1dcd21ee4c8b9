//! Imports that meet a cycle.

use std::cell::Cell;

use super::transfer_support::export;
use crate::support::world::{Fault, World};
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::engine::transfer::ImportOptions;
use datum_sync::model::error::Code;
use datum_sync::ports::host::Host;

#[test]
fn an_import_waits_for_the_cycle_and_the_cycle_after_it_settles_both() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"n","title":"one"}"#);
    a.sync();
    a.patch("n", r#"{"title":"two"}"#);
    let file = export(&a);
    let tablet = world.device("tablet");
    let b = tablet.open();
    tablet.fault("/pull", Fault::Late(500));

    let options = ImportOptions::default();
    let mut reader = datum_sync::transfer::read::FileReader::default();
    reader.push(file.as_bytes()).unwrap();
    let file = reader.finish().unwrap();
    let cycle = b
        .engine
        .synchronize("ann", Default::default(), None, Default::default());
    let (cycle, import) = b.run(async {
        let cancel = Cancel::default();
        let import = b.engine.transfer().import(&file, &options, &cancel);
        futures_util::future::join(cycle, import).await
    });

    assert!(cycle.unwrap().is_success);
    assert_eq!(import.unwrap().pending_operations, 1);
    assert!(b.sync().is_success);
    assert_eq!(b.titles(), ["two"]);
    assert_eq!(world.server.rows("ann").len(), 1);
}

#[test]
fn an_import_that_waits_for_a_cycle_is_stopped_at_once() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"n","title":"one"}"#);
    a.sync();
    let file = export(&a);
    let tablet = world.device("tablet");
    let b = tablet.open();
    tablet.fault("/pull", Fault::Late(500));

    let mut reader = datum_sync::transfer::read::FileReader::default();
    reader.push(file.as_bytes()).unwrap();
    let (file, options) = (reader.finish().unwrap(), ImportOptions::default());
    let (engine, cancel) = (&b.engine, Cancel::default());
    let cycle = engine.synchronize("ann", Default::default(), None, Default::default());
    let stopped_at = Cell::new(None);
    let import = async {
        let result = engine.transfer().import(&file, &options, &cancel).await;
        stopped_at.set(Some(engine.host().elapsed_ms()));
        result
    };
    let stop = async {
        engine.host().sleep(100).await;
        cancel.stop(Stop::Abort);
        engine.host().elapsed_ms()
    };
    let (cycle, import, asked_at) =
        b.run(async { futures_util::future::join3(cycle, import, stop).await });

    assert!(cycle.unwrap().is_success, "the cycle goes on");
    assert_eq!(import.unwrap_err().code(), Code::Cancelled);
    assert_eq!(stopped_at.get(), Some(asked_at), "not with the cycle");
    assert_eq!(b.pending(), 0);
}
