// The handler of `datum-sync/server` behind Node's own server, Express and Hono, with streams and clients that go away.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import express from "express";
import { Hono } from "hono";
import { installPackage } from "./lib/package.mjs";
import { byName } from "./lib/sync-handler.mjs";
import { after, before, test, within } from "./lib/test.mjs";

let installed, createSyncHandler, memoryStore, toNodeHandler;
before(async () => {
  installed = await installPackage();
  ({ createSyncHandler, memoryStore, toNodeHandler } = await import(pathToFileURL(join(installed.root, "node_modules/datum-sync/server/index.js"))));
});
after(() => installed?.remove());

/** Listens with what Node calls for each request. */
async function listening(answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, port: server.address().port, stop };
}

const created = (id) => ({ opId: `create-${id}`, entity: "tasks", id, kind: "create", baseVersion: null, data: { title: id, exact: "1" } });
const post = async (url, path, body, init = {}) => {
  const response = await fetch(`${url}/sync/v1/${path}`, { method: "POST", headers: { authorization: "Bearer ann", "content-type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body), ...init });
  return { status: response.status, headers: response.headers, reply: await response.json() };
};

/** What every host must do: push, pull, a stream, and a body that is too large. */
async function serves(url, handler) {
  const push = await post(url, "push", '{"clientId":"d","operations":[{"opId":"o","entity":"tasks","id":"1","kind":"create","baseVersion":null,"data":{"n":12345678901234567890.10}}]}');
  assert.deepEqual([push.status, push.reply.results[0].status], [200, "applied"]);
  const text = await (await fetch(`${url}/sync/v1/pull`, { method: "POST", headers: { authorization: "Bearer ann" }, body: '{"clientId":"d","cursor":null,"limit":10}' })).text();
  assert.ok(text.includes('"n":12345678901234567890.10'), text);
  const { body, headers } = await fetch(`${url}/sync/v1/stream`, { headers: { authorization: "Bearer ann" } });
  assert.equal(headers.get("content-type"), "text/event-stream");
  const reader = body.getReader();
  const read = async () => new TextDecoder().decode((await within(10_000, "a chunk of the stream", reader.read())).value);
  assert.equal(await read(), ": open\n\n");
  await post(url, "push", { clientId: "d", operations: [created("2")] });
  assert.equal(await read(), "event: change\ndata: {}\n\n");
  await reader.cancel();
  const large = await post(url, "pull", " ".repeat(1_100_000));
  assert.deepEqual([large.status, large.reply.code], [413, "bodyTooLarge"]);
  handler.close();
}

const handlerOf = (options = {}) => createSyncHandler({ store: memoryStore(), authenticate: byName, ...options });

test("Node's own server", async () => {
  const handler = handlerOf();
  const host = await listening(toNodeHandler(handler));
  await serves(host.url, handler);
  await host.stop();
});

test("Express, under a path of its own, before a parser of bodies", async () => {
  const handler = handlerOf();
  const app = express();
  app.use("/sync/v1", toNodeHandler(handler));
  app.use(express.json());
  app.get("/", (_, response) => response.send("the app"));
  const host = await listening(app);
  await serves(host.url, handler);
  assert.equal(await (await fetch(host.url)).text(), "the app");
  await host.stop();
});

test("behind a parser that has read the body, it says where to mount it", async () => {
  const heard = [];
  const app = express();
  app.use(express.json());
  app.use(toNodeHandler(handlerOf({ onError: (error) => heard.push(String(error.message)) })));
  const host = await listening(app);
  const { status } = await post(host.url, "pull", { clientId: "d", cursor: null, limit: 1 });
  assert.equal(status, 500);
  assert.match(heard.join(), /before express\.json/);
  await host.stop();
  // Bytes as they came are as good.
  const raw = express();
  raw.use(express.raw({ type: () => true }));
  raw.use(toNodeHandler(handlerOf()));
  const second = await listening(raw);
  assert.equal((await post(second.url, "pull", { clientId: "d", cursor: null, limit: 1 })).status, 200);
  await second.stop();
});

test("Hono, with its `Request` as it is", async () => {
  const handler = handlerOf();
  const app = new Hono();
  app.all("/sync/v1/*", (context) => handler(context.req.raw));
  const host = await listening(toNodeHandler(Object.assign((request) => app.fetch(request), handler)));
  await serves(host.url, handler);
  await host.stop();
});

test("a reader that goes away frees its place, and a client that does in the middle of a push does no harm", async () => {
  const handler = handlerOf();
  const host = await listening(toNodeHandler(handler));
  // More than one user may have at a time, one after the other.
  for (let n = 0; n < 300; n++) {
    const gone = new AbortController();
    const { status, body } = await fetch(`${host.url}/sync/v1/stream`, { headers: { authorization: "Bearer ann" }, signal: gone.signal });
    assert.equal(status, 200, `stream ${n}`);
    await body.getReader().read();
    gone.abort();
    if (n % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
  }
  const socket = connect(host.port, "127.0.0.1");
  socket.write(`POST /sync/v1/push HTTP/1.1\r\nHost: any\r\nAuthorization: Bearer ann\r\nContent-Length: 1000\r\n\r\n{"clientId":"d",`);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  assert.equal((await post(host.url, "push", { clientId: "d", operations: [created("1")] })).status, 200);
  handler.close();
  await host.stop();
});
