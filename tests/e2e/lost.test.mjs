// Storage that is full, evicted under an open tab, or deleted or upgraded by another page, in Chromium.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { device, eventually, launch, withoutStalls } from "./lib/browser.mjs";
import { plainSite, ready } from "./lib/plain.mjs";

let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

const rows = (user) => site.rows(user);

async function open(user, count = 1, quotaSize) {
  const { context, page, errors } = await device(browser);
  const pages = [page];
  const protocol = await context.newCDPSession(page);
  // Set before anything is stored: Chromium does not apply a new quota to existing data.
  if (quotaSize) await protocol.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize });
  while (pages.length < count) pages.push(await context.newPage());
  for (const page of pages) {
    await page.goto(site.address(user));
    await ready(page);
  }
  return { context, pages, page, errors, protocol };
}

const create = (page, title) => page.evaluate((title) => window.app.tasks.create({ title }).then(() => "written", (error) => error.code), title);
const sync = async (page) => {
  await page.evaluate(() => void (window.app.ended.length = 0));
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  return page.evaluate(() => JSON.parse(JSON.stringify(window.app.ended[0])));
};

test("full storage is a coded error, loses nothing, and is used again when there is room", { timeout: 120_000 }, async () => {
  const user = "full";
  const { context, page, protocol, errors } = await open(user, 1, 3_000_000);
  assert.equal(await create(page, "before"), "written");
  const outcome = await page.evaluate(async () => {
    // Random data: the browser compresses what it stores.
    const noise = () => Array.from(crypto.getRandomValues(new Uint8Array(60_000)), (byte) => byte.toString(16)).join("");
    let written = 0;
    for (let n = 0; n < 400; n++) {
      try {
        await window.app.tasks.create({ title: `big ${n}`, noise: noise() });
        written++;
      } catch (error) {
        return { written, code: error.code, retryable: error.retryable, message: error.message };
      }
    }
    return { written };
  });
  assert.equal(outcome.code, "storageFull", JSON.stringify(outcome));
  const titles = await page.evaluate(() => window.app.titles());
  assert.equal(titles.length, 1 + outcome.written, "all acknowledged writes are there, and no others");
  assert.equal(await page.evaluate(() => window.app.datum.pendingCount(window.app.user)), 1 + outcome.written);
  await page.reload();
  await ready(page);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), titles, "after a reload too");

  await protocol.send("Storage.overrideQuotaForOrigin", { origin: site.origin });
  assert.equal(await create(page, "there is room"), "written");
  const result = await sync(page);
  assert.deepEqual([result.isSuccess, result.pendingOperations], [true, 0]);
  assert.deepEqual(await rows(user), [...titles, "there is room"].sort());
  assert.deepEqual(withoutStalls(errors), []);
  await context.close();
});

test("storage that the browser evicts under open tabs is recreated with every pending write", async () => {
  const user = "evicted";
  const { context, pages, page, protocol, errors } = await open(user, 2);
  assert.equal(await create(page, "synced"), "written");
  assert.equal((await sync(page)).isSuccess, true);
  assert.equal(await create(page, "waiting"), "written");
  await pages[1].waitForFunction(() => window.app.status().pendingOperations === 1);
  await protocol.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "indexeddb" });
  assert.equal(await create(page, "afterwards"), "written");
  await page.waitForFunction(() => window.app.events.some((event) => event.type === "storageLost"));
  assert.equal((await sync(page)).isSuccess, true);
  for (const page of pages) await eventually(page, async () => (await window.app.titles()).join() === "afterwards,synced,waiting");
  assert.deepEqual(await rows(user), ["afterwards", "synced", "waiting"], "each once");
  await page.reload();
  await ready(page);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), ["afterwards", "synced", "waiting"]);
  assert.deepEqual(withoutStalls(errors), []);
  await context.close();
});

