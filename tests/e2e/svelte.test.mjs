// The functions for Svelte 5: in components, on a server, and in a page that takes over what a server has rendered.
import assert from "node:assert/strict";
import { before, test } from "./lib/test.mjs";
import { FakeDatum, rest } from "./lib/fake-datum.mjs";
import { beBrowser, load } from "./lib/hooks.mjs";

const NAMES = ["Tasks", "Root", "Both", "Selected", "More", "Shown"];
const KIT = `
  ${NAMES.map((name) => `export { default as ${name} } from "./svelte/${name}.svelte";`).join("\n")}
  export { DatumError } from "datum-sync";
  export { useQuery } from "datum-sync/svelte";
`;

let kit, server;
before(async () => {
  server = await load(`${KIT} export { render } from "svelte/server";`, { isServer: true });
  await beBrowser();
  kit = await load(`${KIT} export { mount, unmount, hydrate, flushSync } from "svelte";`);
});

const A = { id: "1", title: "Buy milk", done: false };
const B = { id: "2", title: "Call Ada", done: true };

/** Mounts a component below one that has the instance. `seen` gets what the component notes. */
function mount(name, datum, props = {}) {
  const target = document.createElement("div");
  document.body.append(target);
  const seen = [];
  const component = kit.mount(kit.Root, { target, props: { datum, part: kit[name], ...props, seen } });
  return { seen, component, text: () => target.textContent.trim(), end: () => kit.unmount(component), target };
}

test("a list loads, shows, changes, and ends with its component", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const it = mount("Tasks", datum);
  assert.equal(it.text(), "loading");
  datum.all("tasks").give([A]);
  await rest();
  datum.all("tasks").give([A, B]);
  await rest();
  assert.deepEqual([it.text(), datum.all("tasks").begun], ["Buy milk, Call Ada", 1]);
  datum.all("tasks").fail(new kit.DatumError("corrupt", "damaged"));
  await rest();
  assert.equal(it.text(), "corrupt");
  await it.end();
  const noted = it.seen.length;
  datum.all("tasks").give([]);
  await rest();
  assert.equal(it.seen.length, noted);
  t.mock.timers.tick(1);
  const other = mount("Tasks", datum);
  await rest();
  assert.equal(datum.all("tasks").open, 1);
  await other.end();
  await rest();
  t.mock.timers.tick(60_000);
  assert.equal(datum.all("tasks").open, 0);
});

test("a query that is a function is followed, and one of the same content is the same", async () => {
  const datum = new FakeDatum();
  const it = mount("Selected", datum);
  const call = (done) => ["watchQuery", "tasks", { where: { field: "done", equals: done } }, { userId: "ada" }];
  datum.feed(...call(false)).give([A]);
  datum.feed(...call(true)).give([B]);
  await rest();
  it.target.querySelector("#other").click();
  await rest();
  assert.deepEqual([it.text(), datum.calls], ["Buy milk 0", [call(false)]]);
  it.target.querySelector("#done").click();
  await rest();
  assert.deepEqual([it.text(), datum.calls], ["Call Ada 0", [call(false), call(true)]]);
  await it.end();
});

test("an effect that selects runs only when that changes", async () => {
  const datum = new FakeDatum();
  const it = mount("Selected", datum);
  datum.giveStatus("ada", { pendingOperations: 1 });
  await rest();
  const before = it.seen.length;
  datum.giveStatus("ada", { pendingOperations: 1, status: "syncing" });
  await rest();
  assert.equal(it.seen.length, before);
  datum.giveStatus("ada", { pendingOperations: 2 });
  await rest();
  assert.equal(it.seen.at(-1), 2);
  await it.end();
});

test("the user changes, and nothing has the rows of one beside the name of the other", async () => {
  const datum = new FakeDatum();
  const it = mount("Both", datum);
  datum.all("tasks", "ada").give([A]);
  datum.all("tasks", "ben").give([B]);
  await rest();
  datum.switchTo("ben");
  await rest();
  assert.equal(it.text(), "ben: Call Ada");
  datum.switchTo(null);
  await rest();
  assert.equal(it.text(), "null:");
  const wrong = it.seen.filter((line) => ["ben: Buy milk", "null: Call Ada", "ada: Call Ada"].includes(line));
  assert.deepEqual(wrong, []);
  assert.ok(it.seen.includes("ada: Buy milk"));
  await it.end();
});

test("a promise is waited for, and what it rejects with is an error", async () => {
  const datum = new FakeDatum();
  const it = mount("More", Promise.resolve(datum));
  assert.equal(it.text(), "none true undefined");
  await rest();
  assert.equal(it.text(), "open false undefined undefined undefined");
  await it.end();
  const failed = mount("Tasks", Promise.reject(new kit.DatumError("storageBlocked", "blocked")));
  await rest();
  assert.equal(failed.text(), "storageBlocked");
  await failed.end();
});

test("one entity, conflicts and dead letters", async () => {
  const datum = new FakeDatum();
  datum.lists = { conflicts: [{ id: "c", fields: ["title"] }], deadLetters: [{ id: "l", code: "tooLong" }] };
  const it = mount("More", datum, { id: "1" });
  datum.feed("watchById", "tasks", "1", { userId: "ada" }).give(A);
  await rest();
  assert.equal(it.text(), "open false Buy milk title tooLong");
  await it.end();
});

test("a server renders what there is before the first value and touches no instance, and a page takes it over without a mismatch", async (t) => {
  const warnings = [];
  for (const name of ["warn", "error"]) t.mock.method(console, name, (...line) => warnings.push(line.join(" ")));
  const asked = [];
  const untouched = new Proxy({}, { get: (_, name) => (name === "then" || typeof name === "symbol" ? undefined : asked.push(name)) });
  const html = [undefined, untouched].map((datum) => server.render(server.Root, { props: { datum, part: server.Shown, seen: [] } }).body);
  assert.deepEqual([html[0] === html[1], asked], [true, []]);
  assert.match(html[0], /<b>loading<\/b>.*true undefined undefined/s);
  const datum = new FakeDatum();
  datum.all("tasks").give([A]);
  const before = mount("Shown", datum);
  await rest();
  const target = document.createElement("div");
  target.innerHTML = html[0];
  document.body.append(target);
  const it = kit.hydrate(kit.Root, { target, props: { datum, part: kit.Shown, seen: [] } });
  assert.match(target.textContent, /loading/);
  await rest();
  assert.deepEqual([target.textContent.replace(/\s+/g, " ").trim(), warnings], ["shown false ada idle", []]);
  await kit.unmount(it);
  await before.end();
});
