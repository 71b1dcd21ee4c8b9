// The packed package, installed from its tarball.
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tarball } from "./environment.mjs";
import { npm, temporaryFolder } from "./files.mjs";

/**
 * Installs the package into a new folder. `copyTo(folder)` copies its files into `folder/datum-sync`, from where
 * any web host can serve them.
 */
export async function installPackage() {
  const { path: root, remove } = await temporaryFolder();
  await writeFile(join(root, "package.json"), `{ "private": true, "type": "module" }`);
  await npm(["install", tarball()], root);
  const installed = join(root, "node_modules", "datum-sync");
  return { root, remove, copyTo: (folder) => cp(installed, join(folder, "datum-sync"), { recursive: true }) };
}
