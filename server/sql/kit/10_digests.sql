-- Digests, on demand: the hash over the live rows that the caller sees. Under row-level security those are
-- another set for each user, so nothing can be kept.

-- The live rows of the caller's spaces.
create or replace function datum.live(e text) returns table (space text, id text, version bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select r.space, r.id, r.version from datum.mine() m join datum.row r on r.space = m.space
    where r.entity = e and not r.deleted
$$;
create or replace function datum.live_types() returns setof text
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select distinct r.entity from datum.mine() m join datum.row r on r.space = m.space where not r.deleted
$$;

-- The number of a row: the first 16 digits of the MD5 of the lines of its space, type, id and version.
create or replace function datum.row_hash(sp text, e text, i text, v bigint) returns bigint
  language sql immutable
as $$
  select ('x' || left(md5(case when sp like 'u:%' then '' else sp || E'\n' end || e || E'\n' || i || E'\n' || v), 16))::bit(64)::bigint
$$;

create or replace function datum.digests(ents text[]) returns text
  language plpgsql stable
as $f$
declare
  made jsonb := '{}';
  e text;
  ent datum.entity;
  n bigint;
  total numeric;
begin
  for e in select t from (select unnest(ents) t union select t from datum.live_types() t where ents is null) x order by t loop
    continue when left(e, 1) = '$';
    ent := datum.entity_of(e);
    n := 0;
    total := 0;
    if ent.name is null then
      select count(*), coalesce(sum(datum.row_hash(l.space, e, l.id, l.version)::numeric), 0) into n, total
        from datum.live(e) l;
    elsif ent.tbl is not null then
      execute format($q$select count(*), coalesce(sum(datum.row_hash(l.space, $1, l.id, l.version)::numeric), 0)
        from datum.live($1) l join %s _dt on _dt.%I = l.id::%s$q$, ent.tbl, ent.key, ent.key_type) into n, total using e;
    end if;
    total := mod(mod(total, 18446744073709551616) + 18446744073709551616, 18446744073709551616);
    made := made || jsonb_build_object(e, jsonb_build_object('count', n, 'hash',
      lpad(to_hex((case when total >= 9223372036854775808 then total - 18446744073709551616 else total end)::bigint), 16, '0')));
  end loop;
  return made::text;
end $f$;
