// The servers of docs/node-server.md, as they stand there: each block is a module of its own beside an `auth.js`, and must take a push and give it back.
import assert from "node:assert/strict";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { start } from "./lib/child.mjs";
import { installPackage } from "./lib/package.mjs";
import { freePort } from "./lib/ports.mjs";
import { betterSqlite3, sqliteDrivers } from "./lib/sqlite-drivers.mjs";
import { after, before, test } from "./lib/test.mjs";

const AUTH = `export const userOf = (header) => (header === null ? null : header.slice("Bearer ".length));`;
const libraries = (await sqliteDrivers()).map(({ name }) => name);

let installed, blocks;
before(async () => {
  installed = await installPackage();
  const text = await readFile(new URL("../../docs/node-server.md", import.meta.url), "utf8");
  blocks = new Map([...text.matchAll(/^```js node=([a-z]+)\n(.*?)^```$/gms)].map(([, name, code]) => [name, code]));
  await writeFile(join(installed.root, "auth.js"), AUTH);
  const folders = { express: fileURLToPath(new URL("node_modules/express", import.meta.url)), hono: fileURLToPath(new URL("node_modules/hono", import.meta.url)), "better-sqlite3": betterSqlite3() };
  for (const [name, folder] of Object.entries(folders)) if (folder !== undefined) await symlink(folder, join(installed.root, "node_modules", name));
});
after(() => installed?.remove());

/** Writes a block as a module, and returns its path. */
async function moduleOf(name, change = (code) => code) {
  const path = join(installed.root, `${name}.js`);
  await writeFile(path, change(blocks.get(name)));
  return path;
}

/** What a device does, by any `fetch`. */
async function syncs(send, url) {
  const post = async (path, body) => (await send(new Request(`${url}/sync/v1/${path}`, { method: "POST", headers: { authorization: "Bearer ann" }, body: JSON.stringify({ clientId: "d", ...body }) }))).json();
  const operation = { opId: "o", entity: "tasks", id: "1", kind: "create", baseVersion: null, data: { title: "Buy milk" } };
  assert.equal((await post("push", { operations: [operation] })).results[0].status, "applied");
  assert.equal((await post("pull", { cursor: null, limit: 10 })).changes[0].data.title, "Buy milk");
  assert.equal((await send(new Request(`${url}/sync/v1/info`))).status, 401);
}

/** Runs a block that listens. */
async function listens(name) {
  const port = await freePort();
  const path = await moduleOf(name, (code) => `${code.replace("listen(3000)", `listen(${port}, "127.0.0.1", () => console.log("listening on http://127.0.0.1:${port}"))`)}`);
  const server = await start(process.execPath, [path], { cwd: installed.root });
  try {
    await syncs(fetch, server.url);
  } finally {
    await server.stop();
  }
}

test("every block is run by a test", () => {
  assert.deepEqual([...blocks.keys()].sort(), ["express", "hono", "http", "next"]);
});

test("Express and SQLite", { skip: libraries.includes("better-sqlite3") ? false : "better-sqlite3 is not here" }, () => listens("express"));

test("Node's own server and SQLite", { skip: libraries.includes("node:sqlite") ? false : "this Node has no node:sqlite" }, () => listens("http"));

test("Hono", async () => {
  const { default: app } = await import(pathToFileURL(await moduleOf("hono")));
  await syncs((request) => app.fetch(request), "http://any.example");
});

test("Next.js exports a function for each method", async () => {
  // The store is another here; `backends/node` has PostgreSQL.
  const path = await moduleOf("next", (code) => code.replace(/^import pg.*\n/m, "").replace("postgresStore }", "memoryStore }").replace(/postgresStore\(.*\),$/m, "memoryStore(),"));
  const route = await import(pathToFileURL(path));
  await syncs((request) => route[request.method](request), "http://any.example");
  assert.equal((await route.OPTIONS(new Request("http://any.example/sync/v1/pull", { method: "OPTIONS" }))).status, 204);
});
