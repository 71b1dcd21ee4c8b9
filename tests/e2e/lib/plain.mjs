// The packed package on a plain web host, a page that opens it, and the real server behind a gate.
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tarball } from "./environment.mjs";
import { npm, temporaryFolder } from "./files.mjs";
import { openGate } from "./gate.mjs";
import { startServer } from "./server.mjs";
import { serveFolder } from "./static.mjs";

const page = (url) => `<!doctype html><meta charset="utf-8"><title>opening</title><link rel="icon" href="data:,"><script type="module">
import { Datum } from "./datum-sync/index.js";
const { user, ...given } = Object.fromEntries(new URL(location.href).searchParams);
const options = given.config ? JSON.parse(given.config) : {};
let token;
const headers = async (reason) => {
  if (reason === "unauthorized" || !token) {
    const reply = await fetch("${url}/dev/token", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ userId: user }) });
    token = (await reply.json()).token;
  }
  return { Authorization: "Bearer " + token };
};
const config = { name: "tabs", entities: { tasks: {} }, initialUserId: user, remote: { url: "${url}", headers }, retry: { maxAttempts: 1 }, flushOnLeave: false, ...options };
const app = (window.app = { user, errors: [], statuses: [], events: [], ended: [] });
addEventListener("error", (event) => app.errors.push(String(event.error?.stack ?? event.message)));
addEventListener("unhandledrejection", (event) => app.errors.push(String(event.reason?.stack ?? event.reason)));
app.datum = await Datum.initialize(config);
app.tasks = app.datum.manager("tasks");
app.feed = app.datum.statusForUser(user);
(async () => { for await (const status of app.feed) app.statuses.push(status); })();
(async () => { for await (const event of app.datum.events()) app.events.push(event); })();
// Starts a cycle; what it comes to is kept for the test.
app.sync = (options) => void app.datum.synchronize(user, options).then((result) => app.ended.push(result), (error) => app.ended.push({ code: error.code }));
// What tabs agree on: who leads differs by right.
app.status = () => { const { isLeader, ...same } = JSON.parse(JSON.stringify(app.feed.current)); return same; };
app.titles = async () => (await app.tasks.readAll()).map((task) => task.title).sort();
app.write = async (prefix, count) => {
  // The browser's own memory, over all tabs and until it is closed: what a tab was promised outlives it.
  const note = (title) => localStorage.setItem("promised/" + title, "");
  await Promise.all(Array.from({ length: count }, async (_, n) => { await app.tasks.create({ title: prefix + n }); note(prefix + n); }));
  app.wrote = true;
};
app.promised = () => Object.keys(localStorage).filter((key) => key.startsWith("promised/")).map((key) => key.slice(9)).sort();
// Each tab is asked who leads by another, not by the driver: whoever a driver looks at comes to the front, and leads.
const who = new BroadcastChannel("who");
who.addEventListener("message", ({ data }) => data === "?" && who.postMessage(app.feed.current.isLeader));
app.leaders = (tabs) =>
  new Promise((resolve) => {
    const answers = [app.feed.current.isLeader];
    const hear = ({ data }) => {
      if (typeof data !== "boolean" || answers.push(data) < tabs) return;
      who.removeEventListener("message", hear);
      resolve(answers.filter(Boolean).length);
    };
    who.addEventListener("message", hear);
    who.postMessage("?");
  });
document.title = "ready";
</script>`;

/** Puts it all up. `address(user, config)` is a page that opens an instance. */
export async function plainSite() {
  const folder = await temporaryFolder();
  const root = folder.path;
  await writeFile(join(root, "package.json"), `{ "private": true, "type": "module" }`);
  await npm(["install", tarball()], root);
  const site = join(root, "site");
  await mkdir(site);
  await cp(join(root, "node_modules", "datum-sync"), join(site, "datum-sync"), { recursive: true });
  const server = await startServer();
  const gate = await openGate(server.url);
  await writeFile(join(site, "index.html"), page(gate.url));
  await writeFile(join(site, "empty.html"), `<!doctype html><title>empty</title>`);
  const host = await serveFolder(site);
  return {
    gate,
    server,
    origin: host.url,
    address: (user, config = {}) => `${host.url}/?${new URLSearchParams({ user, config: JSON.stringify(config) })}`,
    async stop() {
      await Promise.all([gate.stop(), host.stop(), server.stop()]);
      await folder.remove();
    },
  };
}
