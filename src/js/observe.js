// The app's observers and its logger. They cannot affect the engine: their exceptions are logged on
// the console and otherwise ignored.

import { DatumError, freeze, say } from "./support.js";

const LEVELS = ["trace", "debug", "info", "warn", "error", "off"];

/** Events with whole entities, which are not made for the report alone. */
const LARGE = new Set(["conflictDetected", "conflictResolved"]);

/** How many entries are kept for the report, without personal data. */
const KEPT = 100;

/**
 * How each event is logged: its level, its message, which says why, and those of its fields that
 * are not personal data.
 */
export const ENTRIES = {
  syncStarted: ["info", "A cycle has begun.", ({ direction, pendingOperations }) => ({ direction, pendingOperations })],
  syncProgress: ["trace", "A cycle goes on.", ({ status }) => ({ phase: status.phase ?? null, progress: status.progress })],
  syncCompleted: [({ result }) => (result.error || result.failedCount > 0 ? "warn" : "info"), ({ result }) => ended(result), ({ result }) => outcome(result)],
  syncFailed: ["warn", ({ error }) => `A cycle has failed: ${error.message}`, ({ error }) => failure(error)],
  dataChanged: ["debug", "Entities have changed.", ({ entity, source, created, updated, deleted }) => ({ entity, source, created, updated, deleted })],
  conflictDetected: ["info", "Both sides have changed an entity.", ({ conflict }) => ({ entity: conflict.entity, kind: conflict.kind, fields: conflict.fields.length })],
  conflictResolved: ["info", "A conflict was decided.", ({ conflict, taken }) => ({ entity: conflict.entity, kind: conflict.kind, taken })],
  deadLetter: ["warn", "An operation will not be sent: it is a dead letter.", ({ deadLetter }) => ({ entity: deadLetter.entity, kind: deadLetter.kind, code: deadLetter.code, reason: deadLetter.message })],
  signedOut: ["info", "A user has signed out.", ({ source, wiped }) => ({ source, wiped })],
  userSwitched: ["info", "Another user is the current one.", ({ hadUnsyncedData }) => ({ hadUnsyncedData })],
  leaderChanged: ["debug", ({ isLeader }) => (isLeader ? "This tab leads: it runs the automatic cycles." : "This tab does not lead any more."), ({ isLeader }) => ({ isLeader })],
  connectivityChanged: ["info", ({ online }) => (online ? "The network has come back." : "The network has gone."), ({ online }) => ({ online })],
  migrationProgress: ["debug", "Stored data is being migrated.", ({ from, to, done, total }) => ({ from, to, done, total })],
  rowsIgnored: ["warn", ({ entity }) => `The remote has sent rows of a type that the config does not name: \`${entity}\`. Add it to \`entities\`, or let the remote leave it out.`, ({ entity, count }) => ({ entity, count })],
  spaceJoined: ["info", "The user has joined a space.", ({ spaceId, role }) => ({ spaceId, role })],
  spaceLeft: ["info", "The user has left a space, or it has ended.", ({ spaceId, role }) => ({ spaceId, role })],
  roleChanged: ["info", "The user's role in a space is another.", ({ spaceId, role }) => ({ spaceId, role })],
  storageLost: ["error", "The storage was lost: the browser removed it, or it cannot be read.", ({ lostOperations, savedOperations }) => ({ lostOperations, savedOperations })],
  serverRestored: ["warn", "The server was restored from an older state.", ({ offeredAgain }) => ({ offeredAgain })],
};

function ended({ error, wasCancelled }) {
  if (wasCancelled) return "A cycle was stopped.";
  return error ? `A cycle has ended with a failure: ${error.message}` : "A cycle has ended.";
}

function outcome(result) {
  const { isSuccess, wasCancelled, pushedCount, pulledCount, failedCount, conflictsDetected, pendingOperations, duration, error } = result;
  const counts = { isSuccess, wasCancelled, pushedCount, pulledCount, failedCount, conflictsDetected, pendingOperations, duration };
  return error ? { ...counts, ...failure(error) } : counts;
}

function failure({ code, retryable, status, cause }) {
  return { code, retryable, status: status ?? null, cause: cause ?? null };
}

/** The observers and the logger of the config. */
export class Audience {
  #observers;
  #logger;
  #level;
  #kept = [];

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
    return Object.keys(ENTRIES).filter((type) => typeof ENTRIES[type][0] === "function" || (isKept(ENTRIES[type][0]) && !LARGE.has(type)) || this.#logs(ENTRIES[type][0]));
  }

  /** Returns the last entries, whatever the level of the log. */
  recent() {
    return [...this.#kept];
  }

  /** Passes an event on. */
  tell(text) {
    const event = freeze(JSON.parse(text));
    for (const observer of this.#observers) {
      if (observer.onEvent) attempt(() => observer.onEvent(event), "An observer's `onEvent` threw:");
    }
    const [level, message, fields] = ENTRIES[event.type];
    this.#log(typeof level === "function" ? level(event) : level, "sync", typeof message === "function" ? message(event) : message, () => fields(event), event);
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
  say(level, message, reason, scope = "storage") {
    const fields = reason ? { reason } : {};
    this.#log(level, scope, message, () => fields);
    if (!this.#logger && level === "warn") consoleLogger.log({ level, scope, message, fields });
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
    if (!this.#logs(level) && !isKept(level)) return;
    attempt(() => {
      const said = fields();
      // Only entries of the levels trace and debug name the user.
      if (event?.userId && LEVELS.indexOf(level) <= 1) said.userId = event.userId;
      const entry = freeze({ level, at: event?.at ?? new Date().toISOString(), scope, message, fields: said });
      if (isKept(level) && this.#kept.push(entry) > KEPT) this.#kept.shift();
      if (this.#logs(level)) this.#logger.log(entry);
    }, "The logger threw:");
  }
}

const isKept = (level) => LEVELS.indexOf(level) >= LEVELS.indexOf("info");

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
