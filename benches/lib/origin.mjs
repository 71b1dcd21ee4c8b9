// The local server of all pages and first pulls, in its own process:
//
//   node origin.mjs DIST REMOTE
//
// DIST has the built pages. REMOTE is the URL of a datum-server: its replies to pulls are cached and served again byte by
// byte, so that the engine and a bare fetch get the same bytes as fast as a static file.
//
// /d/N/… speaks each peer's protocol with the same N tasks. All responses are cached before they are measured, uncompressed,
// and come from one process, so that no contestant has a faster server.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { pouch } from "./pouch.mjs";
import { factsOf, tasks } from "./data.mjs";

const [dist, remote] = process.argv.slice(2);

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
/** Cross-origin isolation gives clocks of 5 µs and measureUserAgentSpecificMemory. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp", "cross-origin-resource-policy": "same-origin" };
const NO_STORE = { "content-type": "application/json", "cache-control": "no-store" };

const cache = new Map();
const once = (key, make) => {
  if (!cache.has(key)) cache.set(key, Promise.resolve(make()).then((value) => (Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)))));
  return cache.get(key);
};

/** The pushed rows, by session. */
const received = new Map();
const inbox = (session) => {
  if (!received.has(session)) received.set(session, new Map());
  return received.get(session);
};
/** The last mutation of each Replicache client. */
const mutations = new Map();

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    response.writeHead(500, { "content-type": "text/plain" }).end(String(error?.stack ?? error));
  });
});

async function answer(request, response) {
  const url = new URL(request.url, "http://x");
  if (url.pathname.startsWith("/pouch/")) return pouch.handle(request, response);
  const found = /^\/d\/(\d+)\/([a-z]+)(\/.*)?$/.exec(url.pathname);
  if (found) return data(request, response, url, Number(found[1]), found[2], found[3] ?? "");
  if (url.pathname.startsWith("/received/")) {
    const rows = inbox(url.pathname.slice("/received/".length));
    return send(response, Buffer.from(JSON.stringify(factsOf(rows.values()))));
  }
  if (url.pathname === "/pouch-seed") {
    await pouch.seed(url.searchParams.get("name"), Number(url.searchParams.get("count")));
    return send(response, Buffer.from("{}"));
  }
  if (url.pathname === "/pouch-facts") return send(response, Buffer.from(JSON.stringify(factsOf(await pouch.rows(url.searchParams.get("name"))))));
  return file(url.pathname === "/" ? "/index.html" : url.pathname, response);
}

async function file(path, response) {
  try {
    const bytes = await readFile(join(dist, path));
    // A second visit finds the code in the browser's cache, like an app's files with hashed names.
    const cacheControl = path === "/index.html" ? "no-cache" : "public, max-age=31536000, immutable";
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "content-length": bytes.length, "cache-control": cacheControl, ...ISOLATED }).end(bytes);
  } catch {
    response.writeHead(404, ISOLATED).end();
  }
}

