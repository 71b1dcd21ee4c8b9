// WatermelonDB on the web: LokiJS in memory, which saves to IndexedDB later. No worker, and the incremental format, as its
// documentation recommends. https://watermelondb.dev/docs/Setup, https://watermelondb.dev/docs/Sync/Frontend
import { appSchema, Database, Model, tableSchema } from "@nozbe/watermelondb";
import loki from "@nozbe/watermelondb/adapters/lokijs";
import { synchronize } from "@nozbe/watermelondb/sync";
import { json } from "./protocol.js";
import { tasks } from "../lib/data.mjs";

// The package is CommonJS: the default import is its exports object, whose default is the class.
const LokiJSAdapter = loki.default ?? loki;
const text = (name) => ({ name, type: "string" });
const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: "tasks",
      columns: [text("title"), { name: "done", type: "boolean" }, { name: "priority", type: "number" }, text("tags"), text("createdAt"), text("modifiedAt")],
    }),
  ],
});

class Task extends Model {
  static table = "tasks";
}

const asTask = ({ _raw: { id, title, done, priority, tags, createdAt } }) => ({ id, title, done, priority, tags: JSON.parse(tags), createdAt });

export async function open(name, { count = 0, session }) {
  const adapter = new LokiJSAdapter({ dbName: name, schema, useWebWorker: false, useIncrementalIndexedDB: true });
  const database = new Database({ adapter, modelClasses: [Task] });
  const collection = database.get("tasks");
  // Waits for its setup in the background, which must not be part of the measurement.
  await collection.query().fetchCount();
  const prepare = (task) =>
    collection.prepareCreate((record) => {
      // Sets the raw record, without decorators, which would need a compiler. It is less work than an app's setters.
      Object.assign(record._raw, { ...task, tags: JSON.stringify(task.tags) });
    });
  const insert = (list) => database.write(() => database.batch(list.map(prepare)));
  const sync = () =>
    synchronize({
      database,
      pullChanges: ({ lastPulledAt }) => json(`/d/${count}/watermelon/pull?since=${lastPulledAt ?? ""}`),
      pushChanges: ({ changes, lastPulledAt }) => json(`/d/${count}/watermelon/push?session=${session}`, { changes, lastPulledAt }),
    });
  return {
    pull: sync,
    push: sync,
    create: (task) => insert([task]),
    createMany: insert,
    createEach: (list) => Promise.all(list.map((task) => insert([task]))),
    async fill(all) {
      await insert(tasks(all));
      // It saves every half second.
      await new Promise((resolve) => setTimeout(resolve, 3_000 + all / 20));
    },
    readAll: async () => (await collection.query().fetch()).map(asTask),
    readOne: async (id) => asTask(await collection.find(id)),
    async close() {},
  };
}
