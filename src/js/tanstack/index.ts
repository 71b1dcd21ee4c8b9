/**
 * datum-sync under TanStack DB: a collection over the entities of one type, for its live queries, joins and optimistic writes.
 *
 * @packageDocumentation
 */

import type { BaseCollectionConfig, CollectionConfig, DeleteMutationFnParams, InsertMutationFnParams, SyncConfig, UpdateMutationFnParams, UtilsRecord } from "@tanstack/db";
import type { Changes, Draft, Entity, Manager, OptionalField, QuerySource } from "datum-sync";
import { Rows } from "./rows.js";
import { Subsets } from "./subsets.js";

/** The argument of {@link datumCollectionOptions}. */
export interface DatumCollectionConfig<T extends Entity> extends Pick<BaseCollectionConfig<T, string>, "id" | "gcTime" | "startSync" | "autoIndex" | "defaultIndexType" | "compare" | "syncMode"> {
  /** The entities. */
  manager: Manager<T>;
  /** Whose. Default: the current user when the collection starts; a collection does not follow a switch. */
  userId?: string;
  /** The entities of one space; null for the user's personal one. Default: all, and new ones in the personal one. */
  spaceId?: string | null;
  /**
   * Which of them: a query, or a builder of one. The collection has what it finds, and follows it; with a limit, the first ones. Without it, all. What
   * is inserted and does not match is stored, and leaves the collection once it is.
   */
  query?: QuerySource;
}

/**
 * Returns the options of a collection. Rows arrive as one batch for each commit or pulled page, and an unchanged one is the same object. What is
 * inserted, updated or deleted in one call is one atomic commit on this device, and optimistic until then: a promise `isPersisted` resolves once it is
 * stored, also offline. It is sent like any other write.
 *
 * @example
 * const tasks = createCollection(datumCollectionOptions({ manager: datum.manager("tasks") }));
 * await tasks.insert({ id: crypto.randomUUID(), title: "Buy milk", done: false }).isPersisted.promise;
 */
export function datumCollectionOptions<T extends Entity>({ manager, userId, spaceId, query, ...options }: DatumCollectionConfig<T>): CollectionConfig<T, string, never, UtilsRecord> & { utils: UtilsRecord } {
  const selected = { ...(userId !== undefined && { userId }), ...(spaceId !== undefined && { spaceId }) };
  const rows = new Rows<T>();
  if (query !== undefined && options.syncMode === "on-demand") throw new TypeError("datumCollectionOptions: with `syncMode: \"on-demand\"`, live queries say what is loaded; leave `query` out.");
  let subsets: Subsets<T> | undefined;
  /** Returns whether an entity is among those that the collection has. */
  const found = async (id: string) => {
    if (subsets === undefined) return query === undefined ? manager.exists(id, selected) : (await manager.query(query, selected)).some((entity) => entity.id === id);
    for (const filter of subsets.filters()) {
      const both = { and: [{ field: "id", equals: id }, ...(filter === undefined ? [] : [filter])] };
      if ((await manager.count({ where: both }, selected)) > 0) return true;
    }
    return false;
  };
  const seen = (entities: readonly Readonly<T>[]) => rows.seen(entities, found);

  const sync: SyncConfig<T, string>["sync"] = ({ begin, write, commit, markReady, markError }) => {
    const show = (list: readonly Readonly<T>[]) => {
      begin();
      rows.apply(list, write);
      const shown = commit();
      rows.tell();
      return shown;
    };
    const failed = (error: unknown) => console.error("datum-sync: a collection is not followed any more", error);
    if (options.syncMode === "on-demand") {
      rows.begin();
      const loading = new Subsets<T>({
        watch: (where) => manager.watchQuery(where === undefined ? {} : { where }, selected),
        show,
        ended: (error) => {
          rows.end();
          if (error !== undefined) failed(error);
        },
      });
      subsets = loading;
      markReady();
      const cleanup = () => {
        rows.end();
        loading.end();
      };
      return { cleanup, loadSubset: (request) => loading.load(request), unloadSubset: (request) => loading.unload(request) };
    }
    const feed: AsyncIterable<readonly Readonly<T>[]> = query === undefined ? manager.watchAll(selected) : manager.watchQuery(query, selected);
    const loop = feed[Symbol.asyncIterator]();
    let isReady = false;
    let isOver = false;
    rows.begin();
    const run = async () => {
      for (;;) {
        const step = await loop.next();
        if (isOver) return;
        if (step.done) return rows.end();
        void show(step.value);
        if (!isReady) markReady();
        isReady = true;
      }
    };
    run().catch((error: unknown) => {
      if (isOver) return;
      rows.end();
      if (isReady) failed(error);
      else markError(error);
    });
    return () => {
      isOver = true;
      rows.end();
      void Promise.resolve(loop.return?.()).catch(() => {});
    };
  };

  return {
    ...options,
    getKey: (entity) => entity.id,
    sync: { sync, rowUpdateMode: "full" },
    async onInsert({ transaction }: InsertMutationFnParams<T, string>) {
      const drafts = transaction.mutations.map(({ modified }) => modified as unknown as Draft<T>);
      await seen(await manager.createMany(drafts, selected));
    },
    async onUpdate({ transaction }: UpdateMutationFnParams<T, string>) {
      const patches = transaction.mutations.map(({ key, changes, original, modified }) => ({ id: key, changes: changes as Changes<T>, remove: missing(original, modified) as OptionalField<T>[] }));
      await seen(await manager.patchMany(patches, selected));
    },
    async onDelete({ transaction }: DeleteMutationFnParams<T, string>) {
      const ids = transaction.mutations.map(({ key }) => key);
      await manager.deleteMany(ids, selected);
      await rows.gone(ids);
    },
    utils: {},
  };
}

/** Returns the names of the fields that the second object lacks. */
const missing = (before: object, after: object): string[] => Object.keys(before).filter((name) => !Object.hasOwn(after, name) || (after as Record<string, unknown>)[name] === undefined);
