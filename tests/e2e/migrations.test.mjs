// Migrations: what is refused when they are defined, what they make of an entity, and an app that is updated, in every engine.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "./lib/test.mjs";
import { openEngine } from "./lib/pages.mjs";
import { plainSite } from "./lib/plain.mjs";
import { engines } from "./lib/webdriver.mjs";

let site, browser, migrations, DatumError;
before(async () => {
  site = await plainSite();
  const from = (file) => import(pathToFileURL(join(site.folder, "datum-sync", file)));
  ({ DatumError } = await from("index.js"));
  ({ migrations } = await from("migrations.js"));
});
after(async () => {
  await browser?.stop();
  await site?.stop();
});

function thrown(call) {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof DatumError, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

const same = (row) => row;
const step = (from, to, more = {}) => ({ from, to, migrate: same, ...more });
const changes = (...operations) => [{ from: 1, to: 2, operations }];

const REFUSED = [
  [undefined, "an array with at least one"],
  [[], "an array with at least one"],
  [[7], "`migrations[0]`", "must be an object"],
  [[step(1, 2, { enitty: "x" })], "`migrations[0].enitty`", "known are from, to, entity"],
  [[step(-1, 2)], "`migrations[0].from`", "a whole number"],
  [[step(1, 1.5)], "`migrations[0].to`", "a whole number"],
  [[step(2, 1)], "`migrations[0]`", "to a later version"],
  [[step(1, 1)], "`migrations[0]`", "to a later version"],
  [[step(1, 2), step(2, 1)], "`migrations[1]`", "to a later version"],
  [[step(1, 2), step(3, 4)], "`migrations[1]`", "there is a gap"],
  [[step(2, 3), step(1, 2)], "`migrations[1]`", "order them by version"],
  [[step(1, 3), step(2, 3)], "`migrations[1]`", "order them by version"],
  [[step(1, 2), step(1, 3)], "`migrations[1]`", "order them by version"],
  [[step(1, 2), step(1, 2)], "`migrations[1]`", "repeats `migrations[0]`"],
  [[step(1, 2, { entity: "a" }), step(1, 2, { entity: "b" }), step(1, 2, { entity: "a" })], "`migrations[2]`", "repeats `migrations[0]`", "`a`"],
  [[step(1, 2, { entity: "" })], "`migrations[0].entity`", "the name of an entity type"],
  [[{ from: 1, to: 2 }], "`migrations[0]`", "either `migrate` or `operations`"],
  [[step(1, 2, { operations: [{ remove: "a" }] })], "`migrations[0]`", "either `migrate` or `operations`"],
  [[step(1, 2, { migrate: 7 })], "`migrations[0].migrate`", "must be a function"],
  [[step(1, 2, { migrate: async (row) => row })], "`migrations[0].migrate`", "is async"],
  [[{ from: 1, to: 2, operations: [] }], "`migrations[0].operations`", "at least one operation"],
  [changes({}), "`migrations[0].operations[0]`", "must have one of `add`"],
  [changes({ add: "a", remove: "a", value: 1 }), "`migrations[0].operations[0]`", "must have one of `add`"],
  [changes({ add: "a" }), "`migrations[0].operations[0]`", "needs a `value`"],
  [changes({ add: "a", value: { b: [NaN] } }), "`migrations[0].operations[0]`", "`value.b.0` is NaN"],
  [changes({ rename: "a" }), "`migrations[0].operations[0].to`", "the name of a field"],
  [changes({ rename: "a", to: "version" }), "`migrations[0].operations[0].to`", "the engine owns"],
  [changes({ remove: "id" }), "`migrations[0].operations[0].remove`", "the engine owns"],
  [changes({ transform: "a" }), "`migrations[0].operations[0].with`", "must be a function"],
  [changes({ transform: "a", with: async () => 1 }), "`migrations[0].operations[0].with`", "is async"],
  [changes({ remove: "a", with: same }), "`migrations[0].operations[0].with`", "is not known"],
];

test("migrations that are no chain are refused, and the message names the place and the fix", () => {
  for (const [list, ...words] of REFUSED) {
    const error = thrown(() => migrations(list));
    assert.equal(error.code, "invalidConfig");
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} has no ${word}`);
  }
  const chain = migrations([step(1, 2, { entity: "a" }), step(1, 2, { entity: "b" }), step(1, 2), step(2, 5)]);
  assert.deepEqual([chain.from, chain.to, chain.check(5)], [1, 5, undefined]);
  assert.match(chain.check(4), /lead to version 5, but `schemaVersion` is 4/);
  assert.deepEqual([0, 3, 4].map((from) => thrown(() => chain.begin(from)).code), ["migration", "migration", "migration"]);
});

/** What a chain makes of an entity from version 1. */
const made = (list, row) => JSON.parse(migrations(list).migrate("tasks", 1, JSON.stringify([{ id: "x", userId: "ann", ...row }])));

test("operations change the fields that they name, and nothing else", () => {
  const row = { a: 1, b: { c: [2] }, createdAt: "then", version: 7, isDeleted: false };
  const keeps = { createdAt: "then" };
  assert.deepEqual(made(changes({ add: "n", value: [1] }, { add: "a", value: 2 }), row), { a: 1, b: { c: [2] }, n: [1], ...keeps });
  assert.deepEqual(made(changes({ rename: "a", to: "b" }, { rename: "none", to: "a" }), row), { b: 1, ...keeps });
  assert.deepEqual(made(changes({ remove: "a" }, { remove: "none" }), row), { b: { c: [2] }, ...keeps });
  assert.deepEqual(made(changes({ transform: "a", with: (a) => a + 1 }, { transform: "none", with: () => 1 }), row), { a: 2, b: { c: [2] }, ...keeps });
  const proto = JSON.parse('{"__proto__":{"polluted":true}}');
  assert.equal(JSON.stringify(made(changes({ rename: "__proto__", to: "p" }), proto)), '{"p":{"polluted":true}}');
  assert.equal(JSON.stringify(made(changes({ add: "__proto__", value: 1 }), {})), '{"__proto__":1}');
  const list = [step(1, 2, { entity: "notes", migrate: () => assert.fail() }), { from: 1, to: 2, operations: [{ rename: "a", to: "z" }] }, step(2, 3, { migrate: ({ z, ...rest }) => ({ ...rest, y: z }) })];
  assert.deepEqual(made(list, { a: 1 }), { y: 1 });
});

const WRONG = [
  [() => { throw new Error("boom"); }, "threw: boom."],
  [() => { throw { toString: null }; }, "threw: it threw what has no text."],
  [() => undefined, "returned undefined; it must return the entity"],
  [() => null, "returned null"],
  [(row) => [row], "returned an array"],
  [() => "x", "returned a string"],
  [(row) => Promise.reject(row), "returned a promise; it must be synchronous"],
  [({ id, ...rest }) => rest, "returned no `id`"],
  [(row) => ({ ...row, id: "y" }), "changed `id`"],
  [(row) => ({ ...row, userId: "eve" }), "changed `userId`"],
  [(row) => ({ ...row, a: { b: NaN } }), "`a.b` is NaN"],
  [(row) => ({ ...row, a: [1n] }), "`a.0` is a bigint"],
  [(row) => ({ ...row, a: [undefined] }), "`a.0` is undefined"],
  [(row) => ({ ...row, a: new Map() }), "`a` is a Map"],
  [(row) => ((row.a = row), row), "in a circle"],
  // Of a batch of those, the text would be longer than any text may be.
  [(row) => ({ ...row, a: "x".repeat(1_048_577) }), "returned an entity of more than 1 MiB"],
];

test("a result that is no entity is refused, and the error names migration, type and id", () => {
  for (const [migrate, words] of WRONG) {
    const error = thrown(() => made([step(1, 2, { migrate })], { a: 1 }));
    assert.deepEqual([error.code, error.entity, error.entityId], ["migration", "tasks", "x"]);
    for (const word of [words, "`migrations[0]`", '"x"', "from version 1 to 2", "Nothing has changed"]) assert.ok(error.message.includes(word), `${error.message} has no ${word}`);
  }
  const kept = made([step(1, 2, { migrate: (row) => ({ ...row, version: 99, isDeleted: true, createdAt: "now", a: undefined, at: new Date(0) }) })], { createdAt: "then", a: 1 });
  assert.deepEqual(kept, { at: "1970-01-01T00:00:00.000Z", createdAt: "then" });
});

for (const engine of engines()) {
  test(`${engine} starts`, async () => {
    await browser?.stop();
    browser = await openEngine(engine);
  });

  test(`${engine}: an updated app finds its data in the new form, and a tab of the older one writes no more`, async () => {
    const { context } = await browser.device();
    const pages = [await context.newPage(), await context.newPage()];
    for (const page of pages) await page.goto(`${site.origin}/empty.html`);
    const [older, newer] = pages;
    await older.evaluate(async () => {
      const { Datum } = await import("/datum-sync/index.js");
      const remote = { pull: async () => ({ changes: [], cursor: "c", more: false }), push: async () => ({ results: [] }) };
      window.datum = await Datum.initialize({ name: "updated", entities: { tasks: {} }, remote, schemaVersion: 1, initialUserId: "ann" });
      await window.datum.manager("tasks").createMany(Array.from({ length: 50 }, (_, n) => ({ id: `t${n}`, text: `task ${n}` })));
    });
    const found = await newer.evaluate(async () => {
      const { Datum } = await import("/datum-sync/index.js");
      const { migrations } = await import("/datum-sync/migrations.js");
      const remote = { pull: async () => ({ changes: [], cursor: "c", more: false }), push: async () => ({ results: [] }) };
      const failures = [];
      const config = { name: "updated", entities: { tasks: {} }, remote, schemaVersion: 2, initialUserId: "ann", onMigrationError: ({ code, entityId }) => failures.push([code, entityId]) };
      const fails = migrations([{ from: 1, to: 2, migrate: (row) => (row.id === "t7" ? row.none.none : row) }]);
      const refused = await Datum.initialize({ ...config, migrations: fails }).then(() => "none", ({ code, entity, entityId }) => [code, entity, entityId]);
      const events = [];
      const observers = [{ onEvent: (event) => event.type === "migrationProgress" && events.push([event.from, event.to]) }];
      const datum = await Datum.initialize({ ...config, observers, migrations: [{ from: 1, to: 2, entity: "tasks", operations: [{ rename: "text", to: "title" }] }] });
      const tasks = datum.manager("tasks");
      await tasks.create({ id: "new", title: "new" });
      const result = { refused, failures, one: await tasks.read("t7"), count: (await tasks.readAll()).length, pending: await datum.pendingCount("ann"), events };
      await datum.close();
      return result;
    });
    assert.deepEqual([found.refused, found.failures], [["migration", "tasks", "t7"], [["migration", "t7"]]]);
    assert.deepEqual([found.one.title, found.one.text, found.count, found.pending], ["task 7", undefined, 51, 51]);
    assert.deepEqual(found.events.at(-1), [1, 2]);
    const refused = await older.evaluate(async () => {
      const tasks = window.datum.manager("tasks");
      const code = ({ code }) => code;
      return [await tasks.create({ text: "late" }).then(() => "none", code), await window.datum.synchronize("ann").then(() => "none", code)];
    });
    assert.deepEqual(refused, ["clientOutdated", "clientOutdated"]);
    await context.close();
  });
}
