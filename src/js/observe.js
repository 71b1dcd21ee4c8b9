// Who looks on: the app's observers and its logger. Nothing that they do reaches the engine; what they
// throw is told to the console and forgotten.

import { freeze } from "./support.js";

const LEVELS = ["trace", "debug", "info", "warn", "error", "off"];

/** How each event is logged: its level, its words, and what of it is no personal data. */
const ENTRIES = {
  syncStarted: ["info", "A cycle has begun.", ({ direction, pendingOperations }) => ({ direction, pendingOperations })],
  syncProgress: ["trace", "A cycle goes on.", ({ status }) => ({ phase: status.phase ?? null, progress: status.progress })],
  syncCompleted: [({ result }) => (result.error || result.failedCount > 0 ? "warn" : "info"), "A cycle has ended.", ({ result }) => outcome(result)],
  syncFailed: ["warn", "A cycle has failed.", ({ error }) => ({ code: error.code, retryable: error.retryable, status: error.status ?? null })],
  dataChanged: ["debug", "Entities have changed.", ({ entity, source, created, updated, deleted }) => ({ entity, source, created, updated, deleted })],
  conflictDetected: ["info", "Both sides have changed an entity.", ({ conflict }) => ({ entity: conflict.entity, kind: conflict.kind, fields: conflict.fields.length })],
  conflictResolved: ["info", "A conflict was decided.", ({ conflict, taken }) => ({ entity: conflict.entity, kind: conflict.kind, taken })],
  deadLetter: ["warn", "The remote will never accept an operation.", ({ deadLetter }) => ({ entity: deadLetter.entity, kind: deadLetter.kind, code: deadLetter.code })],
  userSwitched: ["info", "Another user is the current one.", ({ hadUnsyncedData }) => ({ hadUnsyncedData })],
  leaderChanged: ["debug", "The leading tab is another one.", ({ isLeader }) => ({ isLeader })],
  connectivityChanged: ["info", "The network has come or gone.", ({ online }) => ({ online })],
  storageLost: ["error", "The storage was lost.", ({ lostOperations }) => ({ lostOperations })],
  serverRestored: ["warn", "The server was restored from an older state.", ({ offeredAgain }) => ({ offeredAgain })],
};

function outcome(result) {
  const { isSuccess, wasCancelled, pushedCount, pulledCount, failedCount, conflictsDetected, pendingOperations, duration } = result;
  return { isSuccess, wasCancelled, pushedCount, pulledCount, failedCount, conflictsDetected, pendingOperations, duration };
}

/** Those who look on, made of what the config gives. */
export class Audience {
  #observers;
  #logger;
  #level;

  constructor(observers, logger, level) {
    this.#observers = observers ?? [];
    // A level alone asks for the console.
    this.#logger = logger ?? (level ? consoleLogger : undefined);
    this.#level = this.#logger ? LEVELS.indexOf(level ?? "info") : LEVELS.length;
  }

  /** The types of events that anybody here wants; "all" where observers want every one. */
  wanted() {
    if (this.#observers.some((observer) => typeof observer?.onEvent === "function")) return ["all"];
    return Object.keys(ENTRIES).filter((type) => typeof ENTRIES[type][0] === "function" || this.#logs(ENTRIES[type][0]));
  }

  /** Passes an event on. */
  tell(text) {
    const event = freeze(JSON.parse(text));
    for (const observer of this.#observers) {
      if (typeof observer?.onEvent === "function") attempt(() => observer.onEvent(event), "An observer's `onEvent` threw:");
    }
    const [level, message, fields] = ENTRIES[event.type];
    this.#log(typeof level === "function" ? level(event) : level, "sync", message, () => fields(event), event);
  }

  /** A write is about to be made. */
  beforeWrite(entity, kind, text) {
    const draft = freeze(JSON.parse(text));
    for (const observer of this.#observers) {
      if (typeof observer?.beforeWrite === "function") attempt(() => observer.beforeWrite(entity, kind, draft), "An observer's `beforeWrite` threw:");
    }
  }

  /** Whether anybody hears of writes. */
  hearsWrites() {
    return this.#observers.some((observer) => typeof observer?.beforeWrite === "function");
  }

  /** What is no event. A warning reaches the console where there is no logger: nobody would look for it. */
  say(level, message, reason) {
    const fields = reason ? { reason } : {};
    if (this.#logger) this.#log(level, "storage", message, () => fields);
    else if (level === "warn") consoleLogger.log({ level, scope: "storage", message, fields });
  }

  /** The app's `fetch`, with each request logged where the level asks for it. */
  fetch(given) {
    if (!this.#logs("debug")) return given;
    const send = given ?? ((url, init) => globalThis.fetch(url, init));
    return async (url, init) => {
      const began = performance.now();
      const fields = (more) => ({ method: init?.method ?? "GET", path: new URL(url, globalThis.location?.href).pathname, ms: Math.round(performance.now() - began), ...more });
      try {
        const response = await send(url, init);
        this.#log("debug", "remote", "A request was answered.", () => fields({ status: response.status }));
        return response;
      } catch (error) {
        this.#log("debug", "remote", "A request got no answer.", () => fields({ reason: String(error?.name ?? error) }));
        throw error;
      }
    };
  }

  #logs(level) {
    return LEVELS.indexOf(level) >= this.#level;
  }

  #log(level, scope, message, fields, event) {
    if (!this.#logs(level)) return;
    attempt(() => {
      const said = fields();
      // Who it was is for those who debug.
      if (event?.userId && LEVELS.indexOf(level) <= 1) said.userId = event.userId;
      this.#logger.log(freeze({ level, at: event?.at ?? new Date().toISOString(), scope, message, fields: said }));
    }, "The logger threw:");
  }
}

const consoleLogger = {
  log({ level, scope, message, fields }) {
    console[level === "trace" ? "debug" : level](`datum-sync ${scope}: ${message}`, fields);
  },
};

function attempt(call, words) {
  try {
    const answer = call();
    // An async observer's rejection is no business of the page's either.
    if (typeof answer?.then === "function") answer.then(undefined, (thrown) => console.error("datum-sync:", words, thrown));
  } catch (thrown) {
    console.error("datum-sync:", words, thrown);
  }
}
