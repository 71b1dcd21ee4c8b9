// The functions for Solid: under a provider, with effects that run at once, and on a server.
import assert from "node:assert/strict";
import { before, test } from "./lib/test.mjs";
import { FakeDatum, rest } from "./lib/fake-datum.mjs";
import { beBrowser, load } from "./lib/hooks.mjs";

const KIT = `export * from "datum-sync/solid"; export { DatumError } from "datum-sync"; export * as Solid from "solid-js"; export * as Web from "solid-js/web";`;

let kit, server, Solid;
before(async () => {
  server = await load(KIT, { isServer: true });
  await beBrowser();
  kit = await load(KIT);
  ({ Solid } = kit);
});

const A = { id: "1", title: "Buy milk", done: false };
const B = { id: "2", title: "Call Ada", done: true };
const titles = (all) => (all ?? []).map(({ title }) => title).join(", ");

/** Mounts a component that shows the text of an accessor. `seen` has each text, in order. */
function mount(datum, component) {
  const place = document.createElement("div");
  document.body.append(place);
  const seen = [];
  const [source, setSource] = Solid.createSignal(datum);
  const Shown = () => {
    const text = component();
    const node = document.createElement("p");
    Solid.createRenderEffect(() => seen.push((node.textContent = text())));
    return node;
  };
  const end = kit.Web.render(
    () =>
      Solid.createComponent(kit.DatumProvider, {
        get datum() {
          return source();
        },
        get children() {
          return Solid.createComponent(Shown, {});
        },
      }),
    place,
  );
  return { seen, end, text: () => place.textContent, use: (next) => setSource(() => next) };
}

test("a list loads, shows, changes, and ends with its component", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  const it = mount(datum, () => {
    const tasks = kit.useQuery("tasks");
    return () => (tasks.isLoading ? "loading" : tasks.error ? tasks.error.code : titles(tasks.data));
  });
  assert.equal(it.text(), "loading");
  datum.all("tasks").give([A]);
  await rest();
  datum.all("tasks").give([A, B]);
  await rest();
  assert.deepEqual([it.text(), datum.all("tasks").begun], ["Buy milk, Call Ada", 1]);
  datum.all("tasks").fail(new kit.DatumError("corrupt", "damaged"));
  await rest();
  assert.equal(it.text(), "corrupt");
  it.end();
  const noted = it.seen.length;
  datum.all("tasks").give([]);
  await rest();
  assert.equal(it.seen.length, noted);
  t.mock.timers.tick(1);
  const other = mount(datum, () => {
    const tasks = kit.useQuery("tasks");
    return () => titles(tasks.data);
  });
  await rest();
  assert.equal(datum.all("tasks").open, 1);
  other.end();
  await rest();
  t.mock.timers.tick(60_000);
  assert.equal(datum.all("tasks").open, 0);
});

test("a query that is an accessor is followed, and one of the same content is the same", async () => {
  const datum = new FakeDatum();
  const [done, setDone] = Solid.createSignal(false);
  const [other, setOther] = Solid.createSignal(0);
  const it = mount(datum, () => {
    const tasks = kit.useQuery("tasks", () => (void other(), { where: { field: "done", equals: done() } }));
    return () => titles(tasks.data);
  });
  const call = (done) => ["watchQuery", "tasks", { where: { field: "done", equals: done } }, { userId: "ada" }];
  datum.feed(...call(false)).give([A]);
  datum.feed(...call(true)).give([B]);
  await rest();
  setOther(1);
  await rest();
  assert.deepEqual([it.text(), datum.calls, datum.feed(...call(false)).begun], ["Buy milk", [call(false)], 1]);
  setDone(true);
  await rest();
  assert.deepEqual([it.text(), datum.calls], ["Call Ada", [call(false), call(true)]]);
  it.end();
});

test("an effect that selects runs only when that changes", async () => {
  const datum = new FakeDatum();
  const it = mount(datum, () => {
    const tasks = kit.useQuery("tasks", null, { select: (all) => all.filter(({ done }) => !done) });
    const waiting = kit.useSyncStatus({ select: ({ pendingOperations }) => pendingOperations });
    return () => `${tasks.data?.length} ${waiting()}`;
  });
  datum.all("tasks").give([A]);
  await rest();
  const before = it.seen.length;
  datum.all("tasks").give([A, B]);
  datum.giveStatus("ada", { status: "syncing" });
  await rest();
  assert.deepEqual([it.seen.length, it.text()], [before, "1 0"]);
  datum.all("tasks").give([B]);
  datum.giveStatus("ada", { pendingOperations: 3 });
  await rest();
  assert.equal(it.text(), "0 3");
  it.end();
});

