// `datum-sync/rest` of the packed package over an ordinary JSON API that was shaped for nobody: what arrives and what is written, whatever the API
// answers, and the conformance kit as far as such an API can pass it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { iso, startApi, tasksOf } from "../conformance/api.mjs";
import { installPackage } from "./lib/package.mjs";
import { after, before, test } from "./lib/test.mjs";

let installed, rest, kit;
const load = (name) => import(pathToFileURL(join(installed.root, "node_modules", "datum-sync", name)));
before(async () => {
  installed = await installPackage();
  [rest, kit] = await Promise.all([load("rest/index.js"), load("conformance/index.js")]);
});
after(() => installed?.remove());

const signal = new AbortController().signal;
const request = { clientId: "device", userId: "ada" };

/** An adapter over a new API, which stops with the test. */
async function over(t, kind = {}, { options = {}, ...remote } = {}) {
  const api = await startApi(kind);
  t.after(() => api.stop());
  const adapter = rest.restRemote({ entities: { tasks: tasksOf(api, { ...kind, options }) }, ...remote });
  return { api, adapter };
}

/** Pulls everything behind a cursor. */
async function pullAll(adapter, cursor = null, limit = 1_000) {
  const changes = [];
  for (;;) {
    const page = await adapter.pull({ ...request, cursor, limit }, signal);
    changes.push(...page.changes);
    cursor = page.cursor;
    if (!page.more) return { changes, cursor, digests: page.digests, ids: [...new Set(changes.map(({ id }) => id))].sort() };
  }
}

const push = async (adapter, ...operations) => (await adapter.push({ ...request, operations }, signal)).results;
const op = (kind, id, baseVersion, data) => ({ opId: `${kind}-${id}-${baseVersion}`, entity: "tasks", id, kind, baseVersion, ...(data ? { data } : {}) });
const pushOne = async (adapter, ...given) => (await push(adapter, op(...given)))[0];
const failed = async (work) => work.then(
  () => assert.fail("it succeeded"),
  (error) => error,
);

test("of thirty rows with one time none is left out, whatever the API can page by", async (t) => {
  for (const [kind, limit] of [[{ keyset: true }, 7], [{ pages: true }, 7], [{}, 7], [{ keyset: true, cap: 10 }, 1_000], [{ pages: true, cap: 10 }, 1_000], [{}, 1_000]]) {
    const { api, adapter } = await over(t, kind);
    for (let at = 0; at < 30; at++) api.put(`row-${at}`, { title: "imported" }, false, 1_700_000_000_000_000);
    const { ids, cursor } = await pullAll(adapter, null, limit);
    assert.equal(ids.length, 30, JSON.stringify(kind));
    assert.deepEqual((await pullAll(adapter, cursor, limit)).changes, [], JSON.stringify(kind));
  }
});

test("a row that is committed late, with an older time, arrives", async (t) => {
  const { api, adapter } = await over(t, { keyset: true });
  api.put("first", { title: "first" });
  const { cursor } = await pullAll(adapter);
  api.put("late", { title: "of a long transaction" }, false, api.stamp() - 30_000_000);
  assert.deepEqual((await pullAll(adapter, cursor)).ids, ["late"]);
});

test("a cursor never goes back while nothing changes, and an idle pull is two requests at most", async (t) => {
  const { api, adapter } = await over(t, { keyset: true });
  for (let at = 0; at < 5; at++) api.put(`row-${at}`, {});
  let { cursor } = await pullAll(adapter);
  const since = [];
  for (let turn = 0; turn < 4; turn++) {
    api.requests.length = 0;
    ({ cursor } = await pullAll(adapter, cursor));
    assert.ok(api.requests.length <= 2, String(api.requests.length));
    since.push(api.requests[0].query.get("updated_since"));
  }
  assert.deepEqual(since, [...since].sort());
});

test("rows that move while pages with numbers are read are not passed by", async (t) => {
  let moved = false;
  const kind = { pages: true, marks: true };
  const { api, adapter } = await over(t, kind);
  for (let at = 0; at < 12; at++) api.put(`row-${at}`, {}, false, 1_600_000_000_000_000 + at);
  const page = await adapter.pull({ ...request, cursor: null, limit: 4 }, signal);
  moved = api.put("row-0", { title: "moved" }) !== undefined;
  const { ids } = await pullAll(adapter, page.cursor, 4);
  assert.ok(moved);
  assert.equal(new Set([...page.changes.map(({ id }) => id), ...ids]).size, 12);
});

