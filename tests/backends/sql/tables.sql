-- The shape that Datum's own Supabase adapter syncs with: clients own `version` and `modified_at`, and there is no trigger.
create table public.tasks(
  id uuid primary key,
  user_id uuid not null references auth.users,
  title text not null check (title <> 'refuse'),
  done boolean not null default false,
  due_date date,
  list_id uuid,
  tag text unique,
  created_at timestamptz not null default now(),
  modified_at timestamptz not null default now(),
  version integer not null default 1,
  is_deleted boolean not null default false);
create table public.lists(
  id uuid primary key, user_id uuid not null, name text not null,
  created_at timestamptz not null default now(), modified_at timestamptz not null default now(), version integer not null default 1, is_deleted boolean not null default false);
alter table public.tasks add foreign key (list_id) references public.lists;
create table public.sync_metadata(
  user_id uuid primary key, last_sync_time timestamptz, last_successful_sync_time timestamptz, data_hash text, device_id text, devices jsonb, custom_metadata jsonb,
  entity_counts jsonb, sync_status text, conflict_count integer, error_message text, retry_count integer, sync_duration integer);
create index on public.tasks(user_id, modified_at, id);
alter table public.tasks enable row level security;
alter table public.lists enable row level security;
alter table public.sync_metadata enable row level security;
create policy mine on public.tasks to authenticated using (user_id = (select auth.uid()));
create policy mine on public.lists to authenticated using (user_id = (select auth.uid()));
create policy mine on public.sync_metadata to authenticated using (user_id = (select auth.uid()));
alter publication supabase_realtime add table public.tasks, public.lists;
