// Odd arguments of queries, relations, writes and migrations: what cannot be meant is refused with a code and what is wrong, and nothing else happens.
import assert from "node:assert/strict";
import { after, test } from "./lib/test.mjs";
import { blankPages } from "./lib/blank.mjs";
import { engines } from "./lib/webdriver.mjs";

let pages;
after(async () => pages?.stop());

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await pages?.stop();
    pages = await blankPages(engine);
  });

  test(`${engine}: the builder of queries refuses what is no part of one`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      await tasks.createMany([{ id: "a", n: 1 }, { id: "b", n: 2 }]);
      const no = () => {
        throw new Error("mine");
      };
      const hostile = new Proxy({}, { get: no, ownKeys: no, getPrototypeOf: no });
      const refused = [];
      for (const [ask, words] of [
        [() => tasks.where("n").matches(7).query(), "`where.matches` must be a"],
        [() => tasks.where("n").matches(undefined).query(), "`where`"],
        [() => tasks.where("n").matches(/a/g).query(), "cannot have the flag `g`"],
        [() => tasks.where("n").matches(hostile).query(), "the pattern could not be read"],
        [() => tasks.limit(1).page(hostile), "the page could not be read"],
        [() => tasks.limit(1).page(7), "The page must be an object"],
        [() => tasks.limit(1).page([]), "The page must be an object"],
        [() => tasks.limit(1).any(7).query(), "must be functions"],
        [() => tasks.limit(1).any(() => hostile).query(), "must be functions"],
        [() => tasks.limit(1).not(() => undefined).query(), "must be functions"],
        [() => tasks.orderBy("n", "DESC").query(), 'must be "asc" or "desc"'],
        [() => tasks.orderBy("n", "asc", hostile).query(), "the options of `orderBy` could not be read"],
        [() => tasks.limit(-1).first(), "`limit` must be a whole number"],
        [() => tasks.limit("5").first(), "`limit` must be a whole number"],
        [() => tasks.query(), "The query must be an object"],
        [() => tasks.deleteWhere(), "for all entities, it is { and: [] }"],
        [() => tasks.deleteWhere(null), "for all entities, it is { and: [] }"],
        [() => tasks.patchWhere(null, { n: 3 }), "for all entities, it is { and: [] }"],
      ]) {
        const { code: got, message = "" } = await code((async () => ask())());
        if (got !== "invalidArgument" || !message.includes(words)) refused.push([words, got, message]);
      }
      const own = await (async () => tasks.limit(1).not(no).query())().catch((error) => error.message);
      const first = [await tasks.limit(0).first(), (await tasks.limit(1).first()).id, (await tasks.orderBy("n", "desc", null).limit(5).first()).id, (await tasks.orderBy("n").limit(null).first()).id];
      return { refused, own, first };
    });
    assert.deepEqual(seen, { refused: [], own: "mine", first: [null, "a", "b", "a"] });
  });

  test(`${engine}: lists and sources that cannot be read are refused, and what is no manager`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const { from } = await import(new URL("datum-sync/query/index.js", location.href).href);
      const datum = await Datum.initialize(config({ entities: { tasks: { afterRead: (task) => task } } }));
      const tasks = datum.manager("tasks");
      const no = () => {
        throw new Error("mine");
      };
      const { proxy, revoke } = Proxy.revocable([], {});
      revoke();
      const hostile = new Proxy([{}], { get: (target, key) => (key === "length" ? no() : target[key]) });
      async function* thrown(value) {
        yield "";
        throw value;
      }
      const refused = [];
      for (const [ask, expected, words] of [
        [() => tasks.patchMany(proxy), "invalidArgument", "The patches could not be read"],
        [() => tasks.patchMany([proxy]), "invalidArgument", "Patch 0 could not be read"],
        [() => tasks.createMany(hostile), "invalidEntity", "The drafts could not be read: mine"],
        [() => datum.importUser(thrown(new Error("mine"))), "invalidArgument", "`source` could not be read: Error: mine"],
        [() => datum.importUser(thrown("")), "invalidArgument", "`source` could not be read: a value that is not an Error"],
        [() => from(tasks.readAll()).limit(1).query(), "invalidArgument", "`manager` must be a manager"],
        [() => from(hostile).limit(1).query(), "invalidArgument", "`manager` must be a manager"],
      ]) {
        const { code: got, message = "" } = await code((async () => ask())());
        if (got !== expected || !message.includes(words)) refused.push([words, got, message]);
      }
      return refused;
    });
    assert.deepEqual(seen, []);
  });

  test(`${engine}: an id that a delete names twice is deleted and told once`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const told = [];
      const relations = { subtasks: { hasMany: "subtasks", foreignKey: "taskId", onDelete: "cascade" } };
      const datum = await Datum.initialize(config({ entities: { tasks: {}, lists: { relations }, subtasks: {} }, observers: [{ beforeWrite: (_, kind, draft) => told.push([kind, draft.id]) }] }));
      const deleted = [];
      for (const name of ["tasks", "lists"]) {
        const manager = datum.manager(name);
        await manager.createMany([{ id: "a" }, { id: "b" }]);
        deleted.push(await manager.deleteMany(["a", "b", "a", "none", "a"]));
      }
      return { deleted, told: told.filter(([kind]) => kind === "delete").map(([, id]) => id).join() };
    });
    assert.deepEqual(seen, { deleted: [["a", "b"], ["a", "b"]], told: "a,b,none,a,b,none" });
  });

  test(`${engine}: writes of nothing are refused where any other would be`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      const calls = ["createMany", "updateMany", "patchMany", "deleteMany"];
      const open = await Promise.all(calls.map((name) => tasks[name]([])));
      const wrong = await Promise.all(calls.map((name) => code(tasks[name]([], { userId: "" }))));
      await datum.close();
      const closed = await Promise.all(calls.map((name) => code(tasks[name]([]))));
      return [open, ...[wrong, closed].map((all) => all.map(({ code }) => code))];
    });
    assert.deepEqual(seen, [[[], [], [], []], Array(4).fill("invalidArgument"), Array(4).fill("closed")]);
  });

  test(`${engine}: an error of related names its argument`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      return [await code(tasks.related("a", "owner")), await code(tasks.related("a", "owner.name")), await code(tasks.readAll({ with: ["owner"] }))];
    });
    assert.deepEqual(seen.map(({ code }) => code), Array(3).fill("invalidArgument"));
    assert.match(seen[0].message, /^`relation`: `tasks` has no relation `owner`/);
    assert.match(seen[1].message, /^`relation`: it must be the name of one relation/);
    assert.match(seen[2].message, /^`with\[0\]`: `tasks` has no relation `owner`/);
  });

  test(`${engine}: migrations that cannot be read are refused by their place`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const no = () => {
        throw new Error("mine");
      };
      const list = (items) => new Proxy(items, { get: (target, key) => (key === "0" ? no() : target[key]) });
      const step = (operations) => [{ from: 1, to: 2, operations }];
      const refused = [];
      for (const [migrations, words] of [
        [[, ...step([{ remove: "a" }])], "`migrations[0]` must be an object"],
        [list(step([{ remove: "a" }])), "The migrations could not be read: mine"],
        [step([, { remove: "a" }]), "`migrations[0].operations[0]` must be an object"],
        [step(list([{ remove: "a" }])), "`migrations[0].operations` could not be read: mine"],
        [step([{ add: "a", value: { toJSON: no } }]), "`migrations[0].operations[0]` could not be read: mine"],
        [step([{ add: "a", value: { toJSON() {} } }]), "`migrations[0].operations[0]` needs a `value`"],
      ]) {
        const { code: got, message = "" } = await code(Datum.initialize(config({ schemaVersion: 2, migrations })));
        if (got !== "invalidConfig" || !message.includes(words)) refused.push([words, got, message]);
      }
      return refused;
    });
    assert.deepEqual(seen, []);
  });
}
