// Dexie with its bulk methods, and an outbox table written in the same transaction.
// https://dexie.org/docs/Table/Table.bulkPut() (bulk methods are the fast way to write many), https://dexie.org/docs/Tutorial/Best-Practices
// Durability is set explicitly, so that it is equal for all contestants: https://dexie.org/docs/Dexie/Dexie (chromeTransactionDurability)
import { Dexie } from "dexie";
import { entity, pages } from "./protocol.js";
import { tasks } from "../lib/data.mjs";

export async function open(name, options) {
  const database = new Dexie(name, { chromeTransactionDurability: options.durability ?? "relaxed" });
  database.version(1).stores({ tasks: "id", outbox: "++seq", meta: "key" });
  await database.open();
  const queued = (task) => ({ kind: "create", id: task.id, data: task });
  const create = (task) =>
    database.transaction("rw", database.tasks, database.outbox, async () => {
      await Promise.all([database.tasks.add(task), database.outbox.add(queued(task))]);
    });
  return {
    async pull() {
      for await (const { rows, cursor } of pages(options)) {
        await database.transaction("rw", database.tasks, database.meta, async () => {
          await Promise.all([database.tasks.bulkPut(rows.map(entity)), database.meta.put({ key: "cursor", cursor })]);
        });
      }
    },
    create,
    createMany: (list) =>
      database.transaction("rw", database.tasks, database.outbox, async () => {
        await Promise.all([database.tasks.bulkAdd(list), database.outbox.bulkAdd(list.map(queued))]);
      }),
    createEach: (list) => Promise.all(list.map(create)),
    fill: (count) => database.tasks.bulkAdd(tasks(count)),
    readAll: () => database.tasks.toArray(),
    readOne: (id) => database.tasks.get(id),
    close: () => database.close(),
  };
}
