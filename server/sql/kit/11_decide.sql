-- Push: one operation, decided as in section 5.1 of the protocol. Tables are written with the rights of the
-- caller, so that row-level security, constraints and triggers of the app decide.

-- The stamp of a row in one of the caller's spaces. A row without a trace counts as deleted at the floor.
create or replace function datum.stamp_of(e text, i text, sp text, out version bigint, out live boolean, out moved_to text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $f$
begin
  if datum.role_in(sp) is null then
    live := false;
    return;
  end if;
  select r.version, not r.deleted, r.moved_to into version, live, moved_to from datum.row r
    where r.entity = e and r.id = i and r.space = sp;
  if version is null then
    live := false;
    version := greatest((select f.version from datum.floor f where f.space = sp), 1);
  end if;
end $f$;

create or replace function datum.op_get(o text) returns datum.op
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select p from datum.op p where p.usr = datum.me() and p.op_id = o $$;

create or replace function datum.op_put(o text, sp text, e text, i text, v bigint, l bigint) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
as $$
  insert into datum.op as p (usr, op_id, space, entity, id, version, left_version) values (datum.me(), o, sp, e, i, v, l)
    on conflict (usr, op_id) do update set space = excluded.space, entity = excluded.entity, id = excluded.id,
      version = excluded.version, left_version = excluded.left_version, at = excluded.at
$$;

-- Remembers that an operation was applied, and those that it supersedes: one of them that arrives late is
-- decided like one with a stale base.
create or replace function datum.remember(op jsonb, sp text, v bigint, l bigint default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  old text;
  n int := 0;
  known datum.op;
begin
  if jsonb_typeof(op->'supersedes') = 'array' then
    for old in select x from jsonb_array_elements_text(op->'supersedes') x loop
      known := datum.op_get(old);
      continue when old = op->>'opId' or not datum.is_id(old) or known.version >= 0;
      n := n + 1;
      exit when n > 64;
      perform datum.op_put(old, sp, op->>'entity', op->>'id', 0, null);
    end loop;
  end if;
  perform datum.op_put(op->>'opId', sp, op->>'entity', op->>'id', v, l);
end $f$;

create or replace function datum.rejected(code text, message text) returns jsonb
  language sql immutable
as $$ select jsonb_build_object('status', 'rejected', 'code', code, 'message', message) $$;

-- Checks what needs no look at the database. Returns a rejection or nothing.
create or replace function datum.unreadable(op jsonb) returns jsonb
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $f$
declare
  k text;
begin
  foreach k in array array['entity', 'id', 'kind'] loop
    if jsonb_typeof(op->k) is distinct from 'string' then
      return datum.rejected('invalidOperation', format('`%s` must be text.', k));
    end if;
  end loop;
  if op->>'kind' not in ('create', 'update', 'patch', 'delete', 'move') then
    return datum.rejected('invalidOperation', '`kind` must be create, update, patch, delete or move.');
  end if;
  foreach k in array array['space', 'to'] loop
    if not datum.is_none(op->k) and jsonb_typeof(op->k) <> 'string' then
      return datum.rejected('invalidOperation', format('`%s` must be text or null.', k));
    end if;
  end loop;
  foreach k in array array['supersedes', 'after'] loop
    if not datum.is_none(op->k) and (jsonb_typeof(op->k) <> 'array'
      or jsonb_path_exists(op->k, 'strict $[*] ? (@.type() != "string")')) then
      return datum.rejected('invalidOperation', format('`%s` must be a list of ids.', k));
    end if;
  end loop;
  if not datum.is_none(op->'baseVersion') and (datum.whole(op->'baseVersion') is null or datum.whole(op->'baseVersion') not between 0 and 18446744073709551615) then
    return datum.rejected('invalidOperation', '`baseVersion` must be a whole number or null.');
  end if;
  if not datum.is_id(op->>'opId') then
    return datum.rejected('invalidId', '`opId` must be text of 1 to 512 bytes without control characters.');
  elsif not datum.is_id(op->>'entity', 128) then
    return datum.rejected('invalidId', '`entity` must be text of 1 to 128 bytes without control characters.');
  elsif not datum.is_id(op->>'id') then
    return datum.rejected('invalidId', '`id` must be text of 1 to 512 bytes without control characters.');
  elsif datum.whole(op->'baseVersion') not between 1 and 9007199254740991 then
    return datum.rejected('invalidVersion', '`baseVersion` must be null or a version that the server gave.');
  end if;
  foreach k in array array['space', 'to'] loop
    if not datum.is_none(op->k) and op->>k !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
      return datum.rejected('invalidId', format('`%s`: a space''s id is a UUID of 36 characters in lower case.', k));
    end if;
  end loop;
  if op->>'kind' = 'move' then
    if op->>'space' is not distinct from op->>'to' then
      return datum.rejected('invalidOperation', '`to` is the space that the row is in.');
    elsif datum.is_none(op->'baseVersion') then
      return datum.rejected('invalidVersion', '`baseVersion` is missing; a move needs the row''s version.');
    end if;
  end if;
  return null;
end $f$;

-- Checks the object of a write.
create or replace function datum.bad_data(me text, d jsonb, bytes int) returns jsonb
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $f$
begin
  if jsonb_typeof(d) is distinct from 'object' then
    return datum.rejected('invalidData', '`data` must be a JSON object; create, update and patch need one.');
  elsif bytes > 1048576 then
    return datum.rejected('tooLarge', format('The entity is %s bytes of JSON; the most is 1048576. Keep large values elsewhere and store a reference.', bytes));
  elsif jsonb_path_exists(d, 'strict $.**{128 to last} ? (@.type() == "object" || @.type() == "array")') then
    return datum.rejected('invalidData', '`data` is nested more than 128 levels deep.');
  elsif jsonb_path_exists(d, 'strict $.** ? (@.type() == "number" && (@ > 1.7976931348623158e308 || @ < -1.7976931348623158e308))') then
    return datum.rejected('invalidData', '`data` has a number beyond 1.8e308, which JavaScript cannot hold; send it as a string.');
  elsif not datum.is_none(d->'userId') and d->'userId' <> to_jsonb(me) then
    return datum.rejected('userMismatch', '`data.userId` is not the user of the token; leave it out.');
  end if;
  return null;
end $f$;

-- Decides one operation. `bytes` is the size of its data as it was sent, `deferred` names the constraints
-- that wait for the commit, `ent` and `shape` are of its table.
create or replace function datum.decide(op jsonb, bytes int, blocked boolean, deferred text, ent datum.entity, shape jsonb) returns jsonb
  language plpgsql
as $f$
declare
  me text := datum.me();
  kind text := op->>'kind';
  e text := op->>'entity';
  i text := op->>'id';
  sp text := coalesce(op->>'space', 'u:' || me);
  to_sp text := coalesce(op->>'to', 'u:' || me);
  base bigint;
  bad jsonb := datum.unreadable(op);
  known datum.op;
  st record;
  cur jsonb;
  role text;
  fits boolean;
  place record;
begin
  if bad is not null then
    return bad;
  end if;
  base := datum.whole(op->'baseVersion')::bigint;
  if left(e, 1) = '$' then
    return datum.rejected('unknownEntity', 'Spaces and members are rows of the app''s own tables here; change them there. See datum.membership.');
  end if;
  if ent.name is null and not (datum.server_row()).documents then
    return datum.rejected('unknownEntity', format('No table is under sync as `%s`. Put one under sync with datum.attach.', e));
  end if;
  if ent.name is not null and ent.tbl is null then
    return jsonb_build_object('status', 'retry', 'code', 'schema', 'message', format('The table of `%s` is gone.', e), 'retryAfterMs', 60000);
  end if;
  known := datum.op_get(op->>'opId');
  if known.version > 0 then
    if known.space <> sp or known.entity <> e or known.id <> i then
      return datum.rejected('opIdReused', '`opId` was used for another entity; every operation needs its own.');
    end if;
    place := datum.stamp_of(e, i, case when kind = 'move' then to_sp else sp end);
    return jsonb_strip_nulls(jsonb_build_object('status', 'applied', 'version', known.version, 'replayed', true, 'leftVersion', known.left_version,
      'deleted', case when kind <> 'delete' and not place.live and datum.role_in(case when kind = 'move' then to_sp else sp end) is not null then true end));
  end if;
  if blocked then
    return '{"status":"retry","code":"blocked"}';
  end if;
  if kind in ('create', 'update', 'patch') then
    bad := datum.bad_data(me, op->'data', bytes);
    if bad is not null then
      return bad;
    end if;
  end if;
  foreach role in array case when kind = 'move' then array[sp, to_sp] else array[sp] end loop
    bad := case datum.role_in(role) when 'owner' then null when 'writer' then null
      when 'reader' then datum.rejected('readOnly', 'You may read this space and not write to it.')
      else datum.rejected('notMember', 'You are no member of this space.') end;
    if bad is not null then
      return bad || case when kind = 'move' then jsonb_build_object('space', datum.wire_space(role)) else '{}' end;
    end if;
  end loop;
  if ent.name is not null and not datum.is_key(i, ent.key_type) then
    return datum.rejected('invalidId', format('`id` is no %s as PostgreSQL writes it.', ent.key_type));
  end if;
  cur := datum.held(ent, shape, e, i, sp);
  st := datum.stamp_of(e, i, sp);
  if st.live and cur is null then
    return case when kind = 'create' then datum.rejected('idTaken', 'A row that you may not see has this id.')
      else datum.rejected('forbidden', 'Row-level security hides the row from you.') end;
  end if;
  fits := case when base is null then not st.live and known.version is distinct from -1 else base = st.version end
    and known.version is distinct from 0;
  if not st.live and st.moved_to is not null then
    select m.space, m.version, d.data into place from datum.moved(e, i, st.moved_to) m
      cross join lateral datum.data_of(e, array[i], m.space) d where d.data is not null;
    if place.data is not null then
      return datum.conflict(op, sp, base, place.version, place.data)
        || jsonb_build_object('space', datum.wire_space(place.space), 'leftVersion', st.version);
    end if;
  end if;
  if kind = 'delete' and not st.live then
    perform datum.remember(op, sp, st.version);
    return jsonb_build_object('status', 'applied', 'version', st.version);
  elsif not fits or kind in ('patch', 'move') and not st.live then
    if st.live and base is null and kind in ('create', 'update') and datum.same(ent, shape, cur, op->'data') then
      perform datum.remember(op, sp, st.version);
      return jsonb_build_object('status', 'applied', 'version', st.version);
    end if;
    return datum.conflict(op, sp, base, st.version, case when st.live then cur end);
  end if;
  if ent.name is null then
    return datum.write_document(op, sp, to_sp, case when st.live then cur end);
  end if;
  return datum.write_row(ent, shape, op, sp, to_sp, case when st.live then cur end, deferred);
end $f$;

create or replace function datum.conflict(op jsonb, sp text, base bigint, v bigint, cur jsonb) returns jsonb
  language plpgsql
as $f$
begin
  -- A duplicate of it that arrives after the row was deleted would fit otherwise.
  if base is null and cur is not null and (datum.op_get(op->>'opId')).op_id is null then
    perform datum.op_put(op->>'opId', sp, op->>'entity', op->>'id', -1, null);
  end if;
  return jsonb_build_object('status', 'conflict', 'version', v, 'row', cur);
end $f$;
