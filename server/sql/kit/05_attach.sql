-- Putting an existing table under sync, and taking it out again. The table gets triggers and nothing else.
--
-- The triggers collect the keys that a statement touched, and read those rows again as they stand: OLD and
-- NEW arrive in the wrong order where triggers of the app write the same row again.

-- The name of a function that is made for an entity type.
create or replace function datum.made(what text, entity text) returns text language sql immutable
as $$ select what || '_' || left(md5(entity), 12) $$;

-- Whether keys that are equal are also spelled alike.
create or replace function datum.is_plain(key_type text) returns boolean language sql immutable
as $$ select key_type in ('uuid', 'bigint', 'integer', 'smallint') $$;

-- The condition that a row `_dt` has this key, byte by byte: what a column takes for equal are different ids.
create or replace function datum.has_key(e datum.entity, i text) returns text language sql immutable
  set search_path = pg_catalog, pg_temp
as $$
  select format('_dt.%I = %s::%s', e.key, i, e.key_type)
    || case when datum.is_plain(e.key_type) then '' else format(' and _dt.%I::text collate "C" = %s', e.key, i) end
$$;
-- The body of the function that records many rows as they stand. The lateral joins and settings keep it from
-- joining the whole table, whatever size that had when a plan was made. A row is updated by its key and not by its
-- place in the table, which is another one after somebody else (`datum.touch`) has changed it meanwhile. Keys that
-- were just inserted had no row in another space.
create or replace function datum.mark_body(e datum.entity, is_new boolean) returns text language sql immutable
  set search_path = pg_catalog, pg_temp
as $f$
  select format($q$
#variable_conflict use_column
declare
  _datum_x xid8 := pg_current_xact_id();
  _datum_n bigint;
begin
$q$ || case when is_new then '' else $q$
  with cur as materialized (
    select k.i as id, l.space from (select distinct u.i from unnest(_datum_ids) u(i)) k
      left join lateral (select %2$s as space from %3$s _dt where %4$s limit 1) l on true),
  known as (
    update datum.row r set version = nextval('datum.version'), txn = _datum_x, deleted = r.space is distinct from c.space,
        moved_to = case when r.space is distinct from c.space then c.space end
      from (select c.id, y.space held, c.space from cur c cross join lateral (
          select q.space from datum.row q
            where q.entity = %1$L and q.id = c.id and (not q.deleted or q.space = c.space) offset 0) y offset 0) c
      where r.entity = %1$L and r.id = c.id and r.space = c.held
      returning r.space, r.deleted),
  placed as (
    insert into datum.place as p (txn, space) select distinct _datum_x, k.space from known k
      on conflict (txn, space) do update set pos = null where p.pos is not null)
  select (select count(c.space) from cur c) - (select count(*) from known k where not k.deleted) into _datum_n;
  if _datum_n = 0 then return; end if;
$q$ end || $q$
  with cur as materialized (
    select k.i as id, l.space from (select distinct u.i from unnest(_datum_ids) u(i)) k
      cross join lateral (select %2$s as space from %3$s _dt where %4$s limit 1) l),
  put as (
    insert into datum.row as r (entity, id, space, version, deleted, txn)
      select %1$L, c.id, c.space, nextval('datum.version'), false, _datum_x from cur c where c.space is not null %5$s
      on conflict (entity, id, space) do update
        set version = excluded.version, deleted = false, txn = excluded.txn, moved_to = null
      returning r.space)
  insert into datum.place as p (txn, space) select distinct _datum_x, s.space from put s
    on conflict (txn, space) do update set pos = null where p.pos is not null;
end $q$, e.name, e.space, e.tbl, datum.has_key(e, 'k.i'), case when is_new then '' else format(
    'and not exists (select from datum.row q where q.entity = %L and q.id = c.id and q.space = c.space and not q.deleted offset 0)', e.name) end) $f$;

-- Makes the functions and triggers of a table.
create or replace function datum.install(e datum.entity) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  mark text := format('datum.%I', datum.made('mark', e.name));
  add text := format('datum.%I', datum.made('add', e.name));
  fn text := format('datum.%I', datum.made('on', e.name));
  parted boolean := (select c.relkind = 'p' from pg_class c where c.oid = e.rel);
