//! Who may see a row: teams as shared spaces, and what row-level security hides and shows.

use serde_json::{Value, json};

use super::app::{ANN, APP, BLUE, BOB, EVE, RED, create, id, task};
use super::project::op;
use crate::project;

fn in_space(mut operation: Value, space: &str) -> Value {
    operation["space"] = space.into();
    operation
}

#[test]
fn what_a_policy_hides_and_shows_arrives() {
    let project = project!(APP);
    let made = project.one(ANN, create("c", 1, "t"));
    let (_, cursor) = project.pull_all(ANN, Value::Null, 10);
    project.sql("update public.tasks set hidden = true");
    let (changes, cursor) = project.pull_all(ANN, cursor, 10);
    assert_eq!(
        (changes.len(), &changes[0]["deleted"], &changes[0]["reason"]),
        (1, &json!(true), &Value::Null)
    );
    assert_eq!(project.pull_all(ANN, Value::Null, 10).0, [] as [Value; 0]);
    let verdict = project.one(
        ANN,
        task(
            "p",
            1,
            "patch",
            made["version"].clone(),
            json!({ "note": "x" }),
        ),
    );
    assert_eq!(verdict["code"], "forbidden");
    assert_eq!(
        project.pull(ANN, json!({ "digests": true }))["digests"]["task"],
        json!({ "count": 0, "hash": "0000000000000000" })
    );
    project.sql("update public.tasks set hidden = false");
    let (changes, _) = project.pull_all(ANN, cursor.clone(), 10);
    assert_eq!(changes[0]["data"]["title"], "t");
    // An insert that its author may make and not see.
    let verdict = project.one(
        ANN,
        task(
            "unseen",
            2,
            "create",
            Value::Null,
            json!({ "title": "t", "hidden": true }),
        ),
    );
    assert_eq!(verdict["status"], "applied", "{verdict}");
    let (changes, _) = project.pull_all(ANN, cursor.clone(), 10);
    assert_eq!(
        (&changes[1]["id"], &changes[1]["deleted"]),
        (&json!(id(2)), &json!(true))
    );
    project.sql(&format!("delete from public.tasks where id = '{}'", id(2)));
    project.sql("select datum.sweep('0 s')");
    // A policy that keeps a row from being changed.
    project.sql("update public.tasks set title = 'locked'");
    let v = project.value("select version from datum.row");
    for kind in ["patch", "delete"] {
        let data = if kind == "patch" {
            json!({ "note": "x" })
        } else {
            Value::Null
        };
        assert_eq!(
            project.one(ANN, task(kind, 1, kind, v.clone(), data))["code"],
            "forbidden"
        );
    }
}

