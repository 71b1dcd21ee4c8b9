// Spaces that users share, through the packed package and the real server, or teams of a Supabase project. Each user has a browser context, and so a
// database, of their own.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { device, eventually, launch } from "./lib/browser.mjs";
import { plainSite, ready } from "./lib/plain.mjs";
import { isSupabase, notOverSupabase } from "./lib/target.mjs";

/** Over the SQL kit, who is in a space is said by the app's own table of members, and a space has no name. */
const BY_THE_APP = notOverSupabase("the app's own table says who is a member, and SQL changes it");
const NAMED = isSupabase ? {} : { name: "Home" };

let browser, site;
before(async () => ([site, browser] = await Promise.all([plainSite(), launch()])));
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Opens tabs of a user's device, and what a test does with them. */
async function open(user, tabs = 1) {
  const { context, page, errors } = await device(browser);
  const pages = [page];
  while (pages.length < tabs) pages.push(await context.newPage());
  for (const page of pages) {
    await page.goto(site.address(user));
    await ready(page);
  }
  return { ...hands(page), context, errors, pages, user };
}

const hands = (page) => ({
  page,
  /** Runs a cycle, which must succeed but for what the server refuses. */
  async sync(options = {}) {
    const { failure, ...result } = await page.evaluate(async (options) => {
      const { app } = window;
      const result = await app.datum.synchronize(app.user, options).catch((error) => ({ failure: `${error.code}: ${error.message}` }));
      return { failure: result.failure, pushed: result.pushedCount, refused: result.failedCount, waiting: await app.datum.pendingCount(app.user) };
    }, options);
    assert.equal(failure, undefined);
    return result;
  },
  /** Makes a shared space with these tasks, and returns its id and theirs. */
  makes: async (name, titles) =>
    page.evaluate(
      async ([name, titles, found]) => {
        const spaceId = found ?? (await window.app.datum.spaces().create(name));
        const drafts = titles.map((title) => ({ title, done: false }));
        const made = await window.app.tasks.createMany(drafts, { spaceId });
        return { spaceId, ids: made.map(({ id }) => id) };
      },
      [name, titles, isSupabase ? await founded(page) : null],
    ),
  lets: (spaceId, user, role) => (isSupabase ? site.target.member(spaceId, user, role) : page.evaluate((given) => window.app.datum.spaces().setRole(...given), [spaceId, user, role])),
  removes: (spaceId, user) => (isSupabase ? site.target.member(spaceId, user, null).then(() => true) : page.evaluate((given) => window.app.datum.spaces().remove(...given), [spaceId, user])),
  spaces: () => page.evaluate(() => window.app.datum.spaces().list()),
  members: (spaceId) => page.evaluate((id) => window.app.datum.spaces().members(id), spaceId),
  creates: (title, spaceId) => page.evaluate(([title, spaceId]) => window.app.tasks.create({ title, done: false }, { spaceId }).then(({ id }) => id), [title, spaceId]),
  patches: (id, changes) => page.evaluate((given) => window.app.tasks.patch(...given).then(() => undefined), [id, changes]),
  moves: (id, spaceId) => page.evaluate((given) => window.app.tasks.move(...given).then((task) => task.spaceId ?? null), [id, spaceId]),
  /** The titles of all tasks, or of those of one space. */
  titles: (spaceId) => page.evaluate(async (spaceId) => (await window.app.tasks.readAll({ spaceId })).map(({ title }) => title).sort(), spaceId),
  read: (id) => page.evaluate((id) => window.app.tasks.read(id).then((task) => task && { title: task.title, done: task.done, spaceId: task.spaceId ?? null }), id),
  letters: () => page.evaluate(async () => (await window.app.datum.deadLetters(window.app.user)).map(({ code, spaceId, maybe, data }) => [code, spaceId, maybe === true, data?.title])),
  /** The code with which a call is refused. */
  refused: (call, ...given) => page.evaluate(`(${call})(window.app, ...${JSON.stringify(given)}).then(() => "not refused", (error) => error.code)`),
  told: () => page.evaluate(() => window.app.events.filter(({ type }) => /^(space|role)/.test(type)).map(({ type, spaceId, role }) => [type, spaceId, role])),
});

