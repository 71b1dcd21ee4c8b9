// How the remote in memory answers a pull: sections 4 and 11.2 of the protocol.

import { rowHash } from "./digest.js";
import { MEMBER, SPACE, copy, isReserved } from "./memory.js";
import { canonical, isId } from "./memory-push.js";

const MAX_ROWS = 10_000;
const isAbsent = (value) => value === undefined || value === null;

/** A request that is refused as a whole. */
export const refused = (status, code, message) => Object.assign(new Error(message), { status, code });
const badRequest = (message) => refused(400, "badRequest", message);
const gone = (code, why) => refused(410, code, `${why} Pull again with \`cursor\` null.`);

/** Returns which rows a request asks for: `entities` are all types, and `fields` all rows, where they are undefined. */
function readScope({ entities, scope }) {
  if (!isAbsent(entities)) {
    if (!Array.isArray(entities) || entities.length < 1 || entities.length > 256) throw badRequest("`entities` must name 1 to 256 entity types; leave it out for all.");
    for (const name of entities) {
      if (!isId(name, 128)) throw badRequest("`entities` must be names of entity types.");
      if (isReserved(name) && name !== SPACE && name !== MEMBER) throw refused(400, "unknownEntity", `\`entities\` names \`${name}\`, which this server does not keep.`);
    }
  }
  let fields;
  if (!isAbsent(scope)) {
    const where = Object.keys(scope).join() === "where" && !Array.isArray(scope) && typeof scope === "object" ? scope.where : undefined;
    fields = typeof where === "object" && where !== null && !Array.isArray(where) ? Object.entries(where) : [];
    if (fields.length < 1 || fields.length > 16 || fields.some(([, value]) => typeof value === "object" && value !== null)) {
      throw refused(400, "unsupportedScope", "This server knows { where: { field: value } } with 1 to 16 fields that equal a string, number, boolean or null.");
    }
  }
  // A client has to know what it may do.
  return { entities: isAbsent(entities) ? undefined : [...new Set([...entities, SPACE, MEMBER])].sort(), fields };
}

const matches = (fields, data) => fields.every(([name, value]) => canonical((Object.hasOwn(data, name) ? data[name] : null) ?? null) === canonical(value));

/** Cursors name their epoch, user and scope, and a place in each space by the number of the membership. */
const checksum = (userId, text) => rowHash(null, userId, text, 0).toString(36);
const issue = (userId, position) => {
  const text = JSON.stringify(position);
  return `${text} ${checksum(userId, text)}`;
};

function accept(userId, cursor, { epoch, generation, scope }) {
  const end = cursor.lastIndexOf(" ");
  const text = cursor.slice(0, end);
  if (end < 0 || cursor.slice(end + 1) !== checksum(userId, text)) throw gone("cursorExpired", "The cursor is not one that this server issued to this user.");
  const position = JSON.parse(text);
  if (position.epoch !== epoch) throw gone("epochChanged", "The server was restored since the cursor was issued.");
  if (position.generation !== generation) throw gone("cursorExpired", "The server has forgotten its cursors.");
  if (position.scope !== scope) throw gone("scopeChanged", "The cursor was issued for other `entities` or another `scope`.");
  return position;
}

/** Where a pull is in one space: it has told everything up to `after`, and is a snapshot up to `liveUntil`. */
function enter(number, space, role, place, isAlone) {
  const reading = { number, space, role, isNew: false, after: 0, liveUntil: space.version };
  if (place !== undefined) {
    const [after, liveUntil] = place;
    const furthest = Math.max(after, liveUntil);
    if (furthest > space.version) throw gone("epochChanged", "The cursor is ahead of the server, which must have been restored.");
    if (furthest >= space.floor) return { ...reading, after, liveUntil };
    if (isAlone) throw gone("cursorExpired", "The cursor is older than the deletions that the server still knows.");
  }
  return { ...reading, isNew: true };
}

const isLeft = (reading, entities) => (row) =>
  row.version > reading.after && !(row.deleted && row.version <= reading.liveUntil) && (entities?.includes(row.entity) ?? true);

