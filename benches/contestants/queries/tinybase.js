// TinyBase: the store in memory with an index, saved to IndexedDB after each change. It has no migrations.
// https://tinybase.org/api/indexes/interfaces/indexes/indexes/
import { createIndexes } from "tinybase/indexes";
import { createIndexedDbPersister } from "tinybase/persisters/persister-indexed-db";
import { createStore } from "tinybase/store";
import { tasks } from "../../lib/data.mjs";

export async function open(name) {
  const store = createStore();
  const local = createIndexedDbPersister(store, name, undefined, () => {});
  const indexes = createIndexes(store);
  indexes.setIndexDefinition("newest", "tasks", "priority", "createdAt");
  const row = (id) => ({ id, ...store.getRow("tasks", id) });
  const newest = (priority, before) => {
    const ids = indexes.getSliceRowIds("newest", String(priority));
    let end = ids.length;
    while (end > 0 && store.getCell("tasks", ids[end - 1], "createdAt") >= before) end -= 1;
    return ids.slice(Math.max(0, end - 50), end).reverse().map(row);
  };
  return {
    async fill(count) {
      store.transaction(() => tasks(count).forEach(({ id, ...cells }) => store.setRow("tasks", id, cells)));
      await local.save();
    },
    newest,
    holding: (text) => store.getRowIds("tasks").filter((id) => store.getCell("tasks", id, "title").includes(text)).map(row),
    async watchNewest(priority, before, show) {
      const listener = store.addRowListener("tasks", null, () => show(newest(priority, before)));
      show(newest(priority, before));
      return () => store.delListener(listener);
    },
    async retitle(id, title) {
      store.setCell("tasks", id, "title", title);
      await local.save();
    },
    pageAfter(after) {
      const ids = store.getSortedRowIds("tasks");
      const first = ids.indexOf(after) + 1;
      return ids.slice(first, first + 100).map(row);
    },
    close: () => local.destroy(),
  };
}