test("pages with numbers of which the last one is gone are listed again", async (t) => {
  const { api, adapter } = await over(t, { pages: true, ends: true });
  for (let at = 0; at < 11; at++) api.put(`row-${String(at).padStart(2, "0")}`, {}, false, 1_600_000_000_000_000 + at);
  const first = await adapter.pull({ ...request, cursor: null, limit: 5 }, signal);
  const second = await adapter.pull({ ...request, cursor: first.cursor, limit: 5 }, signal);
  api.rows.delete("row-00");
  const { ids } = await pullAll(adapter, second.cursor, 5);
  assert.ok(ids.includes("row-10"), ids.join());
  // A page that is never there is an address that is wrong.
  const { adapter: wrong } = await over(t, { pages: true, ends: true }, { options: { list: async ({ next }) => (next === null ? { rows: [], next: 2 } : new Response("{}", { status: 404 })) } });
  assert.match((await failed(pullAll(wrong))).message, /HTTP 404/);
});

test("an answer in words to a write is one, and to a question is not", async (t) => {
  const { api, adapter } = await over(t, { words: "OK" });
  const { version, ...created } = await pushOne(adapter, "create", "a", null, { title: "mine" });
  assert.deepEqual([created.status, created.row.title], ["applied", "mine"]);
  assert.equal((await pushOne(adapter, "patch", "a", version, { title: "edited" })).row.title, "edited");
  assert.deepEqual([(await pushOne(adapter, "delete", "a", (await pullAll(adapter)).changes[0].version)).status, api.rows.size], ["applied", 0]);
  const says = () => new Response("Sign in", { headers: { "content-type": "text/plain" } });
  const { adapter: silent } = await over(t, {}, { options: { list: says, get: says } });
  assert.equal((await failed(silent.pull({ ...request, cursor: null, limit: 10 }, signal))).code, "network");
  assert.equal((await failed(push(silent, op("patch", "a", 2, {})))).code, "network");
});

test("a create whose answer got lost is applied when it is sent again, and a delete, too", async (t) => {
  let losing = true;
  const { api, adapter } = await over(t, { etags: true, late: ({ method }) => losing && ["POST", "DELETE", "PATCH"].includes(method) });
  const lost = await failed(push(adapter, op("create", "a", null, { title: "mine" })));
  assert.deepEqual([lost.code, lost.retryable, api.rows.has("a")], ["network", true, true]);
  losing = false;
  const created = await pushOne(adapter, "create", "a", null, { title: "mine" });
  assert.deepEqual([created.status, created.replayed], ["applied", true]);
  losing = true;
  await failed(push(adapter, op("patch", "a", created.version, { title: "edited" })));
  losing = false;
  const patched = await pushOne(adapter, "patch", "a", created.version, { title: "edited" });
  assert.deepEqual([patched.status, api.rows.get("a").title], ["applied", "edited"]);
  losing = true;
  await failed(push(adapter, op("delete", "a", patched.version)));
  losing = false;
  assert.equal((await pushOne(adapter, "delete", "a", patched.version)).status, "applied");
});

test("an id that the API does not take is rejected with its words, and the others go", async (t) => {
  for (const status of [400, 422]) {
    const refuse = () => new Response('{"message":"The id must be a UUID."}', { status });
    const options = { get: refuse, create: (row) => (row.id === "a b" ? refuse() : { ...row, updated_at: iso(1_700_000_000_000_000) }) };
    const { adapter } = await over(t, {}, { options });
    const [wrong, other] = await push(adapter, op("create", "a b", null, { title: "wrong" }), op("create", "c", null, { title: "right" }));
    assert.deepEqual([wrong.status, wrong.code, wrong.message, other.status], ["rejected", `http${status}`, "The id must be a UUID.", "applied"]);
  }
});

test("an id that is taken may be refused like any value that is not valid", async (t) => {
  for (const taken of [400, 422]) {
    let losing = true;
    const { api, adapter } = await over(t, { taken, late: ({ method }) => losing && method === "POST" });
    await failed(push(adapter, op("create", "a", null, { title: "mine" })));
    losing = false;
    const again = await pushOne(adapter, "create", "a", null, { title: "mine" });
    assert.deepEqual([again.status, again.replayed], ["applied", true], String(taken));
    api.put("b", { title: "theirs" });
    assert.equal((await pushOne(adapter, "create", "b", null, { title: "ours" })).status, "conflict");
  }
});

test("a row of somebody else under the same id is a conflict, and a value that must be unique a refusal", async (t) => {
  const { api, adapter } = await over(t, { etags: true });
  api.put("a", { title: "theirs" });
  const met = await pushOne(adapter, "create", "a", null, { title: "ours" });
  assert.deepEqual([met.status, met.row.title], ["conflict", "theirs"]);
  const refused = await pushOne(adapter, "create", "b", null, { title: "forbidden" });
  assert.deepEqual([refused.status, refused.code, refused.message], ["rejected", "http422", "This title is not allowed."]);
});

