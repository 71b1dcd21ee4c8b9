// Pending operations of a page that is left: it sends them itself, or the service worker does later. The package's files
// are on a plain web host.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { device, eventually, launch } from "./lib/browser.mjs";
import { installPackage } from "./lib/package.mjs";
import { client, startServer } from "./lib/server.mjs";
import { serveFolder } from "./lib/static.mjs";

let browser, host, installed, server;

before(async () => {
  browser = await launch();
  installed = await installPackage();
  const site = join(installed.root, "site");
  await mkdir(site);
  await installed.copyTo(site);
  server = await startServer();
  await writeFile(join(site, "config.js"), config(server.url));
  await writeFile(join(site, "index.html"), PAGE);
  await writeFile(join(site, "sw.js"), WORKER);
  host = await serveFolder(site);
});

after(async () => {
  await browser?.close();
  await Promise.all([host?.stop(), server?.stop()]);
  await installed?.remove();
});

const config = (url) => `
export function config(userId) {
  const signIn = () => fetch("${url}/dev/token", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ userId }) });
  let token;
  return {
    entities: { tasks: {} },
    initialUserId: userId,
    remote: {
      url: "${url}",
      headers: async (reason) => {
        if (reason === "unauthorized" || !token) token = (await (await signIn()).json()).token;
        return { Authorization: "Bearer " + token };
      },
    },
  };
}`;
const PAGE = `<!doctype html><meta charset="utf-8"><title>leaving</title><script type="module">
import { Datum } from "./datum-sync/index.js";
import { config } from "./config.js";
const { user, ...options } = Object.fromEntries(new URL(location.href).searchParams);
for (const key in options) options[key] = options[key] === "true";
window.datum = await Datum.initialize({ ...config(user), ...options });
window.tasks = datum.manager("tasks");
document.title = "ready";
</script>`;
// The user's name is in a cache, where service workers can read it, as an app would store a session.
const WORKER = `
import { handleBackgroundSync } from "./datum-sync/service-worker.js";
import { config } from "./config.js";
let remote;
handleBackgroundSync(async () => {
  const session = await (await caches.open("session")).match("/user");
  const given = config(session ? await session.text() : null);
  return remote ? { ...given, remote } : given;
});
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
// Lets the test see the outcome of a sync.
addEventListener("message", ({ data, ports: [port] }) => {
  remote = data.remote;
  const waitUntil = (promise) => promise.then(() => port.postMessage("resolved"), (error) => port.postMessage(error.code));
  dispatchEvent(Object.assign(new Event(data.type), { tag: data.tag, waitUntil }));
});`;

async function open(user, options = {}) {
  const it = await device(browser);
  await it.page.goto(`${host.url}/?${new URLSearchParams({ user, ...options })}`);
  await it.page.waitForFunction(() => document.title === "ready");
  return it;
}

/** Returns the server's titles, once there are `count` of them or a timeout has passed. */
async function arrived(user, count) {
  const remote = await client(server.url, user);
  for (let tries = 0; ; tries++) {
    const titles = (await remote.pullAll()).map((change) => change.data.title).sort();
    if (titles.length >= count || tries === 100) return titles;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const create = (page, title) => page.evaluate((title) => window.tasks.create({ title }).then(() => undefined), title);

test("pending operations are sent as the page is left, and applied once when the app opens again", async () => {
  const it = await open("leaver");
  await create(it.page, "synced");
  await it.page.evaluate(() => window.datum.synchronize("leaver").then(() => undefined));
  await create(it.page, "at the last moment");
  await it.page.goto("about:blank");
  assert.deepEqual(await arrived("leaver", 2), ["at the last moment", "synced"]);

  await it.page.goto(`${host.url}/?user=leaver`);
  await it.page.waitForFunction(() => document.title === "ready");
  const counts = await it.page.evaluate(async () => {
    const waiting = await window.datum.pendingCount("leaver");
    const { pushedCount, conflictsDetected, isSuccess } = await window.datum.synchronize("leaver");
    return [waiting, pushedCount, conflictsDetected, isSuccess, await window.datum.pendingCount("leaver")];
  });
  assert.deepEqual(counts, [1, 1, 0, true, 0]);
  assert.deepEqual(await arrived("leaver", 2), ["at the last moment", "synced"]);
  assert.deepEqual(it.errors, []);
  await it.context.close();
});

test("an app with flushOnLeave off sends nothing", async () => {
  const it = await open("stayer", { flushOnLeave: "false" });
  await create(it.page, "synced");
  await it.page.evaluate(() => window.datum.synchronize("stayer").then(() => undefined));
  await create(it.page, "stays");
  const pushes = [];
  it.page.on("request", (request) => request.url().endsWith("/push") && pushes.push(request.method()));
  await it.page.goto("about:blank");
  await it.page.goto(`${host.url}/config.js`);
  assert.deepEqual(pushes, []);
  assert.deepEqual(await arrived("stayer", 1), ["synced"]);
  await it.context.close();
});

/** Registers the service worker. Returns a function that dispatches a sync event as the browser does. */
async function serviceWorker(it) {
  const cdp = await it.context.newCDPSession(it.page);
  const registered = new Promise((resolve) => {
    cdp.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const mine = registrations.find(({ scopeURL, isDeleted }) => scopeURL.startsWith(host.url) && !isDeleted);
      if (mine) resolve(mine.registrationId);
    });
  });
  await cdp.send("ServiceWorker.enable");
  await it.page.evaluate(async () => {
    await navigator.serviceWorker.register("./sw.js", { type: "module" });
    await navigator.serviceWorker.ready;
  });
  const registrationId = await registered;
  return (tag) => cdp.send("ServiceWorker.dispatchSyncEvent", { origin: host.url, registrationId, tag, lastChance: false });
}

