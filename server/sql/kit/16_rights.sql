-- Who may do what. Clients may run the three requests and what those need; they read hints of their own spaces
-- and no other table.

do $$
declare
  f record;
begin
  for f in select p.oid::regprocedure as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'datum' loop
    execute format('revoke all on function %s from public', f.name);
  end loop;
end $$;
revoke all on schema datum from public;
revoke all on all tables in schema datum from public;
revoke all on function public.datum_pull(json), public.datum_push(json), public.datum_metadata(json) from public;

alter table datum.hint enable row level security;
drop policy if exists mine on datum.hint;
create policy mine on datum.hint for select using (space in (select m.space from datum.mine() m));

do $$
declare
  client text;
begin
  if to_regrole('anon') is not null then
    revoke all on function public.datum_pull(json), public.datum_push(json), public.datum_metadata(json) from anon;
    revoke all on all tables in schema datum from anon;
    revoke all on all functions in schema datum from anon;
  end if;
  foreach client in array array['authenticated', 'service_role'] loop
    continue when to_regrole(client) is null;
    execute format('revoke all on all tables in schema datum from %I', client);
    execute format('revoke all on all functions in schema datum from %I', client);
    execute format('grant usage on schema datum to %I', client);
    execute format('grant select on datum.hint to %I', client);
    execute format('grant execute on function public.datum_pull(json), public.datum_push(json), public.datum_metadata(json) to %I', client);
    execute format('grant execute on function datum.me(), datum.mine(), datum.role_in(text), datum.wire_space(text), datum.space_of(uuid), datum.space_of(bigint), datum.team_of(text, text), datum.camel(text), datum.is_beside(text), datum.columns(datum.entity),
      datum.shape(datum.entity), datum.entity_of(text), datum.fail(int, text, text, int), datum.is_id(text, int), datum.is_none(jsonb),
      datum.whole(jsonb), datum.iso(timestamptz), datum.server_row(), datum.check_request(jsonb), datum.body(json), datum.tag(text),
      datum.unhex(text), datum.cursor_text(text, text, text, text, bigint, bigint, text, bigint, datum.reading[]),
      datum.cursor_read(text, text, text, text), datum.heads(), datum.last_version(), datum.enter(int, int, jsonb, jsonb), datum.group_of(text, int), datum.group_name(text[]),
      datum.page(text, bigint, bigint, bigint, bigint, text[], int), datum.count_left(datum.reading[], text[], int),
      datum.moved(text, text, text), datum.documents_of(text, text[], text), datum.data_of(text, text[], text),
      datum.change(text, text, bigint, text, text), datum.filter(jsonb), datum.is_table(text), datum.live(text), datum.live_types(),
      datum.row_hash(text, text, text, bigint), datum.digests(text[]), datum.stamp_of(text, text, text), datum.op_get(text),
      datum.op_put(text, text, text, text, bigint, bigint), datum.remember(jsonb, text, bigint, bigint), datum.rejected(text, text),
      datum.unreadable(jsonb), datum.bad_data(text, jsonb, int), datum.decide(jsonb, int, boolean, text, datum.entity, jsonb),
      datum.conflict(jsonb, text, bigint, bigint, jsonb), datum.is_key(text, text), datum.lock(text, text), datum.see(datum.entity, jsonb, text, text),
      datum.held(datum.entity, jsonb, text, text, text), datum.held_document(text, text, text), datum.become(datum.entity, jsonb, jsonb),
      datum.to_columns(datum.entity, jsonb, jsonb, text), datum.same(datum.entity, jsonb, jsonb, jsonb), datum.write_document(jsonb, text, text, jsonb),
      datum.write_row(datum.entity, jsonb, jsonb, text, text, jsonb, text), datum.is_there(datum.entity, text),
      datum.refusal(text, text, text, text), datum.is_key_index(text, text), datum.metadata(json) to %I', client);
  end loop;
  if exists (select from pg_publication p where p.pubname = 'supabase_realtime' and not p.puballtables)
    and not exists (select from pg_publication_tables t where t.pubname = 'supabase_realtime' and t.schemaname = 'datum' and t.tablename = 'hint') then
    alter publication supabase_realtime add table datum.hint;
  end if;
  if to_regclass('cron.job') is not null then
    execute $q$select cron.schedule('datum-sweep', '17 3 * * *', 'select datum.sweep()')$q$;
  end if;
end $$;