begin
  execute format($q$create or replace function %s(_datum_ids text[]) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_material = off set random_page_cost = 0 set plan_cache_mode = force_custom_plan set jit = off as %L$q$, mark, datum.mark_body(e, false));
  execute format($q$create or replace function %s(_datum_ids text[]) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_material = off set random_page_cost = 0 set plan_cache_mode = force_custom_plan set jit = off as %L$q$, add, datum.mark_body(e, true));
  execute format('revoke all on function %s(text[]), %s(text[]) from public', mark, add);
  if parted then
    execute format($q$create or replace function %1$s() returns trigger language plpgsql security definer
      set search_path = pg_catalog, pg_temp as $t$
      begin
        if tg_op <> 'INSERT' then perform %2$s(array[old.%3$I::text]); end if;
        if tg_op <> 'DELETE' then perform %2$s(array[new.%3$I::text]); end if;
        return null;
      end $t$ $q$, fn, mark, e.key);
  else
    execute format($q$create or replace function %1$s() returns trigger language plpgsql security definer
      set search_path = pg_catalog, pg_temp as $t$
      #variable_conflict use_column
      declare
        _datum_n int;
        _datum_k text;
        _datum_same boolean := false;
        _datum_s text;
        _datum_c text[];
      begin
        if tg_op = 'INSERT' then
          select count(*), min(q.k) into _datum_n, _datum_k from (select n.%3$I::text k from _datum_new n limit 2) q;
        elsif tg_op = 'DELETE' then
          select count(*), min(q.k) into _datum_n, _datum_k from (select o.%3$I::text k from _datum_old o limit 2) q;
        else
          select count(*), min(q.k) into _datum_n, _datum_k from (select n.%3$I::text k from _datum_new n limit 2) q;
          if _datum_n = 1 then
            select o.* operator(pg_catalog.*=) n.*, case when %9$s then 1 else 2 end into _datum_same, _datum_n
              from _datum_old o, _datum_new n;
          end if;
        end if;
        if _datum_n = 0 or _datum_same then return null; end if;
        if _datum_n = 1 then
          select %4$s into _datum_s from %5$s _dt where %6$s;
          if tg_op = 'INSERT' then
            perform datum.mark_new(%7$L, _datum_k, _datum_s);
          else
            perform datum.mark(%7$L, _datum_k, _datum_s);
          end if;
          return null;
        end if;
        if tg_op = 'INSERT' then
          for _datum_c in select array_agg(q.k) from (select n.%3$I::text k, row_number() over () / 20000 g from _datum_new n) q group by q.g loop
            perform %8$s(_datum_c);
          end loop;
        elsif tg_op = 'DELETE' then
          for _datum_c in select array_agg(q.k) from (select o.%3$I::text k, row_number() over () / 20000 g from _datum_old o) q group by q.g loop
            perform %2$s(_datum_c);
          end loop;
        else
          for _datum_c in select array_agg(z.k) from (
            select coalesce(n.%3$I, o.%3$I)::text k, row_number() over () / 20000 g
              from _datum_new n full join _datum_old o on %9$s
              where n.%3$I is null or o.%3$I is null or not n.* operator(pg_catalog.*=) o.*) z group by z.g loop
            perform %2$s(_datum_c);
          end loop;
        end if;
        return null;
      end $t$ $q$, fn, mark, e.key, e.space, e.tbl, datum.has_key(e, '_datum_k'), e.name, add,
      format(case when datum.is_plain(e.key_type) then 'n.%1$I = o.%1$I' else 'n.%1$I::text collate "C" = o.%1$I::text collate "C"' end, e.key));
  end if;
  execute format('revoke all on function %s() from public', fn);
  execute format($q$create or replace function datum.%1$I() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $t$
    begin
      perform datum.mark_gone(%2$L);
      return null;
    end $t$ $q$, datum.made('cut', e.name), e.name);
  execute format('revoke all on function datum.%I() from public', datum.made('cut', e.name));
  perform datum.uninstall_triggers(e.tbl::regclass);
  if parted then
    execute format('create trigger zz_datum after insert or update or delete on %s for each row execute function %s()', e.tbl, fn);
  else
    execute format('create trigger zz_datum_i after insert on %s referencing new table as _datum_new for each statement execute function %s()', e.tbl, fn);
    execute format('create trigger zz_datum_u after update on %s referencing old table as _datum_old new table as _datum_new for each statement execute function %s()', e.tbl, fn);
    execute format('create trigger zz_datum_d after delete on %s referencing old table as _datum_old for each statement execute function %s()', e.tbl, fn);
  end if;
  execute format('create trigger zz_datum_t after truncate on %s for each statement execute function datum.%I()', e.tbl, datum.made('cut', e.name));
