// Servers that answer what nobody means: each answer is a coded error, the app's own write stays, and no answer, page or number of requests is
// without an end. The packed package over `remote: { url }` and over `datum-sync/rest`, in Node.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import "fake-indexeddb/auto";
import { installPackage } from "./lib/package.mjs";
import { head, pour, say, startRawServer } from "./lib/raw-server.mjs";
import { after, before, test } from "./lib/test.mjs";

let installed, Datum, restRemote;
before(async () => {
  installed = await installPackage();
  const load = (name) => import(pathToFileURL(join(installed.root, "node_modules", "datum-sync", name)));
  ({ Datum } = await load("node.js"));
  ({ restRemote } = await load("rest/index.js"));
});
after(() => installed?.remove());

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

const MIB = 1 << 20;
const row = (id, version, data = { title: "theirs" }) => ({ entity: "tasks", id, version, data });
const page = (changes, more = false, cursor = "end") => JSON.stringify({ changes, cursor, more });
const task = (id, more = {}) => ({ id, title: "theirs", updated_at: "2026-01-01T00:00:00Z", ...more });

/** Each answers a pull of the protocol, and is answered by one of these codes. */
const OVER_THE_PROTOCOL = {
  "a captive portal": [(socket) => say(socket, "<html>Sign in</html>", { "content-type": "text/html" }), "network"],
  "nothing": [(socket) => say(socket, ""), "network"],
  "not modified": [(socket) => socket.end(head("304 Not Modified")), "network"],
  "a part of an answer": [(socket) => say(socket, page([row("a", 1)]).slice(0, 20), { status: "206 Partial Content" }), "network"],
  "gzip that is cut off": [
    (socket) => {
      const packed = gzipSync(page([row("a", 1)]));
      socket.write(head("200 OK", { "content-encoding": "gzip" }));
      socket.end(packed.subarray(0, packed.length - 12));
    },
    "network",
  ],
  "an answer that ends before its length": [(socket) => socket.end(`${head("200 OK", { "content-length": 1_000 })}{"changes":[`), "network"],
  "a connection that is reset": [(socket) => socket.resetAndDestroy(), "network"],
  "what is no HTTP": [(socket) => socket.end("\0\x01\x02 hello\r\n\r\n"), "network"],
  "redirects in a circle": [(socket, { path }) => socket.end(head("302 Found", { location: path, "content-length": 0 })), "network"],
  "UTF-16": [(socket) => socket.end(Buffer.concat([Buffer.from(head("200 OK")), Buffer.from(`\uFEFF${page([])}`, "utf16le")])), "protocol"],
  "two values": [(socket) => say(socket, `${page([])}{}`), "protocol"],
  "a version beyond all numbers": [(socket) => say(socket, page([row("a", 7)]).replace('"version":7', '"version":1e308')), "protocol"],
  "an id with half a character": [(socket) => say(socket, page([row("a", 1)]).replace('"id":"a"', '"id":"a\\udfff"')), "protocol"],
  "pages that lead back to one another": [(socket, { count }) => say(socket, page([row(`a${count}`, count)], true, count % 2 ? "one" : "two")), "protocol"],
  "pages without rows and without an end": [(socket, { count }) => say(socket, page([], true, `page ${count}`)), "protocol", 1_100],
  "an answer without an end": [
    (socket) => {
      socket.write(`${head("200 OK")}{"changes":[`);
      pour(socket, Buffer.alloc(MIB, " "));
    },
    "protocol",
  ],
  "a small answer that is endless once it is unpacked": [
    (socket) => {
      socket.write(head("200 OK", { "content-encoding": "gzip" }));
      pour(socket, gzipSync(Buffer.alloc(16 * MIB, " "), { level: 9 }));
    },
    "protocol",
  ],
  "a failure whose words have no end": [
    (socket) => {
      socket.write(head("500 Internal Server Error"));
      pour(socket, Buffer.alloc(MIB, "x"));
    },
    "protocol",
  ],
  "a head that never ends": [(socket) => void socket.write(head("200 OK").slice(0, 9)), "timeout"],
};

