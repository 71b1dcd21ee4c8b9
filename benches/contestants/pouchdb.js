// PouchDB with its default adapter (idb), replication in large batches, and bulkDocs.
// https://pouchdb.com/api.html#replication (batch_size), https://pouchdb.com/api.html#batch_create
import PouchDB from "pouchdb-browser";
import { tasks } from "../lib/data.mjs";

const asDocument = ({ id, ...fields }) => ({ _id: id, ...fields });
const asTask = ({ _id, ...fields }) => ({ id: _id, ...fields });

export async function open(name, { count = 0, session, ready }) {
  const database = new PouchDB(name);
  await database.info();
  const write = async (list) => {
    const answers = await database.bulkDocs(list.map(asDocument));
    const bad = answers.find((answer) => answer.error);
    if (bad) throw new Error(JSON.stringify(bad));
  };
  const remote = (path) => `${location.origin}/pouch/${path}`;
  const finish = async (replication) => {
    const result = await replication;
    if (!result.ok) throw new Error(JSON.stringify(result));
  };
  return {
    pull: () => finish(database.replicate.from(ready ? `${location.origin}/d/${count}/couch` : remote(`n${count}`), { batch_size: 1000 })),
    push: () => finish(database.replicate.to(remote(session), { batch_size: 1000 })),
    create: (task) => database.put(asDocument(task)),
    createMany: write,
    createEach: (list) => Promise.all(list.map((task) => database.put(asDocument(task)))),
    async fill(all) {
      for (let first = 0; first < all; first += 5_000) await write(tasks(Math.min(5_000, all - first), first));
    },
    readAll: async () => (await database.allDocs({ include_docs: true })).rows.map((row) => asTask(row.doc)),
    readOne: async (id) => asTask(await database.get(id)),
    close: () => database.close(),
  };
}
