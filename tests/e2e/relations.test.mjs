// Relations through the packed package: read along once and live, with middleware, and deletes that follow them.
import assert from "node:assert/strict";
import { after, test } from "./lib/test.mjs";
import { blankPages, evaluate } from "./lib/blank.mjs";
import { engines } from "./lib/webdriver.mjs";

let pages;
after(async () => pages?.stop());

/** Opens an instance with people, projects, tasks and tags. Runs in the page. */
const open = `async (Datum, config, more = {}) => {
  const datum = await Datum.initialize(config({ entities: {
    people: { ...more.people, relations: { projects: { hasMany: "projects", foreignKey: "ownerId", onDelete: "setNull" } } },
    projects: { relations: { owner: { belongsTo: "people", foreignKey: "ownerId" }, tasks: { hasMany: "tasks", foreignKey: "projectId", onDelete: more.rule ?? "cascade" } } },
    tasks: { ...more.tasks, relations: {
      project: { belongsTo: "projects", foreignKey: "projectId" },
      tags: { manyToMany: "tags", through: "taskTags", thisKey: "task", otherKey: "tag", onDelete: "cascade" },
      ...JSON.parse('{"__proto__":{"belongsTo":"people","foreignKey":"constructor"}}'),
    } },
    tags: {}, taskTags: {},
  } }));
  const [people, projects, tasks, tags, taskTags] = ["people", "projects", "tasks", "tags", "taskTags"].map((name) => datum.manager(name));
  await people.createMany([{ id: "ann", name: "Ann" }, { id: "ben", name: "Ben" }]);
  await projects.createMany([{ id: "p1", name: "one", ownerId: "ann" }, { id: "p2", name: "two" }]);
  await tasks.createMany([1, 2, 3].map((n) => ({ id: "t" + n, title: "task " + n, at: n, projectId: n < 3 ? "p1" : null, constructor: "ben" })));
  await tags.createMany([{ id: "red" }, { id: "blue" }]);
  await taskTags.createMany([{ task: "t1", tag: "red" }, { task: "t1", tag: "blue" }, { task: "t2", tag: "red" }]);
  return { datum, people, projects, tasks, tags, taskTags };
}`;

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await pages?.stop();
    pages = await blankPages(engine);
  });

  test(`${engine}: every read takes relations along, and entities that are the same are the same object`, async () => {
    const seen = await pages.run(async ({ Datum, config }, open) => {
      const { tasks, projects } = await (0, eval)(open)(Datum, config);
      const all = { with: ["project.owner", "tags", "__proto__"] };
      const list = await tasks.readAll(all);
      const [one, two, three] = list;
      const shown = (task) => ({ id: task.id, project: task.project && { id: task.project.id, owner: task.project.owner?.name }, tags: task.tags.map(({ id }) => id) });
      const page = await tasks.readPage({ size: 2, query: { with: ["project"], orderBy: [{ field: "at", descending: true }] } });
      const next = await tasks.readPage({ size: 2, after: page.after, query: { with: ["project"], orderBy: [{ field: "at", descending: true }] } });
      const plain = await tasks.readPage({ size: 2 }, { with: ["project"] });
      const last = await tasks.readPage({ size: 2, after: plain.after }, { with: ["project"], withSyncState: true });
      const state = await tasks.query({ with: ["project"], limit: 1 }, { withSyncState: true });
      return {
        list: list.map(shown),
        shared: [one.project === two.project, one.tags[1] === two.tags[0], three.project],
        frozen: [one, one.tags, one.project, one.project.owner].every(Object.isFrozen) && !Object.isFrozen(list),
        proto: [Object.getOwnPropertyDescriptor(one, "__proto__").value.name, Object.getPrototypeOf(one) === Object.prototype, JSON.parse(JSON.stringify(one)).project.owner.name],
        read: [shown(await tasks.read("t2", all)), await tasks.read("nothing", all), "project" in (await tasks.read("t2", { with: [] }))],
        query: (await tasks.query({ where: { field: "at", greaterThan: 1 }, ...all })).map(shown),
        pages: [page.items.map(({ id, project }) => id + project?.name), page.hasMore, next.items.map(({ id, project }) => id + project?.name), next.hasMore],
        plain: [plain.items.map(({ id, project }) => id + project?.name), plain.hasMore, plain.total, last.items.map(({ id, project, $syncState }) => id + project + $syncState), last.hasMore, "after" in last],
        state: [state[0].$syncState, "$syncState" in state[0].project],
        related: [(await tasks.related(one, "tags")).map(({ id }) => id), (await projects.related("p1", "tasks")).length, (await tasks.related(three, "project")).length, (await projects.related("gone", "tasks")).length],
        counted: await tasks.count({ ...all }),
      };
    }, open);
    const one = { id: "t1", project: { id: "p1", owner: "Ann" }, tags: ["blue", "red"] };
    const two = { id: "t2", project: { id: "p1", owner: "Ann" }, tags: ["red"] };
    const three = { id: "t3", project: null, tags: [] };
    assert.deepEqual(seen, {
      list: [one, two, three],
      shared: [true, true, null],
      frozen: true,
      proto: ["Ben", true, "Ann"],
      read: [two, null, false],
      query: [two, three],
      pages: [["t3undefined", "t2one"], true, ["t1one"], false],
      plain: [["t1one", "t2one"], true, 3, ["t3nullpending"], false, false],
      state: ["pending", false],
      related: [["blue", "red"], 2, 0, 0],
      counted: 3,
    });
  });

  test(`${engine}: watches follow what they lead to, in another tab too, and keep what has not changed`, async () => {
    const one = await pages.tab();
    const two = await pages.tab(one);
    await evaluate(one.page, async ({ Datum, config }, open) => {
      window.its = await (0, eval)(open)(Datum, config);
      const { tasks } = its;
      const read = async (feed, into) => {
        for await (const value of feed) into.push(value);
        into.push("ended");
      };
      window.seen = { all: [], one: [], query: [], edits: [] };
      const query = tasks.watchQuery({ where: { field: "projectId", equals: "p1" }, orderBy: [{ field: "at" }], with: ["project.owner", "tags"] });
      void read(tasks.watchAll({ with: ["project"] }), seen.all);
      void read(tasks.watchById("t1", { with: ["project.owner"] }), seen.one);
      void read(query, seen.query);
      void read(query.changes(), seen.edits);
    }, open);
    await one.page.waitForFunction(() => Object.values(window.seen).every((list) => list.length === 1));
    await evaluate(two.page, async ({ Datum, config }, open) => {
      const entities = { people: {}, projects: {}, tasks: {}, tags: {}, taskTags: {} };
      window.datum = await Datum.initialize(config({ entities }));
      await datum.manager("people").patch("ann", { name: "Anna" });
    }, open);
    await one.page.waitForFunction(() => window.seen.one.at(-1).project.owner.name === "Anna" && window.seen.edits.length === 2);
    await one.page.evaluate(() => window.its.taskTags.create({ task: "t2", tag: "blue" }).then(() => undefined));
    await one.page.waitForFunction(() => window.seen.query.at(-1)[1].tags.length === 2 && window.seen.edits.length === 3);
    await one.page.evaluate(() => window.its.tasks.patch("t1", { at: 9 }).then(() => undefined));
    await one.page.waitForFunction(() => window.seen.query.at(-1)[1].id === "t1" && window.seen.edits.length === 4);
    await one.page.evaluate(() => window.its.tasks.patch("t1", { projectId: "p2" }).then(() => undefined));
    await one.page.waitForFunction(() => window.seen.edits.length === 5 && window.seen.one.at(-1).project.id === "p2");
    await one.page.evaluate(() => window.its.datum.close());
    await one.page.waitForFunction(() => Object.values(window.seen).every((list) => list.at(-1) === "ended"));
    const seen = await one.page.evaluate(() => {
      const { all, one, query, edits } = window.seen;
      return {
        // What the list of all tasks shows has changed with a task only.
        all: all.length,
        one: one.slice(0, -1).map(({ project }) => `${project.id} ${project.owner?.name}`),
        same: [query[2][0] === query[1][0], query[2][1] === query[1][1], query[2][1].project === query[1][1].project, query[1][0].tags === query[0][0].tags, query[1][0].tags[0] === query[0][0].tags[0]],
        edits: edits.slice(0, -1).map((list) => list.map((edit) => `${edit.type} ${edit.from ?? ""}>${edit.index} ${edit.entity.id}`)),
      };
    });
    assert.deepEqual(seen, {
      all: 4,
      one: ["p1 Ann", "p1 Anna", "p1 Anna", "p2 undefined"],
      same: [true, false, true, false, true],
      edits: [["insert >0 t1", "insert >1 t2"], ["update >0 t1", "update >1 t2"], ["update >1 t2"], ["move 1>0 t2", "update >1 t1"], ["remove >1 t1"]],
    });
    await one.context.close();
  });

  test(`${engine}: an entity that several relations lead to is one object, as long as they show the same of it`, async () => {
    const seen = await pages.run(async ({ Datum, config }, open) => {
      const { tasks, people } = await (0, eval)(open)(Datum, config);
      await tasks.patch("t1", { constructor: "ann" });
      const friend = (task) => Object.getOwnPropertyDescriptor(task, "__proto__").value;
      const [one, two] = await tasks.readAll({ with: ["project.owner", "__proto__"] });
      const [deep] = await tasks.readAll({ with: ["project.owner.projects", "__proto__"] });
      const [twice] = await tasks.readAll({ with: ["project.owner.projects.tasks", "project.tasks", "__proto__.projects.tasks"] });
      const loop = tasks.watchQuery({ with: ["project.owner", "__proto__"], limit: 2 })[Symbol.asyncIterator]();
      const [before] = (await loop.next()).value;
      await tasks.patch("t2", { constructor: "ann" });
      const [same, other] = (await loop.next()).value;
      await people.patch("ann", { name: "Anna" });
      const [after] = (await loop.next()).value;
      await loop.return();
      return {
        one: [one.project.owner === friend(one), two.project.owner === friend(one), friend(two).name],
        deep: ["projects" in deep.project.owner, "projects" in friend(deep)],
        twice: [twice.project.owner === friend(twice), twice.project === friend(twice).projects[0], twice.project.tasks === twice.project.owner.projects[0].tasks],
        live: [before === same, friend(before) === friend(other), same.project.owner === friend(other), after.project.owner === friend(after), after.project.owner.name],
      };
    }, open);
    assert.deepEqual(seen, { one: [true, true, "Ben"], deep: [true, false], twice: [true, false, false], live: [true, true, true, true, "Anna"] });
  });

  test(`${engine}: middleware of each type reads it, and what was read along is never stored`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }, open) => {
      class Task {
        constructor(fields) {
          Object.assign(this, fields);
        }
        get label() {
          return `${this.title} of ${this.project?.name}`;
        }
      }
      const strict = (task) => {
        if ("project" in task) throw new Error("a project was given");
      };
      const { tasks } = await (0, eval)(open)(Datum, config, {
        people: { afterRead: (person) => ({ ...person, name: person.name.toUpperCase() }) },
        tasks: { afterRead: (fields) => new Task(fields), validate: strict },
      });
      const task = await tasks.read("t1", { with: ["project.owner", "tags"] });
      const updated = await tasks.update({ ...task, title: "new" });
      await tasks.patch("t2", { ...task, id: "t2", title: "two" });
      const copy = await tasks.create({ ...task, id: "t9" });
      return {
        task: [task.label, task.project.owner.name, task instanceof Task, Object.isFrozen(task)],
        stored: [updated, copy, await tasks.read("t2")].map((entity) => [entity.title, entity.projectId, "project" in entity, "tags" in entity]),
        refused: await code(tasks.create({ id: "t10", tags: "red" })),
      };
    }, open);
    assert.deepEqual({ ...seen, refused: seen.refused.code }, {
      task: ["task 1 of one", "ANN", true, true],
      stored: [["new", "p1", false, false], ["task 1", "p1", false, false], ["two", "p1", false, false]],
      refused: "invalidEntity",
    });
    assert.match(seen.refused.message, /`tags` is a relation of this type/);
  });

  test(`${engine}: a relation with the name of the key that others have is left out of a write, too`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const given = [];
      const relations = { parts: { hasMany: "parts", foreignKey: "parts" }, part: { belongsTo: "parts", foreignKey: "part" } };
      const datum = await Datum.initialize(config({ entities: { wholes: { validate: (it) => given.push(Object.keys(it)), relations }, parts: {} } }));
      const [wholes, parts] = [datum.manager("wholes"), datum.manager("parts")];
      await wholes.create({ id: "car", part: "wheel" });
      await parts.create({ id: "wheel", parts: "car" });
      const car = await wholes.read("car", { with: ["parts"] });
      given.length = 0;
      await wholes.update({ ...car, n: 1 });
      const stored = await wholes.read("car");
      return { read: car.parts.map(({ id }) => id), given: given[0].filter((name) => name.startsWith("part")), stored: ["parts" in stored, stored.part, stored.n] };
    });
    assert.deepEqual(seen, { read: ["wheel"], given: ["part"], stored: [false, "wheel", 1] });
  });

  test(`${engine}: a delete follows the rules, or does nothing`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }, open) => {
      const its = await (0, eval)(open)(Datum, config);
      const ids = async (name) => (await its[name].readAll()).map(({ id }) => id).join();
      const heard = [];
      const events = its.datum.events({ type: "dataChanged" })[Symbol.asyncIterator]();
      const plan = await its.projects.getDeletePlan("p1");
      const nothing = await its.projects.getDeletePlan("gone");
      const deleted = await its.projects.delete("p1");
      for (let n = 0; n < 3; n++) heard.push((await events.next()).value);
      const left = [await ids("projects"), await ids("tasks"), (await its.taskTags.readAll()).length];
      await its.projects.patch("p2", { ownerId: "ben" });
      const many = await its.people.deleteMany(["ben", "gone"]);
      const owner = (await its.projects.read("p2")).ownerId;
      await its.tasks.patch("t3", { projectId: "p2" });
      const only = [await its.projects.delete("p2", { cascade: false }), await ids("tasks"), await its.projects.delete("p2")];
      await its.datum.close();
      const restricting = await (0, eval)(open)(Datum, (more) => config({ ...more, name: "other" }), { rule: "restrict" });
      const refused = [await code(restricting.projects.delete("p1")), await code(restricting.projects.deleteWhere({ field: "name", equals: "one" })), await restricting.projects.getDeletePlan("p1")];
      return { plan, nothing, deleted, heard: heard.map(({ entity, deleted }) => [entity, deleted.length]).sort(), left, many, owner, only, refused, kept: (await restricting.projects.readAll()).length };
    }, open);
    const task = (id) => ({ entity: "tasks", id });
    assert.deepEqual({ ...seen.plan, deleted: seen.plan.deleted.slice(0, 3), joins: seen.plan.deleted.length - 3 }, {
      canDelete: true,
      deleted: [{ entity: "projects", id: "p1" }, task("t1"), task("t2")],
      joins: 3,
      changed: [],
      restrictedBy: [],
    });
    assert.deepEqual(seen.nothing, { canDelete: true, deleted: [], changed: [], restrictedBy: [] });
    assert.equal(seen.deleted, true);
    assert.deepEqual(seen.heard, [["projects", 1], ["taskTags", 3], ["tasks", 2]]);
    assert.deepEqual(seen.left, ["p2", "t3", 0]);
    assert.deepEqual([seen.many, seen.owner, seen.only], [["ben"], null, [true, "t3", false]]);
    const [deleted, where, plan] = seen.refused;
    assert.deepEqual([deleted.code, where.code, plan.canDelete, plan.restrictedBy.length, plan.restrictedBy[0].of, seen.kept], ["restricted", "restricted", false, 2, { entity: "projects", id: "p1" }, 2]);
    assert.match(deleted.message, /`tasks` t1 still refers to this entity, and the relation `tasks` restricts its delete/);
  });

  test(`${engine}: what is no relation is refused, whatever the call is`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }, open) => {
      const { tasks } = await (0, eval)(open)(Datum, config);
      const first = (feed) => code(feed[Symbol.asyncIterator]().next());
      const wrong = { with: ["project.owners"] };
      const throwing = {
        get with() {
          throw new Error("no");
        },
      };
      const no = () => {
        throw new Error("no");
      };
      const hostile = new Proxy({}, { getOwnPropertyDescriptor: no, ownKeys: no });
      const { readAll } = Object.getPrototypeOf(tasks);
      const calls = [tasks.readAll(wrong), tasks.read("t1", wrong), tasks.query(wrong), tasks.readPage({ query: wrong }), tasks.readPage({ size: 1 }, wrong), tasks.related("t1", "owner"), tasks.related({}, "project"), tasks.related("t1", "project.owner"), tasks.readAll({ with: "project" }), tasks.readAll(throwing), tasks.read(undefined, { with: [] }), tasks.getDeletePlan(7), tasks.delete("t1", { cascade: 1 }), readAll.call({}, { with: ["project"] }), tasks.readPage(hostile), tasks.readPage({ size: 0 }, { with: [] }), tasks.readPage({}, { with: "project" }), tasks.readPage({}, { with: [], includeDeleted: true }), tasks.readPage({ query: {} }, { with: ["project"] })];
      const all = await Promise.all(calls.map(code));
      return [...all, await first(tasks.watchAll(wrong)), await first(tasks.watchById("t1", wrong)), await first(tasks.watchQuery(wrong)), await first(tasks.watchQuery(wrong).changes())];
    }, open);
    assert.deepEqual(seen.map(({ code }) => code), Array(23).fill("invalidArgument"));
    for (const at of [0, 1, 2, 3, 4, 19, 20, 21, 22]) assert.match(seen[at].message, /`with\[0\]`: `projects` has no relation `owners`; the config has owner, tasks\./);
    assert.match(seen[9].message, /`with` could not be read: no/);
  });
}
