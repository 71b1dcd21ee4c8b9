-- Who asks, and which spaces that user may read.

-- Small functions have no search path of their own, so that they become part of the query that calls them:
-- functions with the rights of their author have one, and the others run with the caller's rights.

-- The user of the token; null without one.
create or replace function datum.me() returns text language sql stable
as $$
  select coalesce(nullif(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub', ''),
    nullif(current_setting('request.jwt.claim.sub', true), ''))
$$;

-- The protocol's name of a space: none for a personal one.
create or replace function datum.wire_space(space text) returns text language sql immutable
as $$ select case when space not like 'u:%' then space end $$;

-- A team's id as a space's. A whole number becomes a UUID that holds it, so that both sides can compute it.
create or replace function datum.space_of(team uuid) returns text language sql immutable
as $$ select team::text $$;
create or replace function datum.space_of(team bigint) returns text language sql immutable
as $$
  select case when team between 0 and 281474976710655
    then '00000000-0000-8000-8000-' || lpad(to_hex(team), 12, '0') end
$$;
create or replace function datum.team_of(space text, type text) returns text language sql immutable
as $$
  select case when type = 'uuid' then space
    when space ~ '^00000000-0000-8000-8000-[0-9a-f]{12}$'
    then ('x' || lpad(right(space, 12), 16, '0'))::bit(64)::bigint::text end
$$;

-- Replaced by `datum.membership`.
do $$
begin
  if to_regprocedure('datum.members_of_me()') is null then
    execute $f$create function datum.members_of_me() returns table (team text, role text)
      language sql stable security definer set search_path = '' as 'select null::text, null::text where false'$f$;
    execute $f$create function datum.my_role(wanted text) returns text
      language sql stable security definer set search_path = '' as 'select null::text'$f$;
  end if;
end $$;

-- The protocol's role for an app's word.
create or replace function datum.role_named(word text) returns text language sql immutable
as $$ select case when word in ('owner', 'admin') then 'owner' when word in ('reader', 'viewer') then 'reader' else 'writer' end $$;

-- The caller's spaces: the own one first, then the shared ones by id. A user who is a member twice has
-- the greater role.
create or replace function datum.mine() returns table (space text, role text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select 'u:' || datum.me(), 'owner' where datum.me() is not null
  union all
  (select m.team, datum.role_named((array_agg(m.role order by array_position(array['owner', 'writer', 'reader'], datum.role_named(m.role))))[1])
    from datum.members_of_me() m where m.team is not null and datum.me() is not null
    group by m.team order by m.team)
$$;

create or replace function datum.role_in(wanted text) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select case when wanted = 'u:' || datum.me() then 'owner'
    when wanted ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' and datum.me() is not null then datum.my_role(wanted) end
$$;

-- Says who is in which shared space: a query for the current user (`auth.uid()`), with the team's id and,
-- if roles differ, the role: `reader`, `writer` or `owner` (`viewer` and `admin` are understood).
-- The query runs with the rights of its author and sees all rows.
create or replace function datum.membership(query text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  columns text[];
  types text[];
begin
  if query is null then
    query := 'select null::uuid where false';
  end if;
  query := regexp_replace(query, ';\s*$', '');
  begin
    execute format('create view pg_temp.datum_membership as %s', query);
    select array_agg(a.attname::text order by a.attnum), array_agg(format_type(a.atttypid, null) order by a.attnum)
      into columns, types from pg_attribute a
      where a.attrelid = 'pg_temp.datum_membership'::regclass and a.attnum > 0;
    drop view pg_temp.datum_membership;
  exception when others then
    raise exception 'datum.membership: the query cannot be used: %. Name tables with their schema', sqlerrm
      using errcode = sqlstate;
  end;
  if cardinality(columns) > 2 or not types[1] = any (array['uuid', 'bigint', 'integer', 'smallint']) then
    raise exception 'datum.membership: the query must select the team''s id (uuid or a whole number) and, if you like, the role';
  end if;
  execute format($q$create or replace function datum.members_of_me() returns table (team text, role text)
    language sql stable security definer set search_path = '' as %L$q$,
    format('select datum.space_of(_datum_q.team%s), %s from (%s) as _datum_q(team%s)',
      case when types[1] = 'uuid' then '' else '::bigint' end,
      case when cardinality(columns) = 2 then '_datum_q.role::text' else 'null::text' end, query,
      case when cardinality(columns) = 2 then ', role' else '' end));
  -- The same for one space: an app's index finds it.
  execute format($q$create or replace function datum.my_role(wanted text) returns text
    language plpgsql stable security definer set search_path = '' as %L$q$, format($q$
    #variable_conflict use_column
    declare
      _datum_t %1$s := datum.team_of(wanted, %1$L)::%1$s;
    begin
      return (select datum.role_named((array_agg(_datum_q.role order by pg_catalog.array_position(array['owner', 'writer', 'reader'], datum.role_named(_datum_q.role))))[1])
        from (select _datum_r.team, %2$s as role from (%3$s) as _datum_r(team%4$s)) _datum_q where _datum_q.team = _datum_t having count(*) > 0);
    end$q$, types[1], case when cardinality(columns) = 2 then '_datum_r.role::text' else 'null::text' end, query,
    case when cardinality(columns) = 2 then ', role' else '' end));
  revoke all on function datum.members_of_me(), datum.my_role(text) from public;
  -- What does not run shall fail here.
  perform datum.my_role('00000000-0000-8000-8000-000000000000');
end $f$;
