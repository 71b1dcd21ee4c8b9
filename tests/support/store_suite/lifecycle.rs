//! Stories of the store suite: wipes, losses and closed stores.

use super::{Stores, add, body, compacted, record, tailed, text};
use datum_sync::log::address::Seq;
use datum_sync::model::error::Code;
use datum_sync::ports::store::{AppendError, Store};

pub async fn a_wipe_leaves_nothing_and_closes(stores: &impl Stores) {
    let store = stores.fresh().await;
    compacted(&store).await;
    store.wipe().await.unwrap();
    assert_eq!(store.load().await.unwrap_err().code(), Code::Closed);
    let again = stores.another(&store).await;
    assert!(again.load().await.unwrap().is_empty());
    assert_eq!(
        again.bodies(&[body(2, 0), body(4, 0)]).await.unwrap(),
        [None, None]
    );
    add(&again, record(1)).await.unwrap();
    assert_eq!(text(&again.load().await.unwrap()), ["record 1"]);
}

pub async fn a_wipe_closes_every_other_instance(stores: &impl Stores) {
    let store = stores.fresh().await;
    let others = [stores.another(&store).await, stores.another(&store).await];
    compacted(&others[0]).await;
    store.wipe().await.unwrap();
    let later = stores.another(&others[0]).await;
    add(&later, record(1)).await.unwrap();
    for other in &others {
        for _ in 0..2 {
            assert!(
                matches!(add(other, record(2)).await, Err(AppendError::Failed(error)) if error.code() == Code::Closed)
            );
            assert_eq!(other.tail(0).await.unwrap_err().code(), Code::Closed);
            assert_eq!(
                other.bodies(&[body(4, 0)]).await.unwrap_err().code(),
                Code::Closed
            );
            assert_eq!(other.load().await.unwrap_err().code(), Code::Closed);
        }
    }
    assert_eq!(text(&later.load().await.unwrap()), ["record 1"]);
    // A later loss is reported as a loss and not as another wipe.
    stores.evict(&later).await;
    assert_eq!(later.tail(0).await.unwrap_err().code(), Code::StorageLost);
}

pub async fn a_loss_is_noticed_by_every_instance(stores: &impl Stores) {
    let store = stores.fresh().await;
    let others = [stores.another(&store).await, stores.another(&store).await];
    compacted(&others[0]).await;
    stores.evict(&store).await;
    // The second instance finds a log that the first has created anew, and must not take it for the
    // old one.
    for (index, other) in others.iter().enumerate() {
        for _ in 0..2 {
            assert!(
                matches!(add(other, record(5)).await, Err(AppendError::Failed(error)) if error.code() == Code::StorageLost)
            );
            assert_eq!(other.tail(4).await.unwrap_err().code(), Code::StorageLost);
            assert_eq!(
                other.bodies(&[body(4, 0)]).await.unwrap_err().code(),
                Code::StorageLost
            );
            assert_eq!(other.free(4).await.unwrap_err().code(), Code::StorageLost);
        }
        let left = other.load().await.unwrap();
        assert_eq!(left.len(), index);
        assert_eq!(other.bodies(&[body(4, 0)]).await.unwrap(), [None]);
        let next = index as Seq + 1;
        add(other, record(next)).await.unwrap();
        assert_eq!(tailed(other, 0).await.unwrap().len(), index + 1);
    }
}

pub async fn a_closed_store_answers_closed(stores: &impl Stores) {
    let store = stores.fresh().await;
    add(&store, record(1)).await.unwrap();
    store.close();
    store.close();
    assert_eq!(store.load().await.unwrap_err().code(), Code::Closed);
    assert_eq!(store.tail(0).await.unwrap_err().code(), Code::Closed);
    assert_eq!(
        store.bodies(&[body(1, 0)]).await.unwrap_err().code(),
        Code::Closed
    );
    assert_eq!(store.wipe().await.unwrap_err().code(), Code::Closed);
    assert!(
        matches!(add(&store, record(2)).await, Err(AppendError::Failed(error)) if error.code() == Code::Closed)
    );
    let again = stores.another(&store).await;
    assert_eq!(text(&again.load().await.unwrap()), ["record 1"]);
}

pub async fn closing_one_instance_leaves_the_other_open(stores: &impl Stores) {
    let here = stores.fresh().await;
    let there = stores.another(&here).await;
    here.close();
    add(&there, record(1)).await.unwrap();
    assert_eq!(text(&there.load().await.unwrap()), ["record 1"]);
}
