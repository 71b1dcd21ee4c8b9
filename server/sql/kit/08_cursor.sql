-- Cursors: the place of a pull in each space of the user. A space is named by a hash, so that a cursor is
-- short and names nothing. A checksum finds mistakes; a forged cursor only leads to other places in what the
-- user may read.

-- Of a space: everything up to `pos` was delivered, and of the transaction at `pos` up to `ver` if that is
-- not null. Up to `snap` the space comes as a snapshot.
do $$
begin
  if to_regtype('datum.reading') is null then
    create type datum.reading as (space text, role text, head bigint, pos bigint, ver bigint, snap bigint, starts boolean);
  end if;
end $$;

create or replace function datum.tag(t text) returns text language sql immutable
as $$ select left(md5(t), 12) $$;
create or replace function datum.unhex(t text) returns bigint language sql immutable
as $$ select ('x' || lpad(t, 16, '0'))::bit(64)::bigint $$;

create or replace function datum.cursor_text(me text, epoch text, filter text, revision text, remain bigint, heads bigint, turn text, until_pos bigint, all_spaces datum.reading[])
  returns text language sql stable set search_path = pg_catalog, pg_temp
as $$
  select x.t || '.' || left(md5(me || ' ' || x.t), 8) from (
    select concat_ws('.', 'k1', datum.tag(epoch), datum.tag(filter), revision, coalesce(to_hex(remain) || ':' || to_hex(heads), '-'), coalesce(datum.tag(turn), '-'),
      to_hex(coalesce(until_pos, 0)), (
        select string_agg(rtrim(concat_ws(':', datum.tag(r.space), to_hex(r.pos), coalesce(to_hex(r.ver), ''),
          case when r.snap > r.pos or r.snap = r.pos and r.ver is not null then to_hex(r.snap) else '' end), ':'), '_' order by r.n)
        from unnest(all_spaces) with ordinality r(space, role, head, pos, ver, snap, starts, n))) t) x
$$;

-- Reads a cursor, or refuses it.
create or replace function datum.cursor_read(me text, epoch text, filter text, cursor text,
  out revision text, out remain bigint, out heads bigint, out turn text, out until_pos bigint, out places jsonb)
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  parts text[] := string_to_array(cursor, '.');
begin
  if cardinality(parts) <> 9 or parts[1] <> 'k1' or right(cursor, 8) <> left(md5(me || ' ' || left(cursor, -9)), 8) then
    perform datum.fail(410, 'cursorExpired', 'This is no cursor of this user. Pull again with `cursor` null.');
  end if;
  if parts[2] <> datum.tag(epoch) then
    perform datum.fail(410, 'epochChanged', 'The cursor is of another epoch. Pull again with `cursor` null.');
  end if;
  if parts[3] <> datum.tag(filter) then
    perform datum.fail(410, 'scopeChanged', 'The cursor is of other `entities` or another `scope`. Pull again with `cursor` null.');
  end if;
  revision := parts[4];
  remain := case when parts[5] <> '-' then datum.unhex(split_part(parts[5], ':', 1)) end;
  heads := case when parts[5] <> '-' then datum.unhex(split_part(parts[5], ':', 2)) end;
  turn := parts[6];
  until_pos := datum.unhex(parts[7]);
  select coalesce(jsonb_object_agg(split_part(p, ':', 1), jsonb_build_array(datum.unhex(split_part(p, ':', 2)),
      datum.unhex(nullif(split_part(p, ':', 3), '')), datum.unhex(nullif(split_part(p, ':', 4), '')))), '{}')
    into places from unnest(string_to_array(parts[8], '_')) p;
end $f$;

-- The caller's spaces with the ends of their histories.
create or replace function datum.heads() returns table (space text, role text, head bigint, floor bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select m.space, m.role, greatest(coalesce((select p.pos from datum.place p where p.space = m.space and p.pos is not null order by p.pos desc limit 1), 0),
    coalesce(f.pos, 0)), coalesce(f.pos, 0)
  from datum.mine() with ordinality m(space, role, n) left join datum.floor f on f.space = m.space
  order by m.n
$$;
create or replace function datum.last_version() returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select s.last_value from datum.version s $$;

-- Takes each space to its place in the cursor. One that the cursor does not have starts.
create or replace function datum.enter(places jsonb) returns datum.reading[]
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  made datum.reading[] := '{}';
  h record;
  place jsonb;
  furthest bigint;
  alone boolean;
begin
  for h in select x.*, count(*) over () n from datum.heads() x loop
    alone := h.n = 1;
    place := places->datum.tag(h.space);
    if place is not null then
      furthest := greatest((place->>0)::bigint, (place->>2)::bigint);
      if furthest > h.head then
        perform datum.fail(410, 'epochChanged', 'The cursor is ahead of the server, which must have been restored. Pull again with `cursor` null.');
      elsif furthest < h.floor then
        if alone then
          perform datum.fail(410, 'cursorExpired', 'The cursor is older than the deletions that the server still knows. Pull again with `cursor` null.');
        end if;
        place := null;
      end if;
    end if;
    if place is null then
      made := made || row(h.space, h.role, h.head, 0, null, h.head, true)::datum.reading;
    else
      made := made || row(h.space, h.role, h.head, (place->>0)::bigint, (place->>1)::bigint, coalesce((place->>2)::bigint, 0), false)::datum.reading;
    end if;
  end loop;
  return made;
end $f$;
