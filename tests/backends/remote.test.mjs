// `supabaseRemote` over the SQL kit: what two devices see, whose session counts, and what each failure becomes.
import assert from "node:assert/strict";
import { after, before, test } from "../e2e/lib/test.mjs";
import { addUser, library, newClient, newDevice, signIn, until } from "./lib/devices.mjs";
import { startProject } from "./lib/project.mjs";

const { supabaseRemote } = library;
let project;
before(async () => (project = await startProject()));
after(() => project?.gateway.faults.clear());

const asked = (path) => project.gateway.requests.filter((request) => request.path.endsWith(path)).length;
const fault = (kind, on, more = {}) => project.gateway.faults.add({ on, kind, ...more });
const rows = async (user) => (await project.query("select title from public.tasks where user_id = $1 order by title", [user])).rows.map(({ title }) => title);

test("what one device writes offline reaches the table and another device, and edits of different fields are merged", async () => {
  const [phone, laptop] = [await newDevice(project), await newDevice(project)];
  const task = await phone.tasks.create({ title: "Buy bread", done: false });
  await phone.tasks.create({ title: "Call Ben", done: false });
  assert.equal((await phone.sync()).pushedCount, 2);
  assert.deepEqual(await rows(phone.user), ["Buy bread", "Call Ben"]);
  await laptop.sync();
  assert.deepEqual(await laptop.titles(), ["Buy bread", "Call Ben"]);

  await phone.tasks.patch(task.id, { title: "Buy milk" });
  await laptop.tasks.patch(task.id, { done: true });
  for (const device of [phone, laptop, phone]) await device.sync();
  for (const device of [phone, laptop]) {
    const { title, done } = await device.tasks.read(task.id);
    assert.deepEqual([title, done], ["Buy milk", true]);
  }
  await laptop.tasks.delete(task.id);
  for (const device of [laptop, phone]) await device.sync();
  assert.deepEqual([await phone.titles(), await rows(phone.user)], [["Call Ben"], ["Call Ben"]]);
});

test("what the table refuses becomes a dead letter, and the others go", async () => {
  const device = await newDevice(project, { email: "refused@example.test" });
  await device.tasks.createMany([{ title: "One" }, { title: "refuse" }, { title: "Two" }]);
  assert.deepEqual([(await device.sync()).failedCount, await rows(device.user)], [1, ["One", "Two"]]);
  const [letter] = await device.datum.deadLetters(device.user);
  assert.equal(letter.data.title, "refuse");
});

test("without a session nothing is asked, and under another user's session nothing is sent", async () => {
  const user = await addUser(project, "nobody@example.test");
  const device = await newDevice(project, { email: null, userId: user });
  await device.tasks.create({ title: "Kept" });
  // Of other devices, requests may still be on their way.
  const asked = () => project.gateway.requests.filter(({ text }) => text.includes(user)).length;
  assert.equal(await device.failure(), "unauthorized");
  assert.equal(asked(), 0);

  await addUser(project, "other@example.test");
  await signIn(device.client, "other@example.test");
  assert.equal(await device.failure(), "userMismatch");
  assert.equal(asked(), 0);
  assert.equal(await device.waiting(), 1);
  await signIn(device.client, "nobody@example.test");
  assert.equal((await device.sync()).pushedCount, 1);
});

test("a token of another user that is sent all the same is refused by the kit", async () => {
  const device = await newDevice(project, { email: "claims@example.test" });
  const other = await addUser(project, "victim@example.test");
  const remote = supabaseRemote(device.client, { userId: () => other });
  await assert.rejects(remote.pull({ clientId: "c", userId: other, cursor: null, limit: 10 }, new AbortController().signal), { name: "DatumError", code: "userMismatch", status: 409 });
});

