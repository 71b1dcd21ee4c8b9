// `datum-sync/devtools` beside an app: nothing of it in a bundle that does not import it, and nothing of a page where there is none.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "./lib/test.mjs";
import { build } from "esbuild";
import { run } from "./lib/files.mjs";
import { installPackage } from "./lib/package.mjs";

let installed;
before(async () => (installed = await installPackage()));
after(async () => installed?.remove());

async function bundle(code) {
  await mkdir(join(installed.root, "out"), { recursive: true });
  await writeFile(join(installed.root, "main.js"), code);
  const outdir = join(installed.root, "out");
  const { outputFiles } = await build({ entryPoints: [join(installed.root, "main.js")], outdir, bundle: true, minify: true, splitting: true, format: "esm", external: ["node:*"], conditions: ["browser"], write: false, logLevel: "error" });
  return outputFiles.map(({ path, text }) => ({ name: path.slice(outdir.length + 1), text }));
}

const MARK = "datum-devtools";

test("an app that does not import the panel has nothing of it", async () => {
  const files = await bundle(`import { Datum } from "datum-sync"; globalThis.open = () => Datum.initialize({ entities: {}, remote: { url: "/" } });`);
  for (const { name, text } of files) assert.ok(!text.includes(MARK), name);
});

test("an app that loads it on demand has it in a file of its own, and an import for its effect alone is kept", async () => {
  const files = await bundle(`import { Datum } from "datum-sync"; globalThis.open = async () => (await import("datum-sync/devtools")).mountDevtools(await Datum.initialize({}));`);
  assert.ok(!files.find(({ name }) => name === "main.js").text.includes(MARK));
  assert.equal(files.filter(({ text }) => text.includes(MARK)).length, 1);
  const [alone] = await bundle(`import "datum-sync/devtools";`);
  assert.ok(alone.text.includes(MARK));
});

test("importing it on a server does nothing, and mounting it there says why it cannot", async () => {
  await writeFile(join(installed.root, "server.mjs"), `import { mountDevtools, defineDevtools } from "datum-sync/devtools"; defineDevtools(); try { mountDevtools({}); } catch (error) { console.log(error.message); }`);
  const told = await run("node", [join(installed.root, "server.mjs")], { cwd: installed.root });
  assert.match(String(told?.stdout ?? told), /there is no document/);
});

test("it needs nothing of the package but what is public", async () => {
  const text = await readFile(join(installed.root, "node_modules/datum-sync/devtools/index.js"), "utf8");
  assert.deepEqual(text.match(/\b(?:from|import)\s*\(?\s*["'`](?:datum-sync|[./])[^"'`]*/g), null);
});
