-- Pull. Which rows changed comes from the bookkeeping, for the caller's spaces only; their data from the
-- tables, as the caller: what row-level security hides is not there.

-- The changes of one of the caller's spaces after a place, in the order of commits.
create or replace function datum.page(sp text, after bigint, ver bigint, snap bigint, until_pos bigint, ents text[], most int)
  returns table (pos bigint, version bigint, entity text, id text, deleted boolean, moved_to text, at timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  p record;
  left_n int := most;
  n int;
begin
  if datum.role_in(sp) is null then
    return;
  end if;
  for p in select l.pos, l.txn, l.hash, l.at from datum.place l
    where l.space = sp and l.pos >= after + case when ver is null then 1 else 0 end and l.pos <= until_pos order by l.pos
  loop
    return query select p.pos, r.version, r.entity, r.id, r.deleted, r.moved_to, p.at from datum.row r
      where r.txn = p.txn and r.hash = p.hash and r.space = sp and r.version > case when p.pos = after then ver else 0 end
        and (ents is null or r.entity = any (ents)) and not (r.deleted and p.pos <= snap)
      order by r.version limit left_n;
    get diagnostics n = row_count;
    left_n := left_n - n;
    exit when left_n = 0;
  end loop;
end $f$;

-- How many rows that is, counted up to a bound; null beyond.
create or replace function datum.count_left(spaces datum.reading[], ents text[], most int) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off set enable_mergejoin = off
as $f$
declare
  r datum.reading;
  n bigint;
  total bigint := 0;
begin
  for r in select x.* from unnest(spaces) x join datum.mine() m on m.space = x.space where x.head > x.pos or x.ver is not null loop
    select count(*) into n from (
      select from datum.place p join datum.row w on w.txn = p.txn and w.hash = p.hash and w.space = p.space
        where p.space = r.space and p.pos >= r.pos + case when r.ver is null then 1 else 0 end and p.pos <= r.head
          and w.version > case when p.pos = r.pos then r.ver else 0 end
          and (ents is null or w.entity = any (ents)) and not (w.deleted and p.pos <= r.snap)
        limit most - total + 1) x;
    total := total + n;
    if total > most then
      return null;
    end if;
  end loop;
  return total;
end $f$;

-- Where a moved row lives now, if the caller may read that space. It is followed through others' spaces.
create or replace function datum.moved(e text, i text, sp text) returns table (space text, version bigint)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  r datum.row;
begin
  for hop in 0..8 loop
    select x.* into r from datum.row x where x.entity = e and x.id = i and x.space = sp;
    if r.entity is null then
      return;
    elsif not r.deleted then
      if datum.role_in(r.space) is not null then
        space := r.space;
        version := r.version;
        return next;
      end if;
      return;
    end if;
    sp := r.moved_to;
  end loop;
end $f$;

-- Documents of one of the caller's spaces. Each is found by its whole key: a plain join reads all documents of the
-- type for each id where PostgreSQL has no statistics yet.
create or replace function datum.documents_of(e text, ids text[], sp text) returns table (n bigint, data jsonb)
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select u.n, d.data from unnest(ids) with ordinality u(id, n)
    cross join lateral (select x.data from datum.document x where x.space = sp and x.entity = e and x.id = u.id limit 1) d
    where datum.role_in(sp) is not null
$$;

-- The data of rows as the caller sees them, by place in the list of ids.
create or replace function datum.data_of(e text, ids text[], sp text) returns table (n bigint, data jsonb)
  language plpgsql stable
as $f$
declare
  ent datum.entity := datum.entity_of(e);
begin
  if ent.name is null then
    return query select d.n, d.data from datum.documents_of(e, ids, sp) d;
  elsif ent.tbl is not null then
    return query execute format($q$
      select u.n, l.data from unnest($1) with ordinality u(id, n)
        cross join lateral (select %s data from %s _dt where _dt.%I = u.id::%s limit 1) l$q$,
      datum.shape(ent)->>'reads', ent.tbl, ent.key, ent.key_type) using ids;
  end if;
end $f$;

-- One change, as text.
create or replace function datum.change(e text, i text, v bigint, sp text, rest text) returns text
  language sql immutable
as $$
  select '{"entity":' || to_json(e)::text || ',"id":' || to_json(i)::text || ',"version":' || v
    || case when sp like 'u:%' then '' else ',"space":' || to_json(sp)::text end || rest || '}'
$$;

-- The checked `entities` and `scope` of a pull.
create or replace function datum.filter(req jsonb, out ents text[], out wanted jsonb)
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  bad text;
begin
  if not datum.is_none(req->'entities') then
    if jsonb_typeof(req->'entities') <> 'array' or jsonb_array_length(req->'entities') not between 1 and 256
      or exists (select from jsonb_array_elements(req->'entities') x where jsonb_typeof(x) <> 'string') then
      perform datum.fail(400, 'badRequest', '`entities` must name 1 to 256 entity types; leave it out for all.');
    end if;
    select array_agg(distinct x order by x) into ents from jsonb_array_elements_text(req->'entities') x;
    select x into bad from unnest(ents) x where not datum.is_id(x, 128) limit 1;
    if bad is not null then
      perform datum.fail(400, 'badRequest', '`entities` must have names of 1 to 128 bytes without control characters.');
    end if;
    if not (datum.server_row()).documents then
      select x into bad from unnest(ents) x where (datum.entity_of(x)).name is null and left(x, 1) <> '$' limit 1;
    else
      select x into bad from unnest(ents) x where left(x, 1) = '$' and x not in ('$space', '$member') limit 1;
    end if;
    if bad is not null then
      perform datum.fail(400, 'unknownEntity', format('`entities` names `%s`, which is no table under sync. Put it under sync with datum.attach.', bad));
    end if;
  end if;
  if not datum.is_none(req->'scope') then
    wanted := req->'scope'->'where';
    if jsonb_typeof(wanted) is distinct from 'object' or (select count(*) from jsonb_object_keys(req->'scope')) <> 1
      or (select count(*) from jsonb_object_keys(wanted)) not between 1 and 16
      or exists (select from jsonb_each(wanted) w where jsonb_typeof(w.value) in ('array', 'object')) then
      perform datum.fail(400, 'unsupportedScope', '`scope` must be {"where": {field: value}} with 1 to 16 fields that are strings, numbers, booleans or null.');
    end if;
  end if;
end $f$;

-- The search path is the caller's: functions of the app's policies may need it.
create or replace function public.datum_pull(json) returns json
  language plpgsql stable set timezone = 'UTC'
as $f$
declare
  req jsonb := datum.body($1);
  me text := datum.check_request(req);
  srv datum.server := datum.server_row();
  lim numeric := datum.whole(req->'limit');
  ents text[];
  wanted jsonb;
  bound text;
  cur record;
  spaces datum.reading[];
  s datum.reading;
  list json;
  revision text;
  first int := 0;
  until_pos bigint;
  turn int;
  k int;
  rows record;
  chunk int;
  got int;
  changes text[] := '{}';
  n int := 0;
  bytes bigint := 0;
  examined int := 0;
  stopped boolean := false;
  next_turn text;
  next_until bigint;
  line text;
  remain bigint;
  heads bigint;
  counted boolean := false;
  fresh boolean;
  inside boolean;
  starts json;
  at_version bigint := datum.last_version();
begin
  if lim is null or lim < 1 or lim > 10000 then
    perform datum.fail(400, 'badRequest', '`limit` must be a whole number from 1 to 10000.');
  end if;
  if not datum.is_none(req->'cursor') and jsonb_typeof(req->'cursor') <> 'string' then
    perform datum.fail(400, 'badRequest', '`cursor` must be text or null.');
  end if;
  select f.ents, f.wanted into ents, wanted from datum.filter(req) f;
  bound := coalesce(array_to_json(ents)::text, '') || coalesce(wanted::text, '');
  if not datum.is_none(req->'cursor') then
    select * into cur from datum.cursor_read(me, srv.epoch, bound, req->>'cursor');
  else
    select null::text revision, null::bigint remain, null::bigint heads, '-' turn, 0::bigint until_pos, 0 groups, 1 width, '{}'::jsonb places, '{}'::jsonb inside into cur;
  end if;
  spaces := datum.enter(cur.groups, cur.width, cur.places, cur.inside);
  select left(md5(coalesce(string_agg(x.space || ' ' || x.role, ' ' order by x.n), '')), 8),
      coalesce(json_agg(json_build_object('id', x.space, 'role', x.role) order by x.n) filter (where x.n > 1), '[]')
    into revision, list from unnest(spaces) with ordinality x(space, role, head, pos, ver, snap, starts, n);
  select coalesce(bool_and(x.starts), true) into fresh from unnest(spaces) x;
  select json_agg(json_strip_nulls(json_build_object('space', datum.wire_space(x.space), 'at', at_version))) into starts from unnest(spaces) x where x.starts;
  -- How much there is, once for each pull and after writes: counting is as slow as reading.
  select sum(x.head) into heads from unnest(spaces) x;
  remain := case when cur.heads = heads and starts is null then cur.remain end;
  if wanted is null and remain is null then
    remain := datum.count_left(spaces, ents, case when fresh then 100000 else 10000 end);
    counted := true;
  end if;
  for k in 1..cardinality(spaces) loop
    if datum.tag(spaces[k].space) = cur.turn then
      first := k - 1;
    end if;
  end loop;
  -- A space's turn ends with what it had when the turn began, so that it does not hold up others. The last
  -- turn is the rest of the one that began on an earlier page.
  <<turns>>
  for turn in 0..cardinality(spaces) loop
    k := (first + turn) % cardinality(spaces) + 1;
    s := spaces[k];
    until_pos := case when turn = 0 and datum.tag(s.space) = cur.turn and cur.until_pos > 0 and cardinality(spaces) > 1
      then least(cur.until_pos, s.head) else s.head end;
    chunk := 100;
    while s.pos < until_pos or s.ver is not null loop
      chunk := least(chunk, greatest(lim - n, 1));
      got := 0;
      for rows in
        with p as materialized (select x.*, row_number() over () o from datum.page(s.space, s.pos, s.ver, s.snap, until_pos, ents, chunk) x),
        want as (select p.entity, array_agg(p.id order by p.o) ids, array_agg(p.o order by p.o) os from p where not p.deleted group by p.entity),
        have as (select w.os[d.n] o, d.data from want w cross join lateral datum.data_of(w.entity, w.ids, s.space) d)
        select p.*, h.data, h.data::text as txt from p left join have h on h.o = p.o order by p.o
      loop
        got := got + 1;
        line := null;
        if rows.deleted then
          line := ',"deleted":true';
          if rows.moved_to is not null then
            line := line || coalesce((
              select ',"movedTo":' || json_build_object('space', datum.wire_space(m.space), 'version', m.version)
                from datum.moved(rows.entity, rows.id, rows.moved_to) m
                where exists (select from datum.data_of(rows.entity, array[rows.id], m.space) d where d.data is not null)), '');
          end if;
        else
          inside := rows.data is not null and (wanted is null or not exists (
            select from jsonb_each(wanted) w where coalesce(rows.data->w.key, 'null') <> w.value));
          if inside then
            if not rows.data ? 'modifiedAt' and datum.is_table(rows.entity) then
              rows.txt := left(rows.txt, -1) || case when rows.txt = '{}' then '' else ', ' end || '"modifiedAt":"' || datum.iso(rows.at) || '"}';
            end if;
            line := ',"data":' || rows.txt;
          elsif rows.pos > s.snap then
            -- Hidden by row-level security: gone. Out of the scope: still there, which a device must know.
            line := ',"deleted":true' || case when rows.data is null then '' else ',"reason":"scope"' end;
          end if;
        end if;
        if line is not null then
          line := datum.change(rows.entity, rows.id, rows.version, s.space, line);
          if n >= lim or n > 0 and bytes + octet_length(line) > 4194304 then
            stopped := true;
          else
            changes := changes || line;
            n := n + 1;
            bytes := bytes + octet_length(line);
          end if;
        end if;
        exit when stopped;
        s.pos := rows.pos;
        s.ver := rows.version;
      end loop;
      examined := examined + got;
      stopped := stopped or got = chunk and examined > 20000;
      if got < chunk and not stopped then
        s.pos := until_pos;
        s.ver := null;
      end if;
      spaces[k] := s;
      if stopped then
        next_turn := s.space;
        next_until := until_pos;
        exit turns;
      end if;
      chunk := least(2000, chunk * 4);
      if n > 0 then
        chunk := greatest(least(chunk, (4194304 - bytes) * n / bytes + 1), 1);
      end if;
    end loop;
  end loop;
  if wanted is not null then
    remain := null;
  elsif not stopped then
    remain := 0;
  elsif remain is not null then
    remain := remain - n;
    if remain < 1 then
      remain := case when counted then 1 else datum.count_left(spaces, ents, 10000) end;
    end if;
  end if;
  -- Where the next page starts comes first: a client asks for it before it reads the rows.
  return '{"cursor":' || to_json(datum.cursor_text(me, srv.epoch, bound, revision, case when stopped then remain end, heads, next_turn, next_until, spaces))
    || ',"more":' || case when stopped then 'true' else 'false' end
    || ',"changes":[' || array_to_string(changes, ',') || ']'
    || case when cur.revision is distinct from revision or req->'spaces' = 'true' then ',"spaces":' || list::text else '' end
    || coalesce(',"starts":' || starts::text, '')
    || coalesce(',"remaining":' || remain::text, '')
    || case when req->'digests' = 'true' and not stopped and wanted is null then ',"digests":' || datum.digests(ents) else '' end
    || ',"serverTime":"' || datum.iso(clock_timestamp()) || '","serverId":' || to_json(srv.server_id) || ',"epoch":' || to_json(srv.epoch) || '}';
exception when serialization_failure or deadlock_detected or lock_not_available then
  -- PostgREST would try again without end.
  perform datum.fail(503, 'busy', 'The database is busy; try again shortly.', 1000);
when undefined_table or undefined_column or undefined_function then
  perform datum.fail(503, 'schema', sqlerrm || '. If a table or column was renamed, run datum.attach again.', 60000);
end $f$;

create or replace function datum.is_table(e text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select exists (select from datum.entity x where x.name = e) $$;
