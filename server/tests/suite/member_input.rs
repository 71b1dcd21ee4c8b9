//! Spaces and members that cannot be read, and too many of them.

use datum_server::rules::store::Store;
use serde_json::{Value, json};

use super::World;
use super::shared::{A, B, C, create, member, moving, new_space, refused, typed};

pub async fn what_describes_a_space_is_checked<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    let long = "x".repeat(513);
    let name = |name: Value| {
        typed(
            Some(A),
            "$space",
            A,
            "patch",
            Some(1),
            json!({ "name": name }),
        )
    };
    let role = |role: Value| {
        typed(
            Some(A),
            "$member",
            &format!("{A}/bob"),
            "create",
            None,
            json!({ "role": role }),
        )
    };
    let mut no_name = new_space(B);
    no_name["data"] = json!({});
    let cases = [
        (name(json!("")), "invalidData"),
        (name(json!(long)), "invalidData"),
        (name(json!("a\u{0}b")), "invalidData"),
        (name(json!(7)), "invalidData"),
        (name(Value::Null), "invalidData"),
        (no_name, "invalidData"),
        (role(json!("king")), "invalidData"),
        (role(json!("Reader")), "invalidData"),
        (role(Value::Null), "invalidData"),
        (role(json!(1)), "invalidData"),
        // The row of another space, of no user, of one whose id is too long or has a control character.
        (
            typed(
                Some(A),
                "$member",
                &format!("{B}/bob"),
                "create",
                None,
                json!({ "role": "reader" }),
            ),
            "invalidId",
        ),
        (
            typed(
                Some(A),
                "$member",
                A,
                "create",
                None,
                json!({ "role": "reader" }),
            ),
            "invalidId",
        ),
        (member(A, "", "create", None, "reader"), "invalidId"),
        (
            member(A, &"u".repeat(476), "create", None, "reader"),
            "invalidId",
        ),
        (member(A, "a\nb", "create", None, "reader"), "invalidId"),
        (
            typed(Some(A), "$space", B, "create", None, json!({ "name": "x" })),
            "invalidId",
        ),
        (
            typed(Some(A), "$other", "1", "create", None, json!({})),
            "unknownEntity",
        ),
        (
            typed(None, "$other", "1", "create", None, json!({})),
            "unknownEntity",
        ),
        (
            typed(None, "$space", A, "create", None, json!({ "name": "x" })),
            "invalidOperation",
        ),
        (
            typed(
                None,
                "$member",
                &format!("{A}/ann"),
                "delete",
                Some(2),
                Value::Null,
            ),
            "invalidOperation",
        ),
        (create(Some(""), "t"), "invalidId"),
        (create(Some("ann"), "t"), "invalidId"),
        (
            create(Some("aaaaaaaa-0000-4000-8000-00000000\u{0}001"), "t"),
            "invalidId",
        ),
        (create(Some(&A.to_uppercase()), "t"), "invalidId"),
        (create(Some(&A[1..]), "t"), "invalidId"),
        (moving(None, "t", 1, Some("b")), "invalidId"),
    ];
    for (asked, code) in cases {
        assert_eq!(w.one("ann", asked.clone()).await, refused(code), "{asked}");
    }
    let mut odd = create(None, "t");
    odd["space"] = json!(7);
    assert_eq!(w.one("ann", odd).await, refused("invalidOperation"));
    // A user's id may be as long as it can be in a row's, and be one of those that nobody has yet.
    w.does("ann", member(A, &"u".repeat(475), "create", None, "reader"))
        .await;
    assert_eq!(w.list(&"u".repeat(475)).await.as_array().unwrap().len(), 1);
}

pub async fn members_and_spaces_are_limited_with_a_code<S: Store>(mut w: World<S>) {
    assert_eq!(
        (w.service.config.max_members, w.service.config.max_spaces),
        (10_000, 2_000)
    );
    w.service.config.max_members = 3;
    w.service.config.max_spaces = 2;
    w.space(A, &[("bob", "reader"), ("eve", "reader")]).await;
    assert_eq!(
        w.one("ann", member(A, "tim", "create", None, "reader"))
            .await,
        refused("tooManyMembers")
    );
    w.set_role(A, "bob", "writer").await;
    w.kick(A, "eve").await;
    w.invite(A, "tim", "reader").await;
    w.space(B, &[]).await;
    assert_eq!(w.one("ann", new_space(C)).await, refused("tooManySpaces"));
    assert_eq!(w.list("ann").await.as_array().unwrap().len(), 2);
    for space in [
        "dddddddd-0000-4000-8000-00000000000d",
        "eeeeeeee-0000-4000-8000-00000000000e",
    ] {
        w.does("tess", new_space(space)).await;
    }
    assert_eq!(
        w.one("ann", member(B, "tess", "create", None, "reader"))
            .await,
        refused("tooManySpaces")
    );
    w.end(A).await;
    w.does("ann", new_space(C)).await;
}