/** Makes a team whose owner is the user of a page, which hears of it. */
async function founded(page) {
  const team = crypto.randomUUID();
  await site.target.member(team, await page.evaluate(() => window.app.user), "owner");
  await page.evaluate(() => window.app.datum.synchronize(window.app.user, { direction: "pullOnly" }).then(() => undefined));
  return team;
}

/** Returns the tasks that the server gives a user, as [title, space]. */
async function stored(user) {
  const changes = await (await site.target.client(user)).pullAll();
  return changes.filter((change) => change.entity === "tasks" && !change.deleted).map((change) => [change.data.title, change.space ?? null]).sort();
}

async function closed(...devices) {
  for (const { context, errors, pages } of devices) {
    for (const page of pages) assert.deepEqual(await page.evaluate(() => window.app.errors), []);
    assert.deepEqual(errors, []);
    await context.close();
  }
}

test("a space that was made and filled offline is shared, edited by both, and takes in what is moved", async () => {
  const [ada, ben] = [await open("ada-1"), await open("ben-1")];
  if (!isSupabase) await ada.context.setOffline(true);
  const { spaceId, ids } = await ada.makes("Home", ["Bread", "Milk"]);
  await ada.lets(spaceId, "ben-1", "writer");
  await ada.context.setOffline(true);
  const own = await ada.creates("Diary");
  assert.deepEqual(await ada.spaces(), [{ spaceId, role: "owner", ...NAMED }]);
  assert.deepEqual([await ada.titles(), await ada.titles(spaceId), await ada.titles(null)], [["Bread", "Diary", "Milk"], ["Bread", "Milk"], ["Diary"]]);
  await ada.context.setOffline(false);
  assert.deepEqual(await ada.sync(), { pushed: isSupabase ? 3 : 5, refused: 0, waiting: 0 });

  await ben.creates("Ben's own");
  await ben.sync();
  assert.deepEqual(await ben.spaces(), [{ spaceId, role: "writer", ...NAMED }]);
  assert.deepEqual(await ben.told(), [["spaceJoined", spaceId, "writer"]]);
  assert.deepEqual(await ben.titles(), ["Ben's own", "Bread", "Milk"]);
  const both = [{ userId: "ada-1", role: "owner" }, { userId: "ben-1", role: "writer" }];
  await ada.sync();
  if (!isSupabase) assert.deepEqual([await ada.members(spaceId), await ben.members(spaceId)], [both, both]);

  // Two fields of one task, before either hears of the other.
  await ada.patches(ids[1], { title: "Oat milk" });
  await ben.patches(ids[1], { done: true });
  for (const one of [ada, ben, ada]) await one.sync();
  const merged = { title: "Oat milk", done: true, spaceId };
  assert.deepEqual([await ada.read(ids[1]), await ben.read(ids[1])], [merged, merged]);

  assert.equal(await ada.moves(own, spaceId), spaceId);
  await ada.sync();
  await ben.sync();
  assert.deepEqual(await ben.read(own), { title: "Diary", done: false, spaceId });
  // Taken out again, it is gone where its owner's own space cannot be seen.
  assert.equal(await ada.moves(own, null), null);
  await ada.sync();
  await ben.sync();
  assert.equal(await ben.read(own), null);
  assert.deepEqual(await stored("ada-1"), [["Bread", spaceId], ["Diary", null], ["Oat milk", spaceId]]);
  assert.deepEqual(await stored("ben-1"), [["Ben's own", null], ["Bread", spaceId], ["Oat milk", spaceId]]);
  assert.deepEqual([await ada.letters(), await ben.letters(), await ada.told()], [[], [], isSupabase ? [["spaceJoined", spaceId, "owner"]] : []]);
  await closed(ada, ben);
});

