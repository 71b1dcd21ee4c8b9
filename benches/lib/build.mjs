// Bundles the contestants as an app would ship them, and measures the sizes of the packages.
import { existsSync } from "node:fs";
import { cp, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL("..", import.meta.url));
/** The folder of the packed package; the tarball's files are beside it. */
const OURS = dirname(process.env.DATUM_TARBALL ?? "");
/** The parts of the module; one that is not split has the first only. */
const PARTS = ["datum_sync_bg.wasm", "datum_sync_cycle.wasm", "datum_sync_rest.wasm"].filter((name) => existsSync(join(OURS, name)));
const settings = { absWorkingDir: HERE, bundle: true, minify: true, format: "esm", target: "es2022", platform: "browser", legalComments: "none", alias: { "datum-sync": join(OURS, "index.js"), "datum-sync/supabase": join(OURS, "supabase", "index.js"), "@tanstack/db": join(HERE, "..", "tests", "e2e", "node_modules", "@tanstack", "db"), "@supabase/supabase-js": join(HERE, "..", "tests", "backends", "node_modules", "@supabase", "supabase-js") }, logLevel: "error", define: { "process.env.NODE_ENV": '"production"', global: "globalThis" } };

/** `pouchdbready` is PouchDB against a server that has its responses ready. */
export const contestants = ["datum", "bare", "raw", "dexie", "rxdb", "pouchdb", "pouchdbready", "watermelondb", "replicache", "tinybase", "tanstack"];
/** Those that are asked for queries: their modules are in a folder of their own. */
const QUERIED = ["datum", "dexie", "rxdb", "tinybase", "tanstack"];

/** Builds the page and the wanted contestants into `dist`. */
export async function buildPages(dist, wanted) {
  await mkdir(dist, { recursive: true });
  await cp(join(HERE, "page", "index.html"), join(dist, "index.html"));
  await build({ ...settings, entryPoints: ["page/page.js"], outdir: dist });
  if (wanted.has("pouchdbready")) wanted.add("pouchdb");
  for (const who of QUERIED.filter((who) => wanted.has(who))) {
    await build({ ...settings, entryPoints: { [`queries-${who}`]: `contestants/queries/${who}.js` }, outdir: dist, splitting: true, chunkNames: `queries-${who}-[hash]` });
  }
  for (const who of [...contestants, "kit"].filter((who) => wanted.has(who) && !["pouchdbready", "tanstack"].includes(who))) {
    // With splitting, because the engine's inlined copy is loaded only if the wasm files are missing.
    await build({ ...settings, entryPoints: [`contestants/${who}.js`], outdir: dist, splitting: true, chunkNames: `${who}-[hash]` });
  }
  if (wanted.has("datum") || wanted.has("kit")) for (const name of PARTS) await cp(join(OURS, name), join(dist, name));
}

/** What an app imports from each package; the contestants import the same. */
const imports = {
  datum: 'export { Datum, DatumError } from "datum-sync";',
  dexie: 'export { Dexie, liveQuery } from "dexie";',
  rxdb: 'export { createRxDatabase, addRxPlugin } from "rxdb/plugins/core"; export { getRxStorageDexie } from "rxdb/plugins/storage-dexie"; export { replicateRxCollection } from "rxdb/plugins/replication"; export { RxDBLeaderElectionPlugin } from "rxdb/plugins/leader-election";',
  pouchdb: 'export { default } from "pouchdb-browser";',
  watermelondb: 'export { appSchema, Database, Model, Q, tableSchema } from "@nozbe/watermelondb"; export { default as LokiJSAdapter } from "@nozbe/watermelondb/adapters/lokijs"; export { synchronize } from "@nozbe/watermelondb/sync";',
  replicache: 'export { Replicache } from "replicache";',
  tinybase: 'export { createStore } from "tinybase/store"; export { createIndexedDbPersister } from "tinybase/persisters/persister-indexed-db"; export { createRemotePersister } from "tinybase/persisters/persister-remote";',
};

/** Returns the bytes of each contestant: minified, gzip 9 and brotli 11, compressed file by file as a server does. */
export async function sizes() {
  const found = {};
  for (const [who, contents] of Object.entries(imports)) {
    const result = await build({ ...settings, stdin: { contents, resolveDir: HERE }, outdir: "/nowhere", splitting: true, write: false });
    // Without the inlined copy of the wasm files: no page loads both.
    const texts = result.outputFiles.filter((file) => !/inline/.test(file.path)).map((file) => Buffer.from(file.contents));
    if (who === "datum") for (const name of PARTS) texts.push(await readFile(join(OURS, name)));
    found[who] = texts.map(compressed).reduce((sum, one) => ({ minified: sum.minified + one.minified, gzip: sum.gzip + one.gzip, brotli: sum.brotli + one.brotli }));
  }
  return found;
}

function compressed(bytes) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return { minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes, { params }).length };
}

/** Returns the installed version of each package. */
export async function versions() {
  const packages = { dexie: "dexie", rxdb: "rxdb", pouchdb: "pouchdb-browser", watermelondb: "@nozbe/watermelondb", replicache: "replicache", tinybase: "tinybase" };
  const read = async (folder) => JSON.parse(await readFile(join(folder, "package.json"), "utf8")).version;
  const found = { datum: await read(OURS) };
  for (const [who, name] of Object.entries(packages)) found[who] = await read(join(HERE, "node_modules", name));
  found.tanstack = await read(join(HERE, "..", "tests", "e2e", "node_modules", "@tanstack", "db"));
  return found;
}
