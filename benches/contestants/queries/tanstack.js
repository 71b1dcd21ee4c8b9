// TanStack DB: a collection in memory, and live queries. Nothing is durable, and there are no migrations.
// https://tanstack.com/db/latest/docs/guides/live-queries, https://tanstack.com/db/latest/docs/collections/local-only-collection
import { and, createCollection, createLiveQueryCollection, eq, gt, like, localOnlyCollectionOptions, lt } from "@tanstack/db";
import { tasks } from "../../lib/data.mjs";

export async function open() {
  let collection;
  const live = (query) => createLiveQueryCollection({ query, startSync: true });
  const once = async (query) => {
    const result = live(query);
    await result.preload();
    const rows = result.toArray;
    await result.cleanup();
    return rows;
  };
  const newest = (priority, before) => (q) =>
    q
      .from({ task: collection })
      .where(({ task }) => and(eq(task.priority, priority), lt(task.createdAt, before)))
      .orderBy(({ task }) => task.createdAt, "desc")
      .limit(50);
  return {
    async fill(count) {
      collection = createCollection(localOnlyCollectionOptions({ id: "tasks", getKey: (task) => task.id, initialData: tasks(count) }));
      await collection.preload();
    },
    newest: (priority, before) => once(newest(priority, before)),
    holding: (text) => once((q) => q.from({ task: collection }).where(({ task }) => like(task.title, `%${text}%`))),
    async watchNewest(priority, before, show) {
      const result = live(newest(priority, before));
      await result.preload();
      const subscription = result.subscribeChanges(() => show(result.toArray));
      show(result.toArray);
      return () => subscription.unsubscribe();
    },
    async retitle(id, title) {
      const change = collection.update(id, (task) => void (task.title = title));
      await change.isPersisted.promise;
    },
    pageAfter: (after) =>
      once((q) =>
        q
          .from({ task: collection })
          .where(({ task }) => gt(task.id, after))
          .orderBy(({ task }) => task.id)
          .limit(100),
      ),
    close: () => collection.cleanup(),
  };
}
