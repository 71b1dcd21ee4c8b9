//! A replica that answers pulls, by design or by mistake: it may be behind, and nothing is lost by that.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::app::{ANN, APP, BOB, RED, create, id};
use super::postgrest::Postgrest;
use super::project::{Project, make_roles, run_at, try_rows_at};
use super::servers::Postgres;

/// Waits until a query says true.
fn wait_until(url: &str, query: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if try_rows_at(url, &format!("select {query} as is"))
            .is_ok_and(|rows| rows[0]["is"] == true)
        {
            return;
        }
        assert!(Instant::now() < end, "{query}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_replica_that_is_behind_says_so_and_loses_nothing() {
    let Some(cluster) = Postgres::start("-c fsync=off") else {
        return;
    };
    make_roles(&cluster);
    let project = Project::on(&cluster, APP);
    let Some(replica) = Postgres::replica(&cluster) else {
        return;
    };
    let at = |user: &str| {
        let database = project.owner.rsplit_once('/').unwrap().1;
        replica.url(user, database)
    };
    let behind = Project {
        owner: at("owner"),
        superuser: at("postgres"),
        api: Postgrest::start(&at("authenticator")),
    };
    let catch_up = || {
        let end = project.value("select pg_current_wal_lsn()::text");
        let end = end.as_str().unwrap();
        wait_until(
            &behind.superuser,
            &format!("pg_last_wal_replay_lsn() >= '{end}'::pg_lsn"),
        );
    };
    let write = |op_id: &str, n: usize, space: Value| {
        let mut create = create(op_id, n, op_id);
        create["space"] = space;
        assert_eq!(project.one(ANN, create)["status"], "applied");
    };
    write("first", 1, Value::Null);
    write("second", 2, RED.into());
    catch_up();
    // It is the same server in the same history, and its answers are those of the other.
    let (one, two) = (
        project.pull(ANN, json!({ "digests": true })),
        behind.pull(ANN, json!({ "digests": true })),
    );
    for field in [
        "serverId", "epoch", "changes", "cursor", "spaces", "digests",
    ] {
        assert_eq!(one[field], two[field], "{field}");
    }
    run_at(&behind.superuser, "select pg_wal_replay_pause()");
    write("third", 3, Value::Null);
    write("fourth", 4, RED.into());
    // What it does not have yet comes later.
    let old = behind.pull(ANN, json!({ "cursor": two["cursor"] }));
    assert_eq!(
        (&old["changes"], &old["starts"]),
        (&json!([]), &Value::Null)
    );
    // A cursor that is ahead of it is no cursor of another history.
    let (changes, ahead) = project.pull_all(ANN, two["cursor"].clone(), 10);
    assert_eq!(changes.len(), 2);
    let (status, reply) = behind.try_pull(ANN, json!({ "cursor": ahead }));
    assert_eq!((status, &reply["code"]), (503, &json!("behind")), "{reply}");
    // Nor is one in the middle of a snapshot.
    let middle = project.pull(BOB, json!({ "limit": 1 }));
    assert_eq!(middle["more"], true);
    let (status, reply) = behind.try_pull(BOB, json!({ "cursor": middle["cursor"], "limit": 1 }));
    assert_eq!((status, &reply["code"]), (503, &json!("behind")), "{reply}");
    // It takes no push: PostgREST cannot begin it, and a client takes this code as one to try again.
    let fifth = create("fifth", 5, "t");
    let body = json!({ "clientId": "d", "operations": [fifth] }).to_string();
    let (status, reply) = behind.call(ANN, "push", &body);
    assert_eq!((status, &reply["code"]), (400, &json!("0A000")), "{reply}");
    assert_eq!(project.one(ANN, fifth)["status"], "applied");
    run_at(&behind.superuser, "select pg_wal_replay_resume()");
    catch_up();
    // From every cursor, and from the primary and the replica, a device has everything in the end.
    let ids = |changes: &[Value]| -> Vec<Value> {
        changes.iter().map(|change| change["id"].clone()).collect()
    };
    let (late, _) = behind.pull_all(ANN, old["cursor"].clone(), 10);
    assert_eq!(ids(&late), [json!(id(3)), json!(id(5)), json!(id(4))]);
    let (late, _) = behind.pull_all(ANN, ahead, 10);
    assert_eq!(ids(&late), [json!(id(5))]);
    // One that takes over goes on where the other was.
    let (_, cursor) = project.pull_all(ANN, Value::Null, 10);
    run_at(&behind.superuser, "select pg_promote()");
    wait_until(&behind.superuser, "not pg_is_in_recovery()");
    behind.api.call("GET", "/", "", "").unwrap();
    let sixth = create("sixth", 6, "t");
    assert_eq!(behind.one(ANN, sixth)["status"], "applied");
    assert_eq!(ids(&behind.pull_all(ANN, cursor, 10).0), [json!(id(6))]);
}
