//! Pulls that end between any two commits.

use std::rc::Rc;

use crate::support::world::{ONE_TRY, World};
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::model::error::Code;
use serde_json::Value;

/// How many rows the server has behind the cursor of this request.
fn rows_left(world: &World, pull: &[u8]) -> usize {
    let mut pull: Value = serde_json::from_slice(pull).unwrap();
    pull["limit"] = 1_000.into();
    let (status, page) = world.server.handle(
        "ann",
        "POST",
        "/sync/v1/pull",
        pull.to_string().as_bytes(),
        world.clock.now(),
    );
    assert_eq!(status, 200);
    let page: Value = serde_json::from_slice(&page).unwrap();
    page["changes"].as_array().unwrap().len()
}

/// A page is one commit. The tab crashes or is cancelled after every append of a pull. When it is
/// opened again, its next pull starts from a cursor that skips no row that it lacks and requests no
/// row that it has. (The rows alone prove nothing: where they differ from the server's, a cycle
/// pulls all of them again.)
#[test]
fn wherever_a_pull_ends_its_cursor_is_that_of_the_rows_it_has() {
    const ROWS: usize = 9;
    const PAGES: &str = r#"{"overrideBatchSize":3,"direction":"pullOnly"}"#;
    for crashes in [true, false] {
        let mut appends = 0;
        loop {
            let world = World::new();
            let laptop = world.device("laptop").open();
            for n in 0..ROWS {
                laptop.create(&format!(r#"{{"title":"{n}"}}"#));
            }
            laptop.sync();
            let phone = world.device("phone").with_config(ONE_TRY);
            let tab = phone.open();
            let (store, cancel) = (phone.store(), Rc::new(Cancel::default()));
            let (failing, stopped) = (Rc::clone(&store.failing), Rc::clone(&cancel));
            store.after_appends(appends, move || {
                if crashes {
                    failing.borrow_mut().extend([Code::StorageUnavailable; 20]);
                } else {
                    stopped.stop(Stop::Abort);
                }
            });

            let ended = tab.sync_until(PAGES, cancel);

            store.failing.borrow_mut().clear();
            drop(tab);
            let again = phone.open();
            // Forgets the requests so far.
            phone.requests();
            let here = again.titles().len();
            assert!(again.sync_with(PAGES).unwrap().is_success);
            let pull = phone.remote.seen.borrow()[0].body.clone();
            assert_eq!(
                here + rows_left(&world, &pull),
                ROWS,
                "{here} rows after {appends} appends"
            );
            assert_eq!(again.titles().len(), ROWS);
            if ended.is_ok_and(|result| result.is_success) {
                assert!(appends >= 3, "one for each page");
                break;
            }
            appends += 1;
        }
    }
}
