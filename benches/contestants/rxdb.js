// RxDB with Dexie's storage and its HTTP replication, as a production build: no dev-mode, no schema validator, one instance,
// bulk calls, no index except the primary key.
// https://rxdb.info/nosql-performance-tips.html, https://rxdb.info/rx-storage-dexie.html, https://rxdb.info/replication-http.html
import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { json } from "./protocol.js";
import { tasks } from "../lib/data.mjs";

const text = { type: "string" };
const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 64 },
    title: text,
    done: { type: "boolean" },
    priority: { type: "number" },
    tags: { type: "array", items: text },
    createdAt: text,
    modifiedAt: text,
  },
  required: ["id", "title", "done", "priority", "tags", "createdAt", "modifiedAt"],
};

export async function open(name, { count = 0, session, durability = "relaxed" }) {
  const database = await createRxDatabase({ name, storage: getRxStorageDexie({ chromeTransactionDurability: durability }), multiInstance: false, eventReduce: true });
  const { tasks: collection } = await database.addCollections({ tasks: { schema } });
  let replication;
  /** Replicates in one direction until nothing is left to do. */
  const replicate = async (direction) => {
    replication = replicateRxCollection({ collection, replicationIdentifier: `bench-${direction}`, live: false, waitForLeadership: false, retryTime: 500, ...handlers[direction] });
    replication.error$.subscribe((error) => console.error(error));
    await replication.awaitInitialReplication();
  };
  const handlers = {
    pull: {
      pull: { batchSize: 1000, handler: (checkpoint, limit) => json(`/d/${count}/rxdb/pull?after=${checkpoint?.after ?? 0}&limit=${limit}`) },
    },
    push: {
      push: { batchSize: 1000, handler: (rows) => json(`/d/${count}/rxdb/push?session=${session}`, rows) },
    },
  };
  const insert = async (list) => {
    const { error } = await collection.bulkInsert(list);
    if (error.length > 0) throw new Error(JSON.stringify(error[0]));
  };
  return {
    pull: () => replicate("pull"),
    push: () => replicate("push"),
    create: (task) => collection.insert(task),
    createMany: insert,
    createEach: (list) => Promise.all(list.map((task) => collection.insert(task))),
    async fill(all) {
      for (let first = 0; first < all; first += 5_000) await insert(tasks(Math.min(5_000, all - first), first));
    },
    readAll: () => collection.find().exec(),
    readOne: (id) => collection.findOne(id).exec(),
    close: () => database.close(),
  };
}
