import { DatumError, type Json } from "datum-sync";

/** A row as the API has it. */
export type Row = Record<string, Json>;

/** What `list` is asked for. */
export interface ListQuery {
  /** Rows that were changed at this time or later; null: all. ISO 8601 in UTC. Rows that come twice are no harm, rows that are left out are lost. */
  since: string | null;
  /** The same in milliseconds since 1970. */
  sinceMs: number | null;
  /** The last row of the page before, for an API that can go on behind a time and an id; null at the beginning. */
  after: { updatedAt: string; id: string } | null;
  /** What the page before has returned as `next`; null at the beginning. */
  next: Json;
  /** How many rows a page should have. */
  limit: number;
  /** Aborts when the cycle is stopped. */
  signal: AbortSignal;
}

/** What a function of an entity is given beside its row. */
export interface RestCall {
  /** Of the row that the write is made against, if the API sends ETags. */
  ifMatch: string | null;
  /** The value of the API's own version field that the write is made against, if there is one; null for a new row. */
  version: number | null;
  signal: AbortSignal;
}

/** What a function may return: a `Response` of `fetch`, or what the API's client gives: the body as JSON. */
export type Answered = Response | Json | undefined | void | object;

/** How one entity type is read and written. */
export interface RestEntity {
  /**
   * Returns rows in the order of `updatedAt`: as a list, or as `{ rows, next }`, where `next` is what the next page is asked for with, and
   * null or absent at the end. With `next`, any order will do.
   */
  list(query: ListQuery): Answered | Promise<Answered>;
  /** Returns one row; a missing one is 404, or null. */
  get(id: string, call: { signal: AbortSignal }): Answered | Promise<Answered>;
  /** Creates a row with an id of the app's. One that is there already is 409 or 412. */
  create(row: Row, call: RestCall): Answered | Promise<Answered>;
  /** Changes fields of a row; with `replace`, all of it. */
  update(id: string, fields: Row, call: RestCall): Answered | Promise<Answered>;
  /** Deletes a row. Without it, rows are marked by the field `isDeleted`. */
  remove?(id: string, call: RestCall): Answered | Promise<Answered>;
  /** The field of the id, which the app chooses. Default `"id"`. */
  id?: string;
  /** The field of the time at which the API changed the row. Default `"updated_at"`. */
  updatedAt?: string;
  /** The field of the time of creation. Default `"created_at"`; null: the API has none. */
  createdAt?: string | null;
  /** A field with a number that grows with each write of a row. Without it, versions are the times of `updatedAt`. */
  version?: string;
  /** The API refuses a write whose `version` is not current (409 or 412), so no read is needed before it. Default false. */
  isConditional?: boolean;
  /** The field that marks a deleted row: true, or a time. Without it, deletions are only found by `compareEvery`. */
  isDeleted?: string;
  /** `update` is given the whole row, for an API that has PUT and no PATCH. Default false. */
  replace?: boolean;
  /** Makes the app's fields of a row, and a row of fields. Default: as they are. */
  fromRow?(row: Row): Row;
  toRow?(fields: Row): Row;
}

/** Options of {@link restRemote}. */
export interface RestRemoteOptions {
  entities: Record<string, RestEntity>;
  /** Names the API and its data: another name is another server. Default `"rest"`. */
  serverId?: string;
  /** Returns the user whose session the requests have, to refuse the data of another one. Default: not compared. */
  userId?: () => string | null | undefined | Promise<string | null | undefined>;
  /** How far a pull looks back for rows that were committed late, in milliseconds. Default 60,000. */
  overlap?: number;
  /**
   * How often a pull also lists all rows and compares, in milliseconds; a difference is repaired by one full pull. It finds deletions where the API has no
   * marks of them, and rows that came later than `overlap`. Default false: never.
   */
  compareEvery?: number | false;
}

const FUNCTIONS = ["list", "get", "create", "update"] as const;
const TEXTS = ["id", "updatedAt", "version", "isDeleted"] as const;
const KNOWN: readonly string[] = [...FUNCTIONS, ...TEXTS, "remove", "createdAt", "isConditional", "replace", "fromRow", "toRow"];

/** Refuses options that are wrong, by name. */
export function checkOptions(options: RestRemoteOptions): void {
  const refuse = (what: string): never => {
    throw new DatumError("invalidConfig", `restRemote: ${what}`);
  };
  if (typeof options?.entities !== "object" || options.entities === null || Object.keys(options.entities).length === 0) refuse("`entities` must name at least one entity type.");
  for (const name of Object.keys(options)) if (!["entities", "serverId", "userId", "overlap", "compareEvery"].includes(name)) refuse(`there is no option \`${name}\`.`);
  const isTime = (value: unknown) => typeof value === "number" && value >= 0 && Number.isFinite(value);
  if (options.overlap !== undefined && !isTime(options.overlap)) refuse("`overlap` must be milliseconds.");
  if (options.compareEvery !== undefined && options.compareEvery !== false && !isTime(options.compareEvery)) refuse("`compareEvery` must be milliseconds or false.");
  for (const [name, entity] of Object.entries(options.entities)) {
    for (const key of FUNCTIONS) if (typeof entity?.[key] !== "function") refuse(`\`entities.${name}.${key}\` must be a function.`);
    for (const key of TEXTS) if (entity[key] !== undefined && (typeof entity[key] !== "string" || entity[key] === "")) refuse(`\`entities.${name}.${key}\` must be the name of a field.`);
    for (const key of Object.keys(entity)) if (!KNOWN.includes(key)) refuse(`\`entities.${name}\` has no option \`${key}\`.`);
    if (entity.remove === undefined && entity.isDeleted === undefined) refuse(`\`entities.${name}\` needs \`remove\`, or \`isDeleted\` for the field that marks a deleted row.`);
    if (entity.isConditional === true && entity.version === undefined) refuse(`\`entities.${name}.isConditional\` needs \`version\`, the field that the API compares.`);
  }
}