async function data(request, response, url, count, protocol, path) {
  const body = request.method === "GET" ? "" : await text(request);
  const query = url.searchParams;
  const key = `${count} ${protocol} ${path} ${url.search}`;
  switch (`${protocol}${path}`) {
    case "sync/v1/pull": {
      const { cursor, limit, entities, userId } = JSON.parse(body);
      const bytes = await once(`${key} ${JSON.stringify([cursor, limit, entities ?? null])}`, () => forward(request, "/sync/v1/pull", body, userId));
      return send(response, bytes);
    }
    case "sync/v1/metadata":
      return send(response, Buffer.from(JSON.stringify({ devices: body ? [JSON.parse(body)] : [], digests: {}, serverTime: new Date().toISOString() })));
    case "rxdb/pull":
      return send(response, await once(key, () => rxdbPage(count, Number(query.get("after")), Number(query.get("limit")))));
    case "rxdb/push": {
      const rows = inbox(query.get("session"));
      for (const { newDocumentState } of JSON.parse(body)) rows.set(newDocumentState.id, newDocumentState);
      return send(response, Buffer.from("[]"));
    }
    case "watermelon/pull": {
      // Columns are strings, numbers and booleans, so the list becomes JSON text.
      const rows = () => tasks(count).map((task) => ({ ...task, tags: JSON.stringify(task.tags) }));
      const nothing = { changes: {}, timestamp: 2 };
      return send(response, query.get("since") === "" ? await once(key, () => ({ changes: { tasks: { created: rows(), updated: [], deleted: [] } }, timestamp: 1 })) : Buffer.from(JSON.stringify(nothing)));
    }
    case "watermelon/push": {
      const rows = inbox(query.get("session"));
      for (const row of JSON.parse(body).changes.tasks.created) rows.set(row.id, { ...row, tags: JSON.parse(row.tags) });
      return send(response, Buffer.from("{}"));
    }
    case "replicache/pull": {
      const { cookie, clientGroupID } = JSON.parse(body);
      const done = Object.fromEntries(mutations.get(clientGroupID) ?? []);
      if (cookie === null && Object.keys(done).length === 0) return send(response, await once(key, () => ({ cookie: 1, lastMutationIDChanges: {}, patch: tasks(count).map((task) => ({ op: "put", key: `task/${task.id}`, value: task })) })));
      // The client keeps its pushed rows only if a pull returns them.
      const rows = [...inbox(query.get("session")).values()].map((task) => ({ op: "put", key: `task/${task.id}`, value: task }));
      return send(response, Buffer.from(JSON.stringify({ cookie: (cookie ?? 0) + 1, lastMutationIDChanges: done, patch: rows })));
    }
    case "replicache/push": {
      const rows = inbox(query.get("session"));
      const { clientGroupID, mutations: sent } = JSON.parse(body);
      if (!mutations.has(clientGroupID)) mutations.set(clientGroupID, new Map());
      for (const { clientID, id, args } of sent) {
        for (const task of Array.isArray(args) ? args : [args]) rows.set(task.id, task);
        mutations.get(clientGroupID).set(clientID, id);
      }
      return send(response, Buffer.from("{}"));
    }
    case "couch/": // CouchDB's replication protocol, as far as a first pull needs it
      return send(response, Buffer.from(JSON.stringify({ db_name: String(count), update_seq: count, instance_start_time: "0" })));
    case "couch/_changes":
      return send(response, await once(key, () => couchChanges(count, Number(query.get("since") || 0), Number(query.get("limit")))));
    case "couch/_bulk_get":
      return send(response, await once(`${key} ${hashed(body)}`, () => ({ results: JSON.parse(body).docs.map(({ id }) => ({ id, docs: [{ ok: couchDocument(count, id) }] })) })));
    case "tinybase/load":
      return send(response, await once(key, () => [{ tasks: Object.fromEntries(tasks(count).map(({ id, ...cells }) => [id, cells])) }, {}]), { etag: `"${count}"` });
    default:
      if (protocol === "couch" && path.startsWith("/_local/") && request.method === "PUT") return send(response, Buffer.from(JSON.stringify({ ok: true, id: path.slice(1), rev: "0-1" })));
      response.writeHead(404, { ...NO_STORE, ...ISOLATED }).end(JSON.stringify({ error: "not_found", reason: "missing" }));
  }
}

/** Forwards a request to datum-server, uncompressed, with the page's token. */
async function forward(request, path, body, userId) {
  const headers = { "content-type": "application/json", "accept-encoding": "identity", authorization: request.headers.authorization };
  const reply = await fetch(remote + path, { method: "POST", headers, body });
  if (!reply.ok) throw new Error(`${remote}${path} for ${userId} answered ${reply.status}: ${await reply.text()}`);
  return Buffer.from(await reply.arrayBuffer());
}

function rxdbPage(count, after, limit) {
  const documents = tasks(Math.max(0, Math.min(limit, count - after)), after).map((task) => ({ ...task, _deleted: false }));
  return { documents, checkpoint: { after: after + documents.length } };
}

const REVISION = "0123456789abcdef0123456789abcdef";

function couchChanges(count, since, limit) {
  const results = tasks(Math.max(0, Math.min(limit, count - since)), since).map(({ id }, at) => ({ seq: since + at + 1, id, changes: [{ rev: `1-${REVISION}` }] }));
  return { results, last_seq: since + results.length };
}

/** Documents by id, created all at once. */
const documents = new Map();
function couchDocument(count, id) {
  if (documents.size < count) for (const { id, ...fields } of tasks(count)) documents.set(id, { _id: id, _rev: `1-${REVISION}`, ...fields, _revisions: { start: 1, ids: [REVISION] } });
  return documents.get(id);
}

const hashed = (text) => createHash("sha1").update(text).digest("hex");

async function text(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

function send(response, bytes, more = {}) {
  response.writeHead(200, { ...NO_STORE, ...ISOLATED, ...more, "content-length": bytes.length }).end(bytes);
}

if (process.env.BENCH_LOG) {
  server.prependListener("request", (request, response) => {
    const started = performance.now();
    response.on("finish", () => process.stderr.write(`${request.method} ${request.url.slice(0, 100)} ${(performance.now() - started).toFixed(1)} ms\n`));
  });
}
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
