// PouchDB's server: express-pouchdb over the memory adapter, which is what `pouchdb-server --in-memory` runs. The command
// itself depends on two native databases that would have to be compiled and are not used.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tasks } from "./data.mjs";

const require = createRequire(import.meta.url);
let instance;

/** Creates the server at first use: most partial runs do not need it. */
function server() {
  if (instance) return instance;
  const express = require("express");
  const folder = mkdtempSync(join(tmpdir(), "datum-bench-pouch-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.on("SIGTERM", () => process.exit(0));
  const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).defaults({ adapter: "memory" });
  const app = express();
  const options = { mode: "minimumForPouchDB", inMemoryConfig: true, logPath: join(folder, "log.txt"), overrideMode: { exclude: ["compression"] } };
  app.use((_, response, next) => {
    response.set({ "cross-origin-resource-policy": "same-origin" });
    next();
  });
  app.use("/pouch", require("express-pouchdb")(PouchDB, options));
  instance = { app, PouchDB };
  return instance;
}

export const pouch = {
  handle: (request, response) => server().app(request, response),
  /** Creates a database of `count` tasks. */
  async seed(name, count) {
    const { PouchDB } = server();
    const database = new PouchDB(name);
    const { doc_count } = await database.info();
    for (let first = doc_count; first < count; first += 1_000) {
      await database.bulkDocs(tasks(Math.min(1_000, count - first), first).map(({ id, ...fields }) => ({ _id: id, ...fields })));
    }
  },
  /** Returns all rows of a database. */
  async rows(name) {
    const { rows } = await new (server().PouchDB)(name).allDocs({ include_docs: true });
    return rows.map(({ doc: { _id, ...fields } }) => ({ id: _id, ...fields }));
  },
};
