//! What fails in the database while devices and an app write: the answer says whether to try again, nothing is
//! lost, and nothing is applied twice.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::app::{ANN, APP, BOB, EVE, RED, assert_in_step, create, id};
use super::postgrest::Postgrest;
use super::project::{Project, op, run_at};
use super::sessions::Session;
use crate::project;

fn push(project: &Project, operations: Value) -> (u16, Value) {
    let body = json!({ "clientId": "d1", "operations": operations });
    project.call(ANN, "push", &body.to_string())
}

/// Sets what every session of PostgREST has, and starts it again.
fn set_for_sessions(project: &mut Project, setting: &str) {
    run_at(
        &project.superuser,
        &format!(
            "do $$ begin execute format('alter role authenticator in database %I set {setting}', current_database()); end $$"
        ),
    );
    project.api.kill();
    project.api.launch();
}

const SLOW: &str = "
    create function public.slow() returns trigger language plpgsql as $$ begin
      if new.title = 'slow' then perform pg_sleep(1.5); end if;
      if new.title = 'assert' then assert false, 'an assertion'; end if;
      return new; end $$;
    create trigger slow before insert or update on public.tasks for each row execute function public.slow();";

#[test]
fn a_statement_timeout_fails_the_request_and_leaves_nothing_of_it() {
    let mut project = project!(APP);
    project.sql(SLOW);
    set_for_sessions(&mut project, "statement_timeout = ''700ms''");
    let (status, reply) = push(
        &project,
        json!([create("1", 1, "t"), create("2", 2, "slow")]),
    );
    assert_eq!((status, &reply["code"]), (500, &json!("57014")), "{reply}");
    assert_eq!(project.value("select count(*) from public.tasks"), 0);
    assert_eq!(project.value("select count(*) from datum.op"), 0);
    // Sent in parts, as a client does then, the others are applied.
    assert_eq!(push(&project, json!([create("2", 2, "slow")])).0, 500);
    assert_eq!(project.one(ANN, create("1", 1, "t"))["status"], "applied");
    assert_in_step(&project, "after a timeout");
    // And once it is fast enough, so is that one.
    project.sql("drop trigger slow on public.tasks");
    assert_eq!(
        project.one(ANN, create("2", 2, "slow"))["status"],
        "applied"
    );
}

#[test]
fn an_assertion_of_the_app_refuses_its_operation_alone() {
    let project = project!(APP);
    project.sql(SLOW);
    let verdicts = project.push(ANN, json!([create("1", 1, "assert"), create("2", 2, "t")]));
    assert_eq!(
        (
            &verdicts[0]["code"],
            &verdicts[0]["message"],
            &verdicts[1]["status"]
        ),
        (&json!("refused"), &json!("an assertion"), &json!("applied"))
    );
}

#[test]
fn a_deadlock_in_a_push_is_a_retry() {
    let mut project = project!(APP);
    project.sql(SLOW);
    set_for_sessions(&mut project, "deadlock_timeout = ''100ms''");
    project.push(ANN, json!([create("1", 1, "slow"), create("2", 2, "two")]));
    let mut app = Session::at(&project.superuser);
    // The app waits so long before it looks for a deadlock that the push finds it.
    app.run("set deadlock_timeout = '20s'; set role owner; begin")
        .unwrap();
    app.run(&format!(
        "update public.tasks set rank = 1 where id = '{}'",
        id(2)
    ))
    .unwrap();
    let patch = |op_id: &str, n: usize| {
        let version = project.value(&format!(
            "select version from datum.row where id = '{}'",
            id(n)
        ));
        op(
            op_id,
            "task",
            &id(n),
            "patch",
            version,
            json!({ "note": "n" }),
        )
    };
    let operations = json!([patch("p1", 1), patch("p2", 2)]);
    let verdicts = thread::scope(|scope| {
        let pushed = scope.spawn(|| project.push(ANN, operations.clone()));
        thread::sleep(Duration::from_millis(500));
        // The push holds the first row, and comes to the second when the app waits already.
        let first = app.run(&format!(
            "update public.tasks set rank = 1 where id = '{}'",
            id(1)
        ));
        assert_eq!(first, Ok(()));
        app.run("commit").unwrap();
        pushed.join().unwrap()
    });
    let status: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["status"]).collect();
    assert!(
        verdicts.iter().any(|verdict| verdict["code"] == "busy"),
        "{status:?}"
    );
    assert!(
        status
            .iter()
            .all(|status| *status == "retry" || *status == "applied" || *status == "conflict"),
        "{verdicts:?}"
    );
    assert_in_step(&project, "after a deadlock");
    // Sent again, what was to be tried again gets a verdict that stands.
    for verdict in project.push(ANN, operations) {
        assert!(
            verdict["status"] == "applied" || verdict["status"] == "conflict",
            "{verdict}"
        );
    }
}

