// The page of figures.mjs: measures inside the browser.
import { Datum } from "datum-sync";

const USER = "figures";
const state = { requests: [], transactions: 0, pullBodies: [], datum: undefined };

// Counts every write transaction of the page.
const open = IDBDatabase.prototype.transaction;
IDBDatabase.prototype.transaction = function (names, mode, options) {
  if (mode === "readwrite") state.transactions += 1;
  return open.call(this, names, mode, options);
};

/** fetch that records its requests. */
async function recorded(input, init) {
  const request = new Request(input, init);
  const path = new URL(request.url).pathname.replace(/^\/sync\/v1\//, "");
  state.requests.push(path);
  if (path === "pull") state.pullBodies.push(await request.clone().text());
  return fetch(request);
}

function reset() {
  state.requests = [];
  state.pullBodies = [];
  state.transactions = 0;
}

function costs() {
  const requests = {};
  for (const path of state.requests) requests[path] = (requests[path] ?? 0) + 1;
  return { requests, transactions: state.transactions };
}

const initialize = (name, authorization, fetch) =>
  Datum.initialize({ name, entities: { task: {} }, remote: { url: location.origin, headers: { authorization }, ...(fetch ? { fetch } : {}) }, initialUserId: USER });

window.figures = {
  /** Pulls into a new database. The data is durable when the promise resolves. */
  async firstPull({ authorization, round }) {
    await state.datum?.close();
    // The warm-up records its requests, which `bare` repeats; a measured round does no more than an app.
    const recording = round === "warm";
    const datum = await initialize(`figures-${round}`, authorization, recording ? recorded : undefined);
    state.datum = datum;
    if (recording) reset();
    const before = state.transactions;
    const started = performance.now();
    const result = await datum.synchronize(USER, { direction: "pullOnly", forceFullSync: true });
    const ms = performance.now() - started;
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
    const transactions = state.transactions - before;
    if (recording) {
      state.asked = [...state.pullBodies];
      state.askedRequests = costs().requests;
    }
    return { ms, rows: await datum.manager("task").count(), transactions, requests: state.askedRequests };
  },

  /** Repeats the same requests, one after another, and parses the replies. */
  async bare({ authorization }) {
    let rows = 0;
    let bytes = 0;
    const started = performance.now();
    for (const body of state.asked) {
      const response = await fetch("/sync/v1/pull", { method: "POST", headers: { authorization, "content-type": "application/json" }, body });
      const text = await response.text();
      rows += JSON.parse(text).changes.length;
      bytes += text.length;
    }
    return { ms: performance.now() - started, rows, bytes };
  },

  /** Runs a cycle with nothing new on either side. */
  async idle({ authorization }) {
    await state.datum?.close();
    state.datum = await initialize("figures-idle", authorization, recorded);
    await state.datum.synchronize(USER, { direction: "pullThenPush" });
    await state.datum.synchronize(USER, { direction: "pullThenPush" });
    reset();
    const result = await state.datum.synchronize(USER, { direction: "pullThenPush" });
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
    return costs();
  },

  /** Makes one local write. */
  async create({ authorization }) {
    await state.datum?.close();
    state.datum = await initialize("figures-create", authorization, recorded);
    const tasks = state.datum.manager("task");
    await tasks.create({ title: "first" });
    reset();
    await tasks.create({ title: "second" });
    return costs();
  },
};
