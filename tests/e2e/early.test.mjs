// What apps do before all files of the package are there, in few apps or in odd orders: it stands still for none, keeps its order, and
// what cannot be had costs the calls that need it.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { held, holdBack } from "./lib/held.mjs";
import { plainSite, ready } from "./lib/plain.mjs";

let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

const WHOLE = /datum_sync_(cycle|rest)\.wasm$|inline\.js$/;

async function opened(user, { config, hold, lose } = {}) {
  const it = await device(browser);
  if (hold) await it.page.addInitScript(holdBack, hold);
  const parts = lose && (await held(it.context, lose));
  parts?.fail();
  await it.page.goto(site.address(user, config));
  await ready(it.page);
  return it;
}

const tasks = (more) => ({ entities: { tasks: more, lists: {} } });
/** Each is read before a page shows anything. */
const CONFIGS = [
  ...["disabled", "fullSync", "adaptive", "incremental"].map((strategy) => ({ coldStart: { strategy } })),
  ...["merge", "lastWriteWins", "localPriority", "remotePriority", "ask"].flatMap((resolver) => [{ defaultConflictResolver: resolver }, tasks({ conflictResolver: resolver })]),
  ...["syncThenSwitch", "clearAndFetch", "promptIfUnsyncedData", "keepLocal"].map((strategy) => ({ defaultUserSwitchStrategy: strategy })),
  ...["pushThenPull", "pullOnly"].map((direction) => ({ defaultSyncDirection: direction, defaultSyncOptions: { direction, scope: { entities: ["tasks"] } } })),
  tasks({ indexes: ["title", ["list", "place.city"]], onRejected: "revert" }),
  tasks({ relations: { lists: { hasMany: "lists", foreignKey: "taskId", onDelete: "restrict" } } }),
  tasks({ mergeFields: { n: "sum", tags: "union" }, localOnly: ["draft"], deleteBehavior: "softDelete" }),
  { name: 'a "quoted" name', entities: { tasks: {}, 'a "quoted" type': {} } },
  { entities: { tasks: {}, ...Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`type${n}`, {}])) } },
  { memoryBudget: 0, realtime: true, backgroundSync: true, schemaVersion: 2, schemaField: "form", durability: { local: "relaxed", pulled: "strict" }, retry: { maxAttempts: 3, jitter: "none" } },
];

test("whatever a config has, a page shows what is stored without the later files", async () => {
  const { page, stalls, errors, context } = await device(browser);
  await page.addInitScript(holdBack);
  for (const config of CONFIGS) {
    await page.goto(site.address("configs", config));
    await ready(page);
    assert.deepEqual(await page.evaluate(() => window.app.titles()), []);
    assert.deepEqual([JSON.stringify(config), stalls], [JSON.stringify(config), []]);
  }
  assert.deepEqual(errors, []);
  await context.close();
});

