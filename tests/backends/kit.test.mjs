// The packed package over the SQL kit, beside other writers: row-level security, teams, dashboards, and servers that are killed.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, test } from "../e2e/lib/test.mjs";
import { addUser, newDevice, until } from "./lib/devices.mjs";
import { startPages } from "./lib/pages.mjs";
import { startProject } from "./lib/project.mjs";

let project;
before(async () => (project = await startProject()));

const open = (name, more = {}) => newDevice(project, { email: `${name}@example.test`, ...more });
const titlesOf = async (where, value) => (await project.query(`select title from public.tasks where ${where} = $1 and not hidden order by title collate "C"`, [value])).rows.map(({ title }) => title);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("rows that an app or a dashboard writes by SQL arrive, also those that were there before", async () => {
  const user = await addUser(project, "sql@example.test");
  await project.query("insert into public.tasks(user_id, title) values ($1, 'Before')", [user]);
  const device = await open("sql");
  await device.sync();
  await project.query("update public.tasks set done = true where user_id = $1", [user]);
  await project.query("insert into public.tasks(user_id, title) select $1, 'Bulk ' || n from generate_series(1, 500) n", [user]);
  await device.sync();
  assert.equal((await device.titles()).length, 501);
  await project.query("delete from public.tasks where user_id = $1 and title like 'Bulk%'", [user]);
  await device.sync();
  assert.deepEqual(await device.titles(), ["Before"]);
  assert.equal((await device.tasks.readAll())[0].done, true);
});

test("a row that row-level security hides leaves the device, and is there again when it is shown", async () => {
  const device = await open("hidden");
  await device.tasks.createMany([{ title: "Shown" }, { title: "Hidden for a while" }]);
  await device.sync();
  const hide = (hidden) => project.query("update public.tasks set hidden = $2 where user_id = $1 and title like 'Hidden%'", [device.user, hidden]);
  await hide(true);
  await device.sync();
  assert.deepEqual(await device.titles(), ["Shown"]);
  await hide(false);
  await device.sync();
  assert.deepEqual(await device.titles(), ["Hidden for a while", "Shown"]);
});

test("a team's tasks are in a shared space: who joins sees them, who leaves does not, and both write", async () => {
  const [ann, bob] = [await open("ann"), await open("bob")];
  const team = randomUUID();
  await project.query("insert into public.teams(id, name) values ($1, 'Home')", [team]);
  const join = (user) => project.query("insert into public.members(team_id, user_id) values ($1, $2)", [team, user]);
  await join(ann.user);
  await ann.sync();
  assert.deepEqual((await ann.datum.spaces().list()).map(({ spaceId, role }) => [spaceId, role]), [[team, "writer"]]);
  await ann.tasks.create({ title: "Ours" }, { spaceId: team });
  await ann.tasks.create({ title: "Mine" });
  await ann.sync();
  assert.deepEqual([await titlesOf("team_id", team), await titlesOf("user_id", ann.user)], [["Ours"], ["Mine", "Ours"]]);

  await bob.sync();
  assert.deepEqual(await bob.titles(), []);
  await join(bob.user);
  await bob.sync();
  assert.deepEqual(await bob.titles(), ["Ours"]);
  const [ours] = await bob.tasks.readAll();
  await bob.tasks.patch(ours.id, { done: true });
  await ann.tasks.patch(ours.id, { title: "Still ours" });
  for (const device of [bob, ann, bob]) await device.sync();
  for (const device of [ann, bob]) {
    const { title, done, spaceId } = await device.tasks.read(ours.id);
    assert.deepEqual([title, done, spaceId], ["Still ours", true, team]);
  }
  await project.query("delete from public.members where user_id = $1", [bob.user]);
  await bob.sync();
  assert.deepEqual([await bob.titles(), await bob.datum.spaces().list()], [[], []]);
});

