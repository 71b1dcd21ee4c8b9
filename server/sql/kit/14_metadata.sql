-- Metadata: one record for each device of the caller.
create or replace function datum.bad_record(r jsonb) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  k text;
begin
  if jsonb_typeof(r) is distinct from 'object' then
    return 'The record must be a JSON object.';
  elsif jsonb_typeof(r->'deviceId') is distinct from 'string' or not datum.is_id(r->>'deviceId') then
    return '`deviceId` must be text of 1 to 512 bytes without control characters.';
  end if;
  foreach k in array array['lastSyncTime', 'lastSuccessfulSyncTime'] loop
    if not datum.is_none(r->k) and (jsonb_typeof(r->k) <> 'string' or r->>k !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$') then
      return format('`%s` must be a time such as 2026-01-31T12:00:00.000Z.', k);
    end if;
  end loop;
  foreach k in array array['dataHash', 'errorMessage', 'syncStatus'] loop
    if not datum.is_none(r->k) and jsonb_typeof(r->k) <> 'string' then
      return format('`%s` must be text.', k);
    end if;
  end loop;
  foreach k in array array['conflictCount', 'retryCount', 'syncDuration'] loop
    if not datum.is_none(r->k) and coalesce(datum.whole(r->k), -1) not between 0 and 9007199254740991 then
      return format('`%s` must be a whole number.', k);
    end if;
  end loop;
  foreach k in array array['entityCounts', 'customMetadata'] loop
    if not datum.is_none(r->k) and jsonb_typeof(r->k) <> 'object' then
      return format('`%s` must be an object.', k);
    end if;
  end loop;
  return null;
end $f$;

-- The records, as their owner: a client reads no table of these.
create or replace function datum.metadata(json) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $f$
declare
  req jsonb := datum.body($1);
  me text := datum.check_request(coalesce(req, '{}') || '{"clientId": "any"}');
  r jsonb := req->'record';
  bad text;
  srv datum.server := datum.server_row();
begin
  case req->>'do'
    when 'get' then null;
    when 'put' then
      bad := datum.bad_record(r);
      if bad is not null then
        perform datum.fail(400, 'badRequest', bad);
      elsif not datum.is_none(r->'userId') and r->>'userId' <> me then
        perform datum.fail(409, 'userMismatch', '`userId` is not the user of the token. Send the token of the user whose data this is.');
      elsif octet_length(r::text) > 65536 then
        perform datum.fail(413, 'metadataTooLarge', format('The record is %s bytes; the most is 65536. Send less at once.', octet_length(r::text)));
      end if;
      select jsonb_object_agg(x.key, x.value) into r from jsonb_each(r) x
        where x.value <> 'null' and x.key in ('deviceId', 'lastSyncTime', 'lastSuccessfulSyncTime', 'dataHash', 'entityCounts', 'syncStatus',
          'conflictCount', 'errorMessage', 'retryCount', 'syncDuration', 'customMetadata');
      select jsonb_object_agg(x.key, case when x.key in ('conflictCount', 'retryCount', 'syncDuration') then to_jsonb(trunc(x.value::numeric)) else x.value end)
        into r from jsonb_each(r) x;
      insert into datum.device as d (usr, device_id, record) values (me, r->>'deviceId', r)
        on conflict (usr, device_id) do update set record = excluded.record, at = excluded.at;
      delete from datum.device d where d.usr = me and d.device_id in (
        select x.device_id from datum.device x where x.usr = me order by x.at desc offset 1000);
    when 'clear' then
      delete from datum.device d where d.usr = me;
    else
      perform datum.fail(400, 'badRequest', '`do` must be get, put or clear.');
  end case;
  return json_build_object('devices', (select coalesce(json_agg(d.record order by d.device_id), '[]') from datum.device d where d.usr = me),
    'serverTime', datum.iso(clock_timestamp()), 'serverId', srv.server_id);
end $f$;

-- Digests are of what the caller may see, so this part runs as the caller.
create or replace function public.datum_metadata(json) returns json
  language plpgsql
as $f$
declare
  reply json := datum.metadata($1);
begin
  if datum.body($1)->'digests' = 'true' then
    return (left(reply::text, -1) || ',"digests":' || datum.digests(null) || '}')::json;
  end if;
  return reply;
end $f$;
