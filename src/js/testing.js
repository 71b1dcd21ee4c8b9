// A remote in memory, for tests of apps: the rules of the protocol in their simplest form, and
// faults that a test turns on. A separate module, so that no page loads it.

import { NONE, counted, onTheWire } from "./digest.js";

/** An answer that a fault takes the place of. */
const lost = () => new TypeError("The connection was lost.");
const copy = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
/** Fields that the engine owns: they are beside the data. */
const OWNED = new Set(["id", "userId", "version", "isDeleted"]);
const dataOf = (fields) => Object.fromEntries(Object.entries(copy(fields) ?? {}).filter(([key]) => !OWNED.has(key)));
/** A text that is the same for equal JSON, in any order of keys. */
const canonical = (value) =>
  JSON.stringify(value, (_, part) => (part !== null && typeof part === "object" && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part));

/** What the remote has of one user. */
class Account {
  /** The counter that every write increases. */
  version = 0;
  /** The rows by entity and id, tombstones too, in the order of their last write. */
  rows = new Map();
  /** By `opId`, what was applied. */
  applied = new Map();
  /** By entity, the digest of its live rows. */
  digests = new Map();
  metadata = null;

  write(entity, id, data) {
    const key = JSON.stringify([entity, id]);
    const row = { entity, id, version: ++this.version, ...(data === undefined ? { deleted: true } : { data }) };
    const before = this.live(entity, id);
    let digest = this.digests.get(entity) ?? NONE;
    if (before !== undefined) digest = counted(digest, -1, before);
    this.digests.set(entity, row.deleted ? digest : counted(digest, 1, row));
    // Deleted first, so that the row moves to the end.
    this.rows.delete(key);
    this.rows.set(key, row);
    return row;
  }

  row(entity, id) {
    return this.rows.get(JSON.stringify([entity, id]));
  }

  live(entity, id) {
    const row = this.row(entity, id);
    return row === undefined || row.deleted ? undefined : row;
  }

  digestsOf(entities = this.digests.keys()) {
    return Object.fromEntries([...entities].map((entity) => [entity, onTheWire(this.digests.get(entity) ?? NONE)]));
  }

  static from(backup) {
    return Object.assign(new Account(), { ...backup, rows: new Map(copy([...backup.rows])), applied: new Map(copy([...backup.applied])), digests: new Map(backup.digests), metadata: copy(backup.metadata) });
  }
}

/** A backend in memory that any number of instances sync with. See `testing.d.ts`. */
export class MemoryRemote {
  /** Every request that has arrived, the oldest first. */
  requests = [];
  latency = 0;
  maxOperations = Infinity;
  maxBytes = Infinity;
  decide = undefined;
  serverId = "memory";
  #accounts = new Map();
  #faults = new Set();
  #hints = new Set();
  #epoch = 1;
  #generation = 1;

  constructor(options = {}) {
    for (const key of Object.keys(options)) {
      if (!["latency", "maxOperations", "maxBytes", "decide", "serverId"].includes(key)) throw new TypeError(`MemoryRemote has no option \`${key}\`.`);
      this[key] = options[key];
    }
  }

  // What the engine calls.

  pull(request, signal) {
    return this.#answer({ kind: "pull", userId: request.userId, request }, signal, () => this.#pull(this.#account(request.userId), request));
  }