const remember = (page, user) => page.evaluate(async (user) => (await caches.open("session")).put("/user", new Response(user)), user);

test("the service worker sends a page's pending operations, with the engine from its .wasm file", async () => {
  const it = await open("sleeper", { flushOnLeave: "false" });
  const dispatch = await serviceWorker(it);
  await remember(it.page, "sleeper");
  await create(it.page, "left alone");
  await it.page.evaluate(() => window.datum.close());
  const before = host.requested().length;

  await dispatch("another tag");
  await dispatch("datum-sync:another app");
  await dispatch("datum-sync:datum");

  assert.deepEqual(await arrived("sleeper", 1), ["left alone"]);
  const loaded = host.requested().slice(before);
  assert.ok(loaded.every((path) => !path.endsWith("inline.js")), loaded.join(" "));
  // For the second event the instance is closed; it is opened again.
  await it.page.goto(`${host.url}/?user=sleeper&flushOnLeave=false`);
  await it.page.waitForFunction(() => document.title === "ready");
  await create(it.page, "and again");
  await dispatch("datum-sync:datum");
  assert.deepEqual(await arrived("sleeper", 2), ["and again", "left alone"]);
  // The page notices, since both write to one log.
  await eventually(it.page, async () => (await window.datum.pendingCount("sleeper")) === 0);
  assert.deepEqual(it.errors, []);
  await it.context.close();
});

test("a page with backgroundSync registers a sync when it is hidden with pending operations", async () => {
  const it = await open("asker", { flushOnLeave: "false", backgroundSync: "true" });
  await serviceWorker(it);
  await it.page.evaluate(() => {
    window.tags = [];
    window.asked = new Promise((resolve) => {
      SyncManager.prototype.register = async function (tag) {
        window.tags.push(tag);
        resolve();
      };
    });
    window.hide = () => {
      Object.defineProperty(document, "visibilityState", { get: () => "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    };
    window.hide();
  });
  await create(it.page, "waits");
  await it.page.evaluate(() => window.hide());
  await it.page.evaluate(() => window.asked);
  assert.deepEqual(await it.page.evaluate(() => window.tags), ["datum-sync:datum"], "once: the first time nothing was pending");
  assert.deepEqual(it.errors, []);
  await it.context.close();
});

test("a failed background sync is left to the browser to retry", async () => {
  const it = await open("unlucky", { flushOnLeave: "false" });
  await serviceWorker(it);
  await it.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  const sync = (type, remote) =>
    it.page.evaluate(
      ([type, remote]) =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = ({ data }) => resolve(data);
          navigator.serviceWorker.controller.postMessage({ type, tag: "datum-sync:datum", remote }, [port2]);
        }),
      [type, remote],
    );
  await create(it.page, "waits");
  assert.equal(await sync("sync"), "resolved", "nobody is signed in: nothing to retry");
  await remember(it.page, "unlucky");
  assert.equal(await sync("sync", { url: "http://127.0.0.1:9" }), "network");
  assert.equal(await sync("sync", { url: server.url }), "unauthorized");
  assert.equal(await sync("sync", { url: server.url, headrs: {} }), "invalidConfig");
  assert.deepEqual(await arrived("unlucky", 0), []);
  assert.equal(await sync("periodicsync"), "resolved");
  assert.deepEqual(await arrived("unlucky", 1), ["waits"]);
  assert.deepEqual(it.errors, []);
  await it.context.close();
});
