//! The contract of a store as tests. The memory store runs them natively, IndexedDB in browsers.

mod checkpoints;
mod lifecycle;

use std::rc::Rc;

use datum_sync::log::address::{BODIES_PER_RECORD, BodyId, Seq, Superseded};
use datum_sync::model::config::storage::Durability;
use datum_sync::ports::store::{Append, AppendError, Records, Store, Tail};
use futures_util::future::join;

pub use checkpoints::*;
pub use lifecycle::*;

/// Opens the stores under test.
pub trait Stores {
    /// The store under test.
    type Store: Store;

    /// Returns a store with an empty log of its own.
    async fn fresh(&self) -> Self::Store;

    /// Returns a second instance on the same log, as another tab opens it.
    async fn another(&self, of: &Self::Store) -> Self::Store;

    /// Removes the log as a browser does when it evicts storage.
    async fn evict(&self, of: &Self::Store);
}

/// Passes every test of the suite to the macro that mounts it, so that no store misses one.
#[macro_export]
macro_rules! store_stories {
    ($mount:ident) => {
        $mount! {
            an_empty_log_has_no_records,
            what_is_appended_is_loaded_in_order,
            a_stale_append_writes_nothing_and_no_body,
            of_two_racing_instances_exactly_one_wins_and_wins_whole,
            of_two_racing_appends_of_one_instance_exactly_one_wins,
            a_tail_gives_what_came_after,
            two_instances_see_each_other,
            a_checkpoint_moves_the_start_of_the_load,
            a_checkpoint_removes_the_bodies_it_supersedes,
            a_stale_checkpoint_supersedes_nothing,
            a_tail_over_an_emptied_record_says_compacted,
            a_tail_from_before_the_checkpoint_gives_it_where_nothing_was_emptied_after,
            an_emptied_key_still_fences,
            the_last_of_two_checkpoints_counts,
            bodies_come_in_the_order_asked_for_and_none_where_missing,
            any_bytes_come_back_as_they_were,
            a_body_of_eight_megabytes_comes_back,
            a_wipe_leaves_nothing_and_closes,
            a_wipe_closes_every_other_instance,
            a_loss_is_noticed_by_every_instance,
            freed_keys_are_gone_and_the_rest_is_there,
            a_tail_from_below_freed_keys_says_compacted,
            who_rested_must_look_before_appending,
            a_closed_store_answers_closed,
            closing_one_instance_leaves_the_other_open,
            both_durabilities_are_kept,
        }
    };
}

pub async fn an_empty_log_has_no_records(stores: &impl Stores) {
    let store = stores.fresh().await;
    assert!(store.load().await.unwrap().is_empty());
    assert!(tailed(&store, 0).await.unwrap().is_empty());
}

pub async fn what_is_appended_is_loaded_in_order(stores: &impl Stores) {
    let store = stores.fresh().await;
    for seq in 1..=12 {
        add(&store, record(seq)).await.unwrap();
    }
    assert_eq!(
        seqs(&store.load().await.unwrap()),
        (1..=12).collect::<Vec<_>>()
    );
    assert_eq!(&*store.load().await.unwrap()[11].1, b"record 12");
}

pub async fn a_stale_append_writes_nothing_and_no_body(stores: &impl Stores) {
    let store = stores.fresh().await;
    add(&store, record(1)).await.unwrap();
    let late = Append {
        record: bytes(b"other"),
        bodies: vec![(body(1, 0), bytes(b"body")), (body(1, 1), bytes(b"body"))],
        ..record(1)
    };
    assert!(matches!(add(&store, late).await, Err(AppendError::Stale)));
    assert_eq!(text(&store.load().await.unwrap()), ["record 1"]);
    assert_eq!(
        store.bodies(&[body(1, 0), body(1, 1)]).await.unwrap(),
        [None, None]
    );
}

pub async fn of_two_racing_instances_exactly_one_wins_and_wins_whole(stores: &impl Stores) {
    let here = stores.fresh().await;
    let there = stores.another(&here).await;
    race(&here, &there, 80).await;
}

pub async fn of_two_racing_appends_of_one_instance_exactly_one_wins(stores: &impl Stores) {
    let store = stores.fresh().await;
    race(&store, &store, 20).await;
}

/// Both append at the same sequence number at once, each with two bodies of its own and one in
/// common.
async fn race<S: Store>(here: &S, there: &S, rounds: u64) {
    for seq in 1..=rounds {
        let entry = |name: &'static [u8], own: u64| Append {
            seq,
            record: bytes(name),
            bodies: vec![
                (body(seq, own), bytes(name)),
                (body(seq, own + 1), bytes(name)),
                (body(seq, 9), bytes(name)),
            ],
            checkpoint: None,
        };
        // Alternates who begins.
        let (a, b) = if seq % 2 == 0 {
            join(add(here, entry(b"here", 1)), add(there, entry(b"there", 3))).await
        } else {
            let (b, a) = join(add(there, entry(b"there", 3)), add(here, entry(b"here", 1))).await;
            (a, b)
        };
        let winner = match (&a, &b) {
            (Ok(()), Err(AppendError::Stale)) => "here",
            (Err(AppendError::Stale), Ok(())) => "there",
            _ => panic!("round {seq}: {a:?}, {b:?}"),
        };
        assert_eq!(
            text(&tailed(here, seq - 1).await.unwrap()),
            [winner],
            "round {seq}"
        );
        let stored = here
            .bodies(&[
                body(seq, 1),
                body(seq, 2),
                body(seq, 3),
                body(seq, 4),
                body(seq, 9),
            ])
            .await
            .unwrap();
        let stored: Vec<bool> = stored
            .iter()
            .map(|found| found.as_deref() == Some(winner.as_bytes()))
            .collect();
        let expected = if winner == "here" {
            [true, true, false, false, true]
        } else {
            [false, false, true, true, true]
        };
        assert_eq!(
            stored, expected,
            "round {seq}: the loser left a body behind"
        );
    }
}

