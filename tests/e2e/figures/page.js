// The page of figures.mjs: measures inside the browser, on its own clock.
import { Datum } from "datum-sync";

const USER = "figures";
const state = { requests: [], transactions: 0, pullBodies: [], datum: undefined };

// Every write transaction that the page opens is counted, whoever opens it.
const open = IDBDatabase.prototype.transaction;
IDBDatabase.prototype.transaction = function (names, mode, options) {
  if (mode === "readwrite") state.transactions += 1;
  return open.call(this, names, mode, options);
};

/** fetch, with a note of what was asked. */
async function counted(input, init) {
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

function seen() {
  const requests = {};
  for (const path of state.requests) requests[path] = (requests[path] ?? 0) + 1;
  return { requests, transactions: state.transactions };
}

const initialize = (name, authorization, fetch) =>
  Datum.initialize({ name, entities: { task: {} }, remote: { url: location.origin, headers: { authorization }, ...(fetch ? { fetch } : {}) }, initialUserId: USER });

window.figures = {
  /** A pull into a database that was never there. It has resolved, so it is durable. */
  async firstPull({ authorization, round }) {
    await state.datum?.close();
    // The warm-up notes its requests, for `bare` to ask the same; a measured round does no more than an app.
    const noting = round === "warm";
    const datum = await initialize(`figures-${round}`, authorization, noting ? counted : undefined);
    state.datum = datum;
    if (noting) reset();
    const before = state.transactions;
    const started = performance.now();
    const result = await datum.synchronize(USER, { direction: "pullOnly", forceFullSync: true });
    const ms = performance.now() - started;
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
    const transactions = state.transactions - before;
    if (noting) {
      state.asked = [...state.pullBodies];
      state.askedRequests = seen().requests;
    }
    return { ms, rows: await datum.manager("task").count(), transactions, requests: state.askedRequests };
  },

  /** The same requests, one after another, parsed and let go. */
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

  /** A cycle when nothing is new on either side. */
  async idle({ authorization }) {
    await state.datum?.close();
    state.datum = await initialize("figures-idle", authorization, counted);
    await state.datum.synchronize(USER, { direction: "pullThenPush" });
    await state.datum.synchronize(USER, { direction: "pullThenPush" });
    reset();
    const result = await state.datum.synchronize(USER, { direction: "pullThenPush" });
    if (!result.isSuccess) throw new Error(JSON.stringify(result));
    return seen();
  },

  /** One local write. */
  async create({ authorization }) {
    await state.datum?.close();
    state.datum = await initialize("figures-create", authorization, counted);
    const tasks = state.datum.manager("task");
    await tasks.create({ title: "first" });
    reset();
    await tasks.create({ title: "second" });
    return seen();
  },
};
