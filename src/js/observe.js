// The app's observers and its logger. They cannot affect the engine: their exceptions are logged on
// the console and otherwise ignored.

import { DatumError, freeze, say } from "./support.js";

const LEVELS = ["trace", "debug", "info", "warn", "error", "off"];

/**
 * How each event is logged: its level, its message, and those of its fields that are not personal
 * data.
 */
const ENTRIES = {
  syncStarted: ["info", "A cycle has begun.", ({ direction, pendingOperations }) => ({ direction, pendingOperations })],
  syncProgress: ["trace", "A cycle goes on.", ({ status }) => ({ phase: status.phase ?? null, progress: status.progress })],
  syncCompleted: [({ result }) => (result.error || result.failedCount > 0 ? "warn" : "info"), "A cycle has ended.", ({ result }) => outcome(result)],
  syncFailed: ["warn", "A cycle has failed.", ({ error }) => ({ code: error.code, retryable: error.retryable, status: error.status ?? null })],
  dataChanged: ["debug", "Entities have changed.", ({ entity, source, created, updated, deleted }) => ({ entity, source, created, updated, deleted })],
  conflictDetected: ["info", "Both sides have changed an entity.", ({ conflict }) => ({ entity: conflict.entity, kind: conflict.kind, fields: conflict.fields.length })],
  conflictResolved: ["info", "A conflict was decided.", ({ conflict, taken }) => ({ entity: conflict.entity, kind: conflict.kind, taken })],
  deadLetter: ["warn", "The remote will never accept an operation.", ({ deadLetter }) => ({ entity: deadLetter.entity, kind: deadLetter.kind, code: deadLetter.code })],
  signedOut: ["info", "A user has signed out.", ({ source, wiped }) => ({ source, wiped })],
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

/** The observers and the logger of the config. */
export class Audience {
  #observers;
  #logger;
  #level;

  constructor(observers, logger, level) {
    // Read here and not at each event: what reading throws is a fault of the config.
    this.#observers = (observers ?? []).map((observer, index) => {
      const method = (name) => {
        const run = observer?.[name];
        return typeof run === "function" ? run.bind(observer) : undefined;
      };
      try {
        return { onEvent: method("onEvent"), beforeWrite: method("beforeWrite") };
      } catch (cause) {
        throw new DatumError("invalidConfig", `\`observers[${index}]\` could not be read: ${say(cause)}`, { cause });
      }
    });
    // A level without a logger means the console.
    this.#logger = logger ?? (level ? consoleLogger : undefined);
    this.#level = this.#logger ? LEVELS.indexOf(level ?? "info") : LEVELS.length;
  }

  /** Returns the types of events that are wanted here; "all" if an observer wants every event. */
  wanted() {
    if (this.#observers.some(({ onEvent }) => onEvent)) return ["all"];
    return Object.keys(ENTRIES).filter((type) => typeof ENTRIES[type][0] === "function" || this.#logs(ENTRIES[type][0]));
  }

  /** Passes an event on. */
  tell(text) {
    const event = freeze(JSON.parse(text));
    for (const observer of this.#observers) {
      if (observer.onEvent) attempt(() => observer.onEvent(event), "An observer's `onEvent` threw:");
    }
    const [level, message, fields] = ENTRIES[event.type];
    this.#log(typeof level === "function" ? level(event) : level, "sync", message, () => fields(event), event);
  }

  /** Notifies the observers of a write that is about to be made. */
  beforeWrite(entity, kind, text) {
    const draft = freeze(JSON.parse(text));
    for (const observer of this.#observers) {
      if (observer.beforeWrite) attempt(() => observer.beforeWrite(entity, kind, draft), "An observer's `beforeWrite` threw:");
    }
  }

  /** Returns whether an observer wants to be notified of writes. */
  hearsWrites() {
    return this.#observers.some(({ beforeWrite }) => beforeWrite);
  }

  /**
   * Logs a message that is not an event. Without a logger, warnings go to the console so that they
   * are noticed.
   */
  say(level, message, reason) {
    const fields = reason ? { reason } : {};
    if (this.#logger) this.#log(level, "storage", message, () => fields);
    else if (level === "warn") consoleLogger.log({ level, scope: "storage", message, fields });
  }

  /** Returns the app's `fetch`, which logs each request if the level asks for it. */
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
      // Only entries of the levels trace and debug name the user.
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
    // An async observer's rejection must not reach the page either.
    if (typeof answer?.then === "function") answer.then(undefined, (thrown) => console.error("datum-sync:", words, thrown));
  } catch (thrown) {
    console.error("datum-sync:", words, thrown);
  }
}
