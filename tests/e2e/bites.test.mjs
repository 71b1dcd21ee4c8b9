// Values that bite: objects of another class, hostile getters and proxies, names that every object inherits, and built-ins
// that a script has changed. Each is stored as it is or refused by name, and nothing hangs.
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

  test(`${engine}: a method that is called on another object is refused, in every class, and a proxy around its own is not`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const datum = await Datum.initialize(config());
      const tasks = datum.manager("tasks");
      const feeds = [datum.statusForUser("ada"), datum.events(), tasks.watchAll()];
      const objects = [datum, tasks, tasks.localAdapter, tasks.remoteAdapter, ...feeds, ...feeds.map((feed) => feed[Symbol.asyncIterator]())];
      const within = (promise) => Promise.race([code(promise), new Promise((resolve) => setTimeout(resolve, 2000, { code: "pending" }))]);
      const faults = [];
      let calls = 0;
      for (const object of objects) {
        const prototype = Object.getPrototypeOf(object);
        for (const [name, { value, get }] of [...Object.entries(Object.getOwnPropertyDescriptors(prototype)), [Symbol.asyncIterator, Object.getOwnPropertyDescriptor(prototype, Symbol.asyncIterator) ?? {}]]) {
          // A console asks anything for its text.
          if (name === "constructor" || name === "toString" || name.toString().startsWith("__") || (value ?? get) === undefined) continue;
          for (const other of [...objects.filter((other) => other !== object && Object.getPrototypeOf(other) !== prototype), undefined, null, 7, {}, Object.create(prototype)]) {
            calls += 1;
            let found;
            try {
              const answer = (value ?? get).call(other);
              found = typeof answer?.then === "function" ? (await within(answer)).code : "nothing";
            } catch (error) {
              found = error instanceof Error && error.name === "DatumError" ? error.code : String(error);
            }
            if (found !== "invalidArgument") faults.push([prototype.constructor.name, name.toString(), found]);
          }
        }
      }
      // Frameworks make objects reactive with proxies.
      const proxy = new Proxy(datum, {});
      await new Proxy(proxy.manager("tasks"), {}).create({ id: "t" });
      const { synchronize } = datum;
      const promise = synchronize("ada");
      return { calls, faults: faults.slice(0, 5), works: [proxy.currentUserId, await proxy.pendingCount("ada")], torn: (await code(promise)).code };
    });
    assert.ok(seen.calls > 800, `${seen.calls}`);
    assert.deepEqual({ ...seen, calls: 0 }, { calls: 0, faults: [], works: ["ada", 1], torn: "invalidArgument" });
  });

  test(`${engine}: with beforeSave as without, each name and value is written and removed alike`, async () => {
    const seen = await pages.run(async ({ Datum, config }) => {
      const datum = await Datum.initialize(config({ entities: { plain: {}, saved: { beforeSave: (entity) => entity }, read: { afterRead: (entity) => entity, validate() {} } } }));
      const names = [...Object.getOwnPropertyNames(Object.prototype), "toJSON", "then", "length", "name", "prototype", "a", ""];
      const values = ["x", null, 0, false, [], { __proto__: null, a: 1 }, JSON.parse('{ "__proto__": { "x": 1 }, "constructor": 2 }')];
      const own = (key, value) => Object.defineProperty({}, key, { value, enumerable: true, writable: true, configurable: true });
      const results = [];
      for (const type of ["plain", "saved", "read"]) {
        const entities = datum.manager(type);
        const said = [];
        for (const name of names) {
          const text = async (promise) => {
            const { id, userId, createdAt, modifiedAt, ...rest } = JSON.parse(JSON.stringify(await promise));
            return JSON.stringify(rest);
          };
          for (const [n, value] of values.entries()) {
            const id = `${name}-${n}`;
            said.push(await text(entities.create(Object.assign(own(name, "first"), { id, kept: true }))));
            said.push(await text(entities.patch(id, own(name, value))));
            said.push(await text(entities.read(id)));
            said.push(await text(entities.update(Object.assign(own(name, [value]), { id }))));
            said.push(await text(entities.patch(id, {}, { remove: [name] })));
            if (Object.hasOwn(await entities.read(id), name)) said.push(`${name} is still there`);
          }
        }
        results.push(said);
      }
      return { results, kinds: results.map((said) => said.length), odd: ({}).x };
    });
    assert.deepEqual(seen.results[1], seen.results[0]);
    assert.deepEqual(seen.results[2], seen.results[0]);
    assert.ok(seen.results[0].every((text) => !text.includes("still there")));
    const patched = seen.results[0][1];
    assert.ok(patched.includes('"x"'), patched);
    assert.equal(seen.odd, undefined);
  });

  test(`${engine}: a page in which scripts have changed built-ins`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      Object.prototype.extra = { inherited: true };
      Object.prototype.method = function () {};
      const datum = await Datum.initialize(config({ entities: { tasks: {}, saved: { beforeSave: (task) => task } } }));
      const found = [];
      for (const name of ["tasks", "saved"]) {
        const tasks = datum.manager(name);
        const made = await tasks.create({ id: "t", tags: ["a"], deep: { at: new Date(0) } });
        const { id, tags, deep } = await tasks.read("t");
        await tasks.patch("t", { title: "x" });
        found.push([Object.isFrozen(made.deep), JSON.stringify([id, tags, deep]), Object.hasOwn(made, "extra")]);
      }
      await datum.synchronize("ada", { direction: "pushOnly" });
      delete Object.prototype.extra;
      delete Object.prototype.method;
      const tasks = datum.manager("tasks");
      const replaced = [];
      for (const [owner, value] of [[Array, [1]], [Object, { a: 1 }], [Date, new Date(0)], [Map, new Map()], [Set, new Set()], [URL, new URL("https://x.test")]]) {
        const before = Object.getOwnPropertyDescriptor(owner.prototype, "toJSON");
        Object.defineProperty(owner.prototype, "toJSON", { value() { return "changed"; }, configurable: true, writable: true });
        const answers = [];
        for (const write of [() => tasks.create({ value }), () => tasks.createMany([{ value: { deep: [value] } }]), () => datum.manager("saved").create({ value })]) answers.push(await code(write()));
        if (before) Object.defineProperty(owner.prototype, "toJSON", before);
        else delete owner.prototype.toJSON;
        replaced.push([owner.name, ...answers.map(({ code, message }) => `${code} ${message?.includes(`\`${owner.name}.prototype.toJSON\``)}`)]);
      }
      const own = await tasks.create({ url: new URL("https://x.test/"), day: new (class Day extends Date { toJSON() { return "day"; } })(0), box: { toJSON: () => ["b"] } });
      return { found, replaced, own: JSON.stringify([own.url, own.day, own.box]), count: await tasks.count() };
    });
    assert.deepEqual(seen.found, [[true, '["t",["a"],{"at":"1970-01-01T00:00:00.000Z"}]', false], [true, '["t",["a"],{"at":"1970-01-01T00:00:00.000Z"}]', false]]);
    for (const [name, ...answers] of seen.replaced) assert.deepEqual(answers, Array(3).fill("invalidEntity true"), name);
    assert.deepEqual([seen.own, seen.count], ['["https://x.test/","day",["b"]]', 2]);
  });

  test(`${engine}: what an app's values throw is a DatumError that names the place, and each is read once`, async () => {
    const seen = await pages.run(async ({ Datum, config, code }) => {
      const bite = () => {
        throw new Error("bitten");
      };
      const hostile = {
        getter: () => ({ a: { get b() { return bite(); } } }),
        keys: () => ({ a: new Proxy({}, { ownKeys: bite }) }),
        prototype: () => ({ a: new Proxy({}, { getPrototypeOf: bite }) }),
        toJSON: () => ({ a: { toJSON: bite } }),
        revoked: () => ({ a: (({ proxy, revoke }) => (revoke(), proxy))(Proxy.revocable([], {})) }),
        root: () => new Proxy({}, { ownKeys: bite, getPrototypeOf: bite }),
        gone: () => (({ proxy, revoke }) => (revoke(), proxy))(Proxy.revocable({}, {})),
        string: () => ({ get a() { throw "text"; } }),
        nothing: () => ({ get a() { throw undefined; } }),
      };
      const bad = { beforeSave: () => hostile.root(), afterRead: (task) => task };
      const worse = { afterRead: (task) => Object.defineProperty({ ...task }, "version", { get: bite, enumerable: true }) };
      const datum = await Datum.initialize(config({ entities: { tasks: {}, saved: { beforeSave: (task) => task }, bad, worse: { ...worse, beforeSave: (task) => task } } }));
      const tasks = datum.manager("tasks");
      await tasks.create({ id: "t" });
      const within = (promise) => Promise.race([code(promise), new Promise((resolve) => setTimeout(resolve, 2000, { code: "pending" }))]);
      const faults = [];
      const tell = async (what, call, expected) => {
        let found;
        try {
          found = await within(call());
        } catch (error) {
          found = { code: `threw ${error}` };
        }
        if (found.code !== expected) faults.push([what, found.code, found.message]);
      };
      for (const [name, make] of Object.entries(hostile)) {
        for (const entity of ["tasks", "saved"]) {
          const manager = datum.manager(entity);
          await tell(`${name} create`, () => manager.create(make()), "invalidEntity");
          await tell(`${name} createMany`, () => manager.createMany([{}, make()]), "invalidEntity");
          await tell(`${name} patch`, () => manager.patch("t", make()), "invalidEntity");
          await tell(`${name} update`, () => manager.update(make()), "invalidEntity");
        }
        await tell(`${name} options`, () => tasks.create({}, make()), "invalidArgument");
        await tell(`${name} synchronize`, () => datum.synchronize("ada", make()), "invalidArgument");
        await tell(`${name} switchUser`, () => datum.switchUser(make()), "invalidArgument");
        await tell(`${name} metadata`, () => datum.setCustomMetadata("ada", make()), "invalidArgument");
        await tell(`${name} events`, async () => datum.events(make()), "invalidArgument");
        await tell(`${name} edited`, () => datum.retryDeadLetter("x", make()), "invalidEntity");
      }
      await tell("ids", () => tasks.deleteMany(hostile.gone()), "invalidArgument");
      await tell("list", () => tasks.createMany(hostile.gone()), "invalidEntity");
      await tell("list of saved", () => datum.manager("saved").createMany(hostile.gone()), "invalidEntity");
      await tell("beforeSave", () => datum.manager("bad").create({}), "invalidEntity");
      await datum.manager("worse").create({ id: "w" });
      await tell("afterRead, patched", () => datum.manager("worse").patch("w", { a: 1 }), "invalidEntity");
      const given = (await datum.manager("worse").read("w")).id;
      // A getter that answers otherwise each time, and what JSON would call again.
      const counts = { reads: 0, texts: 0, options: 0 };
      const turning = { get title() { return counts.reads++ === 0 ? "once" : () => 1; }, at: { toJSON: () => (counts.texts++ === 0 ? "once" : NaN) } };
      const made = await tasks.create(turning, { get userId() { return counts.options++ === 0 ? "ada" : "bob"; } });
      return { faults: faults.slice(0, 6), given, counts, made: [made.title, made.at, made.userId] };
    });
    assert.deepEqual(seen, { faults: [], given: "w", counts: { reads: 1, texts: 1, options: 1 }, made: ["once", "once", "ada"] });
  });
}
