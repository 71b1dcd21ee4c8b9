// `sqliteStore` of `datum-sync/server` on files: shared with datum-server, full, foreign, and of a later version.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { start } from "./lib/child.mjs";
import { serverProgram } from "./lib/environment.mjs";
import { temporaryFolder } from "./lib/files.mjs";
import { installPackage } from "./lib/package.mjs";
import { client } from "./lib/server.mjs";
import { sqliteDrivers } from "./lib/sqlite-drivers.mjs";
import { byName, sender } from "./lib/sync-handler.mjs";
import { after, before, test } from "./lib/test.mjs";

let installed, folder, createSyncHandler, sqliteStore;
const drivers = await sqliteDrivers();
before(async () => {
  [installed, folder] = await Promise.all([installPackage(), temporaryFolder()]);
  ({ createSyncHandler, sqliteStore } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/server/index.js"))));
});
after(async () => {
  await installed?.remove();
  await folder?.remove();
});

let files = 0;
const file = () => join(folder.path, `${++files}.sqlite`);
const serving = (database, options = {}) => sender(createSyncHandler({ store: sqliteStore(database), authenticate: byName, onError: () => {}, ...options }));
const row = (id, data = { title: id }) => ({ opId: `create-${id}`, entity: "tasks", id, kind: "create", baseVersion: null, data });
const push = (send, ...operations) => send("ann", "POST", "/sync/v1/push", JSON.stringify({ clientId: "d", operations }));
const pull = (send, more = {}) => send("ann", "POST", "/sync/v1/pull", JSON.stringify({ clientId: "d", cursor: null, limit: 100, ...more }));
const ids = ({ reply }) => reply.changes.map(({ id }) => id);

if (drivers.length === 0) test("no library for SQLite is here", { skip: "better-sqlite3 is not in tests/backends, and this Node has no node:sqlite" }, () => {});

for (const { name, open } of drivers) {
  test(`${name}: datum-server goes on with the file, and the other way round, and cursors stay good`, async () => {
    const path = file();
    const database = open(path);
    const send = serving(database);
    await push(send, row("1"), row("2"));
    const page = await pull(send);
    assert.deepEqual(ids(page), ["1", "2"]);
    database.close();
    const server = await start(serverProgram(), ["--dev", "--listen", "127.0.0.1:0", "--database", path, "--rate", "0"]);
    const ann = await client(server.url, "ann");
    await ann.push([row("3")]);
    const answer = await fetch(`${server.url}/sync/v1/pull`, { method: "POST", headers: ann.headers, body: JSON.stringify({ clientId: "d", cursor: page.reply.cursor, limit: 10 }) });
    const next = await answer.json();
    assert.deepEqual([next.changes.map(({ id }) => id), next.serverId, next.epoch], [["3"], page.reply.serverId, page.reply.epoch]);
    await server.stop();
    const again = open(path);
    const { reply } = await pull(serving(again), { cursor: next.cursor });
    assert.deepEqual([reply.changes, reply.digests], [[], next.digests]);
    again.close();
  });

  test(`${name}: a full disk refuses writes and goes on reading, and nothing of a refused push is there`, async () => {
    const database = open(file());
    const send = serving(database);
    await push(send, row("1"));
    const { page_count: pages } = database.prepare("PRAGMA page_count").get();
    database.exec(`PRAGMA max_page_count = ${Number(pages) + 2}`);
    const large = await push(send, row("2"), row("3", { text: "x".repeat(200_000) }));
    assert.deepEqual([large.status, large.reply.code, large.reply.retryAfterMs], [503, "storageFailed", 5_000]);
    assert.deepEqual(ids(await pull(send)), ["1"]);
    database.exec("PRAGMA max_page_count = 100000");
    assert.equal((await push(send, row("2"))).status, 200);
    assert.deepEqual(ids(await pull(send)), ["1", "2"]);
    database.close();
  });

  test(`${name}: a database that others write to is busy, and no push is lost`, async () => {
    const path = file();
    const [database, other] = [open(path), open(path)];
    const send = serving(database);
    await push(send, row("1"));
    database.exec("PRAGMA busy_timeout = 1");
    other.exec("BEGIN IMMEDIATE");
    const busy = await push(send, row("2"));
    assert.deepEqual([busy.status, busy.reply.code], [503, "busy"]);
    assert.deepEqual(ids(await pull(send)), ["1"]);
    other.exec("ROLLBACK");
    assert.equal((await push(send, row("2"))).status, 200);
    database.close();
    other.close();
  });

  test(`${name}: a database of a later version, of another program, or closed is refused with the reason`, async () => {
    for (const [prepare, said] of [
      [(database) => database.exec("PRAGMA user_version = 99"), /later version/],
      [(database) => database.exec("CREATE TABLE invoices (no INTEGER)"), /another program/],
      [(database) => database.close(), /./],
    ]) {
      const database = open(file());
      prepare(database);
      const heard = [];
      const { status, reply } = await pull(serving(database, { onError: (error) => heard.push(String(error.message)) }));
      assert.deepEqual([status, reply.code], [500, "internal"]);
      assert.match(heard[0], said);
      await assert.rejects(sqliteStore(database).open(), said);
    }
  });

  test(`${name}: pages of limits in rows and bytes, entity types and sums of 64 bits are the server's`, async () => {
    const database = open(file());
    const send = serving(database);
    for (let n = 0; n < 40; n++) await push(send, { ...row(String(n), { text: "y".repeat(150_000) }), entity: n % 3 === 0 ? "notes" : "tasks" });
    const first = await pull(send);
    assert.equal(first.reply.more, true);
    assert.ok(first.reply.changes.length > 20 && first.reply.changes.length < 30, `${first.reply.changes.length} rows in 4 MiB`);
    const some = await pull(send, { entities: ["notes"], limit: 5 });
    assert.deepEqual(ids(some), ["0", "3", "6", "9", "12"]);
    assert.equal(some.reply.remaining, 9);
    const rest = await pull(send, { cursor: first.reply.cursor });
    assert.equal(first.reply.changes.length + rest.reply.changes.length, 40);
    assert.match(rest.reply.digests.tasks.hash, /^[0-9a-f]{16}$/);
    database.close();
  });
}
