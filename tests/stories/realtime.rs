//! The stream of hints: when it is opened and reopened, and the long polls that replace it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use crate::support::world::{Device, Fault, Tab, World};
use datum_sync::engine::realtime::Realtime;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::ports::remote::Hints;
use futures_util::future::{Either, select};

/// A tab that listens to the stream, and when hints arrived, in milliseconds since the beginning.
struct Listening {
    world: World,
    phone: Device,
    tab: Tab,
    realtime: Rc<Realtime>,
    hints: Rc<RefCell<Vec<u64>>>,
}

impl Listening {
    fn new(scripts: Vec<(Vec<u64>, Result<Hints>)>) -> Self {
        let world = World::new();
        let phone = world.device("phone");
        phone.remote.streams.scripts.replace(scripts.into());
        let tab = phone.open();
        let realtime = Rc::new(Realtime::default());
        realtime.set_user(Some("ann"));
        realtime.set_active(true);
        Self {
            world,
            phone,
            tab,
            realtime,
            hints: Rc::default(),
        }
    }

    /// Listens for `ms` milliseconds.
    fn during<T>(&self, ms: u64, story: impl Future<Output = T>) -> Option<T> {
        let (clock, hints) = (Rc::clone(&self.world.clock), Rc::clone(&self.hints));
        let hint = move |user: &str| {
            assert_eq!(user, "ann");
            hints.borrow_mut().push(clock.now.get());
        };
        self.tab.run(async {
            let listening = pin!(self.tab.engine.realtime().run_with(&self.realtime, &hint));
            let mut told = None;
            let story = async {
                told = Some(story.await);
                self.world.clock.sleep(ms).await;
            };
            match select(listening, pin!(story)).await {
                Either::Left(((), story)) => story.await,
                Either::Right(_) => {}
            }
            told
        })
    }

    fn listen(&self, ms: u64) {
        self.during(ms, async {});
    }

    fn opened(&self) -> u64 {
        self.phone.remote.streams.opened.get()
    }

    fn open(&self) -> u64 {
        self.phone.remote.streams.open.get()
    }

    fn problem(&self) -> Option<Code> {
        self.realtime.problem().map(|error| error.code())
    }
}

const LONG: u64 = 10_000_000;

fn failed(code: Code) -> Result<Hints> {
    Err(Error::new(code, "As the test asked."))
}

#[test]
fn each_event_of_the_stream_is_a_hint_for_its_user() {
    let it = Listening::new(vec![(vec![0, 500, 700, LONG], Ok(Hints::Ended))]);
    it.listen(60_000);
    assert_eq!(*it.hints.borrow(), [0, 500, 1200]);
    assert_eq!((it.opened(), it.problem()), (1, None));
}

#[test]
fn nothing_is_listened_to_unless_it_is_wanted() {
    let it = Listening::new(vec![
        (vec![0, LONG], Ok(Hints::Ended)),
        (vec![0, LONG], Ok(Hints::Ended)),
        (vec![0, LONG], Ok(Hints::Ended)),
    ]);
    it.realtime.set_active(false);
    it.listen(60_000);
    assert_eq!(
        (it.opened(), it.open()),
        (0, 0),
        "a hidden tab has no stream"
    );

    it.realtime.set_active(true);
    let sleep = |ms| it.world.clock.sleep(ms);
    it.during(1000, async {
        sleep(1000).await;
        assert_eq!((it.opened(), it.open()), (1, 1));
        it.realtime.set_active(false);
        sleep(1).await;
        assert_eq!(it.open(), 0, "hiding closes it");
        it.realtime.set_active(true);
        it.realtime.set_active(true);
        sleep(1).await;
        assert_eq!((it.opened(), it.open()), (2, 1));
        it.realtime.set_user(None);
        sleep(1).await;
        assert_eq!(it.open(), 0, "nobody is signed in");
        it.realtime.set_user(Some("ann"));
        sleep(1).await;
        assert_eq!((it.opened(), it.open()), (3, 1));
        it.realtime.close();
    })
    .unwrap();
    assert_eq!(
        (it.open(), it.hints.borrow().len()),
        (0, 3),
        "each connection begins with a hint"
    );
}

#[test]
fn a_stream_that_fails_is_opened_again_less_and_less_often() {
    let it = Listening::new((0..200).map(|_| (vec![], failed(Code::Network))).collect());
    it.listen(3_600_000);
    // The delays double from one second to five minutes, and half of each is thrown: some 30 in an
    // hour.
    assert!((15..60).contains(&it.opened()), "{}", it.opened());
    assert_eq!(it.problem(), Some(Code::Network));
    assert!(
        it.hints.borrow().is_empty(),
        "what was not heard is no hint"
    );
}

#[test]
fn after_a_good_minute_the_delay_is_short_again() {
    let mut scripts: Vec<_> = (0..12).map(|_| (vec![], failed(Code::Network))).collect();
    scripts.push((vec![0, 59_000, 2000], Ok(Hints::Ended)));
    scripts.push((vec![0, LONG], Ok(Hints::Ended)));
    let it = Listening::new(scripts);
    it.listen(3_600_000);
    let hints = it.hints.borrow();
    assert_eq!(hints.len(), 4);
    assert!(hints[3] - hints[2] <= 1000, "{hints:?}");
    assert_eq!(it.problem(), None, "what has passed is no problem");
}

