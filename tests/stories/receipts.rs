//! Receipts: how a write ended, for callers in this tab or another, now or after a reload.

use std::pin::Pin;
use std::rc::Rc;

use crate::support::world::{Fault, FnResolver, Tab, World};
use datum_sync::conflict::Resolution;
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::engine::users::LogoutOptions;
use datum_sync::log::receipt::ReceiptOutcome;
use datum_sync::model::error::{Code, Error};
use futures_util::FutureExt;

const DAY: u64 = 24 * 3_600_000;

type Answer = Result<ReceiptOutcome, Code>;
type Waiting = Pin<Box<dyn Future<Output = Answer>>>;

/// Starts to wait as a call does; what is pending now counts.
fn wait(tab: &Tab, id: &str) -> Waiting {
    let (engine, id) = (Rc::clone(&tab.engine), id.to_owned());
    let mut waiting: Waiting = Box::pin(async move {
        engine
            .entities()
            .when_synced("ann", "tasks", &id)
            .await
            .map_err(|error| error.code())
    });
    // An answer that is there at once is kept for the test to look at.
    match (&mut waiting).now_or_never() {
        Some(answer) => Box::pin(async move { answer }),
        None => waiting,
    }
}

fn ask(tab: &Tab, id: &str) -> Answer {
    tab.run(wait(tab, id))
}

fn is_open(waiting: &mut Waiting) -> bool {
    waiting.now_or_never().is_none()
}

fn resolvers(answer: impl Fn() -> Resolution + 'static) -> Resolvers {
    let asked = FnResolver(move |_: &datum_sync::conflict::Conflict| Ok::<_, Error>(answer()));
    Resolvers {
        fallback: Some(Rc::new(asked)),
        ..Resolvers::default()
    }
}

#[test]
fn a_write_is_applied_once_the_server_has_it_and_the_answer_outlives_reloads_and_compaction() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let mut waiting = wait(&a, "t");
    assert!(is_open(&mut waiting));

    a.sync();

    assert_eq!(waiting.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
    assert_eq!(ask(&a, "t"), Ok(ReceiptOutcome::Applied), "asked again");
    assert_eq!(
        ask(&phone.open(), "t"),
        Ok(ReceiptOutcome::Applied),
        "after a reload"
    );
    let opened = a.engine.opened("ann").unwrap();
    a.run(opened.db.checkpoint()).unwrap();
    let reopened = phone.open();
    assert_eq!(
        ask(&reopened, "t"),
        Ok(ReceiptOutcome::Applied),
        "after a compaction"
    );
    let user = reopened.engine.opened("ann").unwrap();
    assert_eq!(user.db.read(|replica| replica.receipts().len()), 1);
}

