// Tests of apps in the runners that apps use, with nothing mocked but IndexedDB; a process of Node; and build tools that
// are older than those of the other tests. `runners/` has the apps.
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { fileURLToPath } from "node:url";
import { device, launch } from "./lib/browser.mjs";
import { tarball } from "./lib/environment.mjs";
import { npm, run, temporaryFolder } from "./lib/files.mjs";
import { startServer } from "./lib/server.mjs";
import { serveFolder } from "./lib/static.mjs";

const LIMIT_MS = 120_000;
let folder, server, root;

before(async () => {
  folder = await temporaryFolder();
  root = join(folder.path, "app");
  await cp(fileURLToPath(new URL("runners/", import.meta.url)), root, { recursive: true, filter: (path) => !path.includes("node_modules") });
  await npm(["ci"], root);
  await npm(["install", "--no-save", tarball()], root);
  server = await startServer();
  for (const [name, code] of await documented()) await writeFile(join(root, name), code);
});

after(async () => {
  await server?.stop();
  await folder?.remove();
});

/** Returns the examples of docs/testing.md: fenced blocks that begin with `js vitest=NAME` or `js jest=NAME`. */
async function documented() {
  const text = await readFile(new URL("../../docs/testing.md", import.meta.url), "utf8");
  return [...text.matchAll(/^```js (vitest|jest)=([a-z-]+)\n(.*?)^```$/gms)].map(([, runner, name, code]) => [`docs-${name}.${runner}.test.mjs`, code]);
}

const inApp = (program, args, env = {}) =>
  run(program, args, { cwd: root, timeout: LIMIT_MS, env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", CI: "1", DATUM_URL: server.url, ...env } });
const tool = (path, args, env) => inApp("node", [join("node_modules", path), ...args], env);
const vitest = (...args) => tool("vitest/vitest.mjs", ["run", "--exclude", "**/*jest.test.mjs", "--testTimeout", "60000", ...args]);
const jest = (...args) =>
  tool("jest/bin/jest.js", ["--testTimeout", "60000", "--config", JSON.stringify({ testMatch: ["**/*jest.test.mjs"], moduleFileExtensions: ["mjs", "js"], transform: {} }), ...args], { NODE_OPTIONS: "--experimental-vm-modules" });

test("Vitest in node, jsdom and happy-dom", async (t) => {
  for (const environment of ["node", "jsdom", "happy-dom"]) {
    // The pool says whether a file has the host's globals or a sandbox with its own.
    for (const pool of ["forks", "vmThreads"]) {
      await t.test(`${environment}, ${pool}`, async () => {
        const said = await vitest("--environment", environment, "--pool", pool);
        assert.match(said, /Test Files +\d+ passed \(\d+\)/);
        assert.doesNotMatch(said, /skipped|Unhandled/);
      });
    }
  }
});

test("Jest in node and a jsdom that has what Node has", async (t) => {
  // Jest's own jsdom has no `structuredClone`, which fake-indexeddb needs.
  for (const environment of ["node", "jest-fixed-jsdom"]) {
    await t.test(environment, async () => {
      const said = await jest("--env", environment);
      assert.match(said, /Test Suites: (\d+) passed, \1 total/);
      assert.doesNotMatch(said, /did not exit/);
    });
  }
});

test("docs/testing.md has examples for both runners", async () => {
  const runners = (await documented()).map(([name]) => name.split(".")[1]);
  assert.deepEqual([...new Set(runners)].sort(), ["jest", "vitest"]);
});

test("a process of Node ends by itself once no call is pending", async () => {
  assert.equal((await inApp("node", ["ends.mjs"])).trim(), "1 row, true");
});

test("Vite 7 builds the package into a worker, with its own settings", async () => {
  const said = await tool("vite/bin/vite.js", ["build", "worker"]);
  assert.doesNotMatch(said, /warn/i);
  const browser = await launch();
  try {
    for (const isBlocked of [false, true]) {
      const host = await serveFolder(join(root, "worker", "dist"));
      const { context, page } = await device(browser);
      if (isBlocked) await context.route("**/*.wasm", (route) => route.abort());
      await page.goto(`${host.url}/`);
      await page.waitForFunction(() => document.title !== "loading");
      assert.equal(await page.title(), "hello");
      const inlined = host.requested().filter((path) => path.includes("inline")).length;
      assert.equal(inlined, isBlocked ? 1 : 0, "the inlined copy is loaded only if the file cannot be");
      await context.close();
      await host.stop();
    }
  } finally {
    await browser.close();
  }
});

test("TypeScript 5.1 takes the types, with and without the DOM's newest", async () => {
  const options = { target: "es2022", module: "esnext", moduleResolution: "bundler", moduleDetection: "force", strict: true, noEmit: true, skipLibCheck: false, types: [] };
  for (const lib of [["es2022", "dom"], ["esnext", "dom", "dom.iterable"]]) {
    await writeFile(join(root, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...options, lib }, files: ["types.ts"] }));
    await tool("typescript/bin/tsc", ["-p", "."]);
  }
});
