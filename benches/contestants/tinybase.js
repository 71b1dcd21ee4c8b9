// TinyBase: one request loads the store, and the whole store is saved to IndexedDB, awaited.
// https://tinybase.org/api/persister-remote/functions/creation/createremotepersister/, https://tinybase.org/api/persister-indexed-db/functions/creation/createindexeddbpersister/
// Its own sync (a MergeableStore over a WebSocket) works only with TinyBase's server.
import { createStore } from "tinybase/store";
import { createIndexedDbPersister } from "tinybase/persisters/persister-indexed-db";
import { createRemotePersister } from "tinybase/persisters/persister-remote";
import { tasks } from "../lib/data.mjs";

export async function open(name, { count = 0 }) {
  let loading = true;
  // The missing database at the first load is an error that TinyBase ignores; others count.
  const fail = (error) => loading || console.error(error);
  const store = createStore();
  const local = createIndexedDbPersister(store, name, undefined, fail);
  await local.load();
  loading = false;
  const put = ({ id, ...cells }) => store.setRow("tasks", id, cells);
  const createMany = async (list) => {
    store.transaction(() => list.forEach(put));
    await local.save();
  };
  return {
    async pull() {
      const remote = createRemotePersister(store, `/d/${count}/tinybase/load`, "/nowhere", undefined, fail);
      await remote.load();
      await local.save();
    },
    create: (task) => createMany([task]),
    createMany,
    async createEach(list) {
      await Promise.all(list.map((task) => createMany([task])));
    },
    fill: (all) => createMany(tasks(all)),
    readAll: () => Object.entries(store.getTable("tasks")).map(([id, cells]) => ({ id, ...cells })),
    readOne: (id) => ({ id, ...store.getRow("tasks", id) }),
    close: () => local.destroy(),
  };
}
