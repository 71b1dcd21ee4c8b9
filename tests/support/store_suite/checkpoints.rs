//! Stories of the store suite: checkpoints, emptied records and freed keys.

use super::{Stores, add, body, bytes, compacted, record, tailed, text};
use datum_sync::log::address::Superseded;
use datum_sync::ports::store::{Append, AppendError, Store, Tail};

pub async fn a_checkpoint_moves_the_start_of_the_load(stores: &impl Stores) {
    let store = stores.fresh().await;
    compacted(&store).await;
    add(&store, record(5)).await.unwrap();
    assert_eq!(text(&store.load().await.unwrap()), ["record 4", "record 5"]);
    let there = stores.another(&store).await;
    assert_eq!(text(&there.load().await.unwrap()), ["record 4", "record 5"]);
}

pub async fn a_checkpoint_removes_the_bodies_it_supersedes(stores: &impl Stores) {
    let store = stores.fresh().await;
    compacted(&store).await;
    let found = store
        .bodies(&[body(1, 0), body(2, 0), body(4, 0)])
        .await
        .unwrap();
    assert_eq!(found, [None, Some(bytes(b"kept")), Some(bytes(b"merged"))]);
}

pub async fn a_stale_checkpoint_supersedes_nothing(stores: &impl Stores) {
    let store = stores.fresh().await;
    add(
        &store,
        Append {
            bodies: vec![(body(1, 0), bytes(b"body"))],
            ..record(1)
        },
    )
    .await
    .unwrap();
    add(&store, record(2)).await.unwrap();
    let late = Append {
        checkpoint: Some(Superseded {
            records: vec![1],
            bodies: vec![body(1, 0)],
        }),
        ..record(2)
    };
    assert!(matches!(add(&store, late).await, Err(AppendError::Stale)));
    assert_eq!(text(&store.load().await.unwrap()), ["record 1", "record 2"]);
    assert_eq!(
        store.bodies(&[body(1, 0)]).await.unwrap(),
        [Some(bytes(b"body"))]
    );
}

pub async fn a_tail_over_an_emptied_record_says_compacted(stores: &impl Stores) {
    let store = stores.fresh().await;
    let slept = stores.another(&store).await;
    compacted(&store).await;
    for after in 0..3 {
        assert!(
            matches!(slept.tail(after).await.unwrap(), Tail::Compacted),
            "after {after}"
        );
    }
}

pub async fn a_tail_from_before_the_checkpoint_gives_it_where_nothing_was_emptied_after(
    stores: &impl Stores,
) {
    let store = stores.fresh().await;
    compacted(&store).await;
    assert_eq!(text(&tailed(&store, 3).await.unwrap()), ["record 4"]);
}

pub async fn an_emptied_key_still_fences(stores: &impl Stores) {
    let store = stores.fresh().await;
    let slept = stores.another(&store).await;
    compacted(&store).await;
    for seq in 1..=4 {
        let late = Append {
            bodies: vec![(body(seq, 7), bytes(b"late"))],
            ..record(seq)
        };
        assert!(
            matches!(add(&slept, late).await, Err(AppendError::Stale)),
            "place {seq}"
        );
        assert_eq!(store.bodies(&[body(seq, 7)]).await.unwrap(), [None]);
    }
    assert_eq!(text(&store.load().await.unwrap()), ["record 4"]);
}

pub async fn the_last_of_two_checkpoints_counts(stores: &impl Stores) {
    let store = stores.fresh().await;
    compacted(&store).await;
    add(&store, record(5)).await.unwrap();
    let checkpoint = Some(Superseded {
        records: vec![4, 5],
        bodies: vec![body(2, 0), body(4, 0)],
    });
    add(
        &store,
        Append {
            checkpoint,
            ..record(6)
        },
    )
    .await
    .unwrap();
    assert_eq!(text(&store.load().await.unwrap()), ["record 6"]);
    assert_eq!(
        store.bodies(&[body(2, 0), body(4, 0)]).await.unwrap(),
        [None, None]
    );
}

pub async fn freed_keys_are_gone_and_the_rest_is_there(stores: &impl Stores) {
    let store = stores.fresh().await;
    compacted(&store).await;
    add(&store, record(5)).await.unwrap();
    store.free(4).await.unwrap();
    store.free(4).await.unwrap();
    assert_eq!(text(&store.load().await.unwrap()), ["record 4", "record 5"]);
    assert_eq!(
        store.bodies(&[body(2, 0), body(4, 0)]).await.unwrap(),
        [Some(bytes(b"kept")), Some(bytes(b"merged"))]
    );
    // Freed keys fence nobody off, so no other instance may be open.
    add(&store, record(2)).await.unwrap();
    for seq in [4, 5] {
        assert!(matches!(
            add(&store, record(seq)).await,
            Err(AppendError::Stale)
        ));
    }
}

pub async fn a_tail_from_below_freed_keys_says_compacted(stores: &impl Stores) {
    let store = stores.fresh().await;
    let slept = stores.another(&store).await;
    compacted(&store).await;
    store.free(4).await.unwrap();
    for after in 0..3 {
        assert!(
            matches!(slept.tail(after).await.unwrap(), Tail::Compacted),
            "after {after}"
        );
    }
    assert_eq!(text(&tailed(&slept, 3).await.unwrap()), ["record 4"]);
    assert!(tailed(&slept, 4).await.unwrap().is_empty());
}

pub async fn who_rested_must_look_before_appending(stores: &impl Stores) {
    let store = stores.fresh().await;
    add(&store, record(1)).await.unwrap();
    for look in [true, false] {
        store.rest();
        store.rest();
        assert!(matches!(
            add(&store, record(2)).await,
            Err(AppendError::Stale)
        ));
        if look {
            assert!(tailed(&store, 1).await.unwrap().is_empty());
        } else {
            assert_eq!(text(&store.load().await.unwrap()), ["record 1", "record 2"]);
        }
        add(&store, record(if look { 2 } else { 3 })).await.unwrap();
    }
}
