// How realtime joins: never, late, refused, with a token that has expired.
import assert from "node:assert/strict";
import { before, test } from "../e2e/lib/test.mjs";
import { newDevice, until } from "./lib/devices.mjs";
import { startProject } from "./lib/project.mjs";

let project;
before(async () => (project = await startProject()));

const insert = (user, title) => project.query("insert into public.tasks(user_id, title) values ($1, $2)", [user, title]);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const LIVE = { realtime: true, autoStartSync: true, syncAfterWrite: 10 };
/** A device that listens, with cycles at this interval. */
async function listens(name, autoSyncInterval) {
  const device = await newDevice(project, { email: `${name}@example.test`, config: { ...LIVE, autoSyncInterval } });
  await device.datum.startAutoSync(device.user);
  return device;
}

test("realtime that never joins leaves the interval, and what it has missed comes when it joins", async () => {
  const { realtime } = project.gateway;
  realtime.isClosed = true;
  realtime.breakAll();
  const [polls, rests] = [await listens("closed-polls", 1_000), await listens("closed-rests", 600_000)];
  await rests.sync();
  for (const { user } of [polls, rests]) await insert(user, "Without realtime");
  await until("the interval", async () => (await polls.titles()).length === 1);
  assert.deepEqual(await rests.titles(), []);
  realtime.isClosed = false;
  await until("the join's own pull", async () => (await rests.titles()).length === 1, 40_000);
  for (const device of [polls, rests]) await device.datum.close();
});

test("a channel that is refused is joined later, and pulls then", async () => {
  const { realtime } = project.gateway;
  realtime.isRefusing = true;
  const device = await listens("refused", 600_000);
  await device.sync();
  await insert(device.user, "Meanwhile");
  await wait(1_500);
  assert.deepEqual(await device.titles(), []);
  realtime.isRefusing = false;
  await until("the join's own pull", async () => (await device.titles()).length === 1, 40_000);
  await insert(device.user, "Live");
  await until("the hint", async () => (await device.titles()).length === 2);
  await device.datum.close();
});

test("a row that is written between the join and the beginning of the changes is not missed", async () => {
  const { realtime } = project.gateway;
  realtime.readyAfter = 1_500;
  const device = await listens("late", 600_000);
  await until("the join", () => realtime.joined > 0);
  await wait(500);
  await insert(device.user, "In between");
  await until("the pull once changes are followed", async () => (await device.titles()).length === 1, 10_000);
  realtime.readyAfter = 50;
  await device.datum.close();
});

test("a channel whose token has expired is joined with the renewed one", async () => {
  project.gateway.accounts.tokenSeconds = 3;
  const device = await listens("expires", 600_000);
  await until("the join", () => project.gateway.realtime.joined > 0);
  await wait(3_500);
  await device.client.auth.refreshSession();
  await insert(device.user, "After the renewal");
  await until("the row", async () => (await device.titles()).length === 1, 30_000);
  await device.datum.close();
});

test("a token that has expired before the join is renewed for it, though nothing renews it by itself", async () => {
  const { realtime } = project.gateway;
  project.gateway.accounts.tokenSeconds = 3;
  realtime.isClosed = true;
  realtime.breakAll();
  const device = await listens("expired-first", 600_000);
  await device.sync();
  await insert(device.user, "Meanwhile");
  await wait(3_500);
  realtime.isClosed = false;
  await until("the join's own pull", async () => (await device.titles()).length === 1, 40_000);
  await device.datum.close();
});
