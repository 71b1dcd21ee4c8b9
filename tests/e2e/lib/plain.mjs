// The packed package on a plain web host, a page that opens it, and what it syncs with behind a gate: see `target.mjs`.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openGate } from "./gate.mjs";
import { installPackage } from "./package.mjs";
import { serveFolder } from "./static.mjs";
import { startTarget } from "./target.mjs";

const page = (target, url) => `<!doctype html><meta charset="utf-8"><title>opening</title><link rel="icon" href="data:,">${target.head}<script>
// Every attempt to open a database fails until \`storageWorks\`, or as many as the address says have failed.
window.refused = 0;
window.storageWorks = false;
const failures = Number(new URL(location.href).searchParams.get("refuse"));
const open = IDBFactory.prototype.open;
if (failures > 0) IDBFactory.prototype.open = function (...args) {
  if (window.storageWorks || window.refused >= failures) return open.apply(this, args);
  window.refused++;
  throw new DOMException("Internal error opening backing store for indexedDB.open.", "UnknownError");
};
</script><script type="module">
import { Datum } from "./datum-sync/index.js";
const { user, ...given } = Object.fromEntries(new URL(location.href).searchParams);
const { remote, ...options } = given.config ? JSON.parse(given.config) : {};
${target.script(url)}
const config = { name: "tabs", entities: { tasks: {} }, initialUserId: user, remote: await open(user, remote), retry: { maxAttempts: 1 }, flushOnLeave: false, ...options };
const app = (window.app = { user, errors: [], statuses: [], events: [], ended: [] });
addEventListener("error", (event) => app.errors.push(String(event.error?.stack ?? event.message)));
addEventListener("unhandledrejection", (event) => app.errors.push(String(event.reason?.stack ?? event.reason)));
app.open = () => Datum.initialize(config);
app.datum = await app.open();
app.tasks = app.datum.manager("tasks");
app.feed = app.datum.statusForUser(user);
(async () => { for await (const status of app.feed) app.statuses.push(status); })();
(async () => { for await (const event of app.datum.events()) app.events.push(event); })();
// Starts a cycle, and keeps its outcome for the test.
app.sync = (options) => void app.datum.synchronize(user, options).then((result) => app.ended.push(result), (error) => app.ended.push({ code: error.code }));
// The status without isLeader, which differs between tabs.
app.status = () => { const { isLeader, ...same } = JSON.parse(JSON.stringify(app.feed.current)); return same; };
app.titles = async () => (await app.tasks.readAll()).map((task) => task.title).sort();
app.write = async (prefix, count) => {
  // localStorage is shared by all tabs: it records the writes that were acknowledged to a tab that has closed since.
  const note = (title) => localStorage.setItem("promised/" + title, "");
  await Promise.all(Array.from({ length: count }, async (_, n) => { await app.tasks.create({ title: prefix + n }); note(prefix + n); }));
  app.wrote = true;
};
app.promised = () => Object.keys(localStorage).filter((key) => key.startsWith("promised/")).map((key) => key.slice(9)).sort();
// Tabs ask each other who leads. The test must not ask each tab: a tab that it addresses comes to the front and leads.
const who = new BroadcastChannel("who");
who.addEventListener("message", ({ data }) => data === "?" && who.postMessage(app.feed.current.isLeader));
app.leaders = (tabs) =>
  new Promise((resolve) => {
    const answers = [app.feed.current.isLeader];
    const onAnswer = ({ data }) => {
      if (typeof data !== "boolean" || answers.push(data) < tabs) return;
      who.removeEventListener("message", onAnswer);
      resolve(answers.filter(Boolean).length);
    };
    who.addEventListener("message", onAnswer);
    who.postMessage("?");
  });
document.title = "ready";
</script>`;

/** Resolves when a page has opened its instance. */
export const ready = (page) => page.waitForFunction(() => document.title === "ready");

/**
 * Starts everything. `address(user, config, more)` is a page in `folder` that opens an instance; `rows(user)` are the
 * titles that the target has, and `id(user)` is the user's id there. With `more.refuse`, that many attempts to open a database fail.
 */
export async function plainSite() {
  const installed = await installPackage();
  const site = join(installed.root, "site");
  await mkdir(site);
  await installed.copyTo(site);
  const target = await startTarget();
  await target.prepare(site);
  const gate = await openGate(target.url);
  await writeFile(join(site, "index.html"), page(target, gate.url));
  await writeFile(join(site, "empty.html"), `<!doctype html><title>empty</title>`);
  const host = await serveFolder(site);
  return {
    gate,
    target,
    folder: site,
    origin: host.url,
    id: target.id,
    rows: target.rows,
    address: (user, config = {}, more = {}) => `${host.url}/?${new URLSearchParams({ user: target.id(user), config: JSON.stringify(config), ...more })}`,
    async stop() {
      await Promise.all([gate.stop(), host.stop(), target.stop()]);
      await installed.remove();
    },
  };
}
