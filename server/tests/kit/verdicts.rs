//! What the app's own rules do to an operation: each refusal is a verdict with a code, the operations beside
//! it are applied, and nothing of it is stored.

use serde_json::{Value, json};

use super::app::{ANN, APP, BOB, EVE, RED, assert_in_step, id, task};
use super::project::op;
use crate::project;

#[test]
fn each_refusal_of_the_database_has_a_code_and_stands_alone() {
    let project = project!(APP);
    project.sql(&format!(
        "create function public.no() returns trigger language plpgsql as $$ begin
           if new.title = 'raise' then raise exception 'the app says no'; end if;
           if new.title = 'serial' then raise sqlstate '40001'; end if;
           if new.title = 'dead' then raise sqlstate '40P01'; end if;
           if new.title = 'lost' then perform * from public.nothing_there; end if;
           if new.title = 'away' then new.user_id := '{BOB}'; end if;
           if new.title = 'changed' then new.note := 'by a trigger'; end if;
           return new; end $$;
         create trigger no before insert or update on public.tasks for each row execute function public.no();
         create table public.checks (id uuid primary key, user_id uuid not null, n int check (n > 0), parent uuid references public.checks deferrable initially deferred);
         alter table public.checks enable row level security; create policy mine on public.checks using (true);
         select datum.attach('public.checks', entity => 'check');
         insert into public.tasks (id, user_id, title, code) values ('{}', '{ANN}', 'first', 'taken'), ('{}', '{EVE}', 'hers', null);",
        id(90),
        id(91)
    ));
    let text = |value: &str| json!({ "title": value });
    let expected: Vec<(&str, Value, &str)> = vec![
        ("check", text("bad"), "check"),
        ("row-level security", text("forbidden"), "forbidden"),
        ("unique", json!({ "title": "x", "code": "taken" }), "unique"),
        (
            "foreign key",
            json!({ "title": "x", "listId": id(80) }),
            "foreignKey",
        ),
        ("not null", json!({ "title": "x", "rank": null }), "notNull"),
        (
            "a field without a column",
            json!({ "title": "x", "colour": "red" }),
            "invalidData",
        ),
        (
            "a wrong type",
            json!({ "title": "x", "rank": "many" }),
            "invalidData",
        ),
        (
            "a fraction",
            json!({ "title": "x", "rank": 1.5 }),
            "invalidData",
        ),
        (
            "too large a number",
            json!({ "title": "x", "rank": 2_147_483_648_u32 }),
            "invalidData",
        ),
        (
            "a wrong uuid",
            json!({ "title": "x", "listId": "'; drop table public.tasks; --" }),
            "invalidData",
        ),
        ("a trigger that raises", text("raise"), "refused"),
        ("a trigger that gives it away", text("away"), "forbidden"),
        ("a serialization failure", text("serial"), "retry"),
        ("a deadlock", text("dead"), "retry"),
        ("a schema that does not fit", text("lost"), "retry"),
        (
            "somebody's team",
            json!({ "title": "x", "teamId": RED }),
            "invalidData",
        ),
        (
            "somebody else's",
            json!({ "title": "x", "userId": BOB }),
            "userMismatch",
        ),
        ("U+0000", text("a\u{0}b"), "invalidData"),
    ];
    let mut operations = Vec::new();
    for (n, (name, data, _)) in expected.iter().enumerate() {
        operations.push(task(name, 100 + n, "create", Value::Null, data.clone()));
        operations.push(task(
            &format!("good {n}"),
            200 + n,
            "create",
            Value::Null,
            text("good"),
        ));
    }
    let verdicts = project.push(ANN, json!(operations));
    for (n, (name, _, code)) in expected.iter().enumerate() {
        let verdict = &verdicts[2 * n];
        let got = if verdict["status"] == "retry" {
            "retry"
        } else {
            verdict["code"].as_str().unwrap_or("")
        };
        assert_eq!(got, *code, "{name}: {verdict}");
        assert_eq!(
            verdicts[2 * n + 1]["status"],
            "applied",
            "beside {name}: {}",
            verdicts[2 * n + 1]
        );
    }
    assert_eq!(
        verdicts[10]["message"].as_str().unwrap(),
        "`data.colour` has no column in public.tasks. Add the column, or leave the field out."
    );
    assert_eq!(
        project.value("select count(*) from public.tasks"),
        expected.len() as u64 + 2
    );
    assert_in_step(&project, "refusals");
    // Another's row, whose id was guessed, tells no version.
    let verdict = project.one(ANN, task("guess", 91, "create", Value::Null, text("x")));
    assert_eq!(
        (&verdict["code"], &verdict["version"]),
        (&json!("idTaken"), &Value::Null)
    );
    let verdict = project.one(ANN, task("guess 2", 91, "delete", 1, Value::Null));
    assert_eq!(
        (&verdict["status"], &verdict["version"]),
        (&json!("applied"), &json!(1))
    );
    assert_eq!(
        project.value(&format!(
            "select count(*) from public.tasks where id = '{}'",
            id(91)
        )),
        1
    );
    // A constraint that waits for the commit refuses its operation, not the push.
    let check = |op_id: &str, n: usize, parent: usize| {
        op(
            op_id,
            "check",
            &id(n),
            "create",
            Value::Null,
            json!({ "n": 1, "parent": id(parent) }),
        )
    };
    let verdicts = project.push(
        ANN,
        json!([check("d1", 1, 1), check("d2", 2, 7), check("d3", 3, 1)]),
    );
    assert_eq!(
        [
            &verdicts[0]["status"],
            &verdicts[1]["code"],
            &verdicts[2]["status"]
        ],
        ["applied", "foreignKey", "applied"]
    );
    // What a trigger or a default changed comes back.
    let verdict = project.one(
        ANN,
        task("changed", 300, "create", Value::Null, text("changed")),
    );
    assert_eq!(verdict["row"]["note"], "by a trigger");
    assert_eq!(verdict["row"]["rank"], 7);
    // Ids that PostgreSQL would write otherwise, and those that are none.
    for bad in [
        "1",
        "30000000-0000-4000-8000-00000000ABCD",
        "x'; drop table tasks; --",
        "{30000000-0000-4000-8000-000000000001}",
    ] {
        assert_eq!(
            project.one(ANN, op("id", "task", bad, "create", Value::Null, text("x")))["code"],
            "invalidId",
            "{bad}"
        );
    }
    for bad in [
        "tasks",
        "$space",
        "pg_class",
        "task\"; drop table public.tasks; --",
    ] {
        assert_eq!(
            project.one(
                ANN,
                op("entity", bad, &id(1), "create", Value::Null, text("x"))
            )["code"],
            "unknownEntity",
            "{bad}"
        );
    }
}

