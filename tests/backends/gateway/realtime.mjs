// `/realtime/v1/websocket`: Phoenix channels with changes of tables and broadcasts, as supabase-js joins them.
//
// Changes come from triggers on the tables of the publication `supabase_realtime`, by NOTIFY. A change reaches a channel if its user
// may read the row; of a delete, everybody gets the key, as there.
import { WebSocketServer } from "ws";
import { isExpired, verify } from "./token.mjs";

const SETUP = `
create schema if not exists realtime;
create or replace function realtime.tell() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('realtime_changes', left(json_build_object('schema', tg_table_schema, 'table', tg_table_name, 'type', tg_op,
    'record', case when tg_op = 'DELETE' then null else to_json(new) end, 'old', case when tg_op = 'INSERT' then null else to_json(old) end)::text, 7900));
  return null;
end $$;
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void language sql security definer set search_path = pg_catalog, pg_temp as
$$ select pg_notify('realtime_broadcast', json_build_object('topic', topic, 'event', event, 'payload', payload)::text) $$;
grant usage on schema realtime to public;`;

/** A channel that a socket has joined. */
class Channel {
  bindings = [];
  /** Changes count from then on, somewhat after the reply to the join. */
  isReady = false;

  constructor(topic, joinRef, claims) {
    Object.assign(this, { topic, joinRef, claims });
  }
}

/** The realtime side of a gateway. */
export class Realtime {
  #server = new WebSocketServer({ noServer: true });
  #sockets = new Map();
  #database;
  #secret;
  #nextId = 1;
  /** How long after the reply to a join changes are followed, in milliseconds. */
  readyAfter = 50;
  /** While true, joins are refused. */
  isRefusing = false;
  /** While true, clients get no change and no broadcast. */
  isDeaf = false;
  /** While true, new sockets are refused. */
  isClosed = false;

  constructor({ database, secret }) {
    this.#database = database;
    this.#secret = secret;
  }

