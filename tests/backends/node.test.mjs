// `postgresStore` of `datum-sync/server` over the SQL kit, by `pg` and by `postgres`: no PostgREST, and no accounts but the app's own.
import assert from "node:assert/strict";
import pg from "pg";
import postgres from "postgres";
import { wholeConversations } from "../e2e/lib/conversations.mjs";
import { freePort } from "../e2e/lib/ports.mjs";
import { byName, sender } from "../e2e/lib/sync-handler.mjs";
import { before, test, within } from "../e2e/lib/test.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { kit } from "./lib/kit.mjs";
import { loadPackage } from "./lib/package.mjs";
import { startPostgres } from "./lib/postgres.mjs";

const ROLES = "create role authenticated nologin; create role app login; grant authenticated to app; create role other login";

let server, createSyncHandler, postgresStore;
before(async () => {
  const { installed } = await loadPackage();
  ({ createSyncHandler, postgresStore } = await import(`file://${installed}/server/index.js`));
  server = await startPostgres(await freePort());
  atEnd(() => server.stop());
  await sql("postgres", ROLES);
  const alive = setInterval(() => {}, 10_000);
  atEnd(() => clearInterval(alive));
});

const address = (database, role) => `postgres://${role}@127.0.0.1:${server.port}/${database}`;

/** Runs SQL in a database. */
async function sql(database, text, role = "supabase_admin") {
  const client = new pg.Client({ connectionString: address(database, role) });
  await client.connect();
  return client.query(text).finally(() => client.end());
}

let databases = 0;
/** Makes a database of the app's own, with the kit and documents unless `migration` is another. */
async function database(migration = `${kit()}\n;select datum.documents(true)`) {
  const name = `app${++databases}`;
  await sql("postgres", `create database ${name} owner app`);
  await sql(name, "alter schema public owner to app");
  if (migration !== "") await sql(name, migration, "app");
  return name;
}

/** The clients of an app, by name. Each ends with the tests. */
const clients = {
  "a pool of pg"(name, role = "app", more = {}) {
    const pool = new pg.Pool({ connectionString: address(name, role), max: 4, ...more });
    pool.on("error", () => {});
    atEnd(() => pool.end());
    return pool;
  },
  async "a client of pg"(name, role = "app") {
    const client = new pg.Client({ connectionString: address(name, role) });
    client.on("error", () => {});
    await client.connect();
    atEnd(() => client.end());
    return client;
  },
  postgres(name, role = "app", more = {}) {
    const client = postgres(address(name, role), { max: 4, onnotice: () => {}, ...more });
    atEnd(() => client.end({ timeout: 1 }));
    return client;
  },
};
const pool = (...given) => clients["a pool of pg"](...given);

const handlerOf = (client, options = {}, more = {}) => {
  const handler = createSyncHandler({ store: postgresStore(client, options), authenticate: byName, onError: () => {}, ...more });
  atEnd(() => handler.close());
  return handler;
};
const row = (id, more = {}) => ({ opId: `create-${id}`, entity: "notes", id, kind: "create", baseVersion: null, data: { title: id }, ...more });
const push = (send, user, ...operations) => send(user, "POST", "/sync/v1/push", JSON.stringify({ clientId: "d", operations }));
const pull = (send, user, more = {}) => send(user, "POST", "/sync/v1/pull", JSON.stringify({ clientId: "d", cursor: null, limit: 100, ...more }));
const ids = ({ reply }) => reply.changes.map(({ id }) => id);

/** Where a reply has what the kit leaves out: how much of a history a restore has kept. */
const without = (steps) => JSON.parse(JSON.stringify(steps, (key, value) => (key === "kept" ? undefined : value)));

test("the conversations of the protocol hold with each client", async (t) => {
  for (const [about, connect] of Object.entries(clients)) {
    const name = await database();
    const send = sender(handlerOf(await connect(name)));
    const orders = { newEpoch: "select datum.new_epoch()", forgetTombstones: "select datum.sweep(tombstones => '0 s')", forgetOperations: "select datum.sweep(operations => '0 s')" };
    const conversing = {
      operate: (order) => sql(name, orders[order], "app"),
      send: (user, method, path, text) => {
        // Digests come on demand: the kit walks all rows for them.
        const asked = path === "/sync/v1/pull" && text.startsWith("{") ? text.replace("{", '{"digests":true,') : text;
        return send(user, method, path, asked);
      },
    };
    // Spaces and members are the app's own rows.
    const all = (await wholeConversations()).filter(({ steps }) => !/"\$\$(space|member)"/.test(JSON.stringify(steps)));
    assert.ok(all.length > 50, `${all.length}`);
    for (const { name: what, steps, hold } of all) {
      steps.splice(0, steps.length, ...without(steps));
      await t.test(`${about}: ${what}`, () => hold(conversing));
    }
  }
});

