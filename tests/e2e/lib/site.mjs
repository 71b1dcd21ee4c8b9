// The demo and the guide, built in a temporary folder with the packed package.
import { cp } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { tarball } from "./environment.mjs";
import { npm, run, temporaryFolder } from "./files.mjs";

const SOURCE = fileURLToPath(new URL("../../../www/", import.meta.url));
const GENERATED = new Set(["node_modules", "dist", ".vite"]);

/** Checks the types and builds the site into `dist`. */
export async function buildSite() {
  const folder = await temporaryFolder();
  const root = join(folder.path, "www");
  const isSource = (path) => !GENERATED.has(relative(SOURCE, path).split(sep)[0]);
  await cp(SOURCE, root, { recursive: true, filter: isSource });
  await npm(["ci"], root);
  await npm(["install", "--no-save", tarball()], root);
  await run("npm", ["run", "build", "--silent"], { cwd: root });
  return { dist: join(root, "dist"), remove: folder.remove };
}
