// `docs/frameworks.md`, done as it says: an app of each framework with the packed package, built by Vite and used in Chromium.
import assert from "node:assert/strict";
import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, test } from "./lib/test.mjs";
import { device, launch } from "./lib/browser.mjs";
import { run } from "./lib/files.mjs";
import { installPackage } from "./lib/package.mjs";
import { serveFolder } from "./lib/static.mjs";

const HERE = fileURLToPath(new URL("./", import.meta.url));
const MODULES = join(HERE, "node_modules");
const FRAMEWORKS = ["react", "vue", "svelte", "solid"];
const BLOCK = /^```(\w+) framework=([a-z]+) file=([\w.]+)\n(.*?)^```$/gms;

/** The backend of the examples: in the page, with a task from another device. */
const REMOTE = `
import { Datum } from "datum-sync";
import { MemoryRemote } from "datum-sync/testing";
export const remote = new MemoryRemote();
for (const user of ["ada", "ben"]) remote.put(user, "tasks", { id: user, title: \`Buy milk for \${user}\`, done: false });
Object.assign(globalThis, { Datum, remote });
`;
const STRICT = { target: "es2022", lib: ["ES2022", "DOM", "DOM.Iterable"], module: "esnext", moduleResolution: "bundler", types: [], strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, skipLibCheck: true };
const MAINS = {
  react: `import { StrictMode } from "react"; import { createRoot } from "react-dom/client"; import App from "./App"; createRoot(document.querySelector("#app")!).render(<StrictMode><App /></StrictMode>);`,
  svelte: `import { mount } from "svelte"; import App from "./App.svelte"; mount(App, { target: document.querySelector("#app")! });`,
  solid: `import { render } from "solid-js/web"; import App from "./App"; render(() => <App />, document.querySelector("#app")!);`,
};

let browser, installed;
before(async () => {
  [browser, installed] = await Promise.all([launch(), installPackage()]);
  const modules = join(installed.root, "node_modules");
  for (const name of await readdir(MODULES)) {
    if (name !== "datum-sync" && !name.startsWith(".")) await symlink(join(MODULES, name), join(modules, name));
  }
  for (const framework of FRAMEWORKS) await mkdir(join(installed.root, framework));
});
after(async () => {
  await browser?.close();
  await installed?.remove();
});

/** Writes an app of the document's blocks, or one of the folder `frameworks`, checks its types, and builds it. Returns its folder. */
async function build(framework, other) {
  const root = join(installed.root, framework);
  const text = await readFile(join(HERE, "../../docs/frameworks.md"), "utf8");
  const files = new Map([["remote.ts", REMOTE], ["index.html", `<!doctype html><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,"><main id="app"></main><script type="module" src="/main.ts${framework === "react" || framework === "solid" ? "x" : ""}"></script>`]]);
  if (MAINS[framework]) files.set(framework === "svelte" ? "main.ts" : "main.tsx", MAINS[framework]);
  const checked = [];
  for (const [, , of, file, code] of text.matchAll(BLOCK)) {
    if (of !== framework && of !== "all") continue;
    files.set(file, code);
    // Of a component in a language of its own, its script.
    const script = /<script[^>]*>\n(.*?)<\/script>/s.exec(code)?.[1];
    if (script !== undefined) files.set(`${file.replace(".", "-")}.ts`, `${script}\nexport {};\n`);
    checked.push(file);
  }
  assert.ok(checked.length > 1, `the document has blocks of ${framework}`);
  const shims = { vue: 'declare module "*.vue" { const component: import("vue").Component; export default component; }', svelte: '/// <reference types="svelte" />\ndeclare module "*.svelte" { const component: import("svelte").Component; export default component; }' };
  if (shims[framework]) files.set("shims.d.ts", shims[framework]);
  if (other !== undefined) {
    files.set(other, await readFile(join(HERE, "frameworks", other), "utf8"));
    files.set("index.html", files.get("index.html").replaceAll("main.tsx", other).replace('id="app"', 'id="engine"'));
  }
  for (const name of ["accepts", "refuses"]) files.set(`${name}.ts`, (await readFile(join(HERE, "frameworks", `${name}.ts`), "utf8")).replaceAll("datum-sync/FRAMEWORK", `datum-sync/${framework}`));
  for (const [file, code] of files) await writeFile(join(root, file), code);
  const jsx = framework === "solid" ? { jsx: "preserve", jsxImportSource: "solid-js" } : { jsx: "react-jsx" };
  await writeFile(join(root, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...STRICT, ...jsx }, include: ["."] }));
  await run(join(MODULES, ".bin/tsc"), ["--project", root]);

  const vite = await import("vite");
  const plugins = {
    react: async () => [],
    vue: async () => [(await import("@vitejs/plugin-vue")).default()],
    svelte: async () => [(await import("@sveltejs/vite-plugin-svelte")).svelte({ configFile: false })],
    solid: async () => [(await import("vite-plugin-solid")).default()],
  };
  await vite.build({ root, configFile: false, logLevel: "warn", plugins: await plugins[framework](), build: { target: "es2022", outDir: "dist" } });
  return join(root, "dist");
}

