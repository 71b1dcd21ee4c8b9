// `npx datum-sync dev` of the packed package in a folder with nothing else: tokens, data in memory and in a file, files that are damaged or not its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFile, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { wholeConversations } from "./lib/conversations.mjs";
import { temporaryFolder } from "./lib/files.mjs";
import { installPackage } from "./lib/package.mjs";
import { client } from "./lib/server.mjs";
import { start } from "./lib/child.mjs";
import { after, before, test, within } from "./lib/test.mjs";

let installed, folder;
before(async () => {
  [installed, folder] = await Promise.all([installPackage(), temporaryFolder()]);
});
after(async () => {
  await installed?.remove();
  await folder?.remove();
});

const program = () => join(installed.root, "node_modules/.bin/datum-sync");
const dev = (...args) => start(program(), ["dev", "--listen", "127.0.0.1:0", ...args]);
const row = (id) => ({ opId: `create-${id}`, entity: "tasks", id, kind: "create", baseVersion: null, data: { title: id } });
const titles = async (url, user = "ann") => (await (await client(url, user)).pullAll()).map(({ data }) => data.title);

/** Runs it to its end: the exit code, and what it printed. */
function ended(...args) {
  return new Promise((resolve) => {
    const child = spawn(program(), args, { stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (bytes) => (out += bytes));
    child.stderr.on("data", (bytes) => (err += bytes));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Starts it with a file, and kills it as a power failure would. */
async function killed(file, work) {
  const server = spawn(program(), ["dev", "--listen", "127.0.0.1:0", "--file", file], { stdio: ["ignore", "pipe", "pipe"] });
  const url = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (bytes) => {
      said += bytes;
      const found = /listening on (\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    server.once("close", () => reject(new Error("it ended")));
  });
  await work(url);
  const closed = new Promise((resolve) => server.once("close", resolve));
  server.kill("SIGKILL");
  await closed;
}

test("it serves any user in memory, and says so", async () => {
  const server = await dev();
  try {
    const ann = await client(server.url, "ann");
    const { results } = await ann.push([row("1"), row("2")]);
    assert.deepEqual(results.map(({ status }) => status), ["applied", "applied"]);
    assert.deepEqual(await titles(server.url), ["1", "2"]);
    assert.deepEqual(await titles(server.url, "bob"), []);
    assert.match(server.said(), /DEVELOPMENT/);
    assert.match(server.said(), /in memory/);
  } finally {
    await server.stop();
  }
});

test("the conversations of the protocol hold over HTTP", async (t) => {
  const server = await dev("--quiet");
  try {
    const tokens = new Map();
    const send = async (userId, method, path, text) => {
      if (!tokens.has(userId)) tokens.set(userId, (await client(server.url, userId)).headers);
      const body = method === "GET" || method === "DELETE" ? undefined : text;
      const response = await fetch(`${server.url}${path}`, { method, body, headers: tokens.get(userId) });
      return { status: response.status, reply: await response.json() };
    };
    // From outside there is no operator.
    const all = (await wholeConversations()).filter(({ steps }) => steps.every(({ operator }) => operator === undefined));
    assert.ok(all.length > 55, `${all.length}`);
    for (const { name, hold } of all) await t.test(name, () => hold({ send }));
  } finally {
    await server.stop();
  }
});

/** A request with any header, which `fetch` would refuse. */
function raw(url, headers, body, method = "POST") {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      let text = "";
      response.on("data", (bytes) => (text += bytes));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, reply: text === "" ? undefined : JSON.parse(text) }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

test("tokens are given on this machine only, and to pages of this machine only", async () => {
  const server = await dev();
  try {
    const url = `${server.url}/dev/token`;
    const asked = (headers, body = '{"userId":"ann"}', method) => raw(url, headers, body, method);
    assert.equal((await asked({ origin: "http://localhost:5173" })).headers["access-control-allow-origin"], "http://localhost:5173");
    assert.equal((await asked({})).status, 200);
    assert.equal((await asked({ host: "app.localhost" })).status, 200);
    for (const headers of [{ host: "evil.example" }, { host: "127.0.0.1.evil.example" }, { host: "127.0.0.1@evil.example" }, { origin: "https://evil.example" }, { origin: "null" }, { origin: "http://localhost.evil.example" }]) {
      assert.deepEqual([(await asked(headers)).status], [403], JSON.stringify(headers));
    }
    for (const body of ["", "{", "7", "null", "{}", '{"userId":""}', '{"userId":7}', '{"userId":"a\\u0000"}', `{"userId":"${"x".repeat(513)}"}`, '{"userId":"\\ud800"}', '{"userId":"ann","expiresInSeconds":"1"}']) {
      assert.deepEqual([(await asked({}, body)).reply.code], ["badRequest"], body);
    }
    assert.equal((await raw(url, {}, undefined, "GET")).status, 405);
    assert.equal((await raw(`${server.url}/sync/v1/health`, {}, undefined, "TRACE")).status, 405);
    const { token } = (await asked({}, '{"userId":"ann","expiresInSeconds":-40}')).reply;
    const health = (authorization) => raw(`${server.url}/sync/v1/info`, { authorization }, undefined, "GET");
    assert.equal((await health(`Bearer ${token}`)).reply.code, "tokenExpired");
    const [head, , signature] = token.split(".");
    const forged = `${head}.${Buffer.from('{"sub":"bob","exp":9999999999}').toString("base64url")}.${signature}`;
    for (const authorization of [`Bearer ${forged}`, "Bearer x", "Bearer a.b.c", "Basic abc", "Bearer"]) {
      assert.equal((await health(authorization)).reply.code, "tokenInvalid", authorization);
    }
  } finally {
    await server.stop();
  }
});

test("a body without end is not read to its end", async () => {
  const server = await dev();
  try {
    const status = await within(20_000, "an answer", new Promise((resolve, reject) => {
      const sent = request(`${server.url}/dev/token`, { method: "POST" }, (response) => (resolve(response.statusCode), sent.destroy()));
      sent.on("error", reject);
      sent.write("x".repeat(10_000));
    }));
    assert.equal(status, 413);
    assert.doesNotMatch(server.said(), /\n +at /);
  } finally {
    await server.stop();
  }
});

test("it ends with the npx that has started it, and releases its file", async () => {
  const file = join(folder.path, "npx.json");
  const server = await start("npx", ["datum-sync", "dev", "--listen", "127.0.0.1:0", "--file", file], { cwd: installed.root });
  const pid = Number(await readFile(`${file}.lock`, "utf8"));
  try {
    // A shell of npm's is between: its output closes once the server itself has ended.
    await within(20_000, "the end of the server", server.stop());
    await assert.rejects(readFile(`${file}.lock`), { code: "ENOENT" });
  } finally {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
});

test("it ends after an npx that was killed, too, whose shell lives on", async () => {
  const file = join(folder.path, "killed-npx.json");
  const npx = spawn("npx", ["datum-sync", "dev", "--listen", "127.0.0.1:0", "--file", file], { cwd: installed.root, stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise((resolve) => npx.once("close", resolve));
  await within(30_000, "its address", new Promise((resolve) => npx.stdout.on("data", (bytes) => /listening on/.test(bytes) && resolve())));
  const server = Number(await readFile(`${file}.lock`, "utf8"));
  npx.kill("SIGKILL");
  // Its output closes once the server itself has ended.
  await within(10_000, `the end of the server, process ${server}`, closed).catch((error) => {
    process.kill(server, "SIGKILL");
    throw error;
  });
  await assert.rejects(readFile(`${file}.lock`), { code: "ENOENT" });
});

test("a disk that is full is 503 to pushes and to health, pulls go on, and room is noticed", { skip: process.platform === "linux" ? false : "prlimit is Linux's" }, async () => {
  const file = join(folder.path, "full.jsonl");
  // Writes beyond the limit fail with EFBIG, if the signal is ignored.
  const server = await start("sh", ["-c", `trap "" XFSZ; exec "${process.execPath}" "${installed.root}/node_modules/datum-sync/cli/main.js" dev --listen 127.0.0.1:0 --file "${file}" --quiet`]);
  try {
    const ann = await client(server.url, "ann");
    const health = async () => (await fetch(`${server.url}/sync/v1/health`)).status;
    const pid = (await readFile(`${file}.lock`, "utf8")).trim();
    const limit = (bytes) => new Promise((resolve) => spawn("prlimit", [`--pid=${pid}`, `--fsize=${bytes}:`]).once("close", resolve));
    await ann.push([row("1")]);
    assert.equal(await health(), 200);
    const { size } = await stat(file);
    assert.equal(await limit(size + 10), 0);
    assert.equal(await health(), 503);
    const refused = await fetch(`${server.url}/sync/v1/push`, { method: "POST", headers: ann.headers, body: JSON.stringify({ clientId: "d", operations: [row("2")] }) });
    assert.deepEqual([refused.status, (await refused.json()).code], [503, "storageFailed"]);
    assert.deepEqual(await titles(server.url), ["1"]);
    assert.equal((await stat(file)).size, size);
    await limit("unlimited");
    assert.equal(await health(), 200);
    assert.deepEqual((await ann.push([row("2")])).results.map(({ status }) => status), ["applied"]);
    assert.deepEqual((await readFile(file, "utf8")).trimEnd().split("\n").map((line) => typeof JSON.parse(line)), ["object", "object", "object"]);
  } finally {
    await server.stop();
  }
});

test("what was acknowledged survives a kill, as the same server", async () => {
  const file = join(folder.path, "kept.json");
  let identity;
  await killed(file, async (url) => {
    identity = await (await fetch(`${url}/sync/v1/health`)).json();
    const ann = await client(url, "ann");
    for (let id = 0; id < 20; id++) await ann.push([row(String(id))]);
  });
  await killed(file, async (url) => {
    assert.equal((await titles(url)).length, 20);
    await (await client(url, "ann")).push([{ opId: "d", entity: "tasks", id: "0", kind: "delete", baseVersion: 1 }]);
  });
  const server = await dev("--file", file);
  try {
    assert.equal((await titles(server.url)).length, 19);
    const now = await (await fetch(`${server.url}/sync/v1/health`)).json();
    assert.deepEqual([now.serverId, now.epoch], [identity.serverId, identity.epoch]);
  } finally {
    await server.stop();
  }
});

test("a last line that was cut off is removed, wherever the cut was, and what was before it is there", async () => {
  const file = join(folder.path, "cut.json");
  await killed(file, async (url) => {
    const ann = await client(url, "ann");
    await ann.push([row("1")]);
    await ann.push([row("2")]);
  });
  const whole = await readFile(file);
  const lines = whole.toString().split("\n");
  const last = whole.length - Buffer.byteLength(lines.at(-2)) - 1;
  for (const cut of [last + 1, last + 40, whole.length - 1]) {
    await writeFile(file, whole.subarray(0, cut));
    const server = await dev("--file", file);
    assert.match(server.said(), /last line was cut off/);
    assert.deepEqual(await titles(server.url), ["1"]);
    await (await client(server.url, "ann")).push([row("3")]);
    await server.stop();
    const again = await dev("--file", file);
    assert.doesNotMatch(again.said(), /cut off/);
    assert.deepEqual(await titles(again.url), ["1", "3"]);
    await again.stop();
  }
  // Also in the middle of the first line, of a server that was killed while it made the file.
  await writeFile(file, whole.subarray(0, 12));
  const server = await dev("--file", file);
  assert.deepEqual(await titles(server.url), []);
  await server.stop();
});

test("a file that is not its own, is damaged or of a later version is refused and left as it is", async () => {
  const file = join(folder.path, "other");
  for (const [content, said] of [
    ["my shopping list\n", /no file of `datum-sync dev`/],
    ['{"tasks":[]}', /no file of `datum-sync dev`/],
    ["SQLite format 3\0 and so on", /SQLite database/],
    ['{"format":"datum-sync journal","version":2,"serverId":"s","epoch":"e"}\n', /later version/],
    ['{"format":"datum-sync journal","version":1,"serverId":"s","epoch":"e"}\n[{"epoch":"e2"}]\nwhat\n[{"epoch":"e3"}]\n', /line 3 cannot be read/],
    ['{"format":"datum-sync journal","version":1,"serverId":"s","epoch":"e"}\n[{"fromTheFuture":1}]\n', /line 2 cannot be read/],
  ]) {
    await writeFile(file, content);
    const { code, err } = await ended("dev", "--file", file, "--listen", "127.0.0.1:0");
    assert.equal(code, 1, err);
    assert.match(err, said);
    assert.doesNotMatch(err, /\n +at /);
    assert.equal(await readFile(file, "utf8"), content);
  }
  const { code, err } = await ended("dev", "--file", join(folder.path, "no/such/folder"));
  assert.deepEqual([code, /Cannot lock/.test(err)], [1, true], err);
});

test("one server has a file at a time, and one that was killed gives way", async () => {
  const file = join(folder.path, "shared.json");
  const server = await dev("--file", file);
  const second = await ended("dev", "--file", file, "--listen", "127.0.0.1:0");
  assert.deepEqual([second.code, /is in use by process \d+/.test(second.err)], [1, true], second.err);
  await server.stop();
  await assert.rejects(readFile(`${file}.lock`));
  await appendFile(`${file}.lock`, "999999999");
  const third = await dev("--file", file);
  // A lock that somebody has removed is no reason to end with an error.
  await unlink(`${file}.lock`);
  await third.stop();
  assert.doesNotMatch(third.said(), /Error/);
});

test("options that are wrong are named, and a port that is taken", async () => {
  for (const [args, said] of [
    [["--listen", "0.0.0.0:8787"], /loopback only/],
    [["--listen", "192.168.1.1:8787"], /loopback only/],
    [["--listen", "8787"], /give an address and a port/],
    [["--listen", "127.0.0.1:99999"], /give an address and a port/],
    [["--allow-origin", "app.example"], /scheme, host and port/],
    [["--min-schema", "x"], /whole number/],
    [["--database", "x"], /There is no option --database/],
  ]) {
    const { code, err } = await ended("dev", ...args);
    assert.equal(code, 2, err);
    assert.match(err, said);
  }
  const server = await dev();
  const { code, err } = await ended("dev", "--listen", server.url.slice("http://".length));
  assert.deepEqual([code, /another program does/.test(err)], [1, true], err);
  await server.stop();
  assert.equal((await ended()).code, 2);
  assert.match((await ended("dev", "--help")).out, /--file FILE/);
});
