// `datum-sync/tanstack-db` with the real TanStack DB over the real engine: rows, live queries, joins, and writes as atomic commits.
import assert from "node:assert/strict";
import "fake-indexeddb/auto";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transform } from "esbuild";
import { and, createCollection, createLiveQueryCollection, eq, gt, inArray, like, or } from "@tanstack/db";
import { after, before, test } from "./lib/test.mjs";
import { FakeFeed, rest } from "./lib/fake-datum.mjs";
import { run } from "./lib/files.mjs";
import { installPackage } from "./lib/package.mjs";

const MODULES = fileURLToPath(new URL("./node_modules", import.meta.url));

let installed, Datum, MemoryRemote, datumCollectionOptions;
before(async () => {
  installed = await installPackage();
  const load = (file) => import(pathToFileURL(join(installed.root, "node_modules/datum-sync", file)).href);
  ({ Datum } = await load("node.js"));
  ({ MemoryRemote } = await load("testing.js"));
  ({ datumCollectionOptions } = await load("tanstack/index.js"));
});
after(() => installed?.remove());

let opened = 0;
/** Opens an instance, and a collection of its tasks. `batches` has what changed, a list for each. */
async function open(t, config = {}) {
  const remote = new MemoryRemote();
  const datum = await Datum.initialize({ name: `tanstack-${++opened}`, entities: { tasks: {}, projects: {} }, remote, initialUserId: "ada", ...config });
  t.after(() => datum.close());
  const manager = datum.manager("tasks");
  const tasks = createCollection(datumCollectionOptions({ manager, id: `tasks-${opened}` }));
  await tasks.preload();
  const batches = [];
  const subscription = tasks.subscribeChanges((changes) => batches.push(changes.map(({ type, key }) => `${type} ${key}`).join()));
  t.after(() => subscription.unsubscribe());
  return { remote, datum, manager, tasks, batches };
}

const titles = (collection) => [...collection.values()].map(({ title }) => title).sort();