  push(request, signal) {
    return this.#answer({ kind: "push", userId: request.userId, request }, signal, () => {
      const { operations } = request;
      if (operations.length > this.maxOperations || JSON.stringify(request).length > this.maxBytes) throw failure({ status: 413 });
      const epoch = String(this.#epoch);
      const isOther = (meant, own) => meant !== undefined && meant !== null && meant !== own;
      const code = isOther(request.serverId, this.serverId) ? "otherServer" : isOther(request.epoch, epoch) ? "epochChanged" : undefined;
      const results = code === undefined ? this.#push(request.userId, operations) : operations.map(({ opId }) => ({ opId, status: "retry", code }));
      return { results, epoch, serverId: this.serverId, serverTime: new Date().toISOString() };
    });
  }

  getSyncMetadata(userId) {
    return this.#answer({ kind: "getSyncMetadata", userId }, undefined, () => {
      const account = this.#account(userId);
      return account.metadata && { ...copy(account.metadata), digests: account.digestsOf() };
    });
  }

  putSyncMetadata(metadata) {
    const { userId } = metadata;
    return this.#answer({ kind: "putSyncMetadata", userId, request: metadata }, undefined, () => void (this.#account(userId).metadata = copy(metadata)));
  }

  clearSyncMetadata(userId) {
    return this.#answer({ kind: "clearSyncMetadata", userId }, undefined, () => void (this.#account(userId).metadata = null));
  }

  async health() {
    return this.#answer({ kind: "health", userId: "" }, undefined, () => true);
  }

  subscribe(userId, hint) {
    const request = { kind: "subscribe", userId };
    this.requests.push(request);
    const fault = this.#fault(request);
    if (fault !== undefined && fault !== "silent") throw failure(fault);
    const subscription = { userId, hint };
    if (fault === undefined) this.#hints.add(subscription);
    return () => void this.#hints.delete(subscription);
  }

  // What another device does.

  put(userId, entity, row) {
    if (typeof row?.id !== "string" || row.id === "") throw new TypeError("`put` needs a row with an `id`.");
    const now = new Date().toISOString();
    const before = this.#account(userId).live(entity, row.id)?.data;
    return this.#write(userId, entity, row.id, { createdAt: before?.createdAt ?? now, modifiedAt: now, ...dataOf(row) });
  }

  patch(userId, entity, id, changes) {
    const before = this.#account(userId).live(entity, id);
    if (before === undefined) throw new RangeError(`The remote has no \`${entity}\` with the id ${JSON.stringify(id)}.`);
    return this.#write(userId, entity, id, { ...before.data, modifiedAt: new Date().toISOString(), ...dataOf(changes) });
  }

  delete(userId, entity, id) {
    if (this.#account(userId).live(entity, id) === undefined) return false;
    this.#account(userId).write(entity, id);
    this.#tell(userId);
    return true;
  }

  // What a test looks at.

  get(userId, entity, id) {
    const row = this.#account(userId).live(entity, id);
    return row === undefined ? null : shown(row);
  }

  all(userId, entity) {
    return [...this.#account(userId).rows.values()].filter((row) => row.entity === entity && !row.deleted).map(shown);
  }

  // Faults.

  fail(fault, { on, times = Infinity, userId } = {}) {
    const entry = { fault, on: on === undefined ? undefined : [on].flat(), left: times, userId };
    this.#faults.add(entry);
    return () => void this.#faults.delete(entry);
  }

  heal() {
    this.#faults.clear();
  }

  expireCursors() {
    this.#generation++;
  }

  backup() {
    return new Map([...this.#accounts].map(([userId, account]) => [userId, Account.from(account)]));
  }

  restore(backup) {
    this.#accounts = new Map([...backup].map(([userId, account]) => [userId, Account.from(account)]));
    this.#epoch++;
    for (const { hint } of this.#hints) hint();
  }

  #account(userId) {
    if (!this.#accounts.has(userId)) this.#accounts.set(userId, new Account());
    return this.#accounts.get(userId);
  }

  #write(userId, entity, id, data) {
    const row = this.#account(userId).write(entity, id, data);
    this.#tell(userId);
    return shown(row);
  }

  #tell(userId) {
    for (const subscription of [...this.#hints]) if (subscription.userId === userId) subscription.hint();
  }

  /** Returns the fault that a request meets, and counts it. */
  #fault(request) {
    for (const entry of this.#faults) {
      if (entry.on?.includes(request.kind) === false || (entry.userId ?? request.userId) !== request.userId) continue;
      let fault = entry.fault;
      if (typeof fault === "function") fault = fault(request);
      if (fault === undefined || fault === null) continue;
      if (--entry.left <= 0) this.#faults.delete(entry);
      return fault;
    }
    return undefined;
  }

  async #answer(request, signal, act) {
    this.requests.push({ ...request, request: copy(request.request) });
    const fault = this.#fault(request);
    if (this.latency > 0) await pause(this.latency, signal);
    signal?.throwIfAborted();
    if (fault === "silent") return pause(undefined, signal);
    if (fault === "garbage") return "<!doctype html><title>Sign in</title>";
    if (fault !== undefined && fault !== "lostReply") throw failure(fault);
    const answer = act();
    if (fault === "lostReply") throw lost();
    return answer;
  }

  #pull(account, { cursor, limit, entities }) {
    const [generation, from, start] = cursor === null || cursor === undefined ? [this.#series(), 0, account.version] : cursor.split("/");
    // A cursor of another epoch or generation, or ahead of the history.
    if (generation !== this.#series() || !(Number(from) <= account.version)) throw failure({ status: 410 });
    // A snapshot has no tombstones of rows that were deleted before it began.
    const isNew = (row) => row.version > Number(from) && !(row.deleted && row.version <= Number(start)) && (entities?.includes(row.entity) ?? true);
    const rows = [...account.rows.values()].filter(isNew);
    const changes = copy(rows.slice(0, limit));
    const remaining = rows.length - changes.length;
    const end = remaining > 0 ? changes.at(-1).version : account.version;
    return {
      changes,
      cursor: [this.#series(), end, remaining > 0 ? start : 0].join("/"),
      more: remaining > 0,
      remaining,
      digests: remaining > 0 ? undefined : account.digestsOf(entities),
      epoch: String(this.#epoch),
      serverId: this.serverId,
      serverTime: new Date().toISOString(),
    };
  }

  #series() {
    return `${this.#epoch}.${this.#generation}`;
  }

  #push(userId, operations) {
    const account = this.#account(userId);
    const before = account.version;
    const failed = new Set();
    const results = operations.map((operation) => {
      const { opId } = operation;
      const verdict = this.#verdict(userId, account, operation, failed);
      if (verdict.status === "applied") account.applied.set(opId, { key: JSON.stringify([operation.entity, operation.id]), version: verdict.version, isSuperseded: false });
      else failed.add(opId);
      return copy({ opId, ...verdict });
    });
    if (account.version > before) this.#tell(userId);
    return results;
  }

  #verdict(userId, account, operation, failed) {
    const { opId, entity, id, kind, baseVersion = null, data, after, supersedes } = operation;
    const earlier = account.applied.get(opId);
    if (earlier !== undefined && !earlier.isSuperseded) {
      if (earlier.key === JSON.stringify([entity, id])) return { status: "applied", version: earlier.version, replayed: true };
      return { status: "rejected", code: "opIdReused", message: "`opId` was used for another entity." };
    }
    // It has no shared spaces.
    if (operation.space != null || kind === "move") return { status: "rejected", code: "invalidOperation", message: "This remote has no shared spaces." };
    if (after?.some((needed) => failed.has(needed))) return { status: "retry", code: "blocked" };
    const decided = this.decide?.(copy(operation), userId);
    if (decided !== undefined && decided !== null) return decided;
    const row = account.row(entity, id);
    const isLive = row !== undefined && !row.deleted;
    const version = row?.version ?? 1;
    if (kind === "delete" && !isLive) return { status: "applied", version };
    const fits = earlier === undefined && (baseVersion === null ? !isLive : baseVersion === version);
    const conflict = { status: "conflict", version, row: isLive ? row.data : null };
    if (!fits) {
      const isSame = isLive && baseVersion === null && (kind === "create" || kind === "update") && canonical(row.data) === canonical(dataOf(data));
      return isSame ? { status: "applied", version } : conflict;
    }
    if (kind === "patch" && !isLive) return conflict;
    const written = kind === "delete" ? undefined : { ...(kind === "patch" ? row.data : {}), ...dataOf(data) };
    for (const other of supersedes ?? []) if (!account.applied.has(other)) account.applied.set(other, { isSuperseded: true });
    return { status: "applied", version: account.write(entity, id, written).version };
  }
}

function shown({ id, version, data }) {
  return { ...copy(data), id, version };
}

/** Returns what a request rejects with. */
function failure(fault) {
  if (fault === "offline" || fault === "lostReply") return lost();
  if (fault instanceof Error) return fault;
  if (typeof fault?.status === "number") return Object.assign(new Error(fault.message ?? `HTTP ${fault.status}`), { status: fault.status, retryAfterMs: fault.retryAfterMs });
  return new TypeError(`There is no fault ${JSON.stringify(fault)}.`);
}

/** Waits `ms` milliseconds, or for ever; rejects when the signal aborts. */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