test("the user changes, and no effect has the rows of one beside the name of the other", async () => {
  const datum = new FakeDatum();
  const it = mount(datum, () => {
    const user = kit.useCurrentUser();
    const tasks = kit.useQuery("tasks");
    return () => `${user()}: ${titles(tasks.data)}`;
  });
  datum.all("tasks", "ada").give([A]);
  datum.all("tasks", "ben").give([B]);
  await rest();
  datum.switchTo("ben");
  await rest();
  assert.equal(it.text(), "ben: Call Ada");
  datum.switchTo(null);
  await rest();
  assert.equal(it.text(), "null: ");
  assert.ok(!it.seen.some((line) => ["ben: Buy milk", "null: Call Ada", "ada: Call Ada"].includes(line)), it.seen.join("; "));
  it.end();
});

test("a promise is waited for, what it rejects with is an error, and another instance is followed", async () => {
  const [datum, other] = [new FakeDatum(), new FakeDatum()];
  const it = mount(Promise.resolve(datum), () => {
    const instance = kit.useDatum();
    const tasks = kit.useQuery("tasks");
    return () => `${instance() === undefined ? "none" : instance() === datum ? "first" : "second"} ${titles(tasks.data)}`;
  });
  assert.equal(it.text(), "none ");
  datum.all("tasks").give([A]);
  other.all("tasks").give([B]);
  await rest();
  assert.equal(it.text(), "first Buy milk");
  it.use(Promise.resolve(datum));
  await rest();
  assert.deepEqual([it.text(), datum.all("tasks").begun], ["first Buy milk", 1]);
  it.use(Promise.resolve(other));
  await rest();
  assert.equal(it.text(), "second Call Ada");
  it.end();
  const failed = mount(Promise.reject(new kit.DatumError("storageBlocked", "blocked")), () => {
    const tasks = kit.useQuery("tasks");
    return () => tasks.error?.code ?? "";
  });
  await rest();
  assert.equal(failed.text(), "storageBlocked");
  failed.end();
});

test("one entity by an accessor, conflicts and dead letters", async () => {
  const datum = new FakeDatum();
  datum.lists = { conflicts: [{ id: "c", fields: ["title"] }], deadLetters: [{ id: "l", code: "tooLong" }] };
  const [id, setId] = Solid.createSignal(null);
  const it = mount(datum, () => {
    const one = kit.useEntity("tasks", id);
    const [conflicts, letters] = [kit.useConflicts(), kit.useDeadLetters("ada")];
    return () => `${one.isLoading} ${one.data?.title} ${conflicts.data?.[0]?.fields} ${letters.data?.[0]?.code}`;
  });
  datum.feed("watchById", "tasks", "1", { userId: "ada" }).give(A);
  await rest();
  assert.equal(it.text(), "false undefined title tooLong");
  setId("1");
  await rest();
  assert.equal(it.text(), "false Buy milk title tooLong");
  it.end();
});

test("a function outside of a provider says what to do", () => {
  assert.throws(() => Solid.createRoot(() => kit.useQuery("tasks")), ({ code, message }) => code === "notInitialized" && message.includes("<DatumProvider"));
});

test("a server renders what there is before the first value and touches no instance, and a page begins the same", async () => {
  const component = (kit) => () => {
    const tasks = kit.useQuery("tasks");
    const [user, status] = [kit.useCurrentUser(), kit.useSyncStatus()];
    return () => `${tasks.isLoading} ${titles(tasks.data)} ${user()} ${status()?.status}`;
  };
  const asked = [];
  const untouched = new Proxy({}, { get: (_, name) => (name === "then" || typeof name === "symbol" ? undefined : asked.push(name)) });
  const render = (datum) =>
    server.Web.renderToString(() =>
      server.Solid.createComponent(server.DatumProvider, {
        datum,
        get children() {
          return server.Solid.createComponent(() => component(server)()(), {});
        },
      }),
    );
  assert.deepEqual([render(undefined), render(untouched), asked], ["true  undefined undefined", "true  undefined undefined", []]);
  const datum = new FakeDatum();
  datum.all("tasks").give([A]);
  const before = mount(datum, component(kit));
  await rest();
  const it = mount(datum, component(kit));
  await rest();
  assert.deepEqual([it.seen[0], it.text()], ["true  undefined undefined", "false Buy milk ada idle"]);
  for (const { end } of [it, before]) end();
});