#[test]
fn a_stream_that_ends_at_once_each_time_is_not_opened_in_a_hurry() {
    let it = Listening::new((0..1000).map(|_| (vec![0], Ok(Hints::Ended))).collect());
    it.listen(600_000);
    assert!(it.opened() < 40, "{}", it.opened());
}

#[test]
fn the_wait_that_the_remote_asks_for_is_kept() {
    let busy = Err(Error::new(Code::RateLimited, "Busy.").with_retry_after(Some(120_000)));
    let it = Listening::new(vec![(vec![], busy), (vec![0, LONG], Ok(Hints::Ended))]);
    it.listen(600_000);
    assert!(it.hints.borrow()[0] >= 120_000);
}

#[test]
fn a_refused_token_ends_it_until_somebody_signs_in() {
    for code in [
        Code::Unauthorized,
        Code::Forbidden,
        Code::UserMismatch,
        Code::ClientOutdated,
    ] {
        let it = Listening::new(vec![
            (vec![0], failed(code)),
            (vec![0, LONG], Ok(Hints::Ended)),
        ]);
        it.listen(3_600_000);
        assert_eq!((it.opened(), it.problem()), (1, Some(code)));
        it.realtime.set_active(false);
        it.realtime.set_active(true);
        it.listen(1000);
        assert_eq!(it.opened(), 1, "showing the tab is no sign-in");

        it.realtime.set_user(Some("ann"));
        it.listen(1000);
        assert_eq!(
            (it.opened(), it.hints.borrow().len(), it.problem()),
            (2, 2, None)
        );
    }
}

#[test]
fn a_remote_without_hints_is_left_alone() {
    let it = Listening::new(vec![(vec![], Ok(Hints::Never))]);
    it.listen(3_600_000);
    assert_eq!((it.opened(), it.problem()), (1, Some(Code::InvalidConfig)));
    assert!(it.phone.requests().is_empty());
}

#[test]
fn without_a_stream_a_pull_that_waits_takes_its_place() {
    let it = Listening::new(vec![]);
    it.phone.remote.streams.waits.set(true);
    it.tab.sync();
    it.phone.requests();
    let laptop = it.world.device("laptop");
    let other = laptop.open();
    it.listen(600_000);
    let quiet = it.phone.requests();
    assert!(
        (22..=26).contains(&quiet.len()) && quiet.iter().all(|request| request == "POST /pull"),
        "{quiet:?}"
    );
    assert_eq!(it.hints.borrow().len(), 1, "once, since it listens");

    // It is remembered: a stream that was held back once is not tried again.
    it.phone
        .remote
        .streams
        .scripts
        .borrow_mut()
        .push_back((vec![0, LONG], Ok(Hints::Ended)));
    other.create(r#"{"title":"milk"}"#);
    other.sync();
    it.listen(5000);
    assert_eq!(it.opened(), 1);
    assert!(it.hints.borrow().len() >= 2);
    assert_eq!(
        it.tab.titles(),
        Vec::<String>::new(),
        "what it brought is not applied"
    );
    it.tab.sync();
    assert_eq!(it.tab.titles(), ["milk"]);
    let hints = it.hints.borrow().len();
    it.listen(60_000);
    assert_eq!(
        it.hints.borrow().len(),
        hints,
        "the cycle has moved the cursor"
    );
}

#[test]
fn a_hint_that_nobody_heeds_does_not_become_a_storm() {
    let it = Listening::new(vec![]);
    it.phone.remote.streams.waits.set(true);
    let other = it.world.device("laptop").open();
    other.create(r#"{"title":"milk"}"#);
    other.sync();
    it.listen(600_000);
    let requests = it.phone.requests().len();
    assert!(requests < 40, "{requests}");
}

#[test]
fn a_remote_that_knows_no_waiting_is_given_up() {
    let it = Listening::new(vec![]);
    it.tab.sync();
    it.phone.requests();
    it.listen(3_600_000);
    assert_eq!(it.phone.requests().len(), 3);
    let problem = it.realtime.problem().unwrap();
    assert_eq!(problem.code(), Code::InvalidConfig);
    assert!(problem.message().contains("waitMs"), "{problem}");
}

#[test]
fn what_stood_in_the_way_of_the_pull_too_is_not_remembered() {
    let it = Listening::new(vec![
        (vec![], Ok(Hints::NoStream)),
        (vec![0, LONG], Ok(Hints::Ended)),
    ]);
    it.phone.fault(
        "/pull",
        Fault::Garbled(b"<html>sign in to the hotel</html>".to_vec()),
    );
    it.listen(60_000);
    assert_eq!(
        (it.opened(), it.hints.borrow().len(), it.problem()),
        (2, 1, None),
        "the stream is tried again"
    );
}

#[test]
fn a_cursor_that_is_gone_is_a_hint() {
    let it = Listening::new(vec![]);
    it.phone.remote.streams.waits.set(true);
    it.tab.sync();
    it.listen(30_000);
    let before = it.hints.borrow().len();
    it.phone.fault("/pull", Fault::Status(410, None));
    it.listen(30_000);
    assert_eq!(it.hints.borrow().len(), before + 1);
}