test("a refused token is renewed once for all requests, and then the cycle ends as unauthorized and keeps pending operations", async () => {
  const device = await newDevice(project, { email: "renewed@example.test" });
  await device.sync();
  project.gateway.accounts.revoke(device.user);
  await device.tasks.create({ title: "After the renewal" });
  const before = asked("/token");
  await device.sync();
  assert.equal(asked("/token"), before + 1);
  assert.deepEqual(await rows(device.user), ["After the renewal"]);

  await device.tasks.create({ title: "Waits" });
  await project.gateway.accounts.endSessions(device.user);
  assert.equal(await device.failure(), "unauthorized");
  assert.equal(await device.waiting(), 1);
  assert.equal(device.datum.statusForUser(device.user).current.health.status, "unauthorized");
  await signIn(device.client, "renewed@example.test");
  await device.sync();
  assert.deepEqual(await rows(device.user), ["After the renewal", "Waits"]);
});

test("a token that expires between push and pull is renewed on the way", async () => {
  const device = await newDevice(project, { email: "midway@example.test" });
  await device.tasks.create({ title: "Pushed" });
  fault("slow", /datum_push/, { ms: 30 });
  const pushed = until("the push", () => asked("datum_push") > 0);
  const cycle = device.sync();
  await pushed;
  project.gateway.accounts.revoke(device.user);
  assert.equal((await cycle).isSuccess, true);
});

test("a session that cannot be renewed because the network is gone is a network failure, and nobody is signed out", async () => {
  const device = await newDevice(project, { email: "tunnel@example.test" });
  await device.sync();
  project.gateway.accounts.revoke(device.user);
  const rule = fault("refuse", /auth\/v1\/token/, { times: 1_000 });
  assert.equal(await device.failure({ timeout: 3_000 }).then((code) => ["network", "timeout"].includes(code)), true);
  rule.times = 0;
  await device.sync();
});

for (const [name, kind, more, code] of [
  ["an answer that is lost", "drop", {}, "network"],
  ["a request that does not arrive", "refuse", {}, "network"],
  ["an answer that is cut off", "truncate", { cut: true }, "network"],
  ["half an answer", "truncate", {}, "network"],
  ["a web page under 200", "html", {}, "network"],
  ["a sign-in page under 403", "html", { status: 403 }, "network"],
  ["a gateway's page under 502", "html", { status: 502 }, "serverError"],
  ["429", "status", { status: 429, body: { message: "slow down" } }, "rateLimited"],
  ["503", "status", { status: 503, body: { message: "no" } }, "serverError"],
  ["a replica that takes no writes", "status", { status: 400, body: { code: "0A000", message: "cannot set transaction read-write mode during recovery" } }, "serverError"],
  ["403 of PostgREST", "status", { status: 403, body: { code: "42501", message: "permission denied for function datum_push" } }, "forbidden"],
  ["426", "status", { status: 426, body: { code: "clientOutdated", message: "older than the least schema" } }, "clientOutdated"],
  ["a statement that took too long", "status", { status: 500, body: { code: "57014", message: "canceling statement due to statement timeout" } }, "timeout"],
  ["a function that is not there", "status", { status: 404, body: { code: "PGRST202", message: "Could not find the function" } }, "protocol"],
]) {
  test(`${name}, to push and to pull: ${code}; the next cycle sends pending operations, once`, async () => {
    const device = await newDevice(project, { email: `${name.replace(/\W/g, "-")}@example.test` });
    await device.sync();
    for (const [path, options] of [[/datum_push/, { direction: "pushOnly" }], [/datum_pull/, { direction: "pullOnly" }]]) {
      if (path.test("datum_push")) await device.tasks.createMany([{ title: "One" }, { title: "Two" }]);
      const rule = fault(kind, path, { ...more, times: 1_000 });
      assert.equal(await device.failure(options), code);
      rule.times = 0;
      await device.sync();
      assert.deepEqual([await device.waiting(), await rows(device.user)], [0, ["One", "Two"]]);
    }
    const other = await newDevice(project, { email: `${name.replace(/\W/g, "-")}@example.test` });
    await other.sync();
    assert.deepEqual(await other.titles(), ["One", "Two"]);
  });
}