#[test]
fn it_answers_for_what_was_pending_at_the_call_and_no_later_edit() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.sync();
    a.create(r#"{"id":"t","title":"milk"}"#);
    phone.fault("/push", Fault::Slow(1_000));
    let (engine, user) = (Rc::clone(&a.engine), a.user.clone());
    let mut cycle = Box::pin(async move {
        engine
            .synchronize(&user, Default::default(), None, Rc::default())
            .await
    });
    assert!((&mut cycle).now_or_never().is_none());
    let mut first = wait(&a, "t");
    // What is on its way is not joined: this waits behind it.
    a.patch("t", r#"{"title":"oat milk"}"#);
    let mut second = wait(&a, "t");
    assert!(is_open(&mut first) && is_open(&mut second));
    (0..9).for_each(|_| phone.fault("/push", Fault::Lost));

    let _ = a.run(cycle);

    assert_eq!(a.pending(), 1, "the edit has not gone through");
    assert_eq!(first.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
    assert!(is_open(&mut second));
    phone.remote.faults.borrow_mut().clear();
    world.clock.advance(2_000);
    a.sync();
    assert_eq!(second.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
}

#[test]
fn two_writes_that_are_joined_end_together() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let mut first = wait(&a, "t");
    a.patch("t", r#"{"title":"oat milk"}"#);
    assert!(is_open(&mut first));
    a.sync();
    assert_eq!(first.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
}

#[test]
fn a_merge_is_called_merged_and_so_is_what_the_server_had() {
    for (resolution, outcome) in [
        (
            Resolution::Merged(r#"{"title":"both"}"#.into()),
            ReceiptOutcome::Merged,
        ),
        (Resolution::Remote, ReceiptOutcome::Merged),
        (Resolution::Local, ReceiptOutcome::Applied),
    ] {
        let world = World::new();
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (a, taken) = (phone.open(), resolution.clone());
        let b = laptop.open_with(resolvers(move || taken.clone()));
        a.create(r#"{"id":"t","title":"milk"}"#);
        a.sync();
        b.sync();
        a.patch("t", r#"{"title":"oat"}"#);
        b.patch("t", r#"{"title":"soy"}"#);
        a.sync();
        let mut waiting = wait(&b, "t");
        assert!(is_open(&mut waiting));

        b.sync();

        assert_eq!(waiting.now_or_never(), Some(Ok(outcome)), "{resolution:?}");
        assert_eq!(
            ask(&laptop.open(), "t"),
            Ok(outcome),
            "{resolution:?}, after a reload"
        );
    }
}

#[test]
fn a_parked_conflict_is_waited_for_until_the_app_decides() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let a = phone.open();
    let b = laptop.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"oat"}"#);
    b.patch("t", r#"{"title":"soy"}"#);
    a.sync();
    let mut waiting = wait(&b, "t");
    b.sync_with(r#"{"resolveConflicts":false}"#).unwrap();
    assert!(is_open(&mut waiting));
    let conflicts: Vec<serde_json::Value> =
        serde_json::from_str(&b.run(b.engine.conflicts().list("ann")).unwrap()).unwrap();
    let merged = Resolution::Merged(r#"{"title":"oat and soy"}"#.into());
    b.run(
        b.engine
            .conflicts()
            .resolve(conflicts[0]["id"].as_str().unwrap(), merged),
    )
    .unwrap();
    assert!(is_open(&mut waiting), "decided, and still to be pushed");
    b.sync();
    assert_eq!(waiting.now_or_never(), Some(Ok(ReceiptOutcome::Merged)));
    b.patch("t", r#"{"title":"plain"}"#);
    b.sync();
    assert_eq!(
        ask(&b, "t"),
        Ok(ReceiptOutcome::Applied),
        "the next write is one of its own"
    );
}

#[test]
fn a_refused_write_is_rejected_and_its_retry_is_waited_for() {
    let world = World::new();
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    let phone = world.device("phone");
    let a = phone.open();
    a.create(&format!(r#"{{"id":"t","title":"{}"}}"#, "x".repeat(200)));
    let waiting = wait(&a, "t");
    a.sync();
    assert_eq!(waiting.now_or_never(), Some(Ok(ReceiptOutcome::Rejected)));
    let reopened = phone.open();
    assert_eq!(ask(&reopened, "t"), Ok(ReceiptOutcome::Rejected));
    world.clock.advance(40 * DAY);
    assert_eq!(
        ask(&reopened, "t"),
        Ok(ReceiptOutcome::Rejected),
        "for as long as the dead letter is there"
    );

    let letters: Vec<serde_json::Value> =
        serde_json::from_str(&a.run(a.engine.dead_letters().list("ann")).unwrap()).unwrap();
    a.run(a.engine.dead_letters().retry(
        letters[0]["id"].as_str().unwrap(),
        Some(r#"{"title":"good"}"#.to_owned()),
    ))
    .unwrap();
    let mut again = wait(&a, "t");
    assert!(is_open(&mut again));
    a.sync();
    assert_eq!(again.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
}

#[test]
fn another_tab_answers_for_what_this_one_has_written_and_the_other_way_round() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    // The tab does not know of it yet, and reads the log.
    let mut there = Box::pin(b.engine.entities().when_synced("ann", "tasks", "t"));
    assert!(
        b.run(async { futures_util::poll!(&mut there) })
            .is_pending()
    );
    let mut here = wait(&a, "t");
    b.sync();
    assert_eq!(b.run(there).unwrap(), ReceiptOutcome::Applied);
    assert!(is_open(&mut here), "it has not heard of the verdict yet");
    let head = b
        .engine
        .opened("ann")
        .unwrap()
        .db
        .read(datum_sync::state::replica::Replica::head);
    a.run(a.engine.on_head("ann", head)).unwrap();
    assert_eq!(here.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
}

#[test]
fn a_tab_that_slept_through_a_compaction_hears_of_the_verdict() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    let here = wait(&a, "t");
    b.sync();
    b.run(b.engine.opened("ann").unwrap().db.checkpoint())
        .unwrap();
    a.run(a.engine.on_head("ann", u64::MAX)).unwrap();
    assert_eq!(here.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
}

#[test]
fn what_was_pulled_is_applied_and_what_nobody_knows_is_not_found() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    b.sync();
    assert_eq!(ask(&b, "t"), Ok(ReceiptOutcome::Applied));
    assert_eq!(ask(&b, "nobody"), Err(Code::NotFound));
    assert_eq!(
        b.run(b.engine.entities().when_synced("ann", "unknown", "t"))
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
}

#[test]
fn receipts_are_kept_for_thirty_days() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"old","title":"milk"}"#);
    a.sync();
    world.clock.advance(31 * DAY);
    a.create(r#"{"id":"new","title":"milk"}"#);
    a.sync();
    let user = a.engine.opened("ann").unwrap();
    a.run(user.db.checkpoint()).unwrap();
    assert_eq!(user.db.read(|replica| replica.receipts().len()), 1);
    assert_eq!(
        ask(&a, "old"),
        Ok(ReceiptOutcome::Applied),
        "it is a row of the server's like any other"
    );
}

#[test]
fn whoever_waits_hears_that_the_instance_or_the_database_is_closed() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    let waiting = wait(&a, "t");
    let refused = a.run(a.engine.users().logout(
        "ann",
        LogoutOptions {
            wipe: true,
            flush: 0,
            force: false,
        },
    ));
    assert_eq!(refused.unwrap_err().code(), Code::UnsyncedData);
    let mut waiting = waiting;
    assert!(is_open(&mut waiting), "the user stays");
    a.run(a.engine.users().clear_data("ann")).unwrap();
    assert_eq!(waiting.now_or_never(), Some(Err(Code::Closed)));

    let b = phone.open();
    b.create(r#"{"id":"t","title":"milk"}"#);
    let waiting = wait(&b, "t");
    b.run(b.engine.close());
    assert_eq!(waiting.now_or_never(), Some(Err(Code::Closed)));
    assert_eq!(ask(&b, "t"), Err(Code::Closed));
}

#[test]
fn receipts_cost_no_transaction_and_no_request() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    a.sync();
    a.patch("t", r#"{"title":"oat milk"}"#);
    let waiting = wait(&a, "t");
    phone.requests();
    let before = phone.counts();
    a.sync();
    assert_eq!(waiting.now_or_never(), Some(Ok(ReceiptOutcome::Applied)));
    assert_eq!(
        phone.requests(),
        ["POST /push", "POST /pull", "PUT /metadata"]
    );
    // The verdict, the page, the end.
    let after = phone.counts();
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.records - before.records
        ),
        (3, 3)
    );
    assert_eq!(ask(&a, "t"), Ok(ReceiptOutcome::Applied));
    assert_eq!(
        phone.counts().transactions,
        after.transactions,
        "an answer writes nothing"
    );
}
