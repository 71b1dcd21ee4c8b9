//! Shared spaces and their members: who may do what, and what a stranger is told.

use datum_server::rules::store::{Range, Space, Store, Transaction};
use serde_json::{Value, json};

use super::shared::{
    A, B, C, bare, create, fresh, member, moving, new_space, refused, told, typed, write,
};
use super::{World, op, statuses};

pub async fn creating_a_space_makes_its_author_its_owner<S: Store>(w: World<S>) {
    assert_eq!(w.list("ann").await, json!([]));
    let verdicts = w
        .push("ann", json!([new_space(A), create(Some(A), "t")]))
        .await;
    assert_eq!(statuses(&verdicts), ["applied"; 2]);
    assert_eq!(w.list("ann").await, json!([{ "id": A, "role": "owner" }]));
    let page = w.pull("ann", json!({})).await;
    let rows: Vec<Value> = page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            json!([
                row["space"],
                row["entity"],
                row["id"],
                row["version"],
                row["data"]
            ])
        })
        .collect();
    assert_eq!(
        json!(rows),
        json!([
            [A, "$space", A, 1, { "name": "A space" }],
            [A, "$member", format!("{A}/ann"), 2, { "role": "owner" }],
            [A, "task", "t", 3, { "title": "t" }],
        ])
    );
    // It is a history of its own.
    assert_eq!(w.does("ann", create(None, "t")).await, 1);
    assert_eq!(w.list("bob").await, json!([]));
}

pub async fn a_stranger_is_told_the_same_whether_there_is_such_a_space<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    w.does("ann", create(Some(A), "t")).await;
    w.space(B, &[("bob", "writer")]).await;
    w.end(B).await;
    w.does("bob", create(None, "own")).await;
    // C never was.
    for space in [A, B, C] {
        let in_it = Some(space);
        for asked in [
            create(in_it, "t"),
            create(in_it, "new"),
            write(in_it, "t", "update", Some(3), json!({})),
            write(in_it, "t", "patch", Some(3), json!({})),
            write(in_it, "t", "delete", Some(3), Value::Null),
            write(in_it, "gone", "delete", None, Value::Null),
            member(space, "bob", "create", None, "owner"),
            member(space, "bob", "delete", Some(9), ""),
            member(space, "ann", "update", Some(2), "reader"),
            typed(
                in_it,
                "$space",
                space,
                "update",
                Some(1),
                json!({ "name": "x" }),
            ),
            typed(in_it, "$space", space, "delete", Some(1), Value::Null),
        ] {
            assert_eq!(
                w.one("bob", asked.clone()).await,
                refused("notMember"),
                "{asked}"
            );
        }
        for asked in [moving(in_it, "t", 3, None), moving(None, "own", 1, in_it)] {
            let mut expected = refused("notMember");
            expected["space"] = json!(space);
            assert_eq!(w.one("bob", asked).await, expected);
        }
    }
    // An id that is or was in use cannot be taken.
    for space in [A, B] {
        assert_eq!(w.one("bob", new_space(space)).await, refused("notMember"));
    }
    assert_eq!(w.list("bob").await, json!([]));
}

pub async fn roles_say_who_may_do_what<S: Store>(w: World<S>) {
    w.space(
        A,
        &[("rita", "reader"), ("will", "writer"), ("olga", "owner")],
    )
    .await;
    let t = w.does("ann", create(Some(A), "t")).await;
    for asked in [
        create(Some(A), "new"),
        write(Some(A), "t", "patch", Some(t), json!({ "x": 1 })),
        write(Some(A), "t", "delete", Some(t), Value::Null),
    ] {
        assert_eq!(w.one("rita", asked).await, refused("readOnly"));
    }
    for user in ["rita", "will"] {
        for asked in [
            member(A, "eve", "create", None, "reader"),
            member(A, user, "patch", Some(9), "owner"),
            member(A, "olga", "delete", Some(5), ""),
            typed(
                Some(A),
                "$space",
                A,
                "patch",
                Some(1),
                json!({ "name": "mine" }),
            ),
            typed(Some(A), "$space", A, "delete", Some(1), Value::Null),
        ] {
            assert_eq!(w.one(user, asked).await, refused("notOwner"));
        }
    }
    w.does(
        "will",
        write(Some(A), "t", "patch", Some(t), json!({ "x": 1 })),
    )
    .await;
    w.does(
        "olga",
        typed(
            Some(A),
            "$space",
            A,
            "patch",
            Some(1),
            json!({ "name": "ours" }),
        ),
    )
    .await;
    w.does("olga", member(A, "eve", "create", None, "reader"))
        .await;
    // Everybody may leave.
    for user in ["rita", "will", "olga"] {
        let base = w.version_of(A, "$member", &format!("{A}/{user}")).await;
        w.does(user, member(A, user, "delete", Some(base), ""))
            .await;
        assert_eq!(w.list(user).await, json!([]));
        assert_eq!(
            w.one(user, create(Some(A), "late")).await,
            refused("notMember")
        );
    }
    assert_eq!(w.list("eve").await, json!([{ "id": A, "role": "reader" }]));
}