#[test]
fn the_rules_of_a_row_hold_on_a_table() {
    let project = project!(APP);
    let data = |title: &str| json!({ "title": title, "createdAt": "2026-01-01T00:00:00.123Z", "modifiedAt": "2026-01-02T00:00:00.000Z" });
    let made = project.one(ANN, task("c", 1, "create", Value::Null, data("a")));
    let v = made["version"].as_u64().unwrap();
    assert_eq!(made["row"]["createdAt"], "2026-01-01T00:00:00.123Z");
    assert_eq!(
        project.one(ANN, task("c", 1, "create", Value::Null, data("a"))),
        json!({ "opId": "c", "status": "applied", "version": v, "replayed": true })
    );
    assert_eq!(
        project.one(ANN, task("c", 2, "create", Value::Null, data("a")))["code"],
        "opIdReused"
    );
    assert_eq!(
        project.one(ANN, task("same", 1, "create", Value::Null, data("a"))),
        json!({ "opId": "same", "status": "applied", "version": v })
    );
    let conflict = project.one(ANN, task("other", 1, "create", Value::Null, data("b")));
    assert_eq!(
        (
            &conflict["status"],
            &conflict["version"],
            &conflict["row"]["title"]
        ),
        (&json!("conflict"), &json!(v), &json!("a"))
    );
    // A patch writes the columns that were sent; an app's write of others is not lost.
    project.sql("update public.tasks set rank = 9");
    assert_eq!(
        project.one(ANN, task("stale", 1, "patch", v, json!({ "note": "n" })))["status"],
        "conflict"
    );
    let current = project
        .value("select version from datum.row")
        .as_u64()
        .unwrap();
    let patched = project.one(ANN, task("p", 1, "patch", current, json!({ "note": "n" })));
    assert_eq!(
        patched,
        json!({ "opId": "p", "status": "applied", "version": patched["version"] })
    );
    assert_eq!(
        project.rows("select rank, note from public.tasks"),
        json!([{ "rank": 9, "note": "n" }])
    );
    // Deleted, and again; a stale edit meets no row; made again, versions go on.
    let deleted = project.one(
        ANN,
        task("d", 1, "delete", patched["version"].clone(), Value::Null),
    );
    assert_eq!(
        project.one(ANN, task("d2", 1, "delete", 1, Value::Null))["version"],
        deleted["version"]
    );
    assert_eq!(
        project.one(
            ANN,
            task(
                "late",
                1,
                "patch",
                patched["version"].clone(),
                json!({ "note": "x" })
            )
        ),
        json!({ "opId": "late", "status": "conflict", "version": deleted["version"], "row": null })
    );
    assert_eq!(
        project.one(ANN, task("p", 1, "patch", current, json!({ "note": "n" })))["deleted"],
        true
    );
    let again = project.one(
        ANN,
        task("again", 1, "update", deleted["version"].clone(), data("b")),
    );
    assert!(
        again["version"].as_u64() > deleted["version"].as_u64(),
        "{again}"
    );
    // An operation with base null that met a row never fits later.
    let deleted = project.one(
        ANN,
        task("d3", 1, "delete", again["version"].clone(), Value::Null),
    );
    assert_eq!(
        project.one(ANN, task("other", 1, "create", Value::Null, data("b"))),
        json!({ "opId": "other", "status": "conflict", "version": deleted["version"], "row": null })
    );
    assert_in_step(&project, "rules");
}

#[test]
fn operations_on_hundreds_of_rows_end_within_the_budget() {
    let project = project!(APP);
    project.sql("create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.1); return new; end $$; create trigger slow before insert on public.tasks for each row execute function public.slow()");
    let operations: Vec<Value> = (0..60)
        .map(|n| {
            task(
                &format!("o{n}"),
                n,
                "create",
                Value::Null,
                json!({ "title": "t" }),
            )
        })
        .collect();
    let verdicts = project.push(ANN, json!(operations));
    let applied = verdicts
        .iter()
        .filter(|verdict| verdict["status"] == "applied")
        .count();
    assert!((10..40).contains(&applied), "{applied}");
    assert!(
        verdicts[applied..]
            .iter()
            .all(|verdict| verdict["status"] == "retry" && verdict["retryAfterMs"] == 0)
    );
    let verdicts = project.push(ANN, json!(operations));
    assert!(
        verdicts[..applied]
            .iter()
            .all(|verdict| verdict["replayed"] == true)
    );
}
