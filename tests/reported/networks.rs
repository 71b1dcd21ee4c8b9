//! Reported about networks: what stands between an app and its server.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::auto_sync::{AUTO, MINUTE, create, leader_tab, wait, with_auto_sync};
use crate::support::world::{Fault, World};
use datum_sync::model::error::{Code, Error};

/// Users of Supabase reported: after a network with a sign-in page, nothing is synced for a quarter
/// of an hour. supabase/supabase#15995
#[test]
fn a_network_with_a_sign_in_page_is_probed_within_a_minute() {
    for status in [200, 401, 403, 409, 511] {
        let world = World::new();
        let phone = world.device("phone").with_config(AUTO);
        let a = leader_tab(&phone);
        let behind = Rc::new(Cell::new(true));
        let (portal, faults) = (Rc::clone(&behind), Rc::clone(&phone.remote.faults));
        *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
            if portal.get() {
                let path = if request.path == "/push" {
                    "/push"
                } else {
                    "/pull"
                };
                faults.borrow_mut().push_back((path, Fault::Page(status)));
            }
        }));
        with_auto_sync(&a, async {
            create(&a.engine, "ann", "milk").await;
            wait(&a, 30 * MINUTE).await;
            let error = a.engine.status_hub("ann").unwrap().current().errors[0].clone();
            assert_eq!((error.code, error.status), (Code::Network, Some(status)));
            assert!(error.retryable && error.message.contains("\"Blocked\""));
            let probes = phone.requests().len();
            assert!(
                (30..400).contains(&probes),
                "{status}: {probes} in 30 minutes"
            );
            behind.set(false);
            wait(&a, MINUTE + 2_000).await;
            assert_eq!(
                a.engine.pending().count("ann").await.unwrap(),
                0,
                "{status}"
            );
        });
    }
}

/// Users of BookStack reported: a firewall that does not like one text answers 403 to it.
/// BookStackApp/BookStack#555
#[test]
fn a_firewall_that_refuses_one_text_stops_nothing_else_and_nobody_signs_in_again() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let a = leader_tab(&phone);
    let faults = Rc::clone(&phone.remote.faults);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/push" && String::from_utf8_lossy(&request.body).contains("<script>") {
            faults.borrow_mut().push_back(("/push", Fault::Page(403)));
        }
    }));
    with_auto_sync(&a, async {
        for title in ["a", "<script>", "b", "c"] {
            create(&a.engine, "ann", title).await;
        }
        wait(&a, MINUTE).await;
        let waiting = a.engine.pending().list("ann").await.unwrap();
        assert_eq!(waiting.len(), 1);
        let error = waiting[0].last_error.as_ref().unwrap();
        assert_eq!((error.code, error.status), (Code::Network, Some(403)));
        assert!(error.message.contains("\"Blocked\""), "{}", error.message);
        let laptop = world.device("laptop").open();
        create(&laptop.engine, "ann", "theirs").await;
        let options = Default::default();
        let synced = laptop
            .engine
            .synchronize("ann", options, None, Rc::default());
        assert!(synced.await.unwrap().is_success);
        wait(&a, 20 * MINUTE).await;
        let all = a.engine.entities().read_all("ann", "tasks", false).await;
        assert!(all.unwrap().contains("theirs"));
    });
}

/// Users of Supabase reported: one row that breaks a unique key stops everything.
/// supabase/supabase-js#2049
#[test]
fn what_an_adapter_refuses_is_found_and_becomes_a_dead_letter() {
    let refused = |status| {
        Error::new(Code::Rejected, "`remote.push` was refused.")
            .with_status(status)
            .caused_by("duplicate key")
    };
    for (status, error) in [
        (409, refused(409)),
        (403, refused(403)),
        (0, Error::new(Code::Network, "`remote.push` failed.")),
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        for n in 0..20 {
            a.create(&format!(r#"{{"id":"t{n}","title":"task {n}."}}"#));
        }
        let faults = Rc::clone(&phone.remote.faults);
        *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
            if request.path == "/push" && String::from_utf8_lossy(&request.body).contains("task 7.")
            {
                faults
                    .borrow_mut()
                    .push_back(("/push", Fault::Fails(error.clone())));
            }
        }));
        let result = a.sync();
        assert_eq!(result.pushed_count, 19, "{status}");
        assert_eq!(result.error.unwrap().entity_id.as_deref(), Some("t7"));
        if status == 409 {
            let letters = a.dead_letters();
            assert_eq!((letters.len(), a.pending()), (1, 0));
            assert!(format!("{letters:?}").contains("duplicate key"));
        } else {
            assert_eq!((a.dead_letters().len(), a.pending()), (0, 1));
        }
    }
}
