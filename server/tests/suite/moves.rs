//! Rows that move from one space to another.

use datum_server::rules::store::Store;
use serde_json::{Value, json};

use super::shared::{A, B, C, create, fresh, member, moving, refused, row, told, typed, write};
use super::{World, statuses};

pub async fn a_move_leaves_a_tombstone_and_takes_the_next_version_there<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "reader")]).await;
    for id in ["x", "y"] {
        w.does("ann", create(None, id)).await;
    }
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    let asked = moving(None, "x", 1, Some(A));
    let applied = json!({ "status": "applied", "version": 4, "leftVersion": 3 });
    assert_eq!(
        w.one("ann", asked.clone()).await,
        applied,
        "3 in the old space, 4 in the new one"
    );
    let page = w.pull("ann", json!({ "cursor": cursor })).await;
    assert_eq!(told(&page["changes"]), [row("", "x", -3), row(A, "x", 4)]);
    assert_eq!(
        page["changes"][0]["movedTo"],
        json!({ "space": A, "version": 4 })
    );
    assert_eq!(page["changes"][0].get("reason"), None);
    assert_eq!(page["changes"][1]["data"], json!({ "title": "x" }));
    assert_eq!(page["digests"]["task"]["count"], 2);
    let mut replayed = applied.clone();
    replayed["replayed"] = json!(true);
    assert_eq!(w.one("ann", asked.clone()).await, replayed);
    // And back.
    let back = w.one("ann", moving(Some(A), "x", 4, None)).await;
    assert_eq!(
        back,
        json!({ "status": "applied", "version": 4, "leftVersion": 5 })
    );
    let page = w.pull("ann", json!({ "cursor": page["cursor"] })).await;
    assert_eq!(told(&page["changes"]), [row("", "x", 4), row(A, "x", -5)]);
    assert_eq!(
        page["changes"][1]["movedTo"],
        json!({ "space": null, "version": 4 })
    );
    // Of what another user's own space has now, a member hears only that it is gone.
    let page = w.pull("bob", json!({})).await;
    assert_eq!(told(&page["changes"]), []);
    replayed["deleted"] = json!(true);
    assert_eq!(
        w.one("ann", asked).await,
        replayed,
        "the row that it wrote is gone from there"
    );
}

pub async fn a_move_needs_a_writer_in_both_spaces_and_says_which_it_is<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.space(B, &[("bob", "reader")]).await;
    let in_a = w.does("bob", create(Some(A), "a")).await;
    let in_b = w.does("ann", create(Some(B), "b")).await;
    w.does("bob", create(None, "own")).await;
    let of = |code: &str, space: &str| {
        let mut verdict = refused(code);
        verdict["space"] = json!(space);
        verdict
    };
    for (asked, expected) in [
        (moving(Some(A), "a", in_a, Some(B)), of("readOnly", B)),
        (moving(Some(B), "b", in_b, Some(A)), of("readOnly", B)),
        (moving(None, "own", 1, Some(B)), of("readOnly", B)),
        (moving(None, "own", 1, Some(C)), of("notMember", C)),
        (moving(Some(C), "own", 1, Some(A)), of("notMember", C)),
    ] {
        assert_eq!(w.one("bob", asked.clone()).await, expected, "{asked}");
    }
    let mut no_base = moving(Some(A), "a", in_a, None);
    no_base["baseVersion"] = Value::Null;
    let mut member_row = moving(Some(A), "a", 3, None);
    (member_row["entity"], member_row["id"]) = (json!("$member"), json!(format!("{A}/bob")));
    for (asked, code) in [
        (no_base, "invalidVersion"),
        (moving(Some(A), "a", in_a, Some(A)), "invalidOperation"),
        (moving(None, "own", 1, None), "invalidOperation"),
        (member_row, "invalidOperation"),
    ] {
        assert_eq!(w.one("bob", asked.clone()).await, refused(code), "{asked}");
    }
    w.does("bob", moving(Some(A), "a", in_a, None)).await;
}

