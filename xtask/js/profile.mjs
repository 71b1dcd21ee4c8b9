// Finds out which of the module's functions an app's first paint runs, and which its cycles run besides.
//
//   node profile.mjs PACKAGE OUT     PACKAGE has a module that notes what has run; CHROMIUM names the browser
//
// OUT gets a JSON list: for each stage the notes, 32 functions a number. The remote is the one in memory, behind HTTP, or
// given to the engine. A stage has what apps may do then in all their ways: what a page does before its later parts are
// there, and a profile does not know of, makes it stand still.
import { createServer } from "node:http";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [folder, out] = process.argv.slice(2);
/** Half a minute is usual. */
const LIMIT_MS = 180_000;
setTimeout(() => {
  console.error("a page has not answered");
  process.exit(1);
}, LIMIT_MS).unref();
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
      if (fault) return void response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers }).end(JSON.stringify({ code: fault.code, message: "Try again." }));
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
  // The engine believes that its later parts are on their way, and begins no cycle, until this is called.
  let release;
  const released = new Promise((resolve) => (release = resolve));
  window.release = release;
  const nothing = () => new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  const load = async () => {
    const index = await import("/index.js");
    window.index = index;
    index.beginParts({}, {}, { count: 3, get: (_, link) => released.then(nothing).then(link), now: nothing, failure: (cause) => cause });
    return index.Datum;
  };

  const usual = (user) => ({
    entities: { tasks: {} },
    initialUserId: user,
    remote: { url: location.origin, headers: async () => ({ Authorization: user }) },
  });
  /** What apps may configure. */
  const configs = {
    usual,
    manual: (user) => ({ ...usual(user), autoStartSync: false, remote: { url: location.origin, headers: { Authorization: user } }, realtime: true, durability: { local: "relaxed" } }),
    full: (user) => ({
      name: "full",
      entities: {
        tasks: {
          conflictResolver: "lastWriteWins",
          mergeFields: { title: "remote", points: "sum", tags: "union", low: "min", high: "max", note: "text", at: "lastWrite", mine: "local" },
          deleteBehavior: "softDelete",
          validate: (task) => void task.title,
          beforeSave: (task) => ({ ...task, saved: true }),
          afterRead: (task) => task,
          localOnly: ["draft"],
          relations: { list: { belongsTo: "lists", foreignKey: "listId" } },
        },
        lists: { conflictResolver: () => ({ take: "local" }), middleware: [{ validate() {} }] },
      },
      remote: { url: location.origin, headers: { Authorization: user }, fetch: (url, init) => fetch(url, init), credentials: "include", compress: true, timeout: 20_000 },
      initialUserId: async () => user,
      autoSyncInterval: 60_000,
      syncAfterWrite: 200,
      syncOnReconnect: true,
      syncOnVisible: true,
      coldStart: { delay: 10, maxDuration: 10_000 },
      syncTimeout: 60_000,
      resolverTimeout: 10_000,
      defaultSyncDirection: "pushThenPull",
      defaultSyncOptions: { timeout: 50_000 },
      defaultConflictResolver: "merge",
      durability: { local: "strict", pulled: "relaxed" },
      persist: "ask",
      memoryBudget: 10_000_000,
      retry: { maxAttempts: 2, initial: 100, factor: 2, max: 1_000, jitter: "full" },
      syncRequestStrategy: "joinInFlight",
      defaultUserSwitchStrategy: "syncThenSwitch",
      schemaVersion: 1,
      excludedSyncUserIds: ["somebody"],
      realtime: true,
      flushOnLeave: false,
      backgroundSync: true,
      observers: [{ onSyncStart() {}, onSyncEnd() {} }],
      logger: { log() {} },
      logLevel: "debug",
    }),
    adapter: (user) => ({ ...usual(user), remote: (window.remote ??= new index.MemoryRemote()), realtime: true }),
  };

  window.follow = async (feed) => {
    for await (const _ of feed);
  };
  /** Opens an instance, and does what an app does until it shows something. */
  window.begin = async (name, user) => {
    const Datum = await load();
    if (name === "adapter") Object.assign((window.index = {}), await import("/testing.js"));
    window.datum = await Datum.initialize(configs[name](user));
    window.tasks = datum.manager("tasks");
    window.user = user;
    const feed = datum.statusForUser(user);
    void feed.current.state;
    const following = [feed, tasks.watchAll(), tasks.watchById("task-1"), datum.events(), datum.events({ type: "conflictDetected" }), datum.watchCurrentUser(), datum.spaces().watch()];
    for (const feed of following) void follow(feed);
    // A feed that is left at once.
    for (const feed of [datum.statusForUser(user), tasks.watchAll(), tasks.watchById("task-1")]) for await (const _ of feed) break;
    for (const feed of [datum.events(), datum.spaces().watch()]) await feed[Symbol.asyncIterator]().return();
    void [datum.currentUserId, datum.metrics, datum.nextSyncTime(user), tasks.entity, tasks.localAdapter, tasks.remoteAdapter];
    await reads();
    await tasks.create({ title: "first", done: false });
    await tasks.create({ id: `task-${Math.random()}`, title: "second", done: false, at: 0.5, tags: ["a"], nested: { deep: [1, null] } });
    await reads();
    document.dispatchEvent(new Event("visibilitychange"));
    await settled();
  };
  window.settled = () => new Promise((resolve) => setTimeout(resolve, 150));
  window.reads = async () => {
    await tasks.readAll();
    await tasks.read("task-1");
    await tasks.count();
  };
  window.more = async () => {
    if (!(await tasks.exists("task-1"))) await tasks.create({ id: "task-1", title: "first", done: false });
    await tasks.createMany(Array.from({ length: 50 }, (_, n) => ({ title: `task ${n}`, done: n % 2 === 0, at: n / 3 })));
    await tasks.patch("task-1", { done: true });
    await tasks.update({ ...(await tasks.read("task-1")), title: "changed" });
    await tasks.delete((await tasks.readAll())[3].id);
    await Promise.all([tasks.create({ title: "one" }), tasks.create({ title: "other" })]);
    await tasks.readPage({ size: 5 });
    await datum.pendingCount(user);
    await datum.spaces().list();
    await settled();
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

async function device(config, user, isHeld) {
  const context = await browser.newContext();
  return { context, page: await enter(context, config, user, isHeld) };
}

/** Opens a page that begins. Where it is held, its cycles wait. */
async function enter(context, config, user, isHeld = false) {
  const page = await openPage(context);
  if (!isHeld) await run(page, () => release());
  await run(page, ([config, user]) => begin(config, user), [config, user]);
  return page;
}

/** First paint: on an empty device, and on one with data. Then what follows it: other calls, and a second tab. */
async function paint(config, user) {
  const { context, page } = await device(config, user, true);
  await note(page, 0);
  await run(page, () => release());
  // Another tab hears of it while it has its first part.
  const second = await enter(context, config, user, true);
  await run(page, () => more());
  await run(page, () => datum.synchronize(user).catch(() => {}));
  await run(page, () => datum.pauseSync(user));
  await run(page, () => datum.resumeSync(user));
  await run(second, () => reads());
  await note(second, 0);
  await run(second, () => release());
  await run(second, () => more());
  await note(second, 1);
  await note(page, 1);
  await second.close();
  await page.close();
  const again = await enter(context, config, user, true);
  await note(again, 0);
  await run(again, () => release());
  return { context, page: again };
}

/** First paint again: on a device with more rows, and after a write that the page did not outlive. */
async function paintAgain(config, user, { context, page }) {
  await run(page, () => void addEventListener("pagehide", () => void tasks.create({ title: "as it goes" })));
  await page.close({ runBeforeUnload: true });
  for (let time = 0; time < 2; time++) {
    const again = await enter(context, config, user, true);
    await note(again, 0);
    await again.close();
  }
  await context.close();
}

/** Cycles: what is pending goes out, what others wrote comes in, and the usual failures. */
async function cycles(user, { page, context }) {
  const sync = (options) => run(page, (options) => datum.synchronize(user, options).catch((error) => error.code), options);
  await sync();
  await sync();
  const remote = remoteOf(user);
  for (let n = 0; n < 3_000; n++) remote.put(user, "tasks", { id: `other-${n}`, title: `other ${n}`, done: false, note: "call the supplier about the order".repeat(6) });
  remote.patch(user, "tasks", "task-1", { title: "theirs" });
  await run(page, () => tasks.patch("task-1", { done: false }));
  remote.delete(user, "tasks", "other-3");
  await sync();
  await run(page, () => reads());
  await sync({ direction: "pullOnly" });
  await run(page, () => tasks.create({ title: "more" }));
  await sync({ direction: "pushOnly" });
  for (const fault of [{ status: 503, code: "unavailable", headers: { "retry-after": "0" } }, { status: 401, code: "unauthorized" }, { status: 500, code: "internal" }]) {
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
async function schedule(config, user) {
  const { context, page } = await device(config, user);
  await run(page, () => tasks.create({ title: "by itself" }));
  await run(page, () => settled());
  remoteOf(user).put(user, "tasks", { id: "hinted", title: "hinted", done: false });
  await run(page, () => settled());
  const second = await enter(context, config, user);
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
  await run(page, () => {
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await run(page, () => settled());
  await run(page, () => datum.close());
  await note(page, 1);
}

try {
  for (const config of ["usual", "manual", "full", "adapter"]) {
    const device = await paint(config, `${config}-0`);
    if (config !== "adapter") await cycles(`${config}-0`, device);
    await paintAgain(config, `${config}-0`, device);
    await schedule(config, `${config}-1`);
  }
  await writeFile(out, JSON.stringify(stages));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
