// What a project, a client or the way between them may be that nobody meant: tokens, schemas, limits.
import assert from "node:assert/strict";
import { after, before, test } from "../e2e/lib/test.mjs";
import { sign } from "./gateway/token.mjs";
import { addUser, library, newClient, newDevice, signIn, storage } from "./lib/devices.mjs";
import { startProject } from "./lib/project.mjs";

let project;
before(async () => (project = await startProject({ tokenSeconds: 3, maxRows: 2 })));
after(() => project?.gateway.faults.clear());

const rows = async (user) => (await project.query("select title from public.tasks where user_id = $1 order by title", [user])).rows.map(({ title }) => title);
const insert = (user, title) => project.query("insert into public.tasks(user_id, title) values ($1, $2)", [user, title]);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A client whose session has another access token. */
async function withToken(email, change) {
  const values = storage();
  const first = newClient(project, { auth: { storage: values, storageKey: "session" } });
  const user = await addUser(project, email);
  await signIn(first, email);
  const session = JSON.parse(values.getItem("session"));
  values.setItem("session", JSON.stringify({ ...session, ...change(session, user) }));
  return { user, client: newClient(project, { auth: { storage: values, storageKey: "session" } }) };
}

for (const [name, change] of [
  ["of another project", (session, sub) => ({ access_token: sign({ sub, role: "authenticated", exp: 4_102_444_800 }, "another project"), expires_at: 4_102_444_800, refresh_token: "of-another-project" })],
  ["that is none", () => ({ access_token: "a.b.c", expires_at: 4_102_444_800, refresh_token: "none" })],
  ["of nobody, the anon key", () => ({ access_token: project.anonKey, expires_at: 4_102_444_800, refresh_token: "none" })],
]) {
  test(`a token ${name}: unauthorized, and what was written waits for the next sign-in`, async () => {
    const email = `token-${name.replace(/\W+/g, "-")}@example.test`;
    const { user, client } = await withToken(email, change);
    const device = await newDevice(project, { client, email: null, userId: user });
    await device.tasks.create({ title: "Kept" });
    assert.equal(await device.failure(), "unauthorized");
    assert.deepEqual([await device.waiting(), await device.titles(), await rows(user)], [1, ["Kept"], []]);
    await signIn(client, email);
    await device.sync();
    assert.deepEqual([await device.waiting(), await rows(user)], [0, ["Kept"]]);
  });
}

test("the anon key in the place of an app's own token is refused", async () => {
  const user = await addUser(project, "own-token@example.test");
  const client = newClient(project, { accessToken: async () => project.anonKey });
  const device = await newDevice(project, { client, email: null, userId: user, remote: { userId: () => user } });
  await device.tasks.create({ title: "Kept" });
  assert.ok(["unauthorized", "forbidden"].includes(await device.failure()));
  assert.deepEqual([await device.waiting(), await rows(user)], [1, []]);
});

test("a session without automatic renewal is renewed by the cycle, also after its token has expired", async () => {
  const device = await newDevice(project, { email: "manual@example.test" });
  await device.sync();
  await device.tasks.create({ title: "Much later" });
  await wait(3_500);
  await device.sync();
  assert.deepEqual(await rows(device.user), ["Much later"]);
});

test("max-rows of PostgREST cuts no page of the functions", async () => {
  const device = await newDevice(project, { email: "rows@example.test" });
  for (let n = 0; n < 9; n++) await insert(device.user, `Row ${n}`);
  await device.sync();
  assert.equal((await device.titles()).length, 9);
});

test("a client for another schema calls the functions where they are", async () => {
  const client = newClient(project, { db: { schema: "app" } });
  const device = await newDevice(project, { client, email: "schema@example.test" });
  await device.tasks.create({ title: "In public" });
  await device.sync();
  assert.deepEqual(await rows(device.user), ["In public"]);
});

test("the kit that comes while the app runs is there once PostgREST knows it", async () => {
  const bare = await startProject({ isPlain: true, migrations: ["create table public.tasks(id uuid primary key default gen_random_uuid(), user_id uuid, title text)"] });
  const device = await newDevice(bare, { email: "early@example.test" });
  await device.tasks.create({ title: "Kept" });
  assert.equal(await device.failure(), "protocol");
  const { kit } = await import("./lib/kit.mjs");
  await bare.migrate(`${kit()}\nselect datum.attach('public.tasks')`);
  await bare.reload();
  await device.sync();
  assert.deepEqual((await bare.query("select title from public.tasks")).rows, [{ title: "Kept" }]);
});

test("a reply without some of its parts, or of another form, is `protocol` or `network`, and loses nothing", async () => {
  const device = await newDevice(project, { email: "forms@example.test" });
  await device.sync();
  await device.tasks.create({ title: "Kept" });
  for (const body of ["", "null", "[]", "7", '"text"', "{}", '{"changes":{}}', '{"results":[]}', '{"changes":[],"cursor":7,"more":"no"}']) {
    const rule = project.gateway.faults.add({ on: /rpc\/datum_p/, kind: "status", status: 200, body, times: 1_000 });
    assert.ok(["protocol", "network"].includes(await device.failure()), body);
    rule.times = 0;
    assert.equal(await device.waiting(), 1, body);
  }
  await device.sync();
  assert.deepEqual(await rows(device.user), ["Kept"]);
});

test("what is no client, instance or option is refused by name", () => {
  const { connectAuth, supabaseRemote } = library;
  for (const wrong of [() => supabaseRemote(), () => supabaseRemote({}), () => supabaseRemote(newClient(project), { compareEvery: "daily" }), () => supabaseRemote(newClient(project), { timeout: -1 }), () => supabaseRemote(newClient(project), { timeout: 0 }), () => supabaseRemote(newClient(project), { timeout: NaN }), () => connectAuth({}, newClient(project))]) {
    assert.throws(wrong, { name: "DatumError", code: "invalidConfig" }, String(wrong));
  }
  for (const right of [{}, { timeout: Infinity, compareEvery: 0 }, { compareEvery: false, tables: undefined }]) supabaseRemote(newClient(project), right);
});
