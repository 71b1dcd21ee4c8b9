// Between the app and the server: a slow link, a proxy that refuses what is large, a service worker that answers from its
// cache. The packed package in Chromium, and the real server.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { device, launch } from "./lib/browser.mjs";
import { openLink } from "./lib/link.mjs";
import { plainSite, ready } from "./lib/plain.mjs";
import { notOverSupabase } from "./lib/target.mjs";
import { after, before, test } from "./lib/test.mjs";

let browser, site;
const links = [];
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  for (const link of links) await link.stop();
  await site?.stop();
});

async function open(user, { remote, ...link }) {
  const proxy = await openLink(site.target.url, link);
  links.push(proxy);
  const { context, page, errors } = await device(browser);
  const address = site.address(user, { remote: { url: proxy.url, ...remote } });
  await page.goto(address);
  await ready(page);
  return { context, page, errors, address, remote: proxy.url, seen: proxy.seen };
}

const sync = (page) => page.evaluate(async () => JSON.parse(JSON.stringify(await window.app.datum.synchronize(window.app.user))));
const noise = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes / 2)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Writes rows from another device. */
async function fill(user, count, bytes = 0) {
  const other = await site.target.client(user);
  for (let from = 0; from < count; from += 250) {
    const operations = Array.from({ length: Math.min(250, count - from) }, (_, n) => {
      const id = `${user}-${from + n}`;
      return { opId: `op-${id}`, entity: "tasks", id, kind: "create", data: { title: id, text: noise(bytes) } };
    });
    const { results } = await other.push(operations);
    assert.ok(results.every(({ status }) => status === "applied"), JSON.stringify(results[0]));
  }
}

test("rows arrive over a link on which a page of them takes longer than the timeout", async () => {
  // 5,000 rows of 3 kB at 50 kB/s and a timeout of 30 s, twenty times as fast.
  const user = "slow";
  const [count, bytes, bytesPerSecond, timeout] = [1_200, 3_000, 1_000_000, 1_500];
  await fill(user, count, bytes);
  const { page, context, errors } = await open(user, { bytesPerSecond, remote: { timeout } });
  const started = Date.now();
  const result = await sync(page);
  assert.deepEqual([result.isSuccess, result.error?.code], [true, undefined]);
  assert.ok(Date.now() - started > 2 * timeout, "the link is slow");
  assert.equal(await page.evaluate(() => window.app.tasks.count()), count);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a refusal of what is too large, without CORS headers, stops nothing else", async () => {
  const user = "large";
  await fill(user, 20);
  const { page, context, errors, seen } = await open(user, { largestPush: 20_000 });
  await page.evaluate(async (big) => {
    const { tasks } = window.app;
    for (let n = 0; n < 40; n++) await tasks.create({ title: `mine ${n}`, text: "x".repeat(1_000) });
    await tasks.create({ title: "too large", text: big });
    for (let n = 40; n < 50; n++) await tasks.create({ title: `mine ${n}` });
  }, noise(60_000));
  const result = await sync(page);
  const mine = Array.from({ length: 50 }, (_, n) => `mine ${n}`);
  const theirs = Array.from({ length: 20 }, (_, n) => `${user}-${n}`);
  assert.deepEqual(await site.rows(user), [...mine, ...theirs].sort(), "everything else is on the server after one cycle");
  assert.deepEqual(await page.evaluate(() => window.app.titles()), [...mine, ...theirs, "too large"].sort(), "and the pull went on");
  assert.equal(result.pendingOperations, 1);
  const pushes = () => seen.filter(({ path }) => path.endsWith("/push")).length;
  const first = pushes();
  assert.ok(first < 30, `${first} pushes`);
  const unlogged = errors.filter((error) => !/CORS policy/.test(error));
  assert.deepEqual(unlogged, []);
  await context.close();
});

test("a service worker that answers from its cache first answers none of the engine's requests", notOverSupabase("the functions of the kit are called by POST, which no cache answers"), async () => {
  const user = "cached";
  await writeFile(
    join(site.folder, "cache-first.js"),
    `addEventListener("install", (event) => event.waitUntil(skipWaiting()));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.respondWith((async () => {
  const cache = await caches.open("app");
  const found = await cache.match(event.request);
  if (found) return found;
  const response = await fetch(event.request);
  if (event.request.method === "GET" && response.ok) await cache.put(event.request, response.clone());
  return response;
})()));`,
  );
  const { page, context, errors, address, remote, seen } = await open(user, {});
  await page.evaluate(async () => {
    const controlled = new Promise((resolve) => (navigator.serviceWorker.oncontrollerchange = resolve));
    await navigator.serviceWorker.register("/cache-first.js");
    await controlled;
  });
  await page.goto(address);
  await ready(page);
  const asked = (name) => seen.filter(({ path }) => path.endsWith(`/${name}`)).length;

  await page.evaluate(async (url) => {
    for (let n = 0; n < 2; n++) await (await fetch(url)).text();
  }, `${remote}/sync/v1/health`);
  assert.equal(asked("health"), 1, "the service worker answers the app's own second request");

  const compare = () => page.evaluate(() => window.app.datum.compareSyncMetadata(window.app.user));
  await page.evaluate(() => window.app.tasks.create({ title: "mine" }));
  assert.equal((await sync(page)).isSuccess, true);
  const before = asked("metadata");
  const known = await compare();
  await fill(user, 3);
  const later = await compare();
  assert.ok(asked("metadata") >= before + 2, "each question reaches the server");
  assert.notEqual(later, known, `${known}: the server has rows that this device has not`);
  assert.equal((await sync(page)).isSuccess, true);
  assert.deepEqual(await page.evaluate(() => window.app.titles()), ["cached-0", "cached-1", "cached-2", "mine"]);
  assert.deepEqual(errors, []);
  await context.close();
});
