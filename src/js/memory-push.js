// How the remote in memory decides a push: sections 5 and 11.4 of the protocol, in the order of the text.

import { MEMBER, SPACE, allows, copy, isReserved, isRole } from "./memory.js";

/** Fields that are beside the data. */
const OWNED = new Set(["id", "userId", "version", "isDeleted"]);
const KINDS = ["create", "update", "patch", "delete", "move"];
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const MAX_DEPTH = 128;
const MAX_ENTITY_BYTES = 2 ** 20;
const MAX_SUPERSEDED = 64;
const encoder = new TextEncoder();
const bytesOf = (text) => encoder.encode(text).length;
const isAbsent = (value) => value === undefined || value === null;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

export const isId = (text, most = 512) => typeof text === "string" && text !== "" && bytesOf(text) <= most && !/\p{Cc}/u.test(text);
export const isSpaceId = (text) => typeof text === "string" && UUID.test(text);
export const dataOf = (fields) => Object.fromEntries(Object.entries(copy(fields) ?? {}).filter(([key]) => !OWNED.has(key)));
export const memberId = (space, userId) => `${space}/${userId}`;
const rejected = (code, message, space) => ({ status: "rejected", code, message, ...(isAbsent(space) ? {} : { space }) });
const notMember = (space) => rejected("notMember", "The user is not a member of such a space.", space);
const readOnly = (space) => rejected("readOnly", "The user may only read this space.", space);

/** A text that is the same for equal JSON, in any order of keys. */
export const canonical = (value) =>
  JSON.stringify(value, (_, part) => (isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part));

/** Returns what is wrong with an operation as such, as a verdict; undefined if nothing is. */
function unreadable(operation) {
  const { opId, entity, id, kind, baseVersion, space, to, supersedes, after } = operation;
  const invalid = (what) => rejected("invalidOperation", `The operation cannot be read: ${what}.`);
  const isText = (value) => typeof value === "string" && !/\p{Cs}/u.test(value);
  for (const [name, value] of Object.entries({ opId, entity, id })) if (!isText(value)) return invalid(`\`${name}\` must be text`);
  for (const [name, value] of Object.entries({ space, to })) if (!isAbsent(value) && !isText(value)) return invalid(`\`${name}\` must be text or null`);
  for (const [name, value] of Object.entries({ supersedes, after })) {
    if (!isAbsent(value) && !(Array.isArray(value) && value.every(isText))) return invalid(`\`${name}\` must be a list of texts`);
  }
  if (!KINDS.includes(kind)) return invalid(`\`kind\` must be one of ${KINDS.join(", ")}`);
  if (!isAbsent(baseVersion) && !(Number.isInteger(baseVersion) && baseVersion >= 0)) return invalid("`baseVersion` must be null or a whole number");
  return undefined;
}

/** Returns what breaks the rules about ids, versions and spaces, as a verdict; undefined if nothing does. */
function invalid({ opId, entity, id, kind, baseVersion, space, to }) {
  const bytes = (name, most) => rejected("invalidId", `\`${name}\` must be 1 to ${most} bytes of text without control characters.`);
  if (!isId(opId)) return bytes("opId", 512);
  if (!isId(entity, 128)) return bytes("entity", 128);
  if (!isId(id)) return bytes("id", 512);
  const isOfSpace = isReserved(entity);
  if (isOfSpace && entity !== SPACE && entity !== MEMBER) return rejected("unknownEntity", `This server does not keep \`${entity}\`.`);
  if (!isAbsent(baseVersion) && !(baseVersion >= 1 && Number.isSafeInteger(baseVersion))) {
    return rejected("invalidVersion", "`baseVersion` must be null or a version that the server gave.");
  }
  for (const [name, value] of Object.entries({ space, to })) {
    if (!isAbsent(value) && !isSpaceId(value)) return rejected("invalidId", `\`${name}\`: a space's id is a UUID of 36 characters in lower case.`);
  }
  if (kind === "move") {
    if (isOfSpace) return rejected("invalidOperation", "Spaces and members cannot be moved.");
    if ((to ?? null) === (space ?? null)) return rejected("invalidOperation", "`to` is the space that the row is in.");
    if (isAbsent(baseVersion)) return rejected("invalidVersion", "`baseVersion` is missing; a move needs the row's version.");
  }
  if (!isOfSpace) return undefined;
  if (isAbsent(space)) return rejected("invalidOperation", "`$space` and `$member` are rows of a shared space; name it as `space`.");
  if (entity === SPACE && id !== space) return rejected("invalidId", "`id`: a `$space` has the id of its `space`.");
  const subject = id.startsWith(`${space}/`) ? id.slice(space.length + 1) : "";
  if (entity === MEMBER && !isId(subject)) return rejected("invalidId", "`id`: a `$member` has the id `<space>/<user>`.");
  return undefined;
}

