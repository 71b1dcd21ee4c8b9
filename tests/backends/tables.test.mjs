// `supabaseRemote` with `tables`: plain tables in Datum's shape, without a function or a trigger in the project.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "../e2e/lib/test.mjs";
import { newDevice, until } from "./lib/devices.mjs";
import { startPages } from "./lib/pages.mjs";
import { startProject } from "./lib/project.mjs";

const MAX_ROWS = 25;
let project;
before(async () => {
  const migrations = [readFileSync(new URL("sql/tables.sql", import.meta.url), "utf8")];
  project = await startProject({ isPlain: true, maxRows: MAX_ROWS, migrations });
});
after(() => project?.gateway.faults.clear());

const fault = (kind, on, more = {}) => project.gateway.faults.add({ on, kind, ...more });
const open = (name, { tables = {}, config = {} } = {}) =>
  newDevice(project, {
    email: `${name}@example.test`,
    remote: { tables: { entities: { tasks: "tasks", lists: {} }, ...tables } },
    config: { entities: { tasks: {}, lists: {} }, ...config },
  });
const rows = async (user) => (await project.query("select title, version, is_deleted from public.tasks where user_id = $1 order by title", [user])).rows.map(({ title, version, is_deleted }) => [title, version, is_deleted]);
const insert = (user, title, more = {}) => {
  const row = { id: randomUUID(), user_id: user, title, ...more };
  return project.query("insert into public.tasks select * from json_populate_record(null::public.tasks, $1)", [
    { done: false, created_at: new Date(), modified_at: new Date(), version: 1, is_deleted: false, ...row },
  ]).then(() => row.id);
};
/** The requests of one user's rows since then. Of other devices, some may still be on their way. */
const requests = (user, from) => project.gateway.requests.slice(from).filter(({ path, query, text }) => path.startsWith("/rest/v1/") && `${query}${text}`.includes(user)).map(({ method, path }) => `${method} ${path.slice(9)}`).sort();

test("two devices write, edit, delete and revive through the table, by versions", async () => {
  const [phone, laptop] = [await open("ada"), await open("ada")];
  const task = await phone.tasks.create({ title: "Bread", done: false, dueDate: "2026-12-24" });
  await phone.tasks.create({ title: "Milk" });
  assert.equal((await phone.sync()).pushedCount, 2);
  assert.deepEqual(await rows(phone.user), [["Bread", 1, false], ["Milk", 1, false]]);
  await laptop.sync();
  const seen = await laptop.tasks.read(task.id);
  assert.deepEqual([seen.title, seen.dueDate, seen.version], ["Bread", "2026-12-24", 1]);

  await phone.tasks.patch(task.id, { title: "Rye bread" });
  await laptop.tasks.patch(task.id, { done: true });
  for (const device of [phone, laptop, phone]) await device.sync();
  for (const device of [phone, laptop]) {
    const { title, done, version } = await device.tasks.read(task.id);
    assert.deepEqual([title, done, version], ["Rye bread", true, 3]);
  }
  await laptop.tasks.delete(task.id);
  for (const device of [laptop, phone]) await device.sync();
  assert.deepEqual([await phone.titles(), await rows(phone.user)], [["Milk"], [["Milk", 1, false], ["Rye bread", 4, true]]]);
  await phone.tasks.create({ id: task.id, title: "Again" });
  for (const device of [phone, laptop]) await device.sync();
  assert.deepEqual([await laptop.titles(), await rows(phone.user)], [["Again", "Milk"], [["Again", 5, false], ["Milk", 1, false]]]);
});

test("an idle cycle asks once for each table, and a push is one request for each row", async () => {
  const device = await open("idle");
  await device.tasks.createMany([{ title: "One" }, { title: "Two" }]);
  for (let n = 0; n < 2; n++) await device.sync();
  const from = project.gateway.requests.length;
  await device.sync();
  assert.deepEqual(requests(device.user, from), ["GET lists", "GET tasks"]);
  const before = project.gateway.requests.length;
  await device.tasks.createMany([{ title: "Three" }, { title: "Four" }]);
  await device.sync({ direction: "pushOnly" });
  assert.deepEqual(requests(device.user, before).filter((request) => request.startsWith("POST tasks")), ["POST tasks", "POST tasks"]);
});

