// Dexie with a compound index, a live query and an upgrade.
// https://dexie.org/docs/Compound-Index, https://dexie.org/docs/liveQuery(), https://dexie.org/docs/Version/Version.upgrade()
import { Dexie, liveQuery } from "dexie";
import { tasks } from "../../lib/data.mjs";

const INDEXES = { tasks: "id, [priority+createdAt]" };

function database(name) {
  const database = new Dexie(name, { chromeTransactionDurability: "relaxed" });
  database.version(1).stores(INDEXES);
  return database;
}

export async function open(name) {
  const opened = await database(name).open();
  const newest = (priority, before) => opened.tasks.where("[priority+createdAt]").between([priority, Dexie.minKey], [priority, before], true, false).reverse().limit(50).toArray();
  return {
    fill: (count) => opened.tasks.bulkAdd(tasks(count)),
    newest,
    holding: (text) => opened.tasks.filter((task) => task.title.includes(text)).toArray(),
    async watchNewest(priority, before, show) {
      const subscription = liveQuery(() => newest(priority, before)).subscribe(show);
      return () => subscription.unsubscribe();
    },
    retitle: (id, title) => opened.tasks.update(id, { title }),
    pageAfter: (after) => opened.tasks.where("id").above(after).limit(100).toArray(),
    close: () => opened.close(),
  };
}

export async function openNext(name) {
  const next = database(name);
  next
    .version(2)
    .stores(INDEXES)
    .upgrade((transaction) =>
      transaction
        .table("tasks")
        .toCollection()
        .modify((task) => {
          task.name = task.title;
          delete task.title;
        }),
    );
  await next.open();
  return { readAll: () => next.tasks.toArray(), close: () => next.close() };
}