test("the delay that is asked for is kept: exact in the body, or in the header where the page may read it", async () => {
  const device = await newDevice(project, { email: "patient@example.test" });
  for (const [more, wait] of [
    [{ body: { code: "busy", message: "later", details: '{"retryAfterMs":1234}' }, headers: { "retry-after": "9" } }, 1234],
    [{ body: { code: "busy", message: "later" }, headers: { "retry-after": "7" } }, 7000],
    [{ body: "<h1>later</h1>", headers: { "retry-after": "2.5", "content-type": "text/html" } }, 2500],
  ]) {
    fault("status", /datum_pull/, { status: 503, ...more });
    await assert.rejects(device.sync({ direction: "pullOnly" }), (error) => error.code === "serverError" && error.retryAfterMs === wait && error.status === 503);
  }
});

test("a batch that arrives twice at the same moment, or whose answer is lost, is applied once", async () => {
  const device = await newDevice(project, { email: "twice@example.test" });
  await device.tasks.createMany(Array.from({ length: 50 }, (_, n) => ({ title: `Task ${n}` })));
  fault("twice", /datum_push/);
  await device.sync();
  const [task] = await device.tasks.readAll();
  await device.tasks.patch(task.id, { done: true });
  fault("drop", /datum_push/);
  await device.failure();
  await device.sync();
  assert.deepEqual([(await rows(device.user)).length, await device.waiting(), (await device.datum.conflicts(device.user)).length], [50, 0, 0]);
});

test("a batch that is too large is sent in parts", async () => {
  const device = await newDevice(project, { email: "large@example.test" });
  await device.tasks.createMany(Array.from({ length: 40 }, (_, n) => ({ title: `Task ${n}` })));
  fault("status", /datum_push/, { status: 413, body: "<h1>Request Entity Too Large</h1>", headers: { "content-type": "text/html" }, times: 2 });
  await device.sync();
  assert.deepEqual([(await rows(device.user)).length, await device.waiting()], [40, 0]);
});

test("an answer that never comes ends with the cycle's time, and a stopped cycle stops its request", async () => {
  const device = await newDevice(project, { email: "waits@example.test" });
  fault("hang", /datum_pull/);
  assert.equal(await device.failure({ direction: "pullOnly", timeout: 300 }), "timeout");
  fault("hang", /datum_pull/);
  const end = new AbortController();
  setTimeout(() => end.abort(), 100);
  assert.equal((await device.sync({ direction: "pullOnly", signal: end.signal })).wasCancelled, true);
});

test("a request that Supabase leaves without an answer ends by itself, and a slow answer does not", async () => {
  const device = await newDevice(project, { email: "silent@example.test", remote: { timeout: 400 } });
  await device.tasks.createMany(Array.from({ length: 300 }, (_, n) => ({ title: `Task ${n}`, note: "x".repeat(500) })));
  await device.sync();
  const silent = fault("hang", /datum_pull/, { times: 1_000 });
  const started = Date.now();
  assert.equal(await device.failure({ direction: "pullOnly", timeout: 60_000 }), "timeout");
  assert.ok(Date.now() - started < 20_000, `${Date.now() - started} ms`);
  silent.times = 0;
  project.gateway.faults.clear();
  const dripping = fault("drip", /datum_pull/, { times: 1_000, ms: 50, parts: 20 });
  const slow = await newDevice(project, { email: "silent@example.test", remote: { timeout: 400 } });
  await slow.sync();
  dripping.times = 0;
  assert.equal((await slow.titles()).length, 300);
});

test("metadata tells of both devices, and is cleared", async () => {
  const [phone, laptop] = [await newDevice(project, { email: "meta@example.test" }), await newDevice(project, { email: "meta@example.test" })];
  assert.equal(await phone.datum.getRemoteSyncMetadata(phone.user), null);
  await phone.datum.setCustomMetadata(phone.user, { deviceName: "Phone" });
  await phone.sync();
  await laptop.sync();
  const metadata = await phone.datum.getRemoteSyncMetadata(phone.user);
  assert.deepEqual([metadata.deviceCount, metadata.syncStatus, metadata.isNeverSynced, metadata.customMetadata], [2, "synced", false, { deviceName: "Phone" }]);
  await phone.datum.clearSyncMetadata(phone.user, { remote: true });
  assert.equal(await laptop.datum.getRemoteSyncMetadata(laptop.user), null);
});

