//! Writes of several calls that share one commit.

use crate::support::world::World;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;

#[test]
fn concurrent_creates_share_transactions() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.counts().transactions;

    let creates = (0..1000).map(|n| {
        a.engine.entities().write(
            "ann",
            "tasks",
            vec![Write::Create {
                draft: format!(r#"{{"title":"{n}"}}"#),
            }],
        )
    });
    let all = a.run(futures_util::future::join_all(creates));

    assert!(all.iter().all(Result::is_ok));
    assert!(phone.counts().transactions - before <= 3);
    assert_eq!(a.titles().len(), 1000);
}

#[test]
fn a_call_that_fails_takes_back_only_its_own_writes_from_a_shared_commit() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"x","n":0}"#);
    let patch = |n: u32| Write::Patch {
        id: "x".to_owned(),
        changes: format!(r#"{{"n":{n}}}"#),
    };
    let create = |id: &str| Write::Create {
        draft: format!(r#"{{"id":"{id}","n":9}}"#),
    };
    let write = |writes| a.engine.entities().write("ann", "tasks", writes);
    let before = phone.counts().transactions;

    let (_, good, bad, last) = a.run(futures_util::future::join4(
        write(vec![create("first")]),
        write(vec![patch(1), create("y")]),
        write(vec![
            patch(2),
            Write::Delete {
                id: "y".to_owned(),
                soft: false,
            },
            create("z"),
            create("first"),
        ]),
        write(vec![create("z")]),
    ));

    assert!(good.is_ok() && last.is_ok(), "{good:?} {last:?}");
    assert_eq!(bad.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(
        phone.counts().transactions - before,
        1,
        "they did share one"
    );
    assert_eq!(a.read("x").unwrap()["n"], 1);
    assert!(a.read("y").is_some() && a.read("z").is_some());
    assert!(a.sync().is_success);
    assert_eq!(world.server.rows("ann").len(), 4);
}

#[test]
fn a_thousand_calls_at_once_are_one_commit_and_are_made_known_once() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.counts().transactions;

    let create = |n: u32| {
        a.engine.entities().write(
            "ann",
            "tasks",
            vec![Write::Create {
                draft: format!(r#"{{"id":"{n:03}"}}"#),
            }],
        )
    };
    let written = a.run(futures_util::future::join_all((0..1000).map(create)));

    assert!(written.iter().all(Result::is_ok));
    assert_eq!(phone.counts().transactions - before, 1);
    assert_eq!(a.pending(), 1000);
}

#[test]
fn a_call_that_is_given_up_while_it_leads_takes_no_other_along() {
    // The second call is dropped before and right after it becomes the leader.
    for order in [["second", "first"], ["first", "second"]] {
        let world = World::new();
        let a = world.device("phone").open();
        let write = |id: &str| {
            Box::pin(a.engine.entities().write(
                "ann",
                "tasks",
                vec![Write::Create {
                    draft: format!(r#"{{"id":"{id}"}}"#),
                }],
            ))
        };
        let mut calls = ["first", "second", "last"].map(|id| (id, write(id)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for (_, call) in &mut calls {
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        let mut left = Vec::from(calls);

        for given_up in order {
            left.retain(|(id, _)| *id != given_up);
        }

        assert!(a.run(left.remove(0).1).is_ok());
        assert!(
            a.read("last").is_some() && a.read("first").is_none() && a.read("second").is_none()
        );
    }
}
