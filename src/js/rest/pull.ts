import { DatumError, type Change, type Json, type PullPage, type PullRequest } from "datum-sync";
import { NONE, counted, onTheWire } from "../digest.js";
import { ask, failure, isSuccess, type ApiAnswer } from "./answer.js";
import { microsOf, type Mapping, type ReadRow } from "./mapping.js";

/** Rows of the look back that a cursor remembers, so that they are not told again. */
const MOST_REMEMBERED = 400;
/** The largest page that is asked for where more rows than fit have one time. */
const LARGEST_PAGE = 20_000;
/** How many pages are asked for until one of them brings something new; then the pull goes on with another request of the engine's. */
const PAGES_AT_ONCE = 20;
/** How many pages in a row may bring nothing new. */
const MOST_IDLE_PAGES = 2_000;
/** How often rows are listed again that change while they are listed. */
const MOST_LISTINGS = 3;

/** Where a pull stands in an entity type. */
interface Place {
  /** The time up to which everything was pulled, but for what is committed late. */
  high?: number;
  /** Of this cycle: rows of this time and later are left, in milliseconds; absent: all. */
  since?: number;
  after?: { updatedAt: string; id: string };
  next?: Json;
  /** The greatest time that was seen, and when the API began to list, by its own clock. */
  seen?: number;
  began?: number;
  /** How many pages have brought nothing new, and how large pages are where the last ones did not get on. */
  idle?: number;
  size?: number;
  /** How often the rows have been listed again, since some changed meanwhile. */
  again?: number;
}

/** A row that may come again: its version, and its time. */
type Known = [version: number, at: number];

/** A cursor: the user, the places, what is left of the cycle, the rows that may come again, by type, and when contents were last compared. */
interface Cursor {
  user: string;
  places: Record<string, Place>;
  left: string[];
  recent: Record<string, Record<string, Known>>;
  compared: number;
}

/** Pulls rows by the time at which the API changed them. */
export class Puller {
  constructor(
    private mappings: ReadonlyMap<string, Mapping>,
    private overlap: number,
    private compareEvery: number | false,
  ) {}

  async pull(request: PullRequest, signal: AbortSignal): Promise<PullPage> {
    if ("scope" in request && request.scope) throw new DatumError("protocol", "restRemote cannot select by a scope's `query`; name `entities` instead.", { status: 400 });
    const cursor = this.#read(request);
    if (cursor.left.length === 0) this.#begin(cursor, request);
    const changes: Change[] = [];
    let now: number | undefined;
    for (let asked = 0; cursor.left.length > 0 && changes.length === 0 && asked < PAGES_AT_ONCE; asked++) {
      const mapping = this.mappings.get(cursor.left[0]!)!;
      const place = (cursor.places[mapping.name] ??= {});
      const page = await this.#page(mapping, place, request.limit, signal);
      now = page.now ?? now;
      changes.push(...this.#fresh(mapping, cursor, page.rows));
      if (page.isEnd) {
        this.#end(mapping, cursor);
        cursor.left.shift();
      } else {
        place.idle = changes.length > 0 ? 0 : (place.idle ?? 0) + 1;
        if (place.idle > MOST_IDLE_PAGES) throw endless(mapping);
      }
    }
    const more = cursor.left.length > 0;
    const page: PullPage = { cursor: "", more, changes };
    if (now !== undefined) page.serverTime = new Date(now).toISOString();
    if (!more && this.compareEvery !== false && Math.abs(Date.now() - cursor.compared) >= this.compareEvery) {
      page.digests = await this.#digests(this.#entities(request), signal);
      cursor.compared = Date.now();
    }
    page.cursor = JSON.stringify(cursor);
    return page;
  }

  /** A cycle looks back from where the last one ended. */
  #begin(cursor: Cursor, request: PullRequest): void {
    cursor.left = this.#entities(request);
    for (const name of cursor.left) {
      const high = cursor.places[name]?.high;
      cursor.places[name] = high === undefined ? {} : { high, since: high - this.overlap };
    }
  }

