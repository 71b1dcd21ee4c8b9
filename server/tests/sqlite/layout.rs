//! What is in the file: a layout from before there were spaces goes on, and a copy has all of it.

use datum_server::sqlite::SqliteStore;
use datum_sync::model::digest::{Digest, row_hash};
use serde_json::{Value, json};

use crate::common::api::{Api, create};
use crate::common::{Folder, run};
use crate::suite::World;
use crate::suite::shared::{A, member, new_space, row, told};

const OLD: [&str; 2] = [
    include_str!("../../sql/0001_rows.sql"),
    include_str!("../../sql/0002_epoch_history.sql"),
];

async fn write_old_file(folder: &Folder) {
    let url = format!("sqlite://{}?mode=rwc", folder.database().display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let sum = |version| row_hash("task", "x", version).cast_signed();
    let content = format!(
        "INSERT INTO setting VALUES ('epoch', 'e1'), ('serverId', 'the same');
         INSERT INTO account VALUES (1, 'ann', 3, 2), (2, 'bob', 2, 0);
         INSERT INTO entity VALUES
           (1, 'task', 'x', 2, 0, 5, '{{\"n\":1}}'), (1, 'task', 'y', 3, 1, 5, NULL),
           (2, 'task', 'x', 1, 0, 5, '{{}}'), (2, 'note', 'x', 2, 0, 5, '{{}}');
         INSERT INTO operation VALUES (1, 'o1', 'task', 'x', 2, 5), (1, 'o0', 'task', 'y', 0, 5);
         INSERT INTO digest VALUES (1, 'task', 1, {}), (2, 'task', 1, {}), (2, 'note', 1, 7);
         INSERT INTO device VALUES (1, 'd1', 5, '{{\"deviceId\":\"d1\"}}');
         INSERT INTO epoch_history VALUES (0, 'e0', 0), (1, 'e0', 2);
         PRAGMA user_version = 2;",
        sum(2),
        sum(1)
    );
    for script in OLD.into_iter().map(str::to_owned).chain([content]) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(script))
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
}

#[test]
fn a_file_from_before_there_were_spaces_goes_on() {
    let folder = Folder::new();
    run(async {
        write_old_file(&folder).await;
        let store = SqliteStore::open(&folder.database(), "another").await;
        let w = World::new(store.unwrap());
        let page = w.pull("ann", json!({ "epoch": "e0" })).await;
        assert_eq!(told(&page["changes"]), [row("", "x", 2)]);
        assert_eq!(page["changes"][0]["data"], json!({ "n": 1 }));
        assert_eq!(
            (&page["epoch"], &page["serverId"], &page["kept"]),
            (&json!("e1"), &json!("the same"), &json!(2))
        );
        let mut digest = Digest::default();
        digest.add("task", "x", 2);
        assert_eq!(page["digests"], json!({ "task": digest.wire() }));
        assert_eq!(
            w.call("ann", "GET", "metadata", "").await.1["devices"][0]["deviceId"],
            "d1"
        );
        // What was applied then is known, and in the user's own space.
        let mut again = create("o1", "x");
        assert_eq!(w.push("ann", json!([again])).await[0]["replayed"], true);
        again["space"] = json!(A);
        assert_eq!(w.push("ann", json!([again])).await[0]["code"], "opIdReused");
        assert_eq!(
            w.push("ann", json!([create("o0", "z")])).await[0]["status"],
            "conflict"
        );
        // Counters and tombstones go on, and a space begins.
        let unknown = json!({ "opId": "o9", "entity": "task", "id": "never", "kind": "patch", "baseVersion": 1, "data": {} });
        assert_eq!(
            w.push("ann", json!([unknown])).await[0]["version"],
            2,
            "the floor"
        );
        assert_eq!(w.create("ann", "task", "y").await, 4);
        w.does("bob", new_space(A)).await;
        w.does("bob", member(A, "ann", "create", None, "reader"))
            .await;
        assert_eq!(w.list("ann").await, json!([{ "id": A, "role": "reader" }]));
        let all = w.pull("bob", json!({})).await;
        assert_eq!(told(&all["changes"]).len(), 2);
        w.service.store.close().await;
        let store = SqliteStore::open(&folder.database(), "another").await;
        let w = World::new(store.unwrap());
        assert_eq!(w.create("ann", "task", "w").await, 5, "opened again");
    });
}

#[test]
fn nobody_leaves_between_the_look_at_the_membership_and_the_write() {
    run(async {
        let api = Api::new().await;
        api.push("ann", json!([new_space(A)])).await;
        for round in 0..20 {
            let in_space = |mut op: Value| {
                op["space"] = json!(A);
                op
            };
            let id = format!("{A}/bob");
            let row = |kind: &str, base: &Value| {
                in_space(
                    json!({ "opId": format!("{kind}{round}"), "entity": "$member", "id": id, "kind": kind,
                    "baseVersion": base, "data": { "role": "writer" } }),
                )
            };
            let joined = api.push("ann", json!([row("create", &Value::Null)])).await;
            let base = joined[0]["version"].clone();
            let writing = tokio::spawn({
                let (api, op) = (
                    api.clone(),
                    in_space(create(&format!("w{round}"), &round.to_string())),
                );
                async move { api.push("bob", json!([op])).await }
            });
            let leaving = tokio::spawn({
                let (api, op) = (api.clone(), row("delete", &base));
                async move { api.push("ann", json!([op])).await }
            });
            let (wrote, left) = (writing.await.unwrap(), leaving.await.unwrap());
            assert_eq!(left[0]["status"], "applied");
            let before = wrote[0]["version"].as_u64() < left[0]["version"].as_u64();
            match wrote[0]["status"].as_str().unwrap() {
                "applied" => assert!(before, "{wrote} {left}"),
                _ => assert_eq!(wrote[0]["code"], "notMember"),
            }
        }
    });
}

#[test]
fn a_file_keeps_its_spaces_when_it_is_restored() {
    let (folder, copies) = (Folder::new(), Folder::new());
    let copy = copies.database();
    run(async {
        let w = World::new(SqliteStore::open(&folder.database(), "e1").await.unwrap());
        w.space(A, &[("bob", "writer")]).await;
        datum_server::sqlite::backup::back_up(&folder.database(), &copy)
            .await
            .unwrap();
        w.does("bob", crate::suite::shared::create(Some(A), "lost"))
            .await;
        w.kick(A, "bob").await;
        w.service.store.close().await;
        datum_server::sqlite::backup::restore(&copy, &folder.database(), "e2")
            .await
            .unwrap();
        let store = SqliteStore::open(&folder.database(), "e").await.unwrap();
        let w = World::new(store);
        let page = w.pull("bob", json!({ "epoch": "e1" })).await;
        assert_eq!(page["spaces"], json!([{ "id": A, "role": "writer" }]));
        assert_eq!(page["starts"][1], json!({ "space": A, "at": 3, "kept": 3 }));
    });
}