pub async fn the_last_owner_stays<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    let role = |user: &str, kind: &str, base, role: &str| member(A, user, kind, Some(base), role);
    for asked in [
        role("ann", "delete", 2, ""),
        role("ann", "patch", 2, "reader"),
        role("ann", "update", 2, "writer"),
    ] {
        assert_eq!(w.one("ann", asked).await, refused("lastOwner"));
    }
    assert_eq!(w.list("ann").await, json!([{ "id": A, "role": "owner" }]));
    // In one push: bob becomes an owner, ann leaves, and has nothing to say from then on.
    let asked = json!([
        role("bob", "patch", 3, "owner"),
        role("ann", "delete", 2, ""),
        create(Some(A), "late")
    ]);
    let verdicts = w.push("ann", asked).await;
    assert_eq!(statuses(&verdicts), ["applied", "applied", "rejected"]);
    assert_eq!(bare(verdicts[2].clone()), refused("notMember"));
    let base = w.version_of(A, "$member", &format!("{A}/bob")).await;
    assert_eq!(
        w.one("bob", role("bob", "patch", base, "reader")).await,
        refused("lastOwner")
    );
}

pub async fn an_ended_space_is_gone_for_all_and_its_id_is_never_used_again<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.space(B, &[("bob", "reader")]).await;
    w.does("bob", create(Some(A), "t")).await;
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    w.end(A).await;
    let page = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!(page["spaces"], json!([{ "id": B, "role": "reader" }]));
    assert_eq!((&page["changes"], page.get("starts")), (&json!([]), None));
    w.purge_tombstones().await;
    for user in ["ann", "bob"] {
        assert_eq!(w.one(user, new_space(A)).await, refused("notMember"));
        assert_eq!(
            w.one(user, create(Some(A), "t")).await,
            refused("notMember")
        );
    }
    assert_eq!(w.pull("ann", json!({})).await["digests"].get("task"), None);
    let mut tx = w.service.store.read().await.unwrap();
    let all = Range {
        entities: None,
        after: 0,
        live_until: 0,
    };
    assert_eq!(tx.count(&Space::shared(A), all).await.unwrap(), 0);
    assert!(tx.digests(&[Space::shared(A)]).await.unwrap().is_empty());
    assert!(tx.head(&Space::shared(A)).await.unwrap().seq > 0);
}

/// (an owner who ends a space, and goes on in the same push)
pub async fn a_push_that_ends_a_space_writes_nothing_into_it_afterwards<S: Store>(w: World<S>) {
    let ending = typed(Some(A), "$space", A, "delete", Some(1), Value::Null);
    let asked = json!([
        new_space(A),
        create(Some(A), "t"),
        ending,
        create(Some(A), "u"),
        new_space(A)
    ]);
    let verdicts = w.push("ann", asked.clone()).await;
    assert_eq!(
        statuses(&verdicts),
        ["applied", "applied", "applied", "rejected", "rejected"]
    );
    let again = w.push("ann", asked).await;
    assert_eq!(statuses(&again), statuses(&verdicts));
    let page = w.pull("ann", json!({})).await;
    assert_eq!(
        (&page["changes"], &page["spaces"]),
        (&json!([]), &json!([]))
    );
}

