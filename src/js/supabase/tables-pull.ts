import { DatumError, type Change, type PullPage, type PullRequest } from "datum-sync";
import { NONE, counted, onTheWire } from "../digest.js";
import type { Builder, Client } from "./client.js";
import type { Mapping, Row } from "./columns.js";
import type { Answer } from "./exchange.js";
import { reply } from "./failure.js";
import type { Account } from "./session.js";
import type { Digests } from "./tables-metadata.js";

/** Where a pull stands in a table: after this row, or, from the beginning of a cycle, at this time. */
interface Place {
  at?: string;
  id?: string;
}

/** A cursor: the places, the greatest times that were seen, what is left of the cycle, and when ids were last compared. */
interface Cursor {
  user: string;
  places: Record<string, Place>;
  seen: Record<string, string>;
  left: string[];
  isFull: boolean;
  compared: number;
}

/** A value in PostgREST's `or`. */
const quoted = (value: string) => `"${value.replace(/["\\]/g, "\\$&")}"`;

/** Pulls rows by time and id. */
export class Puller {
  constructor(
    private client: Client,
    private account: Account,
    private mappings: ReadonlyMap<string, Mapping>,
    private overlap: number,
    private reconcile: number,
  ) {}

  async pull(request: PullRequest, signal: AbortSignal): Promise<PullPage> {
    if ("scope" in request && request.scope) throw new DatumError("protocol", "`tables` cannot select by a scope's `query`; name `entities` instead.", { status: 400 });
    const cursor = this.#read(request);
    if (cursor.left.length === 0) this.#begin(cursor, request);
    const changes: Change[] = [];
    let remaining = 0;
    let now = Date.now();
    while (cursor.left.length > 0 && changes.length < request.limit) {
      const [entity] = cursor.left;
      const mapping = this.mappings.get(entity!)!;
      const page = await this.#page(mapping, cursor, request, request.limit - changes.length, signal);
      now = page.now;
      for (const row of page.rows) changes.push(this.#change(mapping, row));
      // A page of a cut length says nothing of the rest: the count does, and where it is not asked for, an empty page.
      const isEnd = page.rows.length === 0 || (page.total !== undefined && page.rows.length >= page.total);
      if (isEnd) cursor.left.shift();
      else if (page.total !== undefined) remaining = page.total - page.rows.length;
      if (!isEnd && changes.length >= request.limit) break;
    }
    const more = cursor.left.length > 0;
    const page: PullPage = { cursor: "", more, changes };
    if (cursor.left.length === 1 && remaining > 0) page.remaining = remaining;
    if (!more) {
      if (cursor.isFull) cursor.compared = Date.now();
      else if (Math.abs(Date.now() - cursor.compared) > this.reconcile) {
        page.digests = await this.digests(request.userId, this.#entities(request), signal);
        cursor.compared = Date.now();
      }
      this.#end(cursor, request, now);
    }
    page.cursor = JSON.stringify(cursor);
    page.serverTime = new Date(now).toISOString();
    return page;
  }

  #entities({ entities }: PullRequest): string[] {
    return [...(entities ?? this.mappings.keys())];
  }

  #read(request: PullRequest): Cursor {
    const { cursor, userId } = request;
    const names = this.#entities(request);
    const unknown = names.find((name) => !this.mappings.has(name));
    if (unknown !== undefined) throw new DatumError("protocol", `\`tables.entities\` does not name "${unknown}"; give it a table.`, { status: 400 });
    if (cursor === null) return { user: userId, places: {}, seen: {}, left: names, isFull: true, compared: 0 };
    try {
      const read = JSON.parse(cursor) as Cursor;
      if (read.user === userId && Array.isArray(read.left) && read.left.every((name) => this.mappings.has(name))) return read;
    } catch {
      // Of another remote.
    }
    throw Object.assign(new Error("The cursor is of another remote."), { status: 410 });
  }

