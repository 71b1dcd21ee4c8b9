//! Resolvers that fail, hang or answer late: their conflicts stay parked, and everything else goes on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::support::conflicts::{clash, resolvers};
use crate::support::world::{FnResolver, World, id_of};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::engine::cycle::resolvers::{Resolver, Resolvers};
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::config::Options;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::status::SyncResult;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join};

/// Counts its calls, and never answers for some titles.
struct Hanging(Rc<Cell<u32>>, &'static str);

impl Resolver for Hanging {
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> LocalBoxFuture<'a, Result<Resolution>> {
        self.0.set(self.0.get() + 1);
        if conflict
            .local
            .as_deref()
            .is_some_and(|body| body.contains(self.1))
        {
            Box::pin(std::future::pending())
        } else {
            Box::pin(async { Ok(Resolution::Local) })
        }
    }
}

#[test]
fn a_resolver_that_never_answers_parks_the_conflict_and_the_cycle_goes_on() {
    let world = World::new();
    let laptop = world
        .device("laptop")
        .with_config(r#"{"entities":{"tasks":{}},"resolverTimeout":5000}"#);
    let asked = Rc::new(Cell::new(0));
    let (a, b) = (
        world.device("phone").open(),
        laptop.open_with(resolvers(Hanging(Rc::clone(&asked), "mine"))),
    );
    clash(&a, &b);
    a.create(r#"{"id":"u","title":"one"}"#);
    a.sync();
    b.create(r#"{"title":"two"}"#);
    let began = world.clock.now.get();

    let result = b.sync();

    assert_eq!(world.clock.now.get() - began, 5_000);
    let error = result.error.as_ref().unwrap();
    assert_eq!(
        (result.is_success, error.code, error.entity_id.as_deref()),
        (false, Code::Timeout, Some("t"))
    );
    assert!(
        error.message.contains("`resolverTimeout`"),
        "{}",
        error.message
    );
    assert_eq!(
        (
            result.conflicts_detected,
            result.conflicts_resolved,
            result.pushed_count,
            result.pending_operations
        ),
        (1, 0, 1, 1)
    );
    assert_eq!(b.titles(), ["mine", "one", "two"]);
    let status = b.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.unresolved_conflicts, status.errors[0].code),
        (1, Code::Timeout)
    );
    let metadata = b.run(b.engine.metadata().local("ann")).unwrap().unwrap();
    assert_eq!((metadata.conflict_count, metadata.has_conflicts), (1, true));
    // After two more tries only the app is asked.
    for (times, is_success) in [(2, false), (3, false), (3, true)] {
        let result = b.sync();
        assert_eq!(
            (asked.get(), result.is_success, result.conflicts_detected),
            (times, is_success, 0)
        );
    }
    let again = laptop.open_with(resolvers(Hanging(Rc::clone(&asked), "mine")));
    assert!(again.sync().is_success);
    assert_eq!(
        (asked.get(), again.conflicts().len(), again.pending()),
        (3, 1, 1)
    );
    again
        .run(again.engine.conflicts().resolve(
            again.conflicts()[0]["id"].as_str().unwrap(),
            Resolution::Local,
        ))
        .unwrap();
    assert!(again.sync().is_success && again.pending() == 0);
    assert_eq!(again.explained("t")[0]["resolver"], "resolveConflict");
}

#[test]
fn one_conflict_that_hangs_does_not_keep_the_others_from_being_decided() {
    let world = World::new();
    let asked = Rc::new(Cell::new(0));
    let (a, b) = (
        world.device("phone").open(),
        world
            .device("laptop")
            .open_with(resolvers(Hanging(Rc::clone(&asked), "hangs"))),
    );
    for id in ["a", "b", "c"] {
        a.create(&format!(r#"{{"id":"{id}","title":"milk"}}"#));
    }
    a.sync();
    b.sync();
    for (id, title) in [("a", "hangs"), ("b", "b"), ("c", "c")] {
        a.patch(id, r#"{"title":"theirs"}"#);
        b.patch(id, &format!(r#"{{"title":"{title}"}}"#));
    }
    a.sync();

    let began = world.clock.now.get();
    let result = b.sync();
    assert_eq!(
        (
            result.conflicts_detected,
            result.conflicts_resolved,
            asked.get()
        ),
        (3, 0, 1)
    );
    assert_eq!(world.clock.now.get() - began, 30_000, "not once for each");
    for _ in 0..3 {
        b.sync();
    }
    let waiting = b.conflicts();
    assert_eq!((waiting.len(), &waiting[0]["entityId"]), (1, &"a".into()));
    a.sync();
    assert_eq!(a.titles(), ["b", "c", "theirs"]);
}

#[test]
fn a_resolver_has_never_more_than_half_of_the_cycle() {
    let world = World::new();
    let (a, b) = (
        world.device("phone").open(),
        world
            .device("laptop")
            .open_with(resolvers(Hanging(Rc::default(), "mine"))),
    );
    clash(&a, &b);
    let result = b.sync_with(r#"{"timeout":1000}"#).unwrap();
    assert_eq!(
        (result.error.unwrap().code, result.conflicts_detected),
        (Code::Timeout, 1)
    );
    assert_eq!(
        b.engine.status_hub("ann").unwrap().current().status,
        datum_sync::model::status::SyncState::Completed
    );
}

#[test]
fn a_cycle_is_stopped_while_its_resolver_hangs() {
    let world = World::new();
    let (a, b) = (
        world.device("phone").open(),
        world
            .device("laptop")
            .open_with(resolvers(Hanging(Rc::default(), "mine"))),
    );
    clash(&a, &b);
    let cancel = Rc::new(Cancel::default());
    let began = world.clock.now.get();
    let stop = async {
        b.engine.host().clock.sleep(10).await;
        cancel.stop(Stop::Abort);
    };
    let (result, ()): (Result<SyncResult>, ()) = b.run(join(
        b.engine
            .synchronize("ann", Options::default(), None, Rc::clone(&cancel)),
        stop,
    ));
    assert!(result.unwrap().was_cancelled);
    assert_eq!(world.clock.now.get() - began, 10);
    assert_eq!(
        (b.conflicts().len(), b.pending()),
        (0, 1),
        "nobody has decided anything"
    );
    assert!(
        b.sync_with(r#"{"conflictResolver":"remotePriority"}"#)
            .unwrap()
            .is_success,
        "and the next cycle runs"
    );
}

#[test]
fn a_resolver_that_fails_once_is_asked_again_and_decides() {
    type Answer = fn() -> Result<Resolution>;
    let answers: [Answer; 3] = [
        || Err(Error::new(Code::Conflict, "no idea")),
        || {
            Ok(Resolution::Merged(Rc::from(
                r#"{"id":"another","title":"x"}"#,
            )))
        },
        || Ok(Resolution::Merged(Rc::from("nonsense"))),
    ];
    for failing in answers {
        let world = World::new();
        let laptop = world.device("laptop");
        let (asked, answer) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(failing)));
        let resolver = |asked: Rc<Cell<u32>>, answer: Rc<RefCell<Answer>>| {
            resolvers(FnResolver(move |_: &Conflict| {
                asked.set(asked.get() + 1);
                (answer.borrow())()
            }))
        };
        let (a, b) = (
            world.device("phone").open(),
            laptop.open_with(resolver(Rc::clone(&asked), Rc::clone(&answer))),
        );
        clash(&a, &b);
        let result = b.sync();
        assert_eq!(
            (
                result.is_success,
                result.conflicts_detected,
                result.conflicts_resolved,
                asked.get()
            ),
            (false, 1, 0, 1)
        );
        assert!(matches!(
            result.error.unwrap().code,
            Code::Conflict | Code::InvalidEntity
        ));
        drop(b);
        // Over a reload, and with what both sides have changed meanwhile.
        let b = laptop.open_with(resolver(Rc::clone(&asked), Rc::clone(&answer)));
        a.patch("t", r#"{"title":"later there"}"#);
        a.sync();
        assert!(
            b.sync_with(r#"{"resolveConflicts":false}"#)
                .unwrap()
                .is_success,
            "where nothing is resolved, nobody is asked"
        );
        assert_eq!((asked.get(), b.conflicts().len()), (1, 1));
        *answer.borrow_mut() = || Ok(Resolution::Merged(Rc::from(r#"{"id":"t","title":"both"}"#)));
        let reader = b.engine.events(Filter {
            topics: vec![Topic::ConflictResolved],
            ..Filter::default()
        });
        let result = b.sync();
        assert_eq!(
            (
                result.is_success,
                result.conflicts_detected,
                result.conflicts_resolved,
                asked.get()
            ),
            (true, 0, 1, 2)
        );
        assert!(reader.next().now_or_never().flatten().is_some());
        a.sync();
        assert_eq!(
            (a.titles(), b.conflicts().len(), b.pending()),
            (vec!["both".to_owned()], 0, 0)
        );
    }
}

#[test]
fn a_resolver_that_fails_parks_the_conflict() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let failing = Resolvers {
        fallback: Some(Rc::new(FnResolver(|_: &_| {
            Err(Error::new(Code::Conflict, "no idea"))
        }))),
        ..Resolvers::default()
    };
    let (a, b) = (phone.open(), laptop.open_with(failing));
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    b.sync();
    a.patch(&id, r#"{"title":"theirs"}"#);
    b.patch(&id, r#"{"title":"mine"}"#);
    a.sync();

    let result = b.sync();

    assert!(!result.is_success);
    assert_eq!(
        (
            result.conflicts_detected,
            result.conflicts_resolved,
            result.pending_operations
        ),
        (1, 0, 1)
    );
    assert_eq!(
        b.read(&id).unwrap()["title"],
        "mine",
        "the local write is still what the app sees"
    );
    assert_eq!(
        b.engine
            .status_hub("ann")
            .unwrap()
            .current()
            .unresolved_conflicts,
        1
    );
    assert_eq!(
        b.sync().conflicts_detected,
        0,
        "a parked conflict is not found again"
    );
    assert_eq!(laptop.open().pending(), 1);
}