/** Returns the rows of one page, and whose turn is next if any are left. */
function read(readings, { entities, fields }, from, limit) {
  const changes = [];
  const first = Math.max(0, readings.findIndex(({ number }) => number >= from.turn));
  // The last turn is the rest of the space whose turn began on an earlier page.
  turns: for (let turn = 0; turn <= readings.length; turn++) {
    const reading = readings[(first + turn) % readings.length];
    const { number, space, liveUntil } = reading;
    const began = turn === 0 && number === from.turn && from.until > 0 && readings.length > 1;
    const until = began ? from.until : space.version;
    const full = { changes, next: { turn: number, until } };
    let rest = [...space.rows.values()].filter(isLeft(reading, entities));
    while (rest.length > 0) {
      const room = limit - changes.length;
      if (room === 0) return full;
      for (const row of rest.slice(0, room)) {
        if (row.version > until) continue turns;
        reading.after = row.version;
        if (reading.liveUntil <= row.version) reading.liveUntil = 0;
        const isInside = fields === undefined || row.deleted || isReserved(row.entity) || matches(fields, row.data);
        // In a snapshot, the client has no row yet that could have left the scope.
        if (isInside || row.version > liveUntil) changes.push({ space, row, isInside });
      }
      rest = rest.slice(room);
      // A scope that has matched nothing yet reads on.
      if (rest.length > 0 && !(fields !== undefined && changes.length === 0)) return full;
    }
    Object.assign(reading, { after: space.version, liveUntil: 0 });
  }
  return { changes, next: undefined };
}

/** Returns a row as a page has it. */
function onTheWire(memory, userId, { space, row, isInside }) {
  const { entity, id, version, data } = row;
  const change = { entity, id, version, ...(space.id === null ? {} : { space: space.id }) };
  if (!isInside) return { ...change, deleted: true, reason: "scope" };
  if (!row.deleted) return { ...change, data: copy(data) };
  const found = memory.follow(row, userId);
  return { ...change, deleted: true, ...(found?.readable ? { movedTo: { space: found.id, version: found.row.version } } : {}) };
}

/** Returns a page. `generation` changes when the remote forgets its cursors. */
export function pull(memory, generation, request) {
  const { clientId, userId, cursor, limit, epoch } = request;
  if (!isId(clientId)) throw badRequest("`clientId` must be 1 to 512 bytes of text without control characters.");
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= MAX_ROWS)) throw badRequest(`\`limit\` must be 1 to ${MAX_ROWS}.`);
  if (!isAbsent(cursor) && typeof cursor !== "string") throw badRequest("`cursor` must be text or null.");
  const scope = readScope(request);
  const bound = { epoch: memory.epoch, generation, scope: canonical([scope.entities ?? null, scope.fields?.sort() ?? null]) };
  const isFirst = isAbsent(cursor);
  const from = isFirst ? { revision: undefined, places: {}, turn: 0, until: 0 } : accept(userId, cursor, bound);
  const joined = memory.joined(userId);
  const { revision } = memory.user(userId);
  const readings = [{ number: 0, space: memory.own(userId), role: "owner" }, ...joined]
    .map(({ number, space, role }) => enter(number, space, role, from.places[number], joined.length === 0))
    .sort((a, b) => a.number - b.number);

  const { changes, next } = read(readings, scope, from, limit);
  const remaining = readings.reduce((sum, reading) => sum + [...reading.space.rows.values()].filter(isLeft(reading, scope.entities)).length, 0);
  const isOther = !isAbsent(epoch) && epoch !== memory.epoch;
  const kept = ({ id }) => (isOther ? memory.kept(userId, id, epoch) : undefined);
  const starts = readings.filter(({ isNew }) => isNew).map(({ space }) => ({ space: space.id ?? undefined, at: space.version, kept: kept(space) }));
  const isListed = isFirst || request.spaces === true || from.revision !== revision;
  const isLast = next === undefined;
  return copy({
    cursor: issue(userId, { ...bound, revision, places: Object.fromEntries(readings.map(({ number, after, liveUntil }) => [number, [after, liveUntil]])), turn: 0, until: 0, ...next }),
    more: !isLast,
    changes: changes.map((change) => onTheWire(memory, userId, change)),
    spaces: isListed ? joined.map(({ id, role }) => ({ id, role })) : undefined,
    starts: starts.length > 0 ? starts : undefined,
    remaining: scope.fields === undefined ? remaining : undefined,
    digests: isLast && scope.fields === undefined ? memory.digests(userId, scope.entities) : undefined,
    epoch: memory.epoch,
    kept: kept(memory.own(userId)),
  });
}