  /** How many channels are joined. */
  get joined() {
    return [...this.#sockets.values()].reduce((sum, channels) => sum + channels.size, 0);
  }

  async start(listener) {
    await this.#database.query(SETUP);
    listener.on("notification", ({ channel, payload }) => void this.#tell(channel, payload).catch((error) => console.error("realtime:", error)));
    await listener.query("listen realtime_changes; listen realtime_broadcast");
  }

  /** Ends every connection, as a network does. */
  breakAll() {
    for (const socket of this.#sockets.keys()) socket.terminate();
  }

  upgrade(request, socket, head, url) {
    if (this.isClosed) return void socket.destroy();
    const isArrays = url.searchParams.get("vsn") === "2.0.0";
    this.#server.handleUpgrade(request, socket, head, (socket) => this.#serve(socket, isArrays));
  }

  #serve(socket, isArrays) {
    const channels = new Map();
    this.#sockets.set(socket, channels);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    socket.say = ({ joinRef = null, ref = null, topic, event, payload }) =>
      socket.send(JSON.stringify(isArrays ? [joinRef, ref, topic, event, payload] : { join_ref: joinRef, ref, topic, event, payload }));
    socket.on("message", (bytes) => {
      const text = JSON.parse(bytes.toString());
      const [joinRef, ref, topic, event, payload] = isArrays ? text : [text.join_ref, text.ref, text.topic, text.event, text.payload];
      this.#hear(socket, channels, { joinRef, ref, topic, event, payload }).catch((error) => console.error("realtime:", error));
    });
  }

  async #hear(socket, channels, { joinRef, ref, topic, event, payload }) {
    const reply = (status, response = {}) => socket.say({ joinRef, ref, topic, event: "phx_reply", payload: { status, response } });
    const channel = channels.get(topic);
    switch (event) {
      case "heartbeat":
        return reply("ok");
      case "phx_join":
        return this.#join(socket, channels, { joinRef, topic, payload, reply });
      case "phx_leave":
        channels.delete(topic);
        reply("ok");
        return socket.say({ joinRef, topic, event: "phx_close", payload: {} });
      case "access_token": {
        const claims = verify(payload.access_token, this.#secret);
        if (channel && claims) channel.claims = claims;
        return;
      }
      case "broadcast":
        reply("ok");
        return this.#broadcast(topic, payload, payload?.self ? undefined : socket);
      default:
        return;
    }
  }

  async #join(socket, channels, { joinRef, topic, payload, reply }) {
    const claims = payload.access_token === undefined ? { role: "anon" } : verify(payload.access_token, this.#secret);
    if (this.isRefusing) return reply("error", { reason: "TooManyJoins" });
    if (claims === null || isExpired(claims)) return reply("error", { reason: "InvalidJWTToken: Token has expired" });
    const channel = new Channel(topic, joinRef, claims);
    channel.bindings = (payload.config?.postgres_changes ?? []).map((binding) => ({ id: this.#nextId++, ...binding }));
    channels.set(topic, channel);
    reply("ok", { postgres_changes: channel.bindings });
    if (channel.bindings.length === 0) return;
    await this.#follow();
    await new Promise((resolve) => setTimeout(resolve, this.readyAfter));
    channel.isReady = true;
    const said = { channel: topic.replace("realtime:", ""), extension: "postgres_changes", message: "Subscribed to PostgreSQL", status: "ok" };
    if (channels.get(topic) === channel) socket.say({ joinRef, topic, event: "system", payload: said });
  }

  /** Puts triggers on the tables of the publication that have none. */
  async #follow() {
    const { rows } = await this.#database.query(`select p.schemaname, p.tablename from pg_publication_tables p where p.pubname = 'supabase_realtime'
      and not exists (select from pg_trigger t where t.tgrelid = format('%I.%I', p.schemaname, p.tablename)::regclass and t.tgname = 'zzz_realtime')`);
    for (const { schemaname, tablename } of rows) {
      await this.#database.query(`create trigger zzz_realtime after insert or update or delete on "${schemaname}"."${tablename}" for each row execute function realtime.tell()`).catch(() => {});
    }
  }

  async #tell(kind, text) {
    if (this.isDeaf) return;
    const told = JSON.parse(text);
    if (kind === "realtime_broadcast") return this.#broadcast(`realtime:${told.topic}`, { type: "broadcast", event: told.event, payload: told.payload });
    const { schema, table, type, record, old } = told;
    for (const [socket, channels] of this.#sockets) {
      for (const channel of channels.values()) {
        const ids = channel.bindings.filter((binding) => wants(binding, told)).map(({ id }) => id);
        if (!channel.isReady || ids.length === 0) continue;
        if (isExpired(channel.claims)) {
          channels.delete(channel.topic);
          socket.say({ joinRef: channel.joinRef, topic: channel.topic, event: "phx_close", payload: {} });
          continue;
        }
        if (type !== "DELETE" && !(await this.#mayRead(channel.claims, schema, table, record))) continue;
        const data = { schema, table, type, commit_timestamp: new Date().toISOString(), columns: [], record: record ?? {}, old_record: old ?? {}, errors: null };
        socket.say({ joinRef: channel.joinRef, topic: channel.topic, event: "postgres_changes", payload: { ids, data } });
      }
    }
  }

  #broadcast(topic, payload, except) {
    for (const [socket, channels] of this.#sockets) {
      const channel = channels.get(topic);
      if (channel && socket !== except) socket.say({ joinRef: channel.joinRef, topic, event: "broadcast", payload });
    }
  }

  async #mayRead(claims, schema, table, record) {
    const client = await this.#database.connect();
    try {
      await client.query("begin read only");
      await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(claims)]);
      await client.query(`set local role "${claims.role === "service_role" || claims.role === "authenticated" ? claims.role : "anon"}"`);
      const { rowCount } = await client.query(`select from "${schema}"."${table}" _t where to_jsonb(_t.*) = $1::jsonb limit 1`, [JSON.stringify(record)]);
      return rowCount > 0;
    } catch {
      return false;
    } finally {
      await client.query("rollback").catch(() => {});
      client.release();
    }
  }
}

function wants({ event, schema, table, filter }, change) {
  if ((event ?? "*") !== "*" && event !== change.type) return false;
  if ((schema ?? "*") !== "*" && schema !== change.schema) return false;
  if ((table ?? "*") !== "*" && table !== change.table) return false;
  const match = /^([^=]+)=eq\.(.*)$/.exec(filter ?? "");
  return match === null || String(change.record?.[match[1]]) === match[2];
}
