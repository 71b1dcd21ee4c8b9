//! Attaching, changing, watching and leaving: what the owner of a project does with the kit.

use serde_json::{Value, json};

use super::app::{ANN, APP, BOB, RED, assert_in_step, create, id};
use super::project::{kit, op, run_at};
use crate::project;

#[test]
fn running_the_kit_again_changes_nothing() {
    let project = project!(APP);
    project.sql(&format!(
        "insert into public.tasks (id, user_id, title) values ('{}', '{ANN}', 't')",
        id(1)
    ));
    let described = "select (select json_agg(s order by s.server_id) from datum.server s) s, (select json_agg(r) from datum.row r) r, (select json_agg(e) from datum.entity e) e, pg_get_functiondef('datum.members_of_me()'::regprocedure) m";
    let before = project.rows(described);
    project.sql(&kit());
    assert_eq!(project.rows(described), before);
    let (changes, _) = project.pull_all(ANN, Value::Null, 10);
    assert_eq!(changes.len(), 1);
    // Another version makes what belongs to a table anew.
    project.sql("drop trigger zz_datum_u on public.tasks; update datum.server set version = '0.9'");
    project.sql(&kit());
    assert_eq!(
        project.value("select version from datum.server"),
        project.value("select datum.version()")
    );
    assert_eq!(
        project.value("select state from datum.status where entity = 'task'"),
        "in sync"
    );
}

#[test]
fn triggers_that_are_off_show_in_the_status_and_are_made_good() {
    let project = project!(APP);
    project.sql(&format!("alter table public.tasks disable trigger zz_datum_i; insert into public.tasks (user_id, title) values ('{ANN}', 'missed')"));
    assert!(
        project
            .value("select state from datum.status where entity = 'task'")
            .as_str()
            .unwrap()
            .contains("disabled")
    );
    project.sql("select datum.attach('public.tasks', owner => 'user_id', team => 'team_id'); select datum.reconcile('task')");
    assert_eq!(
        project.value("select state from datum.status where entity = 'task'"),
        "in sync"
    );
    assert_in_step(&project, "again");
}

#[test]
fn what_a_policy_shows_by_another_table_is_told_by_a_touch() {
    let project = project!(APP);
    project.sql(&format!(
        "create table public.shared (task_id uuid, user_id uuid);
         create policy shared on public.tasks for select to authenticated using (team_id = '{RED}' and id in (select task_id from public.shared));
         grant select on public.shared to authenticated;
         drop policy r on public.tasks;
         insert into public.tasks (id, user_id, team_id, title) values ('{}', '{ANN}', '{RED}', 't')",
        id(1)
    ));
    let (changes, cursor) = project.pull_all(BOB, Value::Null, 10);
    assert!(changes.is_empty());
    project.sql(&format!("insert into public.shared values ('{}', '{BOB}'); select datum.touch('task', array['{0}'])", id(1)));
    let (changes, _) = project.pull_all(BOB, cursor, 10);
    assert_eq!(changes[0]["data"]["title"], "t");
}