for (const framework of FRAMEWORKS) {
  test(`${framework}: the document's app type-checks, shows what comes, writes, and follows the current user`, async () => {
    const host = await serveFolder(await build(framework));
    const { context, page, errors } = await device(browser);
    await page.goto(`${host.url}/`);
    await page.getByText("Buy milk for ada").waitFor();
    await page.getByLabel("New task").fill("Call Ben");
    await page.keyboard.press("Enter");
    await page.getByRole("listitem").filter({ hasText: "Call Ben" }).waitFor();
    await page.waitForFunction(() => document.querySelector("input").value === "");
    await page.getByText("Tasks of ada, 0 waiting").waitFor();
    assert.ok(await page.evaluate(() => globalThis.remote.all("ada", "tasks").some(({ title }) => title === "Call Ben")));
    await page.evaluate(async () => {
      const { instance } = globalThis.Datum;
      await instance.switchUser({ newUserId: "ben", strategy: "keepLocal" });
      await instance.synchronize("ben");
    });
    await page.getByText("Buy milk for ben").waitFor();
    await page.getByText("Tasks of ben, 0 waiting").waitFor();
    assert.equal(await page.getByRole("listitem").count(), 1);
    assert.deepEqual(errors, []);
    await context.close();
    await host.stop();
  });
}

test("what needs a decision comes and goes with the real engine", async () => {
  const host = await serveFolder(await build("react", "engine.tsx"));
  const { context, page, errors } = await device(browser);
  await page.goto(`${host.url}/`);
  const shows = (text) => page.getByText(text, { exact: true }).waitFor();
  const run = (act) => page.evaluate(`(async () => { const datum = await opening; const tasks = datum.manager("tasks"); await (${act})({ datum, tasks }); })()`);
  await shows("0 tasks, first undefined, conflicts [], letters [], idle");
  await run(async ({ datum, tasks }) => {
    await tasks.create({ id: "1", title: "Buy milk" });
    await datum.synchronize("ada");
  });
  await shows("1 tasks, first Buy milk, conflicts [], letters [], completed");
  await run(async ({ datum, tasks }) => {
    globalThis.remote.patch("ada", "tasks", "1", { title: "theirs" });
    await tasks.patch("1", { title: "ours" });
    await datum.synchronize("ada");
  });
  await shows("1 tasks, first ours, conflicts [ours/theirs], letters [], completed");
  // A side that changes meanwhile, and no cycle that would say so.
  await run(({ tasks }) => tasks.patch("1", { title: "ours again" }));
  await shows("1 tasks, first ours again, conflicts [ours again/theirs], letters [], completed");
  await run(async ({ datum }) => {
    const [conflict] = await datum.conflicts("ada");
    await datum.resolveConflict(conflict.id, { take: "remote" });
  });
  await shows("1 tasks, first theirs, conflicts [], letters [], completed");
  await run(async ({ datum, tasks }) => {
    globalThis.remote.decide = () => ({ status: "rejected", code: "tooLong", message: "too long" });
    await tasks.create({ id: "2", title: "Call Ben" });
    await datum.synchronize("ada");
  });
  await shows("1 tasks, first theirs, conflicts [], letters [tooLong], completed");
  await run(async ({ datum }) => datum.discardDeadLetter((await datum.deadLetters("ada"))[0].id));
  await shows("1 tasks, first theirs, conflicts [], letters [], completed");
  await run(({ datum }) => datum.close());
  await shows("1 tasks, first theirs, conflicts [], letters [], completed");
  assert.deepEqual(errors, []);
  await context.close();
  await host.stop();
});

test("queries, builders and sync states are followed with the real engine", async () => {
  const host = await serveFolder(await build("react", "queries.tsx"));
  const { context, page, errors } = await device(browser);
  await page.goto(`${host.url}/`);
  const shows = (text) => page.getByText(text, { exact: true }).waitFor();
  const run = (act) => page.evaluate(`(async () => { const datum = await opening; const tasks = datum.manager("tasks"); await (${act})({ datum, tasks }); })()`);
  await shows("open [], b [], states []");
  await run(({ tasks }) => tasks.createMany(["a", "b", "c"].map((title) => ({ title, done: false }))));
  await shows("open [c,b], b [b], states [pending,pending,pending]");
  await run(({ datum }) => datum.synchronize("ada"));
  await shows("open [c,b], b [b], states [synced,synced,synced]");
  await run(({ tasks }) => tasks.patchWhere({ field: "title", equals: "c" }, { done: true }));
  await shows("open [b,a], b [b], states [synced,synced,pending]");
  assert.deepEqual(errors, []);
  await context.close();
  await host.stop();
});

test("on a server, an import of each entry loads nothing of the engine but its classes", async () => {
  for (const framework of FRAMEWORKS) {
    const entry = pathToFileURL(join(installed.root, "node_modules/datum-sync/hooks", `${framework}.js`)).href;
    const script = `
      const opened = [];
      globalThis.indexedDB = new Proxy({}, { get: (_, name) => opened.push(String(name)) });
      for (const name of ["compile", "instantiate", "compileStreaming", "instantiateStreaming"]) WebAssembly[name] = () => opened.push(name);
      const { DatumProvider, DatumPlugin, setDatum } = await import(${JSON.stringify(entry)});
      if (!(DatumProvider ?? DatumPlugin ?? setDatum)) throw new Error("it has no provider");
      console.log(JSON.stringify(opened));
    `;
    assert.equal((await run("node", ["--input-type=module", "--eval", script], { cwd: installed.root })).trim(), "[]", framework);
  }
});
