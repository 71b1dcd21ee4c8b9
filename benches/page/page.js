// The page side of the benchmark: opens a contestant, measures one operation, checks its result. A contestant is a module
// with `open(name, options)`, which resolves with its operations.
import { factsOf, idOf, taskOf, tasks } from "../lib/data.mjs";
import { median } from "../lib/stats.mjs";

const transactions = { readwrite: 0, readonly: 0 };
const open = IDBDatabase.prototype.transaction;
const memories = new Set();
let database;

/** Loads a contestant's module by URL, so that it is fetched, compiled and cached like an app's code. */
const load = (who) => import(`/${who}.js`);

/** Collects the warm-up's garbage before a measurement. */
async function collectGarbage() {
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
}

async function timed(work) {
  performance.mark("bench-start");
  const started = performance.now();
  await work();
  const ms = performance.now() - started;
  performance.mark("bench-end");
  return ms;
}

/** Measures `work` and the longest main-thread task over 50 ms during it or just after it. */
async function withLongTasks(work) {
  const long = [];
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries()));
  observer.observe({ type: "longtask", buffered: false });
  const ms = await timed(work);
  await new Promise((resolve) => setTimeout(resolve, 100));
  long.push(...observer.takeRecords());
  observer.disconnect();
  return { ms, longest: Math.max(0, ...long.map((task) => task.duration)) };
}

/** Gives entities other titles, one after another. Returns the median time of one. */
async function titled(ids, count, word, work) {
  const all = [];
  for (let turn = -3; turn < count; turn += 1) {
    const started = performance.now();
    await work(ids[(turn + 3) % ids.length], `${word} ${turn}`);
    if (turn >= 0) all.push(performance.now() - started);
  }
  return median(all);
}