end $f$;

create or replace function datum.uninstall_triggers(rel regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  name text;
begin
  for name in select t.tgname from pg_trigger t where t.tgrelid = rel and t.tgname like 'zz\_datum%' and t.tgparentid = 0 loop
    execute format('drop trigger %I on %s', name, rel);
  end loop;
end $f$;

-- Records that an entity type has no rows any more.
create or replace function datum.mark_gone(e text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
as $$
  with dead as (
    update datum.row r set deleted = true, version = nextval('datum.version'), txn = pg_current_xact_id(), moved_to = null
      where r.entity = e and not r.deleted returning r.space)
  insert into datum.place as p (txn, space) select distinct pg_current_xact_id(), d.space from dead d
    on conflict (txn, space) do update set pos = null where p.pos is not null
$$;

-- Returns the type of a column.
create or replace function datum.type_of(rel regclass, col text, what text) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  found_type text;
begin
  if col is null then
    return null;
  end if;
  select format_type(a.atttypid, null) into found_type from pg_attribute a
    where a.attrelid = rel and a.attname = col and a.attnum > 0 and not a.attisdropped;
  if found_type is null then
    raise exception 'datum.attach: % has no column % (given as %)', rel, quote_ident(col), what using errcode = 'undefined_column';
  end if;
  return found_type;
end $f$;

create or replace function datum.has_column(rel regclass, col text, type text default null) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pg_attribute a where a.attrelid = rel and a.attname = col and a.attnum > 0
    and not a.attisdropped and (type is null or format_type(a.atttypid, null) = type))
$$;

-- Puts a table under sync. Run it again after renaming the table or one of the columns named here, and to
-- change a choice: rows and versions stay.
--
-- `owner`: the column with the user's id; `team`: the one with the team's. A row with a team is in that
-- shared space, else in its owner's personal one. Without either, `user_id` is the owner.
-- `entity`: the name that clients use, else the table's. `key`: a unique column that is not null, else the
-- primary key. `names`: 'camel' (`due_date` is `dueDate`) or 'as they are'. `as_text`: columns whose numbers
-- go as text, which JavaScript cannot round. `deleted`: a boolean or a time that marks rows as deleted, else
-- `is_deleted` if there is one. `created`, `modified`: the times, else `created_at` and `modified_at` or `updated_at`.
create or replace function datum.attach(rel regclass, owner text default null, team text default null, entity text default null,
  key text default null, names text default 'camel', as_text text[] default '{}', deleted text default null,
  created text default null, modified text default null) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
#variable_conflict use_variable
declare
  c record;
  e datum.entity;
  old datum.entity;
  twice text;
  owned text;
  live text;
  teamed text;
begin
  select k.relkind, k.relname, k.relpersistence, k.relrowsecurity, k.relforcerowsecurity, k.relowner,
    format('%I.%I', n.nspname, k.relname) tbl, n.nspname into c
    from pg_class k join pg_namespace n on n.oid = k.relnamespace where k.oid = rel;
  if c.relkind not in ('r', 'p') or c.relpersistence = 't' or c.nspname = 'datum' then
    raise exception 'datum.attach: % is no table of the app that lasts', rel using errcode = 'wrong_object_type';
  end if;
  if c.relrowsecurity and not (select r.rolbypassrls or r.rolsuper from pg_roles r where r.rolname = current_user)
    and (c.relforcerowsecurity or not pg_has_role(current_user, c.relowner, 'member')) then
    raise exception 'datum.attach: row-level security hides rows of % from %. Attach it as its owner', rel, current_user
      using errcode = 'insufficient_privilege';
  end if;
  if names not in ('camel', 'as they are') then
    raise exception 'datum.attach: names is %, and must be ''camel'' or ''as they are''', quote_literal(names);
  end if;
  if owner is null and team is null then
    if not datum.has_column(rel, 'user_id') then
      raise exception 'datum.attach: say whose a row of % is: owner => ''column'', or team => ''column''', rel;
    end if;
    owner := 'user_id';
  end if;
  if key is null then
    select a.attname into key from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = rel and i.indisprimary and i.indnkeyatts = 1 and i.indimmediate;
    if key is null then
      raise exception 'datum.attach: % has no primary key of one column. Name a unique column that is not null: key => ''column'' (one that is generated from the others will do)', rel;
    end if;
  elsif datum.type_of(rel, key, 'key') is not null and not exists (
      select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = rel and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null and i.indnkeyatts = 1
          and a.attname = key and a.attnotnull) then
    raise exception 'datum.attach: % of % is no key: it needs NOT NULL and a unique index of its own that is neither partial nor deferrable', quote_ident(key), rel;
  end if;
  if deleted is null and datum.has_column(rel, 'is_deleted', 'boolean') then
    deleted := 'is_deleted';
  end if;
  if created is null and datum.has_column(rel, 'created_at') then
    created := 'created_at';
  end if;
  if modified is null then
    modified := case when datum.has_column(rel, 'modified_at') then 'modified_at' when datum.has_column(rel, 'updated_at') then 'updated_at' end;
  end if;
  select x.* into old from datum.entity x where x.rel = attach.rel;
  e.name := coalesce(entity, old.name, case when names = 'camel' then datum.camel(c.relname::text) else c.relname::text end);
  if e.name !~ '^[^[:cntrl:]$][^[:cntrl:]]*$' or octet_length(e.name) > 128 then
    raise exception 'datum.attach: % is no name of an entity type: 1 to 128 bytes, no control characters, no $ at the beginning', quote_literal(e.name);
  end if;
  if exists (select from datum.entity x where x.name = e.name and x.rel <> attach.rel) then
    raise exception 'datum.attach: % is under sync already, as another table. Name it: entity => ''name''', quote_literal(e.name);
  end if;
  if old.name is not null and old.name <> e.name then
    raise exception 'datum.attach: % is under sync as %. To rename it, detach it first', rel, quote_literal(old.name);
  end if;
  e.rel := rel;
  e.tbl := c.tbl;
  e.key := key;
  e.key_type := datum.type_of(rel, key, 'key');
  e.owner := owner;
  e.owner_type := datum.type_of(rel, owner, 'owner');
  e.team := team;
  e.team_type := datum.type_of(rel, team, 'team');
  e.deleted := deleted;
  e.deleted_type := datum.type_of(rel, deleted, 'deleted');
  e.created := created;
  perform datum.type_of(rel, created, 'created');
  e.modified := modified;
  perform datum.type_of(rel, modified, 'modified');
  perform datum.type_of(rel, x, 'as_text') from unnest(as_text) x;
  e.camel := names = 'camel';
  e.as_text := as_text;
  if e.team_type not in ('uuid', 'bigint', 'integer', 'smallint') then
    raise exception 'datum.attach: % is %; a team''s id must be a uuid or a whole number', quote_ident(team), e.team_type;
  end if;
  if e.deleted_type not in ('boolean', 'timestamp with time zone', 'timestamp without time zone') then
    raise exception 'datum.attach: % is %; a mark of deletion must be a boolean or a time', quote_ident(deleted), e.deleted_type;
  end if;
  owned := case when owner is not null then format('''u:'' || _dt.%I::text collate "C"', owner) end;
  teamed := case when team is not null then format('datum.space_of(_dt.%I%s)', team, case when e.team_type = 'uuid' then '' else '::bigint' end) end;
  e.space := case when team is null then owned when owner is null then teamed else format('coalesce(%s, %s)', teamed, owned) end;
  live := case when deleted is null then null when e.deleted_type = 'boolean' then format('_dt.%I is not true', deleted) else format('_dt.%I is null', deleted) end;
  if live is not null then
    e.space := format('case when %s then %s end', live, e.space);
  end if;
  select coalesce(string_agg(format('%I.%I', n.nspname, k.conname), ', '), '') into e.deferrables
    from pg_constraint k join pg_namespace n on n.oid = k.connamespace where k.conrelid = rel and k.condeferrable;
  e.attached_at := clock_timestamp();
  select string_agg(x.wire, ', ') into twice from (select q.wire from datum.columns(e) q where q.wire is not null group by q.wire having count(*) > 1) x;
  if twice is not null then
    raise exception 'datum.attach: two columns of % would be %. Use names => ''as they are''', rel, twice;
  end if;
  delete from datum.entity x where x.rel = e.rel;
  insert into datum.entity values (e.*);
  perform datum.install(e);
  if old.name is null then
    -- What an earlier attach left.
    perform datum.reconcile(e.name);
  elsif old.space is distinct from e.space or old.key <> e.key then
    perform datum.reconcile(e.name);
  end if;
  notify pgrst, 'reload schema';
end $f$;

-- Takes a table out of sync. The table is as it was before; devices keep what they have.
create or replace function datum.detach(rel regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
declare
  e datum.entity;
begin
  select x.* into e from datum.entity x where x.rel = detach.rel;
  perform datum.uninstall_triggers(rel);
  if e.name is not null then
    perform datum.forget(e);
  end if;
end $f$;

-- Removes the bookkeeping of a table, which may be gone.
create or replace function datum.forget(e datum.entity) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
begin
  execute format('drop function if exists datum.%I(), datum.%I(text[]), datum.%I(text[]), datum.%I()', datum.made('on', e.name), datum.made('mark', e.name), datum.made('add', e.name), datum.made('cut', e.name));
  delete from datum.row r where r.entity = e.name;
  delete from datum.entity x where x.rel = e.rel;
end $f$;

-- Compares a table with its bookkeeping, and mends what went by the triggers: a session in the role of a
-- replica, a restored dump, a trigger that was disabled, TRUNCATE of one partition. Returns how many rows.
create or replace function datum.reconcile(entity text) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
as $f$
#variable_conflict use_column
declare
  e datum.entity;
  ids text[];
  n bigint := 0;
begin
  select x.* into strict e from datum.entity x where x.name = reconcile.entity;
  execute format('lock table %s in share row exclusive mode', e.tbl);
  for ids in execute format($q$
    select array_agg(z.id) from (
      select y.id, row_number() over () / 20000 g from (
        select coalesce(l.id, r.id) id
          from (select _dt.%1$I::text collate "C" id, %2$s as space from %3$s _dt) l
          full join (select q.id, q.space from datum.row q where q.entity = %4$L and not q.deleted) r on r.id = l.id and r.space = l.space
          where (l.id is null or r.id is null) and coalesce(l.space, r.space) is not null
        group by 1) y) z group by z.g$q$, e.key, e.space, e.tbl, e.name)
  loop
    n := n + cardinality(ids);
    execute format('select datum.%I($1)', datum.made('mark', e.name)) using ids;
  end loop;
  return n;
end $f$;

-- Says that rows changed which no statement touched, such as what row-level security shows because of a
-- change in another table. Without ids, all rows.
create or replace function datum.touch(entity text, ids text[] default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
#variable_conflict use_column
declare
  e datum.entity;
  part text[];
begin
  select x.* into e from datum.entity x where x.name = touch.entity;
  if e.name is null then
    raise exception 'datum.touch: no table is under sync as %', quote_literal(touch.entity);
  end if;
  for part in select array_agg(q.id) from (
    select r.id, row_number() over () / 20000 g from datum.row r
      where r.entity = e.name and not r.deleted and (touch.ids is null or r.id = any (touch.ids))) q group by q.g
  loop
    execute format('select datum.%I($1)', datum.made('mark', e.name)) using part;
  end loop;
end $f$;
