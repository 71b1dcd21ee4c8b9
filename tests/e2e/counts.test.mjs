// Counts what operations cost: transactions and requests of IndexedDB, requests to the remote, and calls between
// JavaScript and the engine. Unlike times, counts are the same on every machine.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { plainSite } from "./lib/plain.mjs";

const ROWS = 2_000;
let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Runs in the page before any other script: counts the engine's calls to the browser. */
function count() {
  const none = () => ({ writing: 0, reading: 0, storeRequests: 0, out: 0, in: 0, requests: [] });
  const counts = none();
  window.countsSinceStart = () => structuredClone(counts);
  window.counted = async (work) => {
    Object.assign(counts, none());
    await work();
    return structuredClone(counts);
  };
  const transaction = IDBDatabase.prototype.transaction;
  IDBDatabase.prototype.transaction = function (names, mode = "readonly", options) {
    counts[mode === "readwrite" ? "writing" : "reading"] += 1;
    return transaction.call(this, names, mode, options);
  };
  for (const name of ["add", "put", "delete", "clear", "get", "getAll", "getAllKeys", "getKey", "count", "openCursor", "openKeyCursor"]) {
    const original = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...given) {
      counts.storeRequests += 1;
      return original.apply(this, given);
    };
  }
  const fetch = window.fetch;
  window.fetch = (input, init) => {
    const name = new URL(input.url ?? input).pathname.split("/").at(-1);
    if (!name.endsWith(".wasm")) counts.requests.push(name);
    return fetch(input, init);
  };
  const counting = (functions, way) =>
    Object.fromEntries(
      Object.entries(functions).map(([name, value]) => [
        name,
        typeof value !== "function" || /^\d/.test(name)
          ? value
          : (...given) => {
              counts[way] += 1;
              return value(...given);
            },
      ]),
    );
  // What the module's parts have of each other, under names that are numbers, crosses nothing.
  const outward = (imports) => Object.fromEntries(Object.entries(imports).map(([name, functions]) => [name, /^\d/.test(name) ? functions : counting(functions, "out")]));
  const { instantiate, Instance } = WebAssembly;
  WebAssembly.instantiate = async (module, imports) => {
    const { exports } = await instantiate(module, outward(imports));
    return Object.create(Instance.prototype, { exports: { value: counting(exports, "in") } });
  };
  WebAssembly.Instance = function (module, imports) {
    return new Instance(module, outward(imports));
  };
  WebAssembly.Instance.prototype = Instance.prototype;
}

async function visit(user, config, { context, page, errors } = {}) {
  const it = context ? { context, page, errors } : await device(browser);
  if (!context) await it.page.addInitScript(count);
  await it.page.goto(site.address(user, config));
  await it.page.waitForFunction(() => document.title === "ready").catch(() => assert.fail(`the page did not open: ${it.errors.join("; ")}`));
  return it;
}

const task = (n) => ({ id: `task-${String(n).padStart(5, "0")}`, title: `task ${n}`, done: false, note: "call the supplier about the order".repeat(4) });

async function seeded(user) {
  const remote = await site.target.client(user);
  for (let first = 0; first < ROWS; first += 500) {
    const operations = Array.from({ length: 500 }, (_, at) => ({ opId: `seed-${first + at}`, entity: "tasks", id: task(first + at).id, kind: "create", baseVersion: null, data: task(first + at) }));
    const { results } = await remote.push(operations);
    assert.ok(results.every((verdict) => verdict.status === "applied"), JSON.stringify(results[0]));
  }
}

/** Opens a page; `of(work)` runs `work` in it and returns what that cost. */
async function counting(user) {
  const it = await visit(user);
  // A method of the last part: what the schedule does when its part has come is not counted.
  await it.page.evaluate(() => window.app.datum.storageSize(window.app.user));
  return { ...it, of: (work) => it.page.evaluate(`window.counted(${work})`) };
}

/** A body crosses once, in however many chunks the machine and the network bring it. */
const crossings = (counts) => counts.out + counts.in;
const TIMEOUT = { timeout: 60_000 };

test("a first pull crosses the border once per page, not per entity, and writes each page once", TIMEOUT, async () => {
  await seeded("pulls");
  const { of, page, errors } = await counting("pulls");
  const first = await of(() => window.app.datum.synchronize(window.app.user, { direction: "pullOnly" }));
  const pages = first.requests.filter((name) => name === "pull").length;
  assert.equal(await page.evaluate(() => window.app.tasks.count()), ROWS);
  assert.ok(pages <= 2, `${pages} pages`);
  assert.deepEqual(first.requests.filter((name) => name !== "pull"), ["token", "metadata"]);
  assert.ok(first.writing <= pages + 1 && first.reading === 0, JSON.stringify(first));
  assert.ok(first.storeRequests <= 2 * pages + 2, "one record and one body per page");
  assert.ok(crossings(first) < 800, JSON.stringify(first));
  assert.deepEqual(errors, []);
});

test("an idle cycle is one request and one transaction", TIMEOUT, async () => {
  const { of, errors } = await counting("idle");
  for (let n = 0; n < 2; n++) await of(() => window.app.datum.synchronize(window.app.user));
  const idle = await of(() => window.app.datum.synchronize(window.app.user));
  assert.deepEqual(idle.requests, ["pull"]);
  assert.deepEqual([idle.writing, idle.reading, idle.storeRequests], [1, 0, 1]);
  assert.ok(crossings(idle) < 450, JSON.stringify(idle));
  assert.deepEqual(errors, []);
});

test("a write is one transaction, whatever its number of entities, and concurrent calls share one", TIMEOUT, async () => {
  const { of, errors } = await counting("writes");
  // The first two writes also record beside the log that operations are pending.
  for (let n = 0; n < 3; n++) await of(() => window.app.tasks.create({ title: "before" }));
  const one = await of(() => window.app.tasks.create({ title: "one" }));
  const many = await of(() => window.app.tasks.createMany(Array.from({ length: 1_000 }, (_, n) => ({ title: `${n}` }))));
  const atOnce = await of(() => Promise.all(Array.from({ length: 100 }, (_, n) => window.app.tasks.create({ title: `at once ${n}` }))));
  for (const counts of [one, many, atOnce]) assert.deepEqual([counts.writing, counts.reading, counts.storeRequests, counts.requests], [1, 0, 1, []], JSON.stringify(counts));
  assert.ok(crossings(one) < 110, JSON.stringify(one));
  assert.ok(crossings(many) < 110, JSON.stringify(many));
  assert.ok(crossings(atOnce) < 1_100, JSON.stringify(atOnce));
  assert.deepEqual(errors, []);
});

test("opening a page reads each part of the log once, and reading returns all entities in one call", TIMEOUT, async () => {
  await seeded("opens");
  const it = await counting("opens");
  await it.of(() => window.app.datum.synchronize(window.app.user, { direction: "pullOnly" }));
  await visit("opens", {}, it);
  const opened = await it.page.evaluate(() => window.countsSinceStart());
  assert.ok(opened.writing === 0 && opened.reading <= 4 && opened.storeRequests <= 7, JSON.stringify(opened));
  assert.ok(crossings(opened) < 800, JSON.stringify(opened));
  const one = await it.of(() => window.app.tasks.read("task-00007"));
  const all = await it.of(() => window.app.tasks.readAll());
  assert.ok(one.reading <= 1 && crossings(one) < 80, JSON.stringify(one));
  assert.ok(all.reading <= 1 && crossings(all) < 80, JSON.stringify(all));
  assert.deepEqual(it.errors, []);
});
