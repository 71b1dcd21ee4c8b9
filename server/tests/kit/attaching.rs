//! Attaching tables: what is there already, what cannot be attached, and what changes afterwards.

use serde_json::{Value, json};

use super::app::{ANN, APP, create, id, task};
use super::project::op;
use crate::project;

#[test]
fn rows_that_are_there_already_are_attached_with_their_table() {
    let project = project!(
        "create table public.many (id uuid primary key default gen_random_uuid(), user_id uuid, title text)"
    );
    project.sql(&format!("insert into public.many (user_id, title) select '{ANN}', n::text from generate_series(1, 30000) n; insert into public.many (title) values ('nobody''s'); select datum.attach('public.many')"));
    assert_eq!(project.value("select count(*) from datum.row"), 30_000);
    let first = project.pull(ANN, json!({}));
    assert_eq!(
        (
            first["changes"].as_array().unwrap().len(),
            &first["remaining"]
        ),
        (1_000, &json!(29_000))
    );
    assert_eq!(project.pull_all(ANN, Value::Null, 10_000).0.len(), 30_000);
}

#[test]
fn what_cannot_be_attached_is_refused_with_the_fix() {
    let project = project!(
        "create table public.keyless (user_id uuid, n int);
         create table public.composite (a uuid, b uuid, user_id uuid, primary key (a, b));
         create table public.generated (a int, b int, key text generated always as (a || ':' || b) stored not null unique, user_id uuid, primary key (a, b));
         create table public.ownerless (id uuid primary key, n int);
         create table public.twice (id uuid primary key, user_id uuid, a_b int, \"aB\" int);
         create table public.\"Odd \"\"name\" (\"the id\" uuid primary key, \"who's\" uuid, \"t\" text, \"_dt\" text);
         create view public.seen as select * from public.ownerless;
         create unique index partial on public.keyless (n) where n > 0;
         create table public.team_text (id uuid primary key, team text)"
    );
    for (call, part) in [
        ("'public.keyless'", "has no primary key of one column"),
        ("'public.composite'", "has no primary key of one column"),
        ("'public.keyless', key => 'n'", "is no key"),
        ("'public.ownerless'", "owner => 'column'"),
        (
            "'public.ownerless', owner => 'nobody'",
            "has no column nobody",
        ),
        (
            "'public.ownerless', owner => 'n; drop table public.ownerless'",
            "has no column",
        ),
        ("'public.twice'", "names => 'as they are'"),
        ("'public.seen', owner => 'id'", "is no table of the app"),
        (
            "'public.team_text', team => 'team'",
            "must be a uuid or a whole number",
        ),
        (
            "'public.ownerless', owner => 'id', names => 'snake'",
            "must be 'camel' or 'as they are'",
        ),
        (
            "'public.ownerless', owner => 'id', entity => '$space'",
            "is no name of an entity type",
        ),
        ("'public.missing'", "does not exist"),
    ] {
        let message = project.fails(&format!("select datum.attach({call})"));
        assert!(message.contains(part), "{call}: {message}");
    }
    project.sql("select datum.attach('public.generated', key => 'key')");
    project.sql("select datum.attach('public.\"Odd \"\"name\"', owner => 'who''s', entity => 'odd'); select datum.attach('public.twice', names => 'as they are')");
    let verdict = project.one(
        ANN,
        op(
            "1",
            "odd",
            &id(1),
            "create",
            Value::Null,
            json!({ "t": "x", "dt": "y" }),
        ),
    );
    assert_eq!(verdict["status"], "applied", "{verdict}");
    let verdict = project.one(
        ANN,
        op(
            "2",
            "generated",
            "1:2",
            "create",
            Value::Null,
            json!({ "a": 1, "b": 2 }),
        ),
    );
    assert_eq!(verdict["status"], "applied", "{verdict}");
    assert_eq!(
        project.one(
            ANN,
            op(
                "3",
                "generated",
                "9:9",
                "create",
                Value::Null,
                json!({ "a": 1, "b": 3 })
            )
        )["code"],
        "refused"
    );
    let message = project.fails("select datum.membership('select nothing from nowhere')");
    assert!(message.contains("datum.membership"), "{message}");
    assert!(
        project
            .fails("select datum.membership('select 1.5')")
            .contains("team"),
        "a fraction is no team"
    );
}

#[test]
fn a_table_may_change_under_sync() {
    let project = project!(APP);
    let made = project.one(ANN, create("1", 1, "t"));
    project.sql("alter table public.tasks add column colour text default 'red'; alter table public.tasks rename column note to remark; alter table public.tasks drop column rank; alter table public.tasks alter column code type varchar(50)");
    let data = project.pull(ANN, json!({}))["changes"][0]["data"].clone();
    assert_eq!(
        (&data["colour"], data.get("remark"), data.get("rank")),
        (&json!("red"), Some(&Value::Null), None)
    );
    let patched = project.one(
        ANN,
        task(
            "2",
            1,
            "patch",
            made["version"].clone(),
            json!({ "colour": "blue" }),
        ),
    );
    assert_eq!(patched["status"], "applied", "{patched}");
    // A renamed table or column of its space fails loudly until it is attached again.
    project.sql("alter table public.tasks rename to jobs");
    assert!(
        project
            .value("select state from datum.status where entity = 'task'")
            .as_str()
            .unwrap()
            .contains("renamed to public.jobs")
    );
    let verdict = project.one(
        ANN,
        task(
            "3",
            1,
            "patch",
            patched["version"].clone(),
            json!({ "colour": "green" }),
        ),
    );
    assert_eq!(
        (&verdict["status"], &verdict["code"]),
        (&json!("retry"), &json!("schema"))
    );
    project.sql("alter table public.jobs rename column team_id to group_id; select datum.attach('public.jobs', owner => 'user_id', team => 'group_id')");
    let verdict = project.one(
        ANN,
        task(
            "3",
            1,
            "patch",
            patched["version"].clone(),
            json!({ "colour": "green" }),
        ),
    );
    assert_eq!(verdict["status"], "applied", "{verdict}");
    // Dropped: pulls and pushes of others go on, and the sweep forgets it.
    project.sql("drop table public.jobs");
    assert!(
        project
            .value("select state from datum.status where entity = 'task'")
            .as_str()
            .unwrap()
            .contains("gone")
    );
    assert_eq!(
        project.one(
            ANN,
            op(
                "4",
                "list",
                &id(2),
                "create",
                Value::Null,
                json!({ "name": "l" })
            )
        )["status"],
        "applied"
    );
    let page = project.pull(ANN, json!({}));
    assert_eq!(
        page["changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|change| change["entity"] == "list")
            .count(),
        1,
        "{page}"
    );
    project.sql("select datum.sweep()");
    assert_eq!(
        project.rows("select entity from datum.status"),
        json!([{ "entity": "list" }])
    );
    assert_eq!(
        project.value("select count(*) from datum.row where entity = 'task'"),
        0
    );
}
