// What the remote in memory holds: users, and spaces with their rows, as sections 1 and 11 of the protocol have them.

import { NONE, counted, onTheWire, together } from "./digest.js";

export const SPACE = "$space";
export const MEMBER = "$member";
export const isReserved = (entity) => entity.startsWith("$");
export const copy = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

/** How many moves of a row are followed. */
const MAX_HOPS = 8;
const ROLES = ["reader", "writer", "owner"];
export const isRole = (role) => ROLES.includes(role);
/** Returns true if a role, which may be none, allows what another one does. */
export const allows = (role, needed) => ROLES.indexOf(role) >= ROLES.indexOf(needed);

const keyOf = (entity, id) => JSON.stringify([entity, id]);

/** Rows with one history: a user's own, whose `id` is null, or those of a shared space. */
class Space {
  /** The counter that every write increases. */
  version = 0;
  /** The greatest version of a tombstone that was forgotten. */
  floor = 0;
  /** The rows by entity and id, tombstones too, in the order of their last write. */
  rows = new Map();
  /** By entity, the digest of its live rows. */
  digests = new Map();
  /** The roles of a shared space's members, by user. */
  members = new Map();

  constructor(id) {
    this.id = id;
  }

  /** Writes a row, or a tombstone without `data`. Returns its version. */
  write(entity, id, data, movedTo) {
    const before = this.live(entity, id);
    const row = { entity, id, version: ++this.version, ...(data === undefined ? { deleted: true, movedTo } : { data }) };
    let digest = this.digests.get(entity) ?? NONE;
    if (before !== undefined) digest = counted(digest, -1, this.id, before);
    this.digests.set(entity, row.deleted ? digest : counted(digest, 1, this.id, row));
    // Deleted first, so that the row moves to the end.
    this.rows.delete(keyOf(entity, id));
    this.rows.set(keyOf(entity, id), row);
    return row.version;
  }

  row(entity, id) {
    return this.rows.get(keyOf(entity, id));
  }

  live(entity, id) {
    const row = this.row(entity, id);
    return row === undefined || row.deleted ? undefined : row;
  }

  /** Forgets all rows but the counter: the space has ended, and its id is never used again. */
  end() {
    this.rows.clear();
    this.digests.clear();
  }

  forgetTombstones() {
    for (const [key, row] of this.rows) {
      if (!row.deleted) continue;
      this.rows.delete(key);
      this.floor = Math.max(this.floor, row.version);
    }
  }

  copy() {
    const { id, version, floor, rows, digests, members } = this;
    return Object.assign(new Space(id), { version, floor, rows: new Map(copy([...rows])), digests: new Map(digests), members: new Map(members) });
  }
}

/** What there is of one user beside the rows. */
class User {
  /** By `opId`: what was applied, what was superseded before it came, and what met a row without a base. */
  operations = new Map();
  /** Grows with every change of the memberships. */
  revision = 0;
  /** Every space that the user was ever in, by its id: `number` is its name in cursors, `joined` the revision of joining. */
  memberships = new Map();
  metadata = null;

  copy() {
    const { operations, revision, memberships, metadata } = this;
    return Object.assign(new User(), { operations: new Map(copy([...operations])), revision, memberships: new Map(copy([...memberships])), metadata: copy(metadata) });
  }
}

/** All data of a remote. */
export class Memory {
  #users = new Map();
  #own = new Map();
  #shared = new Map();
  /** The epochs that have ended, with the last version of each space in them. */
  #epochs = new Map();
  epoch = "1";

  user(userId) {
    return entry(this.#users, userId, () => new User());
  }

  own(userId) {
    return entry(this.#own, userId, () => new Space(null));
  }

  /** Returns a space; undefined for a shared one that nobody has made. */
  space(userId, id) {
    return id === null ? this.own(userId) : this.#shared.get(id);
  }

  isUsed(id) {
    return this.#shared.has(id);
  }

  make(id) {
    return entry(this.#shared, id, () => new Space(id));
  }

  /** Returns the user's role in a space; undefined for a stranger. */
  role(userId, id) {
    return id === null ? "owner" : this.#shared.get(id)?.members.get(userId);
  }

  /** Returns the shared spaces of a user, in the order of joining, with the numbers of the memberships. */
  joined(userId) {
    const memberships = [...this.user(userId).memberships].filter(([id]) => this.role(userId, id) !== undefined);
    return memberships.sort(([, a], [, b]) => a.joined - b.joined).map(([id, { number }]) => ({ id, number, role: this.role(userId, id), space: this.#shared.get(id) }));
  }

  /** Returns all spaces that a user may read: the user's own, and the shared ones in the order of joining. */
  readable(userId) {
    return [this.own(userId), ...this.joined(userId).map(({ space }) => space)];
  }

  /** Makes a user a member, gives another role, or ends the membership where `role` is undefined. */
  setMember(id, userId, role) {
    const { members } = this.#shared.get(id);
    const user = this.user(userId);
    const wasMember = members.has(userId);
    if (role === undefined) members.delete(userId);
    else members.set(userId, role);
    user.revision++;
    const membership = entry(user.memberships, id, () => ({ number: user.memberships.size + 1, joined: 0 }));
    if (!wasMember) membership.joined = user.revision;
  }

  /** Returns where a row that has left a space lives now, without a look at who may read it; undefined if it is gone. */
  follow(row, userId) {
    for (let hop = 0; hop < MAX_HOPS && row?.movedTo !== undefined; hop++) {
      // Moved into somebody's own space, it is that user's.
      const { space: id, owner } = row.movedTo;
      const space = this.space(owner, id);
      row = space?.row(row.entity, row.id);
      if (row !== undefined && !row.deleted) return { id, row, readable: id === null ? owner === userId : this.role(userId, id) !== undefined };
    }
    return undefined;
  }

  digests(userId, entities) {
    const all = new Map();
    for (const space of this.readable(userId)) {
      for (const [entity, digest] of space.digests) all.set(entity, together(all.get(entity) ?? NONE, digest));
    }
    const named = entities?.filter((entity) => !isReserved(entity) || all.has(entity)) ?? [...all.keys()];
    return Object.fromEntries(named.map((entity) => [entity, onTheWire(all.get(entity) ?? NONE)]));
  }

  /** Begins another epoch. */
  enter(epoch) {
    const versions = [...this.#own].map(([userId, { version }]) => [keyOf(null, userId), version]);
    for (const [id, { version }] of this.#shared) versions.push([keyOf(id), version]);
    this.#epochs.set(this.epoch, new Map(versions));
    this.epoch = epoch;
  }

  /** Returns the last version that a space had when an epoch ended; undefined if the epoch is not known. */
  kept(userId, id, epoch) {
    const versions = this.#epochs.get(epoch);
    return versions && (versions.get(id === null ? keyOf(null, userId) : keyOf(id)) ?? 0);
  }

  forgetTombstones() {
    for (const space of [...this.#own.values(), ...this.#shared.values()]) space.forgetTombstones();
  }

  forgetOperations() {
    for (const user of this.#users.values()) user.operations.clear();
  }

  get size() {
    return this.#own.size + this.#shared.size;
  }

  copy() {
    const memory = new Memory();
    memory.epoch = this.epoch;
    memory.#epochs = new Map([...this.#epochs].map(([epoch, versions]) => [epoch, new Map(versions)]));
    for (const [from, to] of [[this.#users, memory.#users], [this.#own, memory.#own], [this.#shared, memory.#shared]]) {
      for (const [key, value] of from) to.set(key, value.copy());
    }
    return memory;
  }
}

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
