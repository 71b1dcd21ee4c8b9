// Kills the browser's process: acknowledged writes survive on disk and are pushed once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { chromium } from "playwright-core";
import { chromiumProgram } from "./lib/environment.mjs";
import { temporaryFolder } from "./lib/files.mjs";
import { plainSite } from "./lib/plain.mjs";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"];
const STRICT = { durability: { local: "strict" } };
let site, folder, running;
before(async () => ([site, folder] = await Promise.all([plainSite(), temporaryFolder()])));
after(async () => {
  await running?.kill();
  await site?.stop();
  await folder?.remove();
});

const rows = (user) => site.rows(user);

/** Starts Chromium on this profile, in a process that the test can kill. */
async function start(profile) {
  const path = join(folder.path, profile);
  const portFile = join(path, "DevToolsActivePort");
  await rm(portFile, { force: true });
  const child = spawn(chromiumProgram(), [...ARGS, `--user-data-dir=${path}`, "about:blank"], { stdio: "ignore", detached: true });
  const gone = new Promise((resolve) => child.once("close", resolve));
  let port;
  for (let tries = 0; !port; tries++) {
    if (tries > 600) throw new Error("Chromium did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
    port = (await readFile(portFile, "utf8").catch(() => "")).split("\n")[0];
  }
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
  running = {
    page: async (user) => {
      const page = await browser.contexts()[0].newPage();
      await page.goto(site.address(user, STRICT));
      await page.waitForFunction(() => document.title === "ready");
      return page;
    },
    /** Kills all its processes at once, as the system does when memory is short. */
    kill: async () => {
      running = null;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has exited already.
      }
      await gone;
      await browser.close().catch(() => {});
    },
  };
  return running;
}

test("an acknowledged write survives a kill of the browser, and is pushed", { timeout: 120_000 }, async () => {
  const user = "killed";
  const expected = [];
  for (let round = 0; round < 4; round++) {
    const browser = await start("killed");
    const page = await browser.page(user);
    assert.deepEqual(await page.evaluate(() => window.app.titles()), expected);
    const title = `round ${round}`;
    await page.evaluate((title) => window.app.tasks.create({ title }).then(() => undefined), title);
    await browser.kill();
    expected.push(title);
  }
  const browser = await start("killed");
  const page = await browser.page(user);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), expected);
  assert.equal(await page.evaluate(() => window.app.datum.pendingCount(window.app.user)), expected.length);
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  assert.deepEqual(await rows(user), expected);
  await browser.kill();
});

test("a browser that is killed during a push pushes nothing twice and loses nothing", { timeout: 120_000 }, async () => {
  const user = "mid-push";
  const expected = [];
  for (const [round, side] of ["request", "reply", "reply"].entries()) {
    const browser = await start("mid-push");
    const page = await browser.page(user);
    const title = `round ${round}`;
    await page.evaluate((title) => window.app.tasks.create({ title }).then(() => undefined), title);
    expected.push(title);
    const { held } = site.gate.shut("/push", side);
    await page.evaluate(() => window.app.sync());
    await held;
    await browser.kill();
    site.gate.open();
  }
  const browser = await start("mid-push");
  const page = await browser.page(user);
  await page.evaluate(() => window.app.sync());
  await page.waitForFunction(() => window.app.ended.length === 1);
  assert.deepEqual(await page.evaluate(() => [window.app.ended[0].isSuccess, window.app.ended[0].pendingOperations]), [true, 0]);
  assert.deepEqual(await rows(user), expected);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), expected);
  await browser.kill();
});