test("a role that is lowered between write and push turns the writes into dead letters one by one, and then refuses at once", async () => {
  const [ada, ben] = [await open("ada-2"), await open("ben-2")];
  const { spaceId, ids } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-2", "writer");
  await ada.sync();
  await ben.sync();

  await ben.patches(ids[0], { title: "Rye bread" });
  await ben.creates("Cake", spaceId);
  await ben.creates("Ben's own");
  await ada.lets(spaceId, "ben-2", "reader");
  await ada.sync();
  assert.deepEqual(await ben.sync(), { pushed: 1, refused: 2, waiting: 0 });
  assert.deepEqual((await ben.letters()).sort(), [["readOnly", spaceId, false, "Cake"], ["readOnly", spaceId, false, "Rye bread"]]);
  assert.deepEqual(await ben.titles(), ["Ben's own", "Bread"], "the rows are the server's again");
  assert.deepEqual(await ben.told(), [["spaceJoined", spaceId, "writer"], ["roleChanged", spaceId, "reader"]]);

  const refused = [
    await ben.refused((app, id) => app.tasks.patch(id, { done: true }), ids[0]),
    await ben.refused((app, id) => app.tasks.delete(id), ids[0]),
    await ben.refused((app, id) => app.tasks.move(id, null), ids[0]),
    await ben.refused((app, spaceId) => app.tasks.create({ title: "no" }, { spaceId }), spaceId),
    await ben.refused((app) => app.tasks.create({ title: "no" }, { spaceId: "01890000-0000-7000-8000-000000000000" })),
  ];
  assert.deepEqual(refused, ["readOnly", "readOnly", "readOnly", "readOnly", "notMember"]);
  const managed = [
    await ben.refused((app, spaceId) => app.datum.spaces().rename(spaceId, "mine"), spaceId),
    await ben.refused((app, spaceId) => app.datum.spaces().setRole(spaceId, "ben-2", "owner"), spaceId),
    await ben.refused((app, spaceId) => app.datum.spaces().remove(spaceId, "ada-2"), spaceId),
  ];
  // Over the SQL kit, a device knows neither names nor other members.
  assert.deepEqual(managed, isSupabase ? ["notFound", "notOwner", "not refused"] : ["notOwner", "notOwner", "notOwner"]);
  assert.deepEqual(await ben.sync(), { pushed: 0, refused: 0, waiting: 0 });

  // With the role back, an app's second attempt is applied.
  await ada.lets(spaceId, "ben-2", "writer");
  await ada.sync();
  await ben.sync();
  await ben.page.evaluate(async () => {
    for (const { id } of await window.app.datum.deadLetters(window.app.user)) await window.app.datum.retryDeadLetter(id);
  });
  assert.deepEqual(await ben.sync(), { pushed: 2, refused: 0, waiting: 0 });
  await ada.sync();
  assert.deepEqual(await ada.titles(), ["Cake", "Rye bread"]);
  await closed(ada, ben);
});