/** Returns what no client could edit in a value, in words; undefined if nothing. */
function unfit(value, levels) {
  if (typeof value === "string") return /\p{Cs}/u.test(value) ? "has half a surrogate pair" : undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : "has a number that JavaScript cannot hold";
  if (typeof value !== "object" || value === null) return undefined;
  if (levels === 0) return `is nested more than ${MAX_DEPTH} levels deep`;
  for (const [key, part] of Object.entries(value)) {
    const what = unfit(key, levels) ?? unfit(part, levels - 1);
    if (what !== undefined) return what;
  }
  return undefined;
}

/** Returns what is wrong with the data of a write, as a verdict; undefined if nothing is. */
function unfitData(userId, { entity, kind, data }) {
  if (isAbsent(data)) return rejected("invalidData", "`data` is missing; create, update and patch need an object.");
  if (bytesOf(JSON.stringify(data)) > MAX_ENTITY_BYTES) return tooLarge();
  const what = unfit(data, MAX_DEPTH);
  if (what !== undefined) return rejected("invalidData", `\`data\` ${what}.`);
  if (!isObject(data)) return rejected("invalidData", "`data` must be a JSON object.");
  if (!isAbsent(data.userId) && data.userId !== userId) return rejected("userMismatch", "`data.userId` is not the user of the request; leave it out.");
  const may = (field, fits, words) => (fits(data[field]) || (kind === "patch" && !Object.hasOwn(data, field)) ? undefined : rejected("invalidData", `\`data.${field}\` ${words}.`));
  if (entity === SPACE) return may("name", (name) => isId(name), "must be text of 1 to 512 bytes without control characters");
  if (entity === MEMBER) return may("role", isRole, "must be `reader`, `writer` or `owner`");
  return undefined;
}

const tooLarge = () => rejected("tooLarge", `The entity is larger than ${MAX_ENTITY_BYTES} bytes of JSON.`);

/** The operations of one push, each decided on what those before it have done. */
export class Push {
  #memory;
  #userId;
  #user;
  #remote;
  /** The operations of this push that were not applied. */
  #failed = new Set();
  /** The users who have something to pull. */
  affected = new Set();

  /** `remote` has the limits, and `decide`. */
  constructor(memory, userId, remote) {
    this.#memory = memory;
    this.#userId = userId;
    this.#user = memory.user(userId);
    this.#remote = remote;
  }

  /** Returns the verdict on an operation. */
  verdict(operation) {
    const wrong = unreadable(operation) ?? invalid(operation);
    const { space = null, to = null, baseVersion = null } = operation;
    const verdict = wrong ?? this.#decide({ ...operation, space, to, baseVersion }, operation);
    if (verdict.status !== "applied") this.#failed.add(operation.opId);
    return copy({ opId: operation.opId, ...verdict });
  }

