-- Push: reading and writing the row of an operation.

-- Whether a text is a key as PostgreSQL writes it; another form would be another id to clients.
create or replace function datum.is_key(i text, type text) returns boolean
  language plpgsql stable
as $f$
declare
  same boolean;
begin
  if type = 'text' or type like 'character varying%' then
    return true;
  elsif type = 'uuid' then
    return i ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
  end if;
  execute format('select $1::%s::text = $1', type) into same using i;
  return same;
exception when data_exception then
  return false;
end $f$;

-- Locks a row that the caller sees against other writers: rows of the app first, bookkeeping after them,
-- as every writer does.
create or replace function datum.lock(e text, i text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  ent datum.entity := datum.entity_of(e);
begin
  if ent.name is null then
    return;
  end if;
  execute format('select from %s _dt where _dt.%I = $1::%s for no key update', ent.tbl, ent.key, ent.key_type) using i;
end $f$;

-- The object of a live row that the caller sees in this space.
create or replace function datum.see(ent datum.entity, shape jsonb, i text, sp text) returns jsonb
  language plpgsql stable set timezone = 'UTC'
as $f$
declare
  found_row jsonb;
begin
  execute format('select %s from %s _dt where _dt.%I = $1::%s and %s = $2', shape->>'reads', ent.tbl, ent.key, ent.key_type, ent.space)
    into found_row using i, sp;
  return found_row;
end $f$;

-- The same, with the row locked.
create or replace function datum.held(ent datum.entity, shape jsonb, e text, i text, sp text) returns jsonb
  language plpgsql
as $f$
declare
  found_row jsonb;
begin
  if ent.name is null then
    return datum.held_document(e, i, sp);
  end if;
  found_row := datum.see(ent, shape, i, sp);
  if found_row is not null then
    perform datum.lock(ent.name, i);
    found_row := datum.see(ent, shape, i, sp);
  end if;
  return found_row;
end $f$;

create or replace function datum.held_document(e text, i text, sp text) returns jsonb
  language sql security definer set search_path = pg_catalog, pg_temp
as $$
  select d.data from datum.document d
    where d.space = sp and d.entity = e and d.id = i and datum.role_in(sp) is not null for update
$$;

-- What an object becomes in the table's columns, over a row as it is, or over none.
create or replace function datum.become(ent datum.entity, shape jsonb, d jsonb) returns jsonb
  language plpgsql stable set timezone = 'UTC'
as $f$
declare
  made jsonb;
begin
  execute format('select %s from jsonb_populate_record(null::%s, $1) _dt', shape->>'reads', ent.tbl) into made using d;
  return made;
end $f$;

-- The columns that an object writes. Fails with P0D03 where a field has none.
create or replace function datum.to_columns(ent datum.entity, shape jsonb, d jsonb, sp text) returns jsonb
  language plpgsql stable
as $f$
declare
  made jsonb := '{}';
  f record;
  col text;
begin
  for f in select * from jsonb_each(d) loop
    col := shape->'fields'->>f.key;
    if col is not null then
      made := made || jsonb_build_object(col, f.value);
    elsif datum.is_beside(f.key) or f.key in ('createdAt', 'modifiedAt') or shape->'fixed' ? f.key then
      continue;
    elsif f.key = (case when ent.camel then datum.camel(ent.team) else ent.team end) then
      if f.value is distinct from coalesce(to_jsonb(datum.team_of(datum.wire_space(sp), ent.team_type)), 'null')
        and f.value::text is distinct from datum.team_of(datum.wire_space(sp), ent.team_type) then
        raise sqlstate 'P0D03' using message = format('`data.%s` is not the team of the operation''s space. Move the row instead.', f.key);
      end if;
    elsif f.key = (case when ent.camel then datum.camel(ent.owner) else ent.owner end) then
      if f.value <> to_jsonb(datum.me()) and not datum.is_none(f.value) then
        raise sqlstate 'P0D03' using message = format('`data.%s` is not the user of the token; leave it out.', f.key);
      end if;
    else
      raise sqlstate 'P0D03' using message = format('`data.%s` has no column in %s. Add the column, or leave the field out.', f.key, ent.tbl);
    end if;
  end loop;
  return made;
end $f$;

-- Whether a row has what was sent already.
create or replace function datum.same(ent datum.entity, shape jsonb, cur jsonb, d jsonb) returns boolean
  language plpgsql stable
as $f$
declare
  sent jsonb;
begin
  if ent.name is null then
    return cur = d - '{id,userId,version,isDeleted}'::text[];
  end if;
  sent := datum.become(ent, shape, datum.to_columns(ent, shape, d, null));
  return not exists (select from jsonb_object_keys(d) k where shape->'fields' ? k and sent->k is distinct from cur->k);
exception when others then
  return false;
end $f$;

create or replace function datum.write_document(op jsonb, sp text, to_sp text, cur jsonb) returns jsonb
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  e text := op->>'entity';
  i text := op->>'id';
  kind text := op->>'kind';
  d jsonb := (op->'data') - '{id,userId,version,isDeleted}'::text[];
  there record;
  st record;
begin
  if datum.role_in(sp) not in ('owner', 'writer') or datum.role_in(sp) is null then
    return datum.rejected('notMember', 'You are no member of this space.');
  end if;
  if kind = 'delete' then
    delete from datum.document x where x.space = sp and x.entity = e and x.id = i;
  elsif kind = 'move' then
    if datum.role_in(to_sp) not in ('owner', 'writer') or datum.role_in(to_sp) is null then
      return datum.rejected('notMember', 'You are no member of this space.') || jsonb_build_object('space', datum.wire_space(to_sp));
    end if;
    perform from datum.document x where x.space = to_sp and x.entity = e and x.id = i for update;
    if found then
      return datum.rejected('idTaken', 'The target has a row of this id.') || jsonb_build_object('space', datum.wire_space(to_sp));
    end if;
    update datum.document x set space = to_sp where x.space = sp and x.entity = e and x.id = i;
    st := datum.stamp_of(e, i, sp);
    there := datum.stamp_of(e, i, to_sp);
    perform datum.remember(op, sp, there.version, st.version);
    return jsonb_build_object('status', 'applied', 'version', there.version, 'leftVersion', st.version);
  elsif cur is null then
    insert into datum.document values (sp, e, i, d);
  else
    if kind = 'patch' then
      d := cur || d;
      if octet_length(d::text) > 1048576 then
        return datum.bad_data(null, d, octet_length(d::text));
      end if;
    end if;
    update datum.document x set data = d where x.space = sp and x.entity = e and x.id = i;
  end if;
  st := datum.stamp_of(e, i, sp);
  perform datum.remember(op, sp, st.version);
  return jsonb_build_object('status', 'applied', 'version', st.version);
end $f$;

-- Writes a row of a table as the caller. What does not end as was asked fails with a P0D code, and with it
-- the operation's savepoint.
create or replace function datum.write_row(ent datum.entity, shape jsonb, op jsonb, sp text, to_sp text, cur jsonb, deferred text) returns jsonb
  language plpgsql
as $f$
declare
  i text := op->>'id';
  kind text := op->>'kind';
  goal text := case when op->>'kind' = 'move' then to_sp else sp end;
  d jsonb := '{}';
  here boolean := cur is not null;
  got jsonb;
  cols text;
  n int := 1;
  st record;
  there record;
begin
  if kind in ('create', 'update', 'patch') then
    d := datum.to_columns(ent, shape, op->'data', sp);
  end if;
  if kind = 'move' and (goal like 'u:%' and ent.owner is null or goal not like 'u:%' and ent.team is null) then
    return datum.rejected('invalidOperation', format('Rows of %s cannot be in that space: it has no column of the %s.', ent.tbl,
      case when ent.team is null then 'team' else 'owner' end));
  end if;
  -- Whose it is: in a new row, in one that is moved, and in one that comes back from its mark of deletion.
  if cur is null or kind = 'move' then
    if goal like 'u:%' then
      if ent.owner is null then
        return datum.rejected('invalidOperation', format('Rows of %s belong to teams; the operation needs a `space`.', ent.tbl));
      end if;
      d := d || jsonb_build_object(ent.owner, datum.me());
      if ent.team is not null then
        d := d || jsonb_build_object(ent.team, null);
      end if;
    else
      if ent.team is null then
        return datum.rejected('invalidOperation', format('Rows of %s belong to users; they cannot be in a shared space.', ent.tbl));
      end if;
      d := d || jsonb_build_object(ent.team, datum.team_of(goal, ent.team_type));
      if ent.owner is not null and kind <> 'move' and not d ? ent.owner then
        d := d || jsonb_build_object(ent.owner, datum.me());
      end if;
    end if;
  end if;
  if ent.deleted is not null then
    if kind = 'delete' then
      d := jsonb_build_object(ent.deleted, case when ent.deleted_type = 'boolean' then to_jsonb(true) else to_jsonb(clock_timestamp()) end);
    elsif cur is null then
      d := d || jsonb_build_object(ent.deleted, case when ent.deleted_type = 'boolean' then to_jsonb(false) end);
      here := datum.is_there(ent, i);
    end if;
  end if;
  if kind = 'delete' and ent.deleted is null then
    execute format('delete from %s _dt where _dt.%I = $1::%s', ent.tbl, ent.key, ent.key_type) using i;
    get diagnostics n = row_count;
  else
    select string_agg(quote_ident(k), ', ') into cols from jsonb_object_keys(d) k;
    if here then
      if cols is not null then
        execute format('update %1$s _dt set (%2$s) = (select %2$s from jsonb_populate_record(null::%1$s, $2) _dp) where _dt.%3$I = $1::%4$s',
          ent.tbl, cols, ent.key, ent.key_type) using i, d;
        get diagnostics n = row_count;
      end if;
    else
      d := d || jsonb_build_object(ent.key, i);
      select string_agg(quote_ident(k), ', ') into cols from jsonb_object_keys(d) k
        where not exists (select from pg_attribute a where a.attrelid = ent.rel and a.attname = k and a.attgenerated <> '');
      execute format('insert into %1$s (%2$s) overriding system value select %2$s from jsonb_populate_record(null::%1$s, $1) _dp', ent.tbl, cols)
        using d;
      get diagnostics n = row_count;
    end if;
  end if;
  if n = 0 then
    raise sqlstate 'P0D04' using message = 'Row-level security or a trigger keeps you from writing this row.';
  end if;
  if deferred is not null then
    execute 'set constraints ' || deferred || ' immediate';
    execute 'set constraints ' || deferred || ' deferred';
  end if;
  there := datum.stamp_of(ent.name, i, goal);
  if kind = 'delete' then
    if there.live then
      raise sqlstate 'P0D05' using message = 'A trigger kept the row.';
    end if;
    perform datum.remember(op, sp, there.version);
    return jsonb_build_object('status', 'applied', 'version', there.version);
  elsif there.live is not true then
    raise sqlstate 'P0D05' using message = 'The row did not end in the space or with the id of the operation: a trigger or another field moved it.';
  end if;
  if kind = 'move' then
    st := datum.stamp_of(ent.name, i, sp);
    perform datum.remember(op, sp, there.version, st.version);
    return jsonb_build_object('status', 'applied', 'version', there.version, 'leftVersion', st.version);
  end if;
  perform datum.remember(op, sp, there.version);
  got := datum.see(ent, shape, i, sp);
  -- The client has what it sent, and what it had. It hears of everything else.
  if exists (select from jsonb_each(got) g where g.value is distinct from
      case when op->'data' ? g.key then op->'data'->g.key else coalesce(cur->g.key, 'null') end) then
    return jsonb_build_object('status', 'applied', 'version', there.version, 'row', got);
  end if;
  return jsonb_build_object('status', 'applied', 'version', there.version);
end $f$;

-- Whether the table has a row that the caller sees, marked as deleted or not.
create or replace function datum.is_there(ent datum.entity, i text) returns boolean
  language plpgsql stable
as $f$
declare
  there boolean;
begin
  execute format('select exists (select from %s _dt where _dt.%I = $1::%s)', ent.tbl, ent.key, ent.key_type) into there using i;
  return there;
end $f$;