/** Resolves once a condition is true. */
async function until(condition) {
  for (const end = Date.now() + 20_000; !(await condition()); ) {
    assert.ok(Date.now() < end, `not within 20 s: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a collection is ready with what is stored, and a pulled page is one batch", async (t) => {
  const { remote, datum, tasks, batches } = await open(t);
  assert.deepEqual([tasks.status, tasks.size], ["ready", 0]);
  for (const id of ["1", "2", "3"]) remote.put("ada", "tasks", { id, title: id, done: false });
  await datum.synchronize("ada");
  await until(() => tasks.size === 3);
  assert.deepEqual(batches, ["insert 1,insert 2,insert 3"]);
  remote.patch("ada", "tasks", "2", { title: "two" });
  remote.delete("ada", "tasks", "3");
  await datum.synchronize("ada");
  await until(() => tasks.size === 2);
  assert.deepEqual([batches[1], titles(tasks)], ["update 2,delete 3", ["1", "two"]]);
});

test("writes are optimistic, one commit for each call, and stored when the transaction says so", async (t) => {
  const { datum, manager, tasks } = await open(t);
  const before = datum.metrics.commits;
  const inserted = tasks.insert([{ id: "1", title: "a", done: false }, { id: "2", title: "b", done: false }]);
  assert.deepEqual(titles(tasks), ["a", "b"]);
  await inserted.isPersisted.promise;
  assert.deepEqual([datum.metrics.commits - before, titles(tasks), (await manager.readAll()).length], [1, ["a", "b"], 2]);
  assert.ok(tasks.get("1").modifiedAt, "the engine's own fields are there");
  await tasks.update(["1", "2"], (drafts) => drafts.forEach((draft) => (draft.done = true))).isPersisted.promise;
  assert.deepEqual([datum.metrics.commits - before, (await manager.readAll()).map(({ done }) => done)], [2, [true, true]]);
  await tasks.delete(["1", "2"]).isPersisted.promise;
  assert.deepEqual([datum.metrics.commits - before, tasks.size, await manager.readAll()], [3, 0, []]);
});

test("an update sends only what it changes, and removes a field that is deleted", async (t) => {
  const { datum, manager, remote, tasks } = await open(t);
  await tasks.insert({ id: "1", title: "a", done: false, due: "2027-01-01" }).isPersisted.promise;
  await datum.synchronize("ada");
  remote.requests.length = 0;
  await tasks.update("1", (draft) => void (draft.title = "b")).isPersisted.promise;
  await datum.synchronize("ada");
  const [push] = remote.requests.filter(({ kind }) => kind === "push");
  assert.deepEqual(push.request.operations.map(({ kind, data }) => [kind, data.title, "done" in data]), [["patch", "b", false]]);
  await tasks.update("1", (draft) => void delete draft.due).isPersisted.promise;
  assert.deepEqual([Object.hasOwn(await manager.read("1"), "due"), Object.hasOwn(tasks.get("1"), "due"), titles(tasks)], [false, false, ["b"]]);
});

test("an update of several is a patch of each, so that what another commit changes meanwhile stays", async (t) => {
  const { datum, manager, remote, tasks } = await open(t);
  await tasks.insert([{ id: "1", title: "a", done: false, due: "x" }, { id: "2", title: "b", done: false, due: "y" }]).isPersisted.promise;
  await datum.synchronize("ada");
  const commits = datum.metrics.commits;
  // Another commit lands while the collection's write is under way.
  const { patchMany } = manager;
  Object.defineProperty(manager, "patchMany", {
    value: async (...given) => {
      await manager.patch("2", { title: "theirs" });
      return patchMany.apply(manager, given);
    },
  });
  await tasks.update(["1", "2"], ([one, two]) => {
    one.title = "mine";
    delete one.due;
    two.done = true;
  }).isPersisted.promise;
  assert.deepEqual((await manager.readAll()).map(({ title, done, due }) => [title, done, due]), [["mine", false, undefined], ["theirs", true, "y"]]);
  assert.equal(datum.metrics.commits - commits, 2);
  remote.requests.length = 0;
  await datum.synchronize("ada");
  const sent = remote.requests.filter(({ kind }) => kind === "push").flatMap(({ request }) => request.operations);
  assert.equal(sent.find(({ id }) => id === "2").kind, "patch");
});

test("a collection of a query has what it finds, and a write of anything else is stored and leaves", async (t) => {
  const { manager, datum } = await open(t, { entities: { tasks: { indexes: ["due"] }, projects: {} } });
  await manager.createMany([1, 2, 3, 4].map((due) => ({ id: `${due}`, title: `task ${due}`, done: due === 2, due })));
  const query = manager.where("done").equals(false).orderBy("due").limit(2);
  const first = createCollection(datumCollectionOptions({ manager, id: `first-${opened}`, query }));
  await first.preload();
  assert.deepEqual(titles(first), ["task 1", "task 3"]);
  const within = (transaction) => Promise.race([transaction.isPersisted.promise.then(() => "stored"), new Promise((resolve) => setTimeout(resolve, 10_000, "pending"))]);
  assert.equal(await within(first.insert({ id: "9", title: "task 9", done: false, due: 9 })), "stored", "beyond the limit");
  assert.equal(await within(first.insert({ id: "8", title: "task 8", done: true, due: 0 })), "stored", "not matching");
  assert.deepEqual([titles(first), await manager.count()], [["task 1", "task 3"], 6]);
  assert.equal(await within(first.insert({ id: "0", title: "task 0", done: false, due: 0 })), "stored");
  await until(() => titles(first).join() === "task 0,task 1");
  assert.equal(await within(first.update("0", (draft) => void (draft.done = true))), "stored");
  await until(() => titles(first).join() === "task 1,task 3");
  assert.equal(await within(first.delete("1")), "stored");
  await until(() => titles(first).join() === "task 3,task 4");
  const wrong = createCollection(datumCollectionOptions({ manager, id: `wrong-${opened}`, query: { where: { field: "due", below: 3 } } }));
  await assert.rejects(wrong.preload());
  await datum.close();
});

test("a collection that loads on demand has what its live queries ask for, by an index, and follows it", async (t) => {
  const { manager, datum } = await open(t, { entities: { tasks: { indexes: ["group"] }, projects: {} } });
  await manager.createMany(Array.from({ length: 60 }, (_, n) => ({ id: `t${String(n).padStart(2, "0")}`, title: `task ${n}`, group: n % 6, n, done: n % 2 === 0 })));
  const asked = [];
  const { watchQuery } = manager;
  Object.defineProperty(manager, "watchQuery", {
    value: (query, ...more) => {
      asked.push(query);
      return watchQuery.call(manager, query, ...more);
    },
  });
  const tasks = createCollection(datumCollectionOptions({ manager, id: `demand-${opened}`, syncMode: "on-demand" }));
  await tasks.preload();
  assert.deepEqual([asked, tasks.size], [[], 0], "nothing is loaded before it is asked for");
  const live = (where) => createLiveQueryCollection((q) => where(q.from({ task: tasks })));
  const twos = live((q) => q.where(({ task }) => and(eq(task.group, 2), eq(task.done, true))).orderBy(({ task }) => task.n, "desc").limit(3));
  await twos.preload();
  assert.deepEqual(twos.toArray.map(({ n }) => n), [56, 50, 44]);
  assert.deepEqual(asked, [{ where: { and: [{ field: "group", equals: 2 }, { field: "done", equals: true }] } }]);
  assert.equal((await manager.explain(asked[0])).index?.[0], "group");
  assert.equal(tasks.size, 10);
  const some = live((q) => q.where(({ task }) => or(inArray(task.group, [2, 3]), gt(task.n, 58))));
  await some.preload();
  assert.deepEqual([some.size, tasks.size], [21, 21]);
  // What cannot be said to the engine is chosen by TanStack DB.
  const odd = live((q) => q.where(({ task }) => and(eq(task.group, 1), like(task.title, "%3%"))));
  await odd.preload();
  assert.deepEqual([odd.toArray.map(({ n }) => n).sort(), asked.at(-1)], [[13, 31, 37, 43].filter((n) => n % 6 === 1), { where: { field: "group", equals: 1 } }]);
  await tasks.insert({ id: "new", title: "new", group: 2, n: 99, done: true }).isPersisted.promise;
  await tasks.insert({ id: "beside", title: "beside", group: 5, n: 9, done: true }).isPersisted.promise;
  await until(() => twos.toArray[0].n === 99);
  await manager.patch("new", { group: 3 });
  await until(() => twos.toArray[0].n === 56);
  assert.deepEqual([some.size, tasks.has("beside"), tasks.has("new")], [22, false, true]);
  await some.cleanup();
  await until(() => !tasks.has("new"));
  assert.equal(tasks.has("t02"), true, "another live query has it");
  assert.throws(() => datumCollectionOptions({ manager, syncMode: "on-demand", query: {} }), /leave `query` out/);
  await datum.close();
});

test("what is refused is rolled back, and says why", async (t) => {
  const validate = (task) => {
    if (task.title === "") throw new Error("a title is needed");
  };
  const { tasks } = await open(t, { entities: { tasks: { validate } } });
  await tasks.insert({ id: "1", title: "a", done: false }).isPersisted.promise;
  await assert.rejects(tasks.insert([{ id: "2", title: "b", done: false }, { id: "3", title: "", done: false }]).isPersisted.promise, ({ code }) => code === "invalidEntity");
  assert.deepEqual(titles(tasks), ["a"]);
  await assert.rejects(tasks.update("1", (draft) => void (draft.title = "")).isPersisted.promise, ({ code }) => code === "invalidEntity");
  assert.deepEqual(titles(tasks), ["a"]);
});

test("a row that another deletes while it is written leaves no transaction open", async (t) => {
  const { manager, tasks } = await open(t);
  const { createMany } = manager;
  Object.defineProperty(manager, "createMany", {
    value: async (...given) => {
      const made = await createMany.apply(manager, given);
      await manager.delete("1");
      await manager.create({ id: "2", title: "b", done: false });
      return made;
    },
  });
  await tasks.insert({ id: "1", title: "a", done: false }).isPersisted.promise;
  await until(() => titles(tasks).join() === "b");
});

test("a written row never flickers: it is optimistic until it has arrived, or until nothing comes any more", async () => {
  const feed = new FakeFeed();
  const stored = (draft) => ({ modifiedAt: "2027-01-01T00:00:00.000Z", ...draft });
  const manager = { watchAll: () => feed, createMany: async (drafts) => drafts.map(stored), exists: async () => true };
  const tasks = createCollection(datumCollectionOptions({ manager, id: "flicker", startSync: true }));
  feed.give([]);
  await tasks.preload();
  const [first, second] = ["1", "2"].map((id) => tasks.insert({ id, title: id }).isPersisted);
  const sizes = new Set();
  tasks.subscribeChanges(() => sizes.add(tasks.size));
  await rest();
  assert.deepEqual([first.isPending(), second.isPending(), tasks.size], [true, true, 2]);
  feed.give([stored({ id: "1", title: "1" })]);
  await first.promise;
  await rest();
  assert.deepEqual([second.isPending(), tasks.size, [...sizes].filter((size) => size < 2)], [true, 2, []]);
  feed.end();
  await second.promise;
});

test("what has not changed is not written again", async () => {
  const [feed, written] = [new FakeFeed(), []];
  const { sync } = datumCollectionOptions({ manager: { watchAll: () => feed } }).sync;
  const nothing = () => {};
  const stop = sync({ begin: nothing, commit: nothing, markReady: nothing, markError: nothing, write: ({ type, key, value }) => written.push(`${type} ${key ?? value.id}`) });
  const [a, b] = [{ id: "1" }, { id: "2" }];
  for (const list of [[a, b], [a, { ...b }], [a]]) {
    feed.give(list);
    await rest();
  }
  assert.deepEqual(written, ["insert 1", "insert 2", "update 2", "delete 2"]);
  stop();
  assert.equal(feed.open, 0);
});

test("live queries and joins follow writes of this and of other collections", async (t) => {
  const { datum, tasks } = await open(t);
  const projects = createCollection(datumCollectionOptions({ manager: datum.manager("projects"), id: `projects-${opened}` }));
  await projects.insert({ id: "p", name: "Home" }).isPersisted.promise;
  const live = createLiveQueryCollection((q) =>
    q
      .from({ task: tasks })
      .join({ project: projects }, ({ task, project }) => eq(task.project, project.id))
      .where(({ task }) => eq(task.done, false))
      .select(({ task, project }) => ({ id: task.id, line: task.title, project: project.name })),
  );
  await live.preload();
  await tasks.insert([{ id: "1", title: "a", done: false, project: "p" }, { id: "2", title: "b", done: true, project: "p" }]).isPersisted.promise;
  const lines = () => [...live.values()].map(({ line, project }) => `${line} in ${project}`).sort();
  await until(() => lines().length === 1);
  assert.deepEqual(lines(), ["a in Home"]);
  await datum.manager("tasks").patch("2", { done: false });
  await until(() => lines().length === 2);
  assert.deepEqual(lines(), ["a in Home", "b in Home"]);
});

test("the document's example type-checks and works", async () => {
  const text = await readFile(new URL("../../docs/frameworks.md", import.meta.url), "utf8");
  const code = /^```ts tanstack=example\n(.*?)^```$/ms.exec(text)[1];
  const at = (file) => join(installed.root, file);
  for (const name of ["@tanstack", "@standard-schema"]) await symlink(join(MODULES, name), at(`node_modules/${name}`));
  await writeFile(at("example.ts"), code);
  await writeFile(at("remote.ts"), `import { MemoryRemote } from "datum-sync/testing";\nexport const remote = new MemoryRemote();\n`);
  const wrong = `import { datumCollectionOptions } from "datum-sync/tanstack-db";\n// @ts-expect-error: a collection has a manager.\ndatumCollectionOptions({ id: "x" });\n`;
  await writeFile(at("wrong.ts"), wrong);
  const compilerOptions = { target: "es2022", lib: ["ES2022", "DOM", "DOM.Iterable"], module: "esnext", moduleResolution: "bundler", types: [], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true, noEmit: true };
  await writeFile(at("tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  await run(join(MODULES, ".bin/tsc"), ["--project", installed.root]);
  for (const file of ["example", "remote"]) await writeFile(at(`${file}.mjs`), (await transform(await readFile(at(`${file}.ts`), "utf8"), { loader: "ts" })).code.replace("./remote", "./remote.mjs"));
  const example = await import(pathToFileURL(at("example.mjs")).href);
  await example.open.preload();
  await example.tasks.insert([{ id: "1", title: "a", done: false }, { id: "2", title: "b", done: false }]).isPersisted.promise;
  await example.complete(["1"]);
  await until(() => titles(example.open).join() === "b");
  await Datum.instance.close();
});

test("a collection of a user and a space has their rows, and one whose instance is closed ends quietly", async (t) => {
  const { remote, datum } = await open(t);
  const home = remote.createSpace("ada", "Home");
  remote.put("ada", "tasks", { id: "s", title: "shared", done: false }, { spaceId: home });
  remote.put("ada", "tasks", { id: "o", title: "own", done: false });
  await datum.synchronize("ada");
  const shared = createCollection(datumCollectionOptions({ manager: datum.manager("tasks"), id: `shared-${opened}`, userId: "ada", spaceId: home }));
  await shared.preload();
  assert.deepEqual(titles(shared), ["shared"]);
  await shared.insert({ id: "n", title: "new", done: false }).isPersisted.promise;
  assert.equal((await datum.manager("tasks").read("n")).spaceId, home);
  await datum.close();
  await assert.rejects(shared.insert({ id: "x", title: "late", done: false }).isPersisted.promise, ({ code }) => code === "closed");
  assert.deepEqual(titles(shared), ["new", "shared"]);
});