  #decide(operation, sent) {
    const { opId, entity, id, kind, baseVersion, space: spaceId, to, after } = operation;
    const earlier = this.#user.operations.get(opId);
    if (earlier?.version !== undefined) return this.#replay(operation, earlier);
    if (after?.some((needed) => this.#failed.has(needed))) return { status: "retry", code: "blocked" };
    const decided = this.#remote.decide?.(copy(sent), this.#userId);
    if (!isAbsent(decided)) return decided;
    const bringsData = kind !== "delete" && kind !== "move";
    const wrong = bringsData ? unfitData(this.#userId, operation) : undefined;
    if (wrong !== undefined) return wrong;
    const neverFits = earlier?.isSuperseded === true || (earlier?.metARow === true && baseVersion === null);
    if (entity === SPACE && kind === "create" && !this.#memory.isUsed(spaceId) && !neverFits) return this.#makeSpace(operation);
    // Who may do it, before anything is said of the row.
    const refusal = this.#refusal(operation);
    if (refusal !== undefined) return refusal;

    const space = this.#memory.space(this.#userId, spaceId);
    const row = space.row(entity, id);
    const isLive = row !== undefined && !row.deleted;
    // A row without a trace counts as deleted with the last tombstone that was forgotten.
    const version = row?.version ?? Math.max(space.floor, 1);
    const fits = !neverFits && (baseVersion === null ? !isLive : baseVersion === version);
    // A row that the user sees elsewhere is not gone.
    const found = isLive ? undefined : this.#memory.follow(row, this.#userId);
    const elsewhere = found?.readable ? found : undefined;
    const conflict = () => {
      const met = isLive ? row : elsewhere?.row;
      if (met !== undefined && baseVersion === null && earlier === undefined) this.#user.operations.set(opId, { metARow: true });
      const place = elsewhere === undefined ? {} : { space: elsewhere.id, leftVersion: version };
      return { status: "conflict", version: met?.version ?? version, row: met?.data ?? null, ...place };
    };
    if (kind === "move") return isLive && fits ? this.#move(operation, space, row) : conflict();
    if (kind === "delete") {
      if (!isLive) return elsewhere === undefined ? this.#applied(operation, version) : conflict();
      return fits ? this.#write(operation, space, row, undefined) : conflict();
    }
    if (kind === "patch") {
      if (!isLive || !fits) return conflict();
      const merged = { ...row.data, ...dataOf(operation.data) };
      return bytesOf(JSON.stringify(merged)) > MAX_ENTITY_BYTES ? tooLarge() : this.#write(operation, space, row, merged);
    }
    const data = dataOf(operation.data);
    if (fits) return elsewhere === undefined ? this.#write(operation, space, isLive ? row : undefined, data) : conflict();
    const isSame = isLive && baseVersion === null && canonical(row.data) === canonical(data);
    return isSame ? this.#applied(operation, version) : conflict();
  }

  /** Answers an operation that was applied before: to its author, who may have left since. */
  #replay({ entity, id, kind, space, to }, { key, version, leftVersion }) {
    if (key !== canonical([space, entity, id])) return rejected("opIdReused", "`opId` was used for another entity; every operation needs its own.");
    const there = kind === "move" ? to : space;
    const isRead = this.#memory.role(this.#userId, there) !== undefined;
    const isGone = isRead && kind !== "delete" && this.#memory.space(this.#userId, there).live(entity, id) === undefined;
    return { status: "applied", version, replayed: true, leftVersion, ...(isGone ? { deleted: true } : {}) };
  }

  #refusal({ entity, id, kind, space, to }) {
    const isMove = kind === "move";
    const role = this.#memory.role(this.#userId, space);
    if (role === undefined) return notMember(isMove ? space : undefined);
    if (isReserved(entity)) {
      const leaves = kind === "delete" && id === memberId(space, this.#userId);
      return allows(role, "owner") || leaves ? undefined : rejected("notOwner", "Only owners change a space and its members.");
    }
    if (!allows(role, "writer")) return readOnly(isMove ? space : undefined);
    if (!isMove) return undefined;
    const there = this.#memory.role(this.#userId, to);
    if (there === undefined) return notMember(to);
    return allows(there, "writer") ? undefined : readOnly(to);
  }

  #makeSpace(operation) {
    const { space: id } = operation;
    if (this.#isFull(this.#userId)) return this.#tooManySpaces();
    const space = this.#memory.make(id);
    const version = space.write(SPACE, id, dataOf(operation.data));
    space.write(MEMBER, memberId(id, this.#userId), { role: "owner" });
    this.#memory.setMember(id, this.#userId, "owner");
    this.affected.add(this.#userId);
    return this.#applied(operation, version);
  }

  #move(operation, from, { data }) {
    const { entity, id, to } = operation;
    const target = this.#memory.space(this.#userId, to);
    if (target.live(entity, id) !== undefined) return rejected("idTaken", "The target has a row of this id.", to);
    const leftVersion = from.write(entity, id, undefined, { space: to, owner: this.#userId });
    const version = target.write(entity, id, data);
    for (const space of [from, target]) this.#affects(space);
    return this.#applied(operation, version, leftVersion);
  }

  /** Writes a row, or a tombstone without `data`. */
  #write(operation, space, row, data) {
    const { entity, id, kind } = operation;
    const refusal = entity === MEMBER ? this.#changeMember(space, id, row?.data.role, data?.role) : undefined;
    if (refusal !== undefined) return refusal;
    const verdict = this.#applied(operation, space.write(entity, id, data));
    this.#affects(space);
    if (entity === SPACE && kind === "delete") {
      for (const member of [...space.members.keys()]) this.#memory.setMember(space.id, member, undefined);
      space.end();
    }
    return verdict;
  }

  #changeMember(space, id, before, role) {
    if (before === role) return undefined;
    const subject = id.slice(space.id.length + 1);
    const owners = [...space.members.values()].filter((one) => one === "owner");
    if (before === "owner" && owners.length < 2) return rejected("lastOwner", "A space needs an owner: make another member one first, or delete the space.");
    if (before === undefined) {
      const { maxMembers } = this.#remote;
      if (space.members.size >= maxMembers) return rejected("tooManyMembers", `A space can have ${maxMembers} members; this one has.`);
      if (this.#isFull(subject)) return this.#tooManySpaces();
    }
    // The one who is removed, too, has something to pull.
    this.affected.add(subject);
    this.#memory.setMember(space.id, subject, role);
    return undefined;
  }

  #isFull(userId) {
    return this.#memory.joined(userId).length >= this.#remote.maxSpaces;
  }

  #tooManySpaces() {
    return rejected("tooManySpaces", `A user can be in ${this.#remote.maxSpaces} shared spaces; this one is.`);
  }

  #affects(space) {
    if (space.id === null) this.affected.add(this.#userId);
    for (const member of space.members.keys()) this.affected.add(member);
  }

  /** Remembers an operation as applied, with those that it supersedes. */
  #applied({ opId, entity, id, space, supersedes }, version, leftVersion) {
    const { operations } = this.#user;
    let count = 0;
    for (const other of supersedes ?? []) {
      const known = operations.get(other);
      if ((known !== undefined && !known.metARow) || other === opId || !isId(other)) continue;
      if (++count > MAX_SUPERSEDED) break;
      operations.set(other, { isSuperseded: true });
    }
    operations.set(opId, { key: canonical([space, entity, id]), version, leftVersion });
    return { status: "applied", version, leftVersion };
  }
}