test("health and info say which server this is, and other paths that they are none", async () => {
  const send = sender(handlerOf(pool(await database())));
  const { reply: health } = await send("ann", "GET", "/sync/v1/health");
  const { reply: info } = await send("ann", "GET", "/sync/v1/info");
  const { reply: page } = await pull(send, "ann");
  assert.deepEqual([health.status, health.serverId, info.epoch], ["ok", page.serverId, page.epoch]);
  assert.equal((await send("ann", "GET", "/sync/v1/else")).reply.code, "notFound");
  assert.equal((await send("ann", "POST", "/sync/v1/metadata", "{}")).reply.code, "methodNotAllowed");
});

test("an app's own tables and its policies decide, by the user that authenticate returned", async () => {
  const tables = `
    create table public.tasks(id text primary key, owner text not null default datum.me(), title text not null);
    alter table public.tasks enable row level security;
    create policy mine on public.tasks to authenticated using (owner = datum.me());
    grant all on public.tasks to authenticated;
    select datum.attach('public.tasks', owner => 'owner');`;
  const name = await database(`${kit()}\n;${tables}`);
  const send = sender(handlerOf(pool(name)));
  const task = (id, data = { title: id }) => row(id, { entity: "tasks", data });
  const { reply } = await push(send, "ann", task("1"), task("2", {}));
  assert.deepEqual(reply.results.map(({ status, code }) => [status, code ?? null]), [["applied", null], ["rejected", "notNull"]]);
  assert.deepEqual((await sql(name, "select id, owner, title from public.tasks")).rows, [{ id: "1", owner: "ann", title: "1" }]);
  assert.deepEqual([ids(await pull(send, "ann")), ids(await pull(send, "bob"))], [["1"], []]);
  const foreign = await push(send, "bob", { ...task("1"), opId: "b", kind: "update", baseVersion: 1 });
  assert.notEqual(foreign.reply.results[0].status, "applied");
  // Nothing of one request's user is left on the connection.
  const left = await pool(name).query("select current_user as role, nullif(current_setting('request.jwt.claims', true), '') as claims");
  assert.deepEqual(left.rows, [{ role: "app", claims: null }]);
});

test("a pool of one connection serves requests and streams, and listens to nobody", async () => {
  const handler = handlerOf(pool(await database(), "app", { max: 1 }));
  const reader = await stream(handler, "ann");
  assert.equal((await within(20_000, "an answer", push(sender(handler), "ann", row("1")))).status, 200);
  assert.match(await until(reader, "change"), /change/);
});