test("odd values, many at once and the options of writes need no last file", async () => {
  const { page, stalls, errors, context } = await opened("odd-values", { hold: "rest" });
  const seen = await page.evaluate(async () => {
    const { tasks } = window.app;
    await tasks.create({ id: "a", title: "\u0000 \\ \" é 😀 \u2028", small: 1e-7, large: 1e21 });
    await tasks.createMany(Array.from({ length: 10_000 }, () => ({ title: "one of many" })));
    const patched = await tasks.patch("a", { small: 2e-9 }, { remove: ["large"] });
    await tasks.create({ title: "later" }, { dependsOn: [{ entity: "tasks", id: "a" }] });
    return [patched.title, patched.small, "large" in patched, await tasks.count()];
  });
  assert.deepEqual(seen, ["\u0000 \\ \" é 😀 \u2028", 2e-9, false, 10_002]);
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("a read that waits for its file is of the user who was signed in when it was called", async () => {
  const { page, errors, context } = await opened("reader-before", { hold: "rest" });
  const seen = await page.evaluate(async () => {
    const { tasks, datum } = window.app;
    await tasks.create({ title: "of the first" });
    const options = { withSyncState: true };
    const reads = [tasks.query({}), tasks.readAll(options), tasks.readPage({ query: {} }).then(({ items }) => items)];
    options.userId = "somebody else";
    const switched = datum.switchUser({ newUserId: "second", strategy: "keepLocal" });
    window.letGo();
    const titles = (rows) => rows.map(({ title }) => title).join();
    const all = (await Promise.all(reads)).map(titles);
    await switched;
    return [...all, datum.currentUserId];
  });
  assert.deepEqual(seen, ["of the first", "of the first", "of the first", "second"]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a signal ends a call that waits for its file", async () => {
  const { page, errors, context } = await opened("aborted", { hold: "cycle|rest" });
  const codes = await page.evaluate(async () => {
    const { datum, user, tasks } = window.app;
    const aborter = new AbortController();
    const synced = [AbortSignal.abort(), aborter.signal].map((signal) => datum.synchronize(user, { signal }).then(() => "synced", ({ code }) => code));
    const written = tasks.create({ title: "behind it" });
    aborter.abort();
    const codes = await Promise.all(synced);
    window.letGo();
    return [...codes, (await written).title];
  });
  assert.deepEqual(codes, ["cancelled", "cancelled", "behind it"]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("an instance is asked for again, closed and opened without the last file", async () => {
  const { page, stalls, errors, context } = await opened("again-early", { hold: "rest" });
  const seen = await page.evaluate(async () => {
    const { app } = window;
    const same = (await app.open()) === app.datum;
    void app.open();
    await app.tasks.create({ title: "behind it" });
    void app.datum.close();
    const next = await app.open();
    return [same, next === app.datum, (await next.manager("tasks").readAll()).length];
  });
  assert.deepEqual(seen, [true, false, 1]);
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("a trace that cannot be kept, and data that cannot be opened yet, end nothing for want of the later files", async () => {
  const { page, stalls, errors, context } = await opened("untraced", { config: { trace: true }, lose: WHOLE });
  assert.deepEqual(await page.evaluate(() => window.app.titles()), []);
  await context.unrouteAll();
  await page.reload();
  await ready(page);
  await page.evaluate(() => window.app.tasks.create({ title: "of the first version" }).then(() => undefined));
  const parts = await held(context, WHOLE);
  parts.fail();
  await page.goto(`${site.origin}/empty.html`);
  const codes = await page.evaluate(async (user) => {
    const { Datum } = await import("/datum-sync/index.js");
    const open = (more) => Datum.initialize({ name: "tabs", entities: { tasks: {} }, initialUserId: user, remote: { url: "https://api.test" }, flushOnLeave: false, ...more });
    const migrations = [{ from: 0, to: 1, entity: "tasks", operations: [{ rename: "title", to: "name" }] }];
    const updated = await open({ schemaVersion: 1, migrations }).then(() => "opened", ({ code }) => code);
    const [{ title }] = await (await open({})).manager("tasks").readAll();
    return [updated, title];
  }, site.id("untraced"));
  assert.deepEqual(codes, ["network", "of the first version"]);
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("an instance that cannot be closed without its file is still known, and can be closed later", async () => {
  const { page, errors, context } = await opened("unclosed", { lose: WHOLE });
  const codes = await page.evaluate(async () => {
    const { app } = window;
    const { constructor: Datum } = app.datum;
    const closed = app.datum.close().catch(({ code }) => code);
    const opened = app.open().catch(({ code }) => code);
    return [await closed, await opened, Datum.instances.length, Datum.instance === app.datum];
  });
  assert.deepEqual(codes, ["network", "network", 1, true]);
  await context.unrouteAll();
  const seen = await page.evaluate(async () => {
    const { app } = window;
    // An attempt that began while the files were missing may still fail.
    const surely = (act) => act().catch((error) => (error.code === "network" ? surely(act) : Promise.reject(error)));
    const same = (await surely(app.open)) === app.datum;
    await surely(() => app.datum.close());
    return [same, (await surely(app.open)) === app.datum];
  });
  assert.deepEqual(seen, [true, false]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("the report and an export without their file cost nothing but what is missing", async () => {
  const { page, errors, context } = await opened("reported", { lose: WHOLE });
  const seen = await page.evaluate(async () => {
    const { datum, user, titles } = window.app;
    const report = await datum.report(user);
    const read = () => new Response(datum.exportUser()).text().then((text) => text.length > 0, () => false);
    const loop = window.app.tasks.watchQuery({})[Symbol.asyncIterator]();
    const waiting = loop.next().catch(({ code }) => code);
    return [report.userId === user, report.log.error.code, await read(), await loop.return(), await waiting, await titles()];
  });
  assert.deepEqual(seen, [true, "network", false, { done: true, value: undefined }, "network", []]);
  await context.unrouteAll();
  const whole = await page.evaluate(async () => {
    const { datum, user } = window.app;
    // An attempt that began while the files were missing may still fail.
    while (!Array.isArray((await datum.report(user)).log));
    const lines = [];
    for await (const chunk of datum.exportUser()) lines.push(chunk.length > 0);
    return [Array.isArray((await datum.report(user)).log), lines.length > 0 && lines.every(Boolean)];
  });
  assert.deepEqual(whole, [true, true]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a page that may not stand still has all files before it opens", async () => {
  const { page, stalls, errors, context } = await device(browser);
  await page.route("**/?*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), "permissions-policy": "sync-xhr=()" } });
  });
  const parts = await held(context, /datum_sync_rest\.wasm$/);
  await page.goto(site.address("policy"));
  await parts.asked;
  assert.notEqual(await page.title(), "ready", "the instance waits for the last file");
  parts.open();
  await ready(page);
  assert.equal(await page.evaluate(() => window.app.tasks.create({ title: "written" }).then(({ title }) => title)), "written");
  assert.deepEqual([errors, stalls], [[], []]);
  await context.close();
});

test("a file of another build that a cache has kept is asked for once more", async () => {
  const { page, errors, context } = await device(browser);
  await page.addInitScript(() => {
    const { fetch } = window;
    window.asked = [];
    window.fetch = (input, init) => {
      window.asked.push(`${new URL(input.url ?? input, location.href).pathname.split("/").at(-1)} ${init?.cache}`);
      return fetch(input, init);
    };
  });
  let times = 0;
  await context.route(
    (url) => url.pathname.endsWith("datum_sync_cycle.wasm"),
    async (route) => {
      times += 1;
      if (times > 1) return route.continue();
      const response = await route.fetch();
      const body = await response.body();
      // The name of the build is in the part's list of imports.
      body[/load/.exec(body.toString("latin1")).index - 2] ^= 1;
      await route.fulfill({ response, body });
    },
  );
  await page.goto(site.address("renewed"));
  await ready(page);
  assert.equal(await page.evaluate(() => window.app.tasks.create({ title: "written" }).then(({ title }) => title)), "written");
  const asked = await page.evaluate(() => window.asked.filter((file) => file.startsWith("datum_sync_cycle")));
  assert.deepEqual(asked, ["datum_sync_cycle.wasm default", "datum_sync_cycle.wasm reload"]);
  assert.deepEqual(errors, []);
  await context.close();
});
