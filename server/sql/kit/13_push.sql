-- Push: the request. Each operation has a savepoint of its own, so one that fails takes nothing along.

create or replace function datum.is_key_index(e text, con text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select exists (select from datum.entity x join pg_index i on i.indrelid = x.rel join pg_class c on c.oid = i.indexrelid
    join pg_attribute a on a.attrelid = x.rel and a.attnum = i.indkey[0]
    where x.name = e and c.relname = con and i.indisunique and i.indnkeyatts = 1 and a.attname = x.key)
$$;

-- The verdict on an operation that the database refused.
create or replace function datum.refusal(state text, message text, con text, e text) returns jsonb
  language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case
    when state in ('40001', '40P01', '55P03') or left(state, 2) = '53' then
      jsonb_build_object('status', 'retry', 'code', 'busy', 'retryAfterMs', 200)
    when state in ('42P01', '42703', '42883', '3F000') then
      jsonb_build_object('status', 'retry', 'code', 'schema', 'message', message || '. If a table or column was renamed, run datum.attach again.', 'retryAfterMs', 60000)
    when state in ('42501', 'P0D04') then datum.rejected('forbidden', message)
    when state = '23505' then datum.rejected(case when datum.is_key_index(e, con) then 'idTaken' else 'unique' end, message)
    when state = '23503' then datum.rejected('foreignKey', message)
    when state in ('23514', '23P01') then datum.rejected('check', message)
    when state = '23502' then datum.rejected('notNull', message)
    when state = 'P0D05' or left(state, 2) in ('P0', 'PT') and state <> 'P0D03' then datum.rejected('refused', message)
    when left(state, 2) in ('22', '23', '42', '0A', '54') or state = 'P0D03' then datum.rejected('invalidData', message)
    else datum.rejected('refused', message)
  end
$$;

create or replace function public.datum_push(json) returns json
  language plpgsql
as $f$
declare
  began timestamptz := clock_timestamp();
  body text := $1::text;
  req jsonb;
  ops json;
  me text;
  srv datum.server := datum.server_row();
  nul text;
  all_retry text;
  o json;
  op jsonb;
  ent datum.entity;
  shape jsonb;
  shapes jsonb := '{}';
  last_entity text;
  op_id text;
  v jsonb;
  again int;
  failed jsonb := '{}';
  results jsonb[] := '{}';
  row_bytes bigint := 0;
  deferred text;
  state text;
  message text;
  con text;
begin
  -- Text with U+0000 fails its operation alone, and not the request.
  if position('\u0000' in body) > 0 then
    nul := 'nul' || gen_random_uuid();
    body := regexp_replace(body, '(?<!\\)((?:\\\\)*)\\u0000', '\1' || nul, 'g');
  end if;
  if json_typeof(body::json) <> 'object' then
    perform datum.fail(400, 'badRequest', 'The body must be a JSON object.');
  end if;
  ops := body::json->'operations';
  select coalesce(jsonb_object_agg(x.key, x.value), '{}') into req
    from json_each(body::json) x where x.key in ('clientId', 'userId', 'epoch', 'serverId', 'schema');
  me := datum.check_request(req);
  if json_typeof(ops) is distinct from 'array' then
    perform datum.fail(400, 'badRequest', '`operations` must be a list.');
  elsif json_array_length(ops) > 10000 then
    perform datum.fail(413, 'tooManyOperations', format('The push has %s operations; the most is 10000. Send less at once.', json_array_length(ops)));
  elsif nul is not null and position(nul in req::text) > 0 then
    perform datum.fail(400, 'badRequest', 'The request has text with U+0000, which PostgreSQL cannot hold.');
  end if;
  if not datum.is_none(req->'serverId') and req->>'serverId' <> srv.server_id then
    all_retry := 'otherServer';
  elsif not datum.is_none(req->'epoch') and req->>'epoch' <> srv.epoch then
    all_retry := 'epochChanged';
  else
    -- Operations of one user are decided one push after the other.
    perform pg_advisory_xact_lock(hashtextextended('datum:' || me, 0));
    select string_agg(distinct format('%I.%I', n.nspname, k.conname), ', ') into deferred
      from pg_constraint k join pg_namespace n on n.oid = k.connamespace where k.condeferred and n.nspname <> 'datum';
  end if;
  for o in select x from json_array_elements(ops) x loop
    if json_typeof(o) <> 'object' or json_typeof(o->'opId') is distinct from 'string'
      or nul is not null and position(nul in o->>'opId') > 0 then
      perform datum.fail(400, 'badRequest', format('`operations[%s]` has no `opId` to answer to.', cardinality(results)));
    end if;
    op_id := o->>'opId';
    again := 0;
    loop
      begin
        if all_retry is not null then
          v := jsonb_build_object('status', 'retry', 'code', all_retry, 'retryAfterMs', 0);
        elsif clock_timestamp() - began > interval '3 seconds' or row_bytes > 16777216 then
          v := '{"status":"retry","retryAfterMs":0}';
        else
          op := o::jsonb;
          if nul is not null and position(nul in op::text) > 0 then
            v := datum.rejected('invalidData', 'The operation has text with U+0000, which PostgreSQL cannot hold.');
          else
            if last_entity is distinct from op->>'entity' then
              last_entity := op->>'entity';
              ent := datum.entity_of(last_entity);
              -- As long to make as an operation takes, so it is made once for each table.
              if ent.tbl is not null and not shapes ? last_entity then
                shapes := shapes || jsonb_build_object(last_entity, datum.shape(ent));
              end if;
              shape := shapes->last_entity;
            end if;
            v := datum.decide(op, octet_length((o->'data')::text),
              jsonb_typeof(op->'after') = 'array' and exists (select from jsonb_array_elements_text(op->'after') a where failed ? a), deferred, ent, shape);
          end if;
        end if;
      -- A canceled query ends the request. `others` leaves out the app's assertions.
      exception when assert_failure or others then
        get stacked diagnostics state = returned_sqlstate, message = message_text, con = constraint_name;
        if state = 'PGRST' then
          raise;
        end if;
        v := datum.refusal(state, message, con, op->>'entity');
        -- Somebody else created it a moment ago: now there is a row to conflict with.
        if v->>'code' = 'idTaken' and again = 0 and (datum.stamp_of(op->>'entity', op->>'id', coalesce(op->>'space', 'u:' || me))).live
          or state = '23505' and con = 'document_pkey' and again < 3 then
          v := null;
        end if;
      end;
      exit when v is not null;
      again := again + 1;
    end loop;
    if v->>'status' = 'conflict' then
      row_bytes := row_bytes + octet_length(v->>'row');
    elsif v->>'status' <> 'applied' then
      null;
    end if;
    if v->>'status' <> 'applied' then
      failed := failed || jsonb_build_object(op_id, true);
    end if;
    results := results || (jsonb_build_object('opId', op_id) || v);
  end loop;
  return json_build_object('results', to_json(results), 'serverTime', datum.iso(clock_timestamp()), 'serverId', srv.server_id, 'epoch', srv.epoch);
exception when serialization_failure or deadlock_detected or lock_not_available then
  -- PostgREST would try again without end.
  perform datum.fail(503, 'busy', 'The database is busy; try again shortly.', 1000);
end $f$;
