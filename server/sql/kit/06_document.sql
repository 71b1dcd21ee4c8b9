-- Rows without a table of the app: `datum.document`, for those who want no schema.

-- Lets clients sync any entity type that is not a table's, as documents.
create or replace function datum.documents(allowed boolean default true) returns void
  language sql set search_path = pg_catalog, pg_temp
as $$ update datum.server set documents = allowed $$;

create or replace function datum.on_document() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  x xid8 := pg_current_xact_id();
begin
  if tg_op = 'INSERT' then
    insert into datum.row as r (entity, id, space, version, deleted, txn)
      select n.entity, n.id, n.space, nextval('datum.version'), false, x from _datum_new n
      on conflict (entity, id, space) do update set version = excluded.version, deleted = false, txn = x, moved_to = null;
    insert into datum.place as p (txn, space) select distinct x, n.space from _datum_new n
      on conflict (txn, space) do update set pos = null where p.pos is not null;
  elsif tg_op = 'DELETE' then
    update datum.row r set version = nextval('datum.version'), deleted = true, txn = x, moved_to = null
      from _datum_old o where r.entity = o.entity and r.id = o.id and r.space = o.space;
    insert into datum.place as p (txn, space) select distinct x, o.space from _datum_old o
      on conflict (txn, space) do update set pos = null where p.pos is not null;
  else
    -- A changed space is a move. The pairs of old and new are not known, so the type and id tell.
    update datum.row r set version = nextval('datum.version'), deleted = true, txn = x,
        moved_to = (select n.space from _datum_new n where n.entity = r.entity and n.id = r.id
          and not exists (select from _datum_old s where s.entity = n.entity and s.id = n.id and s.space = n.space) limit 1)
      from _datum_old o where r.entity = o.entity and r.id = o.id and r.space = o.space
        and not exists (select from _datum_new n where n.entity = o.entity and n.id = o.id and n.space = o.space);
    insert into datum.row as r (entity, id, space, version, deleted, txn)
      select n.entity, n.id, n.space, nextval('datum.version'), false, x from _datum_new n
      on conflict (entity, id, space) do update set version = excluded.version, deleted = false, txn = x, moved_to = null;
    insert into datum.place as p (txn, space) select x, s.space from (select n.space from _datum_new n union select o.space from _datum_old o) s
      on conflict (txn, space) do update set pos = null where p.pos is not null;
  end if;
  return null;
end $f$;
create or replace function datum.cut_document() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
begin
  with dead as (
    update datum.row r set deleted = true, version = nextval('datum.version'), txn = pg_current_xact_id(), moved_to = null
      where not r.deleted and not exists (select from datum.entity e where e.name = r.entity) returning r.space)
  insert into datum.place as p (txn, space) select distinct pg_current_xact_id(), d.space from dead d
    on conflict (txn, space) do update set pos = null where p.pos is not null;
  return null;
end $f$;

drop trigger if exists zz_datum_i on datum.document;
create trigger zz_datum_i after insert on datum.document referencing new table as _datum_new for each statement execute function datum.on_document();
drop trigger if exists zz_datum_u on datum.document;
create trigger zz_datum_u after update on datum.document referencing old table as _datum_old new table as _datum_new for each statement execute function datum.on_document();
drop trigger if exists zz_datum_d on datum.document;
create trigger zz_datum_d after delete on datum.document referencing old table as _datum_old for each statement execute function datum.on_document();
drop trigger if exists zz_datum_t on datum.document;
create trigger zz_datum_t after truncate on datum.document for each statement execute function datum.cut_document();