test("a write against an old version conflicts, also one that comes between the read and the write", async (t) => {
  for (const kind of [{ etags: true }, { versions: true }]) {
    const { api, adapter } = await over(t, { ...kind, before: (req) => void (racing && ["PATCH", "PUT"].includes(req.method) && ((racing = false), api.put("a", { title: "theirs" }))) });
    let racing = false;
    const { version } = await pushOne(adapter, "create", "a", null, { title: "mine" });
    racing = true;
    const raced = await pushOne(adapter, "patch", "a", version, { title: "ours" });
    assert.deepEqual([raced.status, raced.row?.title, api.rows.get("a").title], ["conflict", "theirs", "theirs"], JSON.stringify(kind));
    const stale = await pushOne(adapter, "delete", "a", version);
    assert.deepEqual([stale.status, api.rows.get("a").gone], ["conflict", false]);
  }
});

test("a row that is gone conflicts, and the app's decision to keep it makes it again", async (t) => {
  const { api, adapter } = await over(t, { etags: true });
  const { version } = await pushOne(adapter, "create", "a", null, { title: "mine" });
  api.rows.delete("a");
  const gone = await pushOne(adapter, "update", "a", version, { title: "edited" });
  assert.deepEqual([gone.status, gone.row], ["conflict", null]);
  assert.equal((await pushOne(adapter, "update", "a", gone.version, { title: "edited" })).status, "applied");
  assert.equal(api.rows.get("a").title, "edited");
});

test("deletions of an API without marks are found by a comparison", async (t) => {
  const { api, adapter } = await over(t, { keyset: true }, { compareEvery: 0 });
  for (let at = 0; at < 30; at++) api.put(`row-${at}`, {});
  const before = await pullAll(adapter, null, 10);
  api.rows.delete("row-3");
  const after = await pullAll(adapter, before.cursor);
  assert.deepEqual([after.changes, before.digests.tasks.count, after.digests.tasks.count], [[], 30, 29]);
});

test("numbers as text, times without a zone and of other kinds are read", async (t) => {
  for (const time of [iso, (micros) => iso(micros).slice(0, -1), (micros) => iso(micros).replace("T", " "), (micros) => Math.floor(micros / 1e3), (micros) => String(micros / 1e6), (micros) => iso(micros).replace("Z", "+00:00"), (micros) => iso(micros).replace("T", " ").replace("Z", "+00"), (micros) => iso(micros).replace("T", " ").replace("Z", " UTC"), (micros) => iso(micros + 7_200_000_000).replace("T", " ").replace("Z", " +0200"), (micros) => iso(micros).replace(".", ",")]) {
    const { api, adapter } = await over(t, { time });
    api.put(7, { title: "numbered" }, false, 1_700_000_000_123_000);
    const { changes } = await pullAll(adapter);
    assert.deepEqual([changes[0].id, changes[0].version, changes[0].data.modifiedAt], ["7", 3_400_000_000_246_000, "2023-11-14T22:13:20.123Z"], String(time));
  }
  const { api, adapter } = await over(t, { versions: true }, { options: { fromRow: ({ rev, ...row }) => ({ ...row, rev }) } });
  api.put("a", { title: "x" });
  assert.equal((await pullAll(adapter)).changes[0].version, 2);
});

test("what an API answers that is no answer is reported by function, type and cause", async (t) => {
  let answer;
  const { api, adapter } = await over(t, { before: (_, response) => answer?.(response) });
  api.put("a", { title: "there" });
  const html = (status) => (response) => response.writeHead(status, { "content-type": "text/html" }).end("<title>Sign in</title>");
  const json = (status, body, headers = {}) => (response) => response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  for (const [given, code, said] of [
    [html(200), "network", /`list` of "tasks" \(HTTP 200\): "Sign in"/],
    [html(502), "serverError", /`list` of "tasks" was answered with HTTP 502: Sign in/],
    [json(401, { message: "expired" }), "unauthorized", /HTTP 401: expired/],
    [json(404, {}), "protocol", /HTTP 404/],
    [json(429, {}, { "retry-after": "7" }), "rateLimited", /HTTP 429/],
    [json(200, { data: [] }), "protocol", /must return a list of rows, or \{ rows, next \}; it returned \{"data":\[\]\}/],
    [json(200, [{ id: "a" }]), "protocol", /A row of "tasks" has `updated_at` missing, which is no time/],
    [json(200, [{ updated_at: "2026-01-01" }]), "protocol", /has `id` missing/],
    [json(200, [5]), "protocol", /A row of "tasks" is no object: 5/],
    [json(200, [{ id: "b", updated_at: "2026-01-02" }, { id: "a", updated_at: "2026-01-01" }]), "protocol", /in the order of `updated_at`, the oldest first: a \(2026-01-01\) comes after b/],
    [(response) => response.destroy(), "network", /`list` of "tasks": the request did not arrive/],
  ]) {
    answer = (response) => (given(response), true);
    const error = await failed(adapter.pull({ ...request, cursor: null, limit: 10 }, signal));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, said);
    if (code === "rateLimited") assert.equal(error.retryAfterMs, 7_000);
  }
  for (const status of [204, 304]) {
    answer = (response) => (response.writeHead(status).end(), true);
    assert.deepEqual((await pullAll(adapter)).changes, []);
  }
});

