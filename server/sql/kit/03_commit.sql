-- Positions are taken at commit, in the order of commits: under the lock of the space, which is held
-- until the transaction is visible. A reader that has seen a position has seen all before it.
--
-- One event a transaction does the work. Locks are by bucket, so that a statement over all users does
-- not fill the lock table, and taken in ascending order, so that two commits cannot wait for each other.
-- No row is a counter: updating one would fail transactions above READ COMMITTED.
create or replace function datum.stamp() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  buckets int[];
  bucket int;
begin
  -- The first event of a transaction does all of its places, and the others look at their own only.
  select array_agg(distinct p.hash & 255 order by p.hash & 255) into buckets from datum.place p
    where p.txn = new.txn and p.pos is null and exists (
      select from datum.place q where q.txn = new.txn and q.space = new.space and q.pos is null);
  if buckets is null then
    return null;
  end if;
  foreach bucket in array buckets loop
    perform pg_advisory_xact_lock(1684108397, bucket);
  end loop;
  -- A crash would forget positions that were already read.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  with placed as (
    update datum.place p set pos = nextval('datum.pos'), at = clock_timestamp()
      where p.txn = new.txn and p.pos is null returning p.space)
  insert into datum.hint (space) select p.space from placed p;
  perform pg_notify('datum_hint', p.space) from datum.server s, datum.place p where s.notify and p.txn = new.txn;
  return null;
end $f$;

drop trigger if exists stamp on datum.place;
create constraint trigger stamp after insert or update on datum.place
  deferrable initially deferred for each row when (new.pos is null) execute function datum.stamp();

-- Records one row as it stands, if it has a space, and has been in no other one.
create or replace function datum.mark_new(e text, i text, s text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  x xid8 := pg_current_xact_id();
begin
  if s is not null then
    insert into datum.row as r (entity, id, space, version, deleted, txn)
      values (e, i, s, nextval('datum.version'), false, x)
      on conflict (entity, id, space) do update
        set version = excluded.version, deleted = false, txn = excluded.txn, moved_to = null;
    insert into datum.place as p (txn, space) values (x, s)
      on conflict (txn, space) do update set pos = null where p.pos is not null;
  end if;
end $f$;

-- Records one row as it stands: its space, or none if it is gone. A transaction that has a position already
-- (after SET CONSTRAINTS IMMEDIATE, or a transaction number from before a restore) takes a new one.
create or replace function datum.mark(e text, i text, s text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  x xid8 := pg_current_xact_id();
  known record;
  live boolean := false;
begin
  for known in
    update datum.row r set version = nextval('datum.version'), txn = x, deleted = r.space is distinct from s,
        moved_to = case when r.space is distinct from s then s end
      where r.entity = e and r.id = i and (not r.deleted or r.space = s)
      returning r.space, r.deleted
  loop
    insert into datum.place as p (txn, space) values (x, known.space)
      on conflict (txn, space) do update set pos = null where p.pos is not null;
    live := live or not known.deleted;
  end loop;
  if not live then
    perform datum.mark_new(e, i, s);
  end if;
end $f$;

-- Whether commits also tell `datum_hint` by NOTIFY, for a server of one's own that listens. It makes commits
-- wait for each other, and PREPARE TRANSACTION impossible.
create or replace function datum.notify(wanted boolean) returns void
  language sql set search_path = pg_catalog, pg_temp
as $$ update datum.server set notify = wanted $$;
