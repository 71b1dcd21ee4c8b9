// A remote in memory, for tests of apps: the rules of the protocol in their simplest form, and
// faults that a test turns on. A separate module, so that no page loads it.

import { MEMBER, SPACE, Memory, copy } from "./memory.js";
import { pull, refused } from "./memory-pull.js";
import { Push, dataOf, isId, isSpaceId, memberId } from "./memory-push.js";

const OPTIONS = ["latency", "maxOperations", "maxBytes", "decide", "serverId", "maxMembers", "maxSpaces"];

/** An answer that a fault takes the place of. */
const lost = () => new TypeError("The connection was lost.");

/** A backend in memory that any number of instances sync with. See `testing.d.ts`. */
export class MemoryRemote {
  /** Every request that has arrived, the oldest first. */
  requests = [];
  latency = 0;
  maxOperations = Infinity;
  maxBytes = Infinity;
  decide = undefined;
  serverId = "memory";
  maxMembers = 10_000;
  maxSpaces = 2_000;
  #memory = new Memory();
  #faults = new Set();
  #hints = new Set();
  #epochs = 1;
  #generation = 1;
  #written = 0;

  constructor(options = {}) {
    for (const key of Object.keys(options)) {
      if (!OPTIONS.includes(key)) throw new TypeError(`MemoryRemote has no option \`${key}\`.`);
      this[key] = options[key];
    }
  }

  // What the engine calls.

  pull(request, signal) {
    return this.#answer({ kind: "pull", userId: request.userId, request }, signal, () => ({ ...pull(this.#memory, this.#generation, request), ...this.#identity() }));
  }

  push(request, signal) {
    return this.#answer({ kind: "push", userId: request.userId, request }, signal, () => {
      const { clientId, operations, userId } = request;
      if (!isId(clientId)) throw refused(400, "badRequest", "`clientId` must be 1 to 512 bytes of text without control characters.");
      if (!Array.isArray(operations)) throw refused(400, "badRequest", "`operations` must be a list.");
      if (operations.length > this.maxOperations) throw refused(413, "tooManyOperations", `The push has ${operations.length} operations; the most is ${this.maxOperations}.`);
      if (JSON.stringify(request).length > this.maxBytes) throw refused(413, "bodyTooLarge", `The push is too large; the most is ${this.maxBytes} characters.`);
      if (operations.some((operation) => typeof operation?.opId !== "string")) throw refused(400, "badRequest", "An operation has no `opId` to answer to.");
      const isOther = (meant, own) => meant !== undefined && meant !== null && meant !== own;
      const code = isOther(request.serverId, this.serverId) ? "otherServer" : isOther(request.epoch, this.#memory.epoch) ? "epochChanged" : undefined;
      const results = code === undefined ? this.#push(userId, operations) : operations.map(({ opId }) => ({ opId, status: "retry", code, retryAfterMs: 0 }));
      return { results, epoch: this.#memory.epoch, ...this.#identity() };
    });
  }