test("a member removed while offline with edits loses the rows and gets a dead letter for every edit", async () => {
  const [ada, ben] = [await open("ada-3"), await open("ben-3")];
  const { spaceId, ids } = await ada.makes("Home", ["Bread", "Milk"]);
  await ada.lets(spaceId, "ben-3", "writer");
  await ada.sync();
  await ben.sync();
  await ben.context.setOffline(true);
  await ben.patches(ids[0], { title: "Rye bread" });
  await ben.creates("Cake", spaceId);
  await ben.creates("Ben's own");
  assert.equal(await ada.removes(spaceId, "ben-3"), true);
  await ada.sync();
  assert.deepEqual(await ben.titles(spaceId), ["Cake", "Milk", "Rye bread"], "he has not heard of it");
  await ben.context.setOffline(false);
  await ben.sync();
  assert.deepEqual(await ben.titles(), ["Ben's own"]);
  assert.deepEqual(await ben.spaces(), []);
  assert.deepEqual((await ben.letters()).sort(), [["notMember", spaceId, false, "Cake"], ["notMember", spaceId, false, "Rye bread"]]);
  assert.deepEqual((await ben.told()).at(-1), ["spaceLeft", spaceId, "writer"]);
  assert.deepEqual(await stored("ben-3"), [["Ben's own", null]]);
  assert.deepEqual(await stored("ada-3"), [["Bread", spaceId], ["Milk", spaceId]]);

  // It is all there after a reload, and goes out when he is invited again.
  await ben.page.reload();
  await ready(ben.page);
  assert.equal((await ben.letters()).length, 2);
  await ada.lets(spaceId, "ben-3", "writer");
  await ada.sync();
  await ben.sync();
  assert.deepEqual(await ben.titles(), ["Ben's own", "Bread", "Milk"]);
  await ben.page.evaluate(async () => {
    for (const { id } of await window.app.datum.deadLetters(window.app.user)) await window.app.datum.retryDeadLetter(id);
  });
  await ben.sync();
  await ada.sync();
  assert.deepEqual(await ada.titles(), ["Cake", "Milk", "Rye bread"]);
  await closed(ada, ben);
});

test("an edit whose answer was lost before its author was removed says that it may stand", async () => {
  const [ada, ben] = [await open("ada-4"), await open("ben-4")];
  const { spaceId, ids } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-4", "writer");
  await ada.sync();
  await ben.sync();
  await ben.patches(ids[0], { title: "Rye bread" });
  const { held } = site.gate.shut("/push", "reply");
  await ben.page.evaluate(() => window.app.sync({ timeout: 2_000 }));
  await held;
  await ben.page.waitForFunction(() => window.app.ended.length === 1);
  site.gate.open();
  await ada.removes(spaceId, "ben-4");
  await ada.sync();
  await ben.sync({ direction: "pullOnly" });
  assert.deepEqual(await ben.letters(), [["notMember", spaceId, true, "Rye bread"]]);
  assert.deepEqual(await ada.titles(), ["Rye bread"], "as it does here");
  await closed(ada, ben);
});

test("every tab sees that a space is joined, left and ended", BY_THE_APP, async () => {
  const [ada, ben] = [await open("ada-5"), await open("ben-5", 2)];
  const tabs = ben.pages.map(hands);
  for (const { page } of tabs) {
    await page.evaluate(() => {
      window.lists = [];
      window.seen = [];
      void (async () => {
        for await (const list of window.app.datum.spaces().watch()) window.lists.push(list.map(({ name, role }) => `${name}: ${role}`).join());
      })();
      void (async () => {
        for await (const all of window.app.tasks.watchAll()) window.seen.push(all.map(({ title }) => title).sort().join());
      })();
    });
  }
  const latest = (lists, seen) =>
    Promise.all(tabs.map(({ page }) => eventually(page, async ([lists, seen]) => window.lists.at(-1) === lists && window.seen.at(-1) === seen, [lists, seen])));
  // In each tab once, whichever ran the cycle.
  const told = async (...expected) => {
    const types = () => window.app.events.filter(({ type }) => /^(space|role)/.test(type)).map(({ type, role }) => `${type} ${role}`).join();
    for (const { page } of tabs) await eventually(page, `(expected) => (${types})() === expected`, expected.join());
  };

  await latest("", "");
  const { spaceId } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-5", "writer");
  await ada.sync();
  await ben.sync();
  await latest("Home: writer", "Bread");
  await told("spaceJoined writer");

  // He leaves in one tab.
  assert.equal(await tabs[1].page.evaluate((id) => window.app.datum.spaces().leave(id), spaceId), true);
  for (const { page } of tabs) await eventually(page, async () => window.lists.at(-1) === "");
  await tabs[1].sync();
  await ben.sync();
  await latest("", "");
  await ada.sync();
  assert.deepEqual(await ada.members(spaceId), [{ userId: "ada-5", role: "owner" }]);

  // He is back, and the space ends.
  await ada.lets(spaceId, "ben-5", "reader");
  await ada.sync();
  await tabs[1].sync();
  await latest("Home: reader", "Bread");
  await ada.page.evaluate((id) => window.app.datum.spaces().delete(id), spaceId);
  await ada.sync();
  await ben.sync();
  await latest("", "");
  await told("spaceJoined writer", "spaceLeft writer", "spaceJoined reader", "spaceLeft reader");
  assert.deepEqual([await ada.titles(), await ada.spaces(), await ben.letters()], [[], [], []]);
  await closed(ada, ben);
});

