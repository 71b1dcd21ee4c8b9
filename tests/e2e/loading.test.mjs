// The import alone loads the engine in Vite, Vite's dev server, webpack, esbuild and a plain script, without any
// configuration. Each page writes an entity and reads it back.
import assert from "node:assert/strict";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import webpack from "webpack";
import { makeApp } from "./lib/app.mjs";
import { device, launch } from "./lib/browser.mjs";
import { installPackage } from "./lib/package.mjs";
import { serveFolder } from "./lib/static.mjs";

const html = (head, script) => `<!doctype html><meta charset="utf-8"><title>loading</title>${head}<script type="module" src="${script}"></script>`;
let browser, entry, installed, root;

before(async () => {
  browser = await launch();
  installed = await installPackage();
  root = installed.root;
  // The smoke page of the Vite app, without its types.
  const source = await readFile(new URL("app/pages/smoke.ts", import.meta.url), "utf8");
  entry = join(root, "entry.js");
  await writeFile(entry, (await esbuild.transform(source, { loader: "ts", target: "es2022" })).code);
});

after(async () => {
  await browser?.close();
  await installed?.remove();
});

/** Opens the page and waits for a result that only the engine can produce. */
async function works(url, isLoaded = () => true) {
  const { page, errors, context } = await device(browser);
  await page.goto(url);
  await page.waitForFunction(() => document.title === "hello").catch((cause) => {
    throw new Error(`the page did not read its note; errors: ${errors.join("; ") || "none"}`, { cause });
  });
  // The later parts follow with low priority.
  for (const end = Date.now() + 20_000; !isLoaded() && Date.now() < end; ) await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 20)));
  assert.deepEqual(errors, []);
  await context.close();
}

/** Serves a folder and checks its page. Returns the requested files, when the parts have been requested too. */
async function served(path, isSilent) {
  const server = await serveFolder(path, isSilent);
  try {
    await works(`${server.url}/`, () => isSilent || wasm(server.requested()) >= PARTS || server.requested().some((file) => file.includes("inline")));
    return server.requested();
  } finally {
    await server.stop();
  }
}

const wasm = (requested) => requested.filter((path) => path.endsWith(".wasm")).length;
/** The module's parts. */
const PARTS = 3;
/** Checks that each part was loaded once, from its file. */
const loadedWasmFiles = (requested) => {
  const files = requested.filter((path) => path.endsWith(".wasm"));
  assert.deepEqual([files.length, new Set(files).size], [PARTS, PARTS], `each .wasm file itself, once: ${requested.join(" ")}`);
};

test("a plain script module, with the package's files on any web host", async () => {
  const path = join(root, "plain");
  await mkdir(path);
  await installed.copyTo(path);
  await cp(entry, join(path, "entry.js"));
  const map = `<script type="importmap">{ "imports": { "datum-sync": "./datum-sync/index.js" } }</script>`;
  await writeFile(join(path, "index.html"), html(map, "./entry.js"));
  const requested = await served(path);
  loadedWasmFiles(requested);
  assert.ok(!requested.some((file) => file.endsWith("inline.js")), "the inlined copy was not needed");
});

// ffmpeg.wasm#135: a file that is never answered held the page for ever.
test("a host that never answers for the .wasm file", async () => {
  const requested = await served(join(root, "plain"), (path) => path.endsWith(".wasm"));
  assert.equal(wasm(requested), 1);
  assert.ok(requested.some((file) => file.endsWith("inline.js")), "the inlined copy is loaded instead");
});

test("webpack, with only an entry configured", async () => {
  const path = join(root, "webpack");
  const stats = await promisify(webpack)({ mode: "production", context: root, entry, output: { path, filename: "main.js" }, performance: { hints: false } });
  assert.deepEqual(stats.toJson({ all: false, errors: true, warnings: true }).errors, []);
  await writeFile(join(path, "index.html"), html("", "./main.js"));
  loadedWasmFiles(await served(path));
});

test("esbuild, which does not copy the .wasm file", async () => {
  const path = join(root, "esbuild");
  const result = await esbuild.build({ entryPoints: [entry], bundle: true, minify: true, format: "esm", outfile: join(path, "main.js"), absWorkingDir: root, logLevel: "silent" });
  assert.deepEqual(result.warnings, []);
  await writeFile(join(path, "index.html"), html("", "./main.js"));
  await served(path);
});

test("Vite, built and with its dev server", async (t) => {
  const app = await makeApp();
  t.after(app.remove);
  await app.build();
  const server = await serveFolder(app.dist);
  try {
    await works(`${server.url}/?page=smoke`, () => wasm(server.requested()) >= PARTS);
    loadedWasmFiles(server.requested());
  } finally {
    await server.stop();
  }
  const developing = await app.develop();
  try {
    await works(`${developing.url}/?page=smoke`);
  } finally {
    await developing.stop();
  }
});