pub async fn a_tail_gives_what_came_after(stores: &impl Stores) {
    let store = stores.fresh().await;
    for seq in 1..=4 {
        add(&store, record(seq)).await.unwrap();
    }
    assert_eq!(
        text(&tailed(&store, 2).await.unwrap()),
        ["record 3", "record 4"]
    );
    assert!(tailed(&store, 4).await.unwrap().is_empty());
    assert!(tailed(&store, u64::MAX).await.unwrap().is_empty());
}

pub async fn two_instances_see_each_other(stores: &impl Stores) {
    let here = stores.fresh().await;
    let there = stores.another(&here).await;
    add(&here, record(1)).await.unwrap();
    assert_eq!(text(&tailed(&there, 0).await.unwrap()), ["record 1"]);
    add(
        &there,
        Append {
            bodies: vec![(body(2, 0), bytes(b"from there"))],
            ..record(2)
        },
    )
    .await
    .unwrap();
    assert!(matches!(
        add(&here, record(2)).await,
        Err(AppendError::Stale)
    ));
    assert_eq!(text(&tailed(&here, 1).await.unwrap()), ["record 2"]);
    assert_eq!(
        here.bodies(&[body(2, 0)]).await.unwrap()[0].as_deref(),
        Some(&b"from there"[..])
    );
}

pub async fn bodies_come_in_the_order_asked_for_and_none_where_missing(stores: &impl Stores) {
    let store = stores.fresh().await;
    let bodies = vec![
        (body(1, 0), bytes(b"first")),
        (body(1, 1), bytes(b"second")),
    ];
    add(
        &store,
        Append {
            bodies,
            ..record(1)
        },
    )
    .await
    .unwrap();
    let found = store
        .bodies(&[body(1, 1), body(7, 0), body(1, 0), body(1, 1)])
        .await
        .unwrap();
    assert_eq!(
        found,
        [
            Some(bytes(b"second")),
            None,
            Some(bytes(b"first")),
            Some(bytes(b"second"))
        ]
    );
    assert!(store.bodies(&[]).await.unwrap().is_empty());
}

pub async fn any_bytes_come_back_as_they_were(stores: &impl Stores) {
    let store = stores.fresh().await;
    let every: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let bodies = vec![
        (body(1, 0), bytes(&every)),
        (body(1, 1), bytes(&[])),
        (body(1, 2), bytes(&[0])),
    ];
    add(
        &store,
        Append {
            seq: 1,
            record: bytes(&every),
            bodies,
            checkpoint: None,
        },
    )
    .await
    .unwrap();
    assert_eq!(*store.load().await.unwrap()[0].1, *every);
    let found = store
        .bodies(&[body(1, 0), body(1, 1), body(1, 2)])
        .await
        .unwrap();
    assert_eq!(
        found,
        [Some(bytes(&every)), Some(bytes(&[])), Some(bytes(&[0]))]
    );
}

pub async fn a_body_of_eight_megabytes_comes_back(stores: &impl Stores) {
    let store = stores.fresh().await;
    let mut state = 1_u32;
    let large: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(8 << 20)
    .collect();
    add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(&large))],
            ..record(1)
        },
    )
    .await
    .unwrap();
    let found = store.bodies(&[body(1, 0)]).await.unwrap();
    // Not `assert_eq`, which would print eight megabytes.
    assert!(found[0].as_deref() == Some(&large[..]));
}

pub async fn both_durabilities_are_kept(stores: &impl Stores) {
    let store = stores.fresh().await;
    store.append(record(1), Durability::Strict).await.unwrap();
    store.append(record(2), Durability::Relaxed).await.unwrap();
    let there = stores.another(&store).await;
    assert_eq!(text(&there.load().await.unwrap()), ["record 1", "record 2"]);
}

/// Returns a record that contains its sequence number.
pub fn record(seq: Seq) -> Append {
    Append {
        seq,
        record: bytes(format!("record {seq}").as_bytes()),
        ..Append::default()
    }
}

pub async fn add(store: &impl Store, append: Append) -> Result<(), AppendError> {
    store.append(append, Durability::Relaxed).await
}

pub async fn tailed(store: &impl Store, after: Seq) -> Option<Records> {
    match store.tail(after).await.unwrap() {
        Tail::Records(records) => Some(records),
        Tail::Compacted => None,
    }
}

pub fn body(seq: Seq, index: u64) -> BodyId {
    seq * BODIES_PER_RECORD + index
}

pub fn bytes(content: &[u8]) -> Rc<[u8]> {
    Rc::from(content)
}

pub fn text(records: &Records) -> Vec<&str> {
    records
        .iter()
        .map(|(_, record)| std::str::from_utf8(record).unwrap())
        .collect()
}

fn seqs(records: &Records) -> Vec<Seq> {
    records.iter().map(|(seq, _)| *seq).collect()
}

/// Writes a log whose fourth record is a checkpoint of the three before; the second record's body
/// survives.
async fn compacted(store: &impl Store) {
    for (seq, content) in [(1, b"gone"), (2, b"kept"), (3, b"gone")] {
        add(
            store,
            Append {
                bodies: vec![(body(seq, 0), bytes(content))],
                ..record(seq)
            },
        )
        .await
        .unwrap();
    }
    let superseded = Superseded {
        records: vec![1, 2, 3],
        bodies: vec![body(1, 0), body(3, 0)],
    };
    add(
        store,
        Append {
            bodies: vec![(body(4, 0), bytes(b"merged"))],
            checkpoint: Some(superseded),
            ..record(4)
        },
    )
    .await
    .unwrap();
}