test("an app's own bug is distinguished from a request that failed", async () => {
  const functions = { get: async () => null, create: async () => null, update: async () => null, remove: async () => null };
  const list = (work) => rest.restRemote({ entities: { tasks: { ...functions, list: work } } });
  const pull = (adapter) => failed(adapter.pull({ ...request, cursor: null, limit: 10 }, signal));
  const bug = await pull(list(async () => (await undefined).rows));
  assert.deepEqual([bug.code, bug.entity], ["protocol", "tasks"]);
  assert.match(bug.message, /`list` of "tasks" threw TypeError: Cannot read properties of undefined \(reading 'rows'\)\. This is a bug/);
  assert.equal((await pull(list(() => fetch("http://127.0.0.1:9/")))).code, "network");
  // As axios and ky throw.
  const refused = await pull(list(async () => Promise.reject(Object.assign(new Error("Request failed"), { response: { status: 401, data: { message: "expired" } } }))));
  assert.equal(refused.code, "unauthorized");
  for (const headers of [{ "retry-after": "7" }, new Headers({ "retry-after": "7" })]) {
    const busy = await pull(list(async () => Promise.reject(Object.assign(new Error("Request failed"), { response: { status: 429, headers } }))));
    assert.deepEqual([busy.code, busy.retryAfterMs], ["rateLimited", 7_000]);
  }
});

test("a session of another user, and options that are wrong, are refused by name", async (t) => {
  const { adapter } = await over(t, {}, { userId: () => "ben" });
  assert.equal((await failed(adapter.pull({ ...request, cursor: null, limit: 10 }, signal))).code, "userMismatch");
  const functions = { list: () => [], get: () => null, create: () => null, update: () => null, remove: () => null };
  for (const [options, said] of [
    [{}, /`entities` must name/],
    [{ entities: { tasks: { ...functions, list: undefined } } }, /`entities\.tasks\.list` must be a function/],
    [{ entities: { tasks: { ...functions, remove: undefined } } }, /needs `remove`, or `isDeleted`/],
    [{ entities: { tasks: { ...functions, updated: "at" } } }, /has no option `updated`/],
    [{ entities: { tasks: { ...functions, isConditional: true } } }, /`entities\.tasks\.isConditional` needs `version`/],
    [{ entities: { tasks: functions }, overlap: "1m" }, /`overlap` must be milliseconds/],
  ]) {
    assert.throws(() => rest.restRemote(options), (error) => error.code === "invalidConfig" && said.test(error.message));
  }
});

/** What an API without a memory of operations does not promise, and what depends on what it can. */
const REPLAYS = ["replays.create", "replays.update", "replays.patch", "replays.delete"];
const KINDS = [
  ["ETags, marks and keyset pages", { etags: true, marks: true, keyset: true }, []],
  ["a version that is compared, marks and pages", { versions: true, marks: true, pages: true }, []],
  ["PUT, silent answers and ETags", { etags: true, marks: true, pages: true, silent: true, replace: true }, []],
  ["no marks of deletions", { etags: true, keyset: true }, ["deletes.told"]],
  ["nothing to compare by", { marks: true, keyset: true }, ["conflicts.sameMoment"]],
];
for (const [name, kind, more] of KINDS) {
  test(`the conformance kit passes as far as the API goes: ${name}`, async (t) => {
    const { adapter } = await over(t, kind);
    const report = await kit.checkRemoteAdapter(adapter, { userId: "ada", without: [...REPLAYS, ...more] });
    assert.deepEqual([report.failures.map(({ id }) => id), report.stopped], [[], undefined], report.text);
    const missed = report.results.filter(({ outcome }) => outcome === "notPromised").map(({ id }) => id);
    assert.deepEqual(missed, [...more.filter((id) => id < "replays"), ...REPLAYS]);
  });
}