test("a table that is longer than max-rows arrives whole, and so do changes that are", async () => {
  const device = await open("long");
  await Promise.all(Array.from({ length: 3 * MAX_ROWS + 1 }, (_, n) => insert(device.user, `Row ${n}`)));
  await device.sync();
  assert.equal((await device.titles()).length, 3 * MAX_ROWS + 1);
  await project.query("update public.tasks set title = 'Changed ' || title, version = version + 1, modified_at = now() where user_id = $1", [device.user]);
  await device.sync();
  assert.equal((await device.titles()).filter((title) => title.startsWith("Changed")).length, 3 * MAX_ROWS + 1);
});

test("what was written offline long ago is found by devices that have pulled since", async () => {
  const [phone, laptop] = [await open("long-ago"), await open("long-ago")];
  await phone.tasks.create({ title: "Old", createdAt: "2020-01-01T00:00:00.000Z", modifiedAt: "2020-01-01T00:00:00.000Z" });
  await insert(phone.user, "New");
  await laptop.sync();
  await phone.sync();
  await laptop.sync();
  assert.deepEqual(await laptop.titles(), ["New", "Old"]);
});

test("a row that is dated in the future hides none that comes after it", async () => {
  const device = await open("future");
  await insert(device.user, "From 2099", { modified_at: "2099-01-01T00:00:00Z" });
  await device.sync();
  await insert(device.user, "Of today");
  await device.sync();
  assert.deepEqual(await device.titles(), ["From 2099", "Of today"]);
});

