// CouchDB's protocol: express-pouchdb over the memory adapter, which is what `pouchdb-server --in-memory` runs; on loopback.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../e2e/lib/ports.mjs";

const require = createRequire(import.meta.url);

/**
 * Starts it. `requests` are those that were sent; `faults.late` returns true for a request (`{ method, path }`) whose answer gets lost after it was
 * obeyed. `database(user)` makes the user's database and returns it, as CouchDB's `couch_peruser` does for a new account.
 */
export async function startCouch() {
  const folder = mkdtempSync(join(tmpdir(), "datum-couch-"));
  const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).defaults({ adapter: "memory", prefix: `${folder}/` });
  const couch = require("express-pouchdb")(PouchDB, { mode: "minimumForPouchDB", inMemoryConfig: true, logPath: join(folder, "log.txt"), overrideMode: { exclude: ["compression"] } });
  const requests = [];
  const faults = { late: () => false };
  const app = require("express")();
  app.use((request, response, next) => {
    const path = decodeURIComponent(new URL(request.url, "http://couch").pathname);
    requests.push({ method: request.method, path });
    if (faults.late({ method: request.method, path })) {
      for (const name of ["write", "end"]) response[name] = () => true;
      response.end = () => request.socket.destroy();
    }
    next();
  });
  app.use(couch);
  const server = createServer(app);
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    faults,
    async database(user) {
      const database = new PouchDB(`userdb-${Buffer.from(user).toString("hex")}`);
      await database.info();
      return database;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