pub async fn a_row_is_space_type_and_id<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    w.space(B, &[]).await;
    // The same id three times, each with its own history.
    assert_eq!(w.does("ann", create(None, "x")).await, 1);
    assert_eq!(w.does("ann", create(Some(A), "x")).await, 3);
    assert_eq!(w.does("ann", create(Some(B), "x")).await, 3);
    let page = w.pull("ann", json!({})).await;
    assert_eq!(
        told(&page["changes"]),
        [row("", "x", 1), row(A, "x", 3), row(B, "x", 3)]
    );
    assert_eq!(page["digests"]["task"]["count"], 3);
    let mut taken = refused("idTaken");
    taken["space"] = json!(B);
    assert_eq!(w.one("ann", moving(Some(A), "x", 3, Some(B))).await, taken);
    assert_eq!(
        w.one("ann", moving(Some(A), "x", 3, None)).await,
        refused("idTaken")
    );
    w.does("ann", write(Some(B), "x", "delete", Some(3), Value::Null))
        .await;
    let moved = w.one("ann", moving(Some(A), "x", 3, Some(B))).await;
    assert_eq!(
        moved,
        json!({ "status": "applied", "version": 5, "leftVersion": 4 })
    );
    let page = w.pull("ann", json!({})).await;
    assert_eq!(told(&page["changes"]), [row("", "x", 1), row(B, "x", 5)]);
}

pub async fn a_write_of_a_moved_row_is_a_conflict_that_tells_where_it_is<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.space(B, &[("bob", "reader")]).await;
    let base = w.does("ann", create(Some(A), "x")).await;
    let left = base + 1;
    w.does("ann", moving(Some(A), "x", base, Some(B))).await;
    let now = w
        .does(
            "ann",
            write(Some(B), "x", "patch", Some(4), json!({ "n": 1 })),
        )
        .await;
    let asked = || {
        [
            write(Some(A), "x", "update", Some(base), json!({})),
            write(Some(A), "x", "update", Some(left), json!({})),
            write(Some(A), "x", "create", None, json!({})),
            write(Some(A), "x", "patch", Some(left), json!({})),
            write(Some(A), "x", "delete", Some(base), Value::Null),
            write(Some(A), "x", "delete", Some(left), Value::Null),
            moving(Some(A), "x", base, None),
            moving(Some(A), "x", left, None),
        ]
    };
    for op in asked() {
        assert_eq!(
            w.one("bob", op.clone()).await,
            json!({ "status": "conflict", "version": now, "row": { "title": "x", "n": 1 }, "space": B, "leftVersion": left }),
            "{op}"
        );
    }
    // To who may not read where it is, it is deleted.
    w.kick(B, "bob").await;
    for (op, status) in asked().into_iter().zip([
        "conflict", "applied", "conflict", "conflict", "applied", "applied", "conflict", "conflict",
    ]) {
        if status == "applied" {
            continue;
        }
        // A revival without a base makes a row of its own.
        if op["kind"] == "create" {
            continue;
        }
        let verdict = w.one("bob", op.clone()).await;
        assert_eq!(
            verdict,
            json!({ "status": "conflict", "version": left, "row": null }),
            "{op}"
        );
    }
    let delete = write(Some(A), "x", "delete", Some(left), Value::Null);
    assert_eq!(
        w.one("bob", delete).await,
        json!({ "status": "applied", "version": left })
    );
    let revived = w
        .does(
            "bob",
            write(Some(A), "x", "create", None, json!({ "own": true })),
        )
        .await;
    let page = w.pull("ann", json!({})).await;
    assert!(told(&page["changes"]).contains(&row(A, "x", i64::try_from(revived).unwrap())));
    assert!(
        told(&page["changes"]).contains(&row(B, "x", i64::try_from(now).unwrap())),
        "twins are two rows"
    );
    // What is deleted then is deleted, although its place was once that of a row that moved.
    let delete = |base| write(Some(A), "x", "delete", Some(base), Value::Null);
    let gone = w.does("bob", delete(revived)).await;
    assert_eq!(w.does("ann", delete(gone)).await, gone);
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    let again = w.does("bob", create(Some(A), "x")).await;
    w.does("bob", delete(again)).await;
    let page = w.pull("ann", json!({ "cursor": cursor })).await;
    assert_eq!(page["changes"][0].get("movedTo"), None);
}

/// (a duplicate of a create that had met a moved row, after that one's deletion)
pub async fn a_create_that_met_a_moved_row_never_fits_without_a_base<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    w.does("ann", create(None, "x")).await;
    w.does("ann", moving(None, "x", 1, Some(A))).await;
    let asked = write(None, "x", "create", None, json!({ "n": 1 }));
    assert_eq!(w.one("ann", asked.clone()).await["status"], "conflict");
    w.does("ann", write(Some(A), "x", "delete", Some(3), Value::Null))
        .await;
    assert_eq!(
        w.one("ann", asked).await,
        json!({ "status": "conflict", "version": 2, "row": null })
    );
    w.does("ann", write(None, "x", "create", None, json!({ "n": 1 })))
        .await;
}

