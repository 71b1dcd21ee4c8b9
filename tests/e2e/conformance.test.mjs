// The conformance kit of the packed package: it passes on the real server and the remote in memory, and says of anything else what it is.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { transform } from "esbuild";
import { startProxy } from "../conformance/proxy.mjs";
import { start } from "./lib/child.mjs";
import { startKit } from "./lib/conformance.mjs";
import { serverProgram } from "./lib/environment.mjs";
import { run, temporaryFolder } from "./lib/files.mjs";
import { freePort } from "./lib/ports.mjs";
import { pagesOf } from "./lib/readme.mjs";
import { client } from "./lib/server.mjs";
import { after, before, test } from "./lib/test.mjs";

let bench, server, kit, MemoryRemote;
before(async () => {
  bench = await startKit();
  ({ kit, server } = bench);
  ({ MemoryRemote } = await bench.load("testing.js"));
});
after(() => bench?.stop());

const check = (...given) => bench.check(...given);

/** Runs the program, and returns its exit code and what it printed. */
async function program(...args) {
  const child = spawn(process.execPath, [bench.file("cli/main.js"), "conformance", ...args], { env: { ...process.env, NO_COLOR: "1" } });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text) => (said.out += text));
  child.stderr.on("data", (text) => (said.err += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  return { code, ...said };
}

/** Starts a server that is none of ours. */
async function listen(respond) {
  const foreign = createServer(respond);
  await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  const stop = async () => {
    foreign.closeAllConnections();
    await new Promise((resolve) => foreign.close(resolve));
  };
  return { url: `http://127.0.0.1:${foreign.address().port}`, stop };
}

test("the real server passes every check, and is as tidy as before", async () => {
  const { code, out, err } = await program("--url", server.url, "--dev", "--entity", "tasks", "--entity", "lists", "--origin", "http://127.0.0.1:4000", "--json");
  const report = JSON.parse(out);
  assert.deepEqual([code, report.failures, report.stopped, err], [0, [], undefined, ""]);
  const unjudged = report.results.filter(({ outcome }) => outcome !== "passed").map(({ id }) => id);
  assert.deepEqual(unjudged, ["epoch.restored"]);
  assert.equal(report.rowsLeft, 0);
  assert.ok(report.rowsWritten > 500, String(report.rowsWritten));
});

test("a user's own rows stay as they are", async () => {
  const person = await client(server.url, "owner");
  await person.push([{ opId: "mine", entity: "tasks", id: "mine", kind: "create", baseVersion: null, data: { title: "mine" } }]);
  const before = await person.pullAll();
  const report = await kit.checkServer({ url: server.url, token: person.headers.authorization.replace("Bearer ", ""), only: ["conflicts", "deletes", "paging"] });
  assert.deepEqual([report.passed, report.rowsLeft], [true, 0], report.text);
  assert.deepEqual(await person.pullAll(), before);
});

test("the remote in memory passes as an adapter, with its backups", async () => {
  const remote = new MemoryRemote();
  const report = await kit.checkRemoteAdapter(remote, {
    userId: "ada",
    other: { userId: "ben" },
    restore: { backup: () => remote.backup(), restore: (copy) => remote.restore(copy) },
  });
  assert.deepEqual([report.passed, report.rowsLeft], [true, 0], report.text);
  assert.equal(report.results.find(({ id }) => id === "epoch.restored").outcome, "passed");
  assert.equal(remote.all("ada", "tasks").length, 0);
});

test("the complete adapter of the documents passes", async () => {
  const text = await readFile(new URL("../../docs/adapters.md", import.meta.url), "utf8");
  const { code } = pagesOf(text).get("adapter");
  // What follows are two devices, in a page.
  const [adapter] = code.split("const device = ");
  const module = join(bench.root, "documented.mjs");
  const { code: plain } = await transform(adapter, { loader: "ts" });
  await writeFile(module, `${plain}\nexport default () => ({ adapter: remote, userId: session.userId });`);
  const { code: end, out } = await program("--adapter", module);
  assert.equal(end, 0, out);
  assert.match(out, /\d\d passed, 0 failed/);
});

test("an adapter's module is checked by the program, and the report names its faults", async () => {
  const module = join(bench.root, "adapter.mjs");
  await writeFile(
    module,
    `import { MemoryRemote } from "datum-sync/testing";
     export default () => {
       const remote = new MemoryRemote();
       const pull = remote.pull.bind(remote);
       remote.pull = async (...given) => {
         const page = await pull(...given);
         return { ...page, changes: page.changes.filter(({ deleted }) => !deleted) };
       };
       return { adapter: remote, userId: "ada" };
     };`,
  );
  const { code, out } = await program("--adapter", module);
  assert.equal(code, 1, out);
  assert.match(out, /FAILED +deletes\.told[^]*sent +pull \{[^]*expected +a change with `deleted: true`\n +came +no change\n +costs +What was deleted[^]*section 4\.2/);
  assert.match(out, /Failures by chapter: deletes \d+\./);
  const promised = await program("--adapter", module, "--without", "deletes.told");
  assert.match(promised.out, /not promised +deletes\.told/);
  assert.equal(promised.code, 0, promised.out);
});

test("the operator's own commands back the real server up and restore it, and a command that fails is no fault of the server", async () => {
  const [place, port] = [await temporaryFolder(), await freePort()];
  const [database, copy, secret] = ["datum.sqlite", "copy.sqlite", "secret"].map((name) => join(place.path, name));
  await writeFile(secret, "a secret of this test only, and of nothing else");
  const serve = () => start(serverProgram(), ["--dev", "--listen", `127.0.0.1:${port}`, "--rate", "0", "--jwt-secret-file", secret, "--database", database]);
  let own = await serve();
  // Who stops and starts the server is the machine's own service manager; here it is asked by its address.
  const manager = await listen(async (_, response) => {
    await own.stop();
    await run(serverProgram(), ["restore", copy, "--database", database]);
    own = await serve();
    response.end();
  });
  try {
    const backup = `"${serverProgram()}" backup "${copy}" --database "${database}"`;
    const restore = `"${process.execPath}" -e "fetch('${manager.url}').then(({ ok }) => process.exit(ok ? 0 : 1))"`;
    const asked = ["--url", own.url, "--dev", "--only", "epoch", "--json"];
    const { code, out } = await program(...asked, "--backup-command", backup, "--restore-command", restore);
    const { results, rowsLeft } = JSON.parse(out);
    const restored = (list) => list.find(({ id }) => id === "epoch.restored");
    assert.deepEqual([code, restored(results).outcome, rowsLeft], [0, "passed", 0], out);
    const broken = await program(...asked, "--backup-command", "echo no room >&2; exit 3", "--restore-command", restore);
    const { outcome, note } = restored(JSON.parse(broken.out).results);
    assert.deepEqual([broken.code, outcome], [0, "notJudged"], broken.out);
    assert.match(note, /--backup-command ended with 3: no room/);
    const half = await program(...asked, "--backup-command", backup);
    assert.deepEqual([half.code, /give both/.test(half.err)], [2, true], half.err);
  } finally {
    await manager.stop();
    await own.stop();
    await place.remove();
  }
});

test("an adapter's own bug is shown with its name", async () => {
  const report = await kit.checkRemoteAdapter({ pull: async () => undefined.rows, push: async () => ({ results: [] }) });
  assert.equal(report.passed, false);
  assert.match(report.stopped, /pull threw TypeError: Cannot read properties of undefined \(reading 'rows'\)/);
});

const FOREIGN = {
  "a web page": [(_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Shop</title><h1>Welcome</h1>"), /HTTP 200, text\/html: "Shop Welcome"/],
  "404": [(_, response) => response.writeHead(404).end("nothing"), /HTTP 404: "nothing".*check `--url`/],
  "204": [(_, response) => response.writeHead(204).end(), /HTTP 204, without a body/],
  "JSON of another API": [(_, response) => response.writeHead(200, { "content-type": "application/json" }).end('{"data":[]}'), /HTTP 200, application\/json: "\{"data":\[\]\}"/],
  "a redirect": [(_, response) => response.writeHead(302, { location: "/login" }).end(), /does not follow redirects/],
  "401": [(_, response) => response.writeHead(401).end(), /The token is not accepted/],
};

for (const [name, [respond, said]] of Object.entries(FOREIGN)) {
  test(`what is no sync server ends with 2: ${name}`, async () => {
    const foreign = await listen(respond);
    const { code, out } = await program("--url", foreign.url, "--token", "x").finally(foreign.stop);
    assert.equal(code, 2, out);
    assert.match(out, said);
    assert.match(out, /The run could not begin/);
  });
}

test("nothing at the address, or a server that is silent, ends with 2", async () => {
  const closed = await listen(() => {});
  await closed.stop();
  const refused = await program("--url", closed.url, "--token", "x");
  assert.equal(refused.code, 2);
  assert.match(refused.out, /had no answer: .*ECONNREFUSED/);
  const silent = await listen(() => {});
  const late = await program("--url", silent.url, "--token", "x", "--timeout", "1").finally(silent.stop);
  assert.equal(late.code, 2);
  assert.match(late.out, /no answer within 1 s/);
});

test("wrong arguments end with 2, and say which", async () => {
  for (const [args, said] of [
    [[], /Give --url for a server, or --adapter/],
    [["--url", "example.com", "--token", "x"], /--url example\.com: give an address/],
    [["--url", server.url], /--token is missing/],
    [["--url", server.url, "--token", "x", "--only", "pages"], /--only pages: there is no such chapter/],
    [["--adapter", "missing.mjs"], /--adapter missing\.mjs: the module cannot be loaded/],
    [["--url", server.url, "--token", "x", "--fields", "a"], /--fields a: give two names/],
  ]) {
    const { code, err } = await program(...args);
    assert.equal(code, 2, err);
    assert.match(err, said);
  }
});

test("answers that get lost are asked for again, and that is said", async () => {
  let count = 0;
  const lossy = (body, send) => send(body).then((answer) => (++count % 10 === 0 ? Promise.reject(new Error("lost")) : answer));
  const proxy = await startProxy(server.url, { pull: lossy, push: lossy, cuts: true });
  const report = await check(proxy.url).finally(proxy.stop);
  assert.deepEqual([report.passed, report.rowsLeft], [true, 0], report.text);
  assert.ok(report.lostAnswers > 20, String(report.lostAnswers));
  assert.match(report.summary, /\d+ answers got lost and were asked for again/);
});

test("what is sent again since its answer got lost is no fault of the server's", async () => {
  const seen = new Set();
  const lossy = async (body, send) => {
    const answer = await send(body);
    const text = JSON.stringify(body);
    if (seen.has(text)) return answer;
    seen.add(text);
    throw new Error("lost");
  };
  const proxy = await startProxy(server.url, { push: lossy, cuts: true });
  const report = await check(proxy.url, { only: ["conflicts", "deletes", "users"] }).finally(proxy.stop);
  assert.deepEqual([report.passed, report.rowsLeft], [true, 0], report.text);
});

test("a server that is closed in the middle ends the run with what was found", async () => {
  let stopped;
  let count = 0;
  const proxy = await startProxy(server.url, { push: (body, send) => (++count === 40 ? ((stopped = proxy.stop()), new Promise(() => {})) : send(body)) });
  const report = await check(proxy.url);
  await stopped;
  assert.match(report.stopped, /The backend stopped answering at \w+\.\w+/);
  assert.equal(report.passed, false);
  assert.ok(report.results.some(({ outcome }) => outcome === "passed") && report.results.some(({ outcome }) => outcome === "notRun"));
  assert.equal(report.results.length, kit.CHECK_IDS.length);
  assert.ok(report.rowsLeft > 0);
});

test("a run ends at its limit, tidies up, and says so", async () => {
  const slow = (body, send) => new Promise((resolve) => setTimeout(resolve, 20)).then(() => send(body));
  const proxy = await startProxy(server.url, { pull: slow, push: slow });
  const report = await check(proxy.url, { limit: 1_500 }).finally(proxy.stop);
  assert.match(report.stopped, /longer than 1\.5 s in all/);
  assert.equal(report.rowsLeft, 0);
});