#[test]
fn a_full_pool_is_answered_with_what_a_client_tries_again() {
    let mut project = project!(APP);
    project.sql("create function public.busy() returns void language sql as 'select pg_sleep(4)'; grant execute on function public.busy() to authenticated");
    let database = project.superuser.replace("postgres@", "authenticator@");
    project.api = Postgrest::start_with(&database, "db-pool = 1\ndb-pool-acquisition-timeout = 1");
    // It reads the schema twice when it starts, and needs its one connection for that.
    thread::sleep(Duration::from_secs(1));
    let token = super::project::token(ANN, "authenticated", 60);
    let try_again = |(status, reply): (u16, Value)| {
        let code = reply["code"].as_str().unwrap_or_default().to_owned();
        let expected = [(504, "PGRST003"), (503, "PGRST002")];
        assert!(expected.contains(&(status, &code)), "{status} {reply}");
    };
    thread::scope(|scope| {
        let busy = scope.spawn(|| project.api.call("POST", "/rpc/busy", &token, "{}").unwrap());
        thread::sleep(Duration::from_millis(500));
        try_again(push(&project, json!([create("1", 1, "t")])));
        try_again(project.try_pull(ANN, json!({})));
        busy.join().unwrap();
    });
    let end = Instant::now() + Duration::from_secs(30);
    while push(&project, json!([create("1", 1, "t")])).0 != 200 {
        assert!(Instant::now() < end, "the pool stays full");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(project.value("select count(*) from public.tasks"), 1);
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_push_leaves_nothing_of_it() {
    let project = project!(APP);
    project.sql(SLOW);
    let operations = json!([create("1", 1, "t"), create("2", 2, "slow")]);
    thread::scope(|scope| {
        let pushed = scope.spawn(|| push(&project, operations.clone()));
        thread::sleep(Duration::from_millis(700));
        let ended = project.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and state = 'active' and query like '%datum_push%' and pid <> pg_backend_pid()");
        assert_eq!(ended, 1);
        let (status, reply) = pushed.join().unwrap();
        assert!(status >= 500, "{status} {reply}");
    });
    assert_eq!(project.value("select count(*) from datum.op"), 0);
    assert_in_step(&project, "after a connection that ended");
    for verdict in project.push(ANN, operations) {
        assert_eq!(verdict["status"], "applied", "{verdict}");
    }
}

#[test]
fn rows_that_are_touched_and_deleted_at_the_same_time_are_deleted() {
    let project = project!(APP);
    project.push(
        ANN,
        json!([
            create("1", 1, "t"),
            create("2", 2, "t"),
            create("3", 3, "t")
        ]),
    );
    // One row, and more than one: they have ways of their own.
    for rows in [&[1][..], &[2, 3][..]] {
        let ids: Vec<String> = rows.iter().map(|n| format!("'{}'", id(*n))).collect();
        let mut touching = Session::at(&project.owner);
        touching.run("begin; select datum.touch('task')").unwrap();
        let delete = format!("delete from public.tasks where id in ({})", ids.join(","));
        thread::scope(|scope| {
            let deleted = scope.spawn(|| project.sql(&delete));
            thread::sleep(Duration::from_millis(300));
            touching.run("commit").unwrap();
            deleted.join().unwrap();
        });
        assert_in_step(&project, "touched and deleted");
    }
}

#[test]
fn a_statement_over_many_spaces_looks_at_each_place_a_few_times() {
    let project = project!(APP);
    let reads = || {
        thread::sleep(Duration::from_millis(100));
        project.value("select sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0))::bigint from pg_stat_user_tables where schemaname = 'datum' and relname = 'place'").as_u64().unwrap()
    };
    let before = reads();
    project.sql("insert into public.tasks (user_id, title) select gen_random_uuid(), 't' from generate_series(1, 2000)");
    let read = reads() - before;
    assert!(
        read < 20 * 2_000,
        "{read} places read at the commit of 2000 spaces"
    );
    assert_in_step(&project, "many spaces");
}

#[test]
fn transactions_over_the_same_spaces_in_any_order_never_wait_for_each_other_in_a_circle() {
    let project = project!(APP);
    run_at(
        &project.superuser,
        "do $$ begin execute format('alter database %I set deadlock_timeout = ''100ms''', current_database()); end $$",
    );
    project
        .sql("insert into public.teams select gen_random_uuid(), 't' from generate_series(1, 60)");
    // While a transaction is open, it holds up nobody who writes in the same spaces.
    let write = |teams: &str| {
        format!(
            "insert into public.tasks (user_id, team_id, title) select '{ANN}', id, 't' from public.teams order by id {teams}"
        )
    };
    let (mut one, mut two) = (Session::at(&project.owner), Session::at(&project.owner));
    for session in [&mut one, &mut two] {
        session.run("set lock_timeout = '2s'; begin").unwrap();
    }
    one.run(&write("limit 30")).unwrap();
    two.run(&write("offset 30")).unwrap();
    one.run(&write("offset 30")).unwrap();
    two.run(&write("limit 30")).unwrap();
    one.run("commit").unwrap();
    two.run("commit").unwrap();
    // And commits at the same moment take the spaces in one order.
    thread::scope(|scope| {
        for direction in ["asc", "desc", "asc", "desc"] {
            let owner = &project.owner;
            let statement = write(direction);
            scope.spawn(move || {
                let mut session = Session::at(owner);
                for round in 0..25 {
                    assert_eq!(session.run(&statement), Ok(()), "{direction} {round}");
                }
            });
        }
    });
    assert_in_step(&project, "after many commits at once");
}

#[test]
fn each_commit_leaves_a_hint_for_each_space_that_its_members_may_read() {
    let project = project!(APP);
    project.sql(&format!(
        "insert into public.tasks (user_id, team_id, title) values ('{ANN}', '{RED}', 'a'), ('{ANN}', '{RED}', 'b'), ('{ANN}', null, 'c')"
    ));
    let hints = |user: &str| project.rows_as(user, "select space from datum.hint order by space");
    assert_eq!(
        hints(ANN),
        json!([{ "space": RED }, { "space": format!("u:{ANN}") }])
    );
    assert_eq!(hints(BOB), json!([{ "space": RED }]));
    assert_eq!(hints(EVE), json!([]));
}