/** The same over `list` of an ordinary API. */
const OVER_AN_API = {
  "a captive portal": OVER_THE_PROTOCOL["a captive portal"],
  "a part of an answer": [(socket) => say(socket, JSON.stringify([task("a")]).slice(0, 20), { status: "206 Partial Content" }), "network"],
  "an answer that ends before its length": OVER_THE_PROTOCOL["an answer that ends before its length"],
  "a time beyond all numbers": [(socket) => say(socket, JSON.stringify([task("a", { updated_at: 1e308 })])), "protocol"],
  "an id with half a character": [(socket) => say(socket, JSON.stringify([task("a")]).replace('"id":"a"', '"id":"a\\ud800"')), "protocol"],
  "a value too deep for JSON": [(socket) => say(socket, JSON.stringify([task("a", { deep: 0 })]).replace('"deep":0', `"deep":${"[".repeat(1e5)}${"]".repeat(1e5)}`)), "protocol"],
  "an answer without an end": OVER_THE_PROTOCOL["an answer without an end"],
  "a small answer that is endless once it is unpacked": OVER_THE_PROTOCOL["a small answer that is endless once it is unpacked"],
  "a failure whose words have no end": OVER_THE_PROTOCOL["a failure whose words have no end"],
};

const overAnApi = (url) => {
  const ask = (method, path = "") => (given, { signal } = given) => fetch(`${url}/tasks${path}`, { method, signal });
  const entity = { id: "id", updatedAt: "updated_at", list: ask("GET"), get: ask("GET", "/one"), create: ask("POST"), update: ask("PUT"), remove: ask("DELETE") };
  return restRemote({ entities: { tasks: entity } });
};

let devices = 0;
/** Pulls from a server, with a write that waits, and returns how that failed. */
async function attack(answer, remoteOf) {
  const server = await startRawServer(answer);
  const datum = await Datum.initialize({
    name: `hostile-${++devices}`,
    entities: { tasks: {} },
    remote: remoteOf(server.url),
    initialUserId: "ada",
    retry: { maxAttempts: 2, initial: 1, max: 1 },
  });
  try {
    const tasks = datum.manager("tasks");
    await tasks.create({ id: "mine", title: "mine" });
    const error = await datum.synchronize("ada", { direction: "pullOnly" }).then(
      () => undefined,
      (thrown) => thrown,
    );
    assert.equal((await tasks.read("mine")).title, "mine");
    assert.equal(await datum.pendingCount("ada"), 1);
    return { error, requests: server.seen.length };
  } finally {
    await datum.close();
    await server.stop();
  }
}

for (const [over, attacks, remoteOf] of [
  ["the protocol", OVER_THE_PROTOCOL, (url) => ({ url, timeout: 2_000 })],
  ["an API", OVER_AN_API, overAnApi],
]) {
  for (const [name, [answer, code, most = 50]] of Object.entries(attacks)) {
    test(`over ${over}: ${name}`, async () => {
      const { error, requests } = await attack(answer, remoteOf);
      assert.deepEqual([error?.name, error?.code], ["DatumError", code], String(error));
      assert.ok(requests <= most, `${requests} requests`);
      assert.deepEqual(unhandled, []);
    });
  }
}

test("rows with names of JavaScript's own, twice in a page and behind a mark of order, are rows", async () => {
  const changes = [row("__proto__", 1), row("constructor", 2), row("twice", 3), row("twice", 4, { title: "the later" })];
  const text = page(changes).replace('"title":"theirs"', '"title":"theirs","__proto__":{"polluted":true}');
  const server = await startRawServer((socket) => say(socket, `\uFEFF${text}`));
  const datum = await Datum.initialize({ name: "names", entities: { tasks: {} }, remote: { url: server.url }, initialUserId: "ada" });
  try {
    await datum.synchronize("ada", { direction: "pullOnly" });
    const rows = await datum.manager("tasks").readAll();
    assert.deepEqual(rows.map(({ id, title }) => `${id} ${title}`).sort(), ["__proto__ theirs", "constructor theirs", "twice the later"]);
    assert.equal({}.polluted, undefined);
  } finally {
    await datum.close();
    await server.stop();
  }
});
