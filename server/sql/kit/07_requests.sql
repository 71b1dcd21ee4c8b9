-- What all requests share: errors, and checks of their fields.

-- Fails the request with a status and a code of the protocol. PostgREST makes its answer of the message
-- and the detail.
create or replace function datum.fail(status int, code text, message text, retry_ms int default null) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  headers jsonb := '{"Cache-Control": "no-store"}';
begin
  if retry_ms is not null then
    headers := headers || jsonb_build_object('Retry-After', ((retry_ms + 999) / 1000)::text);
  end if;
  if status = 401 then
    headers := headers || '{"WWW-Authenticate": "Bearer"}';
  end if;
  raise sqlstate 'PGRST' using
    message = json_build_object('code', code, 'message', message, 'details',
      case when retry_ms is not null then json_build_object('retryAfterMs', retry_ms)::text end, 'hint', null)::text,
    detail = json_build_object('status', status, 'headers', headers)::text;
end $f$;

-- Whether a text is an id: 1 to 512 bytes without control characters.
create or replace function datum.is_id(t text, most int default 512) returns boolean
  language sql immutable
as $$ select t is not null and octet_length(t) between 1 and most and t !~ '[\u0001-\u001f\u007f-\u009f]' $$;

-- Whether a JSON value is absent or null.
create or replace function datum.is_none(v jsonb) returns boolean
  language sql immutable
as $$ select v is null or v = 'null' $$;

-- The whole number in a JSON value; null if it is none.
create or replace function datum.whole(v jsonb) returns numeric
  language sql immutable
as $$ select case when jsonb_typeof(v) = 'number' and v::numeric = trunc(v::numeric) then v::numeric end $$;

-- A time as the protocol writes it.
create or replace function datum.iso(t timestamptz) returns text
  language sql stable
as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

create or replace function datum.server_row() returns datum.server
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select s from datum.server s $$;

-- Checks what pull, push and metadata have in common. Returns the user.
create or replace function datum.check_request(req jsonb) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
  me text := datum.me();
begin
  if not datum.is_id(me) then
    perform datum.fail(401, 'tokenInvalid', 'The request has no token of a user.');
  end if;
  if jsonb_typeof(req) is distinct from 'object' then
    perform datum.fail(400, 'badRequest', 'The body must be a JSON object.');
  end if;
  if jsonb_typeof(req->'clientId') is distinct from 'string' or not datum.is_id(req->>'clientId') then
    perform datum.fail(400, 'badRequest', '`clientId` must be text of 1 to 512 bytes without control characters.');
  end if;
  if not datum.is_none(req->'userId') then
    if jsonb_typeof(req->'userId') <> 'string' then
      perform datum.fail(400, 'badRequest', '`userId` must be text.');
    elsif req->>'userId' <> me then
      perform datum.fail(409, 'userMismatch', '`userId` is not the user of the token. Send the token of the user whose data this is.');
    end if;
  end if;
  return me;
end $f$;

-- A JSON body as jsonb. What no text of PostgreSQL can hold fails the request.
create or replace function datum.body(req json) returns jsonb
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
begin
  return req::jsonb;
exception when others then
  perform datum.fail(400, 'badRequest', 'The body cannot be read: ' || sqlerrm || '.');
end $f$;
