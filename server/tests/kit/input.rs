//! What arrives that should not: tokens, bodies, cursors, and requests while the database is busy.

use serde_json::{Value, json};

use super::app::{ANN, APP, BOB, create, id};
use super::postgrest::SECRET;
use super::project::{op, signed, token};
use crate::project;

const PULL: &str = r#"{"clientId":"d","cursor":null,"limit":10}"#;

#[test]
fn a_request_without_the_token_of_a_user_is_401() {
    let project = project!(APP);
    let role = |claims: Value| signed(SECRET, &claims);
    for (name, token) in [
        ("none", String::new()),
        (
            "anon",
            role(json!({ "role": "anon", "exp": 4_000_000_000_u64 })),
        ),
        (
            "no user",
            role(json!({ "role": "authenticated", "exp": 4_000_000_000_u64 })),
        ),
        ("expired", token(ANN, "authenticated", -60)),
        (
            "another project's",
            signed(
                b"another secret that is not of this project",
                &json!({ "sub": ANN, "role": "authenticated" }),
            ),
        ),
    ] {
        for (path, body) in [
            ("pull", PULL),
            ("push", r#"{"clientId":"d","operations":[]}"#),
            ("metadata", r#"{"do":"get"}"#),
        ] {
            let (status, reply) = project.with_token(&token, path, body);
            assert_eq!(status, 401, "{name} {path}: {reply}");
        }
    }
}

#[test]
fn a_request_that_breaks_the_protocol_has_its_code() {
    let project = project!(APP);
    let op_of = |id: &str| {
        format!(
            r#"{{"opId":"x","entity":"task","id":"{id}","kind":"create","baseVersion":null,"data":{{"title":"t"}}}}"#
        )
    };
    for (path, body, status, code) in [
        (
            "pull",
            r#"{"cursor":null,"limit":10}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":null,"limit":0}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":7,"limit":1}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "pull",
            r#"{"clientId":"d\u0000","cursor":null,"limit":1}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":"x'; drop table public.tasks; --","limit":1}"#.to_owned(),
            410,
            "cursorExpired",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":"k1.a.b.c.d.e.f.g.h","limit":1}"#.to_owned(),
            410,
            "cursorExpired",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":null,"limit":1,"entities":["tasks; --"]}"#.to_owned(),
            400,
            "unknownEntity",
        ),
        (
            "pull",
            r#"{"clientId":"d","cursor":null,"limit":1,"scope":{"near":1}}"#.to_owned(),
            400,
            "unsupportedScope",
        ),
        (
            "pull",
            format!(r#"{{"clientId":"d","userId":"{BOB}","cursor":null,"limit":1}}"#),
            409,
            "userMismatch",
        ),
        (
            "push",
            format!(r#"{{"clientId":"d","userId":"{BOB}","operations":[]}}"#),
            409,
            "userMismatch",
        ),
        (
            "push",
            r#"{"clientId":"d","operations":{}}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "push",
            r#"{"clientId":"d","operations":[{}]}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "push",
            r#"{"clientId":"d","operations":[7]}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "push",
            format!(
                r#"{{"clientId":"d","operations":[{}]}}"#,
                vec![op_of("a"); 10_001].join(",")
            ),
            413,
            "tooManyOperations",
        ),
        (
            "metadata",
            r#"{"do":"put","record":{"deviceId":"d","lastSyncTime":"yesterday"}}"#.to_owned(),
            400,
            "badRequest",
        ),
        (
            "metadata",
            r#"{"do":"put","record":{"deviceId":""}}"#.to_owned(),
            400,
            "badRequest",
        ),
        ("metadata", r#"{"do":"drop"}"#.to_owned(), 400, "badRequest"),
        (
            "metadata",
            format!(
                r#"{{"do":"put","record":{{"deviceId":"d","errorMessage":"{}"}}}}"#,
                "x".repeat(70_000)
            ),
            413,
            "metadataTooLarge",
        ),
        (
            "metadata",
            format!(r#"{{"do":"get","userId":"{BOB}"}}"#),
            409,
            "userMismatch",
        ),
    ] {
        let (got, reply) = project.call(ANN, path, &body);
        let shown = &body[..body.len().min(120)];
        assert_eq!(
            (got, reply["code"].as_str()),
            (status, Some(code)),
            "{path} {shown}: {reply}"
        );
        assert!(reply["message"].as_str().unwrap().len() > 10, "{reply}");
    }
    // Nothing of a push that fails as a whole is stored.
    let body = format!(
        r#"{{"clientId":"d","operations":[{},{{}}]}}"#,
        op_of(&id(1))
    );
    assert_eq!(project.call(ANN, "push", &body).0, 400);
    assert_eq!(project.value("select count(*) from public.tasks"), 0);
}

#[test]
fn one_bad_text_fails_its_operation_alone() {
    let project = project!("select datum.documents(true)");
    let body = r#"{"clientId":"d","operations":[
        {"opId":"1","entity":"note","id":"a","kind":"create","baseVersion":null,"data":{"t":"x\u0000\u0000y"}},
        {"opId":"2","entity":"note","id":"b","kind":"create","baseVersion":null,"data":{"t":"back\\u0000slash"}},
        {"opId":"3","entity":"note","id":"c\u0000","kind":"create","baseVersion":null,"data":{}},
        {"opId":"4","entity":"note","id":"d","kind":"create","baseVersion":null,"data":{"n":1e999999}},
        {"opId":"5","entity":"note","id":"e","kind":"create","baseVersion":null,"data":{"a":1,"a":2}}]}"#;
    let (status, reply) = project.call("ann", "push", body);
    assert_eq!(status, 200, "{reply}");
    let codes: Vec<&str> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| verdict["code"].as_str().unwrap_or("applied"))
        .collect();
    assert_eq!(
        codes,
        [
            "invalidData",
            "applied",
            "invalidData",
            "invalidData",
            "applied"
        ],
        "{reply}"
    );
    assert_eq!(
        project.rows("select data from datum.document order by id"),
        json!([{ "data": { "t": "back\\u0000slash" } }, { "data": { "a": 2 } }])
    );
    let large = json!({ "t": "x".repeat(1_048_576) });
    assert_eq!(
        project.one("ann", op("6", "note", "f", "create", Value::Null, large))["code"],
        "tooLarge"
    );
}

#[test]
fn an_answer_has_at_most_four_megabytes_and_at_least_a_row() {
    let project = project!("select datum.documents(true)");
    for n in 0..12 {
        project.one(
            "ann",
            op(
                &n.to_string(),
                "note",
                &format!("n{n:02}"),
                "create",
                Value::Null,
                json!({ "t": "x".repeat(900_000) }),
            ),
        );
    }
    let page = project.pull("ann", json!({}));
    assert_eq!(
        (
            page["changes"].as_array().unwrap().len(),
            &page["remaining"]
        ),
        (4, &json!(8))
    );
    assert_eq!(project.pull_all("ann", Value::Null, 1_000).0.len(), 12);
}

#[test]
fn the_same_batch_twice_at_once_is_applied_once() {
    let project = project!(APP);
    for round in 0..10 {
        let operations: Vec<Value> = (0..5)
            .map(|n| create(&format!("{round}-{n}"), round * 10 + n, "t"))
            .collect();
        let both = std::thread::scope(|scope| {
            let send = || project.push(ANN, json!(operations));
            let other = scope.spawn(send);
            [send(), other.join().unwrap()]
        });
        let versions = |verdicts: &[Value]| -> Vec<Value> {
            verdicts
                .iter()
                .map(|verdict| verdict["version"].clone())
                .collect()
        };
        assert_eq!(versions(&both[0]), versions(&both[1]));
        assert_eq!(
            both.iter()
                .flatten()
                .filter(|verdict| verdict["replayed"] == true)
                .count(),
            5
        );
    }
    assert_eq!(project.value("select count(*) from public.tasks"), 50);
}

#[test]
fn a_busy_database_is_503_or_a_retry_and_no_endless_one() {
    let mut project = project!(APP);
    project.one(ANN, create("1", 1, "t"));
    super::project::run_at(
        &project.superuser,
        "do $$ begin execute format('alter role authenticator in database %I set lock_timeout = ''300ms''', current_database()); end $$",
    );
    project.api.kill();
    project.api.launch();
    let version = project.value("select version from datum.row");
    super::project::block(async {
        use sqlx::Connection as _;
        let mut sql = sqlx::PgConnection::connect(&project.owner).await.unwrap();
        sqlx::raw_sql("begin; update public.tasks set title = 'held'")
            .execute(&mut sql)
            .await
            .unwrap();
        let patch = op(
            "2",
            "task",
            &id(1),
            "patch",
            version.clone(),
            json!({ "note": "n" }),
        );
        let verdict = loop {
            let (status, reply) = project.call(
                ANN,
                "push",
                &json!({ "clientId": "d", "operations": [patch] }).to_string(),
            );
            if status != 503 || reply["code"] == "busy" {
                break reply["results"][0].clone();
            }
        };
        assert_eq!(
            (&verdict["status"], &verdict["code"]),
            (&json!("retry"), &json!("busy")),
            "{verdict}"
        );
        sqlx::raw_sql("rollback").execute(&mut sql).await.unwrap();
    });
    assert_eq!(
        project.one(
            ANN,
            op(
                "2",
                "task",
                &id(1),
                "patch",
                version,
                json!({ "note": "n" })
            )
        )["status"],
        "applied"
    );
    // Somebody else's push of the same user, which takes its time.
    super::project::block(async {
        use sqlx::Connection as _;
        let mut sql = sqlx::PgConnection::connect(&project.owner).await.unwrap();
        let lock =
            format!("begin; select pg_advisory_xact_lock(hashtextextended('datum:{ANN}', 0))");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
            .execute(&mut sql)
            .await
            .unwrap();
        let (status, answer) = project
            .api
            .call(
                "POST",
                "/rpc/datum_push",
                &token(ANN, "authenticated", 60),
                r#"{"clientId":"d","operations":[]}"#,
            )
            .unwrap();
        assert_eq!(status, 503, "{answer}");
        assert!(
            answer.contains("Retry-After: 1\r\n") && answer.contains("retryAfterMs"),
            "{answer}"
        );
    });
}

#[test]
fn digests_are_those_of_the_vectors() {
    let project = project!("");
    let file: Value = serde_json::from_str(include_str!("../../vectors/digests.json")).unwrap();
    let rows = file["rows"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("u:ann").replace('\'', "''");
        let query = format!(
            "select lpad(to_hex(datum.row_hash('{}', '{}', '{}', {})), 16, '0')",
            text("space"),
            text("entity"),
            text("id"),
            row["version"]
        );
        assert_eq!(project.value(&query), row["hash"], "{row}");
    }
}
