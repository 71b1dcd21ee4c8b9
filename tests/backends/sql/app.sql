-- An app that knows nothing of sync: people's own tasks, and those of their teams.
create table public.teams(id uuid primary key default gen_random_uuid(), name text not null);
create table public.members(team_id uuid not null references public.teams on delete cascade, user_id uuid not null, role text not null default 'writer', primary key (team_id, user_id));
create function public.my_teams() returns setof uuid language sql stable security definer set search_path = '' as $$ select team_id from public.members where user_id = auth.uid() $$;
create table public.tasks(
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid(),
  team_id uuid references public.teams,
  title text not null check (title <> 'refuse'),
  done boolean not null default false,
  note text,
  hidden boolean not null default false,
  created_at timestamptz not null default now(),
  modified_at timestamptz not null default now());
alter table public.teams enable row level security;
alter table public.members enable row level security;
alter table public.tasks enable row level security;
create policy mine on public.members for select to authenticated using (user_id = (select auth.uid()));
create policy mine on public.teams for select to authenticated using (id in (select public.my_teams()));
create policy read on public.tasks for select to authenticated using ((user_id = (select auth.uid()) or team_id in (select public.my_teams())) and not hidden);
create policy add on public.tasks for insert to authenticated with check (user_id = (select auth.uid()) and (team_id is null or team_id in (select public.my_teams())));
create policy change on public.tasks for update to authenticated using (user_id = (select auth.uid()) or team_id in (select public.my_teams()));
create policy remove on public.tasks for delete to authenticated using (user_id = (select auth.uid()) or team_id in (select public.my_teams()));
