// RxDB with Dexie's storage, a compound index, an observed query and a migration strategy; a production build, one instance.
// https://rxdb.info/rx-query.html, https://rxdb.info/rx-schema.html#indexes, https://rxdb.info/migration-schema.html
import { addRxPlugin, createRxDatabase } from "rxdb/plugins/core";
import { RxDBMigrationSchemaPlugin } from "rxdb/plugins/migration-schema";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { tasks } from "../../lib/data.mjs";

addRxPlugin(RxDBMigrationSchemaPlugin);

const text = { type: "string" };
const properties = {
  id: { type: "string", maxLength: 64 },
  done: { type: "boolean" },
  priority: { type: "number", minimum: 0, maximum: 10, multipleOf: 1 },
  tags: { type: "array", items: text },
  createdAt: { type: "string", maxLength: 32 },
  modifiedAt: text,
};
const schema = (version, title) => ({
  version,
  primaryKey: "id",
  type: "object",
  properties: { ...properties, [title]: text },
  required: ["id", title, "done", "priority", "tags", "createdAt", "modifiedAt"],
  indexes: [["priority", "createdAt"]],
});

async function collection(name, tasks) {
  const database = await createRxDatabase({ name, storage: getRxStorageDexie({ chromeTransactionDurability: "relaxed" }), multiInstance: false, eventReduce: true });
  const made = await database.addCollections({ tasks });
  return { database, collection: made.tasks };
}

export async function open(name) {
  const opened = await collection(name, { schema: schema(0, "title") });
  const find = (query) => opened.collection.find(query);
  const newest = (priority, before) => find({ selector: { priority, createdAt: { $lt: before } }, sort: [{ createdAt: "desc" }], limit: 50 });
  return {
    async fill(count) {
      for (let first = 0; first < count; first += 5_000) {
        const { error } = await opened.collection.bulkInsert(tasks(Math.min(5_000, count - first), first));
        if (error.length > 0) throw new Error(JSON.stringify(error[0]));
      }
    },
    newest: (priority, before) => newest(priority, before).exec(),
    holding: (part) => find({ selector: { title: { $regex: part } } }).exec(),
    async watchNewest(priority, before, show) {
      const subscription = newest(priority, before).$.subscribe(show);
      return () => subscription.unsubscribe();
    },
    async retitle(id, title) {
      const document = await opened.collection.findOne(id).exec();
      await document.incrementalPatch({ title });
    },
    pageAfter: (after) => find({ selector: { id: { $gt: after } }, sort: [{ id: "asc" }], limit: 100 }).exec(),
    close: () => opened.database.close(),
  };
}

export async function openNext(name) {
  const rename = ({ title, ...rest }) => ({ ...rest, name: title });
  const opened = await collection(name, { schema: schema(1, "name"), migrationStrategies: { 1: rename } });
  return { readAll: () => opened.collection.find().exec(), close: () => opened.database.close() };
}
