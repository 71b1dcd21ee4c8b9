// Several tabs at once, in every engine: real tabs, the packed package, the real server.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { plainSite } from "./lib/plain.mjs";
import { drive, engines } from "./lib/webdriver.mjs";

let site;
before(async () => (site = await plainSite()));
after(async () => site?.stop());

// Generous, for busy machines: on an idle one each test takes seconds.
const TIMEOUT = { timeout: 150_000 };
const rows = (user) => site.rows(user);
const open = async (browser, user, config) => (await browser.open(site.address(user, config))).ready();
const status = (tab) => tab.run(() => window.app.status());

for (const engine of engines()) {
  const user = (name) => `${engine}-${name}`;
  let browser;
  test(`${engine} starts`, TIMEOUT, async () => (browser = await drive(engine)));

  test(`${engine}: five tabs write at once, two are closed meanwhile, and no write is lost or doubled`, TIMEOUT, async () => {
    const tabs = [];
    for (let n = 0; n < 5; n++) tabs.push(await open(browser, user("many")));
    for (const [n, tab] of tabs.entries()) await tab.run((prefix) => void window.app.write(prefix, 40), `${n}-`);
    await tabs[0].close();
    await tabs[1].close();
    const [, , ...left] = tabs;
    for (const tab of left) await tab.until(() => window.app.wrote);
    const promised = await left[0].run(() => window.app.promised());
    assert.ok(promised.length >= 120, `${promised.length}`);
    const first = await left[0].run(() => window.app.titles());
    for (const tab of left) await tab.until(async (known) => JSON.stringify(await window.app.titles()) === known, JSON.stringify(first));
    assert.deepEqual(promised.filter((title) => !first.includes(title)), [], "every acknowledged write is there");
    assert.equal(new Set(first).size, first.length, "each once");
    await left[1].run(() => window.app.sync());
    for (const tab of left) await tab.until(() => window.app.status().status === "completed" && window.app.status().pendingOperations === 0);
    assert.deepEqual(await rows(user("many")), first, "on the server too");
    for (const tab of left) {
      assert.deepEqual(await tab.run(() => window.app.errors), []);
      await tab.close();
    }
  });

  test(`${engine}: a cycle looks the same in every tab, including one that is opened during the cycle`, TIMEOUT, async () => {
    const [a, b] = [await open(browser, user("same")), await open(browser, user("same"))];
    await a.run(async () => void (await window.app.tasks.create({ title: "milk" })));
    const { held } = site.gate.shut("/pull");
    await a.run(() => window.app.sync());
    await held;
    for (const tab of [a, b]) await tab.until(() => window.app.status().phase === "pulling");
    const c = await open(browser, user("same"));
    await c.until(() => window.app.status().phase === "pulling");
    const during = await status(a);
    assert.deepEqual(await status(b), during);
    assert.deepEqual(await status(c), during);
    site.gate.open();
    const tabs = [a, b, c];
    for (const tab of tabs) await tab.until(() => window.app.status().status === "completed");
    const ended = await status(a);
    for (const tab of tabs) assert.deepEqual(await status(tab), ended);
    const results = await Promise.all(tabs.map((tab) => tab.run(async () => JSON.stringify(await window.app.datum.getLastSyncResult(window.app.user)))));
    assert.deepEqual(new Set(results).size, 1);
    await a.until(async () => (await window.app.leaders(3)) === 1);
    for (const tab of tabs) {
      const progress = await tab.run(() => window.app.statuses.filter((status) => status.status === "syncing").map((status) => status.progress));
      assert.deepEqual(progress, [...progress].sort((x, y) => x - y), "never backwards");
      assert.ok(progress.length > 0);
    }
    for (const tab of tabs) await tab.close();
  });

  test(`${engine}: a tab that is closed during a sync does not block the others`, TIMEOUT, async () => {
    const [b, a] = [await open(browser, user("closed")), await open(browser, user("closed"))];
    await a.run(async () => void (await window.app.tasks.create({ title: "milk" })));
    const { held } = site.gate.shut("/pull");
    await a.run(() => window.app.sync());
    await held;
    await b.until(() => window.app.status().phase === "pulling");
    await a.close();
    await b.until(() => window.app.status().status !== "syncing");
    site.gate.open();
    await b.run(() => window.app.sync());
    await b.until(() => window.app.ended.length === 1);
    assert.equal(await b.run(() => window.app.ended[0].isSuccess), true);
    assert.deepEqual(await rows(user("closed")), ["milk"]);
    assert.deepEqual(await b.run(() => [window.app.status().status, window.app.status().pendingOperations, window.app.errors]), ["completed", 0, []]);
    await b.close();
  });

  test(`${engine}: a page that is reloaded during a push pushes once`, TIMEOUT, async () => {
    const a = await open(browser, user("reloaded"));
    await a.run(async () => void (await window.app.tasks.create({ title: "milk" })));
    const { held } = site.gate.shut("/push", "reply");
    await a.run(() => window.app.sync());
    await held;
    await a.reload();
    site.gate.open();
    await a.ready();
    assert.equal(await a.run(() => window.app.datum.pendingCount(window.app.user)), 1, "no reply has confirmed it");
    await a.run(() => window.app.sync());
    await a.until(() => window.app.ended.length === 1);
    assert.deepEqual(await a.run(() => [window.app.ended[0].isSuccess, window.app.status().pendingOperations]), [true, 0]);
    assert.deepEqual(await rows(user("reloaded")), ["milk"]);
    await a.close();
  });

  test(`${engine}: an acknowledged write survives an immediate kill of the browser`, TIMEOUT, async (t) => {
    if (!browser.pid) return t.skip("the driver does not report the browser's process; crash.test covers Chromium");
    let killed = await drive(engine);
    try {
      for (let round = 0; round < 2; round++) {
        const tab = await open(killed, user("killed"), { durability: { local: "strict" } });
        await tab.run((title) => window.app.tasks.create({ title }).then(() => undefined), `round ${round}`);
        await killed.kill();
        killed = await drive(engine, { profile: killed.profile });
      }
      const tab = await open(killed, user("killed"));
      assert.deepEqual(await tab.run(() => window.app.titles()), ["round 0", "round 1"]);
      await tab.run(() => window.app.sync());
      await tab.until(() => window.app.ended.length === 1);
      assert.deepEqual(await rows(user("killed")), ["round 0", "round 1"]);
    } finally {
      await killed.stop();
    }
  });

  test(`${engine} ends`, TIMEOUT, async () => browser?.stop());
}
