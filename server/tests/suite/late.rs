//! Operations that arrive late, or twice, or name themselves.

use datum_server::rules::store::Store;
use serde_json::{Value, json};

use super::{World, ids, op, statuses, version};

fn superseding(mut op: Value, old: &[&str]) -> Value {
    op["supersedes"] = json!(old);
    op
}

/// (a push that failed for ever: the store on disk inserted what that in memory overwrote)
pub async fn a_superseded_operation_that_arrives_late_is_answered_each_time<S: Store>(w: World<S>) {
    let made = op("new", "task", "a", "create", None, json!({ "n": 1 }));
    let verdicts = w
        .push("ann", json!([superseding(made, &["old", "gone"])]))
        .await;
    let first = version(&verdicts[0]);
    let equal = op("old", "task", "a", "create", None, json!({ "n": 1 }));
    for replayed in [Value::Null, json!(true)] {
        let verdict = &w.push("ann", json!([equal])).await[0];
        assert_eq!(
            (&verdict["status"], version(verdict), &verdict["replayed"]),
            (&json!("applied"), first, &replayed)
        );
    }
    let delete = op("x", "task", "a", "delete", Some(first), Value::Null);
    let deleted = version(&w.push("ann", json!([delete])).await[0]);
    let late = op("gone", "task", "a", "delete", Some(first), Value::Null);
    for _ in 0..2 {
        let verdict = &w.push("ann", json!([late, late])).await[1];
        assert_eq!(
            (&verdict["status"], version(verdict)),
            (&json!("applied"), deleted)
        );
    }
    let both = json!([
        superseding(
            op("p", "task", "b", "create", None, json!({ "n": 1 })),
            &["q"]
        ),
        op("q", "task", "b", "create", None, json!({ "n": 1 })),
        op("r", "task", "c", "create", None, json!({})),
    ]);
    for _ in 0..2 {
        assert_eq!(statuses(&w.push("ann", both.clone()).await), ["applied"; 3]);
    }
    let (rows, _) = w.pull_all("ann", json!({})).await;
    assert_eq!(ids(&rows), ["b", "c"]);
}

pub async fn an_operation_may_name_ids_twice_and_its_own<S: Store>(w: World<S>) {
    let one = op("1", "task", "a", "create", None, json!({ "n": 1 }));
    let verdicts = w
        .push(
            "ann",
            json!([superseding(one.clone(), &["1", "0", "0", "1"]), one]),
        )
        .await;
    assert_eq!(statuses(&verdicts), ["applied", "applied"]);
    assert_eq!(verdicts[1]["replayed"], true);
    let again = &w.push("ann", json!([one])).await[0];
    assert_eq!((version(again), &again["replayed"]), (1, &json!(true)));
    let zero = op("0", "task", "a", "update", Some(1), json!({ "n": 0 }));
    assert_eq!(w.push("ann", json!([zero])).await[0]["status"], "conflict");
}

/// A delayed duplicate of a create that had conflicted was applied once the row was deleted, beside
/// what the client had made of it meanwhile.
pub async fn an_id_that_conflicted_without_a_base_never_fits_without_one<S: Store>(w: World<S>) {
    let first = w.create("ann", "task", "a").await;
    let create = op("o", "task", "a", "create", None, json!({ "n": 2 }));
    assert_eq!(
        w.push("ann", json!([create])).await[0]["status"],
        "conflict"
    );
    let delete = op("d", "task", "a", "delete", Some(first), Value::Null);
    let deleted = version(&w.push("ann", json!([delete])).await[0]);
    for _ in 0..2 {
        let late = &w.push("ann", json!([create])).await[0];
        assert_eq!(
            (&late["status"], version(late), &late["row"]),
            (&json!("conflict"), deleted, &Value::Null)
        );
    }
    // The same operation, made on what it conflicted with.
    let made_anew = op("o", "task", "a", "create", Some(deleted), json!({ "n": 2 }));
    let verdict = &w.push("ann", json!([made_anew])).await[0];
    assert_eq!(verdict["status"], "applied");
    let replayed = &w.push("ann", json!([create])).await[0];
    assert_eq!(
        (version(replayed), &replayed["replayed"]),
        (version(verdict), &json!(true))
    );
}

/// The reply to a create was lost, another device deleted the row, and a snapshot does not tell of
/// it: a client that is only told `applied` shows the row for ever.
pub async fn what_is_sent_again_after_its_row_was_deleted_says_so<S: Store>(w: World<S>) {
    let create = op("o", "task", "a", "create", None, json!({}));
    let first = &w.push("ann", json!([create])).await[0];
    assert_eq!(first["deleted"], Value::Null);
    assert_eq!(
        w.push("ann", json!([create])).await[0]["deleted"],
        Value::Null
    );
    let delete = op(
        "d",
        "task",
        "a",
        "delete",
        Some(version(first)),
        Value::Null,
    );
    w.push("ann", json!([delete])).await;
    for _ in 0..2 {
        let again = &w.push("ann", json!([create])).await[0];
        assert_eq!(
            (version(again), &again["replayed"], &again["deleted"]),
            (version(first), &json!(true), &json!(true))
        );
        assert_eq!(
            w.push("ann", json!([delete])).await[0]["deleted"],
            Value::Null
        );
        w.purge_tombstones().await;
    }
}
