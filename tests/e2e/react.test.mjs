// The hooks in React 19 and 18: rendered in strict mode, on a server, and by a page that takes over what a server has rendered.
import assert from "node:assert/strict";
import { after, before, test } from "./lib/test.mjs";
import { FakeDatum, rest } from "./lib/fake-datum.mjs";
import { beBrowser, installReact18, load } from "./lib/hooks.mjs";

const KIT = `
  export * from "datum-sync/react";
  export { DatumError } from "datum-sync";
  export * as React from "react";
  export { createRoot, hydrateRoot } from "react-dom/client";
`;
const SERVER = `export * from "datum-sync/react"; export * as React from "react"; export { renderToPipeableStream, renderToString } from "react-dom/server.node";`;

const kits = {};
let servers, react18;
before(async () => {
  // Before there is a window, as on a server.
  react18 = await installReact18();
  const in18 = { from: react18.path };
  servers = { 19: await load(SERVER, { isServer: true }), 18: await load(SERVER, { isServer: true, ...in18 }) };
  await beBrowser();
  kits[19] = await load(KIT);
  kits[18] = await load(KIT, in18);
});
after(() => react18?.remove());

const A = { id: "1", title: "Buy milk", done: false };
const B = { id: "2", title: "Call Ada", done: true };
const titles = (all) => (all ?? []).map(({ title }) => title).join(", ");

/** Mounts an app in strict mode. `text()` is what the page shows; `errors` are those that no boundary took. */
function mount(kit, datum, App, { isStrict = true } = {}) {
  const { createElement, StrictMode } = kit.React;
  const place = document.createElement("div");
  document.body.append(place);
  const errors = [];
  const note = (error) => errors.push(error);
  const root = kit.createRoot(place, { onRecoverableError: note, onUncaughtError: note });
  const render = (now = datum) => {
    const app = createElement(kit.DatumProvider, { datum: now }, createElement(App));
    root.render(isStrict ? createElement(StrictMode, null, app) : app);
  };
  render();
  return { place, root, errors, render, text: () => place.textContent };
}

/** An error boundary that shows the code, and a button that tries again. */
function boundaryOf({ React }) {
  return class Boundary extends React.Component {
    state = { error: undefined };
    static getDerivedStateFromError = (error) => ({ error });
    render() {
      const { error } = this.state;
      return error === undefined ? this.props.children : React.createElement("button", { onClick: () => this.setState({ error: undefined }) }, `failed: ${error.code}`);
    }
  };
}

/** Keeps what React logs of errors that a boundary takes, and of warnings. */
function logged(t) {
  const lines = [];
  t.mock.method(console, "error", (...line) => lines.push(line.map(String).join(" ")));
  return lines;
}

