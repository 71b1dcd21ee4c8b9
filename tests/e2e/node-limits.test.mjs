// What the handler of `datum-sync/server` grants: how many requests a user has, which origins, and what it says while nothing can be kept.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installPackage } from "./lib/package.mjs";
import { byName, sender } from "./lib/sync-handler.mjs";
import { after, before, test } from "./lib/test.mjs";

let installed, createSyncHandler, memoryStore;
before(async () => {
  installed = await installPackage();
  ({ createSyncHandler, memoryStore } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/server/index.js"))));
});
after(() => installed?.remove());

const handlerOf = (options = {}) => createSyncHandler({ store: memoryStore(), authenticate: byName, ...options });
const pull = (send, user) => send(user, "POST", "/sync/v1/pull", JSON.stringify({ clientId: "d", cursor: null, limit: 10 }));

/** Moves the clock while `work` runs. */
async function clock(work) {
  const real = Date.now;
  let now = real();
  Date.now = () => now;
  try {
    await work((ms) => (now += ms));
  } finally {
    Date.now = real;
  }
}

test("too many requests of a user are 429 with a time, and others are not held up", async () => {
  await clock(async (later) => {
    const send = sender(handlerOf({ rateLimit: { perSecond: 2, burst: 3 } }));
    for (let n = 0; n < 3; n++) assert.equal((await pull(send, "ann")).status, 200);
    const { status, reply, headers } = await pull(send, "ann");
    assert.deepEqual([status, reply.code, reply.retryAfterMs, headers.get("retry-after")], [429, "rateLimited", 500, "1"]);
    assert.equal((await pull(send, "bob")).status, 200);
    later(499);
    assert.equal((await pull(send, "ann")).status, 429);
    later(1);
    assert.equal((await pull(send, "ann")).status, 200);
    assert.equal((await pull(send, "ann")).status, 429);
    // A pause gives the burst again, and no more.
    later(3_600_000);
    const statuses = [];
    for (let n = 0; n < 5; n++) statuses.push((await pull(send, "ann")).status);
    assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
    // A clock that is set back shuts nobody out.
    later(-86_400_000);
    await pull(send, "ann");
    later(500);
    assert.equal((await pull(send, "ann")).status, 200);
  });
});

test("without the option nobody is counted, and health is free of it", async () => {
  const send = sender(handlerOf());
  for (let n = 0; n < 300; n++) assert.equal((await pull(send, "ann")).status, 200);
  const handler = handlerOf({ rateLimit: { perSecond: 0.001, burst: 1 } });
  for (let n = 0; n < 5; n++) assert.equal((await handler(new Request("http://any.example/sync/v1/health"))).status, 200);
});

test("users who are gone are forgotten, those who wait are not", async () => {
  await clock(async (later) => {
    const send = sender(handlerOf({ rateLimit: { perSecond: 1, burst: 1 } }));
    const ask = (user) => send(user, "GET", "/sync/v1/info");
    for (let n = 0; n < 10_001; n++) await ask(`user-${n}`);
    assert.equal((await ask("user-10000")).status, 429);
    later(1_000);
    const { delete: remove } = Map.prototype;
    let forgotten = 0;
    Map.prototype.delete = function (key) {
      forgotten += /^user-/.test(key) ? 1 : 0;
      return remove.call(this, key);
    };
    // The first look found nobody whose bucket was full, so the next one is at twice as many.
    try {
      for (let n = 10_001; n < 20_003; n++) await ask(`user-${n}`);
    } finally {
      Map.prototype.delete = remove;
    }
    assert.equal(forgotten, 10_001);
    await ask("another");
    assert.equal((await ask("another")).status, 429);
    assert.equal((await ask("user-7")).status, 200);
  });
});

test("a rate that is wrong is named", () => {
  for (const rateLimit of [50, null, {}, { perSecond: 0 }, { perSecond: -1 }, { perSecond: NaN }, { perSecond: "5" }, { perSecond: 5, burst: 0 }, { perSecond: 5, per: 1 }]) {
    assert.throws(() => handlerOf({ rateLimit }), /`rateLimit`/, JSON.stringify(rateLimit));
  }
});

test("an `allowOrigins` that throws or gives a promise allows nothing, and takes no answer along", async () => {
  for (const [allowOrigins, said] of [
    [() => { throw new Error("no such table"); }, /no such table/],
    [async () => true, /`allowOrigins` must return true or false/],
    // (a rejection that nobody handled ended the process)
    [async () => { throw new Error("no such table"); }, /`allowOrigins` must return true or false/],
    [() => "yes", undefined],
    [() => undefined, undefined],
  ]) {
    const heard = [];
    const handler = handlerOf({ allowOrigins, onError: (error) => heard.push(error.message) });
    for (const [method, status] of [["GET", 200], ["OPTIONS", 204]]) {
      const answer = await handler(new Request("http://any.example/sync/v1/health", { method, headers: { origin: "https://app.example" } }));
      assert.deepEqual([answer.status, answer.headers.get("access-control-allow-origin")], [status, null], String(allowOrigins));
    }
    if (said === undefined) assert.deepEqual(heard, []);
    else for (const one of [heard[0], heard[1]]) assert.match(one, said);
  }
});

test("health is 503 while the journal cannot be written, and pulls go on", async () => {
  let isFull = false;
  const journal = { lines: [], append() {}, check: () => { if (isFull) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }); } };
  const heard = [];
  const handler = handlerOf({ store: memoryStore({ journal }), onError: (error) => heard.push(error.code) });
  const send = sender(handler);
  assert.equal((await send("ann", "GET", "/sync/v1/health")).status, 200);
  isFull = true;
  const { status, reply, headers } = await send("ann", "GET", "/sync/v1/health");
  assert.deepEqual([status, reply.code, headers.get("retry-after"), heard], [503, "storageFailed", "5", ["ENOSPC"]]);
  assert.equal((await pull(send, "ann")).status, 200);
  isFull = false;
  assert.equal((await send("ann", "GET", "/sync/v1/health")).status, 200);
});
