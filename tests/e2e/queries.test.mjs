// Queries through the packed package: once, page by page and live over tabs, by the builder, and with values that no query has.
import assert from "node:assert/strict";
import { after, test } from "./lib/test.mjs";
import { blankPages, evaluate } from "./lib/blank.mjs";
import { engines } from "./lib/webdriver.mjs";

let pages;
after(async () => pages?.stop());

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await pages?.stop();
    pages = await blankPages(engine);
  });

  test(`${engine}: a query finds what it asks for, in its order, and pages follow each other`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const datum = await Datum.initialize(config({ entities: { tasks: { indexes: ["due", ["group", "due"]] } } }));
      const tasks = datum.manager("tasks");
      await tasks.createMany(Array.from({ length: 40 }, (_, n) => ({ id: `t${n}`, due: n, group: n % 3, title: `task ${n}`, tags: n % 2 ? ["odd"] : [] })));
      const query = { where: { field: "group", equals: 1 }, orderBy: [{ field: "due", descending: true }] };
      const ids = (list) => list.map(({ id }) => id).join();
      const paged = [];
      for (let after; ; ) {
        const page = await tasks.readPage({ size: 5, query, ...(after && { after }) });
        paged.push(...page.items);
        if (page.hasMore !== (page.after !== undefined) || "total" in page || !Object.isFrozen(page)) throw new Error(JSON.stringify(page));
        if (!page.hasMore) break;
        after = page.after;
      }
      const found = await tasks.query({ ...query, limit: 3, offset: 1 });
      const plain = await tasks.readPage({ size: 7, query: undefined });
      return {
        found: ids(found),
        frozen: Object.isFrozen(found[0]) && Object.isFrozen(found[0].tags),
        same: ids(paged) === ids(await tasks.query(query)),
        counts: [await tasks.count(), await tasks.count(null), await tasks.count(query), await tasks.count({ where: { field: "tags", arrayContains: "odd" }, limit: 1 })],
        explained: await tasks.explain({ ...query, limit: 3 }),
        scanned: (await tasks.explain({ where: { field: "title", contains: "1" } })).index,
        total: plain.total,
      };
    });
    assert.deepEqual({ ...seen, explained: { ...seen.explained, indexMemory: 0 } }, {
      found: "t34,t31,t28",
      frozen: true,
      same: true,
      counts: [40, 40, 13, 20],
      explained: { index: ["group", "due"], reason: "Equal: group. In the order that is asked for.", inOrder: true, rows: 13, indexMemory: 0 },
      scanned: null,
      total: 40,
    });
  });

  test(`${engine}: a live query follows this tab and another one, edit by edit, and what has not changed stays the same object`, async () => {
    const one = await pages.tab();
    const two = await pages.tab(one);
    await evaluate(one.page, async ({ Datum, config }) => {
      const datum = await Datum.initialize(config());
      window.tasks = datum.manager("tasks");
      window.datum = datum;
      await tasks.createMany([1, 2, 3, 4].map((n) => ({ id: `t${n}`, due: n, done: false })));
      const open = tasks.watchQuery({ where: { field: "done", equals: false }, orderBy: [{ field: "due" }], limit: 3 });
      window.lists = [];
      window.edits = [];
      window.counts = [];
      const read = async (feed, into) => {
        for await (const value of feed) into.push(value);
        into.push("ended");
      };
      void read(open, lists);
      void read(open.changes(), edits);
      void read(tasks.watchCount({ where: { field: "done", equals: false } }), counts);
      window.now = () => ({ ids: lists.at(-1)?.map?.(({ id }) => id).join(), edits: edits.flat().map((edit) => edit.type?.concat(edit.from === undefined ? "" : `<${edit.from}`, ">", edit.index, edit.entity.id) ?? edit), counts });
    });
    const until = async (ids) => {
      await one.page.waitForFunction((ids) => window.now?.().ids === ids && window.edits.length === window.lists.length, ids);
      return one.page.evaluate(() => window.now());
    };
    assert.deepEqual((await until("t1,t2,t3")).edits, ["insert>0t1", "insert>1t2", "insert>2t3"]);
    await evaluate(two.page, async ({ Datum, config }) => {
      const datum = await Datum.initialize(config());
      window.tasks = datum.manager("tasks");
      await tasks.create({ id: "t0", due: 0, done: false });
    });
    await until("t0,t1,t2");
    await two.page.evaluate(() => window.tasks.patch("t0", { due: 1.5 }).then(() => undefined));
    await until("t1,t0,t2");
    const same = await one.page.evaluate(() => {
      const [, before, now] = window.lists;
      return [before !== now, before[2] === now[2], before[1] === now[0], before[0] !== now[1], Object.isFrozen(now[1]), !Object.isFrozen(now)];
    });
    assert.deepEqual(same, [true, true, true, true, true, true]);
    await two.page.evaluate(() => window.tasks.patch("t1", { done: true }).then(() => undefined));
    const seen = await until("t0,t2,t3");
    assert.deepEqual(seen.edits, [
      "insert>0t1", "insert>1t2", "insert>2t3",
      "remove>2t3", "insert>0t0",
      "move<0>1t0",
      "remove>0t1", "insert>2t3",
    ]);
    await one.page.evaluate(() => window.tasks.deleteWhere({ field: "due", lessThan: 2 }).then((ids) => (window.deleted = ids)));
    await until("t2,t3,t4");
    assert.deepEqual(await one.page.evaluate(() => [window.deleted, window.counts]), [["t0", "t1"], [4, 5, 4, 3]]);
    await one.page.evaluate(() => window.datum.close());
    await one.page.waitForFunction(() => [window.lists, window.edits, window.counts].every((list) => list.at(-1) === "ended"));
    await one.context.close();
  });

  test(`${engine}: a loop that is left ends its watch, and one that waits ends with it`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      await tasks.create({ id: "a" });
      const feed = tasks.watchQuery({});
      const loop = feed[Symbol.asyncIterator]();
      const first = await loop.next();
      const waiting = loop.next();
      const left = await loop.return();
      const unopened = tasks.watchCount()[Symbol.asyncIterator]();
      await unopened.return();
      let rounds = 0;
      for await (const _ of feed) if (++rounds) break;
      return [first.value.length, first.done, (await waiting).done, left.done, (await loop.next()).done, (await unopened.next()).done, rounds];
    });
    assert.deepEqual(seen, [1, false, true, true, true, true, 1]);
  });

  test(`${engine}: the builder asks a manager, and is a query where one can stand`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const { from, query } = await import(new URL("datum-sync/query/index.js", location.href).href);
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      await tasks.createMany([3, 1, 2].map((priority) => ({ id: `p${priority}`, priority, title: `Task ${priority}` })));
      const urgent = from(tasks).where("priority").greaterThan(1).orderBy("priority", "desc");
      const ids = (list) => list.map(({ id }) => id).join();
      let unbound;
      try {
        await query().where("priority").equals(1).query();
      } catch (error) {
        unbound = error.name;
      }
      let first;
      for await (first of urgent.limit(1).watch()) break;
      return {
        found: ids(await urgent.query()),
        first: [(await urgent.first()).id, await from(tasks).where("priority").equals(9).first(), ids(first)],
        count: await urgent.limit(1).count(),
        page: ids((await urgent.page({ size: 1 })).items),
        passed: ids(await tasks.query(query().where("title").matches(/^task [12]$/i))),
        unbound,
      };
    });
    assert.deepEqual(seen, { found: "p3,p2", first: ["p3", null, "p3"], count: 2, page: "p3", passed: "p1,p2", unbound: "TypeError" });
  });

  test(`${engine}: a manager begins queries itself, and refuses to for anything else`, async () => {
    const seen = await pages.run(async ({ Datum, Manager, QueryBuilder, config }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      await tasks.createMany([1, 2, 3].map((n) => ({ id: `m${n}`, priority: n })));
      const ids = (list) => list.map(({ id }) => id).join();
      const urgent = tasks.where("priority").greaterThan(1);
      const loop = urgent.orderBy("priority", "desc").limit(1).watch()[Symbol.asyncIterator]();
      const lists = [ids((await loop.next()).value)];
      await tasks.create({ id: "m4", priority: 4 });
      lists.push(ids((await loop.next()).value));
      await loop.return();
      const refused = ["where", "orderBy", "limit"].map((name) => {
        try {
          return String(Manager.prototype[name].call({ entity: "tasks" }, "priority"));
        } catch (error) {
          return error instanceof QueryBuilder || error.code || error.name;
        }
      });
      return {
        found: ids(await urgent.query()),
        passed: ids(await tasks.query(urgent.limit(1))),
        first: [(await tasks.orderBy("priority", "desc").first()).id, ids(await tasks.limit(2).query())],
        count: await urgent.count(),
        plain: JSON.stringify(urgent),
        isOne: urgent instanceof QueryBuilder,
        lists,
        refused,
      };
    });
    const { refused, ...rest } = seen;
    assert.deepEqual(rest, {
      found: "m2,m3,m4",
      passed: "m2",
      first: ["m4", "m1,m2"],
      count: 3,
      plain: '{"where":{"field":"priority","greaterThan":1}}',
      isOne: true,
      lists: ["m3", "m4"],
    });
    assert.equal(new Set(refused).size, 1);
    assert.match(refused[0], /^(invalidArgument|TypeError)$/);
  });

  test(`${engine}: reads and watches say how far writes have come, where that is asked for`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      await tasks.createMany([1, 2].map((n) => ({ id: `s${n}`, n })));
      await datum.synchronize("ada");
      await tasks.patch("s2", { n: 3 });
      const states = { withSyncState: true };
      const told = (list) => list.map(({ id, $syncState }) => `${id} ${$syncState}`).join();
      const all = tasks.watchAll(states)[Symbol.asyncIterator]();
      const one = tasks.watchById("s2", states)[Symbol.asyncIterator]();
      const before = [(await all.next()).value, (await one.next()).value];
      const page = await tasks.readPage({ size: 1 }, states);
      const reads = [told([await tasks.read("s2", states)]), told(await tasks.readAll({ includeDeleted: true, ...states })), told(page.items), page.total];
      await datum.synchronize("ada");
      const after = [(await all.next()).value, (await one.next()).value];
      const plain = [await tasks.read("s2"), (await tasks.readAll({ withSyncState: false }))[1], (await tasks.watchAll()[Symbol.asyncIterator]().next()).value[1]];
      await tasks.update({ ...after[1], n: 4 });
      return {
        reads,
        told: [told(before[0]), told([before[1]]), told(after[0]), told([after[1]])],
        same: before[0][0] === after[0][0] && Object.isFrozen(after[0][1]),
        without: plain.some((task) => "$syncState" in task),
        stored: (await tasks.query({ where: { field: "n", equals: 4 } }))[0],
        wrong: (await code(tasks.readAll({ withSyncState: 1 }))).message,
        left: (await all.return()).done,
      };
    });
    assert.deepEqual(seen.reads, ["s2 pending", "s1 synced,s2 pending", "s1 synced", 2]);
    assert.deepEqual(seen.told, ["s1 synced,s2 pending", "s2 pending", "s1 synced,s2 synced", "s2 synced"]);
    assert.deepEqual([seen.same, seen.without, "$syncState" in seen.stored, seen.left], [true, false, false, true]);
    assert.match(seen.wrong, /`withSyncState` must be true or false/);
  });

  test(`${engine}: all that match are changed in one commit, and afterRead sees what a query has found`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const heard = [];
      const observers = [{ beforeWrite: (entity, kind, draft) => heard.push([kind, draft]) }];
      const datum = await Datum.initialize(config({ observers, entities: { tasks: {}, seen: { afterRead: (entity) => ({ ...entity, title: entity.title?.toUpperCase() }) } } }));
      const [tasks, shouted] = [datum.manager("tasks"), datum.manager("seen")];
      await tasks.createMany([1, 2, 3].map((n) => ({ id: `t${n}`, n, old: true })));
      const before = datum.metrics.commits;
      heard.length = 0;
      const patched = await tasks.patchWhere({ field: "n", greaterThan: 1 }, { done: true }, { remove: ["old"] });
      const told = heard.splice(0);
      await shouted.create({ id: "a", title: "loud" });
      const update = await shouted.watchQuery({ where: { field: "title", equals: "loud" } })[Symbol.asyncIterator]().next();
      return {
        told,
        patched: patched.map(({ id, done, old }) => [id, done, old]),
        commits: datum.metrics.commits - before - 1,
        shouted: [(await shouted.query({ where: { field: "title", equals: "loud" } }))[0].title, update.value[0].title, await shouted.count({ where: { field: "title", equals: "LOUD" } })],
        refused: (await code(shouted.patchWhere({ field: "id", equals: "a" }, { title: "x" }))).code,
        none: [await tasks.deleteWhere({ field: "n", equals: 7 }), (await code(tasks.deleteWhere(undefined))).code, (await code(tasks.deleteWhere({}))).code],
      };
    });
    assert.deepEqual(seen, {
      told: ["t2", "t3"].map((id) => ["patch", { done: true, id }]),
      patched: [["t2", true, undefined], ["t3", true, undefined]],
      commits: 1,
      shouted: ["LOUD", "LOUD", 0],
      refused: "unsupported",
      none: [[], "invalidArgument", "invalidArgument"],
    });
  });

  test(`${engine}: many patches are one commit, or none, and a wrong one names its place`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const heard = [];
      const observers = [{ beforeWrite: (entity, kind, draft) => heard.push([kind, draft.id]) }];
      const shout = ({ title, ...rest }) => ({ ...rest, ...(title && { title: title.toUpperCase() }) });
      const datum = await Datum.initialize(config({ observers, entities: { tasks: {}, loud: { beforeSave: shout } } }));
      const [tasks, loud] = [datum.manager("tasks"), datum.manager("loud")];
      await tasks.createMany([1, 2].map((n) => ({ id: `p${n}`, n, old: true })));
      await loud.create({ id: "l", title: "x", n: 1 });
      const before = datum.metrics.commits;
      heard.length = 0;
      const patched = await tasks.patchMany([{ id: "p1", changes: { n: 10 }, remove: ["old"] }, { id: "p2", changes: { n: 20 } }]);
      const commits = datum.metrics.commits - before;
      const saved = await loud.patchMany([{ id: "l", changes: { title: "new" } }]);
      let reads = 0;
      const getter = { get id() { reads += 1; return "p1"; }, changes: { n: 1 } };
      await tasks.patchMany([getter]);
      const cases = [
        [{}, "must be an array"],
        [[7], "Patch 0 must be an object"],
        [[{ id: "p1", changes: {} }, { id: 7, changes: {} }], "`id` of patch 1 must be a string"],
        [[{ id: "p1" }], "`changes` of patch 0"],
        [[{ id: "p1", changes: { n: NaN } }], "`changes` of patch 0"],
        [[{ id: "p1", changes: {}, remove: ["version"] }], "which every entity has"],
        [[{ id: "p1", change: {} }], "`change` of patch 0 is not known"],
        [[{ id: "p1", get changes() { throw new Error("mine"); } }], "Patch 0 could not be read"],
        [[{ id: "p2", changes: { n: 0 } }, { id: "nobody", changes: {} }], "no such entity"],
        [new Proxy([{ id: "p2", changes: { n: 0 } }], { get() { throw new Error("mine"); } }), "The patches could not be read"],
      ];
      const faults = [];
      for (const [patches, words] of cases) {
        const { code: got, message } = await code(tasks.patchMany(patches));
        if (!["invalidArgument", "invalidEntity", "notFound"].includes(got) || !message.includes(words)) faults.push([words, got, message]);
      }
      return { heard, commits, patched: patched.map(({ id, n, old }) => [id, n, old]), saved: saved[0], reads, faults, kept: (await tasks.read("p2")).n, none: await tasks.patchMany([]) };
    });
    assert.deepEqual(seen.faults, []);
    assert.deepEqual(seen.patched, [["p1", 10, undefined], ["p2", 20, true]]);
    assert.deepEqual([seen.heard.slice(0, 2), seen.commits], [[["patch", "p1"], ["patch", "p2"]], 1]);
    assert.deepEqual([seen.saved.title, seen.saved.n, seen.reads, seen.kept, seen.none], ["NEW", 1, 1, 20, []]);
  });

  test(`${engine}: of several patches of one entity, middleware gets each on top of those before it`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const small = ({ a, b }) => {
        if (a > 5 && b > 5) throw new Error("both are large");
      };
      const datum = await Datum.initialize(config({ entities: { sums: { beforeSave: (it) => ({ ...it, sum: it.a + (it.b ?? 0) }) }, pairs: { validate: small } } }));
      const [sums, pairs] = [datum.manager("sums"), datum.manager("pairs")];
      for (const manager of [sums, pairs]) await manager.create({ id: "one", a: 1, b: 1 });
      const both = await sums.patchMany([{ id: "one", changes: { a: 10 } }, { id: "one", changes: { b: 20 } }]);
      await sums.patchMany([{ id: "one", changes: { a: 2 } }, { id: "one", changes: { a: 10 }, remove: ["b"] }]);
      const removed = await sums.read("one");
      const refused = await code(pairs.patchMany([{ id: "one", changes: { a: 10 } }, { id: "one", changes: { b: 20 } }]));
      await sums.patchMany([{ id: "one", changes: { b: 3 }, remove: ["b"] }]);
      await pairs.patchMany([{ id: "one", changes: { b: 3 }, remove: ["b"] }]);
      const none = [await sums.read("one"), await pairs.read("one")].map((it) => "b" in it);
      return { both: both.map(({ a, b, sum }) => [a, b, sum]), removed: [removed.a, removed.b, removed.sum], refused, none };
    });
    assert.deepEqual({ ...seen, refused: seen.refused.code }, { both: [[10, 1, 11], [10, 20, 30]], removed: [10, undefined, 10], refused: "invalidEntity", none: [false, false] });
    assert.match(seen.refused.message, /both are large/);
  });

  test(`${engine}: a wrong query is refused by the path of what is wrong with it`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      const cyclic = { field: "a" };
      cyclic.equals = [cyclic];
      let calls = 0;
      const getter = { get field() { calls += 1; return "a"; }, equals: 1 };
      const where = (filter) => ({ where: filter });
      const cases = [
        [where({ field: "a", gte: 1 }), "`where.gte` is not known; did you mean `greaterThanOrEqual`?"],
        [where({ field: "a", equals: NaN }), "`where.equals` is NaN"],
        [where({ and: [{ field: "a", lessThan: -Infinity }] }), "`where.and[0].lessThan` is -Infinity"],
        [where({ field: "a", equals: undefined }), "`where` has no operator beside `field`"],
        [where({ field: "a", equals: 10n }), "`where.equals` is a BigInt"],
        [where({ field: "a", equals: () => 1 }), "`where.equals` is a function"],
        [where({ field: "a", isIn: [undefined] }), "`where.isIn[0]` is undefined"],
        [where(cyclic), "is nested deeper than 100 levels, or contains itself"],
        [where({ field: "a", matches: /a/ }), "`where.matches` is of type RegExp"],
        [where({ field: "a", equals: "\ud800" }), "`where.equals` has a lone surrogate"],
        [where({ get field() { throw new Error("mine"); }, equals: 1 }), "`where.field` could not be read: mine"],
        [{ limit: -1 }, "`limit` must be a whole number from 0"],
        [{ orderBy: [{ field: "a..b" }] }, "`orderBy[0].field` has an empty part"],
        [{ after: "nonsense" }, "`after` must be the `after` that a page"],
        [{ with: ["project"] }, "`tasks` has no relation `project`"],
        [undefined, "must be an object, such as"],
        [null, "must be an object"],
        ["done", "must be an object"],
      ];
      const faults = [];
      for (const [query, words] of cases) {
        const asked = [tasks.query(query), tasks.explain(query), tasks.watchQuery(query)[Symbol.asyncIterator]().next(), tasks.watchQuery(query).changes()[Symbol.asyncIterator]().next()];
        if (query) asked.push(tasks.count(query), tasks.watchCount(query)[Symbol.asyncIterator]().next());
        for (const promise of asked) {
          const { code: got, message } = await code(promise);
          if (!["invalidArgument", "unsupported"].includes(got) || !message.includes(words)) faults.push([words, got, message]);
        }
      }
      const paged = await code(tasks.readPage({ size: 5, query: { limit: 3 } }));
      const scoped = await code(tasks.query({}, { includeDeleted: true }));
      await tasks.query({ where: getter });
      return { faults, paged: paged.message, scoped: scoped.code, calls };
    });
    assert.deepEqual(seen.faults, []);
    assert.match(seen.paged, /`limit` has no meaning in the query of a page/);
    assert.deepEqual([seen.scoped, seen.calls], ["invalidArgument", 1]);
  });
}