#[test]
fn a_team_is_a_shared_space_with_the_roles_of_the_apps_own_table() {
    let project = project!(APP);
    let first = project.pull(BOB, json!({}));
    assert_eq!(
        first["spaces"],
        json!([{ "id": RED, "role": "writer" }, { "id": BLUE, "role": "reader" }])
    );
    assert_eq!(first["starts"].as_array().unwrap().len(), 3);
    let mut cursor = first["cursor"].clone();
    let create =
        |op_id: &str, n: usize| task(op_id, n, "create", Value::Null, json!({ "title": "t" }));
    let made = project.one(ANN, in_space(create("r", 1), RED));
    assert_eq!(made["status"], "applied", "{made}");
    assert_eq!(
        project.rows("select team_id, user_id from public.tasks"),
        json!([{ "team_id": RED, "user_id": ANN }])
    );
    assert_eq!(
        project.one(BOB, in_space(create("b", 2), BLUE))["code"],
        "readOnly"
    );
    assert_eq!(
        project.one(EVE, in_space(create("e", 3), RED))["code"],
        "notMember"
    );
    assert_eq!(
        project.one(
            EVE,
            in_space(create("e", 3), "90000000-0000-4000-8000-000000000009")
        )["code"],
        "notMember"
    );
    let page = project.pull(BOB, json!({ "cursor": cursor }));
    assert_eq!(
        (&page["changes"][0]["space"], &page["spaces"]),
        (&json!(RED), &Value::Null)
    );
    assert_eq!(page["changes"][0]["data"].get("teamId"), None);
    cursor = page["cursor"].clone();
    assert_eq!(project.pull(EVE, json!({}))["changes"], json!([]));
    // Moves: by an operation, in one update of the row, and by the app.
    let mut moving = task("m", 1, "move", made["version"].clone(), Value::Null);
    moving["space"] = RED.into();
    moving["to"] = BLUE.into();
    assert_eq!(project.one(BOB, moving.clone())["code"], "readOnly");
    let moved = project.one(ANN, moving.clone());
    assert_eq!(moved["status"], "applied", "{moved}");
    assert_eq!(
        project.one(ANN, moving),
        json!({ "opId": "m", "status": "applied", "replayed": true, "version": moved["version"], "leftVersion": moved["leftVersion"] })
    );
    let page = project.pull(BOB, json!({ "cursor": cursor }));
    let left = page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["space"] == RED)
        .unwrap()
        .clone();
    assert_eq!(
        left,
        json!({ "entity": "task", "id": id(1), "version": moved["leftVersion"], "deleted": true, "space": RED, "movedTo": { "space": BLUE, "version": moved["version"] } })
    );
    cursor = page["cursor"].clone();
    // A write of where it was.
    let conflict = project.one(
        ANN,
        in_space(
            task(
                "late",
                1,
                "patch",
                made["version"].clone(),
                json!({ "note": "x" }),
            ),
            RED,
        ),
    );
    assert_eq!(
        (
            &conflict["status"],
            &conflict["space"],
            &conflict["version"],
            &conflict["leftVersion"]
        ),
        (
            &json!("conflict"),
            &json!(BLUE),
            &moved["version"],
            &moved["leftVersion"]
        )
    );
    project.sql("update public.tasks set team_id = null");
    let page = project.pull(BOB, json!({ "cursor": cursor }));
    assert_eq!(
        page["changes"],
        json!([{ "entity": "task", "id": id(1), "version": page["changes"][0]["version"], "deleted": true, "space": BLUE }])
    );
    // Who leaves hears it from the list, and who joins gets all.
    project.sql(&format!(
        "delete from public.members where user_id = '{BOB}' and team_id = '{BLUE}'"
    ));
    let page = project.pull(BOB, json!({ "cursor": page["cursor"] }));
    assert_eq!(
        (&page["spaces"], &page["starts"]),
        (&json!([{ "id": RED, "role": "writer" }]), &Value::Null)
    );
    project.sql(&format!("insert into public.members values ('{BLUE}', '{BOB}', 'owner'); update public.tasks set team_id = '{BLUE}'"));
    let page = project.pull(BOB, json!({ "cursor": page["cursor"] }));
    assert_eq!(page["starts"][0]["space"], BLUE);
    assert_eq!(page["changes"][0]["data"]["title"], "t");
    // The hints of a space are for its members.
    let hints =
        |user: &str| project.rows_as(user, "select distinct space from datum.hint order by space");
    assert_eq!(hints(EVE), json!([]));
    assert_eq!(hints(BOB).as_array().unwrap().len(), 2);
}

#[test]
fn a_team_may_have_a_number() {
    let project = project!(&format!(
        "create table public.jobs (id uuid primary key, team_id bigint not null, title text);
         create table public.staff (team_id bigint, user_id uuid);
         select datum.attach('public.jobs', team => 'team_id', entity => 'job');
         select datum.membership('select team_id from public.staff where user_id = auth.uid()');
         insert into public.staff values (258, '{ANN}'), (7, '{ANN}'), (7, '{BOB}')"
    ));
    let space = "00000000-0000-8000-8000-000000000102";
    let made = project.one(
        ANN,
        in_space(
            op(
                "1",
                "job",
                &id(1),
                "create",
                Value::Null,
                json!({ "title": "t" }),
            ),
            space,
        ),
    );
    assert_eq!(made["status"], "applied", "{made}");
    assert_eq!(
        project.rows("select team_id from public.jobs"),
        json!([{ "team_id": 258 }])
    );
    let mut moving = in_space(
        op(
            "2",
            "job",
            &id(1),
            "move",
            made["version"].clone(),
            Value::Null,
        ),
        space,
    );
    moving["to"] = "00000000-0000-8000-8000-000000000007".into();
    assert_eq!(project.one(ANN, moving)["status"], "applied");
    assert_eq!(
        project.pull(BOB, json!({}))["changes"][0]["space"],
        "00000000-0000-8000-8000-000000000007"
    );
    // It has no owner, so nobody's personal space has its rows.
    let verdict = project.one(
        ANN,
        op(
            "3",
            "job",
            &id(2),
            "create",
            Value::Null,
            json!({ "title": "t" }),
        ),
    );
    assert_eq!(verdict["code"], "invalidOperation", "{verdict}");
}
