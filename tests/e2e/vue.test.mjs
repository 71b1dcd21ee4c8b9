// The composables in Vue 3: in components, on a server, and in a page that takes over what a server has rendered.
import assert from "node:assert/strict";
import { before, test } from "./lib/test.mjs";
import { FakeDatum, rest } from "./lib/fake-datum.mjs";
import { beBrowser, load } from "./lib/hooks.mjs";

const KIT = `export * from "datum-sync/vue"; export * as Vue from "vue"; export { DatumError } from "datum-sync";`;

let kit, server, Vue, h;
before(async () => {
  server = await load(`${KIT} export { renderToString } from "vue/server-renderer";`, { isServer: true });
  await beBrowser();
  kit = await load(KIT);
  ({ Vue } = kit);
  ({ h } = Vue);
});

const A = { id: "1", title: "Buy milk", done: false };
const B = { id: "2", title: "Call Ada", done: true };
const titles = (all) => (all ?? []).map(({ title }) => title).join(", ");

function mount(datum, setup, { place = document.createElement("div"), isHydrated = false } = {}) {
  document.body.append(place);
  const warnings = [];
  const app = (isHydrated ? Vue.createSSRApp : Vue.createApp)({ setup });
  app.config.warnHandler = (line) => warnings.push(line);
  app.config.errorHandler = (error) => warnings.push(error);
  app.use(kit.DatumPlugin, datum).mount(place);
  return { app, warnings, text: () => place.textContent };
}

test("a list loads, shows, changes, and ends with its component", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const datum = new FakeDatum();
  let renders = 0;
  const it = mount(datum, () => {
    const { data, error, isLoading } = kit.useQuery("tasks");
    return () => (renders++, h("p", isLoading.value ? "loading" : error.value ? error.value.code : titles(data.value)));
  });
  await rest();
  assert.equal(it.text(), "loading");
  datum.all("tasks").give([A]);
  await rest();
  datum.all("tasks").give([A, B]);
  await rest();
  assert.deepEqual([it.text(), datum.all("tasks").begun], ["Buy milk, Call Ada", 1]);
  datum.all("tasks").fail(new kit.DatumError("corrupt", "damaged"));
  await rest();
  assert.equal(it.text(), "corrupt");
  it.app.unmount();
  const shown = renders;
  datum.all("tasks").give([]);
  await rest();
  assert.deepEqual([renders, it.warnings], [shown, []]);
  t.mock.timers.tick(1);
  const other = mount(datum, () => {
    const { data } = kit.useQuery("tasks");
    return () => h("p", titles(data.value));
  });
  await rest();
  assert.equal(datum.all("tasks").open, 1);
  other.app.unmount();
  await rest();
  t.mock.timers.tick(60_000);
  assert.equal(datum.all("tasks").open, 0);
});

test("a query that is a getter is followed, and one of the same content is the same", async () => {
  const datum = new FakeDatum();
  const [done, other] = [Vue.ref(false), Vue.ref(0)];
  const it = mount(datum, () => {
    const { data } = kit.useQuery("tasks", () => (void other.value, { where: { field: "done", equals: done.value } }));
    return () => h("p", titles(data.value));
  });
  const call = (done) => ["watchQuery", "tasks", { where: { field: "done", equals: done } }, { userId: "ada" }];
  datum.feed(...call(false)).give([A]);
  datum.feed(...call(true)).give([B]);
  other.value++;
  await rest();
  assert.deepEqual([it.text(), datum.calls], ["Buy milk", [call(false)]]);
  done.value = true;
  await rest();
  assert.deepEqual([it.text(), datum.calls], ["Call Ada", [call(false), call(true)]]);
  it.app.unmount();
});

test("a component that selects renders only when that changes", async () => {
  const datum = new FakeDatum();
  let renders = 0;
  const it = mount(datum, () => {
    const { data } = kit.useQuery("tasks", null, { select: (all) => all.filter(({ done }) => !done) });
    const waiting = kit.useSyncStatus({ select: ({ pendingOperations }) => pendingOperations });
    return () => (renders++, h("p", `${data.value?.length} ${waiting.value}`));
  });
  datum.all("tasks").give([A]);
  await rest();
  const before = renders;
  datum.all("tasks").give([A, B]);
  datum.giveStatus("ada", { status: "syncing" });
  await rest();
  assert.equal(renders, before);
  datum.all("tasks").give([B]);
  datum.giveStatus("ada", { pendingOperations: 3 });
  await rest();
  assert.deepEqual([it.text()], ["0 3"]);
  it.app.unmount();
});

