// The packed package, installed as an app does, and what the tests of one file share.
import { existsSync } from "node:fs";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { npm } from "../../e2e/lib/files.mjs";
import { atEnd } from "./cleanup.mjs";

/** The packed package: `cargo xtask backends test` sets it. */
function tarball() {
  const path = process.env.DATUM_TARBALL;
  if (!path || !existsSync(path)) throw new Error("DATUM_TARBALL must name the packed package. `cargo xtask backends test` sets it.");
  return path;
}

/** Installs the package into a new folder, which goes at the end of the file's tests, and loads it. */
export async function loadPackage() {
  const root = await realpath(await mkdtemp(join(tmpdir(), "datum-package-")));
  atEnd(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
  await writeFile(join(root, "package.json"), `{ "private": true, "type": "module" }`);
  await npm(["install", tarball(), "--omit=peer"], root);
  const installed = join(root, "node_modules", "datum-sync");
  const load = (file) => import(pathToFileURL(join(installed, file)).href);
  return { root, installed, ...(await load("node.js")), ...(await load("supabase/index.js")) };
}
