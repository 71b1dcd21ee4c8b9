// The packed package and the real supabase-js, in every engine, on another origin than the project: what a page meets that Node does not.
import assert from "node:assert/strict";
import { before } from "../e2e/lib/test.mjs";
import { inEngines } from "./lib/engines.mjs";
import { startPages } from "./lib/pages.mjs";
import { startProject } from "./lib/project.mjs";

const { test, inEach } = inEngines();
let project, pages, engine;
before(async () => (project = await startProject()));

const rows = async (user) => (await project.query("select title from public.tasks where user_id = $1 order by title", [user])).rows.map(({ title }) => title);
const fault = (kind, on, more = {}) => project.gateway.faults.add({ on, kind, ...more });

/** A device of a user who is signed in and has synced. */
async function open(name, given) {
  await project.gateway.accounts.add(`${engine}-${name}@example.test`, "correct horse");
  const device = await pages.device(given);
  const user = await device.signIn(`${engine}-${name}@example.test`);
  await device.eventually(() => window.app.signedIn.length === 1);
  return { ...device, id: user };
}

test("what is written offline, and read after a reload, reaches another device", async () => {
  const [phone, laptop] = [await open("ada"), await open("ada")];
  await phone.context.setOffline?.(true);
  await phone.creates("Written offline", "Another");
  assert.deepEqual(await phone.titles(), ["Another", "Written offline"]);
  await phone.context.setOffline?.(false);
  await phone.sync();
  await laptop.sync();
  assert.deepEqual([await rows(phone.id), await laptop.titles()], [["Another", "Written offline"], ["Another", "Written offline"]]);
});

test("edits of one field on two devices are a conflict that both see alike, and none of other fields is lost", async () => {
  const [phone, laptop] = [await open("bea", { config: { entities: { tasks: { conflictResolver: "remotePriority" } } } }), await open("bea")];
  const [id] = await phone.creates("Title");
  await phone.sync();
  await laptop.sync();
  const patch = (device, changes) => device.page.evaluate(([id, changes]) => window.app.tasks.patch(id, changes).then(() => undefined), [id, changes]);
  await patch(laptop, { title: "Of the laptop", done: true });
  await patch(phone, { title: "Of the phone" });
  for (const device of [laptop, phone, laptop]) await device.sync();
  const read = (device) => device.page.evaluate((id) => window.app.tasks.read(id).then(({ title, done }) => [title, done]), id);
  assert.deepEqual([await read(phone), await read(laptop), await rows(phone.id)], [["Of the laptop", true], ["Of the laptop", true], ["Of the laptop"]]);
});

for (const [name, kind, more] of [
  ["413 of a proxy without CORS headers", "noCors", { status: 413 }],
  ["403 of a firewall without CORS headers", "noCors", { status: 403 }],
  ["a web page in the way", "html", {}],
  ["an answer that is lost", "drop", {}],
  ["an answer that is cut off", "truncate", { cut: true }],
]) {
  test(`${name}: nothing is lost and nothing done twice`, async () => {
    const device = await open(name.replace(/\W+/g, "-"));
    await device.creates(...Array.from({ length: 30 }, (_, n) => `Task ${String(n).padStart(2, "0")}`));
    fault(kind, /datum_push/, { times: 2, ...more });
    fault(kind, /datum_pull/, more);
    for (let n = 0; n < 4 && (await device.waiting(device.id)) > 0; n++) await device.sync();
    await device.sync();
    assert.deepEqual([await device.waiting(device.id), (await rows(device.id)).length, (await device.titles()).length], [0, 30, 30]);
    assert.deepEqual(await device.page.evaluate((user) => window.app.datum.deadLetters(user).then((letters) => letters.length), device.id), 0);
  });
}

test("a proxy that takes small requests only, and says so without CORS headers, gets small ones", async () => {
  const device = await open("small");
  await device.creates(...Array.from({ length: 60 }, (_, n) => `Task ${n}`));
  const rule = fault("noCors", /datum_push/, { status: 413, over: 4_000, times: 1_000 });
  for (let n = 0; n < 6 && (await device.waiting(device.id)) > 0; n++) await device.sync();
  rule.times = 0;
  assert.deepEqual([await device.waiting(device.id), (await rows(device.id)).length], [0, 60]);
});

test("a change of another device is there without being asked for, in two tabs, and also after the socket broke", async () => {
  const config = { realtime: true, autoStartSync: true, autoSyncInterval: 3_600_000, syncAfterWrite: 20 };
  const [phone, laptop] = [await open("cora", { config }), await open("cora", { config })];
  const second = await laptop.tab();
  // By WebDriver, one tab is visible at a time, or none, and the others rest.
  const isOne = engine !== "chromium";
  for (const { page } of isOne ? [phone, laptop, second] : []) {
    await page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { value: "visible" });
      Object.defineProperty(document, "hidden", { value: false });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    });
  }
  for (let end = Date.now() + 20_000; project.gateway.realtime.joined < (isOne ? 1 : 2) && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 50));
  await phone.creates("Seen at once");
  if (isOne) await phone.sync();
  for (const tab of [laptop, second]) await tab.eventually(async () => (await window.app.titles()).includes("Seen at once"));
  project.gateway.realtime.breakAll();
  await phone.creates("While it was broken");
  if (isOne) await phone.sync();
  for (const tab of [laptop, second]) await tab.eventually(async () => (await window.app.titles()).length === 2);
});

test("the guide's status, metadata and options are there without our server", async () => {
  const device = await open("dina");
  await device.creates("One", "Two");
  const told = await device.page.evaluate(async () => {
    const { datum, tasks } = window.app;
    const user = datum.currentUserId;
    const seen = [];
    const feed = datum.statusForUser(user);
    const reading = (async () => {
      for await (const { status, progress } of feed) {
        seen.push(status);
        if (status === "completed" && progress === 1 && seen.includes("syncing")) return;
      }
    })();
    const pushed = await datum.synchronize(user, { direction: "pushOnly", overrideBatchSize: 1 });
    await datum.synchronize(user);
    await reading;
    const skipped = await datum.synchronize(user, { direction: "pushOnly" });
    const remote = await tasks.remoteAdapter.getSyncMetadata(user);
    const compared = await datum.compareSyncMetadata(user);
    await tasks.remoteAdapter.clearSyncMetadata(user);
    const cleared = await datum.getRemoteSyncMetadata(user);
    const full = await datum.synchronize(user, { direction: "pullThenPush", forceFullSync: true });
    return { seen: [...new Set(seen)], pushed: pushed.pushedCount, skipped: skipped.skipReason, status: remote.syncStatus, devices: remote.deviceCount, compared, cleared, pulled: full.pulledCount, fetched: full.remoteFetched };
  });
  assert.deepEqual([told.pushed, told.skipped, told.status, told.devices, told.compared, told.cleared, told.fetched], [2, "nothingToPush", "synced", 1, "inSync", null, true]);
  assert.ok(told.seen.includes("syncing") && told.seen.includes("completed"), String(told.seen));
});

inEach(async (name) => {
  engine = name;
  await pages?.stop();
  pages = await startPages(project, name);
});