for (const version of [19, 18]) {
  let kit, React, h;
  test(`React ${version} is here`, () => {
    kit = kits[version];
    ({ React } = kit);
    h = React.createElement;
    assert.equal(React.version.split(".")[0], String(version));
  });

  test(`React ${version}: a list loads, shows, changes, and ends with its component`, async (t) => {
    const lines = logged(t);
    const datum = new FakeDatum();
    let renders = 0;
    const List = () => {
      const { data, error, isLoading } = kit.useQuery("tasks");
      renders++;
      return h("p", null, isLoading ? "loading" : error ? error.code : titles(data));
    };
    const { root, text } = mount(kit, datum, List);
    await rest();
    assert.equal(text(), "loading");
    datum.all("tasks").give([A]);
    await rest();
    assert.equal(text(), "Buy milk");
    datum.all("tasks").give([A, B]);
    await rest();
    assert.equal(text(), "Buy milk, Call Ada");
    assert.equal(datum.all("tasks").begun, 1, "strict mode mounts twice, and watches once");
    root.unmount();
    const shown = renders;
    datum.all("tasks").give([]);
    await rest();
    assert.deepEqual([renders, lines], [shown, []]);
  });

  test(`React ${version}: a query that is written in the call is watched once, and another one when it differs`, async () => {
    const datum = new FakeDatum();
    let setDone;
    const List = () => {
      const [done, set] = React.useState(false);
      setDone = set;
      const { data } = kit.useQuery("tasks", { where: { field: "done", equals: done } });
      return h("p", null, titles(data));
    };
    const it = mount(kit, datum, List);
    await rest();
    const call = (done) => ["watchQuery", "tasks", { where: { field: "done", equals: done } }, { userId: "ada" }];
    datum.feed(...call(false)).give([A]);
    datum.feed(...call(true)).give([B]);
    it.render();
    await rest();
    assert.deepEqual([it.text(), datum.calls], ["Buy milk", [call(false)]]);
    setDone(true);
    await rest();
    assert.deepEqual([it.text(), datum.calls], ["Call Ada", [call(false), call(true)]]);
    it.root.unmount();
  });

  test(`React ${version}: a component that selects renders only when that changes`, async () => {
    const datum = new FakeDatum();
    let renders = 0;
    const Count = () => {
      renders++;
      return h("p", null, String(kit.useQuery("tasks", null, { select: (all) => all.filter(({ done }) => !done) }).data?.length));
    };
    const Status = () => h("i", null, kit.useSyncStatus({ select: ({ pendingOperations }) => pendingOperations }));
    const it = mount(kit, datum, () => h("div", null, h(Count), h(Status)), { isStrict: false });
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
    assert.deepEqual([renders, it.text()], [before + 1, "03"]);
    it.root.unmount();
  });

  test(`React ${version}: the user changes, and no render has the rows of one beside the name of the other`, async () => {
    const datum = new FakeDatum();
    const seen = new Set();
    const Rows = () => {
      const user = kit.useCurrentUser();
      const rows = titles(kit.useQuery("tasks").data);
      seen.add(`${user}: ${rows}`);
      return h("p", null, user === null ? "signed out" : `${user}: ${rows}`);
    };
    const it = mount(kit, datum, Rows);
    datum.all("tasks", "ada").give([A]);
    datum.all("tasks", "ben").give([B]);
    await rest();
    datum.switchTo("ben");
    await rest();
    assert.equal(it.text(), "ben: Call Ada");
    datum.switchTo(null);
    await rest();
    assert.equal(it.text(), "signed out");
    assert.ok(![...seen].some((line) => line === "ben: Buy milk" || line === "null: Call Ada"), [...seen].join("; "));
    it.root.unmount();
  });

  test(`React ${version}: a suspended list shows the fallback and then the list, with one watch`, async (t) => {
    const lines = logged(t);
    const datum = new FakeDatum();
    let open;
    const opening = new Promise((resolve) => (open = resolve));
    const List = () => h("p", null, `${titles(kit.useSuspenseQuery("tasks"))} of ${kit.useDatum().currentUserId}`);
    const it = mount(kit, opening, () => h(React.Suspense, { fallback: "waiting" }, h(List)));
    await rest();
    assert.equal(it.text(), "waiting");
    open(datum);
    await rest();
    assert.equal(it.text(), "waiting");
    datum.all("tasks").give([A]);
    await until(() => it.text() === "Buy milk of ada");
    datum.all("tasks").give([A, B]);
    await rest();
    assert.deepEqual([it.text(), datum.all("tasks").begun, lines], ["Buy milk, Call Ada of ada", 1, []]);
    it.root.unmount();
  });

  test(`React ${version}: a failure goes to the boundary where it is wanted, and trying again reads again`, async (t) => {
    logged(t);
    const datum = new FakeDatum();
    const Boundary = boundaryOf(kit);
    const Suspended = () => titles(kit.useSuspenseQuery("tasks"));
    const Thrown = () => titles(kit.useQuery("tasks", null, { throwOnError: true }).data);
    const Value = () => kit.useQuery("tasks").error?.code ?? "fine";
    const it = mount(kit, datum, () => h("div", null, h(Boundary, null, h(React.Suspense, { fallback: "waiting" }, h(Suspended))), h(Boundary, null, h(Thrown)), h("i", null, h(Value))));
    await rest();
    datum.all("tasks").fail(new kit.DatumError("corrupt", "damaged"));
    await rest();
    assert.equal(it.text(), "failed: corruptfailed: corruptcorrupt");
    it.root.unmount();
    await new Promise((resolve) => setTimeout(resolve));

    const alone = mount(kit, datum, () => h(Boundary, null, h(React.Suspense, { fallback: "waiting" }, h(Suspended))));
    await until(() => alone.text() === "waiting");
    datum.all("tasks").fail(new kit.DatumError("corrupt", "damaged"));
    await until(() => alone.text() === "failed: corrupt");
    await new Promise((resolve) => setTimeout(resolve));
    alone.place.querySelector("button").click();
    await until(() => alone.text() === "waiting");
    datum.all("tasks").give([A]);
    await until(() => alone.text() === "Buy milk");
    alone.root.unmount();
  });

  test(`React ${version}: an instance that does not open is an error, and nobody signed in is one to a suspended list alone`, async (t) => {
    logged(t);
    const Boundary = boundaryOf(kit);
    const Uses = () => h("p", null, kit.useDatum().currentUserId);
    const Value = () => kit.useQuery("tasks").error?.code ?? "fine";
    const Suspended = () => titles(kit.useSuspenseQuery("tasks"));
    const refused = Promise.reject(new kit.DatumError("storageBlocked", "blocked"));
    refused.catch(() => {});
    const it = mount(kit, refused, () => h("div", null, h(Boundary, null, h(React.Suspense, { fallback: "waiting" }, h(Uses))), h(Value)));
    await until(() => it.text() === "failed: storageBlockedstorageBlocked");
    it.root.unmount();
    const out = mount(kit, new FakeDatum(null), () => h("div", null, h(Boundary, null, h(Suspended)), h(Value)));
    await until(() => out.text() === "failed: noUserfine");
    out.root.unmount();
  });

  test(`React ${version}: a hook without a provider says what to do`, () => {
    const server = servers[version];
    const Alone = () => server.useQuery("tasks").data;
    assert.throws(() => server.renderToString(server.React.createElement(Alone)), ({ code, message }) => code === "notInitialized" && message.includes("<DatumProvider"));
  });

  test(`React ${version}: a promise that is made in each render, or by a module that was replaced, keeps what is shown`, async () => {
    const datum = new FakeDatum();
    const seen = new Set();
    const List = () => {
      const { data, isLoading } = kit.useQuery("tasks");
      seen.add(isLoading ? "loading" : titles(data));
      return h("p", null, titles(data));
    };
    const it = mount(kit, Promise.resolve(datum), List);
    datum.all("tasks").give([A]);
    await rest();
    seen.clear();
    it.render(Promise.resolve(datum));
    await rest();
    assert.deepEqual([[...seen], datum.all("tasks").begun], [["Buy milk"], 1]);
    const other = new FakeDatum();
    other.all("tasks").give([B]);
    it.render(Promise.resolve(other));
    await rest();
    assert.equal(it.text(), "Call Ada");
    it.root.unmount();
  });

  test(`React ${version}: one entity, conflicts and dead letters`, async () => {
    const datum = new FakeDatum();
    datum.lists = { conflicts: [{ id: "c", fields: ["title"] }], deadLetters: [{ id: "l", code: "tooLong" }] };
    const One = () => {
      const one = kit.useEntity("tasks", "1");
      const none = kit.useEntity("tasks", null);
      const conflicts = kit.useConflicts();
      const letters = kit.useDeadLetters("ada");
      return h("p", null, `${one.data?.title} ${none.isLoading} ${conflicts.data?.[0]?.fields} ${letters.data?.[0]?.code}`);
    };
    const it = mount(kit, datum, One);
    datum.feed("watchById", "tasks", "1", { userId: "ada" }).give(A);
    await rest();
    assert.equal(it.text(), "Buy milk false title tooLong");
    it.root.unmount();
  });

  test(`React ${version}: a server renders what there is before the first value, and touches no instance`, async () => {
    const server = servers[version];
    const { createElement: h, Suspense } = server.React;
    const asked = [];
    const datum = new Proxy({}, { get: (_, name) => (name === "then" ? undefined : asked.push(name)) });
    const List = () => {
      const { data, isLoading } = server.useQuery("tasks");
      return h("p", null, `${isLoading} ${titles(data)} ${server.useCurrentUser()} ${server.useSyncStatus()?.status}`);
    };
    const Suspended = () => titles(server.useSuspenseQuery("tasks"));
    const app = (datum) => h(server.DatumProvider, { datum }, h(List), h(Suspense, { fallback: h("i", null, "waiting") }, h(Suspended)));
    for (const source of [undefined, datum]) {
      const html = await rendered(server, app(source));
      assert.match(html, /<p>true  undefined undefined<\/p>/);
      assert.match(html, /<i>waiting<\/i>/);
    }
    assert.deepEqual(asked, []);
  });

  test(`React ${version}: a page takes over what a server has rendered, without a mismatch`, async (t) => {
    const lines = logged(t);
    const datum = new FakeDatum();
    datum.all("tasks").give([A]);
    const appOf = ({ React: { StrictMode, createElement: h }, ...kit }, datum) => {
      const List = () => {
        const { data, isLoading } = kit.useQuery("tasks");
        return h("p", null, `${isLoading} ${titles(data)} ${kit.useCurrentUser()} ${kit.useSyncStatus()?.status}`);
      };
      return h(StrictMode, null, h(kit.DatumProvider, { datum }, h(List)));
    };
    const place = document.createElement("div");
    place.innerHTML = servers[version].renderToString(appOf(servers[version], undefined));
    assert.equal(place.textContent, "true  undefined undefined");
    document.body.append(place);
    // Known from before, as when a part of a page is taken over later than another.
    const before = mount(kit, datum, () => titles(kit.useQuery("tasks").data));
    await rest();
    const root = kit.hydrateRoot(place, appOf(kit, datum), { onRecoverableError: (error) => lines.push(String(error)) });
    await rest();
    assert.deepEqual([place.textContent, lines], ["false Buy milk ada idle", []]);
    root.unmount();
    before.root.unmount();
  });
}

/** Resolves once a condition is true: for what React or a timer does later. */
async function until(condition) {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 2_000, `not within ${turns} turns: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Returns the HTML of a server that waits for nothing but what has to be waited for. */
async function rendered(server, app) {
  const { PassThrough } = await import("node:stream");
  const chunks = [];
  const stream = new PassThrough();
  stream.on("data", (chunk) => chunks.push(chunk));
  await new Promise((resolve, reject) => {
    const { pipe } = server.renderToPipeableStream(app, { onAllReady: () => pipe(stream), onError: () => {}, onShellError: reject });
    stream.on("end", resolve);
  });
  return Buffer.concat(chunks).toString().replaceAll("<!-- -->", "");
}
