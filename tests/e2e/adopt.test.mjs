// A visitor becomes an account, in Chromium.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { plainSite, ready } from "./lib/plain.mjs";

let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

test("what a visitor has written belongs to the account that the visitor makes", async () => {
  const { context, page, errors } = await device(browser);
  await page.goto(site.address("member", { initialUserId: "visitor", excludedSyncUserIds: ["visitor"] }));
  await ready(page);
  const result = await page.evaluate(async () => {
    const { datum, tasks } = window.app;
    for (const title of ["first", "second"]) await tasks.create({ title });
    return datum.switchUser({ newUserId: "member", strategy: "adopt" });
  });
  assert.deepEqual(
    [result.success, result.previousUserId, result.adopted, result.unsyncedOperations, result.error],
    [true, "visitor", { added: 2, merged: 0 }, 2, undefined],
  );
  assert.deepEqual(await page.evaluate(() => window.app.titles()), ["first", "second"]);
  assert.equal(await page.evaluate(async () => (await window.app.datum.synchronize("member")).pushedCount), 2);
  assert.deepEqual(await site.rows("member"), ["first", "second"]);
  const databases = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  assert.ok(!databases.includes("tabs/visitor"), databases.join());
  assert.deepEqual(errors, []);
  await context.close();
});
