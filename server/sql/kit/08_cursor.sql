-- Cursors: the place of a pull in each space of the user. A checksum finds mistakes; a forged cursor only leads
-- to other places in what the user may read.
--
-- A cursor stands in every request and reply, so it must be short for a user in a thousand spaces too. Their places
-- come in groups, each under a hash of all that are in it: a list that is as it was needs no name for each space.
-- Of a list that has changed, groups with the same members are found again, and the others' spaces start
-- anew. Up to 64 spaces each is a group of its own; beyond, eight or so are.

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

-- The group of a space, among as many; each has its own among none.
create or replace function datum.group_of(space text, groups int) returns text language sql immutable
as $$ select case when groups = 0 then datum.tag(space) else mod(('x' || left(md5(space), 8))::bit(32)::bigint, groups)::text end $$;
create or replace function datum.group_name(spaces text[]) returns text language sql immutable
as $$ select datum.tag(array_to_string(spaces, ' ')) $$;

create or replace function datum.cursor_text(me text, epoch text, filter text, revision text, remain bigint, heads bigint, turn text, until_pos bigint, all_spaces datum.reading[])
  returns text language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  n int := cardinality(all_spaces);
  groups int := case when n > 64 then n / 8 else 0 end;
  width int;
  places text;
  made text;
begin
  select coalesce(max(length(to_hex(2 * greatest(r.pos, r.snap) + 1))), 1) into width from unnest(all_spaces) r;
  -- A space that has not begun has no place but the end of its snapshot.
  select string_agg(g.places, '') into places from (
    select lpad(to_hex(count(*)), 4, '0') || datum.group_name(array_agg(r.space order by r.space collate "C")) || string_agg(lpad(to_hex(
        case when r.pos = 0 and r.ver is null and r.snap > 0 then 2 * r.snap + 1 else 2 * r.pos end), width, '0'), '' order by r.space collate "C") places
      from unnest(all_spaces) r group by datum.group_of(r.space, groups)) g;
  made := concat_ws('.', 'k2', datum.tag(epoch), datum.tag(filter), revision, coalesce(to_hex(remain) || ':' || to_hex(heads), '-'), coalesce(datum.tag(turn), '-'),
    to_hex(coalesce(until_pos, 0)), to_hex(groups), to_hex(width), translate(encode(decode(rpad(places, (length(places) + 1) / 2 * 2, '0'), 'hex'), 'base64'), E'\n', ''), (
      select coalesce(string_agg(concat_ws(':', datum.tag(r.space), coalesce(to_hex(r.ver), ''), to_hex(r.snap)), '_'), '')
      from unnest(all_spaces) r where r.ver is not null or r.pos > 0 and r.snap > r.pos));
  return made || '.' || left(md5(me || ' ' || made), 8);
end $f$;

-- Reads a cursor, or refuses it. `places` has those of each group, `inside` the spaces in the middle of a snapshot or
-- of a transaction.
create or replace function datum.cursor_read(me text, epoch text, filter text, cursor text,
  out revision text, out remain bigint, out heads bigint, out turn text, out until_pos bigint,
  out groups int, out width int, out places jsonb, out inside jsonb)
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  parts text[] := string_to_array(cursor, '.');
  -- As bytes: places in a text are counted from its beginning.
  digits bytea;
  at int := 1;
  n int;
  names text[] := '{}';
  found_places text[] := '{}';
begin
  if cardinality(parts) <> 12 or parts[1] <> 'k2' or right(cursor, 8) <> left(md5(me || ' ' || left(cursor, -9)), 8) then
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
  groups := datum.unhex(parts[8]);
  width := datum.unhex(parts[9]);
  if groups < 0 or width not between 1 and 16 then
    perform datum.fail(410, 'cursorExpired', 'This is no cursor. Pull again with `cursor` null.');
  end if;
  digits := convert_to(encode(decode(parts[10], 'base64'), 'hex'), 'UTF8');
  while at + 16 <= length(digits) loop
    n := datum.unhex(encode(substring(digits from at for 4), 'escape'));
    names := names || encode(substring(digits from at + 4 for 12), 'escape');
    found_places := found_places || encode(substring(digits from at + 16 for n * width), 'escape');
    at := at + 16 + n * width;
  end loop;
  places := jsonb_object(names, found_places);
  select coalesce(jsonb_object_agg(split_part(p, ':', 1), jsonb_build_array(datum.unhex(nullif(split_part(p, ':', 2), '')), datum.unhex(split_part(p, ':', 3)))), '{}')
    into inside from unnest(string_to_array(parts[11], '_')) p where p <> '';
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
create or replace function datum.enter(groups int, width int, places jsonb, inside jsonb) returns datum.reading[]
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  made datum.reading[] := '{}';
  h record;
  place bigint;
  upto bigint;
begin
  for h in
    with l as materialized (select x.*, row_number() over () n, count(*) over () = 1 alone, datum.group_of(x.space, groups) g from datum.heads() x),
    m as (select l.g, places->>datum.group_name(array_agg(l.space order by l.space collate "C")) digits from l group by l.g)
    select l.*, inside->datum.tag(l.space) inner_place,
        datum.unhex(substr(m.digits, (row_number() over (partition by l.g order by l.space collate "C"))::int * width - width + 1, width)) place
      from l join m on m.g = l.g order by l.n
  loop
    place := h.place / 2;
    upto := case when h.place % 2 = 1 then place else coalesce((h.inner_place->>1)::bigint, 0) end;
    if place > h.head or upto > h.head then
      if pg_is_in_recovery() then
        perform datum.fail(503, 'behind', 'This replica has not got what the cursor has seen yet; try again shortly.', 1000);
      end if;
      perform datum.fail(410, 'epochChanged', 'The cursor is ahead of the server, which must have been restored. Pull again with `cursor` null.');
    elsif place is not null and greatest(place, upto) < h.floor then
      if h.alone then
        perform datum.fail(410, 'cursorExpired', 'The cursor is older than the deletions that the server still knows. Pull again with `cursor` null.');
      end if;
      place := null;
    end if;
    made := made || case when place is null then row(h.space, h.role, h.head, 0, null, h.head, true)::datum.reading
      when h.place % 2 = 1 then row(h.space, h.role, h.head, 0, null, upto, false)::datum.reading
      else row(h.space, h.role, h.head, place, (h.inner_place->>0)::bigint, upto, false)::datum.reading end;
  end loop;
  return made;
end $f$;
