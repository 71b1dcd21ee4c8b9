//! The contract of a host as tests, for windows and workers.

use std::cell::RefCell;
use std::rc::Rc;

use datum_sync::ports::host::{Host, TabMessage};
use datum_sync::web::host::WebHost;
use futures_util::FutureExt;
use futures_util::future::{Either, join, select};
use tokio::sync::mpsc;

use super::page::page;

/// Passes every test to the macro that mounts it.
#[macro_export]
macro_rules! host_stories {
    ($mount:ident) => {
        $mount! {
            a_lock_has_one_holder_at_a_time,
            a_lock_that_was_let_go_is_free_for_the_next_who_asks,
            a_lock_asked_for_by_a_future_that_is_dropped_is_not_held,
            two_who_ask_at_once_are_not_both_answered_yes,
            a_stolen_lock_has_one_holder_and_the_other_hears_of_it,
            without_web_locks_the_lock_counts_as_taken,
            a_sleep_ends_and_a_shorter_one_ends_first,
            a_sleep_that_is_dropped_clears_its_timer,
            a_timer_runs_out_while_somebody_only_breathes,
            random_bytes_fill_any_buffer_and_differ,
            the_clocks_agree_with_the_browser,
            what_one_host_announces_another_hears_and_it_does_not,
            who_has_stopped_listening_hears_nothing,
            a_change_of_the_network_is_told,
            the_storage_estimate_has_what_the_browser_tells,
        }
    };
}

pub async fn a_lock_has_one_holder_at_a_time() {
    let (here, there) = (WebHost::new(), WebHost::new());
    let name = unique();
    let held = here.try_lock(&name).await.unwrap();
    assert!(held.is_some());
    assert!(there.try_lock(&name).await.unwrap().is_none());
    assert!(here.try_lock(&name).await.unwrap().is_none());
    assert!(
        there.try_lock(&unique()).await.unwrap().is_some(),
        "another name is another lock"
    );
    drop(held);
    assert!(there.try_lock(&name).await.unwrap().is_some());
}

pub async fn a_lock_that_was_let_go_is_free_for_the_next_who_asks() {
    let host = WebHost::new();
    let name = unique();
    for round in 0..50 {
        // At once, in the same turn: the next cycle must not be skipped for the one that just
        // ended.
        assert!(
            host.try_lock(&name).await.unwrap().is_some(),
            "round {round}"
        );
    }
}

pub async fn a_lock_asked_for_by_a_future_that_is_dropped_is_not_held() {
    let host = WebHost::new();
    let name = unique();
    for _ in 0..10 {
        assert!(host.try_lock(&name).now_or_never().is_none());
    }
    assert!(host.try_lock(&name).await.unwrap().is_some());
}

pub async fn two_who_ask_at_once_are_not_both_answered_yes() {
    let (here, there) = (WebHost::new(), WebHost::new());
    for _ in 0..20 {
        let name = unique();
        let (a, b) = join(here.try_lock(&name), there.try_lock(&name)).await;
        assert_eq!(
            [a.unwrap().is_some(), b.unwrap().is_some()]
                .iter()
                .filter(|taken| **taken)
                .count(),
            1
        );
    }
}

pub async fn a_stolen_lock_has_one_holder_and_the_other_hears_of_it() {
    let (here, there) = (WebHost::new(), WebHost::new());
    let name = unique();
    let robbed = here.try_lock(&name).await.unwrap().unwrap();
    let (tx, mut heard) = mpsc::unbounded_channel();
    here.on_stolen(&robbed, Rc::new(move || tx.send(()).unwrap()));
    let held = there.lock(&name, true).await.unwrap().unwrap();
    heard.recv().await.unwrap();
    drop(robbed);
    assert!(
        here.try_lock(&name).await.unwrap().is_none(),
        "what was stolen is not given back by whom it was stolen from"
    );
    drop(held);
    let again = here.try_lock(&name).await.unwrap().unwrap();
    here.on_stolen(&again, Rc::new(|| panic!("nobody stole it")));
    drop(again);
    assert!(
        there.lock(&name, true).await.unwrap().is_some(),
        "a theft of what is free"
    );
}

pub async fn without_web_locks_the_lock_counts_as_taken() {
    let host = WebHost::new();
    let name = unique();
    let held = host.try_lock(&name).await.unwrap();
    page().replace_locks("missing");
    let again = host.try_lock(&name).now_or_never();
    page().restore_locks();
    assert!(again.unwrap().unwrap().is_some());
    assert!(
        host.try_lock(&name).await.unwrap().is_none(),
        "and with them back, the first holder still has it"
    );
    drop(held);
}

