// Finds out which of the module's functions an app's first paint runs, and which its cycles run besides.
//
//   node profile.mjs PACKAGE OUT     PACKAGE has a module that notes what has run; CHROMIUM names the browser
//
// OUT gets a JSON list: for each stage the notes, 32 functions a number. The remote is the one in memory, behind HTTP.
import { createServer } from "node:http";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [folder, out] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(here, "..", "..", "tests", "e2e", "package.json"))("playwright-core");
const { MemoryRemote } = await import(pathToFileURL(join(folder, "testing.js")));

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const remotes = new Map();
/** What the next requests get in place of an answer: a status, and headers. */
const faults = [];

/** Each user has a remote of their own, so that pages do not meet. */
function remoteOf(user) {
  if (!remotes.has(user)) remotes.set(user, new MemoryRemote());
  return remotes.get(user);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) return {};
  return new Response(request.headers["content-encoding"] === "gzip" ? new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")) : bytes).json();
}

async function answer(request, path) {
  const user = request.headers.authorization ?? "nobody";
  const remote = remoteOf(user);
  const given = { userId: user, ...(await body(request)) };
  switch (path.split("/").at(-1)) {
    case "pull":
      return remote.pull(given);
    case "push":
      return remote.push(given);
    case "health":
      return { status: "ok" };
    case "metadata": {
      if (request.method === "PUT") return (await remote.putSyncMetadata({ ...given.metadata, userId: user })) ?? {};
      return { metadata: await remote.getSyncMetadata(user) };
    }
    default:
      return undefined;
  }
}

function stream(request, response) {
  const remote = remoteOf(request.headers.authorization ?? "nobody");
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("event: hello\ndata: {}\n\n");
  const end = remote.subscribe(request.headers.authorization ?? "nobody", () => response.write("event: change\ndata: {}\n\n"));
  response.on("close", end);
}

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://x").pathname);
  try {
    if (path.startsWith("/sync/")) {
      const fault = faults.shift();
      if (fault) return void response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers }).end("{}");
      if (path.endsWith("/stream")) return stream(request, response);
      const reply = await answer(request, path);
      return void response.writeHead(reply === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(reply ?? {}));
    }
    if (path === "/") return void response.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><meta charset="utf-8"><title>profile</title>');
    const bytes = await readFile(join(folder, path));
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(bytes);
  } catch (error) {
    response.writeHead(error.status ?? 404, { "content-type": "application/json" }).end(JSON.stringify({ code: error.code, message: String(error.message) }));
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

/** Runs in each page before its scripts: keeps the module's exports, which have the notes. */
function keepExports() {
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...given) => {
    const instance = await instantiate.apply(WebAssembly, given);
    window.notes = () => {
      const { exports } = instance.instance ?? instance;
      const notes = [];
      for (let at = 0; `hits${at}` in exports; at++) notes.push(exports[`hits${at}`].value >>> 0);
      return notes;
    };
    return instance;
  };
}

/** Runs in the page: what it needs to act as an app. */
function app() {
  window.config = (user, more = {}) => ({
    entities: { tasks: {} },
    initialUserId: user,
    autoStartSync: false,
    remote: { url: location.origin, headers: async () => ({ Authorization: user }), ...more.remote },
    ...more.config,
  });
  window.follow = async (feed) => {
    for await (const _ of feed);
  };
  // What an app does until it shows something.
  window.begin = async (user, more) => {
    const { Datum } = await import("/index.js");
    window.datum = await Datum.initialize(config(user, more));
    window.tasks = datum.manager("tasks");
    const feed = datum.statusForUser(user);
    void feed.current.state;
    void follow(feed);
    void follow(tasks.watchAll());
    await tasks.readAll();
    await tasks.create({ title: "first", done: false });
    await tasks.readAll();
  };
  window.more = () => {
    const user = datum.currentUserId;
    void follow(tasks.watchById("task-1"));
    void follow(datum.events());
    void follow(datum.spaces().watch());
    void follow(datum.watchCurrentUser());
    void datum.metrics;
    void datum.nextSyncTime(user);
    void tasks.entity;
  };
  window.settled = () => new Promise((resolve) => setTimeout(resolve, 150));
  window.writes = async () => {
    if (!(await tasks.exists("task-1"))) await tasks.create({ id: "task-1", title: "first", done: false });
    await tasks.createMany(Array.from({ length: 50 }, (_, n) => ({ title: `task ${n}`, done: n % 2 === 0, at: n / 3 })));
    await tasks.patch("task-1", { done: true });
    await tasks.update({ ...(await tasks.read("task-1")), title: "changed" });
    await tasks.delete((await tasks.readAll())[3].id);
    await Promise.all([tasks.create({ title: "one" }), tasks.create({ title: "other" })]);
  };
  window.reads = async () => {
    await tasks.readAll();
    await tasks.read("task-1");
    await tasks.read("nothing");
    await tasks.readPage({ size: 5 });
    await tasks.exists("task-1");
    await tasks.count();
    await datum.pendingCount(datum.currentUserId);
    await datum.spaces().list();
  };
}

