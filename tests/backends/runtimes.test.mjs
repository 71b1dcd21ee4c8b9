// The handler of `datum-sync/server` on Deno, on Bun, and in a runtime of the edge that has nothing of Node: requests, numbers, large bodies, streams, SQLite.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { EdgeVM } from "@edge-runtime/vm";
import { start } from "../e2e/lib/child.mjs";
import { freePort } from "../e2e/lib/ports.mjs";
import { before, test, within } from "../e2e/lib/test.mjs";
import { atEnd } from "./lib/cleanup.mjs";
import { loadPackage } from "./lib/package.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PROGRAMS = {
  Deno: { program: here("node_modules/@deno/linux-x64-glibc/deno"), args: ["run", "--allow-all", "--node-modules-dir=manual", "--no-lock"], serve: "Deno.serve({ port, hostname }, sync)" },
  Bun: { program: here("node_modules/@oven/bun-linux-x64/bin/bun"), args: ["run"], serve: "Bun.serve({ port, hostname, fetch: sync, idleTimeout: 60 })" },
};

let library;
before(async () => {
  library = await loadPackage();
});

/** An app's server as docs/node-server.md has it. */
const app = (store, serve, port, imports = "") => `${imports}
import { createSyncHandler, memoryStore, sqliteStore } from "datum-sync/server";
const userOf = (header) => (header === null ? null : header.slice("Bearer ".length));
const sync = createSyncHandler({ store: ${store}, authenticate: (request) => userOf(request.headers.get("authorization")) });
const [port, hostname] = [${port}, "127.0.0.1"];
${serve};
console.log(\`listening on http://\${hostname}:\${port}\`);
`;