async function until(reader, end) {
  let text = "";
  while (!text.includes(end)) {
    const { done, value } = await within(20_000, `"${end}" in a stream, which said ${JSON.stringify(text)}`, reader.read());
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  return text;
}

const stream = async (handler, user) => {
  const response = await handler(new Request("http://any.example/sync/v1/stream", { headers: { authorization: `Bearer ${user}` } }));
  const reader = response.body.getReader();
  await until(reader, ": open");
  return reader;
};

for (const about of ["a pool of pg", "postgres"]) {
  test(`${about}: a stream hears of what another process writes, and of SQL, also after the database was away`, async () => {
    const name = await database();
    const here = handlerOf(await clients[about](name));
    const there = sender(handlerOf(pool(name), { listen: false }));
    const reader = await stream(here, "ann");
    // LISTEN is under way: a hint of an earlier write comes with that of a later one.
    let writes = 0;
    const heard = until(reader, "event: change");
    while ((await Promise.race([heard, push(there, "ann", row(`w${writes++}`))])).status === 200 && writes < 1_000);
    assert.match(await heard, /change/);
    await reader.cancel();
    await sql("postgres", `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const again = await stream(here, "ann");
    const told = until(again, "event: change");
    const send = sender(here);
    for (let n = 0; n < 40; n++) {
      const next = await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 250))]);
      if (next !== undefined) break;
      await push(there, "ann", row(`x${n}`)).catch(() => {});
    }
    assert.match(await told, /change/);
    assert.equal((await pull(send, "ann")).status, 200);
  });
}

test("a database that is away, slow, read-only or at odds is answered as the protocol says, and the next request is as good as ever", async () => {
  const name = await database();
  const own = pool(name);
  const send = sender(handlerOf(own, { listen: false }));
  await push(send, "ann", row("1"));
  // A lock on the user's space, and a limit for statements.
  await sql(name, "alter role app set statement_timeout = '300ms'");
  const slow = sender(handlerOf(pool(name), { listen: false }));
  const holder = new pg.Client({ connectionString: address(name, "supabase_admin") });
  await holder.connect();
  await holder.query("begin; lock table datum.op, datum.row, datum.document in access exclusive mode");
  const late = await push(slow, "ann", row("2"));
  assert.ok([504, 200].includes(late.status), JSON.stringify(late.reply));
  if (late.status === 504) assert.equal(late.reply.code, "timeout");
  else assert.deepEqual(late.reply.results.map(({ status }) => status), ["retry"]);
  await holder.query("rollback");
  await holder.end();
  await sql(name, "alter role app reset statement_timeout");
  await sql(name, `alter database ${name} set default_transaction_read_only = on`);
  const frozen = sender(handlerOf(pool(name), { listen: false }));
  const refused = await push(frozen, "ann", row("3"));
  assert.deepEqual([refused.status, refused.reply.code, (await frozen("ann", "GET", "/sync/v1/health")).reply.code], [503, "storageFailed", "storageFailed"]);
  assert.equal((await pull(frozen, "ann")).status, 200);
  await sql("postgres", `alter database ${name} reset default_transaction_read_only`);
  await server.end();
  const away = await pull(send, "ann");
  assert.deepEqual([away.status, away.reply.code], [503, "busy"]);
  await server.start();
  let back = await pull(send, "ann");
  for (let n = 0; n < 20 && back.status !== 200; n++) back = await pull(send, "ann");
  assert.deepEqual(ids(back), ["1"]);
});

test("a database without the kit, without the role, or with a later kit says what to do", async () => {
  const heard = [];
  const first = async (client, options) => {
    const send = sender(handlerOf(client, { listen: false, ...options }, { onError: (error) => heard.push(String(error.message)) }));
    const { status, reply } = await pull(send, "ann");
    return [status, reply.code, heard.pop()];
  };
  const empty = await database("");
  const [status, code, said] = await first(pool(empty));
  assert.deepEqual([status, code], [500, "internal"]);
  assert.match(said, /datum\.sql/);
  const name = await database();
  assert.match((await first(pool(name), { role: "nobody-of-this-name" }))[2], /there is no role "nobody-of-this-name"/);
  assert.match((await first(pool(name, "other")))[2], /may not become "authenticated"/);
  await sql(name, "create or replace function datum.version() returns text language sql immutable as $$ select '2.0.0' $$");
  assert.match((await first(pool(name)))[2], /2\.0\.0, which is later/);
});

test("bodies that PostgreSQL cannot read are refused as such, and options that are wrong are named", async () => {
  const send = sender(handlerOf(pool(await database()), { listen: false }));
  for (const body of ["", "{", "[]", "7", '{"clientId":"d","limit":1,"cursor":"\\u0000"}', "{\"clientId\":\"\u0000\"}"]) {
    for (const path of ["pull", "push"]) {
      const { status, reply } = await send("ann", "POST", `/sync/v1/${path}`, body);
      assert.deepEqual([status, reply.code], [400, "badRequest"], `${path} ${JSON.stringify(body)}: ${JSON.stringify(reply)}`);
    }
  }
  assert.equal((await send("ann", "PUT", "/sync/v1/metadata", '{"deviceId":"d"},"do":"clear"')).status, 400);
  for (const wrong of [undefined, null, {}, "postgres://…"]) assert.throws(() => postgresStore(wrong), /postgresStore needs a Pool/);
  assert.throws(() => postgresStore(new pg.Pool(), { roles: "a" }), /`roles`/);
  assert.throws(() => postgresStore(new pg.Pool(), { role: "" }), /`role`/);
});
