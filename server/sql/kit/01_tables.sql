-- datum-sync: the sync protocol as SQL functions, for PostgreSQL 14 or later behind PostgREST or
-- Supabase. Run it as the role that owns the app's tables (on Supabase: postgres); no superuser is
-- needed. Running it again changes nothing, running a later version upgrades.
--
-- Nothing here touches an app's table before `datum.attach`. `datum.uninstall()` removes everything.

create schema if not exists datum;
comment on schema datum is 'datum-sync: bookkeeping of sync. Keep it out of the schemas that the API exposes.';

-- One row: which server this is, and in which of its histories.
create table if not exists datum.server (
  only_one boolean primary key default true check (only_one),
  server_id text not null default gen_random_uuid()::text,
  epoch text not null default gen_random_uuid()::text,
  version text,
  documents boolean not null default false,
  notify boolean not null
);
-- Where Supabase Realtime delivers the hints, nobody needs NOTIFY, which a commit pays for.
insert into datum.server (notify) select not exists (select from pg_publication p where p.pubname = 'supabase_realtime')
  on conflict do nothing;

-- Every write of a row takes the next version. Not cached: a later write of a row must have a greater
-- version, whichever session makes it.
create sequence if not exists datum.version;
-- The place of a transaction in the history of its spaces, taken at commit under the space's lock.
create sequence if not exists datum.pos;

-- The tables under sync. A dump has `rel` by its name, so that it survives a restore.
create table if not exists datum.entity (
  name text primary key,
  rel regclass not null unique,
  tbl text not null,
  key text not null,
  key_type text not null,
  owner text,
  owner_type text,
  team text,
  team_type text,
  deleted text,
  deleted_type text,
  created text,
  modified text,
  camel boolean not null,
  as_text text[] not null,
  space text not null,
  deferrables text not null,
  attached_at timestamptz not null default clock_timestamp()
);

-- The state of each row under sync, and its tombstones. Keys compare as bytes: that is what they are, and
-- locales cost time. `txn` and `hash` lead to its place in the history: two numbers make an index entry of half the
-- size, and of what a large transaction wrote, a space's own rows are together.
-- A space is the UUID of a shared one, or `u:` and the user.
create table if not exists datum.row (
  entity text collate "C" not null,
  id text collate "C" not null,
  space text collate "C" not null,
  version bigint not null,
  deleted boolean not null,
  txn xid8 not null,
  moved_to text collate "C",
  hash int not null generated always as (hashtext(space)) stored,
  primary key (entity, id, space)
) with (fillfactor = 90);
create index if not exists row_txn on datum.row (txn, hash, version);

-- One row for each transaction and space. `pos` is null until the transaction comes to its commit, so
-- nobody else ever sees it null.
create table if not exists datum.place (
  txn xid8 not null,
  space text collate "C" not null,
  pos bigint,
  at timestamptz not null default clock_timestamp(),
  hash int not null generated always as (hashtext(space)) stored,
  primary key (txn, space)
) with (fillfactor = 80);
create index if not exists place_pos on datum.place (space, pos);

-- The greatest position and version among the tombstones that were deleted.
create table if not exists datum.floor (
  space text collate "C" primary key,
  pos bigint not null,
  version bigint not null
);

-- What was applied, by user. Version 0: superseded before it arrived; -1: it met a row without a base.
create table if not exists datum.op (
  usr text collate "C" not null,
  op_id text collate "C" not null,
  space text collate "C" not null,
  entity text collate "C" not null,
  id text collate "C" not null,
  version bigint not null,
  left_version bigint,
  at timestamptz not null default clock_timestamp(),
  primary key (usr, op_id)
);
create index if not exists op_at on datum.op (at);

create table if not exists datum.device (
  usr text collate "C" not null,
  device_id text collate "C" not null,
  record jsonb not null,
  at timestamptz not null default clock_timestamp(),
  primary key (usr, device_id)
);

-- Hints for realtime: a row says that a space has something to pull. Only ever inserted, and swept: a
-- row that each commit updates would make transactions above READ COMMITTED fail.
create table if not exists datum.hint (
  id bigint generated always as identity primary key,
  space text collate "C" not null,
  at timestamptz not null default clock_timestamp()
);

-- Rows of an app without tables of its own: any JSON object, by space, type and id.
create table if not exists datum.document (
  space text collate "C" not null,
  entity text collate "C" not null,
  id text collate "C" not null,
  data jsonb not null check (jsonb_typeof(data) = 'object'),
  primary key (space, entity, id)
);

create or replace function datum.version() returns text language sql immutable set search_path = ''
  as $$ select '1.0.0'::text $$;