#[test]
fn a_sweep_removes_what_its_time_has_passed_and_old_cursors_with_it() {
    let project = project!(APP);
    project.one(ANN, create("1", 1, "t"));
    project.one(ANN, create("2", 2, "t"));
    let (_, cursor) = project.pull_all(ANN, Value::Null, 10);
    project.sql(&format!("delete from public.tasks where id = '{}'", id(1)));
    let (_, later) = project.pull_all(ANN, cursor.clone(), 10);
    project.sql("select datum.sweep()");
    assert_eq!(
        project.value("select count(*) from datum.row where deleted"),
        1
    );
    let swept = project.rows("select * from datum.sweep('0 s', '0 s', '0 s')");
    assert_eq!(swept[0]["n"], 1);
    assert_eq!(project.value("select count(*) from datum.hint"), 0);
    let page = project.pull(ANN, json!({ "cursor": cursor }));
    assert_eq!(page["starts"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(
        project.pull(ANN, json!({ "cursor": later })).get("starts"),
        None
    );
    // An edit of the row that left no trace.
    let verdict = project.one(
        ANN,
        op("3", "task", &id(1), "patch", 1, json!({ "note": "n" })),
    );
    assert_eq!(
        (&verdict["status"], &verdict["row"]),
        (&json!("conflict"), &Value::Null)
    );
    let verdict = project.one(
        ANN,
        op(
            "4",
            "task",
            &id(1),
            "update",
            verdict["version"].clone(),
            json!({ "title": "again" }),
        ),
    );
    assert_eq!(verdict["status"], "applied", "{verdict}");
}

#[test]
fn a_user_reads_no_bookkeeping_and_runs_nothing_of_the_operator() {
    let project = project!(APP);
    project.sql(&format!(
        "insert into public.tasks (id, user_id, title) values ('{}', '{ANN}', 't')",
        id(1)
    ));
    let as_bob = |statement: &str| {
        let claims = json!({ "sub": BOB, "role": "authenticated" });
        super::project::try_at(
            &project.superuser,
            &format!(
                "select set_config('request.jwt.claims', '{claims}', false); set role authenticated; {statement}"
            ),
        )
    };
    for table in [
        "row", "place", "op", "device", "server", "entity", "floor", "document",
    ] {
        assert!(
            as_bob(&format!("select * from datum.{table}"))
                .unwrap_err()
                .contains("permission denied"),
            "{table}"
        );
    }
    for call in [
        "attach('public.tasks')",
        "detach('public.tasks')",
        "sweep()",
        "new_epoch()",
        "uninstall()",
        "reconcile('task')",
        "touch('task')",
        "membership('select 1')",
        "documents(true)",
        "mark('task', 'x', 'y')",
    ] {
        assert!(
            as_bob(&format!("select datum.{call}"))
                .unwrap_err()
                .contains("permission denied"),
            "{call}"
        );
    }
    // Even the functions below the requests show nothing of other people's spaces.
    as_bob(&format!(
        "do $$ begin
        assert (select count(*) from datum.page('u:{ANN}', 0, null, 0, 100, null, 10)) = 0;
        assert (select not live and version is null from datum.stamp_of('task', '{}', 'u:{ANN}'));
        assert (select count(*) from datum.documents_of('task', '{{}}', 'u:{ANN}')) = 0;
        assert (select count(*) from datum.heads()) = 3;
      end $$",
        id(1)
    ))
    .unwrap();
    // Nobody can call the requests without signing in.
    let anon = super::project::try_at(
        &project.superuser,
        "set role anon; select public.datum_pull('{}')",
    );
    assert!(anon.unwrap_err().contains("permission denied"));
}

#[test]
fn clients_may_run_what_the_requests_need_and_nothing_else() {
    let project = project!(APP);
    // What a function with the caller's rights calls, the caller must be allowed to; one with the rights of its
    // author ends the chain. The policy of hints calls `mine`, and the expression of a row's space
    // `space_of`.
    let differing = project.rows(
        r"with recursive needed as (
            select p.oid from pg_proc p where p.oid in (select 'public.datum_pull(json)'::regprocedure union select 'public.datum_push(json)'::regprocedure union select 'public.datum_metadata(json)'::regprocedure union select 'datum.mine()'::regprocedure union select 'datum.space_of(uuid)'::regprocedure union select 'datum.space_of(bigint)'::regprocedure)
            union
            select c.oid from needed n join pg_proc p on p.oid = n.oid join pg_proc c on c.pronamespace = 'datum'::regnamespace
              where not p.prosecdef and p.prosrc ~ ('datum\.' || c.proname || '\('))
          select p.oid::regprocedure::text as function, n.oid is not null as needed from pg_proc p left join needed n on n.oid = p.oid
            where p.pronamespace = 'datum'::regnamespace
              and (n.oid is not null) <> has_function_privilege('authenticated', p.oid, 'execute')
            order by 1",
    );
    assert_eq!(differing, json!([]));
}

#[test]
fn leaving_leaves_no_trace() {
    let project =
        project!("create table public.before (id uuid primary key, user_id uuid not null)");
    let described = "select (select json_agg(t.tgname) from pg_trigger t where not t.tgisinternal) triggers,
        (select count(*) from pg_proc) functions, (select count(*) from pg_class) tables, (select count(*) from pg_namespace where nspname not like 'pg%') schemas,
        (select count(*) from pg_type) types, (select count(*) from pg_policy) policies, (select count(*) from pg_default_acl) acls";
    run_at(&project.owner, "select datum.uninstall()");
    let before = project.rows(described);
    project.sql(&kit());
    project.sql("select datum.attach('public.before'); select datum.membership(null); insert into public.before values (gen_random_uuid(), gen_random_uuid())");
    project.sql("select datum.detach('public.before')");
    assert_eq!(project.value("select count(*) from datum.row"), 0);
    assert_eq!(
        project.value("select count(*) from pg_trigger where tgname like 'zz%'"),
        2 + 2
    );
    project.sql("select datum.attach('public.before'); select datum.uninstall()");
    assert_eq!(project.rows(described), before);
    project.sql("insert into public.before values (gen_random_uuid(), gen_random_uuid())");
}

#[test]
fn a_dump_that_is_restored_goes_on() {
    let project = project!(APP);
    project.one(ANN, create("1", 1, "t"));
    let (_, cursor) = project.pull_all(ANN, Value::Null, 10);
    let Some(restored) = project.restored() else {
        return;
    };
    // Where nothing was lost, the history goes on, although every table has another number now.
    let states = restored.rows("select distinct state from datum.status");
    assert_eq!(states, json!([{ "state": "in sync" }]));
    restored.sql(&format!("select datum.sweep(); insert into public.tasks (id, user_id, title) values ('{}', '{ANN}', 'after')", id(2)));
    let (changes, _) = restored.pull_all(ANN, cursor.clone(), 10);
    assert_eq!(
        (changes.len(), &changes[0]["data"]["title"]),
        (1, &json!("after"))
    );
    assert_in_step(&restored, "restored");
    // Where something was, the operator says so.
    restored.sql("select datum.new_epoch()");
    let (status, reply) = restored.try_pull(ANN, json!({ "cursor": cursor }));
    assert_eq!((status, &reply["code"]), (410, &json!("epochChanged")));
}

#[test]
fn pg_cron_sweeps_by_itself_where_it_is() {
    // The module of Debian's package; without it there is nothing to test.
    if super::servers::programs().is_none_or(|bin| !bin.join("../lib/pg_cron.so").exists()) {
        return;
    }
    let settings = "-c fsync=off -c shared_preload_libraries=pg_cron -c cron.database_name=scheduled -c cron.host=127.0.0.1";
    let cluster = super::servers::Postgres::start(settings).unwrap();
    super::project::make_roles(&cluster);
    let admin = cluster.url("postgres", "postgres");
    run_at(&admin, "create database scheduled owner owner");
    let at = cluster.url("postgres", "scheduled");
    run_at(
        &at,
        "create extension pg_cron; grant usage on schema cron to owner",
    );
    let project = super::project::Project::in_database(&cluster, "scheduled", APP);
    let jobs = "select jobname, command, username from cron.job";
    let expected = json!([{ "jobname": "datum-sweep", "command": "select datum.sweep()", "username": "owner" }]);
    assert_eq!(project.rows(jobs), expected);
    // It is one job, however often the kit runs, and goes with it.
    project.sql(&kit());
    assert_eq!(project.rows(jobs), expected);
    project.sql("select datum.uninstall()");
    assert_eq!(project.rows(jobs), json!([]));
}
