-- How the columns of a table appear as the fields of an object.

-- `due_date` becomes `dueDate`.
create or replace function datum.camel(name text) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp
as $f$
declare
  parts text[] := string_to_array(ltrim(name, '_'), '_');
  made text := parts[1];
  part text;
begin
  foreach part in array coalesce(parts[2:], '{}') loop
    -- Not by the database's language, in which the upper case of i may be another letter.
    made := made || upper(left(part, 1) collate "C") || substr(part, 2);
  end loop;
  return made;
end $f$;

-- Names that stand beside the data on the wire, and are no fields of it.
create or replace function datum.is_beside(wire text) returns boolean language sql immutable
as $$ select wire in ('id', 'userId', 'version', 'isDeleted') $$;

-- The columns of a table under sync: the field of each (none if it is not part of the data), whether a
-- client may write it, and the expression that reads it from the row `_dt`. Of the caller's rights it
-- shows what may be read.
create or replace function datum.columns(e datum.entity)
  returns table (col text, wire text, writable boolean, reads text)
  language sql stable set search_path = pg_catalog, pg_temp
as $$
  select q.name, case when q.wire is not null and not datum.is_beside(q.wire) then q.wire end, q.writable,
    case
      when q.wire in ('createdAt', 'modifiedAt') and q.type = 'timestamp with time zone'
        then format('to_char(_dt.%I at time zone ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'')', q.name)
      when q.name = any (e.as_text) then format('_dt.%I::text', q.name)
      else format('_dt.%I', q.name)
    end
  from (
    select a.attname::text name, format_type(a.atttypid, null) as type,
      case
        when a.attname = e.key or a.attname = e.team or a.attname = e.deleted then null
        when a.attname = e.owner and e.team is null then null
        when a.attname = e.created then 'createdAt'
        when a.attname = e.modified then 'modifiedAt'
        when e.camel then datum.camel(a.attname)
        else a.attname::text
      end wire,
      a.attgenerated = '' and a.attidentity <> 'a' writable
    from pg_attribute a
    where a.attrelid = e.rel and a.attnum > 0 and not a.attisdropped
      and has_column_privilege(current_user, a.attrelid, a.attnum, 'select')
    order by a.attnum
  ) q
$$;

-- What push and pull need to know of a table, as JSON, for the caller: `reads` makes the object of a row
-- `_dt`; `fields` has the column of each field that may be written, `fixed` the fields that may not.
create or replace function datum.shape(e datum.entity) returns jsonb
  language sql stable set search_path = pg_catalog, pg_temp
as $$
  with c as materialized (select c.*, row_number() over () n from datum.columns(e) c where c.wire is not null)
  select jsonb_build_object(
    'reads', coalesce((select string_agg(format('jsonb_build_object(%s)', g.pairs), ' || ' order by g.block) from (
        select (c.n - 1) / 40 block, string_agg(format('%L, %s', c.wire, c.reads), ', ' order by c.n) pairs from c group by 1) g), '''{}''::jsonb'),
    'fields', coalesce((select jsonb_object_agg(c.wire, c.col) from c where c.writable), '{}'),
    'fixed', coalesce((select jsonb_object_agg(c.wire, c.col) from c where not c.writable), '{}'))
$$;

-- A table under sync by the name of its entity type. `tbl` is its name now, or null if it is gone.
create or replace function datum.entity_of(wanted text) returns datum.entity
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  e datum.entity;
begin
  select x.* into e from datum.entity x where x.name = wanted;
  if e.name is not null then
    e.tbl := (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = e.rel);
  end if;
  return e;
end $f$;
