// The browser of a profile: devices, pages whose later parts are held back, and notes of what has run in them.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { app, keepExports } from "./profile-page.js";
import { serve } from "./profile-remote.mjs";

/** Nothing happens any more when that many looks in a row, so far apart, have found no new note. */
const LOOKS = 8;
const LOOK_MS = 40;

const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(here, "..", "..", "tests", "e2e", "package.json"))("playwright-core");
const { origin, remoteOf, isIdle, stop: end } = await serve(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});

/** What a page runs before its later parts are there, and what its first writes and cycles run. */
export const [PAINT, CYCLE] = [0, 1];
export const stages = [[], []];
export const scenarios = [];
const merge = (all, notes) => notes.forEach((bits, at) => (all[at] = ((all[at] ?? 0) | bits) >>> 0));

export const run = (page, work, given) => page.evaluate(work, given);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when the pages do nothing any more. */
export async function quiet(...pages) {
  let before = "";
  for (let same = 0; same < LOOKS; ) {
    await wait(LOOK_MS);
    const now = (await Promise.all(pages.map((page) => run(page, () => notes().join())))).join(";");
    same = now === before && isIdle() ? same + 1 : 0;
    before = now;
  }
}

/** Resolves when something in the page is true; an async predicate too. */
export async function until(page, predicate, given) {
  while (!(await run(page, predicate, given))) await wait(LOOK_MS);
}

export async function note(stage, scenario, ...pages) {
  await quiet(...pages);
  for (const page of pages) {
    const notes = await run(page, () => notes());
    merge(stages[stage], notes);
    scenarios.push({ stage, scenario, notes });
  }
}

export async function device() {
  const context = await browser.newContext();
  context.on("weberror", (error) => {
    console.error(`a page failed: ${error.error().stack ?? error.error()}`);
    process.exitCode = 1;
  });
  await context.addInitScript(keepExports);
  await context.addInitScript(app);
  return context;
}

/** Opens an app in a page of a device. Its later parts are not there until it is released. */
export async function enter(context, config, user) {
  const page = await context.newPage();
  await page.goto(origin);
  await run(page, ([config, user]) => openAs(config, user), [config, user]);
  return page;
}

export async function begin(context, config, user) {
  const page = await enter(context, config, user);
  await run(page, () => begin());
  return page;
}

/** Opens an app that cannot be opened, and then another one in the same page. */
export async function reopen(context, config, next, user) {
  const page = await context.newPage();
  await page.goto(origin);
  await run(page, ([config, next, user]) => openAs(config, user).catch(() => openAs(next, user)), [config, next, user]);
  await run(page, () => begin());
  return page;
}

export const release = (page) => run(page, () => release());
export const collect = async (page) => {
  const session = await page.context().newCDPSession(page);
  for (let time = 0; time < 2; time++) await session.send("HeapProfiler.collectGarbage");
  await session.detach();
};
/** Runs a cycle, and gives the code of what it failed with. */
export const sync = (page, options) => run(page, (options) => datum.synchronize(user, options).then(() => undefined, (error) => error.code), options);

/** Ends the browser and the remote. */
export async function stop() {
  await browser.close();
  end();
}

export { origin, remoteOf };