// In Chromium, some transactions that are in flight meanwhile neither complete nor abort.
for (const round of [1, 2, 3]) {
  test(`storage that is evicted while two tabs write leaves no call without an answer: ${round}`, async () => {
    const user = `in-flight-${round}`;
    const { context, pages, protocol, errors } = await open(user, 2);
    for (const [n, page] of pages.entries()) {
      await page.evaluate((who) => {
        const { app } = window;
        const note = (call) => ({ code }) => app.calls.push([call, code]);
        const create = async (title) => {
          await app.tasks.create({ title });
          app.acknowledged.push(title);
        };
        [app.calls, app.acknowledged] = [[], []];
        app.storm = (async () => {
          for (let n = 0; n < 30; n++) {
            const write = create(`${who}-${n}`).catch(note("create"));
            if (n % 5 === 0) app.tasks.readAll().catch(note("readAll"));
            if (n % 3 > 0) await write;
          }
          await app.tasks.readAll();
        })();
      }, n);
    }
    for (let times = 0; times < round; times++) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      await protocol.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "indexeddb" });
    }
    const written = [];
    for (const page of pages) {
      const [calls, acknowledged] = await page.evaluate(() => window.app.storm.then(() => [window.app.calls, window.app.acknowledged]));
      assert.deepEqual(calls, []);
      written.push(...acknowledged);
    }
    assert.equal(written.length, 60);
    for (const page of pages) assert.equal((await sync(page)).isSuccess, true);
    assert.deepEqual(await rows(user), written.sort(), "each acknowledged write, once");
    assert.deepEqual(withoutStalls(errors), []);
    await context.close();
  });
}

const deleteDatabases = (page, part) =>
  page.evaluate(async (part) => {
    const names = (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.endsWith(part));
    await Promise.all(names.map((name) => new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      [request.onsuccess, request.onerror, request.onblocked] = [resolve, () => reject(request.error), () => reject(new Error("blocked"))];
    })));
    return names.length;
  }, part);

for (const whole of [true, false]) {
  test(`storage that is evicted between two visits, ${whole ? "all of it" : "one user's only"}, is reported with what was lost`, async () => {
    const user = site.id(whole ? "gone" : "gone-in-part");
    const { context, page, protocol, errors } = await open(user);
    const pulls = [];
    page.on("request", (request) => request.method() === "POST" && /[/_]pull$/.test(request.url()) && pulls.push(request.postDataJSON()));
    assert.equal(await create(page, "synced"), "written");
    assert.equal((await sync(page)).isSuccess, true);
    assert.equal(await create(page, "waiting"), "written");
    const [before] = pulls.splice(0);
    await page.goto(`${site.origin}/empty.html`);
    if (whole) await protocol.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "indexeddb" });
    else assert.equal(await deleteDatabases(page, user), 1);

    await page.goto(site.address(user));
    await ready(page);
    const lost = () => page.evaluate(() => window.app.events.filter((event) => event.type === "storageLost"));
    await page.waitForFunction(() => window.app.events.some((event) => event.type === "storageLost"));
    const [event, ...more] = await lost();
    assert.deepEqual([event.userId, event.lostOperations, event.savedOperations, more.length], [user, 1, 0, 0]);
    assert.deepEqual(await page.evaluate(() => window.app.status().errors.map((error) => error.code)), ["storageLost"]);
    assert.deepEqual(await page.evaluate(() => window.app.titles()), []);

    assert.equal(await create(page, "afterwards"), "written");
    assert.equal((await sync(page)).pendingOperations, 0);
    assert.deepEqual(await page.evaluate(() => window.app.titles()), ["afterwards", "synced"]);
    assert.deepEqual(await rows(user), ["afterwards", "synced"]);
    assert.equal(pulls[0].cursor ?? null, null, "everything is pulled again");
    assert.notEqual(pulls[0].clientId, before.clientId, "it is a new device to the server");

    const renewed = pulls[0].clientId;
    await page.reload();
    await ready(page);
    assert.equal((await sync(page)).isSuccess, true);
    assert.deepEqual(await lost(), [], "it is reported once");
    assert.equal(pulls.at(-1).clientId, renewed, "and keeps its new device id");
    assert.deepEqual(withoutStalls(errors), []);
    await context.close();
  });
}