  #begin(cursor: Cursor, request: PullRequest): void {
    cursor.left = this.#entities(request);
    cursor.isFull = false;
    // A table that came later is pulled from its beginning.
    for (const entity of cursor.left) cursor.places[entity] ??= {};
  }

  /** The next cycle looks back, from the latest row or, if that is dated later, from the server's time. */
  #end(cursor: Cursor, request: PullRequest, now: number): void {
    for (const entity of this.#entities(request)) {
      const at = cursor.seen[entity];
      cursor.places[entity] = { at: new Date(Math.min(at === undefined ? now : msOf(at), now) - this.overlap).toISOString() };
    }
  }

  async #page(mapping: Mapping, cursor: Cursor, { userId }: PullRequest, limit: number, signal: AbortSignal) {
    const { entity, table, id, modifiedAt } = mapping;
    const place = cursor.places[entity] ?? {};
    const isCounted = place.at !== undefined && !cursor.isFull;
    const answer = await this.account.ask(
      userId,
      () => {
        let query = this.client.from(table).select("*", isCounted ? { count: "exact" } : {});
        if (mapping.userId !== null) query = query.eq(mapping.userId, userId);
        if (place.at !== undefined && place.id !== undefined) {
          const [at, after] = [quoted(place.at), quoted(place.id)];
          query = query.or(`${modifiedAt}.gt.${at},and(${modifiedAt}.eq.${at},${id}.gt.${after})`);
        } else if (place.at !== undefined) query = query.gte(modifiedAt, place.at);
        return query.order(modifiedAt, { ascending: true }).order(id, { ascending: true }).limit(limit) as unknown as Builder;
      },
      signal,
    );
    const rows = reply(answer, table) as Row[];
    const last = rows.at(-1);
    if (last !== undefined) {
      const at = String(last[modifiedAt]);
      if (Number.isNaN(msOf(at))) throw new DatumError("protocol", `${table}.${modifiedAt} of the row ${String(last[id])} is no time (${at}); make the column \`timestamptz not null\`.`);
      cursor.places[entity] = { at, id: String(last[id]) };
      if (!(msOf(cursor.seen[entity] ?? "") > msOf(at))) cursor.seen[entity] = at;
    }
    return { rows, total: isCounted ? total(answer) : undefined, now: Date.parse(answer.header("date") ?? "") || Date.now() };
  }

  #change(mapping: Mapping, row: Row): Change {
    const change: Change = { entity: mapping.entity, id: String(row[mapping.id]), version: mapping.versionOf(row) };
    return mapping.isLive(row) ? { ...change, data: mapping.fields(row) } : { ...change, deleted: true };
  }

  /** The digests of all live rows, from their ids and versions. */
  async digests(userId: string, entities: Iterable<string>, signal?: AbortSignal): Promise<Digests> {
    const digests: Digests = {};
    for (const name of entities) {
      const { entity, table, id, version, userId: owner, isDeleted } = this.mappings.get(name)!;
      let sum = NONE;
      for (let after: string | undefined; ; ) {
        const build = () => {
          let query = this.client.from(table).select(`${id},${version}`);
          if (owner !== null) query = query.eq(owner, userId);
          // Null counts as false, as it does in a page.
          if (isDeleted !== null) query = query.not(isDeleted, "is", true);
          if (after !== undefined) query = query.gt(id, after);
          return query.order(id, { ascending: true }).limit(10_000) as unknown as Builder;
        };
        const rows = reply(await this.account.ask(userId, build, signal), table) as Row[];
        for (const row of rows) sum = counted(sum, 1, null, { entity, id: String(row[id]), version: Number(row[version]) });
        const last = rows.at(-1);
        if (last === undefined) break;
        after = String(last[id]);
      }
      digests[entity] = onTheWire(sum);
    }
    return digests;
  }
}

/** The milliseconds of a time; one without a zone is in UTC, as PostgreSQL's are here. */
const msOf = (at: string) => Date.parse(/(Z|[+-]\d\d(:?\d\d)?)$/.test(at) ? at : `${at}Z`);

/** How many rows match, by `Content-Range: 0-24/3573`. */
function total(answer: Answer): number | undefined {
  const count = /\/(\d+)$/.exec(answer.header("content-range") ?? "")?.[1];
  return count === undefined ? undefined : Number(count);
}