test("contents are compared after a full pull and then only so often, and metadata tells whether both sides are alike", async () => {
  const compared = (user) => project.gateway.requests.filter(({ path, text }) => path.endsWith("datum_pull") && text.includes(user)).map(({ text }) => JSON.parse(text).digests === true);
  const rare = await newDevice(project, { email: "rare@example.test" });
  await rare.tasks.create({ title: "One" });
  for (let n = 0; n < 3; n++) await rare.sync({ direction: "pullThenPush" });
  assert.deepEqual([compared(rare.user)[0], compared(rare.user).at(-1)], [true, false]);
  assert.equal(await rare.datum.compareSyncMetadata(rare.user), "inSync");

  const never = await newDevice(project, { email: "never@example.test", remote: { compareEvery: false } });
  for (let n = 0; n < 2; n++) await never.sync();
  assert.deepEqual(new Set(compared(never.user)), new Set([false]));

  const often = await newDevice(project, { email: "often@example.test", remote: { compareEvery: 0 } });
  await often.tasks.create({ title: "Stays" });
  await often.sync();
  // Past the triggers, as a restored dump or a replica does: the kit does not know, and says so when it is asked to look.
  await project.query("begin; set local session_replication_role = replica; insert into public.tasks(user_id, title) values ('" + often.user + "', 'Past the triggers'); commit");
  await often.sync();
  assert.deepEqual(await often.titles(), ["Stays"]);
  await project.query("select datum.reconcile('tasks')");
  await often.sync();
  assert.deepEqual([await often.titles(), compared(often.user).at(-1)], [["Past the triggers", "Stays"], true]);
});

test("requests are the app's client's: its headers, its fetch, its key", async () => {
  const calls = [];
  const client = newClient(project, { global: { headers: { "x-app": "mine" }, fetch: (...given) => (calls.push(String(given[0])), fetch(...given)) } });
  const device = await newDevice(project, { client, email: "own@example.test" });
  await device.sync();
  const request = project.gateway.requests.findLast(({ path }) => path.endsWith("datum_pull"));
  assert.deepEqual([request.headers["x-app"], request.headers.apikey === project.anonKey, calls.some((url) => url.endsWith("/rest/v1/rpc/datum_pull"))], ["mine", true, true]);
});

test("a client whose tokens come from elsewhere names its user", async () => {
  const signedIn = newClient(project);
  await addUser(project, "elsewhere@example.test");
  const user = await signIn(signedIn, "elsewhere@example.test");
  const token = async () => (await signedIn.auth.getSession()).data.session.access_token;
  const client = newClient(project, { accessToken: token });
  const device = await newDevice(project, { client, email: null, userId: user, remote: { userId: () => user } });
  await device.tasks.create({ title: "By another token" });
  await device.sync();
  assert.deepEqual(await rows(user), ["By another token"]);
});

test("a hint of another device is pulled at once, also after the socket broke, and the channel goes with the listener", async () => {
  const options = { email: "live@example.test", config: { realtime: true, autoStartSync: true, autoSyncInterval: 600_000, syncAfterWrite: 10 } };
  const [phone, laptop] = [await newDevice(project, options), await newDevice(project, options)];
  for (const device of [phone, laptop]) await device.datum.startAutoSync(device.user);
  const joined = () => project.gateway.realtime.joined;
  await until("both listen", () => joined() === 2);
  await phone.tasks.create({ title: "Seen at once" });
  await until("the hint", async () => (await laptop.titles()).length === 1);
  project.gateway.realtime.breakAll();
  await phone.tasks.create({ title: "While it was broken" });
  await until("the rejoin's own pull", async () => (await laptop.titles()).length === 2, 30_000);
  await until("both again", () => joined() === 2, 30_000);
  for (const device of [phone, laptop]) await device.datum.stopAutoSync(device.user);
  await until("the channels are gone", () => joined() === 0);
});

