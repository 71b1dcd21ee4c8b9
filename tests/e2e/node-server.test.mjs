// `datum-sync/server` of the packed package: stores under the protocol's conversations and beside the real server, and what the handler makes of requests.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { wholeConversations } from "./lib/conversations.mjs";
import { temporaryFolder } from "./lib/files.mjs";
import { history } from "./lib/histories.mjs";
import { installPackage } from "./lib/package.mjs";
import { client, startServer } from "./lib/server.mjs";
import { sqliteDrivers } from "./lib/sqlite-drivers.mjs";
import { byName, conversing, sender } from "./lib/sync-handler.mjs";
import { after, before, test } from "./lib/test.mjs";

let installed, folder, createSyncHandler, memoryStore, sqliteStore, SyncError;
const drivers = await sqliteDrivers();
/** Each store with its name, new and empty. */
const stores = () => [["memory", memoryStore()], ...drivers.map(({ name, open }, number) => [name, sqliteStore(open(file(`${name.replace(":", "-")}-${number}`)))])];
/** The handler's timers keep no process alive. */
const alive = setInterval(() => {}, 10_000);
let files = 0;
const file = (name) => join(folder.path, `${name}-${++files}.sqlite`);

before(async () => {
  [installed, folder] = await Promise.all([installPackage(), temporaryFolder()]);
  ({ createSyncHandler, memoryStore, sqliteStore, SyncError } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/server/index.js"))));
});
after(async () => {
  clearInterval(alive);
  await installed?.remove();
  await folder?.remove();
});

const quiet = { onError: () => {} };
const handlerOf = (options = {}) => createSyncHandler({ store: memoryStore(), authenticate: byName, ...options });
const created = (id, entity = "tasks") => ({ opId: `create-${id}`, entity, id, kind: "create", baseVersion: null, data: { title: id } });
const pushed = (...operations) => JSON.stringify({ clientId: "d1", operations });
const pulled = (more = {}) => JSON.stringify({ clientId: "d1", cursor: null, limit: 100, ...more });
const PUSH = ["POST", "/sync/v1/push"];
const PULL = ["POST", "/sync/v1/pull"];

test("the conversations of the protocol hold over each store", async (t) => {
  const all = await wholeConversations();
  assert.ok(all.length > 60);
  for (const [name, store] of stores()) {
    const server = conversing(createSyncHandler({ store, authenticate: byName }), store);
    for (const { name: about, hold } of all) await t.test(`${name}: ${about}`, () => hold(server));
  }
});

test("each store answers random histories of users who share spaces as the server does", async () => {
  const server = await startServer();
  try {
    for (const [place, [name, store]] of stores().entries()) {
      const send = sender(createSyncHandler({ store, authenticate: byName }));
      const tokens = new Map();
      const ofServer = async (user, call, body) => {
        if (!tokens.has(user)) tokens.set(user, (await client(server.url, user)).headers);
        const reply = await fetch(`${server.url}/sync/v1/${call}`, { method: "POST", headers: tokens.get(user), body: JSON.stringify(body) });
        return { status: reply.status, ...(await reply.json()) };
      };
      const ofStore = async (user, call, body) => {
        const { status, reply } = await send(user, "POST", `/sync/v1/${call}`, JSON.stringify(body));
        return { status, ...reply };
      };
      for (let seed = 1; seed <= 12; seed++) await compareHistory(`${name} ${seed}`, 100 * place + seed, ofServer, ofStore);
    }
  } finally {
    await server.stop();
  }
});

test("what a request must have is said, with the status that the protocol has for it", async () => {
  const heard = [];
  const refused = { expired: new SyncError(401, "tokenExpired", "Sign in again."), banned: new SyncError(403, "banned", "Not you."), busy: new SyncError(503, "busy", "Later.", 1_500), broken: new Error("no keys") };
  const authenticate = (request) => {
    const name = byName(request);
    if (refused[name] !== undefined) throw refused[name];
    return name === "number" ? 7 : name === "id" ? { userId: 7 } : name === "nobody" ? false : name === "long" ? "x".repeat(513) : name === "half" ? "\ud800" : name === "late" ? { userId: "late", expiresAt: "soon" } : name;
  };
  const handler = handlerOf({ authenticate, maxBodyBytes: 2_000, onError: (error) => heard.push(error.message) });
  const answers = async (init, path = PULL[1]) => {
    const response = await handler(new Request(`http://any.example${path}`, { method: "POST", body: pulled(), ...init }));
    const reply = await response.json();
    assert.equal(reply.requestId, response.headers.get("x-request-id"));
    assert.equal(response.headers.get("content-type"), "application/json");
    return [response.status, reply.code, response];
  };
  const as = (name, more = {}) => ({ headers: { authorization: `Bearer ${name}`, ...more } });
  for (const [init, status, code, path] of [
    [{}, 401, "tokenInvalid"],
    [as("long"), 401, "tokenInvalid"],
    [as("half"), 401, "tokenInvalid"],
    [as("a%00b"), 401, "tokenInvalid"],
    [as("expired"), 401, "tokenExpired"],
    [as("banned"), 403, "banned"],
    [as("busy"), 503, "busy"],
    [as("broken"), 500, "internal"],
    [as("nobody"), 401, "tokenInvalid"],
    [as("number"), 500, "internal"],
    [as("id"), 500, "internal"],
    [as("late"), 500, "internal"],
    [as("ann"), 404, "notFound", "/sync/v2/pull"],
    [as("ann"), 404, "notFound", "/sync/v1/nothing"],
    [{ ...as("ann"), method: "PUT" }, 405, "methodNotAllowed"],
    [{ ...as("ann"), body: "{" }, 400, "badRequest"],
    [{ ...as("ann"), body: "" }, 400, "badRequest"],
    [{ ...as("ann"), body: new Uint8Array([0xff, 0xfe]) }, 400, "badRequest"],
    [as("ann", { "content-encoding": "br" }), 415, "unsupportedEncoding"],
    [as("ann", { "content-encoding": "gzip" }), 400, "badRequest"],
    [{ ...as("ann"), body: "x".repeat(2_001) }, 413, "bodyTooLarge"],
    [{ ...as("ann", { "content-encoding": "gzip" }), body: gzipSync("x".repeat(1_000_000)) }, 413, "bodyTooLarge"],
  ]) {
    const [got, said, response] = await answers(init, path);
    assert.deepEqual([got, said], [status, code], JSON.stringify(init).slice(0, 100));
    assert.equal(response.headers.get("www-authenticate") !== null, status === 401);
  }
  const [, , busy] = await answers(as("busy"));
  assert.equal(busy.headers.get("retry-after"), "2");
  // The operator hears of a fault that is not the client's; the client hears that there was one, and no more.
  const noText = "`authenticate` must return the user's id as text; it is of the type number.";
  assert.deepEqual(heard, ["no keys", noText, noText, "`authenticate`: `expiresAt` must be a number of seconds since 1970."]);
});

test("a fault of the operator's own functions is a 500, even while it is reported", async (t) => {
  const written = t.mock.method(console, "error", () => {});
  const onError = () => {
    throw new Error("the report failed");
  };
  const handler = handlerOf({ authenticate: () => ({ userId: "ann", expiresAt: NaN }), onError });
  const response = await handler(new Request("http://any.example/sync/v1/stream", { headers: { authorization: "Bearer ann" } }));
  assert.deepEqual([response.status, (await response.json()).code], [500, "internal"]);
  assert.match(String(written.mock.calls[0].arguments[1]), /the report failed/);
});

test("a body may be gzip, and a handler may be mounted anywhere", async () => {
  const handler = handlerOf();
  const headers = { authorization: "Bearer ann", "content-encoding": "gzip" };
  const response = await handler(new Request("http://any.example/api/app/sync/v1/push", { method: "POST", headers, body: gzipSync(pushed(created("1"))) }));
  assert.equal((await response.json()).results[0].status, "applied");
  const page = await sender(handler)("ann", "POST", "/deep/sync/v1/pull?_=1", pulled());
  assert.deepEqual(page.reply.changes.map(({ id }) => id), ["1"]);
  const health = await handler(new Request("http://any.example/api/sync/v1/health"));
  assert.deepEqual([health.status, (await health.json()).status], [200, "ok"]);
  assert.equal((await handler(new Request("http://any.example/api/sync/v1/health", { method: "HEAD" }))).status, 200);
});

test("a body that was read before is the operator's mistake, and says so", async () => {
  const heard = [];
  const handler = handlerOf({ onError: (error) => heard.push(error.message) });
  const request = new Request("http://any.example/sync/v1/pull", { method: "POST", headers: { authorization: "Bearer ann" }, body: pulled() });
  await request.text();
  assert.equal((await handler(request)).status, 500);
  assert.match(heard[0], /read before the sync handler/);
});

test("pages of other origins get an answer where the operator allows them", async () => {
  const asked = (handler, origin, method = "GET") => handler(new Request("http://any.example/sync/v1/health", { method, headers: { origin } }));
  for (const [allowOrigins, origin, allowed] of [
    [undefined, "https://app.example", false],
    [["https://app.example/"], "https://app.example", true],
    [["https://app.example"], "https://app.example.evil.example", false],
    [["https://app.example"], "null", false],
    ["*", "https://any.example", true],
    [(origin) => origin.endsWith(".app.example"), "https://a.app.example", true],
  ]) {
    const handler = handlerOf(allowOrigins === undefined ? {} : { allowOrigins });
    for (const method of ["GET", "OPTIONS"]) {
      const { headers, status } = await asked(handler, origin, method);
      assert.equal(headers.get("access-control-allow-origin"), allowed ? origin : null, `${allowOrigins} ${origin} ${method}`);
      assert.match(headers.get("vary"), /origin/);
      assert.equal(status, method === "GET" ? 200 : 204);
    }
  }
});

test("a page's request may have the headers that `authenticate` reads", async () => {
  const handler = handlerOf({ allowOrigins: ["https://app.example"] });
  const asked = async (origin) => {
    const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type,x-api-key" };
    return (await handler(new Request("http://any.example/sync/v1/pull", { method: "OPTIONS", headers }))).headers.get("access-control-allow-headers");
  };
  assert.deepEqual([await asked("https://app.example"), await asked("https://other.example")], ["content-type,x-api-key", null]);
});

test("options that are wrong are named", () => {
  const store = memoryStore();
  for (const [make, named] of [
    [() => createSyncHandler(), /store, authenticate/],
    [() => createSyncHandler({ authenticate: byName }), /`store`/],
    [() => createSyncHandler({ store: {}, authenticate: byName }), /`store`/],
    [() => createSyncHandler({ store }), /`authenticate`/],
    [() => createSyncHandler({ store, authenticate: byName, allowOrigins: "https://app.example" }), /`allowOrigins`/],
    [() => createSyncHandler({ store, authenticate: byName, maxBodyBytes: 1 }), /`maxBodyBytes`/],
    [() => createSyncHandler({ store, authenticate: byName, onError: 1 }), /`onError`/],
    [() => memoryStore({ entitys: ["tasks"] }), /`entitys`/],
    [() => memoryStore({ entities: "tasks" }), /`entities`/],
    [() => memoryStore({ minSchema: -1 }), /`minSchema`/],
    [() => memoryStore({ tombstoneDays: 0 }), /`tombstoneDays`/],
    [() => memoryStore({ journal: {} }), /`journal`/],
    [() => sqliteStore("data.sqlite"), /sqliteStore needs an open database/],
  ]) {
    assert.throws(make, named);
  }
});

test("the rules' settings are those of the options", async () => {
  const store = memoryStore({ entities: ["tasks"], minSchema: 3, serverId: "0198b6a0-7c1e-7000-8000-000000000001", epoch: "e1" });
  const send = sender(createSyncHandler({ store, authenticate: byName }));
  const { reply } = await send("ann", "GET", "/sync/v1/info");
  assert.deepEqual([reply.entities, reply.minSchema, reply.serverId, reply.epoch], [["tasks"], 3, "0198b6a0-7c1e-7000-8000-000000000001", "e1"]);
  assert.equal((await send("ann", ...PULL, pulled({ schema: 2 }))).reply.code, "clientOutdated");
});

/** Reads a stream's text until it has `end`, or the stream is over. */
async function until(reader, end) {
  let text = "";
  while (!text.includes(end)) {
    const { done, value } = await reader.read();
    if (done) return `${text}<end>`;
    text += new TextDecoder().decode(value);
  }
  return text;
}

test("a stream begins with a byte, hints at changes, and ends with the token, the handler or the reader", async () => {
  const handler = handlerOf({ authenticate: (request) => ({ userId: byName(request).split("+")[0], ...(byName(request).includes("+") ? { expiresAt: Date.now() / 1_000 + 0.2 } : {}) }) });
  const send = sender(handler);
  const open = async (name, signal) => {
    const response = await handler(new Request("http://any.example/sync/v1/stream", { headers: { authorization: `Bearer ${encodeURIComponent(name)}` }, ...(signal ? { signal } : {}) }));
    assert.equal(response.status, 200);
    assert.deepEqual([response.headers.get("content-type"), response.headers.get("x-accel-buffering"), response.headers.get("cache-control")], ["text/event-stream", "no", "no-store, no-transform"]);
    return response.body.getReader();
  };
  const [ann, bob] = [await open("ann"), await open("bob")];
  assert.equal(await until(ann, "\n\n"), ": open\n\n");
  assert.equal(await until(bob, "\n\n"), ": open\n\n");
  await send("ann", ...PUSH, pushed(created("1")));
  assert.equal(await until(ann, "\n\n"), "event: change\ndata: {}\n\n");
  // What changed nothing is no hint; the next one is the first that Bob hears.
  await send("bob", ...PUSH, pushed());
  handler.hint("bob");
  assert.equal(await until(bob, "\n\n"), "event: change\ndata: {}\n\n");
  const expiring = await open("carol+");
  assert.match(await until(expiring, "bye"), /event: bye\ndata: \{"reason":"tokenExpired"\}/);
  assert.equal((await expiring.read()).done, true);
  const gone = new AbortController();
  const left = await open("dora", gone.signal);
  await until(left, "\n\n");
  gone.abort();
  assert.equal(await until(left, "never"), "<end>");
  handler.close();
  assert.match(await until(ann, "never"), /event: bye\ndata: \{"reason":"shutdown"\}\n\n<end>/);
});

test("members of a space get hints of each other's writes", async () => {
  const handler = handlerOf();
  const send = sender(handler);
  const space = "0198b6a0-7c1e-7000-8000-000000000001";
  const making = { opId: "s", entity: "$space", id: space, space, kind: "create", baseVersion: null, data: { name: "Home" } };
  const member = { opId: "m", entity: "$member", id: `${space}/bob`, space, kind: "create", baseVersion: null, data: { role: "writer" }, after: ["s"] };
  const bob = (await handler(new Request("http://any.example/sync/v1/stream", { headers: { authorization: "Bearer bob" } }))).body.getReader();
  await until(bob, "\n\n");
  const { reply } = await send("ann", ...PUSH, pushed(making, member));
  assert.deepEqual(reply.results.map(({ status }) => status), ["applied", "applied"]);
  assert.match(await until(bob, "\n\n"), /change/);
  handler.close();
});

test("a user has 256 streams and waiting pulls at most, and places come free", async () => {
  const handler = handlerOf();
  const open = () => handler(new Request("http://any.example/sync/v1/stream", { headers: { authorization: "Bearer ann" } }));
  const all = await Promise.all(Array.from({ length: 256 }, open));
  const refused = await open();
  assert.deepEqual([refused.status, (await refused.json()).code], [429, "rateLimited"]);
  await all[0].body.cancel();
  assert.equal((await open()).status, 200);
  handler.close();
});

test("an empty pull waits for a change, for its time, or for nobody", async () => {
  const handler = handlerOf();
  const send = sender(handler);
  const { reply } = await send("ann", ...PULL, pulled());
  const asking = (waitMs, init = {}) =>
    handler(new Request("http://any.example/sync/v1/pull", { method: "POST", headers: { authorization: "Bearer ann" }, body: pulled({ cursor: reply.cursor, waitMs }), ...init })).then((response) => response.json());
  const waiting = asking(20_000);
  await send("ann", ...PUSH, pushed(created("1")));
  assert.deepEqual((await waiting).changes.map(({ id }) => id), ["1"]);
  const after1 = await send("ann", ...PULL, pulled());
  const idle = { cursor: after1.reply.cursor, waitMs: 30 };
  assert.deepEqual((await send("ann", ...PULL, pulled(idle))).reply.changes, []);
  const gone = new AbortController();
  const left = handler(new Request("http://any.example/sync/v1/pull", { method: "POST", headers: { authorization: "Bearer ann" }, body: pulled({ ...idle, waitMs: 20_000 }), signal: gone.signal }));
  gone.abort();
  assert.equal((await left).status, 200);
  const last = send("ann", ...PULL, pulled({ ...idle, waitMs: 20_000 }));
  handler.close();
  assert.deepEqual((await last).reply.changes, []);
});

test("a journal has all that was acknowledged, and what it cannot keep has not happened", async () => {
  const lines = [];
  let full = false;
  const journal = {
    lines,
    append(line) {
      if (full) throw new Error("no room");
      lines.push(line);
    },
  };
  const options = { serverId: "s1", epoch: "e1", journal };
  const send = sender(handlerOf({ store: memoryStore(options), ...quiet }));
  await send("ann", ...PUSH, pushed(created("1")));
  full = true;
  const refused = await send("ann", ...PUSH, pushed(created("2")));
  assert.deepEqual([refused.status, refused.reply.code], [503, "storageFailed"]);
  full = false;
  const again = sender(handlerOf({ store: memoryStore(options) }));
  const { reply } = await again("ann", ...PULL, pulled());
  assert.deepEqual([reply.changes.map(({ id }) => id), reply.serverId, reply.epoch], [["1"], "s1", "e1"]);
  lines.splice(1, 0, "{}");
  await assert.rejects(memoryStore(options).open(), { name: "JournalError", line: 2 });
});

/** Plays one history to both, and compares each answer but for times, texts, cursors and names. */
async function compareHistory(name, seed, ofServer, ofStore) {
  const plain = (reply) => {
    const rest = JSON.parse(JSON.stringify(reply));
    for (const key of ["cursor", "serverTime", "serverId", "epoch", "message", "requestId"]) delete rest[key];
    for (const result of rest.results ?? []) delete result.message;
    return rest;
  };
  const { next, told } = history(seed);
  for (let number = 0; number < 80; number++) {
    const request = next();
    const { user, call, body, cursor } = request;
    const [theirs, ours] = (cursor?.pair ?? [null, null]).map((cursor) => (call === "pull" ? { ...body, cursor } : body));
    const [expected, found] = [await ofServer(user, call, theirs), await ofStore(user, call, ours)];
    assert.deepEqual(plain(found), plain(expected), `${name}, request ${number} of ${user}: ${call} ${JSON.stringify(body)}`);
    told(request, expected, expected.cursor && [expected.cursor, found.cursor]);
  }
}