test("the last owner stays: leaving becomes a dead letter", BY_THE_APP, async () => {
  const ada = await open("ada-6");
  const { spaceId } = await ada.makes("Home", ["Bread"]);
  assert.equal(await ada.refused((app, id) => app.datum.spaces().leave(id), spaceId), "notFound");
  await ada.sync();
  await ada.sync();
  await ada.page.evaluate((id) => window.app.datum.spaces().leave(id), spaceId);
  await ada.sync();
  await ada.sync();
  assert.deepEqual((await ada.letters()).map(([code]) => code), ["lastOwner"]);
  assert.deepEqual(await ada.spaces(), [{ spaceId, role: "owner", name: "Home" }]);
  assert.deepEqual(await ada.titles(), ["Bread"]);
  await ada.lets(spaceId, "ben-6", "owner");
  await ada.sync();
  await ada.page.evaluate((id) => window.app.datum.spaces().leave(id), spaceId);
  await ada.sync();
  await ada.sync();
  assert.deepEqual([await ada.spaces(), await ada.titles()], [[], []]);
  assert.deepEqual(await stored("ben-6"), [["Bread", spaceId]]);
  await closed(ada);
});

test("signing out keeps pending operations of a space; the next user of the device sees none of it", async () => {
  const [ada, ben] = [await open("ada-7"), await open("ben-7")];
  const { spaceId, ids } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-7", "writer");
  await ada.sync();
  await ben.sync();
  await ben.patches(ids[0], { title: "Rye bread" });
  const left = await ben.page.evaluate(async () => {
    const { unsynced } = await window.app.datum.logout(window.app.user, { flush: 0 });
    return unsynced.map(({ entity, spaceId, kind }) => [entity, spaceId, kind]);
  });
  assert.deepEqual(left, [["tasks", spaceId, "patch"]]);

  const visit = async (user) => {
    await ben.page.goto(site.address(user));
    await ready(ben.page);
  };
  await visit("cleo-7");
  await ben.sync();
  assert.deepEqual([await ben.titles(), await ben.spaces()], [[], []]);
  assert.equal(await ben.refused((app, spaceId) => app.tasks.create({ title: "no" }, { spaceId }), spaceId), "notMember");

  await visit("ben-7");
  assert.deepEqual(await ben.read(ids[0]), { title: "Rye bread", done: false, spaceId });
  assert.deepEqual(await ben.sync(), { pushed: 1, refused: 0, waiting: 0 });
  await ada.sync();
  assert.deepEqual(await ada.titles(), ["Rye bread"]);
  assert.equal(await ben.page.evaluate(() => window.app.datum.logout(window.app.user, { wipe: true }).then(({ wiped }) => wiped)), true);
  await visit("ben-7");
  assert.deepEqual([await ben.titles(), await ben.spaces()], [[], []]);
  await ben.sync();
  assert.deepEqual([await ben.titles(), await ben.spaces()], [["Rye bread"], [{ spaceId, role: "writer", ...NAMED }]]);
  await closed(ada, ben);
});

