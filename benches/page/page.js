// What the driver asks of a page: opens one contestant, takes the time of one thing, checks what came of it.
// A contestant is a module with `open(name, options)`, which resolves with the things it can do.
import { factsOf, tasks } from "../lib/data.mjs";

const transactions = { readwrite: 0, readonly: 0 };
const open = IDBDatabase.prototype.transaction;
const memories = new Set();
let database;

/** The module under its own address, so that it is fetched, compiled and cached like an app's. */
const load = (who) => import(`/${who}.js`);

/** Garbage of the warm-up is not the measured work's to clear up. */
async function quiet() {
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

/** The main thread's tasks over 50 ms while `work` ran, and those that end just after it. */
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

window.bench = {
  /** Opens and leaves open. */
  async open({ who, name = "bench", options = {} }) {
    const { open } = await load(who);
    database = await open(name, options);
  },

  /** A first pull into an empty database, after one of `warm` tasks into another. */
  async pull({ who, warm, options }) {
    const { open } = await load(who);
    if (warm) {
      const other = await open("warm", { ...options, count: warm });
      await other.pull();
      await other.close();
    }
    database = await open("bench", options);
    await quiet();
    return withLongTasks(() => database.pull());
  },

  /** A first pull, after whose end the page's own code does nothing more for two seconds: enough to kill it. */
  async pullThenHang({ who, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    await database.pull();
    setTimeout(() => {
      for (const until = performance.now() + 2_000; performance.now() < until; );
    });
  },

  /** `count` local creates, each awaited before the next. Milliseconds of each. */
  async creates({ who, warm, count, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    const list = tasks(warm + count);
    for (const task of list.slice(0, warm)) await database.create(task);
    await quiet();
    const times = [];
    for (const task of list.slice(warm)) {
      const started = performance.now();
      await database.create(task);
      times.push(performance.now() - started);
    }
    return times;
  },

  /** `count` creates in one call, or so many calls at once. */
  async many({ who, warm, count, how, options }) {
    const { open } = await load(who);
    const list = tasks(warm + count);
    const other = await open("warm", options);
    await other[how](list.slice(0, warm));
    await other.close();
    database = await open("bench", options);
    await quiet();
    return timed(() => database[how](list.slice(warm)));
  },

  /** Pending creates are pushed. */
  async push({ who, warm, count, options }) {
    const { open } = await load(who);
    database = await open("bench", options);
    const list = tasks(warm + count);
    // The same work before, smaller: the connection, the code and the server are warm then.
    await database.createMany(list.slice(0, warm));
    await database.push();
    await database.createMany(list.slice(warm));
    await quiet();
    return timed(() => database.push());
  },

  /** Fills a database for a later visit. */
  async fill({ who, count, options }) {
    const { open } = await load(who);
    database = await open("bench", { ...options, count });
    await database.fill(count);
  },

  /** What a visit costs until the data is there: code, engine, database, rows. */
  async visit({ who, what, id, options }) {
    let answer;
    const ms = await timed(async () => {
      const { open } = await load(who);
      database = await open("bench", options);
      answer = what === "all" ? await database.readAll() : await database.readOne(id);
    });
    return { ms, facts: factsOf(what === "all" ? answer : [answer]) };
  },

  /** Cycles until there is nothing to do. */
  async settle() {
    await database.idle();
    await database.idle();
  },

  /** `count` cycles with nothing to do; milliseconds of one. */
  async idle({ count }) {
    for (let cycle = 0; cycle < 5; cycle += 1) await database.idle();
    await quiet();
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
  /** Counts the transactions of whoever opens some, from now on. */
  countTransactions() {
    IDBDatabase.prototype.transaction = function (names, mode = "readonly", options) {
      transactions[mode] += 1;
      return open.call(this, names, mode, options);
    };
  },
  /** Sees the memory of every wasm instance from now on. */
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