pub async fn a_sleep_ends_and_a_shorter_one_ends_first() {
    let host = WebHost::new();
    host.sleep(0).await;
    // An hour is longer than any test: only the order is looked at.
    match select(Box::pin(host.sleep(3_600_000)), Box::pin(host.sleep(1))).await {
        Either::Left(_) => panic!("the longer sleep ended first"),
        Either::Right(_) => {}
    }
    // Browsers fire a delay beyond 2^31 at once.
    match select(Box::pin(host.sleep(1 << 40)), Box::pin(host.sleep(1))).await {
        Either::Left(_) => panic!("a sleep of years ended first"),
        Either::Right(_) => {}
    }
}

pub async fn a_sleep_that_is_dropped_clears_its_timer() {
    let host = WebHost::new();
    page().count_cleared_timers();
    assert!(host.sleep(5).now_or_never().is_none());
    assert_eq!(page().cleared_timers(), 1);
}

pub async fn a_timer_runs_out_while_somebody_only_breathes() {
    let host = WebHost::new();
    let fired = std::cell::Cell::new(false);
    let timer = async {
        host.sleep(1).await;
        fired.set(true);
    };
    let breathing = async {
        let mut yields = 0_u32;
        while !fired.get() {
            // Yielding by microtasks alone would starve every timer, and this loop would never end.
            assert!(yields < 1_000_000, "no timer ran");
            host.breathe().await;
            yields += 1;
        }
    };
    join(timer, breathing).await;
}

pub async fn random_bytes_fill_any_buffer_and_differ() {
    let host = WebHost::new();
    let (mut a, mut b) = (vec![0_u8; 200_000], vec![0_u8; 200_000]);
    host.random(&mut a);
    host.random(&mut b);
    assert!(a != b);
    for part in a.chunks(1_000) {
        assert!(
            part.iter().any(|byte| *byte != 0),
            "a part was left unfilled"
        );
    }
    host.random(&mut []);
}

pub async fn the_clocks_agree_with_the_browser() {
    let host = WebHost::new();
    let before = js_sys::Date::now() as u64;
    let now = host.now_ms();
    assert!(before <= now && now <= js_sys::Date::now() as u64);
    let start = host.elapsed_ms();
    host.sleep(20).await;
    assert!(host.elapsed_ms() > start);
    assert!(host.is_online());
}

pub async fn what_one_host_announces_another_hears_and_it_does_not() {
    let (here, there) = (WebHost::new(), WebHost::new());
    let (name, other) = (unique(), unique());
    let (tx, mut heard) = mpsc::unbounded_channel();
    let own = Rc::new(RefCell::new(Vec::new()));
    let (kept, elsewhere) = (Rc::clone(&own), tx.clone());
    let _own = here.listen(&name, move |head| kept.borrow_mut().push(head));
    let _heard = there.listen(&name, move |head| tx.send(head).unwrap());
    let _elsewhere = there.listen(&other, move |heard| {
        elsewhere
            .send(TabMessage::Status(format!("elsewhere: {heard:?}")))
            .unwrap()
    });
    here.announce(&name, 7);
    here.post_status(&name, "{\"tab\":1}");
    here.announce(&name, 8);
    assert_eq!(
        (heard.recv().await, heard.recv().await),
        (
            Some(TabMessage::Head(7)),
            Some(TabMessage::Status("{\"tab\":1}".to_owned()))
        )
    );
    assert_eq!(heard.recv().await, Some(TabMessage::Head(8)));
    assert!(own.borrow().is_empty());
}

pub async fn who_has_stopped_listening_hears_nothing() {
    let (here, there) = (WebHost::new(), WebHost::new());
    let name = unique();
    let (tx, mut heard) = mpsc::unbounded_channel();
    let gone = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&gone);
    let stopped = there.listen(&name, move |head| kept.borrow_mut().push(head));
    let _still = there.listen(&name, move |head| tx.send(head).unwrap());
    drop(stopped);
    here.announce(&name, 1);
    assert_eq!(heard.recv().await, Some(TabMessage::Head(1)));
    assert!(gone.borrow().is_empty());
    // Released while somebody listens: the listener keeps its channel.
    there.release(&name);
    here.release(&name);
    here.announce(&name, 2);
    assert_eq!(heard.recv().await, Some(TabMessage::Head(2)));
}

pub async fn a_change_of_the_network_is_told() {
    let host = WebHost::new();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&heard);
    let watch = host.on_network(move |online| kept.borrow_mut().push(online));
    page().fire("offline");
    page().fire("online");
    drop(watch);
    page().fire("offline");
    assert_eq!(*heard.borrow(), [false, true]);
}

pub async fn the_storage_estimate_has_what_the_browser_tells() {
    let told = WebHost::new().storage().await;
    // WebKitGTK has no estimate.
    if page().has_storage_estimate() {
        assert!(told.quota.is_some_and(|quota| quota > 0));
        assert!(told.usage.is_some());
    } else {
        assert_eq!((told.usage, told.quota), (None, None));
    }
}

fn unique() -> String {
    format!("test-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
