// The main use, in a new app with the packed package, against the real server or a Supabase project: one device writes offline, both sync, the
// other one sees it, and a reload loses nothing.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { makeApp } from "./lib/app.mjs";
import { device, launch } from "./lib/browser.mjs";
import { serveFolder } from "./lib/static.mjs";
import { startTarget } from "./lib/target.mjs";

const FULL = { direction: "pullThenPush", forceFullSync: true };
let app, browser, host, server;

before(async () => {
  app = await makeApp();
  await app.build();
  // Page and remote have different origins, as in most apps.
  [host, server] = await Promise.all([serveFolder(app.dist), startTarget()]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all([host?.stop(), server?.stop()]);
  await app?.remove();
});

const address = (page, user, { url, id, anonKey = "" } = server) => `${host.url}/?${new URLSearchParams({ page, user: id(user), remote: url, key: anonKey })}`;

/** A device with the sync page open. */
async function open(user) {
  const it = await device(browser);
  await it.page.goto(address("sync", user));
  await ready(it.page);
  return it;
}

const ready = (page) => page.waitForFunction(() => document.documentElement.dataset.page === "ended");
const titles = (page) => page.evaluate(async () => (await window.app.tasks.readAll()).map((task) => task.title).sort());
const pending = (page) => page.evaluate(() => window.app.datum.pendingCount(window.app.userId));
const synchronize = (page, options) =>
  page.evaluate(async (options) => JSON.parse(JSON.stringify(await window.app.datum.synchronize(window.app.userId, options))), options);
const create = (page, ...titles) =>
  page.evaluate((titles) => Promise.all(titles.map((title) => window.app.tasks.create({ title, done: false }))).then((made) => made.length), titles);

test("what one device writes offline, another one sees once both have synced", async () => {
  const user = "two-devices";
  const [one, two] = [await open(user), await open(user)];

  await one.context.setOffline(true);
  assert.equal(await create(one.page, "bread", "milk", "Äpfel 🍏"), 3);
  assert.deepEqual(await titles(one.page), ["bread", "milk", "Äpfel 🍏"], "its own writes are there at once, offline");
  assert.equal(await pending(one.page), 3);
  const skipped = await synchronize(one.page, FULL);
  assert.deepEqual([skipped.wasSkipped, skipped.skipReason, skipped.isSuccess], [true, "offline", false]);

  await one.context.setOffline(false);
  const pushed = await synchronize(one.page, FULL);
  assert.equal(pushed.error, undefined);
  assert.deepEqual([pushed.isSuccess, pushed.pushedCount, pushed.failedCount, pushed.pendingOperations], [true, 3, 0, 0]);
  assert.equal(pushed.remoteFetched, true);

  const pulled = await synchronize(two.page, FULL);
  assert.deepEqual([pulled.isSuccess, pulled.pulledCount], [true, 3]);
  assert.deepEqual(await titles(two.page), ["bread", "milk", "Äpfel 🍏"]);

  await two.page.evaluate(async () => {
    const all = await window.app.tasks.readAll();
    const find = (title) => all.find((task) => task.title === title);
    await window.app.tasks.patch(find("milk").id, { title: "oat milk" });
    await window.app.tasks.delete(find("bread").id);
  });
  assert.equal((await synchronize(two.page, FULL)).isSuccess, true);
  assert.equal((await synchronize(one.page)).isSuccess, true);
  assert.deepEqual(await titles(one.page), ["oat milk", "Äpfel 🍏"]);

  const compared = await one.page.evaluate(() => window.app.datum.compareSyncMetadata(window.app.userId));
  assert.equal(compared, "inSync");
  assert.deepEqual([one.errors, two.errors], [[], []]);
});

test("the status feed tells a cycle from start to end, and never runs backwards", async () => {
  const it = await open("watched");
  await create(it.page, "one", "two");
  await synchronize(it.page, FULL);
  await it.page.waitForFunction(() => window.app.statuses.at(-1)?.status === "completed");
  const statuses = await it.page.evaluate(() => JSON.parse(JSON.stringify(window.app.statuses)));
  const cycle = statuses.filter((status) => status.status === "syncing");
  assert.ok(cycle.length > 0, "the feed showed the running cycle");
  const progress = cycle.map((status) => status.progress);
  assert.deepEqual(progress, [...progress].sort((a, b) => a - b));
  const last = statuses.at(-1);
  assert.deepEqual([last.status, last.pendingOperations, last.errors], ["completed", 0, []]);
  assert.deepEqual(it.errors, []);
});

test("a reload keeps rows and pending operations, and each is pushed once", async () => {
  const user = "reloaded";
  const it = await open(user);
  await create(it.page, "synced");
  await synchronize(it.page, FULL);
  await create(it.page, "not yet");
  await it.page.reload();
  await ready(it.page);
  assert.deepEqual(await titles(it.page), ["not yet", "synced"]);
  assert.equal(await pending(it.page), 1);

  assert.equal((await synchronize(it.page, FULL)).pushedCount, 1);
  assert.equal(await pending(it.page), 0);
  const remote = await (await server.client(user)).pullAll();
  assert.deepEqual(remote.map((change) => change.data.title).sort(), ["not yet", "synced"]);
  assert.deepEqual(it.errors, []);
});

test("another server at another address gets nothing until the app decides", async () => {
  const user = "moved";
  const it = await open(user);
  await create(it.page, "bread");
  assert.equal((await synchronize(it.page, FULL)).isSuccess, true);
  await create(it.page, "milk");
  const other = await startTarget();
  try {
    await it.page.goto(address("sync", user, other));
    await ready(it.page);
    const code = await it.page.evaluate((user) => window.app.datum.synchronize(user).then(() => "none", ({ code }) => code), server.id(user));
    assert.equal(code, "otherServer");
    assert.deepEqual(await (await other.client(user)).pullAll(), []);
    assert.deepEqual([await titles(it.page), await pending(it.page)], [["bread", "milk"], 1]);
    assert.equal(await it.page.evaluate((user) => window.app.datum.acceptServer(user, "offer"), server.id(user)), 1);
    assert.equal((await synchronize(it.page)).isSuccess, true);
    assert.deepEqual((await (await other.client(user)).pullAll()).map(({ data }) => data.title).sort(), ["bread", "milk"]);
    assert.deepEqual((await (await server.client(user)).pullAll()).map(({ data }) => data.title), ["bread"]);
  } finally {
    await it.context.close();
    await other.stop();
  }
});

test("another user on the same device sees none of it", async () => {
  const it = await open("first-user");
  await create(it.page, "private");
  await synchronize(it.page, FULL);
  await it.page.goto(address("sync", "second-user"));
  await ready(it.page);
  assert.equal((await synchronize(it.page, FULL)).pulledCount, 0);
  assert.deepEqual(await titles(it.page), []);
  assert.deepEqual(it.errors, []);
});

/** Runs a function in a page that opens no instance itself. */
async function withInstances(user, act) {
  const it = await device(browser);
  await it.page.goto(address("instances", user));
  await ready(it.page);
  const answer = await it.page.evaluate(act, server.id(user));
  assert.deepEqual(it.errors, []);
  await it.context.close();
  return answer;
}

test("initializing twice returns one instance; another config needs another name", async () => {
  const seen = await withInstances("twice", async (user) => {
    const { Datum, config } = window.instances;
    const before = Datum.isInitialized;
    const [a, b] = await Promise.all([Datum.initialize(config()), Datum.initialize(config())]);
    const refused = await Datum.initialize(config({ syncTimeout: 1 })).catch((error) => [error.code, error.message]);
    const first = Datum.instance === a;
    await a.close();
    const closed = await a.pendingCount(user).catch((error) => error.code);
    const again = await Datum.initialize(config({ syncTimeout: 1 }));
    return { before, same: a === b, first, refused, closed, reopened: again !== a && Datum.instance === again };
  });
  assert.equal(seen.refused[0], "invalidConfig");
  assert.match(seen.refused[1], /another `name`/);
  assert.deepEqual({ ...seen, refused: null }, { before: false, same: true, first: true, refused: null, closed: "closed", reopened: true });
});

test("two apps with different names on one origin are isolated, and so are their users", async () => {
  const seen = await withInstances("apart", async (user) => {
    const { Datum, config } = window.instances;
    const [a, b] = [await Datum.initialize(config()), await Datum.initialize(config({ name: "two" }))];
    await a.manager("task").create({ id: "t", title: "of a" });
    await b.manager("task").create({ id: "t", title: "of b" });
    await b.manager("task").create({ id: "u" }, { userId: "somebody" });
    const titles = async (datum) => (await datum.manager("task").readAll()).map((task) => task.title);
    await b.clearUserData(user);
    return [await titles(a), await titles(b), await a.userIds(), await b.userIds()];
  });
  assert.deepEqual(seen, [["of a"], [], [server.id("apart")], ["somebody"]]);
});

test("all pending promises settle when the instance is closed", async () => {
  const seen = await withInstances("closing", async (user) => {
    const { Datum, config } = window.instances;
    const datum = await Datum.initialize(config({ realtime: true, autoStartSync: true }));
    const tasks = datum.manager("task");
    const loop = async (feed) => {
      let count = 0;
      for await (const _ of feed) count += 1;
      return count;
    };
    const calls = [
      tasks.createMany(Array.from({ length: 500 }, (_, n) => ({ n }))),
      ...Array.from({ length: 20 }, (_, n) => tasks.create({ n })),
      tasks.readAll(),
      tasks.patch("nothing", {}),
      datum.synchronize(user),
      datum.synchronize(user, { direction: "pullThenPush", forceFullSync: true }),
      datum.getRemoteSyncMetadata(user),
      datum.checkHealth(),
      datum.storageSize(user),
      datum.switchUser({ newUserId: "other" }),
      datum.logout(user),
      datum.pauseSync(),
      datum.resumeSync(),
      loop(datum.statusForUser(user)),
      loop(datum.events()),
      loop(tasks.watchAll()),
      loop(tasks.watchById("x")),
    ];
    const all = Promise.allSettled(calls);
    await Promise.resolve();
    await Promise.all([datum.close(), datum.close()]);
    const settled = await all;
    return settled.filter(({ reason }) => reason !== undefined).map(({ reason }) => reason.code ?? String(reason));
  });
  const known = ["closed", "notFound", "cancelled", "noUser", "network"];
  assert.deepEqual(seen.filter((code) => !known.includes(code)), []);
});
