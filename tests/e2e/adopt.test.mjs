// A visitor becomes an account, in every engine.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { openEngine } from "./lib/pages.mjs";
import { plainSite, ready } from "./lib/plain.mjs";
import { engines } from "./lib/webdriver.mjs";

let site, browser;
before(async () => (site = await plainSite()));
after(async () => {
  await browser?.stop();
  await site?.stop();
});

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await browser?.stop();
    browser = await openEngine(engine);
  });

  test(`${engine}: what a visitor has written belongs to the account that the visitor makes`, async () => {
    const { context, errors } = await browser.device();
    const [member, visitor] = [`${engine}-member`, `${engine}-visitor`];
    const page = await context.newPage();
    await page.goto(site.address(member, { initialUserId: visitor, excludedSyncUserIds: [visitor] }));
    await ready(page);
    const result = await page.evaluate(async (newUserId) => {
      const { datum, tasks } = window.app;
      for (const title of ["first", "second"]) await tasks.create({ title });
      return datum.switchUser({ newUserId, strategy: "adopt" });
    }, site.id(member));
    assert.deepEqual(
      [result.success, result.previousUserId, result.adopted, result.unsyncedOperations, result.error],
      [true, visitor, { added: 2, merged: 0 }, 2, undefined],
    );
    assert.deepEqual(await page.evaluate(() => window.app.titles()), ["first", "second"]);
    assert.equal(await page.evaluate(async () => (await window.app.datum.synchronize(window.app.user)).pushedCount), 2);
    assert.deepEqual(await site.rows(member), ["first", "second"]);
    const databases = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.ok(!databases.includes(`tabs/${visitor}`), databases.join());
    assert.deepEqual(errors, []);
    await context.close();
  });
}