test("the user changes, and nothing has the rows of one beside the name of the other", async () => {
  const datum = new FakeDatum();
  const seen = new Set();
  const it = mount(datum, () => {
    const user = kit.useCurrentUser();
    const { data } = kit.useQuery("tasks");
    // Also what runs at once, before anything is rendered.
    Vue.watchEffect(() => seen.add(`${user.value}: ${titles(data.value)}`), { flush: "sync" });
    return () => h("p", `${user.value}: ${titles(data.value)}`);
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
  assert.ok(!seen.has("ben: Buy milk") && !seen.has("null: Call Ada") && !seen.has("ada: Call Ada"), [...seen].join("; "));
  it.app.unmount();
});

test("a promise is waited for, what it rejects with is an error, and a ref of another instance is followed", async () => {
  const [datum, other] = [new FakeDatum(), new FakeDatum()];
  const source = Vue.shallowRef(Promise.resolve(datum));
  const it = mount(source, () => {
    const instance = kit.useDatum();
    const { data } = kit.useQuery("tasks");
    return () => h("p", `${instance.value === undefined ? "none" : instance.value === datum ? "first" : "second"} ${titles(data.value)}`);
  });
  assert.equal(it.text(), "none ");
  datum.all("tasks").give([A]);
  other.all("tasks").give([B]);
  await rest();
  assert.equal(it.text(), "first Buy milk");
  source.value = Promise.resolve(other);
  await rest();
  assert.equal(it.text(), "second Call Ada");
  it.app.unmount();
  const refused = Promise.reject(new kit.DatumError("storageBlocked", "blocked"));
  const failed = mount(refused, () => {
    const { error } = kit.useQuery("tasks");
    return () => h("p", error.value?.code ?? "");
  });
  await rest();
  assert.equal(failed.text(), "storageBlocked");
  failed.app.unmount();
});

test("one entity by a ref, conflicts and dead letters, and an instance for a part of the app", async () => {
  const datum = new FakeDatum();
  datum.lists = { conflicts: [{ id: "c", fields: ["title"] }], deadLetters: [{ id: "l", code: "tooLong" }] };
  const id = Vue.ref(null);
  const Part = {
    setup() {
      const one = kit.useEntity("tasks", id);
      const [conflicts, letters] = [kit.useConflicts(), kit.useDeadLetters("ada")];
      return () => h("p", `${one.isLoading.value} ${one.data.value?.title} ${conflicts.data.value?.[0]?.fields} ${letters.data.value?.[0]?.code}`);
    },
  };
  const it = mount(undefined, () => (kit.provideDatum(datum), () => h(Part)));
  datum.feed("watchById", "tasks", "1", { userId: "ada" }).give(A);
  await rest();
  assert.equal(it.text(), "false undefined title tooLong");
  id.value = "1";
  await rest();
  assert.equal(it.text(), "false Buy milk title tooLong");
  it.app.unmount();
});

test("outside of a component, as in a store, a scope is enough", async () => {
  const datum = new FakeDatum();
  const app = Vue.createApp({}).use(kit.DatumPlugin, datum);
  const scope = Vue.effectScope();
  const { data } = app.runWithContext(() => scope.run(() => kit.useQuery("tasks")));
  datum.all("tasks").give([A]);
  await rest();
  assert.equal(titles(data.value), "Buy milk");
  scope.stop();
  datum.all("tasks").give([B]);
  await rest();
  assert.equal(titles(data.value), "Buy milk");
  const alone = Vue.createApp({});
  assert.throws(() => alone.runWithContext(() => kit.useQuery("tasks")), ({ code, message }) => code === "notInitialized" && message.includes("app.use(DatumPlugin"));
});

/** A component of either kit. */
const shown = ({ Vue: { h }, useQuery, useCurrentUser, useSyncStatus }) => () => {
  const { data, isLoading } = useQuery("tasks");
  const [user, status] = [useCurrentUser(), useSyncStatus()];
  return () => h("p", `${isLoading.value} ${titles(data.value)} ${user.value} ${status.value?.status}`);
};

test("a server renders what there is before the first value and touches no instance, and a page takes it over without a mismatch", async () => {
  const asked = [];
  const untouched = new Proxy({}, { get: (_, name) => (name === "then" || typeof name === "symbol" || name.startsWith("__v_") ? undefined : asked.push(name)) });
  const html = [];
  for (const source of [undefined, untouched]) {
    html.push(await server.renderToString(server.Vue.createSSRApp({ setup: shown(server) }).use(server.DatumPlugin, source)));
  }
  assert.deepEqual([...new Set(html), ...asked], ["<p>true  undefined undefined</p>"]);
  const datum = new FakeDatum();
  datum.all("tasks").give([A]);
  const before = mount(datum, shown(kit));
  await rest();
  const place = document.createElement("div");
  place.innerHTML = html[0];
  const it = mount(datum, shown(kit), { place, isHydrated: true });
  await rest();
  assert.deepEqual([it.text(), it.warnings], ["false Buy milk ada idle", []]);
  for (const { app } of [it, before]) app.unmount();
});