  getSyncMetadata(userId) {
    return this.#answer({ kind: "getSyncMetadata", userId }, undefined, () => {
      const { metadata } = this.#memory.user(userId);
      return metadata && { ...copy(metadata), digests: this.#memory.digests(userId) };
    });
  }

  putSyncMetadata(metadata) {
    const { userId } = metadata;
    return this.#answer({ kind: "putSyncMetadata", userId, request: metadata }, undefined, () => void (this.#memory.user(userId).metadata = copy(metadata)));
  }

  clearSyncMetadata(userId) {
    return this.#answer({ kind: "clearSyncMetadata", userId }, undefined, () => void (this.#memory.user(userId).metadata = null));
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

  put(userId, entity, row, options) {
    if (typeof row?.id !== "string" || row.id === "") throw new TypeError("`put` needs a row with an `id`.");
    const { spaceId: named, ...fields } = row;
    const space = this.#find(userId, entity, row.id, options ?? (named === undefined ? {} : { spaceId: named }));
    const before = this.#live(userId, space, entity, row.id);
    const now = new Date().toISOString();
    const data = { createdAt: before?.data.createdAt ?? now, modifiedAt: now, ...dataOf(fields) };
    return this.#write(userId, { entity, id: row.id, kind: "update", space, baseVersion: before?.version ?? null, data });
  }

  patch(userId, entity, id, changes, options) {
    const space = this.#find(userId, entity, id, options);
    const before = this.#existing(userId, space, entity, id);
    const { spaceId: _, ...fields } = changes;
    return this.#write(userId, { entity, id, kind: "patch", space, baseVersion: before.version, data: { modifiedAt: new Date().toISOString(), ...dataOf(fields) } });
  }

  delete(userId, entity, id, options) {
    const space = this.#find(userId, entity, id, options);
    const before = this.#live(userId, space, entity, id);
    if (before === undefined) return false;
    this.#write(userId, { entity, id, kind: "delete", space, baseVersion: before.version });
    return true;
  }

  move(userId, entity, id, to, options) {
    const space = this.#find(userId, entity, id, options);
    const { version } = this.#existing(userId, space, entity, id);
    return this.#write(userId, { entity, id, kind: "move", space, to: spaceOf(to, "to"), baseVersion: version });
  }

  createSpace(userId, name, { spaceId = uuid() } = {}) {
    this.#write(userId, { entity: SPACE, id: spaceId, kind: "create", space: spaceOf(spaceId), baseVersion: null, data: { name } });
    return spaceId;
  }

  deleteSpace(userId, spaceId) {
    return this.delete(userId, SPACE, spaceId, { spaceId });
  }

  setRole(userId, spaceId, member, role) {
    const id = memberId(spaceId, member);
    const before = this.#live(userId, spaceOf(spaceId), MEMBER, id);
    if (role === null) return void this.delete(userId, MEMBER, id, { spaceId });
    this.#write(userId, { entity: MEMBER, id, kind: "update", space: spaceId, baseVersion: before?.version ?? null, data: { ...before?.data, role } });
  }

  // What a test looks at.

  get(userId, entity, id, options) {
    const space = this.#find(userId, entity, id, options);
    const row = this.#live(userId, space, entity, id);
    return row === undefined ? null : shown(row, space);
  }

  all(userId, entity, options) {
    const spaces = options?.spaceId === undefined ? this.#memory.readable(userId) : [this.#readable(userId, spaceOf(options.spaceId))];
    const rowsOf = (space) => [...(space?.rows.values() ?? [])].filter((row) => row.entity === entity && !row.deleted).map((row) => shown(row, space.id));
    return spaces.flatMap(rowsOf);
  }

  spaces(userId) {
    return this.#memory.joined(userId).map(({ id, role, space }) => ({ spaceId: id, role, name: space.live(SPACE, id)?.data.name }));
  }

  members(spaceId) {
    const members = [...(this.#memory.space("", spaceOf(spaceId, "spaceId", false))?.members ?? [])];
    return members.map(([userId, role]) => ({ userId, role })).sort((a, b) => (a.userId < b.userId ? -1 : 1));
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

  forgetTombstones() {
    this.#memory.forgetTombstones();
  }

  forgetOperations() {
    this.#memory.forgetOperations();
  }

  backup() {
    return this.#memory.copy();
  }

  restore(backup) {
    this.#memory = backup.copy();
    this.#memory.enter(String(++this.#epochs));
    for (const { hint } of [...this.#hints]) hint();
  }

  #identity() {
    return { serverId: this.serverId, serverTime: new Date().toISOString() };
  }

  #tell(userIds) {
    for (const subscription of [...this.#hints]) if (userIds.has(subscription.userId)) subscription.hint();
  }

  #push(userId, operations) {
    const push = new Push(this.#memory, userId, this);
    const results = operations.map((operation) => push.verdict(operation));
    this.#tell(push.affected);
    return results;
  }

  /** Does what a device of the user pushes; throws what the rules refuse. Returns the row. */
  #write(userId, operation) {
    const { maxMembers, maxSpaces } = this;
    const push = new Push(this.#memory, userId, { maxMembers, maxSpaces });
    // An id of the remote's own, which no device makes.
    const { status, code, message } = push.verdict({ opId: `memory ${++this.#written}`, ...operation });
    if (status !== "applied") throw Object.assign(new RangeError(message ?? `The operation is in conflict with the row.`), { code: code ?? status });
    this.#tell(push.affected);
    const { entity, id, kind } = operation;
    const space = kind === "move" ? operation.to : operation.space;
    const row = this.#live(userId, space, entity, id);
    return row && shown(row, space);
  }

  /** Returns a space that a user may read, else undefined. */
  #readable(userId, space) {
    return this.#memory.role(userId, space) === undefined ? undefined : this.#memory.space(userId, space);
  }

  #live(userId, space, entity, id) {
    return this.#readable(userId, space)?.live(entity, id);
  }

  #existing(userId, space, entity, id) {
    const row = this.#live(userId, space, entity, id);
    if (row === undefined) throw new RangeError(`The remote has no \`${entity}\` with the id ${JSON.stringify(id)} that this user may read.`);
    return row;
  }

  /** Returns the space that the options name, or the first one of the user that has the row: the user's own, else null. */
  #find(userId, entity, id, options) {
    if (options?.spaceId !== undefined) return spaceOf(options.spaceId);
    return this.#memory.readable(userId).find((space) => space.live(entity, id) !== undefined)?.id ?? null;
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
}

function shown({ id, version, data }, space) {
  return { ...copy(data), id, version, ...(space === null ? {} : { spaceId: space }) };
}

/** Returns the space that an argument names, which is null for a user's own. */
function spaceOf(value, name = "spaceId", mayBeNull = true) {
  if ((value === null && mayBeNull) || isSpaceId(value)) return value;
  throw new TypeError(`\`${name}\` must be the id of a space, a UUID in lower case${mayBeNull ? ", or null for the user's own" : ""}.`);
}

function uuid() {
  const digits = (count) => Array.from({ length: count }, () => Math.floor(Math.random() * 16).toString(16)).join("");
  return `${digits(8)}-${digits(4)}-7${digits(3)}-8${digits(3)}-${digits(12)}`;
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