  #entities({ entities }: PullRequest): string[] {
    return [...(entities ?? this.mappings.keys())];
  }

  #read(request: PullRequest): Cursor {
    const { cursor, userId } = request;
    const names = this.#entities(request);
    const unknown = names.find((name) => !this.mappings.has(name));
    if (unknown !== undefined) throw new DatumError("protocol", `\`entities\` of restRemote does not name "${unknown}".`, { status: 400 });
    // A pull of everything needs no comparison.
    if (cursor === null) return { user: userId, places: {}, left: names, recent: {}, compared: Date.now() };
    try {
      const read = JSON.parse(cursor) as Cursor;
      const isPlain = (value: unknown) => typeof value === "object" && value !== null;
      if (read.user === userId && isPlain(read.places) && isPlain(read.recent) && Array.isArray(read.left) && read.left.every((name) => this.mappings.has(name))) return read;
    } catch {
      // Of another remote.
    }
    throw Object.assign(new Error("The cursor is of another remote."), { status: 410 });
  }

  /** Returns a page from a place, and moves the place behind it. */
  async #page(mapping: Mapping, place: Place, limit: number, signal: AbortSignal): Promise<{ rows: ReadRow[]; isEnd: boolean; now: number | undefined }> {
    for (let size = Math.max(limit, place.size ?? 0); ; ) {
      // A millisecond more: the API may leave out rows of that very time.
      const sinceMs = place.since === undefined ? null : Math.max(0, place.since - 1);
      const query = { since: sinceMs === null ? null : new Date(sinceMs).toISOString(), sinceMs, after: place.after ?? null, next: place.next ?? null, limit: size, signal };
      const began = Date.now();
      const answer = await ask(mapping.name, "list", signal, () => mapping.entity.list(query));
      // Rows that are deleted meanwhile take the last of the pages that have numbers with them.
      if (answer.status === 404 && place.next !== undefined && beginsAgain(place)) return { rows: [], isEnd: false, now: answer.now };
      const { list, next } = listed(answer, mapping.name);
      const rows = list.map((row) => mapping.read(row));
      place.began ??= answer.now ?? began;
      for (const { at } of rows) if (!Number.isNaN(at)) place.seen = Math.max(place.seen ?? 0, at);
      const now = answer.now;
      if (next !== undefined && next !== null) {
        if (JSON.stringify(next) === JSON.stringify(place.next)) throw new DatumError("protocol", `\`list\` of "${mapping.name}" returned the \`next\` that it was asked with: the same page would come for ever.`, { entity: mapping.name });
        place.next = next;
        return { rows, isEnd: false, now };
      }
      // A row that moves to the end moves the others over the edges of pages that have numbers: one may have been passed by.
      if (place.next !== undefined && (place.seen ?? 0) >= place.began && beginsAgain(place)) return { rows, isEnd: false, now };
      if (place.next !== undefined || next === null || rows.length === 0) return { rows, isEnd: true, now };
      inOrder(mapping, rows);
      const last = rows.at(-1)!;
      if (place.after !== undefined && isIgnored(mapping, place.after, rows) && last.at <= place.since!) {
        if (rows.length < size) return { rows, isEnd: true, now };
        // More rows of one time than a page has: a larger page has the others.
        if (size >= LARGEST_PAGE) throw crowded(mapping, last, size);
        size = Math.min(size * 4, LARGEST_PAGE);
        place.size = size;
        continue;
      }
      place.since = last.at;
      place.after = { updatedAt: String(last.row[mapping.updatedAt]), id: last.id };
      return { rows, isEnd: false, now };
    }
  }

  /** Leaves out what has been told, and remembers what may come again with the next page or the next look back. */
  #fresh(mapping: Mapping, { recent, places }: Cursor, rows: readonly ReadRow[]): Change[] {
    const known = new Map(Object.entries(recent[mapping.name] ?? {}));
    const fresh = rows.filter(({ id, version }) => known.get(id)?.[0] !== version);
    for (const { id, version, at } of fresh) known.set(id, [version, at]);
    const { seen = 0, began = seen } = places[mapping.name] ?? {};
    const from = Math.min(seen, began) - this.overlap - 1;
    const kept = [...known].filter(([, [, at]]) => at >= from).sort(([, [, one]], [, [, two]]) => one - two);
    // Too many to carry along come again, which costs and does no harm.
    recent[mapping.name] = Object.fromEntries(kept.slice(-MOST_REMEMBERED));
    return fresh.map(({ id, version, isDeleted, row }) => ({ entity: mapping.name, id, version, ...(isDeleted ? { deleted: true } : { data: mapping.fields(row) }) }));
  }

  /** A row that is dated later than the listing began must not hide others: a clock may be wrong, a transaction may still run. */
  #end(mapping: Mapping, { places }: Cursor): void {
    const { high, seen, began } = places[mapping.name]!;
    const end = seen === undefined ? high : Math.max(high ?? 0, Math.min(seen, began ?? seen));
    places[mapping.name] = end === undefined ? {} : { high: end };
  }

  /** The digests of all live rows. */
  async #digests(entities: readonly string[], signal: AbortSignal): Promise<NonNullable<PullPage["digests"]>> {
    const digests: NonNullable<PullPage["digests"]> = {};
    for (const name of entities) {
      const mapping = this.mappings.get(name)!;
      const versions = new Map<string, ReadRow>();
      const place: Place = {};
      for (let isEnd = false, idle = 0; !isEnd; ) {
        const page = await this.#page(mapping, place, 1_000, signal);
        const before = versions.size;
        for (const row of page.rows) if (!((versions.get(row.id)?.version ?? 0) > row.version)) versions.set(row.id, row);
        isEnd = page.isEnd;
        if (versions.size === before && ++idle > MOST_IDLE_PAGES) throw endless(mapping);
      }
      const live = [...versions.values()].filter(({ isDeleted }) => !isDeleted);
      digests[name] = onTheWire(live.reduce((sum, { id, version }) => counted(sum, 1, null, { entity: name, id, version }), NONE));
    }
    return digests;
  }
}

