//! An app that knows nothing of sync: people's own tasks and those of their teams.

use serde_json::{Value, json};

use super::project::{Project, op};

/// Users. Their tokens have these as `sub`.
pub const ANN: &str = "00000000-0000-4000-8000-0000000000aa";
pub const BOB: &str = "00000000-0000-4000-8000-0000000000bb";
pub const EVE: &str = "00000000-0000-4000-8000-0000000000ee";
/// Teams. Ann owns both, Bob writes in the first and reads in the second.
pub const RED: &str = "10000000-0000-4000-8000-000000000001";
pub const BLUE: &str = "20000000-0000-4000-8000-000000000002";

/// The app's migration.
pub const APP: &str = "
    create table public.teams (id uuid primary key, name text not null);
    create table public.members (team_id uuid references public.teams on delete cascade, user_id uuid, role text not null default 'writer', primary key (team_id, user_id));
    create table public.lists (id uuid primary key default gen_random_uuid(), user_id uuid not null default auth.uid(), team_id uuid, name text not null);
    create table public.tasks (
      id uuid primary key default gen_random_uuid(),
      user_id uuid default auth.uid(),
      team_id uuid references public.teams,
      list_id uuid references public.lists on delete cascade on update cascade,
      title text not null check (title <> 'bad'),
      done boolean not null default false,
      note text,
      code text unique,
      hidden boolean not null default false,
      rank int not null default 7,
      created_at timestamptz not null default now(),
      modified_at timestamptz not null default now());
    create function public.my_teams() returns setof uuid language sql stable security definer set search_path = '' as
      $$ select team_id from public.members where user_id = auth.uid() $$;
    alter table public.teams enable row level security;
    alter table public.members enable row level security;
    alter table public.lists enable row level security;
    alter table public.tasks enable row level security;
    create policy all_lists on public.lists to authenticated using (user_id = auth.uid() or team_id in (select public.my_teams()));
    create policy r on public.tasks for select to authenticated using ((user_id = auth.uid() or team_id in (select public.my_teams())) and not hidden);
    create policy i on public.tasks for insert to authenticated with check (user_id = auth.uid() and title <> 'forbidden');
    create policy u on public.tasks for update to authenticated using ((user_id = auth.uid() or team_id in (select public.my_teams())) and title <> 'locked');
    create policy d on public.tasks for delete to authenticated using ((user_id = auth.uid() or team_id in (select public.my_teams())) and title <> 'locked');
    select datum.attach('public.tasks', owner => 'user_id', team => 'team_id', entity => 'task');
    select datum.attach('public.lists', owner => 'user_id', team => 'team_id', entity => 'list');
    select datum.membership('select team_id, role from public.members where user_id = auth.uid()');
    insert into public.teams values ('10000000-0000-4000-8000-000000000001', 'red'), ('20000000-0000-4000-8000-000000000002', 'blue');
    insert into public.members values
      ('10000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000aa', 'owner'),
      ('20000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-0000000000aa', 'owner'),
      ('10000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000bb', 'writer'),
      ('20000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-0000000000bb', 'reader');";

/// The n-th id of a row.
pub fn id(n: usize) -> String {
    format!("30000000-0000-4000-8000-{n:012}")
}

/// An operation on the n-th task.
pub fn task(op_id: &str, n: usize, kind: &str, base: impl Into<Value>, data: Value) -> Value {
    op(op_id, "task", &id(n), kind, base, data)
}

/// The creation of the n-th task.
pub fn create(op_id: &str, n: usize, title: &str) -> Value {
    task(op_id, n, "create", Value::Null, json!({ "title": title }))
}

/// Checks that the bookkeeping of a table says what the table does, and that every change has a place.
pub fn assert_in_step(project: &Project, at: &str) {
    let wrong = project.rows(
        "select e.name, q.* from datum.entity e, lateral (
           select (select count(*) from datum.row r where r.entity = e.name and not exists (
              select from datum.place p where p.txn = r.txn and p.space = r.space and p.pos is not null)) unplaced) q where q.unplaced > 0",
    );
    assert_eq!(wrong, json!([]), "{at}: rows without a place");
    for (entity, table, space) in [
        (
            "task",
            "public.tasks",
            "coalesce(t.team_id::text, 'u:' || t.user_id)",
        ),
        (
            "list",
            "public.lists",
            "coalesce(t.team_id::text, 'u:' || t.user_id)",
        ),
    ] {
        let differing = project.rows(&format!(
            "select * from (select t.id::text, {space} as space from {table} t where {space} is not null) t
             full join (select id, space from datum.row where entity = '{entity}' and not deleted) r on r.id = t.id and r.space = t.space
             where t.id is null or r.id is null"
        ));
        assert_eq!(differing, json!([]), "{at}: {table}");
    }
}