/** Starts a runtime with a store, and ends it with the tests. */
async function running(name, store, imports) {
  const { program, args, serve } = PROGRAMS[name];
  const port = await freePort();
  const file = join(library.root, `${name.toLowerCase()}-${port}.mjs`);
  await writeFile(file, app(store, serve, port, imports));
  const server = await start(program, [...args, file], { cwd: library.root, env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", DENO_DIR: join(library.root, "deno") } });
  atEnd(server.stop);
  return server;
}

/** What a device asks of a server, by any `fetch`. */
const device = (send, url) => async (path, body, { token = "ann", headers = {} } = {}) => {
  const response = await send(new Request(`${url}/sync/v1/${path}`, { ...(body === undefined ? {} : { method: "POST", body }), headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers } }));
  return { status: response.status, headers: response.headers, text: await response.text() };
};
const created = (id, title) => `{"opId":"o-${id}","entity":"tasks","id":"${id}","kind":"create","baseVersion":null,"data":{"title":"${title}","n":12345678901234567890.10}}`;

async function serves(send, url, { canUnzip = true } = {}) {
  const ask = device(send, url);
  const push = await ask("push", `{"clientId":"d","operations":[${created("1", "Buy milk")}]}`);
  assert.deepEqual([push.status, JSON.parse(push.text).results[0].status], [200, "applied"], push.text);
  const again = await ask("push", `{"clientId":"d","operations":[${created("1", "Buy milk")}]}`);
  assert.equal(JSON.parse(again.text).results[0].replayed, true);
  const page = await ask("pull", `{"clientId":"d","cursor":null,"limit":10}`);
  assert.ok(page.text.includes('"n":12345678901234567890.10'), page.text);
  assert.deepEqual(JSON.parse((await ask("pull", `{"clientId":"d","cursor":null,"limit":10}`, { token: "bob" })).text).changes, []);
  assert.equal((await ask("info", undefined, { token: null })).status, 401);
  assert.equal((await ask("health", undefined, { token: null })).status, 200);
  const large = await ask("pull", " ".repeat(1_100_000));
  assert.deepEqual([large.status, JSON.parse(large.text).code], [413, "bodyTooLarge"]);
  const zipped = await ask("push", gzipSync(`{"clientId":"d","operations":[${created("2", "zipped")}]}`), { headers: { "content-encoding": "gzip" } });
  // With 415, a device sends it uncompressed.
  assert.equal(zipped.status, canUnzip ? 200 : 415, zipped.text);
  if (canUnzip) assert.equal((await ask("push", Buffer.from("no gzip"), { headers: { "content-encoding": "gzip" } })).status, 400);
}

for (const [name, { program }] of Object.entries(PROGRAMS)) {
  const skip = existsSync(program) ? false : `${name} is not here: npm installs it on Linux x64 with glibc`;

  test(`${name}: a device syncs, and a stream hints and outlives silence`, { skip }, async () => {
    const { url } = await running(name, "memoryStore()");
    await serves(fetch, url);
    const end = new AbortController();
    const { body, headers } = await fetch(`${url}/sync/v1/stream`, { headers: { authorization: "Bearer carol" }, signal: end.signal });
    assert.equal(headers.get("content-type"), "text/event-stream");
    const reader = body.getReader();
    const read = async (ms, what) => new TextDecoder().decode((await within(ms, what, reader.read())).value);
    assert.equal(await read(10_000, "the first byte"), ": open\n\n");
    // Some servers close what is silent for ten seconds.
    assert.equal(await read(25_000, "a comment on a silent stream"), ":\n\n");
    await device(fetch, url)("push", `{"clientId":"d","operations":[${created("3", "hinted at")}]}`, { token: "carol" });
    assert.equal(await read(10_000, "a hint"), "event: change\ndata: {}\n\n");
    end.abort();
  });

  test(`${name}: what is in SQLite survives the process`, { skip }, async (t) => {
    const file = join(library.root, `${name}.sqlite`);
    const imports = `import { DatabaseSync } from "node:sqlite";`;
    const store = `sqliteStore(new DatabaseSync(${JSON.stringify(file)}))`;
    const first = await running(name, store, imports).catch((error) => (/node:sqlite/.test(error.message) ? t.skip(`this ${name} has no node:sqlite`) : Promise.reject(error)));
    if (first === undefined) return;
    await serves(fetch, first.url);
    await first.stop();
    const second = await running(name, store, imports);
    const page = await device(fetch, second.url)("pull", `{"clientId":"d","cursor":null,"limit":10}`);
    assert.deepEqual(JSON.parse(page.text).changes.map(({ id }) => id), ["1", "2"]);
  });
}

test("a runtime of the edge, without anything of Node, runs a route as Next.js has it", async () => {
  const bundle = (source) => execFileSync(here("../e2e/node_modules/.bin/esbuild"), ["--bundle", "--format=iife", "--global-name=route", "--platform=browser", "--conditions=edge-light", "--log-level=error"], { input: source, cwd: library.root, encoding: "utf8" });
  const route = bundle(`
    import { createSyncHandler, memoryStore } from "datum-sync/server";
    const sync = createSyncHandler({ store: memoryStore({ module: globalThis.syncModule }), authenticate: (request) => request.headers.get("authorization")?.slice("Bearer ".length) ?? null });
    export const runtime = "edge";
    export { sync as GET, sync as POST, sync as PUT, sync as DELETE, sync as OPTIONS };`);
  const bytes = await readFile(join(library.installed, "server", "datum_sync_server.wasm"));
  const edge = new EdgeVM({ extend: (context) => Object.assign(context, { syncModule: new WebAssembly.Module(bytes) }) });
  assert.equal(edge.evaluate("typeof process + typeof require + typeof Buffer"), "undefined".repeat(3));
  edge.evaluate(route.replace(/^"use strict";\s*/, "").replace("var route", "globalThis.route"));
  const send = async (request) => {
    const inside = { method: request.method, headers: [...request.headers], ...(request.body === null ? {} : { body: new Uint8Array(await request.arrayBuffer()) }) };
    const { status, headers, body } = await edge.evaluate("(async (url, { body, ...init }) => { const answer = await route[init.method](new Request(url, { ...init, ...(body === undefined ? {} : { body: Uint8Array.from(body) }) })); return { status: answer.status, headers: [...answer.headers], body: await answer.text() }; })")(request.url, inside);
    return new Response(status === 204 ? null : body, { status, headers });
  };
  await serves(send, "http://any.example/api", { canUnzip: edge.evaluate("typeof DecompressionStream") === "function" });
});