/** Lists a type's rows again from their first page, unless that was done too often. */
function beginsAgain(place: Place): boolean {
  if ((place.again ?? 0) >= MOST_LISTINGS) return false;
  place.again = (place.again ?? 0) + 1;
  delete place.next;
  delete place.began;
  return true;
}

/** Returns the rows of an answer, and where it goes on: undefined if it does not say. */
function listed(answer: ApiAnswer, entity: string): { list: Json[]; next: Json | undefined } {
  // Not modified: nothing is new.
  if (answer.status === 304 || answer.status === 204) return { list: [], next: undefined };
  if (!isSuccess(answer)) throw answer.status === 410 ? Object.assign(new Error("The API has forgotten the place."), { status: 410 }) : failure(answer);
  const { body } = answer;
  if (Array.isArray(body)) return { list: body, next: undefined };
  const { rows, next } = (typeof body === "object" && body !== null ? body : {}) as { rows?: Json; next?: Json };
  if (Array.isArray(rows)) return { list: rows, next: next ?? null };
  const shown = body === undefined ? "nothing" : JSON.stringify(body).slice(0, 200);
  throw new DatumError("protocol", `\`list\` of "${entity}" must return a list of rows, or { rows, next }; it returned ${shown}.`, { entity });
}

/** Without `next`, a place is a time: rows in another order would be passed by. */
function inOrder(mapping: Mapping, rows: readonly ReadRow[]): void {
  const at = rows.findIndex((row, index) => index > 0 && row.at < rows[index - 1]!.at);
  if (at < 0) return;
  const [before, row] = [rows[at - 1]!, rows[at]!];
  const shown = (one: ReadRow) => `${one.id} (${String(one.row[mapping.updatedAt])})`;
  throw new DatumError("protocol", `\`list\` of "${mapping.name}" must return rows in the order of \`${mapping.updatedAt}\`, the oldest first: ${shown(row)} comes after ${shown(before)}. Or return \`next\`.`, { entity: mapping.name });
}

/** Whether rows are not only those behind `after`: the API does not go on there. */
function isIgnored({ updatedAt }: Mapping, after: { updatedAt: string; id: string }, rows: readonly ReadRow[]): boolean {
  return microsOf(rows[0]!.row[updatedAt]) < microsOf(after.updatedAt) || rows.some(({ id }) => id === after.id);
}

const endless = ({ name }: Mapping) =>
  new DatumError("protocol", `\`list\` of "${name}" has no end: ${MOST_IDLE_PAGES} pages brought nothing new. Return rows behind \`after\`, or \`next\` null at the end.`, { entity: name });
const crowded = ({ name, updatedAt }: Mapping, { row }: ReadRow, size: number) =>
  new DatumError("protocol", `"${name}" has more than ${size} rows of one time (${String(row[updatedAt])}), and \`list\` does not go on behind \`after\`. Use \`after\`, or return \`next\`.`, { entity: name });
