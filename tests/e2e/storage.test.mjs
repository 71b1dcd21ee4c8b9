// Storage that is not there at first, and databases that the app deletes itself, in every engine.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { eventually } from "./lib/browser.mjs";
import { openEngine } from "./lib/pages.mjs";
import { plainSite, ready } from "./lib/plain.mjs";
import { engines } from "./lib/webdriver.mjs";

let site, browser;
before(async () => (site = await plainSite()));
after(async () => {
  await browser?.stop();
  await site?.stop();
});

const create = (page, title) => page.evaluate((title) => window.app.tasks.create({ title }).then(() => "written", (error) => error.code), title);
const titles = (page) => page.evaluate(() => window.app.titles());
const local = (page) => page.evaluate(() => window.app.status().health.local);
const pending = (page) => page.evaluate(() => window.app.datum.pendingCount(window.app.user));

async function visit(context, user, refuse = 0) {
  const page = await context.newPage();
  await page.goto(site.address(user, {}, { refuse }));
  await ready(page);
  return page;
}

/** Writes in a visit of which nothing but its databases is left. */
async function leaveBehind(context, user, title) {
  const page = await visit(context, user);
  assert.equal(await create(page, title), "written");
  await page.evaluate(() => localStorage.clear());
  await page.close();
}

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await browser?.stop();
    browser = await openEngine(engine);
  });

  // Dexie.js#1767: storage that fails for two seconds made the whole visit one in memory.
  test(`${engine}: storage that fails at first takes over what was written in memory`, async () => {
    const user = `${engine}-late`;
    const { context, errors } = await browser.device();
    const page = await visit(context, user, 1e9);
    assert.equal(await local(page), "memoryOnly");
    assert.equal(await create(page, "in memory"), "written");
    await page.evaluate(() => void (window.storageWorks = true));
    await page.waitForFunction(() => window.app.status().health.local === "healthy");
    assert.deepEqual([await titles(page), await pending(page)], [["in memory"], 1]);
    assert.equal(await create(page, "stored"), "written");
    assert.deepEqual(await page.evaluate(() => window.app.events.filter(({ type }) => type === "storageLost")), [], "nothing was lost");
    await page.reload();
    await page.evaluate(() => void (window.storageWorks = true));
    await ready(page);
    assert.deepEqual([await titles(page), await pending(page)], [["in memory", "stored"], 2]);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: what is known to be stored is waited for`, async () => {
    const user = `${engine}-known`;
    const { context, errors } = await browser.device();
    const first = await visit(context, user);
    assert.equal(await create(first, "stored"), "written");
    await first.close();
    const page = await visit(context, user, 9);
    assert.deepEqual([await local(page), await titles(page), await pending(page)], ["healthy", ["stored"], 1]);
    assert.equal(await page.evaluate(() => window.refused), 9);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: storage that comes back has what it had before, and what was written since`, async () => {
    const user = `${engine}-both`;
    const { context, errors } = await browser.device();
    await leaveBehind(context, user, "stored");
    const page = await visit(context, user, 1e9);
    assert.deepEqual([await local(page), await titles(page)], ["memoryOnly", []]);
    assert.equal(await create(page, "in memory"), "written");
    await page.evaluate(() => void (window.storageWorks = true));
    await eventually(page, async () => (await window.app.titles()).length === 2);
    assert.deepEqual([await titles(page), await pending(page)], [["in memory", "stored"], 2]);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test(`${engine}: a user who is wiped while the storage fails is gone from it when it is back`, async () => {
    const user = `${engine}-wiped`;
    const { context, errors } = await browser.device();
    await leaveBehind(context, user, "private");
    const page = await visit(context, user, 1e9);
    await page.evaluate(() => window.app.datum.clearUserData(window.app.user));
    await page.close();
    const later = await visit(context, user);
    assert.deepEqual([await titles(later), await pending(later)], [[], 0]);
    assert.deepEqual(errors, []);
    await context.close();
  });

  // workbox#3131 is about caches; the same holds for databases: what an app removes stays removed.
  for (const order of ["users first", "the app's first", "users first, while the tabs open theirs again"]) {
    test(`${engine}: databases that the app deletes do not come back from open tabs: ${order}`, async () => {
      const user = `${engine}-leaving`;
      const { context, errors } = await browser.device();
      const pages = [await visit(context, user), await visit(context, user)];
      for (const page of pages) assert.equal(await create(page, "private"), "written");
      await pages[0].evaluate(async (order) => {
        const names = (await indexedDB.databases()).map(({ name }) => name).sort((a, b) => b.length - a.length);
        if (order === "the app's first") names.reverse();
        const { open } = IDBFactory.prototype;
        const opens = new Promise((resolve) => {
          IDBFactory.prototype.open = function (...given) {
            resolve();
            return open.apply(this, given);
          };
        });
        for (const name of names) {
          await new Promise((resolve, reject) => {
            const request = indexedDB.deleteDatabase(name);
            [request.onsuccess, request.onerror] = [resolve, () => reject(request.error)];
          });
          // Between the two, the open tabs work on.
          const work = window.app.tasks.create({ title: "between" }).catch(() => {});
          await (order.includes("while") && name.includes("/") ? opens : work);
        }
      }, order);
      for (const page of pages) {
        await page.waitForFunction(() => window.app.datum.currentUserId === null);
        assert.equal(await create(page, "after"), "noUser");
      }
      await pages[1].close();
      const left = await pages[0].evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
      assert.ok(!left.some((name) => name.endsWith(`/${site.id(user)}`)), left.join());
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
}