test("eight SQL writers beside two devices, one of them a page: nothing is lost or doubled, where a pull by time loses rows", async () => {
  const email = "storm@example.test";
  const [node, pages] = [await open("storm"), await startPages(project)];
  const page = await pages.device({ config: { realtime: true, autoStartSync: true, syncAfterWrite: 50 } });
  await page.signIn(email);
  await page.eventually(() => window.app.signedIn.length === 1);

  const end = Date.now() + 6_000;
  const made = [];
  const writer = async (n) => {
    const client = await project.gateway.pool.connect();
    try {
      for (let i = 0; Date.now() < end; i++) {
        await client.query("begin");
        await client.query("insert into public.tasks(user_id, title) values ($1, $2)", [node.user, `SQL ${n}/${i}`]);
        if (i % 3 === 0) await client.query("update public.tasks set done = not done, modified_at = now() where user_id = $1 and title = $2", [node.user, `SQL ${n}/${i - 1}`]);
        if (i % 11 === 0) await client.query("delete from public.tasks where user_id = $1 and title = $2", [node.user, `SQL ${n}/${i - 2}`]);
        await wait(Math.random() * 20);
        await client.query(i % 10 === 9 ? "rollback" : "commit");
      }
    } finally {
      client.release();
    }
  };
  // What an app does that asks for rows that were modified after the last one.
  const naive = new Set();
  const poller = async () => {
    for (let last = new Date(0); Date.now() < end; ) {
      const { rows } = await project.query("select title, modified_at from public.tasks where user_id = $1 and modified_at > $2 order by modified_at", [node.user, last]);
      for (const { title, modified_at } of rows) [last] = [modified_at, naive.add(title)];
      await wait(5);
    }
  };
  const device = async () => {
    for (let i = 0; Date.now() < end; i++) {
      await node.tasks.create({ title: `Node ${i}` });
      made.push(`Node ${i}`);
      await node.failure();
    }
  };
  const tab = async () => {
    for (let i = 0; Date.now() < end; i++) {
      await page.creates(`Page ${i}`);
      made.push(`Page ${i}`);
      await wait(30);
    }
  };
  const writers = Array.from({ length: 5 }, (_, n) => writer(n));
  const more = Array.from({ length: 3 }, async (_, n) => {
    for (let i = 0; Date.now() < end; i++) await project.as(node.user, "insert into public.tasks(title) values ($1)", [`Dashboard ${n}/${i}`]).then(() => wait(10));
  });
  await Promise.all([...writers, ...more, device(), tab(), poller()]);
  for (let n = 0; n < 3; n++) {
    assert.equal((await page.sync()).code, undefined);
    await node.sync();
  }
  const stored = await titlesOf("user_id", node.user);
  assert.deepEqual([await node.titles(), await page.titles()], [stored, stored]);
  assert.deepEqual([made.filter((title) => !stored.includes(title)), new Set(stored).size], [[], stored.length]);
  assert.ok(stored.some((title) => !naive.has(title)), "a pull by time has lost nothing, so this shows nothing");
});

test("PostgREST and PostgreSQL are killed while devices sync: what was acknowledged is there, once, and the devices go on", async () => {
  const [phone, laptop] = [await open("killed"), await open("killed")];
  const end = Date.now() + 7_000;
  const made = [];
  const acknowledged = new Set();
  const work = async (device, name) => {
    for (let i = 0; Date.now() < end; i++) {
      const task = await device.tasks.create({ title: `${name} ${i}` });
      made.push(task.title);
      const pushed = await device.sync().catch(() => null);
      if (pushed?.isSuccess && (await device.waiting()) === 0) made.forEach((title) => title.startsWith(name) && acknowledged.add(title));
      await wait(10);
    }
  };
  const killer = async () => {
    await wait(1_500);
    await project.postgrest.end();
    await wait(300);
    await project.postgrest.start();
    await wait(1_000);
    await project.postgres.end();
    await wait(1_000);
    await until("PostgreSQL starts again", () => project.postgres.start().then(() => true, () => wait(300).then(() => false)), 30_000);
  };
  await Promise.all([work(phone, "Phone"), work(laptop, "Laptop"), killer()]);
  await until("both devices sync again", async () => (await phone.failure()) === "none" && (await laptop.failure()) === "none" && (await phone.failure()) === "none", 60_000);
  const stored = await titlesOf("user_id", phone.user);
  assert.deepEqual(stored, [...made].sort());
  assert.deepEqual([await phone.titles(), await laptop.titles()], [stored, stored]);
  assert.ok([...acknowledged].every((title) => stored.includes(title)) && acknowledged.size > 5, String(acknowledged.size));
});