test("what a visitor has made and shared goes along into the account", BY_THE_APP, async () => {
  const [visitor, ben] = [await open("visitor-9"), await open("ben-9")];
  await visitor.context.setOffline(true);
  const { spaceId } = await visitor.makes("Home", ["Bread"]);
  await visitor.lets(spaceId, "ben-9", "writer");
  await visitor.creates("Diary");
  const adopted = await visitor.page.evaluate(() => window.app.datum.switchUser({ newUserId: "ada-9", strategy: "adopt" }).then(({ adopted }) => adopted));
  assert.deepEqual(adopted, { added: 4, merged: 0 });
  await visitor.context.setOffline(false);
  await visitor.page.goto(site.address("ada-9"));
  await ready(visitor.page);
  assert.deepEqual(await visitor.sync(), { pushed: 4, refused: 0, waiting: 0 });
  assert.deepEqual(await visitor.spaces(), [{ spaceId, role: "owner", name: "Home" }]);
  assert.deepEqual(await visitor.members(spaceId), [{ userId: "ada-9", role: "owner" }, { userId: "ben-9", role: "writer" }]);
  await ben.sync();
  assert.deepEqual([await ben.titles(), await stored("visitor-9")], [["Bread"], []]);
  await closed(visitor, ben);
});

test("two owners remove and demote each other offline: the first push wins", BY_THE_APP, async () => {
  const [ada, ben] = [await open("ada-10"), await open("ben-10")];
  const { spaceId } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-10", "owner");
  await ada.sync();
  await ada.sync();
  await ben.sync();
  for (const one of [ada, ben]) await one.context.setOffline(true);
  await ada.removes(spaceId, "ben-10");
  await ada.lets(spaceId, "cleo-10", "writer");
  await ben.lets(spaceId, "ada-10", "reader");
  await ben.lets(spaceId, "cleo-10", "reader");
  for (const one of [ada, ben]) await one.context.setOffline(false);
  for (const one of [ben, ada, ben]) await one.sync();
  const members = [{ userId: "ada-10", role: "reader" }, { userId: "ben-10", role: "owner" }, { userId: "cleo-10", role: "reader" }];
  assert.deepEqual([await ada.members(spaceId), await ben.members(spaceId)], [members, members]);
  assert.deepEqual([await ada.letters(), await ben.letters()].map((letters) => letters.map(([code]) => code)), [["notOwner", "notOwner"], []]);
  await closed(ada, ben);
});

// A backend of an app's own: the adapter passes on what the engine asks, and what the server says.
const ADAPTER = (url) => `<!doctype html><title>opening</title><script type="module">
import { Datum } from "./datum-sync/index.js";
const { user } = Object.fromEntries(new URL(location.href).searchParams);
const post = async (path, body, headers = {}) =>
  (await fetch("${url}" + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) })).json();
const { token } = await post("/dev/token", { userId: user });
const ask = (path, { userId, ...body }) => post("/sync/v1" + path, { schema: 0, ...body }, { authorization: "Bearer " + token });
const datum = await Datum.initialize({
  name: "adapter",
  entities: { tasks: {} },
  initialUserId: user,
  remote: { pull: (request) => ask("/pull", request), push: (request) => ask("/push", request) },
});
window.app = { user, datum, tasks: datum.manager("tasks"), errors: [], events: [] };
document.title = "ready";
</script>`;

test("an adapter has spaces as well", notOverSupabase("it is an adapter over the reference server"), async () => {
  await writeFile(join(site.folder, "adapter.html"), ADAPTER(site.target.url));
  const [ada, ben] = [await open("ada-8"), await open("ben-8")];
  for (const { page, user } of [ada, ben]) {
    await page.goto(`${site.origin}/adapter.html?user=${user}`);
    await ready(page);
  }
  const { spaceId } = await ada.makes("Home", ["Bread"]);
  await ada.lets(spaceId, "ben-8", "writer");
  const own = await ada.creates("Diary");
  await ada.sync();
  await ada.moves(own, spaceId);
  await ada.sync();
  await ben.sync();
  assert.deepEqual([await ben.titles(spaceId), await ada.titles(null)], [["Bread", "Diary"], []]);
  await ben.patches(own, { done: true });
  await ada.removes(spaceId, "ben-8");
  await ada.sync();
  await ben.sync();
  assert.deepEqual([await ben.titles(), await ben.letters()], [[], [["notMember", spaceId, false, "Diary"]]]);
  await closed(ada, ben);
});