test("rows that a pull cannot see, deleted for good or dated in the past, are found by comparing", async () => {
  const device = await open("compared", { tables: { reconcile: 0 } });
  const [gone] = [await insert(device.user, "Deleted for good"), await insert(device.user, "Stays")];
  await device.sync();
  await project.query("delete from public.tasks where id = $1", [gone]);
  await insert(device.user, "Dated in the past", { modified_at: "2020-01-01T00:00:00Z" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await device.sync();
  assert.deepEqual(await device.titles(), ["Dated in the past", "Stays"]);
  const rare = await open("compared");
  await rare.sync();
  await project.query("delete from public.tasks where user_id = $1 and title = 'Stays'", [device.user]);
  const from = project.gateway.requests.length;
  await rare.sync();
  assert.deepEqual([requests(device.user, from), await rare.titles()], [["GET lists", "GET tasks"], ["Dated in the past", "Stays"]], "only so often");
});

for (const kind of ["drop", "twice"]) {
  test(`a write whose request meets "${kind}" is done once, with no conflict`, async () => {
    const device = await open(kind);
    const task = await device.tasks.create({ title: "Once" });
    fault(kind, /POST \/rest\/v1\/tasks/);
    await device.failure();
    await device.sync();
    await device.tasks.patch(task.id, { done: true });
    fault(kind, /PATCH \/rest\/v1\/tasks/);
    await device.failure();
    await device.sync();
    await device.tasks.delete(task.id);
    fault(kind, /PATCH \/rest\/v1\/tasks/);
    await device.failure();
    await device.sync();
    assert.deepEqual([await rows(device.user), await device.waiting(), await device.datum.conflicts(device.user), await device.datum.deadLetters(device.user)], [[["Once", 3, true]], 0, [], []]);
  });
}

test("what a table refuses is named and the others go; what the schema lacks waits", async () => {
  const device = await open("refused");
  await device.tasks.createMany([{ title: "refuse" }, { title: "Fine", tag: "refused-1" }, { title: "Also fine" }]);
  await device.sync();
  await device.tasks.createMany([{ title: "Same tag", tag: "refused-1" }, { title: "Bad date", dueDate: "soon" }, { title: "No list", listId: randomUUID() }, { title: "No column", colour: "red" }, { title: "Last" }]);
  await device.sync();
  assert.deepEqual((await rows(device.user)).map(([title]) => title), ["Also fine", "Fine", "Last"]);
  assert.deepEqual((await device.datum.deadLetters(device.user)).map(({ code, data }) => [data.title, code]).sort(), [["Bad date", "invalidData"], ["No list", "foreignKey"], ["Same tag", "unique"], ["refuse", "check"]]);
  const [waiting] = await device.datum.pendingOperations(device.user);
  assert.deepEqual([waiting.lastError?.message?.includes("schemaMismatch"), await device.waiting()], [true, 1], JSON.stringify(waiting));
});

test("a child goes after its parent, whatever the order of tables", async () => {
  const device = await open("family");
  const list = await device.datum.manager("lists").create({ name: "Groceries" });
  await device.tasks.createMany(Array.from({ length: 20 }, (_, n) => ({ title: `Child ${n}`, listId: list.id })));
  await device.sync();
  assert.deepEqual([(await rows(device.user)).length, await device.waiting()], [20, 0]);
});

test("another user's row is neither seen, changed nor taken over, and a row that may not be changed is said so", async () => {
  const [mallory, victim] = [await open("mallory"), await open("victim")];
  const id = await insert(victim.user, "Private");
  await mallory.tasks.create({ id, title: "Mine now" });
  await mallory.sync();
  assert.deepEqual([(await mallory.datum.deadLetters(mallory.user)).map(({ code }) => code), await rows(victim.user)], [["unique"], [["Private", 1, false]]]);
  await project.query("create policy readonly on public.tasks as restrictive for update to authenticated using (title <> 'Locked')");
  const locked = await insert(victim.user, "Locked");
  await victim.sync();
  await victim.tasks.patch(locked, { done: true });
  await victim.sync();
  assert.deepEqual((await victim.datum.deadLetters(victim.user)).map(({ code }) => code), ["forbidden"]);
  await project.query("drop policy readonly on public.tasks");
});

test("metadata is the one row of the user, as other clients of the table have it", async () => {
  const [phone, laptop] = [await open("meta"), await open("meta")];
  assert.equal(await phone.datum.getRemoteSyncMetadata(phone.user), null);
  await phone.sync();
  await laptop.sync();
  const metadata = await phone.datum.getRemoteSyncMetadata(phone.user);
  assert.deepEqual([metadata.deviceCount, metadata.syncStatus], [2, "synced"]);
  const { rows: stored } = await project.query("select sync_status, jsonb_typeof(devices) devices from public.sync_metadata where user_id = $1", [phone.user]);
  assert.deepEqual(stored, [{ sync_status: "synced", devices: "object" }]);
  await phone.datum.clearSyncMetadata(phone.user, { remote: true });
  assert.equal(await laptop.datum.getRemoteSyncMetadata(phone.user), null);
});

test("a change in the table is a hint", async () => {
  const device = await open("live", { config: { realtime: true, autoStartSync: true, autoSyncInterval: 600_000 } });
  await device.datum.startAutoSync(device.user);
  await until("both tables are followed", () => project.gateway.realtime.joined === 2);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await insert(device.user, "By SQL");
  await until("the row", async () => (await device.titles()).includes("By SQL"));
});

test("a page of another origin reads what it needs: how many rows there are, and the server's time", async () => {
  const remote = { tables: { entities: { tasks: "tasks" }, reconcile: 0 } };
  const page = await (await startPages(project)).device({ remote });
  await project.gateway.accounts.add("page@example.test", "correct horse");
  const user = await page.signIn("page@example.test");
  await page.eventually(() => window.app.signedIn.length === 1);
  await Promise.all(Array.from({ length: 2 * MAX_ROWS + 1 }, (_, n) => insert(user, `Row ${n}`)));
  await page.creates("Of the page");
  const gone = await insert(user, "Deleted for good");
  await page.sync();
  assert.equal((await page.titles()).length, 2 * MAX_ROWS + 3);
  await project.query("delete from public.tasks where id = $1", [gone]);
  await page.sync();
  assert.deepEqual([(await page.titles()).length, (await page.titles()).includes("Of the page")], [2 * MAX_ROWS + 2, true]);
  assert.deepEqual([page.errors, (await page.told()).failures], [[], []]);
});

test("eight writers beside two devices that sync: nothing is lost that keeps to the limits", async () => {
  const [phone, laptop] = [await open("storm"), await open("storm")];
  const end = Date.now() + 4_000;
  const writer = async (n) => {
    for (let i = 0; Date.now() < end; i++) {
      // Committed up to 50 ms after it was dated, within `overlap`.
      await project.query("with row as (insert into public.tasks(id, user_id, title) values ($1, $2, $3)) select pg_sleep($4)", [randomUUID(), phone.user, `SQL ${n}/${i}`, Math.random() * 0.05]);
    }
  };
  const device = async ({ tasks, failure }, name) => {
    for (let i = 0; Date.now() < end; i++) {
      await tasks.create({ title: `${name} ${i}` });
      if (i % 5 === 0) await failure();
    }
  };
  await Promise.all([...Array.from({ length: 8 }, (_, n) => writer(n)), device(phone, "Phone"), device(laptop, "Laptop")]);
  for (const one of [phone, laptop, phone, laptop]) await one.sync();
  const stored = (await rows(phone.user)).map(([title]) => title).sort();
  assert.deepEqual([await phone.titles(), await laptop.titles()], [stored, stored]);
  assert.ok(stored.length > 100, String(stored.length));
});
