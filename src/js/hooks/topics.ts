/** What can be watched, each with the key by which components share it. */

import type { Conflict, Datum, DeadLetter, Entity, Manager, SyncStatus } from "datum-sync";
import { follow, followList, type ListSource, type Sink, type Stop } from "./feed.js";
import { isSameJson } from "./state.js";
import type { EntityReadOptions, EntitySource, QueryReadOptions, QuerySource } from "./types.js";

/** Something to watch. Topics with one key are the same. */
export interface Topic<T> {
  readonly key: string;
  /** Whose it is; undefined for the current user's. */
  readonly userId: string | undefined;
  /** What has no user, and nothing else to wait for but the instance. */
  readonly isOfNobody?: boolean;
  /** Nothing is asked for. */
  readonly isIdle?: boolean;
  /** Returns the value, if it can be had without waiting. */
  peek?(datum: Datum<any>, userId: string): T | undefined;
  /** Whether two values are the same, of a feed that may repeat itself. */
  isSame?(a: T, b: T): boolean;
  start(datum: Datum<any>, userId: string, sink: Sink<T>): Stop;
}

const nameOf = (entity: EntitySource<any>): string => (typeof entity === "string" ? entity : entity.entity);

/** The options that the engine takes, without the hook's own. */
function reads<O extends object>(options: O | undefined, names: readonly (keyof O)[]): O {
  return Object.fromEntries(names.filter((name) => options?.[name] !== undefined).map((name) => [name, options?.[name]])) as O;
}

interface QueryManager<T> {
  watchQuery(query: unknown, options: object): AsyncIterable<readonly T[]>;
}

/** The query as a plain object: a builder's own, with what the options say of it. */
function plainQuery(query: QuerySource | null | undefined, options: QueryReadOptions | undefined): object {
  const plain = query === null || query === undefined ? {} : "toJSON" in query && typeof query.toJSON === "function" ? (query.toJSON() as object) : query;
  return { ...reads(options, ["includeDeleted", "with"]), ...plain };
}

/** The entities of a type; with a query, those that it finds. */
export function queryTopic<T extends Entity>(entity: EntitySource<T>, query?: QuerySource | null, options?: QueryReadOptions): Topic<readonly Readonly<T>[]> {
  const name = nameOf(entity);
  const read = reads(options, ["userId", "spaceId", "withSyncState"]);
  return {
    key: JSON.stringify(["query", name, query ?? null, read.userId, read.spaceId, read.withSyncState, options?.includeDeleted, options?.with]),
    userId: read.userId,
    start(datum, userId, sink) {
      const manager = datum.manager(name) as Manager<T>;
      const isAll = (query === undefined || query === null) && read.withSyncState === undefined;
      if (isAll) return follow(manager.watchAll({ ...reads(options, ["spaceId", "includeDeleted", "with"]), userId }), sink);
      return follow((manager as unknown as QueryManager<Readonly<T>>).watchQuery(plainQuery(query, options), { ...read, userId }), sink);
    },
  };
}

/** One entity. Without an id there is nothing to watch. */
export function entityTopic<T extends Entity>(entity: EntitySource<T>, id: string | null | undefined, options?: EntityReadOptions): Topic<Readonly<T> | null> {
  const name = nameOf(entity);
  const read = reads(options, ["userId", "spaceId", "withSyncState", "with"]);
  return {
    key: JSON.stringify(["entity", name, id ?? null, read.userId, read.spaceId, read.withSyncState, read.with]),
    userId: read.userId,
    isIdle: id === null || id === undefined,
    start: (datum, userId, sink) => follow((datum.manager(name) as Manager<T>).watchById(id ?? "", { ...read, userId }), sink),
  };
}

/** The status of a user's sync. */
export function statusTopic(userId?: string): Topic<SyncStatus> {
  return {
    key: JSON.stringify(["status", userId]),
    userId,
    peek: (datum, userId) => datum.statusForUser(userId).current,
    isSame: isSameJson,
    start: (datum, userId, sink) => follow(datum.statusForUser(userId), sink),
  };
}

const CONFLICTS: ListSource<Conflict> = {
  read: (datum, userId) => datum.conflicts(userId),
  count: (status) => status.unresolvedConflicts,
  events: ["conflictDetected", "conflictResolved"],
  hasEntities: true,
};

const DEAD_LETTERS: ListSource<DeadLetter> = {
  read: (datum, userId) => datum.deadLetters(userId),
  count: (status) => status.deadLetters,
  events: ["deadLetter"],
  hasEntities: false,
};

const listTopic = <T>(name: string, source: ListSource<T>, userId: string | undefined): Topic<readonly T[]> => ({
  key: JSON.stringify([name, userId]),
  userId,
  isSame: isSameJson,
  start: (datum, userId, sink) => followList(source, datum, userId, sink),
});

/** The undecided conflicts. */
export const conflictsTopic = (userId?: string) => listTopic("conflicts", CONFLICTS, userId);
/** The operations that the remote has rejected. */
export const deadLettersTopic = (userId?: string) => listTopic("deadLetters", DEAD_LETTERS, userId);

/** Who is signed in. */
export const CURRENT_USER: Topic<string | null> = {
  key: "user",
  userId: undefined,
  isOfNobody: true,
  peek: (datum) => datum.currentUserId,
  start: (datum, _, sink) => follow(datum.watchCurrentUser(), sink),
};