window.bench = {
  /** Opens a database and keeps it open. */
  async open({ who, name = "bench", options = {} }) {
    const { open } = await load(who);
    database = await open(name, options);
  },

  /** Measures a first pull into an empty database, after a warm-up pull of `warm` tasks into another one. */
  async pull({ who, warm, options }) {
    const { open } = await load(who);
    if (warm) {
      const other = await open("warm", { ...options, count: warm });
      await other.pull();
      await other.close();
    }
    database = await open("bench", options);
    await collectGarbage();
    return withLongTasks(() => database.pull());
  },

  /** Pulls, then blocks the main thread for two seconds, in which the driver kills the page. */
  async pullThenHang({ who, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    await database.pull();
    setTimeout(() => {
      for (const until = performance.now() + 2_000; performance.now() < until; );
    });
  },

  /** Makes `count` local creates, one after another. Returns the milliseconds of each. */
  async creates({ who, warm, count, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    const list = tasks(warm + count);
    for (const task of list.slice(0, warm)) await database.create(task);
    await collectGarbage();
    const times = [];
    for (const task of list.slice(warm)) {
      const started = performance.now();
      await database.create(task);
      times.push(performance.now() - started);
    }
    return times;
  },

  /** Measures `count` creates in one call, or in as many concurrent calls. */
  async many({ who, warm, count, how, options }) {
    const { open } = await load(who);
    const list = tasks(warm + count);
    const other = await open("warm", options);
    await other[how](list.slice(0, warm));
    await other.close();
    database = await open("bench", options);
    await collectGarbage();
    return timed(() => database[how](list.slice(warm)));
  },

  /** Measures a push of pending creates. */
  async push({ who, warm, count, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    const list = tasks(warm + count);
    // A smaller push first, which warms up the connection, the code and the server.
    await database.createMany(list.slice(0, warm));
    await database.push();
    await database.createMany(list.slice(warm));
    await collectGarbage();
    return timed(() => database.push());
  },

  /** Fills a database for a later visit. */
  async fill({ who, count, options }) {
    const { open } = await load(who);
    database = await open("bench", { ...options, count });
    await database.fill(count);
  },

  /** Measures a visit until the data is there: code, engine, database, rows. */
  async visit({ who, what, id, options }) {
    let answer;
    const ms = await timed(async () => {
      const { open } = await load(who);
      database = await open("bench", options);
      answer = what === "all" ? await database.readAll() : await database.readOne(id);
    });
    return { ms, facts: factsOf(what === "all" ? answer : [answer]) };
  },

  /** Fills a database for queries, and keeps it open. */
  async fillQueries({ who, count, options }) {
    const { open } = await load(`queries-${who}`);
    database = await open("bench", options);
    await database.fill(count);
  },

  /**
   * Measures queries of each kind; times are medians of calls that come one after another. Each call asks for something else, since some
   * contestants keep results of queries.
   */
  async queries({ who, count, options, priority, text, places }) {
    await window.bench.fillQueries({ who, count, options });
    const facts = {};
    const repeated = async (name, times, work) => {
      const all = [];
      for (let turn = -3; turn < times; turn += 1) {
        const started = performance.now();
        const rows = await work(turn + 3);
        if (turn >= 0) all.push(performance.now() - started);
        facts[name] = factsOf(rows);
      }
      return median(all);
    };
    await collectGarbage();
    const indexed = await repeated("indexed", 20, (turn) => database.newest(priority, taskOf(count - 1 - 7 * turn).createdAt));
    let found = await database.holding("number 66");
    await collectGarbage();
    const scan = await withLongTasks(async () => (found = await database.holding(text)));
    facts.scan = factsOf(found);
    const early = await repeated("early", 10, (turn) => database.pageAfter(idOf(places.early + turn)));
    const late = await repeated("late", 10, (turn) => database.pageAfter(idOf(places.late + turn)));
    const ids = (await database.newest(priority, "9")).map(({ id }) => id);
    await collectGarbage();
    const write = await titled(ids, 20, "plain", (id, title) => database.retitle(id, title));
    let shown = [];
    let look = () => {};
    const stop = await database.watchNewest(priority, "9", (rows) => look((shown = rows)));
    /** Resolves once the list is right. */
    const shows = (isRight) =>
      new Promise((resolve) => {
        look = () => isRight() && resolve();
        look();
      });
    await shows(() => shown.length === ids.length);
    const watched = await titled(ids, 20, "live", async (id, title) => {
      const seen = shows(() => shown.some((task) => task.id === id && task.title === title));
      await Promise.all([database.retitle(id, title), seen]);
    });
    await stop();
    return { indexed, scan: scan.ms, scanLongest: scan.longest, early, late, write, watched, facts };
  },

  /** Measures how long an updated app opens, which calls `title` `name`. */
  async migrate({ who, options }) {
    const { openNext } = await load(`queries-${who}`);
    const result = await withLongTasks(async () => (database = await openNext("bench", options)));
    const rows = await database.readAll();
    if (rows.some(({ title }) => title !== undefined)) throw new Error("a row has its former name");
    const facts = factsOf(rows.map(({ id, name, done, priority, tags, createdAt }) => ({ id, title: name, done, priority, tags, createdAt })));
    await database.close();
    return { ...result, facts };
  },

  /** Cycles until there is nothing to do. */
  async syncUntilIdle() {
    await database.idle();
    await database.idle();
  },

  /** Runs `count` idle cycles. Returns the milliseconds and transactions of one. */
  async idle({ count }) {
    for (let cycle = 0; cycle < 5; cycle += 1) await database.idle();
    await collectGarbage();
    transactions.readonly = transactions.readwrite = 0;
    const ms = await timed(async () => {
      for (let cycle = 0; cycle < count; cycle += 1) await database.idle();
    });
    return { ms: ms / count, transactions: { readwrite: transactions.readwrite / count, readonly: transactions.readonly / count } };
  },

  facts: async () => factsOf(await database.readAll()),
  pending: () => database.pending?.() ?? null,
  close: () => database.close(),
  wasmBytes: () => [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0),
  /** Counts all transactions from now on. */
  countTransactions() {
    IDBDatabase.prototype.transaction = function (names, mode = "readonly", options) {
      transactions[mode] += 1;
      return open.call(this, names, mode, options);
    };
  },
  /** Records the memory of every wasm instance from now on. */
  watchMemory() {
    const instantiate = WebAssembly.instantiate;
    WebAssembly.instantiate = async (...given) => {
      const made = await instantiate(...given);
      const { exports } = made.instance ?? made;
      for (const value of Object.values(exports)) if (value instanceof WebAssembly.Memory) memories.add(value);
      return made;
    };
  },
};
