// IndexedDB without a library, the lower bound of the usual design: one record per entity, one transaction per page, awaiting
// only the transaction, relaxed durability, no secondary index.
// https://developer.mozilla.org/docs/Web/API/IDBDatabase/transaction (durability), and IDBTransaction.commit()
import { entity, pages } from "./protocol.js";
import { tasks } from "../lib/data.mjs";

const asPromise = (request) => new Promise((resolve, reject) => ((request.onsuccess = () => resolve(request.result)), (request.onerror = () => reject(request.error))));

export async function open(name, options) {
  const { durability = "relaxed" } = options;
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("tasks", { keyPath: "id" });
    opening.result.createObjectStore("outbox", { autoIncrement: true });
    opening.result.createObjectStore("meta");
  };
  const database = await asPromise(opening);
  const write = (stores, work) =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(stores, "readwrite", { durability });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(...stores.map((store) => transaction.objectStore(store)));
      transaction.commit();
    });
  return {
    async pull() {
      for await (const { rows, cursor } of pages(options)) {
        await write(["tasks", "meta"], (store, meta) => {
          for (const row of rows) store.put(entity(row));
          meta.put(cursor, "cursor");
        });
      }
    },
    /** A single put: the minimal cost of a durable write. */
    create: (task) => write(["tasks"], (store) => store.put(task)),
    createMany: (list) =>
      write(["tasks", "outbox"], (store, outbox) => {
        for (const task of list) {
          store.put(task);
          outbox.put({ kind: "create", id: task.id, data: task });
        }
      }),
    fill: (count) => write(["tasks"], (store) => tasks(count).forEach((task) => store.put(task))),
    readAll: () => asPromise(database.transaction("tasks").objectStore("tasks").getAll()),
    readOne: (id) => asPromise(database.transaction("tasks").objectStore("tasks").get(id)),
    close: () => database.close(),
  };
}
