-- What the operator runs, by hand or by pg_cron.

-- Deletes what its time has passed: tombstones (90 days), applied operations (30 days), hints (a day), places
-- without rows, and the rows of tables that are gone. Returns how many of each.
create or replace function datum.sweep(tombstones interval default '90 days', operations interval default '30 days', hints interval default '1 day')
  returns table (swept text, n bigint)
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  e datum.entity;
  total bigint;
begin
  for e in select x.* from datum.entity x where not exists (select from pg_class c where c.oid = x.rel) loop
    perform datum.forget(e);
  end loop;
  with gone as (
    delete from datum.row r using datum.place p
      where r.deleted and p.txn = r.txn and p.hash = r.hash and p.space = r.space and p.pos is not null and p.at < clock_timestamp() - tombstones
      returning r.space, p.pos, r.version
  ), raised as (
    insert into datum.floor as f (space, pos, version) select g.space, max(g.pos), max(g.version) from gone g group by g.space
      on conflict (space) do update set pos = greatest(f.pos, excluded.pos), version = greatest(f.version, excluded.version)
  )
  select count(*) into total from gone;
  swept := 'tombstones'; n := total;
  return next;
  delete from datum.op o where o.at < clock_timestamp() - operations;
  get diagnostics total = row_count;
  swept := 'operations'; n := total;
  return next;
  delete from datum.hint h where h.at < clock_timestamp() - hints;
  get diagnostics total = row_count;
  swept := 'hints'; n := total;
  return next;
  -- Cursors are compared with the last place of a space, so that one stays.
  delete from datum.place p where p.pos is not null and p.at < clock_timestamp() - hints
    and not exists (select from datum.row r where r.txn = p.txn and r.hash = p.hash and r.space = p.space)
    and exists (select from datum.place q where q.space = p.space and q.pos > p.pos);
  get diagnostics total = row_count;
  swept := 'places'; n := total;
  return next;
end $f$;

-- Names a new history. Run it after restoring an older state, before anybody syncs.
create or replace function datum.new_epoch() returns text
  language sql set search_path = pg_catalog, pg_temp
as $$ update datum.server set epoch = gen_random_uuid()::text returning epoch $$;

-- Makes a copy of the database a server of its own.
create or replace function datum.new_server_id() returns text
  language sql set search_path = pg_catalog, pg_temp
as $$ update datum.server set server_id = gen_random_uuid()::text returning server_id $$;

create or replace view datum.status as
  select e.name as entity, e.tbl as "table",
    (select count(*) from datum.row r where r.entity = e.name and not r.deleted) as rows,
    (select count(*) from datum.row r where r.entity = e.name and r.deleted) as tombstones,
    (select max(p.at) from datum.place p join datum.row r on r.txn = p.txn and r.hash = p.hash and r.space = p.space where r.entity = e.name) as last_change,
    case
      when c.oid is null then 'the table is gone; datum.sweep() forgets it'
      when format('%I.%I', n.nspname, c.relname) <> e.tbl then format('renamed to %I.%I; run datum.attach again', n.nspname, c.relname)
      when exists (select from unnest(array[e.key, e.owner, e.team, e.deleted]) x where x is not null and not exists (
        select from pg_attribute a where a.attrelid = e.rel and a.attname = x and not a.attisdropped)) then 'a column that says whose a row is was renamed or dropped; run datum.attach again'
      when (select count(*) from pg_trigger t where t.tgrelid = e.rel and t.tgname like 'zz\_datum%' and t.tgenabled in ('O', 'A'))
        < case when c.relkind = 'p' then 2 else 4 end then 'triggers are missing or disabled; run datum.attach again, which finds what they missed with datum.reconcile'
      else 'in sync'
    end as state
  from datum.entity e left join pg_class c on c.oid = e.rel left join pg_namespace n on n.oid = c.relnamespace
  union all
  select r.entity, 'datum.document', count(*) filter (where not r.deleted), count(*) filter (where r.deleted), null, 'in sync'
  from datum.row r where not exists (select from datum.entity e where e.name = r.entity) group by r.entity;

-- Removes all of this from the database. The app's tables are as they were before.
create or replace function datum.uninstall() returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  e datum.entity;
begin
  -- What this transaction has written waits for its commit.
  set constraints all immediate;
  for e in select x.* from datum.entity x join pg_class c on c.oid = x.rel loop
    perform datum.uninstall_triggers(e.rel);
  end loop;
  if to_regclass('cron.job') is not null then
    execute $q$select cron.unschedule(jobid) from cron.job where jobname = 'datum-sweep'$q$;
  end if;
  drop function if exists public.datum_pull(json), public.datum_push(json), public.datum_metadata(json);
  drop schema datum cascade;
  notify pgrst, 'reload schema';
end $f$;