/// (applied, the reply lost, then removed: the resend must not become a letter for what stands)
pub async fn what_was_applied_stays_so_after_the_membership<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    let asked = create(Some(A), "t");
    let version = w.does("bob", asked.clone()).await;
    w.kick(A, "bob").await;
    let base = w.version_of(A, "task", "t").await;
    w.does(
        "ann",
        write(Some(A), "t", "delete", Some(base), Value::Null),
    )
    .await;
    assert_eq!(
        w.one("bob", asked.clone()).await,
        json!({ "status": "applied", "version": version, "replayed": true }),
        "and nothing of what became of the row"
    );
    let mut elsewhere = asked.clone();
    elsewhere["space"] = Value::Null;
    assert_eq!(w.one("bob", elsewhere).await, refused("opIdReused"));
    w.end(A).await;
    assert_eq!(w.one("bob", asked).await["replayed"], true);
}

pub async fn a_refusal_for_a_role_is_not_remembered<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "reader")]).await;
    let asked = create(Some(A), "t");
    assert_eq!(w.one("bob", asked.clone()).await, refused("readOnly"));
    w.set_role(A, "bob", "writer").await;
    assert_eq!(w.one("bob", asked.clone()).await["status"], "applied");
    w.set_role(A, "bob", "reader").await;
    assert_eq!(w.one("bob", asked).await["replayed"], true);
    assert_eq!(
        w.one("bob", create(Some(A), "u")).await,
        refused("readOnly")
    );
}

pub async fn what_waits_for_a_space_is_blocked_if_that_is_refused<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    let making = new_space(A);
    let mut row = create(Some(A), "t");
    row["after"] = json!([making["opId"]]);
    let verdicts = w.push("bob", json!([making, row])).await;
    assert_eq!(bare(verdicts[0].clone()), refused("notMember"));
    assert_eq!(
        bare(verdicts[1].clone()),
        json!({ "status": "retry", "code": "blocked" })
    );
}

pub async fn a_personal_space_is_in_a_namespace_of_its_own<S: Store>(w: World<S>) {
    // A user whose id is a UUID, and a space that has the same.
    w.does(A, create(None, "t")).await;
    assert_eq!(
        w.one("ann", create(Some(A), "t")).await,
        refused("notMember")
    );
    w.space(A, &[]).await;
    w.does("ann", create(Some(A), "t")).await;
    assert_eq!(w.list(A).await, json!([]));
    let page = w.pull(A, json!({})).await;
    assert_eq!(told(&page["changes"]), [super::shared::row("", "t", 1)]);
    assert_eq!(page["digests"]["task"]["count"], 1);
    assert_eq!(w.one(A, create(Some(A), "u")).await, refused("notMember"));
}

pub async fn a_change_of_a_role_is_told_and_a_change_of_the_row_alone_is_not<S: Store>(
    w: World<S>,
) {
    w.space(A, &[("bob", "reader")]).await;
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    let id = format!("{A}/bob");
    let base = w.version_of(A, "$member", &id).await;
    w.does(
        "ann",
        typed(
            Some(A),
            "$member",
            &id,
            "patch",
            Some(base),
            json!({ "colour": "red" }),
        ),
    )
    .await;
    w.does(
        "ann",
        typed(
            Some(A),
            "$space",
            A,
            "patch",
            Some(1),
            json!({ "name": "B" }),
        ),
    )
    .await;
    let page = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!(page.get("spaces"), None);
    assert_eq!(page["changes"].as_array().unwrap().len(), 2);
    w.set_role(A, "bob", "writer").await;
    let page = w.pull("bob", json!({ "cursor": page["cursor"] })).await;
    assert_eq!(page["spaces"], json!([{ "id": A, "role": "writer" }]));
    // The same again is no change.
    let again = op(
        &fresh(),
        "$member",
        &id,
        "create",
        None,
        json!({ "role": "writer", "colour": "red" }),
    );
    let mut again = again;
    again["space"] = json!(A);
    w.does("ann", again).await;
    let page = w.pull("bob", json!({ "cursor": page["cursor"] })).await;
    assert_eq!((page.get("spaces"), &page["changes"]), (None, &json!([])));
}