/** Stage 0: what a page does before it has shown what it has stored, and has written. Stage 1: its cycles. */
const stages = [[], []];
const merge = (stage, notes) => notes.forEach((bits, at) => (stages[stage][at] = ((stages[stage][at] ?? 0) | bits) >>> 0));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});

async function openPage(context) {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`a page failed: ${error.stack ?? error}`));
  await page.addInitScript(keepExports);
  await page.addInitScript(app);
  await page.goto(origin);
  return page;
}
const note = async (page, stage) => merge(stage, await page.evaluate(() => notes()));
const run = (page, work, given) => page.evaluate(work, given);

async function device(user, more) {
  const context = await browser.newContext();
  const page = await openPage(context);
  await run(page, ([user, more]) => begin(user, more), [user, more]);
  return { context, page };
}

/** First paint: on an empty device, and on one with data. Then what follows it: other calls, and a second tab. */
async function paint(user, more) {
  const { context, page } = await device(user, more);
  await run(page, () => settled());
  await note(page, 0);
  await run(page, () => window.more());
  await run(page, () => reads());
  await run(page, () => writes());
  await run(page, () => reads());
  await run(page, () => settled());
  await note(page, 1);
  const second = await openPage(context);
  await run(second, ([user, more]) => begin(user, more), [user, more]);
  await run(second, () => reads());
  await run(second, () => writes());
  await run(second, () => settled());
  await note(second, 1);
  await note(page, 1);
  await second.close();
  await page.close();
  const again = await openPage(context);
  await run(again, ([user, more]) => begin(user, more), [user, more]);
  await run(again, () => settled());
  await note(again, 0);
  return { context, page: again };
}

/** Cycles: what is pending goes out, what others wrote comes in, and the usual failures. */
async function cycles(user, { page, context }) {
  const sync = (options) => run(page, (options) => datum.synchronize(datum.currentUserId, options), options);
  await sync();
  await sync();
  const remote = remoteOf(user);
  for (let n = 0; n < 1_200; n++) remote.put(user, "tasks", { id: `other-${n}`, title: `other ${n}`, done: false });
  remote.patch(user, "tasks", "task-1", { title: "theirs" });
  await run(page, () => tasks.patch("task-1", { done: false }));
  remote.delete(user, "tasks", "other-3");
  await sync();
  await run(page, () => reads());
  await sync({ direction: "pullOnly" });
  await run(page, () => tasks.create({ title: "more" }));
  await sync({ direction: "pushOnly" });
  for (const fault of [{ status: 503, headers: { "retry-after": "0" } }, { status: 401 }, { status: 500 }]) {
    faults.push(fault);
    await run(page, () => tasks.create({ title: "again" }));
    await sync();
  }
  await context.setOffline(true);
  await run(page, () => tasks.create({ title: "offline" }));
  await sync();
  await context.setOffline(false);
  await sync();
  await run(page, () => settled());
  await note(page, 1);
}

/** The schedule: by itself, at a hint, in the background and in two tabs. */
async function schedule(user) {
  const { context, page } = await device(user, { config: { autoStartSync: true, realtime: true } });
  await run(page, () => settled());
  await run(page, () => tasks.create({ title: "by itself" }));
  const remote = remoteOf(user);
  remote.put(user, "tasks", { id: "hinted", title: "hinted", done: false });
  await run(page, () => settled());
  const second = await openPage(context);
  await run(second, ([user, more]) => begin(user, more), [user, { config: { autoStartSync: true, realtime: true } }]);
  await run(second, () => tasks.create({ title: "in the other tab" }));
  await run(second, () => settled());
  await page.bringToFront();
  await run(page, () => settled());
  await context.setOffline(true);
  await run(page, () => tasks.create({ title: "offline" }));
  await run(page, () => settled());
  await context.setOffline(false);
  for (let turn = 0; turn < 6; turn++) await run(page, () => settled());
  await note(page, 1);
  await note(second, 1);
  await run(page, () => datum.close());
  await note(page, 1);
}

try {
  for (const round of [0, 1]) {
    const user = `user-${round}`;
    await cycles(user, await paint(user, round === 0 ? {} : { config: { durability: { local: "relaxed" } } }));
    await schedule(`scheduled-${round}`);
  }
  await writeFile(out, JSON.stringify(stages));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