test("persistence is requested once there is data, when the app asks, or never", async () => {
  for (const [persist, setting, before, after, answer] of [
    [true, "granted", 0, 1, true],
    ["ask", "granted", 0, 0, true],
    ["ask", "denied", 0, 0, false],
    [false, "granted", 0, 0, true],
    [false, "denied", 0, 0, false],
  ]) {
    const name = `${persist} ${setting}`;
    const { context, page, errors } = await device(browser);
    const protocol = await browser.newBrowserCDPSession();
    const { browserContextId } = (await (await context.newCDPSession(page)).send("Target.getTargetInfo")).targetInfo;
    await protocol.send("Browser.setPermission", { permission: { name: "persistent-storage" }, setting, origin: site.origin, browserContextId });
    await page.addInitScript(() => {
      window.asked = 0;
      const persist = StorageManager.prototype.persist;
      StorageManager.prototype.persist = function () {
        window.asked++;
        return persist.call(this);
      };
    });
    await page.goto(site.address("kept", { persist }));
    await ready(page);
    assert.equal(await page.evaluate(() => window.asked), before, `${name}: nothing is stored yet`);
    assert.equal(await create(page, "worth keeping"), "written");
    assert.equal((await sync(page)).isSuccess, true);
    await page.waitForFunction((after) => window.asked === after, after);
    assert.equal(await page.evaluate(() => window.app.datum.requestPersistence()), answer, name);
    const size = await page.evaluate(() => window.app.datum.storageSize(window.app.user));
    assert.deepEqual([size.persisted, size.bytes > 0], [answer, true], name);
    assert.equal(await page.evaluate(() => window.asked), persist === false ? 0 : after + 1, name);
    assert.equal(await create(page, "goes on"), "written", `${name}: whatever the answer`);
    assert.deepEqual(errors, []);
    await context.close();
  }
});

test("a database that another tab deletes is released, and pending writes are saved again", async () => {
  const user = site.id("deleted");
  const { context, pages, page, errors } = await open(user, 2);
  assert.equal(await create(page, "waiting"), "written");
  const deleted = await pages[1].evaluate(async (user) => {
    const names = (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.includes(user));
    // As the browser's developer tools do it: it blocks until every connection is closed.
    await Promise.all(names.map((name) => new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      [request.onsuccess, request.onerror] = [resolve, () => reject(request.error)];
    })));
    return names.length;
  }, user);
  assert.equal(deleted, 1);
  assert.equal(await create(page, "afterwards"), "written");
  assert.equal((await sync(page)).isSuccess, true);
  assert.deepEqual(await rows(user), ["afterwards", "waiting"]);
  for (const page of pages) await eventually(page, async () => (await window.app.titles()).join() === "afterwards,waiting");
  assert.deepEqual(withoutStalls(errors), []);
  await context.close();
});

test("an upgrade of the database by a newer page is not blocked, and the older page fails with a clear code", async () => {
  const user = site.id("upgraded");
  const { context, pages, page } = await open(user, 2);
  assert.equal(await create(page, "waiting"), "written");
  const upgraded = await pages[1].evaluate(async (user) => {
    const found = (await indexedDB.databases()).find(({ name }) => name.includes(user));
    const database = await new Promise((resolve, reject) => {
      const request = indexedDB.open(found.name, found.version + 1);
      [request.onsuccess, request.onerror] = [() => resolve(request.result), () => reject(request.error)];
    });
    const records = await new Promise((resolve) => (database.transaction("log").objectStore("log").count().onsuccess = ({ target }) => resolve(target.result)));
    database.close();
    return records;
  }, user);
  assert.ok(upgraded > 0, "what was written is there");
  const refused = await create(page, "by the older page");
  assert.ok(["storageBlocked", "clientOutdated", "storageUnavailable", "migration"].includes(refused), refused);
  await context.close();
});
