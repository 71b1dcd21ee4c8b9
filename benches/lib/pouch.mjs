// PouchDB's own server: express-pouchdb, which is what pouchdb-server is a command line around, over PouchDB's
// adapter for memory (`pouchdb-server --in-memory`). The command itself brings two native databases that
// have to be compiled on today's Node, and would not be used.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tasks } from "./data.mjs";

const require = createRequire(import.meta.url);
let made;

/** Made when it is asked for: most runs of a few rows do without. */
function make() {
  if (made) return made;
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
  made = { app, PouchDB };
  return made;
}

export const pouch = {
  handle: (request, response) => make().app(request, response),
  /** A database of so many tasks. */
  async seed(name, count) {
    const { PouchDB } = make();
    const database = new PouchDB(name);
    const { doc_count } = await database.info();
    for (let first = doc_count; first < count; first += 1_000) {
      await database.bulkDocs(tasks(Math.min(1_000, count - first), first).map(({ id, ...fields }) => ({ _id: id, ...fields })));
    }
  },
  /** What a database holds. */
  async rows(name) {
    const { rows } = await new (make().PouchDB)(name).allDocs({ include_docs: true });
    return rows.map(({ doc: { _id, ...fields } }) => ({ id: _id, ...fields }));
  },
};