pub async fn a_moved_row_is_followed_through_spaces_that_the_user_may_not_read<S: Store>(
    w: World<S>,
) {
    w.space(A, &[("bob", "writer")]).await;
    w.space(B, &[]).await;
    w.space(C, &[("bob", "reader")]).await;
    let base = w.does("ann", create(Some(A), "x")).await;
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    let moved = async |from: Option<&str>, base: u64, to: Option<&str>| {
        w.does("ann", moving(from, "x", base, to)).await
    };
    let in_b = moved(Some(A), base, Some(B)).await;
    let pulled = async || w.pull("bob", json!({ "cursor": cursor })).await["changes"].clone();
    assert_eq!(told(&pulled().await), [row(A, "x", -5)]);
    assert_eq!(pulled().await[0].get("movedTo"), None, "bob may not read B");
    let own = moved(Some(B), in_b, None).await;
    assert_eq!(
        pulled().await[0].get("movedTo"),
        None,
        "nor what is ann's own"
    );
    let in_c = moved(None, own, Some(C)).await;
    assert_eq!(
        pulled().await[0]["movedTo"],
        json!({ "space": C, "version": in_c })
    );
    assert_eq!(
        w.one("bob", write(Some(A), "x", "delete", Some(5), Value::Null))
            .await["space"],
        C
    );
    // The version is that of now.
    let edited = w
        .does(
            "ann",
            write(Some(C), "x", "patch", Some(in_c), json!({ "n": 1 })),
        )
        .await;
    assert_eq!(pulled().await[0]["movedTo"]["version"], edited);
    // A row that is deleted there is deleted.
    w.does(
        "ann",
        write(Some(C), "x", "delete", Some(edited), Value::Null),
    )
    .await;
    assert_eq!(pulled().await[0].get("movedTo"), None);
}

pub async fn a_moved_row_is_followed_over_eight_moves<S: Store>(w: World<S>) {
    let spaces: Vec<String> = (0..10)
        .map(|n| format!("aaaaaaaa-0000-4000-8000-00000000000{n}"))
        .collect();
    for space in &spaces {
        w.space(space, &[]).await;
    }
    let mut base = w.does("ann", create(Some(&spaces[0]), "x")).await;
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    for (moves, pair) in spaces.windows(2).enumerate() {
        base = w
            .does("ann", moving(Some(&pair[0]), "x", base, Some(&pair[1])))
            .await;
        let page = w.pull("ann", json!({ "cursor": cursor })).await;
        let first = page["changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|change| change["space"] == spaces[0].as_str())
            .unwrap();
        let verdict = w
            .one(
                "ann",
                write(Some(&spaces[0]), "x", "delete", Some(4), Value::Null),
            )
            .await;
        if moves < 8 {
            assert_eq!(
                first["movedTo"],
                json!({ "space": pair[1], "version": base }),
                "{moves}"
            );
            assert_eq!(verdict["space"], json!(pair[1]));
        } else {
            assert_eq!(first.get("movedTo"), None);
            assert_eq!(verdict["status"], "applied");
        }
    }
}

pub async fn several_moves_and_edits_in_one_push_see_each_other<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    let making = super::shared::new_space(B);
    let verdicts = w
        .push(
            "ann",
            json!([
                create(None, "x"),
                moving(None, "x", 1, Some(A)),
                write(Some(A), "x", "patch", Some(3), json!({ "n": 1 })),
                making,
                moving(Some(A), "x", 4, Some(B)),
                write(None, "x", "delete", Some(2), Value::Null),
                member(B, "bob", "create", None, "reader"),
                typed(Some(B), "task", "y", "create", None, json!({})),
            ]),
        )
        .await;
    assert_eq!(
        statuses(&verdicts),
        [
            "applied", "applied", "applied", "applied", "applied", "conflict", "applied", "applied"
        ]
    );
    assert_eq!(
        (&verdicts[5]["space"], &verdicts[5]["row"]),
        (&json!(B), &json!({ "title": "x", "n": 1 }))
    );
    let page = w.pull("bob", json!({})).await;
    assert_eq!(told(&page["changes"]), [row(B, "x", 3), row(B, "y", 5)]);
    let all = w.pull("ann", json!({})).await;
    assert_eq!(all["digests"]["task"]["count"], 2);
    // A delete of a row that moved while nobody looked, sent twice.
    let delete = json!([super::op(
        &fresh(),
        "task",
        "x",
        "delete",
        Some(2),
        Value::Null
    )]);
    for _ in 0..2 {
        assert_eq!(statuses(&w.push("ann", delete.clone()).await), ["conflict"]);
    }
}
